"""Logs every change of a job in one line, with fields for programs."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core.budget import dollars
from sorawatch.core.job import Job, State
from sorawatch.core.log_fields import LogEvent, LogFields, log_extra
from sorawatch.core.naming import one_line
from sorawatch.core.yaml_lines import without_lines
from sorawatch.edges.logs import PROMPTS

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("sorawatch")

_WORTH_SHOWING = 0.1
"""Seconds: shorter durations are not shown."""
_LEAST_PROMPT = 8
"""Characters: shorter prompts are not removed, because they may be ordinary words of the reason."""


def log_change(before: Job | None, after: Job) -> None:
    """Log a change of a job: its file, its new state, the reason, and the duration of the former state."""
    if before is not None and before.state is after.state and after.latest in {"", before.latest}:
        return
    prompt, after = after.order.prompt if after.order is not None else "", _without_prompt(after)
    if before is not None and before.state is after.state:
        if after.latest != _without_prompt(before).latest:
            text = f"not moved yet: {after.obstacle}" if after.obstacle else after.short_reason
            _log(logging.WARNING, after, text, LogEvent.PROGRESS)
        return
    seconds = None if before is None else max(0, after.changed_at - before.changed_at) / 1000
    is_warning = after.state in {State.REJECTED, State.HELD, State.UNCERTAIN} or _is_told_return(after)
    level = logging.WARNING if is_warning else logging.INFO
    _log(level, after, _TEXTS[after.state](after), _EVENTS.get(after.state, LogEvent.PROGRESS), seconds)
    if after.state is State.SUBMITTING:
        PROMPTS.debug("%s: its prompt is: %s", _name(after), prompt)


def _log(level: int, job: Job, text: str, event: LogEvent, seconds: float | None = None) -> None:
    fields = LogFields(
        event,
        job=job.id,
        state=job.state.value,
        file=job.pair.path,
        video=job.video_id,
        why=job.latest or None,
        seconds=seconds,
    )
    took = f" ({seconds:.1f} s)" if seconds is not None and seconds >= _WORTH_SHOWING else ""
    logger.log(level, "%s: %s%s", _name(job), text, took, extra=log_extra(fields))


def _without_prompt(job: Job) -> Job:
    """The job with its prompt removed from the reason.

    Servers often repeat it, and problems of a sidecar may end with the line to write instead.
    """
    prompt = job.order.prompt if job.order is not None else ""
    reason = without_lines(job.reason)
    return replace(job, reason=reason.replace(prompt, "[prompt]") if len(prompt) >= _LEAST_PROMPT else reason)


def _name(job: Job) -> str:
    """The picture's path on one line, and the job's id."""
    return f"{one_line(job.pair.path)} [{job.id}]"


def _is_told_return(job: Job) -> bool:
    """Whether a delivered pair came back, and a text beside it says so."""
    return job.state is State.WITHDRAWN and job.clip is not None and bool(job.hint)


def _price(job: Job) -> str:
    return f" for {dollars(job.price)}" if job.price is not None else ""


def _filed(job: Job, folder: str) -> str:
    return f"moved to the {folder} folder" if job.filed else "nothing was left to be moved"


_TEXTS: dict[State, Callable[[Job], str]] = {
    State.FOUND: lambda _: "found",
    State.READY: lambda job: (
        f"ready to submit{f' ({job.note})' if job.note else ''}"
        + (f", again: {job.short_reason}" if job.reason else "")
    ),
    State.SUBMITTING: lambda job: f"submitting{_price(job)}",
    State.UNCERTAIN: lambda job: f"it is not known whether the order arrived: {job.short_reason}",
    State.RENDERING: lambda job: f"rendering as {job.video_id}",
    State.RENDERED: lambda _: "rendered",
    State.DELIVERED: lambda job: f"delivered as {one_line(job.clip or '')}",
    State.REJECTED: lambda job: f"failed: {job.short_reason}",
    State.WITHDRAWN: lambda job: f"to be withdrawn: {job.short_reason}",
    State.RESTORING: lambda _: "to be moved back into the inbox",
    State.HELD: lambda job: f"held: {job.reason} {job.hint}",
    State.DONE: lambda job: _filed(job, "processed"),
    State.FAILED: lambda job: _filed(job, "errors"),
    State.CANCELLED: lambda job: f"cancelled: {job.short_reason}",
}
_EVENTS = {
    State.FOUND: LogEvent.FOUND,
    State.SUBMITTING: LogEvent.SUBMITTING,
    State.RENDERING: LogEvent.RENDERING,
    State.DELIVERED: LogEvent.DELIVERED,
    State.DONE: LogEvent.DONE,
    State.UNCERTAIN: LogEvent.UNCERTAIN,
    State.HELD: LogEvent.HELD,
    State.REJECTED: LogEvent.REFUSED,
    State.FAILED: LogEvent.FAILED,
    State.CANCELLED: LogEvent.CANCELLED,
}
