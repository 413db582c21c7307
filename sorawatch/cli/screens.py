"""What people see on a terminal: tables, and the jobs alive while the daemon runs."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sorawatch.core.budget import dollars
from sorawatch.core.calendar import clock_time
from sorawatch.core.job import FINAL, Charged, Job, State
from sorawatch.core.naming import on_a_line, tame
from sorawatch.daemon.upkeep.job_log import shown

if TYPE_CHECKING:
    from sorawatch.app.status import Snapshot
    from sorawatch.config import Config
    from sorawatch.daemon.upkeep.status_note import Pause
    from sorawatch.edges.store import HistoryEntry, Spending

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
_UNDER_WAY = (
    State.HELD, State.UNCERTAIN, State.REJECTED, State.WITHDRAWN, State.RESTORING,
    State.DELIVERED, State.RENDERED, State.RENDERING, State.SUBMITTING, State.READY, State.FOUND,
)  # fmt: skip
_PLACES = {state: place for place, state in enumerate(_UNDER_WAY)}
"""Where a state stands in the list of jobs; ended ones come last, as they are given."""
_LIVE_ROWS = 12
_LIVE_PATH, _LIVE_BAR = 40, 20
"""Columns: with the state between them they fit a terminal of 80."""
_REMEMBERED = 1_000
"""Ended jobs that a live display keeps: a daemon runs for months."""
_ROWS = 40
_SOON = 2_000
"""Milliseconds that nobody minds."""


def bare_table(*headings: str, title: str | None = None) -> Table:
    """A table without lines, whose cells are folded where the terminal is too narrow."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, header_style="dim", overflow="fold")
    return table


def status(snapshot: Snapshot, config: Config) -> RenderableType:
    """All that ``sorawatch status`` says."""
    parts: list[RenderableType] = [_headline(snapshot, config.timezone)]
    parts += [_pause(pause, snapshot.now, config) for pause in snapshot.pauses]
    if snapshot.running and (watching := snapshot.note.get("watching")):
        parts.append(Text("\n  ".join(part for part in (watching["told"], watching["hint"]) if part)))
    if snapshot.jobs:
        parts.append(_jobs(snapshot, config))
    waiting = snapshot.note.get("waiting", [])
    if waiting:
        parts.append(_waiting(waiting, snapshot.note["waiting_count"]))
    return Group(*parts)


def _headline(snapshot: Snapshot, zone: tzinfo | None) -> Text:
    text = Text()
    if snapshot.running:
        who = f"pid {snapshot.note.get('pid')}" if len(snapshot.daemons) == 1 else ", ".join(snapshot.daemons)
        text.append("running", "bold green").append(f" ({who})")
    else:
        text.append("not running", "bold yellow").append("; `sorawatch run` starts it")
    live = [f"{count} {state}" for state, count in sorted(snapshot.counts.items()) if state not in FINAL]
    ended = [f"{snapshot.counts[state]} {state}" for state in sorted(FINAL) if state in snapshot.counts]
    text.append(f"\njobs: {', '.join(live + ended) or 'none yet'}")
    text.append(f"\nin flight: {snapshot.in_flight} of {snapshot.limits.in_flight}")
    if snapshot.allowed != snapshot.limits.in_flight:
        text.append(f"; the server takes too few for that: {snapshot.allowed} at once for now", "yellow")
    if snapshot.counts.get(State.READY) and snapshot.paced_until > snapshot.now + _SOON:
        at = clock_time(snapshot.paced_until, snapshot.now, zone)
        text.append(f"; the pace lets the next order go at {at}")
    text.append(f"\ntoday: {_money(snapshot.today, snapshot.limits.micros_per_day)}")
    text.append(f"\nthis month: {_money(snapshot.month, snapshot.limits.micros_per_month)}")
    return text


