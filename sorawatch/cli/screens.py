"""Renders the status, the details of a job, and the jobs of a running daemon for a terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter, deque
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.text import Text

from sorawatch.cli.tables import details, table
from sorawatch.core.budget import dollars
from sorawatch.core.job import FINAL, Charged, Job, State
from sorawatch.core.naming import one_line, terminal_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from rich.table import Table

    from sorawatch.app.status import Snapshot
    from sorawatch.config import Folders
    from sorawatch.core.calendar import LocalTime
    from sorawatch.core.pause import Pause
    from sorawatch.daemon.upkeep.published_status import ConfigFile
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
_IN_ORDER = (
    State.HELD, State.UNCERTAIN, State.REJECTED, State.WITHDRAWN, State.RESTORING,
    State.DELIVERED, State.RENDERED, State.RENDERING, State.SUBMITTING, State.READY, State.FOUND,
)  # fmt: skip
"""The states of unfinished jobs, those that need a person first."""
_PLACES = {state: place for place, state in enumerate(_IN_ORDER)}
_LIVE_ROWS = 12
_LIVE_PATH, _LIVE_BAR = 40, 20
"""Columns. With the state between them they fit into 80 columns."""
_REMEMBERED = 1_000
"""Maximum ended jobs that a live display keeps, because a daemon runs for months."""
_ROWS = 40
_SOON = 2_000
"""Milliseconds. Shorter waits are not shown."""


def status(snapshot: Snapshot) -> RenderableType:
    """The output of ``sorawatch status``."""
    parts: list[RenderableType] = [_headline(snapshot)]
    parts += [_pause(pause, snapshot.time) for pause in snapshot.pauses]
    if snapshot.config_changed is not None:
        parts.append(_changed_config(snapshot.config_changed, snapshot.time))
    if snapshot.running and (watching := snapshot.published.watching):
        parts.append(Text("\n  ".join(part for part in (watching["told"], watching["hint"]) if part)))
    if snapshot.jobs:
        parts.append(_jobs(snapshot))
    if snapshot.published.waiting:
        parts.append(_waiting(snapshot))
    return Group(*parts)


class FittingStatus:
    """The output of ``sorawatch status --follow``: what fits on the terminal, and how many lines do not."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._whole = status(snapshot)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._whole, options.update(height=None), pad=False)
        room = console.height - 1
        shown = lines if len(lines) <= room else lines[: room - 1]
        for line in shown:
            yield from line
            yield Segment.line()
        if len(shown) < len(lines):
            yield Text(f"and {len(lines) - len(shown)} more lines; `sorawatch status` shows all", "dim")


def _headline(snapshot: Snapshot) -> Text:
    text = Text()
    if snapshot.running:
        who = f"pid {snapshot.published.pid}" if len(snapshot.daemons) == 1 else ", ".join(snapshot.daemons)
        text.append("running", "bold green").append(f" ({who})")
    else:
        text.append("not running", "bold yellow").append("; `sorawatch run` starts it")
    going_on = [f"{count} {state}" for state, count in sorted(snapshot.counts.items()) if state not in FINAL]
    ended = [f"{snapshot.counts[state]} {state}" for state in sorted(FINAL) if state in snapshot.counts]
    text.append(f"\njobs: {', '.join(going_on + ended) or 'none yet'}")
    text.append(f"\nin flight: {snapshot.in_flight} of {snapshot.limits.in_flight}")
    if snapshot.allowed != snapshot.limits.in_flight:
        text.append(f"; the server takes too few for that: {snapshot.allowed} at once for now", "yellow")
    if snapshot.counts.get(State.READY) and snapshot.paced_until > snapshot.time.now + _SOON:
        text.append(f"; the pace lets the next order go at {snapshot.time.clock(snapshot.paced_until)}")
    text.append(f"\ntoday: {_money(snapshot.today, snapshot.limits.micros_per_day)}")
    text.append(f"\nthis month: {_money(snapshot.month, snapshot.limits.micros_per_month)}")
    return text


def _money(spending: Spending, cap: int | None) -> str:
    left = spending.left(cap)
    budget = "no cap" if left is None or cap is None else f"{dollars(left)} left of {dollars(cap)}"
    clips = "1 clip" if spending.clips == 1 else f"{spending.clips} clips"
    return f"{dollars(spending.spent)} spent, {dollars(spending.reserved)} reserved, {budget}, {clips} delivered"


def _changed_config(read: ConfigFile, time: LocalTime) -> Text:
    text = Text("the configuration file has changed", "bold yellow")
    text.append(f" since the daemon read it at {time.clock(read.read_at)}", "default not bold")
    hint = "\n  A reload (`systemctl reload sorawatch`, or SIGHUP) or a restart makes the daemon read it."
    return text.append(hint, "default not bold")


