"""The only file that knows all the others: from a configuration to a daemon that can run."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sorawatch import __version__
from sorawatch.admission import Admission
from sorawatch.config import Config, Duplicates, KeySource, UnresolvedSubmit, find_headers, find_key
from sorawatch.core.fsfaults import translate
from sorawatch.core.job import FINAL, Job, State
from sorawatch.core.lifecycle import Policy
from sorawatch.core.schedule import Waits
from sorawatch.daemon import LEASE_MS, Daemon
from sorawatch.edges import images, lock, mounts, outbox
from sorawatch.edges.api import Dialect, VideoApi
from sorawatch.edges.inbox import Inbox
from sorawatch.edges.lock import Lock
from sorawatch.edges.logs import SECRETS
from sorawatch.edges.manager import Manager
from sorawatch.edges.store import Store, Turn
from sorawatch.edges.work import WorkFolder
from sorawatch.errors import Blocked, ConfigError, DamagedState, Problem, Rejected, UsageError
from sorawatch.hands import CONNECTIONS
from sorawatch.intake import Intake
from sorawatch.messages import Listener, Parts
from sorawatch.perform import Performer
from sorawatch.pulse import Pulse
from sorawatch.recovery import reconcile
from sorawatch.reloading import Reloading
from sorawatch.vigil import Vigil
from sorawatch.wishes import Wish, foresee, grant
from sorawatch.workers import Uploads

logger = logging.getLogger("sorawatch")

USER_AGENT = f"sorawatch/{__version__}"

_LATEST = 1.5
"""Times the time-out: for so long after a submit a server may take it, and half as long again its list may lag."""


def state_path(config: Config) -> Path:
    """The state file.

    Raises:
        ConfigError: if the state is not a file, or would lie on a network file system, where SQLite loses data.
    """
    where = f"{config.path}, state"
    if "://" in config.state:
        what = "is a database URL, which this version does not support"
        raise ConfigError((Problem(where, what, "Write the path of a file on a local disk."),))
    path = Path(config.state)
    kind = mounts.file_system_of(path)
    if mounts.is_network(kind):
        what = f"lies on a network file system ({kind}), where SQLite can lose data"
        raise ConfigError((Problem(where, f"{path} {what}", "Choose a path on a local disk."),))
    return path


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
        billing=config.billing,
    )


def admission(config: Config) -> Admission:
    """What may be submitted."""
    refuse = config.duplicates is Duplicates.REFUSE
    return Admission(config.limits, policy(config), config.catalogue, refuse, config.timezone, LEASE_MS)


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
            raise Blocked(f"the API key cannot be read: {problem.what}", problem.mend, keyed=True) from error
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
        apply: told of every configuration read later whose ``logging`` is another, before the daemon goes by it;
            whatever of our errors it raises refuses that one.
        clock: gives milliseconds since 1970, in place of the state's own clock.

    Raises:
        UsageError: if it must not start: no key, another daemon at work, a state that cannot be trusted.
        Blocked, Deferred: if the state or a folder cannot be used.
    """
    if (key := find_key(config, environ)) is not None:
        SECRETS.add(key.read())
    path = state_path(config)
    with ExitStack() as stack:
        _make(path.parent)
        stack.callback(Lock.take(_lock_path(path), f"the state {path}").release)
        work = WorkFolder.beside(path)
        work.create()
        store = _open_store(path, work, clock)
        stack.callback(store.close)
        with store.turn() as turn:
            mark_folders(config, turn)
            for job in reconcile(turn, work, admission(config)):
                logger.warning("%s [%s]: taken up again from %s", job.pair.path, job.id, work.folder(job.id))
            going_on = [job.id for job in turn.jobs({*State} - FINAL)]
        work.sweep(going_on)
        gate = _Gate(config.folders.inbox)
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
                Performer(config.folders, work, api, pictures, config.catalogue, config.reference, uploads),
                Intake(inbox, config.defaults, config.catalogue, gate.check),
                vigil,
                admission(config),
                watch.rescan_seconds,
                config.keep_days,
                key.mark if key else lambda: None,
            )

        yield Daemon(
            store,
            parts(config),
            forget=work.discard,
            uploads=uploads,
            pulse=pulse,
            reread=Reloading(config, environ, parts, apply, pulse),
            listeners=listeners,
        )