def _money(spending: Spending, cap: int | None) -> str:
    left = spending.left(cap)
    told = "no cap" if left is None or cap is None else f"{dollars(left)} left of {dollars(cap)}"
    clips = "1 clip" if spending.clips == 1 else f"{spending.clips} clips"
    return f"{dollars(spending.spent)} spent, {dollars(spending.reserved)} reserved, {told}, {clips} delivered"


def _pause(pause: Pause, now: int, config: Config) -> Text:
    text = Text(f"{pause.headline}: ", "bold yellow").append(tame(pause.reason), "not bold")
    if pause.since:
        text.append(f" (since {clock_time(pause.since, now, config.timezone)})", "default not bold")
    for told in (pause.hint, pause.goes_on(now, config.timezone)):
        if told:
            text.append(f"\n  {tame(told)}", "default not bold")
    return text


def _jobs(snapshot: Snapshot, config: Config) -> Table:
    """What needs a person first. What is said of a job stands below its picture: there is room on any terminal."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("job", header_style="dim", no_wrap=True)
    table.add_column("state", header_style="dim", no_wrap=True)
    table.add_column("picture", header_style="dim", overflow="fold")
    jobs = sorted(snapshot.jobs, key=lambda job: _PLACES.get(job.state, len(_PLACES)))
    for job in jobs[:_ROWS]:
        told = _path(job)
        if job.state is State.DONE and job.clip:
            told.append(f" → {on_a_line(job.clip)}")
        for detail in filter(None, (_order(job), _price(job))):
            told.append(f"  {detail}", "dim")
        why = _why(job, snapshot.now, config)
        table.add_row(job.id, _state(job), Text("\n").join((told, why)) if why else told)
    if len(jobs) > _ROWS:
        table.caption = f"and {len(jobs) - _ROWS} more; `sorawatch status --json` lists all"
    return table


def _waiting(waiting: list[list[str]], count: int) -> Table:
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left", title="in the inbox, no job yet"
    )
    table.add_column(header_style="dim")
    table.add_column()
    for path, why in waiting[:_ROWS]:
        table.add_row(Text(on_a_line(path)), Text(tame(why)))
    if count > _ROWS:
        table.caption = f"and {count - _ROWS} more"
    return table


def _path(job: Job) -> Text:
    return Text(shown(job).rpartition(" [")[0])


def _state(job: Job) -> Text:
    told = (
        f"{job.state} {job.progress}%" if job.state is State.RENDERING and job.progress is not None else job.state.value
    )
    return Text(told, _STYLES.get(job.state, ""))


def _order(job: Job) -> str:
    order = job.order
    return f"{order.model} {order.size} {order.seconds} s" if order else ""


def _price(job: Job) -> str:
    if job.price is None or job.charged is Charged.NO:
        return ""
    return dollars(job.price) + ("?" if job.charged is Charged.PERHAPS and job.state in FINAL | {State.HELD} else "")


def _why(job: Job, now: int, config: Config) -> Text:
    if job.state is State.READY and not job.reason:
        return Text(f"its turn; {job.note}" if job.note else "its turn")
    told = " ".join(part for part in (job.reason, job.hint if job.state is State.HELD else "") if part)
    if job.obstacle:
        told = f"{told}{'; ' if told else ''}not moved yet: {job.obstacle}"
    if job.attempts and job.due_at > now:
        told += f"{'' if told.endswith('.') else '.'} Tried again at {clock_time(job.due_at, now, config.timezone)}."
    return Text(tame(told or job.note))


def job_details(job: Job, events: Iterable[HistoryEntry], now: int, config: Config) -> RenderableType:
    """All that ``sorawatch show`` says."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    rows: list[tuple[str, str | Text]] = [
        ("job", job.id),
        ("picture", _path(job)),
        ("state", _state(job)),
        ("why", Text(tame(job.reason))),
        ("not moved yet", Text(tame(job.obstacle))),
        ("what to do", Text(tame(job.hint))),
        ("order", Text(_order(job))),
        ("take", str(job.order.take) if job.order and job.order.take > 1 else ""),
        ("prompt", Text(tame(job.order.prompt) if job.order else "")),
        ("note", Text(tame(job.note))),
        ("price", Text("" if job.price is None else dollars(job.price))),
        ("charged", job.charged.value),
        ("video", Text(tame(job.video_id or ""))),
        ("clip", Text(on_a_line(job.clip or ""))),
    ]
    for name, value in rows:
        if str(value):
            table.add_row(name, value)
    happened = bare_table("when", "state", "why", title="history")
    for first, last, times in _condensed(events):
        when = clock_time(first.at, now, config.timezone)
        again = f" ({times} times, last at {clock_time(last.at, now, config.timezone)})" if times > 1 else ""
        happened.add_row(when, Text(first.state.value, _STYLES.get(first.state, "")), Text(tame(first.reason) + again))
    return Group(table, happened)


