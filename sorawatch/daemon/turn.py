"""One turn: a transaction that records what has happened and decides what to do next.

The actions that a turn decides on are started only after the commit.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.batches import pause_of
from sorawatch.core.budget import Exclusion
from sorawatch.core.delay import Delay, in_order
from sorawatch.core.job import FINAL, Change, Job, State
from sorawatch.core.lifecycle import ACTIONS, FORGOTTEN, Action, interrupt_submit
from sorawatch.core.pause import Pause
from sorawatch.core.purchase import Standing
from sorawatch.daemon.actions.executor import ActionDone, Executor
from sorawatch.daemon.actions.record import record
from sorawatch.daemon.actions.render_times import RenderTimes
from sorawatch.daemon.intake.known_pairs import KnownPairs
from sorawatch.daemon.intake.scan_intake import ScanIntake
from sorawatch.daemon.intake.scan_scheduler import ScanDone, ScanScheduler
from sorawatch.daemon.messages import ConfigReloaded, InboxChanged, Message, Parts, StopRequested
from sorawatch.daemon.submission.batch_approval import BatchApproval
from sorawatch.daemon.submission.breakers import Breakers
from sorawatch.daemon.submission.circuit_breaker import CircuitBreaker
from sorawatch.daemon.submission.lost_answers_breaker import LostAnswersBreaker
from sorawatch.daemon.submission.reached_limits import ReachedLimits
from sorawatch.daemon.submission.same_refusals_breaker import SameRefusalsBreaker
from sorawatch.daemon.upkeep import command_queue, earlier_videos, pause_switch
from sorawatch.daemon.upkeep.approval_notices import ApprovalNotices
from sorawatch.daemon.upkeep.earlier_videos import EarlierVideos
from sorawatch.daemon.upkeep.peers import PeerMonitor
from sorawatch.daemon.upkeep.published_status import PAUSED, StatusPublisher
from sorawatch.daemon.upkeep.retention import Retention
from sorawatch.edges.store import LEASE_MS, Transaction
from sorawatch.errors import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sorawatch.daemon.upkeep.heartbeat import Heartbeat
    from sorawatch.daemon.upkeep.rollback_monitor import RollbackMonitor

_MOST_WAITING_CLIPS = 24
"""If more finished clips wait for their download, nothing new is ordered, because clips expire on the server."""
_NOT_SENT = o.NotSent("it was not sent, because the state or its ledger could not be written")
_NOT_TAKEN = o.NotSent("the server did not take the order, as the ledger says")
_CLAIMED = (
    State.RENDERED, State.RENDERING, State.UNCERTAIN, State.DELIVERED, State.REJECTED, State.WITHDRAWN, State.RESTORING
)  # fmt: skip
"""In the order in which they are claimed: clips that can expire come first."""
_KEYED = frozenset({State.RENDERED, State.RENDERING, State.UNCERTAIN})
"""The server is asked about an order, for which it may need the key with which the order was sent."""


class Turn:
    """The data that turns share, and their decisions. Used from the daemon's thread, within a transaction.

    ``changes``, ``starts`` and ``due_at`` are the result of the last turn. They are valid only after the commit.
    """

    def __init__(
        self,
        parts: Parts,
        executor: Executor,
        scans: ScanScheduler,
        heartbeat: Heartbeat,
        rollback: RollbackMonitor,
        ledger_error: Callable[[], str | None],
        take_in_ledger: Callable[[Transaction], None],
        *,
        shared: bool,
    ) -> None:
        """``ledger_error`` returns why the ledger cannot be written, so that nothing may be bought, or None.

        Args:
            take_in_ledger: adds to the state what only the ledger has.
        """
        self._take_in_ledger = take_in_ledger
        self._unread_ledger: str | None = None
        """Why the ledger could not be read when the state may have lacked what it has."""
        self._ledger_error = ledger_error
        self._executor = executor
        self._scans = scans
        self._heartbeat = heartbeat
        self._shared = shared
        self._known_pairs = KnownPairs()
        self.intake = ScanIntake()
        """Its pairs become jobs in this turn and, if there are many, in the next ones."""
        self._peers = PeerMonitor(shared=shared)
        self._rollback = rollback
        self._reached_limits = ReachedLimits()
        self._render_times = RenderTimes()
        self._earlier_videos = EarlierVideos()
        self._batch_approval = BatchApproval()
        self._approval_notices = ApprovalNotices(parts.notices)
        self._status_publisher = StatusPublisher()
        self._paused = False
        self._resumed_at: int | None = None
        self._waiting_clips = 0
        self._alike: tuple[str, ...] = ()
        self._renewed_at = time.monotonic()
        self._never_started: set[str | None] = set()
        """The tokens of submits that were not started, because the commit of their turn failed."""
        self._configure(parts)
        self.stopping = False
        self.ended_elsewhere: list[Job] = []
        """Jobs that another daemon has finished."""
        self.changes: list[Change] = []
        """Each changed job, before and after."""
        self.starts: list[tuple[Action, Job]] = []
        """The actions to start."""
        self.due_at: list[int] = []
        """Times at which there is something to do, in milliseconds of the store's clock."""
        self.now = 0
        """The time of the last turn, in milliseconds of the store's clock."""

    def _configure(self, parts: Parts) -> None:
        self.admission = parts.admission
        self.policy = parts.admission.policy
        self.stop_seconds = parts.stop_seconds
        self._stuck = parts.stuck
        waits, server = self.policy.waits, self.admission.server
        # A new configuration may have removed the causes that stopped the submits.
        self.breakers = Breakers(
            CircuitBreaker(waits, parts.key_fingerprint), LostAnswersBreaker(server, waits), SameRefusalsBreaker(server)
        )
        self._status_publisher.configure(
            self.admission.zone, self.admission.limits, self.admission.catalogue, parts.config_file
        )
        self._retention = Retention(parts.keep_days)
        self._account = parts.account

    @property
    def known_pairs(self) -> KnownPairs:
        """The pairs that have a job already."""
        return self._known_pairs

    @property
    def interval(self) -> float:
        """Maximum seconds between two turns."""
        return min(self._heartbeat.interval, self._peers.interval)

    def recover(self, tx: Transaction) -> None:
        """Continue after an earlier run: release its claims, and mark its unanswered submits as uncertain."""
        self.changes += self._peers.start(tx)
        self._resumed_at = pause_switch.resumed_at(tx)
        self._known_pairs = KnownPairs(tx.jobs.in_states({*State} - FINAL))
        if not self._shared:
            self._earlier_videos = EarlierVideos(tx.jobs.in_states(earlier_videos.STATES))
            tx.claims.bring_forward(earlier_videos.STATES)

    def take(self, tx: Transaction, messages: Sequence[Message], *, in_doubt: bool) -> None:
        """Handle ``messages`` and decide what to do next.

        Args:
            in_doubt: the commit of the turn before failed, but its data may be on disk nevertheless.
        """
        if self._rollback.check(tx):
            self._begin_again(tx)
            in_doubt = False
        if not in_doubt:
            self._never_started.clear()
        if in_doubt or self._unread_ledger is not None:
            self._read_ledger(tx)
        self._follow_peers(tx)
        tx.jobs.prefetch(message.job_id for message in messages if isinstance(message, ActionDone))
        for message in self._reconcile(tx, messages) if in_doubt else messages:
            self._handle(tx, message)
        self.changes += self.intake.apply(tx, self._known_pairs, self.admission, self._peers.missing_seconds)
        self._execute_commands(tx)
        self._batch_approval.update(tx, self.changes, self.admission)
        self._approval_notices.update(tx, self._batch_approval.waiting, self.admission.limits.confirm_above_micros)
        if not self.stopping:
            self._start(tx)
            self._retention.prune(tx)
        self.breakers.lost_answers.refresh(tx)
        self._status_publisher.publish(tx, self._scans, self._pauses(), in_order(self._delays()), self._alike)
        self._heartbeat.update(tx, self.admission, self._status_publisher.reasons)
        due_at = (
            tx.claims.next_due(ACTIONS),
            *(each.pause.until for each in self._reached_limits),
            *(pause.until for pause in self.breakers.pauses),
        )
        self.due_at = [at for at in due_at if at is not None]
        self.now = tx.now

    def discard(self) -> None:
        """Drop the decisions of a turn whose transaction failed."""
        self._never_started |= {job.token for action, job in self.starts if action is Action.SUBMIT}
        self.changes.clear()
        self.starts.clear()
        self._rollback.forget()
        self._status_publisher.forget()
        self._batch_approval.forget()
        self._approval_notices.forget()

    def counts(self, tx: Transaction) -> Mapping[State, int]:
        """How many jobs are in each state, without those that are kept back."""
        return tx.jobs.counts(excluded=self._kept_back, unapproved=False)

    @property
    def keeps_back(self) -> bool:
        """Whether some orders wait for a person, or for the next day or month."""
        return bool(self._kept_back or self._batch_approval.waiting)

    def publish_notices(self) -> None:
        """Write and remove the texts about batches that wait, after the commit."""
        self._approval_notices.publish()

    @property
    def _kept_back(self) -> list[Exclusion]:
        """The orders that wait for a person, or for the next day or month; batches that wait are not among them."""
        lost = [self.admission.priced(each.model) for each in self.breakers.lost_answers if each.waits_long]
        return self._reached_limits.lasting(self.admission) + self._of_stopped_models + lost

    @property
    def pause_reason(self) -> str | None:
        """Why nothing may be submitted, apart from circuit breakers and limits."""
        if self._paused:
            return PAUSED
        if self._rollback.pause_reason is not None:
            return self._rollback.pause_reason
        if self._waiting_clips > max(_MOST_WAITING_CLIPS, self.admission.places):
            return f"{self._waiting_clips} finished clips wait to be fetched, and they come before new orders"
        return self._scans.pause_reason or self._stuck() or self._ledger_error() or self._unread_ledger

    def _pauses(self) -> Iterator[Pause]:
        """The present reasons why orders are not submitted."""
        if (reason := self.pause_reason) is not None:
            yield Pause(reason)
        yield from self.breakers.pauses
        yield from (each.pause for each in self._reached_limits if each.lasting)
        limit = self.admission.limits.confirm_above_micros
        yield from (pause_of(batch, limit) for batch in self._batch_approval.waiting)

    def _delays(self) -> Iterator[Delay]:
        """Why orders are not submitted now, with the orders that each reason concerns."""
        if (reason := self.pause_reason) is not None:
            yield Delay(Pause(reason))
        elif self._scans.last is None:
            yield Delay(Pause("the inbox is listed for the first time"), lasting=False)
        elif not self.intake.is_done:
            yield Delay(Pause("other new pictures are still being taken in"), lasting=False)
        elif self._earlier_videos.awaited:
            yield Delay(Pause("the videos that were ordered before this start are asked for first"), lasting=False)
        for circuit in self.breakers.causes:
            yield Delay(circuit.pause, Exclusion(models=(circuit.model,)) if circuit.model else Exclusion())
        for lost in self.breakers.lost_answers:
            yield Delay(lost.pause, self.admission.priced(lost.model))
        for reached in self._reached_limits:
            yield Delay(reached.pause, self.admission.exclusion(reached), reached.lasting)

    def _follow_peers(self, tx: Transaction) -> None:
        changed, taken_over = self._peers.check(tx)
        self.changes += taken_over
        for job in changed:
            self._known_pairs.update(job)
            if job.state in FINAL:
                self.ended_elsewhere.append(job)

    def _begin_again(self, tx: Transaction) -> None:
        """The state has gone back: the claims in it are old ones, and so is what this daemon knows of it."""
        under_way = self._executor.jobs()
        tx.claims.keep(under_way)
        for job in tx.claims.own():
            if job.state is State.SUBMITTING and not self._executor.has(job):
                # It may have been sent, and its answer lost with the later state.
                after = interrupt_submit(job, tx.now)
                tx.jobs.save(after, job, claim=job.id in under_way)
                self.changes.append((job, after))
            elif job.id not in under_way:
                tx.claims.release(job)
        self._known_pairs = KnownPairs(tx.jobs.in_states({*State} - FINAL))
        self._peers.begin_again(tx)

    def _read_ledger(self, tx: Transaction) -> None:
        """Add to the state what only the ledger has. Until it can be read, nothing is submitted; the rest goes on."""
        try:
            self._take_in_ledger(tx)
        except Blocked as error:
            self._unread_ledger = f"{error}. {error.hint}".rstrip(". ")
        else:
            self._unread_ledger = None

    def _reconcile(self, tx: Transaction, messages: Sequence[Message]) -> list[Message]:
        """Compare the state with what this daemon knows: a failed commit may be on disk, and a successful one lost.

        Claims of jobs whose action is not under way are released. A submit that was started and is recorded as if it
        had not been answered becomes uncertain, unless the ledger has its answer.

        Returns:
            The messages without those that the store has recorded already: the claim of a recorded job was released.
            The outcome of a submit is never left out, because another daemon may have the claim now, and recording an
            outcome twice changes nothing.
        """
        claimed = tx.claims.own()
        for job in claimed:
            if self._executor.has(job):
                continue
            if job.state is State.SUBMITTING:
                self._reconcile_submit(tx, job)
            else:
                tx.claims.release(job)
        self._known_pairs = KnownPairs(tx.jobs.in_states({*State} - FINAL))
        still_claimed = {job.id for job in claimed}
        return [
            message
            for message in messages
            if not isinstance(message, ActionDone) or message.action is Action.SUBMIT or message.job_id in still_claimed
        ]

    def _reconcile_submit(self, tx: Transaction, job: Job) -> None:
        """Settle a submit that is recorded as unanswered, although it is not under way."""
        if job.token in self._never_started:
            self._record(tx, ActionDone(job.id, Action.SUBMIT, job.token, _NOT_SENT))
        elif job.token and tx.purchases.standing(job.token) is Standing.RELEASED:
            self._record(tx, ActionDone(job.id, Action.SUBMIT, job.token, _NOT_TAKEN))
        else:
            after = interrupt_submit(job, tx.now, FORGOTTEN)
            tx.jobs.save(after, job)
            self.changes.append((job, after))

    def submits(self, tx: Transaction) -> list[str]:
        """The tokens of the submits that the state shows to be this daemon's, if others could take them over."""
        if not self._shared or not (self.starts or self._executor.count(Action.SUBMIT)):
            return []
        return tx.claims.own_submits()

    def _handle(self, tx: Transaction, message: Message) -> None:
        match message:
            case ActionDone():
                self._record(tx, message)
            case ScanDone():
                scan = self._scans.ended(message)
                if scan is not None:
                    self.intake.begin(scan)
            case InboxChanged():
                self._scans.request()
            case StopRequested():
                self.stopping = True
            case ConfigReloaded():
                self._reload(message)

    def _reload(self, reloaded: ConfigReloaded) -> None:
        if (parts := reloaded.parts) is not None:
            self._configure(parts)
            self._executor.perform = parts.perform
            self._scans.reconfigure(parts.scanner, parts.rescan_seconds)
        self._heartbeat.reloaded(reloaded.refused)

    def _record(self, tx: Transaction, done: ActionDone) -> None:
        changes = record(tx, done, self.admission, self.breakers, self._render_times)
        self._earlier_videos.record(done.job_id, changes)
        self.changes += changes
        for _, after in changes:
            self.changes += self.admission.compare_with_older(tx, after, self._scans.is_present)

    def _execute_commands(self, tx: Transaction) -> None:
        self.changes += command_queue.execute_all(tx, self.policy)
        self._paused = pause_switch.is_paused(tx)
        # A `resume` is meant for all daemons, whichever of them executes the command.
        before, self._resumed_at = self._resumed_at, pause_switch.resumed_at(tx)
        resumed = before != self._resumed_at
        if resumed or self.breakers.key_changed():
            self.breakers.clear(tx, for_new_key=not resumed)
            tx.claims.retry_now()

    def _start(self, tx: Transaction) -> None:
        if time.monotonic() - self._renewed_at > LEASE_MS / 3000:
            tx.claims.renew()
            self._renewed_at = time.monotonic()
        # Admission comes first, so that jobs which it rejects, or which are paid for already, are handled in this turn.
        self._admit(tx)
        for state in _CLAIMED:
            self._claim(tx, state, self._executor.room(ACTIONS[state]))
        staged = 2 * self.admission.places + 4
        passed_over = self._reached_limits.partial(self.admission) + self._of_stopped_models
        ahead = staged - tx.jobs.count(State.READY, passed_over, most=staged) - self._executor.count(Action.PREPARE)
        self._claim(tx, State.FOUND, min(ahead, self._executor.room(Action.PREPARE)), passed_over)

    def _claim(self, tx: Transaction, state: State, limit: int, excluded: Sequence[Exclusion] = ()) -> None:
        action = ACTIONS[state]
        room = limit - len([each for each, _ in self.starts if each is action])
        if room > 0:
            # What was sent with another key is left to a machine that has it.
            account = self._account() if self._shared and state in _KEYED else None
            jobs = tx.claims.take([state], room, self.policy.waits.horizon, excluded, account)
            self.starts += [(action, job) for job in jobs]

    def _admit(self, tx: Transaction) -> None:
        admitted = None
        self._waiting_clips = tx.jobs.count(State.RENDERED)
        has_listed = self._scans.last is not None and self.intake.is_done
        if self.pause_reason is None and has_listed and not self._earlier_videos.awaited:
            causes = self.breakers.causes
            outstanding = self._executor.count(Action.SUBMIT)
            places = causes.places(self._executor.room(Action.SUBMIT), outstanding, tx.now)
            if places > 0:
                admitted = self.admission.admit(
                    tx,
                    places,
                    self._scans.folder_limits,
                    probing=causes.stops_all,
                    has_room=partial(self.breakers.has_room, tx),
                    is_present=self._scans.is_present,
                    account=self._account(),
                )
                self.changes += admitted.changes
                self.starts += [(Action.SUBMIT, job) for job in admitted.submits]
        self._alike = admitted.alike if admitted else ()
        self._reached_limits.record(admitted, self._scans.folder_limits, tx.now)

    @property
    def _of_stopped_models(self) -> list[Exclusion]:
        """The orders for models that a circuit breaker stops."""
        models = self.breakers.causes.models
        return [Exclusion(models=tuple(models))] if models else []
