"""Renders the status for a terminal: first what needs a person, then sums, then the jobs that go on by themselves."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from sorawatch.cli.screens import order_text, path, price_text, state_text
from sorawatch.cli.tables import table
from sorawatch.core.budget import dollars
from sorawatch.core.calendar import lasted
from sorawatch.core.job import FINAL, UNPAID, State
from sorawatch.core.naming import one_line, terminal_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from sorawatch.app.outlook import ShownJob, Total
    from sorawatch.app.status import Selection, Snapshot
    from sorawatch.core.calendar import LocalTime
    from sorawatch.core.pause import Pause
    from sorawatch.daemon.upkeep.published_status import ConfigFile, UnusedFile
    from sorawatch.edges.store import Spending

ROWS = 40
"""How many rows each table has, unless all are asked for."""
_WIDE = 100
"""Columns of a terminal from which times and prices have columns of their own."""
_SOON = 2_000
"""Milliseconds. Shorter waits are not shown."""
_MINUTE = 60_000


def status(snapshot: Snapshot) -> RenderableType:
    """The output of ``sorawatch status``."""
    files = () if snapshot.selection.states else snapshot.files
    unused = [each for each in files if not each.passes]
    parts: list[RenderableType] = [_headline(snapshot), *_needing(snapshot, unused), _figures(snapshot)]
    if others := [*snapshot.going_on, *snapshot.ended]:
        parts.append(_Jobs("", others, snapshot.time, _left_out(snapshot)))
    elif note := _left_out(snapshot) or ("" if snapshot.needing else _none_selected(snapshot.selection)):
        parts.append(Text(note, "dim"))
    if passing := [each for each in files if each.passes]:
        parts.append(_files("in the inbox, no job yet", passing, snapshot))
    return Group(*parts)


class FittingStatus:
    """The output of ``sorawatch status --follow``: what fits on the terminal, and how many lines do not."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._whole = status(snapshot)
        self._command = _command(snapshot.selection)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._whole, options.update(height=None), pad=False)
        room = console.height - 1
        shown = lines if len(lines) <= room else lines[: room - 1]
        for line in shown:
            yield from line
            yield Segment.line()
        if len(shown) < len(lines):
            yield Text(f"and {len(lines) - len(shown)} more lines; `{self._command}` shows all", "dim")


def _command(selection: Selection, *options: str) -> str:
    """The command that shows this selection."""
    words = ["sorawatch", "status"]
    for state in sorted(selection.states):
        words += ["--state", state.value]
    if selection.folder:
        words += ["--folder", shlex.quote(one_line(selection.folder))]
    return " ".join((*words, *options))


def _headline(snapshot: Snapshot) -> Text:
    text = Text()
    if snapshot.running:
        who = f"pid {snapshot.published.pid}" if len(snapshot.daemons) == 1 else ", ".join(snapshot.daemons)
        text.append("running", "bold green").append(f" ({who})")
    else:
        text.append("not running", "bold yellow").append("; `sorawatch run` starts it")
    return text


def _needing(snapshot: Snapshot, files: Sequence[UnusedFile]) -> list[RenderableType]:
    """What needs a person, or soon will."""
    parts: list[RenderableType] = [_pause(pause, snapshot.time) for pause in snapshot.pauses]
    if snapshot.config_changed is not None:
        parts.append(_changed_config(snapshot.config_changed, snapshot.time))
    if snapshot.running and (watching := snapshot.published.watching) and watching["hint"]:
        parts.append(Text(f"{watching['told']}\n  {watching['hint']}"))
    if snapshot.needing:
        parts.append(_Jobs("needs a person", snapshot.needing, snapshot.time))
    if files:
        parts.append(_files("files that need a person", files, snapshot))
    return parts


def _figures(snapshot: Snapshot) -> Text:
    going_on = [f"{count} {state}" for state, count in sorted(snapshot.counts.items()) if state not in FINAL]
    ended = [f"{snapshot.counts[state]} {state}" for state in sorted(FINAL) if state in snapshot.counts]
    folder = snapshot.selection.folder
    text = Text(f"jobs in {one_line(folder)}: " if folder else "jobs: ")
    text.append(", ".join(going_on + ended) or "none yet")
    text.append(f"\nin flight: {snapshot.in_flight} of {snapshot.limits.in_flight}")
    if snapshot.allowed != snapshot.limits.in_flight:
        text.append(f"; the server takes too few for that: {snapshot.allowed} at once for now", "yellow")
    if snapshot.counts.get(State.READY) and snapshot.paced_until > snapshot.time.now + _SOON:
        text.append(f"; the pace lets the next order go at {snapshot.time.clock(snapshot.paced_until)}")
    if snapshot.reserved_in_flight:
        text.append(f"; {dollars(snapshot.reserved_in_flight)} reserved")
    waiting = [_total(snapshot.ready, "ready"), _total(snapshot.found, "to be prepared")]
    if any(waiting):
        text.append(f"\nwaiting: {'; '.join(filter(None, waiting))}")
    text.append(f"\ntoday: {_money(snapshot.today, snapshot.limits.micros_per_day)}")
    text.append(f"\nthis month: {_money(snapshot.month, snapshot.limits.micros_per_month)}")
    if snapshot.running and (watching := snapshot.published.watching) and not watching["hint"]:
        text.append(f"\n{watching['told']}")
    return text


