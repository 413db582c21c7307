"""Builds a daemon from a configuration."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from sorawatch import __version__
from sorawatch.app.folders import InboxGate, mark_folders, name_of
from sorawatch.app.recovery import reconcile, taken_in
from sorawatch.app.reload import Reloader
from sorawatch.app.state import StateLocation
from sorawatch.config import Config, Duplicates, KeySource, UnresolvedSubmit, find_headers, find_key
from sorawatch.core.job import FINAL, State
from sorawatch.core.retry_policy import Policy
from sorawatch.core.schedule import Waits
from sorawatch.daemon.actions.executor import CONNECTIONS
from sorawatch.daemon.actions.perform import Performer
from sorawatch.daemon.actions.uploads import ActiveUploads
from sorawatch.daemon.actions.witnesses import WITNESSES, Witnesses
from sorawatch.daemon.intake.scan import InboxScanner
from sorawatch.daemon.intake.watcher import InboxWatcher
from sorawatch.daemon.ledgered_store import LedgeredStore
from sorawatch.daemon.loop import LEASE_MS, Daemon
from sorawatch.daemon.messages import Listener, Parts
from sorawatch.daemon.submission.admission import Admission
from sorawatch.daemon.upkeep.heartbeat import Heartbeat
from sorawatch.daemon.upkeep.retention import delivered_ms
from sorawatch.edges import images
from sorawatch.edges.inbox import Inbox
from sorawatch.edges.logs import SECRETS
from sorawatch.edges.sd_notify import ServiceManager
from sorawatch.errors import Blocked, ConfigError, Deferred

if TYPE_CHECKING:
    from sorawatch.edges.api import VideoApi

logger = logging.getLogger("sorawatch")

USER_AGENT = f"sorawatch/{__version__}"

_LATEST = 1.5
"""Times the time-out: for so long after a submit a server may take it, and half as long again its list may lag."""
_SAME_AGAIN = 24
"""Times `retries.first_seconds`: for so long an odd clip must stay the same before it is what the server has."""

_WITNESS = 6.0
"""Times the time-out: so long a lost order waits for another one that shows that the list can be believed."""


def policy(config: Config) -> Policy:
    """How patient the daemon is."""
    retries, polling = config.retries, config.polling
    waits = Waits(
        first=retries.first_seconds,
        longest=retries.max_seconds,
        poll_min=polling.min_seconds,
        poll_max=polling.max_seconds,
        stall=60 * polling.stall_minutes,
        abandon=3600 * polling.abandon_hours,
    )
    resubmit = config.api.unresolved_submit is UnresolvedSubmit.RESUBMIT
    return Policy(
        waits,
        attempts=retries.attempts,
        failed_generations=retries.failed_generations,
        resubmit_lost=resubmit,
        damaged_grace_seconds=config.watch.damaged_grace_seconds,
        late_seconds=_LATEST * config.api.timeout_seconds,
        witness_seconds=_WITNESS * config.api.timeout_seconds,
        billing=config.billing,
    )


def admission(config: Config) -> Admission:
    """What may be submitted."""
    refuse = config.duplicates is Duplicates.REFUSE
    keep_ms = delivered_ms(config.keep_days)
    server = config.api.base_url
    return Admission(
        config.limits, policy(config), config.catalogue, refuse, config.timezone, LEASE_MS, keep_ms, server
    )


class ApiConnection:
    """Gives the client of the server, which is made, and the HTTP library loaded, once it is first asked for."""

    def __init__(self, make: Callable[[], VideoApi]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._api: VideoApi | None = None

    def __call__(self) -> VideoApi:
        """The one client. May be called from any thread.

        Raises:
            Deferred: if the library cannot be loaded now, as when files or memory are short; nothing was sent.
        """
        with self._lock:
            if self._api is None:
                try:
                    self._api = self._make()
                except (ImportError, OSError, MemoryError) as error:
                    why = f"the HTTP library cannot be loaded ({type(error).__name__}: {error})"
                    raise Deferred(why, everyone=True, answered=False) from error
            return self._api

    def close(self) -> None:
        """Close the client's connections, if there are any."""
        if self._api is not None:
            self._api.close()


