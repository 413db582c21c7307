"""Renders the details of a job, and the jobs of a running daemon, for a terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.text import Text

from sorawatch.cli.tables import details, table
from sorawatch.core.budget import dollars
from sorawatch.core.job import FINAL, Charged, Job, State
from sorawatch.core.naming import one_line, terminal_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sorawatch.config import Folders
    from sorawatch.core.calendar import LocalTime
    from sorawatch.edges.store import HistoryEntry

_STYLES = {
    State.RENDERING: "cyan",
    State.RENDERED: "cyan",
    State.DELIVERED: "green",
    State.DONE: "green",
    State.HELD: "yellow",
    State.UNCERTAIN: "yellow",
    State.REJECTED: "red",
    State.FAILED: "red",
    State.CANCELLED: "dim",
}
_WAITING = {State.FOUND, State.READY}
_LIVE_ROWS = 12
_LIVE_PATH, _LIVE_BAR = 40, 20
"""Columns. With the state between them they fit into 80 columns."""
_REMEMBERED = 1_000
"""Maximum ended jobs that a live display keeps, because a daemon runs for months."""


def path(job: Job) -> str:
    """The path of a job's picture, on one line."""
    return one_line(job.pair.path)


def state_text(job: Job) -> Text:
    """The state of a job, with the progress of its render."""
    percent = f" {job.progress}%" if job.state is State.RENDERING and job.progress is not None else ""
    return Text(f"{job.state.value}{percent}", _STYLES.get(job.state, ""))


def order_text(job: Job) -> str:
    """``sora-2 1280x720 8 s``; empty if the pair could not be understood."""
    order = job.order
    return f"{order.model} {order.size} {order.seconds} s" if order else ""


def price_text(job: Job) -> str:
    """What a job costs or, with a question mark, may have cost; empty if nothing was charged."""
    if job.price is None or job.charged is Charged.NO:
        return ""
    return dollars(job.price) + ("?" if job.charged is Charged.PERHAPS and job.state in FINAL | {State.HELD} else "")


def job_details(job: Job, entries: Iterable[HistoryEntry], time: LocalTime, folders: Folders) -> RenderableType:
    """The output of ``sorawatch show``."""
    filed, clip = folders.filed(job), folders.clip(job)
    facts = details(
        [
            ("job", job.id),
            ("picture", Text(one_line(str(folders.inbox / job.pair.path)))),
            ("moved to", Text("\n".join(one_line(str(each)) for each in filed))),
            ("state", state_text(job)),
            ("why", Text(terminal_text(job.reason))),
            ("not moved yet", Text(terminal_text(job.obstacle))),
            ("what to do", Text(terminal_text(job.hint))),
            ("order", Text(order_text(job))),
            ("take", str(job.order.take) if job.order and job.order.take > 1 else ""),
            ("prompt", Text(terminal_text(job.order.prompt) if job.order else "")),
            ("fields", Text(terminal_text(job.order.fields) if job.order else "")),
            ("note", Text(terminal_text(job.note))),
            ("price", Text("" if job.price is None else dollars(job.price))),
            ("charged", job.charged.value),
            ("video", Text(terminal_text(job.video_id or ""))),
            ("clip", Text(one_line(str(clip)) if clip else "")),
        ]
    )
    history = table("when", "state", "why", title="history")
    for first, last, times in _condensed(entries):
        again = f" ({times} times, last at {time.clock(last.at)})" if times > 1 else ""
        state = Text(first.state.value, _STYLES.get(first.state, ""))
        history.add_row(time.clock(first.at), state, Text(terminal_text(first.reason) + again))
    return Group(facts, history)


def _condensed(entries: Iterable[HistoryEntry]) -> Iterator[tuple[HistoryEntry, HistoryEntry, int]]:
    """For each run of equal entries, the first one, the last one, and their number."""
    for _, run in groupby(entries, key=lambda entry: (entry.state, entry.reason)):
        same = [*run]
        yield same[0], same[-1], len(same)


class LiveJobs:
    """A live display of the unfinished jobs. It is a listener of the daemon."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self.ended: deque[Job] = deque(maxlen=_REMEMBERED)

    def begin(self, jobs: Iterable[Job]) -> None:
        """Add the unfinished jobs of an earlier run."""
        self._jobs.update((job.id, job) for job in jobs if job.state not in FINAL)

    def __call__(self, _before: Job | None, after: Job) -> None:
        """Update a job after a change."""
        if after.state in FINAL:
            self._jobs.pop(after.id, None)
            self.ended.append(after)
        else:
            self._jobs[after.id] = after

    def __rich__(self) -> RenderableType:
        made = table("", "", "")
        jobs = list(self._jobs.values())
        busy = [job for job in jobs if job.state not in _WAITING]
        for job in busy[:_LIVE_ROWS]:
            name = path(job)
            short = name if len(name) <= _LIVE_PATH else f"…{name[1 - _LIVE_PATH :]}"
            made.add_row(Text(short), state_text(job), _bar(job))
        counts = ((len(busy) - _LIVE_ROWS, "more"), (len(jobs) - len(busy), "waiting"))
        rest = " and ".join(f"{count} {word}" for count, word in counts if count > 0)
        parts: list[RenderableType] = [made] if busy else []
        if rest:
            parts.append(Text(rest, "dim"))
        return Group(*parts)


def _bar(job: Job) -> RenderableType:
    match job.state:
        case State.SUBMITTING | State.RENDERING:
            return ProgressBar(100, job.progress or 0, width=_LIVE_BAR)
        case State.RENDERED | State.DELIVERED:
            return ProgressBar(100, 100, width=_LIVE_BAR)
        case _:
            return ""


def activation() -> str | None:
    """The command that activates the virtual environment; None if ``sorawatch`` is found, or there is none."""
    if shutil.which("sorawatch") or sys.prefix == sys.base_prefix:
        return None
    return f". {shlex.quote(sys.prefix)}/bin/activate"


def first_steps(config_path: Path, option: str, *, key: bool = True) -> list[str]:
    """The commands to run after ``init`` has written ``config_path``.

    Args:
        option: their ``-c`` option for it.
        key: whether the server needs one.
    """
    export = f"export SORAWATCH_API_KEY=…        # or api.key_file in {config_path}"
    activate = activation()
    needed = [*([activate] if activate else []), *([export] if key else [])]
    return [*needed, f"sorawatch check{option}", f"sorawatch run{option}"]


def ended(jobs: Iterable[Job], price: str) -> RenderableType:
    """A table of ended jobs: the clip with its size, length and price, or the reason. ``price`` is a heading."""
    made = table("picture", "result", "size", "seconds", price)
    for job in sorted(jobs, key=lambda job: (job.state is not State.DONE, job.pair.path)):
        order = job.order
        done = job.state is State.DONE
        made.add_row(
            Text(path(job)),
            Text(one_line(job.clip or "") if done else terminal_text(job.reason), "green" if done else "red"),
            str(order.size) if order and done else "",
            str(order.seconds) if order and done else "",
            dollars(job.price) if done and job.price is not None else "",
        )
    return made