def _total(total: Total, word: str) -> str:
    """``12 orders ready, $9.60``."""
    if not total.orders:
        return ""
    prices = [_range(total.lowest, total.highest)] if total.orders > total.unpriced else []
    prices += [f"{total.unpriced} of unknown price"] if total.unpriced else []
    return f"{total.orders} {'order' if total.orders == 1 else 'orders'} {word}, {' and '.join(prices)}"


def _range(lowest: int, highest: int) -> str:
    return dollars(lowest) if lowest == highest else f"{dollars(lowest)} to {dollars(highest)}"


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


class _Jobs:
    """A table of jobs. On a narrow terminal the times and the price are below the state and the picture."""

    def __init__(self, title: str, jobs: Sequence[ShownJob], time: LocalTime, note: str = "") -> None:
        self._title = title
        self._jobs = jobs
        self._time = time
        self._note = note

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        yield from _framed(self._title, self._table(wide=options.max_width >= _WIDE), self._note)

    def _table(self, *, wide: bool) -> Table:
        times = ("for", "came", "price") if wide else ()
        headings = ("job", "state", *times)
        made = table(*headings, "picture", unfolded=headings)
        for shown in self._jobs:
            job, time = shown.job, self._time
            since, came, price = lasted(time.now - job.changed_at), time.day(job.created_at), _price(shown)
            text = Text(path(job))
            if job.state is State.DONE and job.clip:
                text.append(f" → {one_line(job.clip)}")
            state = state_text(job)
            if not wide:
                state.append(f"\n{since}", "dim")
            details = (order_text(job), *(() if wide else (price, f"came {came}")))
            for detail in filter(None, details):
                text.append(f"  {detail}", "dim")
            if expected := _expected(shown):
                text.append(f"  {expected}", "cyan")
            why = _why(shown, time)
            cells = (since, came, price) if wide else ()
            made.add_row(job.id, state, *cells, Text("\n").join((text, why)) if why else text)
        return made


def _price(shown: ShownJob) -> str:
    if shown.job.state in UNPAID:
        return _range(*shown.prices) if shown.prices else "unknown"
    return price_text(shown.job)


def _why(shown: ShownJob, time: LocalTime) -> Text:
    job = shown.job
    if job.state in UNPAID:
        text = shown.waits_for
    else:
        told = (job.reason, job.hint if job.state in {State.HELD, State.FAILED} else "")
        text = " ".join(part for part in told if part) or job.note
        if job.obstacle:
            text = f"{text}{'; ' if text else ''}not moved yet: {job.obstacle}"
        if job.attempts and job.due_at > time.now:
            text += f"{'' if text.endswith('.') else '.'} Tried again at {time.clock(job.due_at)}."
    return Text(terminal_text(text))


def _expected(shown: ShownJob) -> str:
    """When the clip will be there, if past renders tell."""
    if shown.late_after is not None:
        return f"takes longer than usual ({lasted(shown.late_after)})"
    if shown.rendered_in is None:
        return ""
    return f"clip in {f'about {lasted(shown.rendered_in)}' if shown.rendered_in >= _MINUTE else 'less than 1 min'}"


def _left_out(snapshot: Snapshot) -> str:
    """How many of the selected jobs are not shown, and the command that shows them."""
    command = _command(snapshot.selection, "--all")
    parts = [f"and {snapshot.left_out} more that go on"] if snapshot.left_out else []
    parts += [f"and {snapshot.left_out_ended} more that ended before"] if snapshot.left_out_ended else []
    return f"{', '.join(parts)}; `{command}` lists all" if parts else ""


def _none_selected(selection: Selection) -> str:
    """That the selection has no jobs; empty if everything is selected."""
    states = " or ".join(sorted(selection.states))
    where = f"in {one_line(selection.folder)}" if selection.folder else ""
    what = f"no job {f'in the state {states}' if states else ''}"
    return " ".join(filter(None, (what.strip(), where))) if states or where else ""


def _files(title: str, files: Sequence[UnusedFile], snapshot: Snapshot) -> RenderableType:
    made = table("", "")
    most = len(files) if snapshot.selection.most is None else ROWS
    for each in files[:most]:
        made.add_row(Text(one_line(each.path)), Text(terminal_text(each.why)))
    listed, count = len(snapshot.published.waiting), snapshot.published.waiting_count
    notes = []
    if len(files) > most:
        notes.append(f"and {len(files) - most} more; `{_command(snapshot.selection, '--all')}` lists them")
    if count > listed:
        notes.append(f"the daemon lists {listed} of the {count} files that are not part of a job")
    return Group(*_framed(title, made, "\n".join(notes)))


def _framed(title: str, rows: Table, note: str) -> Iterator[RenderableType]:
    """A table between its title and a note, which may be wider than the table."""
    if title:
        yield Text(title, "italic")
    yield rows
    if note:
        yield Text(note, "dim italic")
