"""Who carries actions out: a small crew of threads for each kind, so that slow kinds never hold up the others."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sorawatch.core import outcome as o
from sorawatch.core.job import Job, State
from sorawatch.core.lifecycle import Action, decide
from sorawatch.daemon.threads import ThreadPool

logger = logging.getLogger("sorawatch")

_CREW_OF = {
    Action.SUBMIT: "submit",
    Action.RESOLVE: "poll",
    Action.POLL: "poll",
    Action.DELIVER: "deliver",
    Action.PREPARE: "prepare",
    Action.ARCHIVE: "file",
    Action.RESTORE: "file",
}
_THREADS = {"submit": 8, "poll": 4, "deliver": 3, "prepare": 2, "file": 2}
_MOST = _THREADS | {"poll": 32}
"""Threads that a crew may grow to: there may be hundreds of polls in a second, each a round trip to a far server."""
CONNECTIONS = _MOST["poll"] + _MOST["deliver"]
"""Connections to the server worth keeping open. A submit has one of its own."""
_HANG_SECONDS = {Action.DELIVER: 600.0, Action.ARCHIVE: 300.0, Action.RESTORE: 300.0}
"""Seconds that an action which writes into the folders may take; a delivery loads the clip first."""
_DOING = {
    Action.DELIVER: "delivering the clip of",
    Action.ARCHIVE: "filing",
    Action.RESTORE: "moving back",
}
_QUEUE_PER_THREAD = 8
"""Actions that may wait for a thread: enough to keep it busy between two turns of the loop."""


@dataclass(frozen=True, slots=True)
class ActionDone:
    """An action was carried out. ``token`` names the submit, if it was one."""

    job_id: str
    action: Action
    token: str | None
    outcome: o.Outcome


class Executor:
    """Runs ``perform`` in the right crew and reports what came of it. Used from the daemon's thread."""

    def __init__(
        self,
        perform: Callable[[Action, Job], o.Outcome],
        report: Callable[[ActionDone], None],
        *,
        hang_seconds: Mapping[Action, float] = _HANG_SECONDS,
    ) -> None:
        """``report`` is called from the crew's threads. An action that runs longer than ``hang_seconds`` is hanging."""
        self.perform = perform
        self._report = report
        self._hang_seconds = hang_seconds
        self._crews = {name: ThreadPool(name, size, _MOST[name]) for name, size in _THREADS.items()}
        self._busy: Counter[Action] = Counter()
        self._under_way: dict[tuple[str, Action, str | None], tuple[float, Job]] = {}
        """When a thread began with it, by a monotonic clock."""
        self._held: Counter[tuple[str, Action, str | None]] = Counter()

    def start(self, action: Action, job: Job) -> None:
        """Queue ``action`` for ``job``."""
        self._busy[action] += 1
        self._held[_key(job.id, action, job.token)] += 1
        self._crews[_CREW_OF[action]].run(lambda: self._carry_out(action, job))

    def finished(self, done: ActionDone) -> None:
        """A report has been recorded."""
        self._busy[done.action] -= 1
        self._held -= Counter([_key(done.job_id, done.action, done.token)])

    def have(self, job: Job) -> bool:
        """Whether what the job's state calls for is queued, under way, or reported and not recorded yet."""
        action = Action.SUBMIT if job.state is State.SUBMITTING else decide(job)
        return action is not None and _key(job.id, action, job.token) in self._held

    @property
    def are_whole(self) -> bool:
        """Whether none of their threads has died."""
        return all(crew.is_whole for crew in self._crews.values())

    @property
    def hanging(self) -> str | None:
        """What has been under way for so long that a share must be in the way of it."""
        now = time.monotonic()
        for (_, action, _), (began, job) in [*self._under_way.items()]:
            if action in self._hang_seconds and now - began > self._hang_seconds[action]:
                return f"{_DOING[action]} {job.pair.path} comes to no end; if a folder lies on a share, see to that"
        return None

    def busy(self, action: Action | None = None) -> int:
        """How many actions are queued or under way: of one kind, or all."""
        return self._busy.total() if action is None else self._busy[action]

    def room(self, action: Action) -> int:
        """How many more of ``action`` are worth queueing now."""
        crew = _CREW_OF[action]
        busy = sum(count for each, count in self._busy.items() if _CREW_OF[each] == crew)
        return max(0, _MOST[crew] * _QUEUE_PER_THREAD - busy)

    def _carry_out(self, action: Action, job: Job) -> None:
        self._under_way[_key(job.id, action, job.token)] = (time.monotonic(), job)
        try:
            outcome = self.perform(action, job)
        except Exception as error:
            # A fault of ours must cost no thread; and after one in a submit, nobody knows whether the order arrived.
            logger.exception("%s: %s failed", job.pair.path, action)
            why = f"a fault in sorawatch: {type(error).__name__}"
            outcome = o.Unknown(why) if action is Action.SUBMIT else o.FailedForNow(why, counts=False)
        self._under_way.pop(_key(job.id, action, job.token), None)
        self._report(ActionDone(job.id, action, job.token, outcome))


def _key(job_id: str, action: Action, token: str | None) -> tuple[str, Action, str | None]:
    """Two submits of one job are two things; anything else is done once at a time."""
    return job_id, action, token if action is Action.SUBMIT else None
