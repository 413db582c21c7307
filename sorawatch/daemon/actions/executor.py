"""Runs actions in thread pools: a small pool for each kind, so that slow kinds never delay the others."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.job import Job, State
from sorawatch.core.lifecycle import Action, decide
from sorawatch.daemon.thread_pool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("sorawatch")

_POOL_OF = {
    Action.SUBMIT: "submit",
    Action.RESOLVE: "poll",
    Action.POLL: "poll",
    Action.DELIVER: "deliver",
    Action.PREPARE: "prepare",
    Action.ARCHIVE: "file",
    Action.RESTORE: "file",
}
_THREADS = {"submit": 8, "poll": 4, "deliver": 3, "prepare": 2, "file": 2}
_MOST_THREADS = _THREADS | {"poll": 128}
"""Maximum threads of each pool. There may be hundreds of polls a second, each a round trip to a distant server."""
CONNECTIONS = _MOST_THREADS["poll"] + _MOST_THREADS["deliver"]
"""How many connections to the server are kept open. A submit uses a separate connection."""
_QUEUE_PER_THREAD = 8
"""Actions that may wait for each thread: enough to keep it busy between two turns of the loop."""


@dataclass(frozen=True, slots=True)
class ActionDone:
    """An action has ended. ``token`` is the token of the submit, or None for other actions."""

    job_id: str
    action: Action
    token: str | None
    outcome: o.Outcome


class Executor:
    """Runs ``perform`` in the right pool and reports each outcome. Used from the daemon's thread."""

    def __init__(
        self,
        perform: Callable[[Action, Job], o.Outcome],
        report: Callable[[ActionDone], None],
    ) -> None:
        """``report`` is called from the pools' threads."""
        self.perform = perform
        self._report = report
        self._pools = {name: ThreadPool(name, size, _MOST_THREADS[name]) for name, size in _THREADS.items()}
        self._counts: Counter[Action] = Counter()
        self._unrecorded: Counter[tuple[str, Action, str | None]] = Counter()

    def start(self, action: Action, job: Job) -> None:
        """Queue ``action`` for ``job``."""
        self._counts[action] += 1
        self._unrecorded[_key(job.id, action, job.token)] += 1
        self._pools[_POOL_OF[action]].run(lambda: self._carry_out(action, job))

    def recorded(self, done: ActionDone) -> None:
        """The outcome was written to the state."""
        self._counts[done.action] -= 1
        key = _key(done.job_id, done.action, done.token)
        self._unrecorded[key] -= 1
        if self._unrecorded[key] <= 0:
            del self._unrecorded[key]

    def has(self, job: Job) -> bool:
        """Whether the action that the job's state calls for is queued, running, or reported and not recorded yet."""
        action = Action.SUBMIT if job.state is State.SUBMITTING else decide(job)
        return action is not None and _key(job.id, action, job.token) in self._unrecorded

    def jobs(self) -> set[str]:
        """The ids of the jobs with an action that is queued, running, or not recorded yet."""
        return {job_id for job_id, _, _ in self._unrecorded}

    @property
    def is_alive(self) -> bool:
        """Whether none of the threads has died."""
        return all(pool.is_alive for pool in self._pools.values())

    def count(self, action: Action | None = None) -> int:
        """How many actions are queued, running, or not recorded yet: of one kind, or of all."""
        return self._counts.total() if action is None else self._counts[action]

    def room(self, action: Action) -> int:
        """How many more actions of this kind should be queued now."""
        pool = _POOL_OF[action]
        busy = sum(count for each, count in self._counts.items() if _POOL_OF[each] == pool)
        return max(0, _MOST_THREADS[pool] * _QUEUE_PER_THREAD - busy)

    def _carry_out(self, action: Action, job: Job) -> None:
        try:
            outcome = self.perform(action, job)
        except Exception as error:
            # A bug of ours must not end the thread. If it happened in a submit, the order may have arrived.
            logger.exception("%s: %s failed", job.pair.path, action)
            why = f"a fault in sorawatch: {type(error).__name__}"
            outcome = o.AnswerLost(why) if action is Action.SUBMIT else o.TemporaryFailure(why, counts=False)
        self._report(ActionDone(job.id, action, job.token, outcome))


def _key(job_id: str, action: Action, token: str | None) -> tuple[str, Action, str | None]:
    """Identifies an action. A job may have two submits at once, with different tokens, but only one other action."""
    return job_id, action, token if action is Action.SUBMIT else None
