"""Puts the parts together: from a configuration to a daemon that can run, and what commands do to its state."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from sorawatch import __version__
from sorawatch.admission import Admission
from sorawatch.bookkeeping import Bookkeeping
from sorawatch.config import Config, Duplicates, KeySource, UnresolvedSubmit, find_headers, find_key
from sorawatch.core.job import FINAL, Job, State
from sorawatch.core.patience import Policy
from sorawatch.core.schedule import Waits
from sorawatch.daemon import LEASE_MS, Daemon
from sorawatch.edges import images, lock, outbox
from sorawatch.edges.api import Dialect, VideoApi
from sorawatch.edges.inbox import Inbox
from sorawatch.edges.ledger import Ledger
from sorawatch.edges.lock import Lock
from sorawatch.edges.logs import SECRETS
from sorawatch.edges.manager import Manager
from sorawatch.edges.store import Store, Turn
from sorawatch.errors import Blocked, ConfigError, UsageError
from sorawatch.hands import CONNECTIONS
from sorawatch.housekeeping import delivered_ms
from sorawatch.intake import Intake
from sorawatch.messages import Listener, Parts
from sorawatch.perform import Performer
from sorawatch.pulse import Pulse
from sorawatch.recovery import TakenIn, reconcile, take_in
from sorawatch.reloading import Reloading
from sorawatch.search import WITNESSES, Witnesses
from sorawatch.vigil import Vigil
from sorawatch.whereabouts import Whereabouts, make, new_owner
from sorawatch.wishes import Wish, find, foresee, grant
from sorawatch.workers import Uploads

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


def api_client(config: Config, key: KeySource | None, environ: Mapping[str, str]) -> VideoApi:
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
            raise Blocked(why, problem.mend, keyed=True) from error
        if secret is not None:
            SECRETS.add(secret)
        return secret

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
    where = Whereabouts.of(config)
    SECRETS.add(where.password)
    work = where.work
    with ExitStack() as stack:
        stack.enter_context(where.alone())
        work.create()
        left = work.jobs()
        store, ledger = where.open(clock), where.ledger
        stack.callback(store.close)
        with store.turn() as turn:
            mark_folders(config, turn, shared=store.is_shared)
            if not store.is_shared:
                # A claim of an earlier run must not keep a job from being set right.
                turn.peers.void(turn.peers.gone())
            for job in reconcile(turn, work, admission(config)):
                logger.warning("%s [%s]: taken up again from %s", job.pair.path, job.id, work.folder(job.id))
            lacking = _taken_in(turn, ledger).lacking
            witnesses = Witnesses(turn.witnesses(WITNESSES))
            going_on = {job.id for job in turn.jobs({*State} - FINAL)}
            gate = _Gate(config.folders.inbox, _name(turn) if store.is_shared else None)
        ledger.write(lacking)
        # Only what was there before the state was read: other daemons may share the folder, and begin with jobs.
        for job_id in {*left} - going_on:
            work.discard(job_id)
        gate.hold()
        stack.callback(gate.release)
        pictures = stack.enter_context(images.Pool())
        uploads, pulse = Uploads(), Pulse(Manager(environ))
        vigil = Vigil(config.folders.inbox, config.watch.mode)
        stack.callback(vigil.stop, patience=0.0)

        def parts(config: Config) -> Parts:
            key = find_key(config, environ)
            api = api_client(config, key, environ)
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
                Intake(inbox, config.defaults, config.catalogue, gate.check),
                vigil,
                admission(config),
                watch.rescan_seconds,
                config.keep_days,
                key.mark if key else lambda: None,
            )

        yield Daemon(
            Bookkeeping(store, ledger),
            parts(config),
            forget=work.discard,
            uploads=uploads,
            pulse=pulse,
            reread=Reloading(config, environ, parts, apply, pulse),
            listeners=listeners,
        )


class _Gate:
    """Keeps this daemon from looking at an inbox that is not there, or on which one with another state works."""

    def __init__(self, inbox: Path, company: str | None) -> None:
        """``company`` is the name of the state where that is shared."""
        self._inbox = inbox
        self._company = company
        self._lock: Lock | None = None

    def hold(self) -> None:
        """Lock the inbox if it is there. Of one that is gone, or another by now, nothing is kept hold of.

        Raises:
            UsageError: if another daemon has it.
        """
        if self._lock is not None and not self._lock.holds(self._inbox / lock.MARKER):
            self.release()
        if self._lock is None and lock.is_marked(self._inbox):
            marker, what = self._inbox / lock.MARKER, f"the inbox {self._inbox}"
            if self._company is None:
                self._lock = Lock.take(marker, what, make=False)
            else:
                self._lock = Lock.share(marker, what, self._company)

    def check(self) -> None:
        """Raises: Blocked: if the inbox must not be looked at now."""
        try:
            self.hold()
        except UsageError as error:
            raise Blocked(str(error), "Stop the other one.", passing=True) from error
        lock.require_marker(self._inbox)

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _name(turn: Turn) -> str:
    """The name of this state, which no other has."""
    if turn.note("name") is None:
        turn.write_note("name", os.urandom(8).hex())
    return str(turn.note("name"))


def mark_folders(config: Config, turn: Turn, *, shared: bool) -> None:
    """Make and mark the folders this state has not worked with yet; those it has are never made again.

    Raises:
        Blocked, Deferred: if one cannot be made, or was marked by another machine and is not to be found here.
    """
    marked = turn.note("marked") or []
    folders = config.folders
    others = bool(marked)
    for folder in folders.roots.values():
        if str(folder) not in marked:
            if shared and others:
                # Only its place differs from machine to machine; a new folder would be one on this machine alone.
                lock.require_marker(folder)
            elif not os.path.exists(folder):  # noqa: PTH110 -- the other way raises what only making it explains
                make(folder)
                outbox.grant(folder, folders.dir_mode, folders.group)
            lock.mark(folder)
            marked.append(str(folder))
    if marked != turn.note("marked"):
        turn.write_note("marked", marked)


def wish(config: Config, wishes: Sequence[Wish]) -> bool:
    """Ask for something: of the daemon if one runs, which hears it at its next turn, else directly.

    Returns:
        Whether a daemon was there to ask.

    Raises:
        Rejected: if one of them cannot be granted; then none is.
        UsageError: if there is no state yet.
        Blocked: if the state or its ledger cannot be written.
    """
    where = Whereabouts.of(config)
    store = Store.open_for_reading(where.keeper)
    with closing(store), store.turn() as turn:
        running = where.is_worked_on(turn)
    with ExitStack() as stack:
        if not running:
            stack.enter_context(where.alone())
        store, _ = Store.create_or_open(where.keeper, "")
        stack.callback(store.close)
        with store.turn() as turn:
            if not running:
                turn.peers.void(turn.peers.gone())
            for each in wishes:
                job = find(turn, each.job_id) if each.job_id else None
                foresee(turn, each, job, policy(config))
                if running:
                    turn.command(each.verb, job.id if job else None, each.argument)
                else:
                    grant(turn, each, job, policy(config))
        # Else the next start would take the ledger's older word for news.
        where.ledger.write(turn.entries)
    return running


def recover(config: Config) -> tuple[list[Job], int]:
    """Make a new state from the work folder and the ledger; a damaged one is kept aside under another name.

    Returns:
        The jobs that were taken up, and how many orders the ledger told of.

    Raises:
        UsageError: if the state is in order, or a daemon works on it.
    """
    where = Whereabouts.of(config)
    with ExitStack() as stack:
        stack.enter_context(where.alone())
        where.work.create()
        where.set_aside()
        store, _ = Store.create_or_open(where.keeper, new_owner())
        stack.callback(store.close)
        with store.turn() as turn:
            # All of them were worked with before the state was lost: none is made anew where a share is not mounted.
            turn.write_note("marked", [str(folder) for folder in config.folders.roots.values()])
            jobs = {job.id: job for job in reconcile(turn, where.work, admission(config))}
            told = _taken_in(turn, where.ledger)
            return [*(jobs | {job.id: job for job in told.jobs}).values()], told.orders


def counted(orders: int) -> str:
    return f"{orders} order{'' if orders == 1 else 's'}"


def _taken_in(turn: Turn, ledger: Ledger) -> TakenIn:
    """What the ledger tells, written down and logged."""
    told = take_in(turn, ledger.read())
    if told.orders:
        logger.warning("known again from the ledger: %s", counted(told.orders))
    for job in told.jobs:
        logger.warning("%s [%s]: %s, as the ledger tells", job.pair.path, job.id, job.state)
    return told