def api_connection(config: Config, key: KeySource | None, environ: Mapping[str, str]) -> ApiConnection:
    """The server, with the key read anew for every request, so that a changed key file counts at once.

    Raises:
        ConfigError: if a header names an environment variable that is not set.
    """
    api = config.api
    headers = find_headers(config, environ)
    secrets = [headers[name] for name, value in api.headers if value.startswith("$")]
    for each in secrets:
        SECRETS.add(each)

    def read() -> str | None:
        try:
            secret = key.read() if key else None
        except ConfigError as error:
            problem = error.problems[0]
            why = f"the API key cannot be read: {problem.where}, {problem.what}"
            raise Blocked(why, problem.hint, keyed=True) from error
        if secret is not None:
            SECRETS.add(secret)
        return secret

    def make() -> VideoApi:
        from sorawatch.edges.api import Dialect, VideoApi  # noqa: PLC0415 -- see `ApiConnection`

        return VideoApi(
            api.base_url,
            read,
            timeout_seconds=api.timeout_seconds,
            user_agent=USER_AGENT,
            pool_size=CONNECTIONS,
            headers=headers,
            secrets=secrets,
            dialect=Dialect(api.image_field, api.extra_fields, api.send_size, api.auth),
        )

    return ApiConnection(make)


@contextmanager
def opened(
    config: Config,
    environ: Mapping[str, str],
    listeners: Sequence[Listener] = (),
    *,
    apply: Callable[[Config], None] = lambda _: None,
    clock: Callable[[], int] | None = None,
) -> Iterator[Daemon]:
    """A daemon that holds its locks and may run until the block ends.

    Args:
        apply: called with each configuration that is read later and has another ``logging``, before the daemon goes by
            it. If it raises one of our errors, that configuration is refused.
        clock: gives milliseconds since 1970, in place of the state's own clock.

    Raises:
        UsageError: if it must not start: no key, another daemon at work, a state that cannot be trusted.
        Blocked, Deferred: if the state or a folder cannot be used.
    """
    if (key := find_key(config, environ)) is not None:
        SECRETS.add(key.read())
    where = StateLocation.of(config)
    SECRETS.add(where.password)
    work = where.work
    with ExitStack() as stack:
        stack.enter_context(where.alone())
        work.create()
        left = work.jobs()
        store, ledger = where.open(clock), where.ledger
        stack.callback(store.close)
        with store.transaction() as tx:
            mark_folders(config, tx, shared=store.is_shared)
            if not store.is_shared:
                # A claim of an earlier run must not keep a job from being set right.
                tx.peers.void(tx.peers.gone())
            for job in reconcile(tx, work, admission(config)):
                logger.warning("%s [%s]: taken up again from %s", job.pair.path, job.id, work.folder(job.id))
            lacking = taken_in(tx, ledger).lacking
            witnesses = Witnesses(tx.witnesses(WITNESSES))
            going_on = {job.id for job in tx.jobs({*State} - FINAL)}
            gate = InboxGate(config.folders.inbox, name_of(tx) if store.is_shared else None)
        ledger.write(lacking)
        # Only what was there before the state was read: other daemons may share the folder, and begin with jobs.
        for job_id in {*left} - going_on:
            work.discard(job_id)
        gate.hold()
        stack.callback(gate.release)
        pictures = stack.enter_context(images.Pool())
        uploads, pulse = ActiveUploads(), Heartbeat(ServiceManager(environ))
        vigil = InboxWatcher(config.folders.inbox, config.watch.mode)
        stack.callback(vigil.stop, patience=0.0)

        def parts(config: Config) -> Parts:
            key = find_key(config, environ)
            api = api_connection(config, key, environ)
            stack.callback(api.close)
            watch = config.watch
            inbox = Inbox(config.folders.inbox, ignore=watch.ignore, settle_seconds=watch.settle_seconds)
            return Parts(
                Performer(
                    config.folders,
                    work,
                    api,
                    pictures,
                    config.catalogue,
                    config.reference,
                    uploads,
                    witnesses,
                    _SAME_AGAIN * config.retries.first_seconds,
                ),
                InboxScanner(inbox, config.defaults, config.catalogue, gate.check),
                vigil,
                admission(config),
                watch.rescan_seconds,
                config.keep_days,
                key.mark if key else lambda: None,
            )

        yield Daemon(
            LedgeredStore(store, ledger),
            parts(config),
            forget=work.discard,
            uploads=uploads,
            pulse=pulse,
            reread=Reloader(config, environ, parts, apply, pulse),
            listeners=listeners,
        )
