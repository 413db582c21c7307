"""The main loop: wait for messages, take a turn, start the actions that the turn decided on.

Only one thread uses the store, and it commits once per turn. Other threads carry out the actions, but only after the
commit. They report each outcome as a message.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, State
from sorawatch.core.lifecycle import Action
from sorawatch.core.log_fields import LogEvent, LogFields, log_extra
from sorawatch.daemon.actions.executor import ActionDone, Executor
from sorawatch.daemon.intake.scan_scheduler import ScanScheduler
from sorawatch.daemon.mailbox import Mailbox
from sorawatch.daemon.messages import (
    ConfigReloaded,
    InboxChanged,
    Listener,
    Message,
    Parts,
    StopRequested,
    is_stop,
)
from sorawatch.daemon.once import OnceVerdict
from sorawatch.daemon.thread_pool import ThreadPool
from sorawatch.daemon.turn import Turn
from sorawatch.daemon.turn_spacing import TurnSpacing
from sorawatch.edges.boot_time import boot_seconds
from sorawatch.errors import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sorawatch.daemon.actions.active_uploads import ActiveUploads
    from sorawatch.daemon.intake.watcher import InboxWatcher
    from sorawatch.daemon.ledgered_store import LedgeredStore
    from sorawatch.daemon.upkeep.heartbeat import Heartbeat
    from sorawatch.daemon.upkeep.rollback_monitor import RollbackMonitor
    from sorawatch.daemon.upkeep.stale_texts import StaleTexts
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

_MOST_STATE_PAUSE = 30.0
"""Maximum seconds between two attempts to write the state."""
_ANSWER_SECONDS = 4.0
"""Seconds for which a stop waits for the answers to submits after the last upload has ended."""
_STOPPING_INTERVAL = 5.0
"""Seconds between two messages to the service manager that the daemon is stopping."""


class Daemon:
    """The watch-folder daemon."""

    def __init__(
        self,
        store: LedgeredStore,
        parts: Parts,
        watcher: InboxWatcher,
        *,
        forget: Callable[[str], None],
        uploads: ActiveUploads,
        heartbeat: Heartbeat,
        take_in_ledger: Callable[[Transaction], None],
        reread: Callable[[], ConfigReloaded],
        stale_texts: StaleTexts,
        rollback: RollbackMonitor,
        listeners: Sequence[Listener] = (),
    ) -> None:
        """``forget`` removes the files of a finished job from the spool; ``reread`` reads the configuration again.

        Args:
            take_in_ledger: adds to the state what only the ledger has.
        """
        self._store = store
        self._forget = forget
        self._uploads = uploads
        self._heartbeat = heartbeat
        self._reread = reread
        self._stale_texts = stale_texts
        self._listeners = listeners
        self._mailbox: Mailbox[Message] = Mailbox()
        self._executor = Executor(parts.perform, self._mailbox.put)
        self._scans = ScanScheduler(parts.scanner, watcher, parts.rescan_seconds, self._mailbox.put, self.request_scan)
        self._turn = Turn(
            parts,
            self._executor,
            self._scans,
            heartbeat,
            rollback,
            lambda: store.pause_reason,
            take_in_ledger,
            shared=store.is_shared,
        )
        self._reload_thread = ThreadPool("reload", 1)
        self._spacing = TurnSpacing(self._turn.policy.waits.poll_min)
        self._once: OnceVerdict | None = None
        self._counts: Mapping[State, int] = {}
        self._in_doubt = False
        """The state may differ from what this daemon knows. A failed commit may be on disk nevertheless: a disk can
        fail just after writing it. A successful one may be lost: a database server may not have written it yet."""

    def stop(self) -> None:
        """Request the end of `run`. May be called from any thread and from a signal handler."""
        self._mailbox.put(StopRequested())

    def request_scan(self) -> None:
        """Request a scan of the inbox. May be called from any thread."""
        self._mailbox.put(InboxChanged())

    def reload(self) -> None:
        """Read the configuration again, and use it from then on. May be called from any thread and a signal handler."""
        self._reload_thread.run(lambda: self._mailbox.put(self._reread()))

    def run(self, *, once: bool = False) -> bool:
        """Work until `stop` is called or, with ``once``, until there is nothing left to do.

        Returns:
            After a stop, whether everything could be written to the state. Otherwise (with ``once``), whether every
            picture in the inbox became a clip.
        """
        self._once = OnceVerdict() if once else None
        with self._store.transaction() as tx:
            self._turn.recover(tx)
        self._publish_changes()
        messages: list[Message] = []
        timeout, pause, failures = 0.0, 1.0, 0
        while True:
            if not messages:
                messages += self._mailbox.wait(timeout, self._is_turn_needed, self._spacing.seconds)
            messages += self._mailbox.collect(0)
            if is_stop(messages):
                self._uploads.close()
            try:
                with self._spacing.turn():
                    timeout = self._take_turn(messages)
            except Blocked as error:
                self._uploads.suspend()
                self._turn.discard()
                self._in_doubt = True
                failures += 1
                if is_stop(messages):
                    self._await_answers()
                    return False
                if once and failures >= self._turn.policy.attempts:
                    raise
                self._wait_for_state(error, pause, messages)
                timeout, pause = 0.0, min(2 * pause, _MOST_STATE_PAUSE)
                continue
            messages, pause, failures = [], 1.0, 0
            self._heartbeat.beat(self._executor, self._scans)
            if self._turn.stopping:
                return self._await_answers()
            if (verdict := self._verdict()) is not None:
                return verdict
            timeout = min(timeout, self._scans.next_event_in)

    def _take_turn(self, messages: Sequence[Message]) -> float:
        """Take one turn and start its actions. Returns the seconds until the next turn is needed.

        Raises:
            Blocked: if the store cannot be written. Then nothing was started, and the messages must be passed again.
        """
        turn = self._turn
        with self._store.transaction() as tx:
            began_at = boot_seconds()
            self._in_doubt = self._store.was_reconnected() or self._in_doubt
            turn.take(tx, messages, in_doubt=self._in_doubt)
            submits = turn.submits(tx)
            self._counts = turn.counts(tx) if self._once and self._is_idle(messages) else {}
        self._in_doubt = False
        self._uploads.confirm(submits, began_at)
        for message in messages:
            if isinstance(message, ActionDone):
                self._executor.recorded(message)
            if isinstance(message, ConfigReloaded):
                self._spacing = TurnSpacing(turn.policy.waits.poll_min)
        self._publish_changes()
        turn.intake.committed()
        turn.publish_notices()
        starts, turn.starts = turn.starts, []
        # Clips expire on the server, so downloads start before new orders.
        for action, job in sorted(starts, key=lambda start: start[0] is Action.SUBMIT):
            self._executor.start(action, job)
        if not turn.stopping and turn.intake.is_done:
            self._scans.start_if_due(turn.known_pairs.latest, turn.known_pairs.bought)
            self._stale_texts.start_if_due()
        if not turn.intake.is_done:
            return 0.0
        waits = (max((at - turn.now) / 1000, self._spacing.seconds) for at in turn.due_at if at > turn.now)
        return max(0.0, min(turn.interval, self._scans.next_event_in, self._store.retry_in, *waits))

    def _is_idle(self, messages: Sequence[Message]) -> bool:
        """Whether no action will be running after the present turn, which records ``messages``."""
        recorded = sum(isinstance(message, ActionDone) for message in messages)
        return not self._turn.starts and self._executor.count() <= recorded

    def _publish_changes(self) -> None:
        """After the commit: call the listeners, and remove the files of finished jobs."""
        changes, self._turn.changes = self._turn.changes, []
        ended, self._turn.ended_elsewhere = self._turn.ended_elsewhere, []
        for before, after in changes:
            self._turn.known_pairs.update(after)
            for listener in self._listeners:
                listener(before, after)
            if after.state in FINAL:
                ended.append(after)
        for job in ended:
            self._forget(job.id)
        if self._once is not None:
            self._once.follow(changes)

    def _verdict(self) -> bool | None:
        """With ``once``: None while there is work left, then whether every picture became a clip."""
        if self._once is None or self._executor.count() or not self._turn.intake.is_done:
            return None
        return self._once.verdict(
            self._counts,
            self._scans,
            self._turn.breakers.causes,
            kept_back=self._turn.keeps_back,
            paused=self._turn.pause_reason is not None,
            attempts=self._turn.policy.attempts,
        )

    def _is_turn_needed(self) -> bool:
        """Whether another process has written to the state, or the API key may have been replaced."""
        return self._store.was_written_by_others() or self._turn.breakers.key_changed()

    def _wait_for_state(self, error: Blocked, pause: float, messages: list[Message]) -> None:
        """Wait ``pause`` seconds before the next attempt. Messages that arrive meanwhile are added to ``messages``."""
        extra = log_extra(LogFields(LogEvent.STATE_BLOCKED, why=str(error)))
        logger.error("%s. %s Nothing is lost; trying again in %g s.", error, error.hint, pause, extra=extra)
        again_at = time.monotonic() + pause
        while (left := again_at - time.monotonic()) > 0 and not is_stop(messages):
            self._heartbeat.state_unavailable(str(error))
            messages += self._mailbox.collect(min(left, self._heartbeat.interval))

    def _await_answers(self) -> bool:
        """Wait for the end of all uploads, and then a few seconds for the answers to the submits.

        The wait ends after `Parts.stop_seconds`. What is not answered then is looked for at the next start, as after a
        crash.

        Returns:
            Whether everything could be written to the state.
        """
        written = True
        latest = time.monotonic() + self._turn.stop_seconds
        end = time.monotonic() + _ANSWER_SECONDS
        self._heartbeat.stopping(len(self._uploads))
        while self._executor.count(Action.SUBMIT) and (left := min(end, latest) - time.monotonic()) > 0:
            uploads = len(self._uploads)
            messages = self._mailbox.collect(min(left, _STOPPING_INTERVAL))
            self._heartbeat.stopping(uploads)
            try:
                if messages:
                    self._take_turn(messages)
            except Blocked as error:
                self._in_doubt = True
                logger.error("%s. The answers are kept in the work folder, and recorded at the next start.", error)
                written = False
            if uploads:
                end = time.monotonic() + _ANSWER_SECONDS
        return written
