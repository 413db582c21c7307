"""Builds a daemon from a configuration."""

from __future__ import annotations

import logging
import shlex
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch import __version__
from sorawatch.app.changed_defaults import changed_defaults, defaults_were_told
from sorawatch.app.decoders import ConfinementLog, decoders
from sorawatch.app.folders import InboxGate, InboxOwner, mark_folders, marked_folders, state_name
from sorawatch.app.recovery import compare, is_known_to_agree, log_recovered, take_in
from sorawatch.app.reload import Reloader
from sorawatch.app.state import StateLocation
from sorawatch.app.state_identity import state_id, write_header
from sorawatch.config import Config, CurrentKey, Duplicates, KeySource, find_headers, find_key
from sorawatch.core.accounts import account_of
from sorawatch.core.job import FINAL, State
from sorawatch.daemon.actions.active_uploads import ActiveUploads
from sorawatch.daemon.actions.executor import CONNECTIONS
from sorawatch.daemon.actions.folder_use import FolderUse
from sorawatch.daemon.actions.perform import Performer
from sorawatch.daemon.actions.witnesses import MOST_WITNESSES, Witnesses
from sorawatch.daemon.intake.scan import InboxScanner
from sorawatch.daemon.intake.watcher import InboxWatcher
from sorawatch.daemon.ledgered_store import LedgeredStore
from sorawatch.daemon.loop import Daemon
from sorawatch.daemon.messages import Listener, Parts
from sorawatch.daemon.submission.admission import Admission
from sorawatch.daemon.upkeep.heartbeat import Heartbeat
from sorawatch.daemon.upkeep.notice_folder import NoticeFolder
from sorawatch.daemon.upkeep.peers import ABSENT_SECONDS
from sorawatch.daemon.upkeep.published_status import ConfigFile
from sorawatch.daemon.upkeep.retention import delivered_ms
from sorawatch.daemon.upkeep.rollback_monitor import RollbackMonitor
from sorawatch.daemon.upkeep.stale_texts import StaleTexts
from sorawatch.daemon.upkeep.state_rollback import Machine
from sorawatch.edges.inbox import Inbox
from sorawatch.edges.logs import SECRETS
from sorawatch.edges.mp4 import ClipChecks
from sorawatch.edges.sd_notify import ServiceManager
from sorawatch.errors import Blocked, ConfigError, Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sorawatch.core.purchase import Purchase
    from sorawatch.edges import images
    from sorawatch.edges.api import VideoApi
    from sorawatch.edges.ledger import Ledger
    from sorawatch.edges.spool import Spool
    from sorawatch.edges.store import Store, Transaction

logger = logging.getLogger("sorawatch")

USER_AGENT = f"sorawatch/{__version__}"

_SALT = "account-salt"
_SAME_CLIP_TIMES = 24
"""A clip that is not a complete MP4 is delivered if it stays the same for so many times `retries.first_seconds`."""


def admission(config: Config) -> Admission:
    """The admission of orders for a configuration."""
    return Admission(
        config.limits,
        config.policy,
        config.catalogue,
        config.duplicates is Duplicates.REFUSE,
        config.timezone,
        delivered_ms(config.keep_days),
        config.api.base_url,
    )