def _pause(pause: Pause, time: LocalTime) -> Text:
    text = Text(f"{pause.headline}: ", "bold yellow").append(terminal_text(pause.reason), "not bold")
    if pause.since:
        text.append(f" (since {time.clock(pause.since)})", "default not bold")
    for line in (pause.hint, pause.goes_on(time)):
        if line:
            text.append(f"\n  {terminal_text(line)}", "default not bold")
    return text


def _jobs(snapshot: Snapshot) -> Table:
    """A table of jobs, those that need a person first. The reason is below the picture, to fit narrow terminals."""
    made = table("job", "state", "picture", unfolded=("job", "state"))
    jobs = sorted(snapshot.jobs, key=lambda job: _PLACES.get(job.state, len(_PLACES)))
    for job in jobs[:_ROWS]:
        text = Text(path(job))
        if job.state is State.DONE and job.clip:
            text.append(f" → {one_line(job.clip)}")
        for detail in filter(None, (_order(job), _price(job))):
            text.append(f"  {detail}", "dim")
        why = _why(job, snapshot.time)
        made.add_row(job.id, _state(job), Text("\n").join((text, why)) if why else text)
    made.caption = _left_out(snapshot.counts, jobs[:_ROWS])
    return made


def _left_out(counts: Mapping[State, int], shown: Iterable[Job]) -> str | None:
    """How many jobs are not among those ``shown``."""
    left = Counter(counts)
    left.subtract(job.state for job in shown)
    going_on = sum(count for state, count in left.items() if state not in FINAL)
    ended = sum(left[state] for state in FINAL)
    parts = [f"and {going_on} more that go on; `sorawatch status --json` lists them"] if going_on else []
    parts += [f"and {ended} more that ended before"] if ended else []
    return "\n".join(parts) or None


def _waiting(snapshot: Snapshot) -> Table:
    made = table("", "", title="in the inbox, no job yet")
    made.columns[0].header_style = made.columns[1].header_style = "dim"
    for file, why in snapshot.published.waiting[:_ROWS]:
        made.add_row(Text(one_line(file)), Text(terminal_text(why)))
    if snapshot.published.waiting_count > _ROWS:
        made.caption = f"and {snapshot.published.waiting_count - _ROWS} more"
    return made


def path(job: Job) -> str:
    """The path of a job's picture, on one line."""
    return one_line(job.pair.path)


def _state(job: Job) -> Text:
    percent = f" {job.progress}%" if job.state is State.RENDERING and job.progress is not None else ""
    return Text(f"{job.state.value}{percent}", _STYLES.get(job.state, ""))


def _order(job: Job) -> str:
    order = job.order
    return f"{order.model} {order.size} {order.seconds} s" if order else ""


def _price(job: Job) -> str:
    if job.price is None or job.charged is Charged.NO:
        return ""
    return dollars(job.price) + ("?" if job.charged is Charged.PERHAPS and job.state in FINAL | {State.HELD} else "")


def _why(job: Job, time: LocalTime) -> Text:
    if job.state is State.READY and not job.reason:
        return Text(f"its turn; {job.note}" if job.note else "its turn")
    text = " ".join(part for part in (job.reason, job.hint if job.state is State.HELD else "") if part)
    if job.obstacle:
        text = f"{text}{'; ' if text else ''}not moved yet: {job.obstacle}"
    if job.attempts and job.due_at > time.now:
        text += f"{'' if text.endswith('.') else '.'} Tried again at {time.clock(job.due_at)}."
    return Text(terminal_text(text or job.note))


def job_details(job: Job, entries: Iterable[HistoryEntry], time: LocalTime, folders: Folders) -> RenderableType:
    """The output of ``sorawatch show``."""
    filed, clip = folders.filed(job), folders.clip(job)
    facts = details(
        [
            ("job", job.id),
            ("picture", Text(one_line(str(folders.inbox / job.pair.path)))),
            ("moved to", Text("\n".join(one_line(str(each)) for each in filed))),
            ("state", _state(job)),
            ("why", Text(terminal_text(job.reason))),
            ("not moved yet", Text(terminal_text(job.obstacle))),
            ("what to do", Text(terminal_text(job.hint))),
            ("order", Text(_order(job))),
            ("take", str(job.order.take) if job.order and job.order.take > 1 else ""),
            ("prompt", Text(terminal_text(job.order.prompt) if job.order else "")),
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
            made.add_row(Text(short), _state(job), _bar(job))
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


def first_steps(config_path: Path, option: str) -> list[str]:
    """The commands to run after ``init`` has written ``config_path``. ``option`` is their ``-c`` option for it."""
    key = f"export SORAWATCH_API_KEY=…        # or api.key_file in {config_path}"
    activate = activation()
    return [*([activate] if activate else []), key, f"sorawatch check{option}", f"sorawatch run{option}"]


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