def _condensed(events: Iterable[HistoryEntry]) -> Iterator[tuple[HistoryEntry, HistoryEntry, int]]:
    """The first and the last of each run of events that say the same, and how many they are."""
    for _, run in groupby(events, key=lambda event: (event.state, event.reason)):
        alike = [*run]
        yield alike[0], alike[-1], len(alike)


class LiveJobs:
    """The jobs that go on, for a live display: a listener of the daemon that can be rendered."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self.ended: deque[Job] = deque(maxlen=_REMEMBERED)

    def begin(self, jobs: Iterable[Job]) -> None:
        """Take in the jobs that an earlier run left."""
        self._jobs.update((job.id, job) for job in jobs if job.state not in FINAL)

    def __call__(self, _before: Job | None, after: Job) -> None:
        """Take in a change."""
        if after.state in FINAL:
            self._jobs.pop(after.id, None)
            self.ended.append(after)
        else:
            self._jobs[after.id] = after

    def __rich__(self) -> RenderableType:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        jobs = list(self._jobs.values())
        busy = [job for job in jobs if job.state not in _WAITING]
        for job in busy[:_LIVE_ROWS]:
            path = _path(job).plain
            short = path if len(path) <= _LIVE_PATH else f"…{path[1 - _LIVE_PATH :]}"
            table.add_row(Text(short), _state(job), _bar(job))
        counts = ((len(busy) - _LIVE_ROWS, "more"), (len(jobs) - len(busy), "waiting"))
        told = " and ".join(f"{count} {word}" for count, word in counts if count > 0)
        parts: list[RenderableType] = [table] if busy else []
        if told:
            parts.append(Text(told, "dim"))
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
    """The command that lets this shell find ``sorawatch``; None where it does, or where no command would."""
    if shutil.which("sorawatch") or sys.prefix == sys.base_prefix:
        return None
    return f". {shlex.quote(sys.prefix)}/bin/activate"


def first_steps(path: Path, where: str) -> list[str]:
    """The commands that follow ``init``, which wrote ``path``; ``where`` is their option for it."""
    key = f"export SORAWATCH_API_KEY=…        # or api.key_file in {path}"
    activate = activation()
    return [*([activate] if activate else []), key, f"sorawatch check{where}", f"sorawatch run{where}"]


def ended(jobs: Iterable[Job], price: str) -> RenderableType:
    """A table of finished jobs: each clip with its size, length and price, under that heading, or its reason."""
    table = bare_table("picture", "result", "size", "seconds", price)
    for job in sorted(jobs, key=lambda job: (job.state is not State.DONE, job.pair.path)):
        order = job.order
        done = job.state is State.DONE
        table.add_row(
            _path(job),
            Text(on_a_line(job.clip or "") if done else tame(job.reason), "green" if done else "red"),
            str(order.size) if order and done else "",
            str(order.seconds) if order and done else "",
            dollars(job.price) if done and job.price is not None else "",
        )
    return table
