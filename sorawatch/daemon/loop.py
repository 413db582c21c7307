"""The loop: see, decide, record, do, record.

One thread talks to the store and commits what has gathered in one transaction a turn. What a turn decided is
carried out by others only after it is on disk, and comes back as a message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.budget import Exclusion
from sorawatch.core.job import FINAL, UNPAID, Change, Job, State
from sorawatch.core.lifecycle import ACTIONS, Action
from sorawatch.core.log_events import LogEvent, LogFields, log_extra
from sorawatch.daemon.actions.executor import ActionDone, Executor
from sorawatch.daemon.actions.record import record
from sorawatch.daemon.actions.render_times import RenderTimes
from sorawatch.daemon.intake import new_jobs
from sorawatch.daemon.intake.known_pairs import KnownPairs
from sorawatch.daemon.intake.scan_scheduler import ScanDone, ScanScheduler
from sorawatch.daemon.mailbox import Mailbox
from sorawatch.daemon.messages import ConfigReloaded, InboxChanged, Listener, Message, Parts, StopRequested, is_stop
from sorawatch.daemon.submission.breakers import Breakers
from sorawatch.daemon.submission.circuit_breaker import CircuitBreaker
from sorawatch.daemon.submission.lost_answers_breaker import LostAnswersBreaker
from sorawatch.daemon.submission.reached_limits import ReachedLimits
from sorawatch.daemon.submission.same_refusals_breaker import SameRefusalsBreaker
from sorawatch.daemon.threads import ThreadPool
from sorawatch.daemon.turn_spacing import TurnSpacing
from sorawatch.daemon.upkeep import earlier_videos
from sorawatch.daemon.upkeep.command_queue import execute_all
from sorawatch.daemon.upkeep.earlier_videos import EarlierVideos
from sorawatch.daemon.upkeep.peers import PeerMonitor
from sorawatch.daemon.upkeep.retention import Retention
from sorawatch.daemon.upkeep.status_note import PAUSED, Cause, StatusNote
from sorawatch.errors import Blocked

if TYPE_CHECKING:
    from sorawatch.daemon.actions.uploads import ActiveUploads
    from sorawatch.daemon.ledgered_store import LedgeredStore
    from sorawatch.daemon.upkeep.heartbeat import Heartbeat
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

LEASE_MS = 600_000
_STORE_PAUSE_MAX = 30.0
"""Seconds between two tries to write the state, at the most."""
_LAST_WORDS = 4.0
"""Seconds a stop waits for what became of the submits, once no upload is on its way any more."""
_STOP_SIGN = 5.0
"""Seconds between two signs to the service manager that the end is waited for."""
_CLIPS_WAITING = 24
"""Finished clips that wait to be fetched, above which nothing new is ordered: they expire at the server."""
_UNSENT = o.FailedForNow("it was not sent, for the state or its ledger could not be written", counts=False)
_CLAIMED = (
    State.RENDERED, State.RENDERING, State.UNCERTAIN, State.DELIVERED, State.REJECTED, State.WITHDRAWN, State.RESTORING
)  # fmt: skip
"""In the order in which they are served: clips that can expire come first."""


class Daemon:
    """The watch-folder daemon, without the arguments and the screens around it."""

    def __init__(
        self,
        store: LedgeredStore,
        parts: Parts,
        *,
        forget: Callable[[str], None],
        uploads: ActiveUploads,
        pulse: Heartbeat,
        reread: Callable[[], ConfigReloaded],
        listeners: Sequence[Listener] = (),
    ) -> None:
        """``forget`` discards what the work folder holds of a job that has ended; ``reread`` the configuration."""
        self._store = store
        self._admission = parts.admission
        self._policy = parts.admission.policy
        self._forget = forget
        self._uploads = uploads
        self._pulse = pulse
        self._listeners = listeners
        self._mailbox: Mailbox[Message] = Mailbox()
        self._hands = Executor(parts.perform, self._mailbox.put)
        self._lookout = ScanScheduler(parts.intake, parts.vigil, parts.rescan_seconds, self._mailbox.put, self.nudge)
        self._clerk = ThreadPool("reload", 1)
        self._reread = reread
        self._register = KnownPairs()
        self._neighbours = PeerMonitor(shared=store.is_shared)
        self._breakers = self._new_breakers(parts)
        self._bulletin = StatusNote(self._admission.zone)
        self._housekeeping = Retention(parts.keep_days)
        self._pacing = RenderTimes()
        self._earlier = EarlierVideos()
        self._clips_waiting = 0
        self._rhythm = TurnSpacing(self._policy.waits.poll_min)
        self._changes: list[Change] = []
        self._starts: list[tuple[Action, Job]] = []
        self._counts: Mapping[State, int] = {}
        self._paused = False
        self._resumed_at: int | None = None
        self._closures = ReachedLimits()
        self._stopping = False
        self._in_doubt = False
        """The last commit failed. It can be on disk all the same: a disk may fail in the very moment after."""
        self._once = False
        self._failed = 0
        self._changed_at = 0.0
        self._renewed_at = time.monotonic()

    def stop(self) -> None:
        """End soon. May be called from any thread and from a signal handler."""
        self._mailbox.put(StopRequested())

    def nudge(self) -> None:
        """Look at the inbox soon. May be called from any thread."""
        self._mailbox.put(InboxChanged())

    def reload(self) -> None:
        """Read the configuration anew, and go by it soon. May be called from any thread and from a signal handler."""
        self._clerk.run(lambda: self._mailbox.put(self._reread()))

    def run(self, *, once: bool = False) -> bool:
        """Work until stopped or, with ``once``, until there is nothing left to do.

        Returns:
            With ``once``, whether all that was there became clips; when stopped, whether all that was heard is on disk.
        """
        self._once = once
        self._recover()
        messages: list[Message] = []
        timeout, pause, failures = 0.0, 1.0, 0
        while True:
            if not messages:
                messages += self._mailbox.wait(timeout, self._is_called, self._rhythm.spacing)
            messages += self._mailbox.collect(0)
            if is_stop(messages):
                self._uploads.close()
            try:
                with self._rhythm.turn():
                    timeout = self._turn(messages)
            except Blocked as error:
                self._changes.clear()
                self._starts.clear()
                self._bulletin.retract()
                self._in_doubt = True
                failures += 1
                if is_stop(messages):
                    self._hear_last_words()
                    return False
                if once and failures >= self._policy.attempts:
                    raise
                self._sit_out(error, pause, messages)
                timeout, pause = 0.0, min(2 * pause, _STORE_PAUSE_MAX)
                continue
            messages, pause, failures = [], 1.0, 0
            self._pulse.beat(self._hands, self._lookout)
            if self._stopping:
                return self._hear_last_words()
            if once and (verdict := self._verdict()) is not None:
                return verdict
            timeout = min(timeout, self._lookout.rest)

    def _is_called(self) -> bool:
        """Whether another process has written into the state, or another API key may be there."""
        return self._store.touched() or self._breakers.key_changed()

    def _sit_out(self, error: Blocked, pause: float, messages: list[Message]) -> None:
        """Wait ``pause`` seconds for the state to be writable again, and add what comes meanwhile to ``messages``."""
        facts = log_extra(LogFields(LogEvent.STATE_BLOCKED, why=str(error)))
        logger.error("%s. %s Nothing is lost; trying again in %g s.", error, error.hint, pause, extra=facts)
        again_at = time.monotonic() + pause
        while (left := again_at - time.monotonic()) > 0 and not is_stop(messages):
            self._pulse.falter(str(error))
            messages += self._mailbox.collect(min(left, self._pulse.rest))

    def _recover(self) -> None:
        """Take up what an earlier run left: claims are void, and submits under way then are uncertain now."""
        with self._store.transaction() as tx:
            self._changes += self._neighbours.begin(tx)
            self._resumed_at = (tx.note("paused") or {}).get("resumed")
            self._register = KnownPairs(tx.jobs({*State} - FINAL))
            if not self._store.is_shared:
                self._earlier = EarlierVideos(tx.jobs(earlier_videos.STATES))
                tx.bring_forward(earlier_videos.STATES)
        self._announce()

    def _turn(self, messages: Sequence[Message]) -> float:
        """One transaction, and what follows from it. Returns the seconds until the next one is needed.

        Raises:
            Blocked: if the store cannot be written; then nothing was done, and the messages still stand.
        """
        with self._store.transaction() as tx:
            self._heed_neighbours(tx)
            tx.read_ahead(message.job_id for message in messages if isinstance(message, ActionDone))
            unheard = self._take_stock(tx, messages) if self._in_doubt else messages
            for message in unheard:
                self._heed(tx, message)
            self._grant_wishes(tx)
            if not self._stopping:
                self._start(tx)
                self._housekeeping.tidy(tx)
            self._breakers.lost.refresh(tx)
            self._counts = tx.counts(excluded=self._kept_back) if self._once else {}
            self._bulletin.post(tx, self._lookout, self._blocked, self._pause_reason(), self._closures)
            self._pulse.sense(tx, self._admission, self._bulletin.reasons)
            due = tx.next_due(ACTIONS)
            now = tx.now
        self._in_doubt = False
        for message in messages:
            if isinstance(message, ActionDone):
                self._hands.finished(message)
        self._announce()
        starts, self._starts = self._starts, []
        # Clips expire at the server, so downloads come before new orders.
        for action, job in sorted(starts, key=lambda start: start[0] is Action.SUBMIT):
            self._hands.start(action, job)
        if not self._stopping:
            self._lookout.start_if_due(self._register.pairs)
        dues = [due, *(each.until for each in self._closures), *(each.until for each in self._blocked)]
        waits = (max((at - now) / 1000, self._rhythm.spacing) for at in dues if at is not None and at > now)
        return max(0.0, min(self._pulse.rest, self._lookout.rest, self._neighbours.rest, self._store.rest, *waits))

    def _heed_neighbours(self, tx: Transaction) -> None:
        news, changes = self._neighbours.heed(tx)
        self._changes += changes
        for job in news:
            self._register.enter(job)
            if job.state in FINAL:
                self._forget(job.id)

    def _take_stock(self, tx: Transaction, messages: Sequence[Message]) -> list[Message]:
        """Go by the store after a commit in doubt: give back what it says is being done, and is not.

        Returns:
            The messages but those that it has recorded: what was recorded is claimed no more. What became of a submit
            is told in any case, for another daemon may have taken the claim over, and telling it twice changes nothing.
        """
        claimed = tx.claimed()
        for job in claimed:
            if self._hands.have(job):
                continue
            if job.state is State.SUBMITTING:
                self._record(tx, ActionDone(job.id, Action.SUBMIT, job.token, _UNSENT))
            else:
                tx.release(job)
        self._register = KnownPairs(tx.jobs({*State} - FINAL))
        still = {job.id for job in claimed}
        return [
            each
            for each in messages
            if not isinstance(each, ActionDone) or each.action is Action.SUBMIT or each.job_id in still
        ]

    def _heed(self, tx: Transaction, message: Message) -> None:
        match message:
            case ActionDone():
                self._record(tx, message)
            case ScanDone():
                look = self._lookout.learn(message)
                if look is not None:
                    patience = self._neighbours.patience
                    self._changes += new_jobs.apply_scan(tx, look, self._register, self._admission, patience)
            case InboxChanged():
                self._lookout.nudge()
            case StopRequested():
                self._stopping = True
            case ConfigReloaded():
                self._adopt(message)

    def _adopt(self, renewed: ConfigReloaded) -> None:
        if renewed.parts is not None:
            self._admission = renewed.parts.admission
            self._policy = self._admission.policy
            self._rhythm = TurnSpacing(self._policy.waits.poll_min)
            self._hands.perform = renewed.parts.perform
            self._lookout.adopt(renewed.parts.intake, renewed.parts.rescan_seconds)
            # Whoever changes the configuration may have fixed what stopped the submits.
            self._breakers = self._new_breakers(renewed.parts)
            self._bulletin.zone = self._admission.zone
            self._housekeeping = Retention(renewed.parts.keep_days)
        self._pulse.reloaded(renewed.refused)

    def _record(self, tx: Transaction, done: ActionDone) -> None:
        changes = record(tx, done, self._admission, self._breakers, self._pacing)
        self._earlier.learn(done.job_id, changes)
        self._changes += changes
        self._changes += [each for _, after in changes for each in self._admission.reunited(tx, after)]

    def _announce(self) -> None:
        """After the commit: remember, tell whoever listens, tidy up."""
        changes, self._changes = self._changes, []
        for before, after in changes:
            self._register.enter(after)
            for listener in self._listeners:
                listener(before, after)
            if after.state in FINAL:
                self._forget(after.id)
            if before is None or before.state is not after.state:
                self._changed_at = time.monotonic()
                self._failed += after.state is State.FAILED

    def _grant_wishes(self, tx: Transaction) -> None:
        self._changes += execute_all(tx, self._policy)
        paused = tx.note("paused") or {}
        self._paused = "since" in paused
        # Whichever daemon was asked to resume, all of them do.
        before, self._resumed_at = self._resumed_at, paused.get("resumed")
        resumed = before != self._resumed_at
        if resumed or self._breakers.key_changed():
            self._breakers.clear(tx, keyed=not resumed)
            tx.hasten()

    def _start(self, tx: Transaction) -> None:
        if time.monotonic() - self._renewed_at > LEASE_MS / 3000:
            tx.renew(LEASE_MS)
            self._renewed_at = time.monotonic()
        # First, for whatever it refuses, or finds paid for already, is to be gone on with in this very turn.
        self._admit(tx)
        for state in _CLAIMED:
            self._claim(tx, state, self._hands.room(ACTIONS[state]))
        staged = 2 * self._admission.places + 4
        passed_over = self._closures.passed_over(self._admission) + self._without_model
        ahead = staged - tx.count(State.READY, passed_over) - self._hands.busy(Action.PREPARE)
        self._claim(tx, State.FOUND, min(ahead, self._hands.room(Action.PREPARE)), passed_over)

    def _claim(self, tx: Transaction, state: State, limit: int, excluded: Sequence[Exclusion] = ()) -> None:
        room = limit - sum(ACTIONS[state] is action for action, _ in self._starts)
        if room > 0:
            jobs = tx.claim([state], room, self._policy.waits.horizon, LEASE_MS, excluded)
            self._starts += [(ACTIONS[state], job) for job in jobs]

    def _admit(self, tx: Transaction) -> None:
        admitted = None
        self._clips_waiting = tx.count(State.RENDERED)
        if self._pause_reason() is None and self._lookout.last is not None and not self._earlier.awaited:
            outstanding = self._hands.busy(Action.SUBMIT)
            blocks = self._breakers.blocks
            places = blocks.places(self._hands.room(Action.SUBMIT), outstanding, tx.now)
            if places > 0:
                admitted = self._admission.admit(
                    tx,
                    places,
                    self._lookout.quotas,
                    canary=blocks.stopped,
                    has_room=partial(self._breakers.has_room, tx),
                )
                self._changes += admitted.changes
                self._starts += [(Action.SUBMIT, job) for job in admitted.submits]
        self._closures.learn(admitted, self._lookout.quotas, tx.now)

    def _new_breakers(self, parts: Parts) -> Breakers:
        waits, server = parts.admission.policy.waits, parts.admission.server
        return Breakers(
            CircuitBreaker(waits, parts.key_mark), LostAnswersBreaker(server, waits), SameRefusalsBreaker(server)
        )

    @property
    def _blocked(self) -> list[Cause]:
        """Whatever the server's answers gave cause to stop submissions for."""
        return [*self._breakers.blocks, *self._breakers.lost]

    @property
    def _without_model(self) -> list[Exclusion]:
        """The orders that wait for their model alone."""
        models = self._breakers.blocks.models
        return [Exclusion(models=tuple(models))] if models else []

    @property
    def _kept_back(self) -> list[Exclusion]:
        """With ``once``: the orders that wait until a person, or the calendar, lets them go on."""
        lost = [self._admission.priced(each.model) for each in self._breakers.lost if each.waits_long]
        return self._closures.stopped(self._admission) + self._without_model + lost

    def _pause_reason(self) -> str | None:
        if self._paused:
            return PAUSED
        if self._clips_waiting > max(_CLIPS_WAITING, self._admission.places):
            return f"{self._clips_waiting} finished clips wait to be fetched, and they come before new orders"
        return self._lookout.objection or self._hands.hanging or self._store.objection

    def _verdict(self) -> bool | None:
        """With ``once``: None while something goes on, else whether all that was there became clips."""
        if self._hands.busy():
            return None
        open_states = {state for state in self._counts if state not in FINAL | {State.HELD}}
        if not open_states:
            if self._lookout.trouble is not None:
                return False
            well = self._failed == 0 and State.HELD not in self._counts and not self._kept_back
            return well if self._lookout.has_settled_since(self._changed_at) else None
        if open_states & {State.RENDERING, State.UNCERTAIN, State.SUBMITTING}:
            return None
        attempts = self._policy.attempts
        stuck = any(not block.passing or block.tries >= attempts for block in self._breakers.blocks if not block.model)
        return False if stuck or (self._pause_reason() is not None and open_states <= UNPAID) else None

    def _hear_last_words(self) -> bool:
        """Wait for the uploads on their way, however long, and a moment for what became of the other submits.

        Returns:
            Whether all that was heard is on disk.
        """
        written = True
        end = time.monotonic() + _LAST_WORDS
        self._pulse.stopping(len(self._uploads))
        while self._hands.busy(Action.SUBMIT) and (left := end - time.monotonic()) > 0:
            uploads = len(self._uploads)
            messages = self._mailbox.collect(min(left, _STOP_SIGN))
            self._pulse.stopping(uploads)
            try:
                if messages:
                    self._turn(messages)
            except Blocked as error:
                logger.error("%s. The answers are kept in the work folder, and recorded at the next start.", error)
                written = False
            if uploads:
                end = time.monotonic() + _LAST_WORDS
        return written