class _Gate:
    """Lets nobody look at an inbox that is not there, or that another daemon works on."""

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox
        self._lock: Lock | None = None

    def hold(self) -> None:
        """Lock the inbox if it is there. Of one that is gone, or another by now, nothing is kept hold of.

        Raises:
            UsageError: if another daemon has it.
        """
        if self._lock is not None and not self._lock.holds(self._inbox / lock.MARKER):
            self.release()
        if self._lock is None and lock.is_marked(self._inbox):
            self._lock = Lock.take(self._inbox / lock.MARKER, f"the inbox {self._inbox}", make=False)

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


def mark_folders(config: Config, turn: Turn) -> None:
    """Make and mark the folders this state has not worked with yet; those it has are never made again.

    Raises:
        Blocked, Deferred: if one cannot be made.
    """
    marked = turn.note("marked") or []
    folders = config.folders
    for folder in folders.roots.values():
        if str(folder) not in marked:
            if not folder.exists():
                _make(folder)
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
    """
    path = state_path(config)
    if not path.exists():
        raise UsageError(f"there is no state at {path} yet. `sorawatch run` makes it.")
    lock_path = _lock_path(path)
    running = lock.is_locked(lock_path)
    with ExitStack() as stack:
        if not running:
            stack.callback(Lock.take(lock_path, f"the state {path}").release)
        store, _ = Store.create_or_open(path, "command line")
        stack.callback(store.close)
        with store.turn() as turn:
            for each in wishes:
                job = turn.find(each.job_id) if each.job_id else None
                if each.job_id and job is None:
                    raise Rejected(f"there is no job {each.job_id}", "`sorawatch status` lists the jobs.")
                foresee(each, job, turn.now, policy(config))
                if running:
                    turn.command(each.verb, job.id if job else None, each.argument)
                else:
                    grant(turn, each, job, policy(config))
    return running


def is_running(config: Config) -> bool:
    """Whether a daemon holds the state of this configuration."""
    return lock.is_locked(_lock_path(state_path(config)))


def recover(config: Config) -> list[Job]:
    """Make a new state from the work folder; a damaged one is kept aside under another name.

    Returns:
        The jobs that were taken up.

    Raises:
        UsageError: if the state is in order, or a daemon works on it.
    """
    path = state_path(config)
    with ExitStack() as stack:
        _make(path.parent)
        stack.callback(Lock.take(_lock_path(path), f"the state {path}").release)
        work = WorkFolder.beside(path)
        work.create()
        if _holds_anything(path):
            _set_aside(path)
        store, _ = Store.create_or_open(path, _owner())
        stack.callback(store.close)
        with store.turn() as turn:
            # All of them were worked with before the state was lost: none is made anew where a share is not mounted.
            turn.write_note("marked", [str(folder) for folder in config.folders.roots.values()])
            return reconcile(turn, work, admission(config))


def _set_aside(path: Path) -> None:
    """Rename a damaged state with all that belongs to it.

    Raises:
        UsageError: if it is not damaged.
    """
    try:
        Store.create_or_open(path, _owner())[0].close()
    except DamagedState:
        number = next(n for n in range(1, 10_000) if not path.with_name(f"{path.name}.damaged{n}").exists())
        for suffix in ("-journal", "-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(path.with_name(f"{path.name}.damaged{number}{suffix}"))
        logger.warning("the damaged state is kept as %s.damaged%d", path, number)
    else:
        raise UsageError(
            f"the state {path} is in order, so there is nothing to recover. `sorawatch run` goes on with it."
        )


def _open_store(path: Path, work: WorkFolder, clock: Callable[[], int] | None) -> Store:
    """Open the state, unless it was lost while orders were under way: they must not be bought again."""
    left = sum(work.record(job_id) is not None for job_id in work.jobs())
    if left and not _holds_anything(path):
        raise UsageError(
            f"the state file {path} is gone or empty, but {work.root} still holds {left} unfinished jobs, "
            "which may be paid for. Put the state file back, or run `sorawatch recover`, "
            "which makes a new one from that folder."
        )
    try:
        return Store.create_or_open(path, _owner(), clock)[0]
    except DamagedState as error:
        raise UsageError(
            f"{error} Put a good copy back, or run `sorawatch recover`, which keeps this one aside."
        ) from error


def _lock_path(state: Path) -> Path:
    """The file that the one daemon on a state holds locked."""
    return state.with_name(f"{state.name}.lock")


def _holds_anything(path: Path) -> bool:
    """Whether there is a state file, and not an empty one, which is as good as none."""
    return path.exists() and path.stat().st_size > 0


def _owner() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise translate(error, str(folder)) from error
