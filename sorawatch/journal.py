"""One line for every change of a job that a person reads later."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sorawatch.core.budget import dollars
from sorawatch.core.job import Job, State

logger = logging.getLogger("sorawatch")


def log_change(before: Job | None, after: Job) -> None:
    """Log a change of a job: its file, what is true of it now, and why. Never its prompt."""
    if before is not None and before.state is after.state:
        if after.reason and after.reason != before.reason:
            logger.warning("%s: %s", shown(after), after.short_reason)
        return
    told = _TOLD.get(after.state)
    if told is None:
        return
    level = logging.WARNING if after.state in {State.REJECTED, State.HELD, State.UNCERTAIN} else logging.INFO
    logger.log(level, "%s: %s", shown(after), told(after))


def shown(job: Job) -> str:
    """The picture's path in a form that every log takes, and the job's id."""
    path = job.pair.path.encode("utf-8", "backslashreplace").decode()
    return f"{path!r} [{job.id}]" if not path.isprintable() else f"{path} [{job.id}]"


def _price(job: Job) -> str:
    return f" for {dollars(job.price)}" if job.price is not None else ""


_TOLD: dict[State, Callable[[Job], str]] = {
    State.FOUND: lambda _: "found",
    State.READY: lambda job: (
        f"ready to submit{f' ({job.note})' if job.note else ''}"
        + (f", again: {job.short_reason}" if job.reason else "")
    ),
    State.SUBMITTING: lambda job: f"submitting{_price(job)}",
    State.UNCERTAIN: lambda job: f"it is not known whether the order arrived: {job.short_reason}",
    State.RENDERING: lambda job: f"rendering as {job.video_id}",
    State.RENDERED: lambda _: "rendered",
    State.DELIVERED: lambda job: f"delivered as {job.clip}",
    State.REJECTED: lambda job: f"failed: {job.short_reason}",
    State.HELD: lambda job: f"held: {job.reason} {job.mend}",
    State.FAILED: lambda _: "moved to the errors folder",
    State.CANCELLED: lambda job: f"cancelled: {job.short_reason}",
}