class ApiConnection:
    """Creates the client of the server when it is first called, because loading the HTTP library delays the start."""

    def __init__(self, make: Callable[[], VideoApi]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._api: VideoApi | None = None

    def __call__(self) -> VideoApi:
        """The client, which is created only once. May be called from any thread.

        Raises:
            Deferred: if the library cannot be loaded now, for example for lack of memory. Nothing was sent.
        """
        with self._lock:
            if self._api is None:
                try:
                    self._api = self._make()
                except (ImportError, OSError, MemoryError) as error:
                    why = f"the HTTP library cannot be loaded ({type(error).__name__}: {error})"
                    raise Deferred(why, affects_all=True, answered=False) from error
            return self._api

    def close(self) -> None:
        """Close the client's connections."""
        if self._api is not None:
            self._api.close()


def api_connection(config: Config, key: KeySource | None, environ: Mapping[str, str]) -> ApiConnection:
    """The connection to the server. Every request takes the key as its file has it, so that a change is used at once.

    Raises:
        ConfigError: if a header names an environment variable that is not set.
    """
    api = config.api
    headers = find_headers(config, environ)
    secrets = [headers[name] for name, value in api.headers if value.startswith("$")]
    for each in secrets:
        SECRETS.add(each)

    current = CurrentKey(key) if key else None

    def read() -> str | None:
        try:
            secret = current() if current else None
        except ConfigError as error:
            problem = error.problems[0]
            why = f"the API key cannot be read: {problem.where}, {problem.what}"
            raise Blocked(why, problem.hint, key_related=True) from error
        if secret is not None:
            SECRETS.add(secret)
        return secret

    def make() -> VideoApi:
        from sorawatch.edges.api import TransferLimits, VideoApi  # noqa: PLC0415 -- see `ApiConnection`

        return VideoApi(
            api.contract,
            api.base_url,
            read,
            timeout_seconds=api.timeout_seconds,
            user_agent=USER_AGENT,
            pool_size=CONNECTIONS,
            headers=headers,
            secrets=secrets,
            limits=TransferLimits(max_clip_bytes=api.max_clip_mb << 20),
        )

    return ApiConnection(make)


def account_salt(tx: Transaction, state: str) -> str:
    """The salt of the fingerprints of API keys, which all daemons of the state with this UUID share.

    It is the UUID, except in states that were given another one before: a state that replaces a lost one has its UUID,
    and jobs that are restored from the work folder have fingerprints of the lost one.
    """
    return tx.key_values.read(_SALT) or state


def _account(key: KeySource | None, salt: str) -> Callable[[], str | None]:
    """A function that returns the fingerprint of the present key; None if it cannot be read."""
    current = CurrentKey(key) if key else None

    def account() -> str | None:
        try:
            return account_of(current() if current else None, salt)
        except ConfigError:
            return None

    return account


def _warn_of_rights(key: KeySource) -> None:
    with suppress(OSError):
        if key.is_readable_by_all:
            hint = f"chmod 600 {shlex.quote(str(key.path))}"
            logger.warning("%s: everybody on this machine can read it. Run: %s", key.where, hint)


def _confined_processes(config: Config, stack: ExitStack) -> tuple[images.Pool, ClipChecks]:
    """The processes that read pictures, and those that check clips; ended with ``stack``."""
    log = ConfinementLog()
    return stack.enter_context(decoders(config, log)), stack.enter_context(ClipChecks(on_start=log))


@dataclass(frozen=True, slots=True)
class _PreparedState:
    """What was read from the state before the daemon starts."""

    rollback: RollbackMonitor
    witnesses: Witnesses
    unfinished: set[str]
    """Ids of the jobs that have not ended."""
    salt: str
    """As `account_of` takes it."""
    gate: InboxGate


def _prepare(config: Config, store: Store, ledger: Ledger, spool: Spool) -> _PreparedState:
    """Mark the folders as those of this state, and add to the state what only the ledger and the spool know.

    Raises:
        UsageError: if the folders belong to another state.
        Blocked, Deferred: if the state or a folder cannot be used.
    """
    with store.transaction() as tx:
        replaces_lost = not store.is_shared or bool(marked_folders(tx))
        owner = InboxOwner(state_id(tx, ledger, replaces_lost=replaces_lost), config.path)
        agrees = not store.is_shared and is_known_to_agree(tx, ledger)
    # Before a marker names the state. A ledger that agrees has its header.
    header = None if agrees else write_header(ledger, owner.state)
    missing: list[Purchase] = []

    def compared(tx: Transaction) -> int:
        recovery = compare(tx, spool, ledger, admission(config), agrees=agrees)
        missing[:] = recovery.missing
        return recovery.orders

    machine = Machine(header.ledger, f"{socket.gethostname()} ({spool.root})") if store.is_shared and header else None
    rollback = RollbackMonitor(machine, compared)
    with store.transaction() as tx:
        mark_folders(config, tx, owner, shared=store.is_shared)
        if not store.is_shared:
            # The claims of an earlier run would prevent the correction of jobs.
            tx.peers.release_claims(tx.peers.absent())
        if machine is None:
            compared(tx)
        else:
            rollback.check(tx)
        witnesses = Witnesses(tx.purchases.witnesses(MOST_WITNESSES))
        unfinished = {job.id for job in tx.jobs.in_states({*State} - FINAL)}
        salt = account_salt(tx, owner.state)
        if change := changed_defaults(config, tx):
            logger.warning("%s. %s", *change)
        defaults_were_told(tx)
        gate = InboxGate(config.folders.inbox, owner, state_name(tx) if store.is_shared else None)
    ledger.write(missing)
    return _PreparedState(rollback, witnesses, unfinished, salt, gate)


@contextmanager
def opened(
    config: Config,
    environ: Mapping[str, str],
    listeners: Sequence[Listener] = (),
    *,
    apply: Callable[[Config], None] = lambda _: None,
    clock: Callable[[], int] | None = None,
) -> Iterator[Daemon]:
    """A daemon that is ready to run. It holds its locks until the block ends.

    Args:
        apply: called with each reloaded configuration whose ``logging`` has changed, before it is used. If it raises a
            `SorawatchError`, the configuration is refused.
        clock: returns milliseconds since 1970. It replaces the clock of the state.

    Raises:
        UsageError: if the daemon must not start, because another one is running, or the state was lost or damaged.
        ConfigError: if the key cannot be read, or the configuration cannot be used on this machine.
        Blocked, Deferred: if the state or a folder cannot be used.
    """
    if (key := find_key(config, environ)) is not None:
        SECRETS.add(key.read())
        _warn_of_rights(key)
    location = StateLocation.of(config)
    SECRETS.add(location.password)
    spool = location.spool
    with ExitStack() as stack:
        stack.enter_context(location.locked())
        spool.create()
        spooled = spool.jobs()
        store, ledger = location.open(clock), location.ledger
        stack.callback(store.close)
        prepared = _prepare(config, store, ledger, spool)
        # Only files from before the state was read: other daemons may share the folder, and may have added jobs since.
        for job_id in {*spooled} - prepared.unfinished:
            spool.discard(job_id)
        prepared.gate.lock()
        stack.callback(prepared.gate.close)
        pictures, clip_checks = _confined_processes(config, stack)
        uploads = ActiveUploads(ABSENT_SECONDS / 2 if store.is_shared else None)
        heartbeat = Heartbeat(ServiceManager(environ))
        folder_use = FolderUse()
        watcher = InboxWatcher(config.folders.inbox, config.watch.mode)
        stack.callback(watcher.stop, timeout=0.0)

        def parts(config: Config) -> Parts:
            key = find_key(config, environ)
            api = api_connection(config, key, environ)
            account = _account(key, prepared.salt)
            stack.callback(api.close)
            watch = config.watch
            inbox = Inbox(config.folders.inbox, ignore=watch.ignore, settle_seconds=watch.settle_seconds)
            performer = Performer(
                config.folders,
                spool,
                api,
                pictures,
                clip_checks,
                config.catalogue,
                config.reference,
                uploads,
                prepared.witnesses,
                folder_use,
                _SAME_CLIP_TIMES * config.policy.waits.first,
                account=account,
                shared=store.is_shared,
            )
            return Parts(
                performer,
                folder_use.stuck,
                InboxScanner(
                    inbox,
                    config.defaults,
                    config.catalogue,
                    prepared.gate.check,
                    sidecar_grace_seconds=watch.sidecar_grace_seconds,
                ),
                admission(config),
                watch.rescan_seconds,
                config.keep_days,
                config.api.timeout_seconds,
                key.fingerprint if key else lambda: None,
                account,
                ConfigFile(str(config.path), config.digest),
                NoticeFolder(config.folders.errors, config.folders.access),
            )

        books = LedgeredStore(store, ledger)
        yield Daemon(
            books,
            parts(config),
            watcher,
            forget=spool.discard,
            uploads=uploads,
            heartbeat=heartbeat,
            take_in_ledger=lambda tx: log_recovered(take_in(tx, ledger.read())),
            reread=Reloader(config, environ, parts, apply, heartbeat),
            stale_texts=StaleTexts(config.folders.errors),
            rollback=prepared.rollback,
            listeners=listeners,
        )
        books.note_agreement()
