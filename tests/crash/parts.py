"""The parts of the crash proof, how each is told, and the table of them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.crash import faults, many_orders, outside, plain_script
from tests.crash import trial as daemon
from tests.crash.campaign import ORDINARY, Result, Task, conduct, in_pairs, moments, singly
from tests.crash.installation import Disk, Listing
from tests.crash.trial import Kill, Trial

_UNLISTED = Trial((), Listing.NONE)

PAIRS = 60
OUTSIDE = 12
SEED = 20261122


@dataclass(frozen=True, slots=True)
class Part:
    """Some trials, and who is killed in them."""

    title: str
    trials: Callable[[], Sequence[Trial]]
    carry_out: Callable[[str, Trial], Task] = daemon.carry_out


def _without_list() -> list[Trial]:
    """The moments around a submit, where alone a list matters."""
    near = (" POST of ", "becomes submitting", "becomes rendering")
    return singly((point for point in moments(_UNLISTED).telling if any(word in point for word in near)), _UNLISTED)


def _on(disk: Disk) -> list[Trial]:
    """The moments that only such a disk brings."""
    ordinary, setting = {*moments().every}, Trial((), disk=disk)
    return singly((point for point in moments(setting).telling if point not in ordinary), setting)


def _another() -> list[Trial]:
    """The moments that only an order made once more brings, and those around what tells it from the first."""
    ordinary, setting = {*moments().every}, Trial((), another=True)
    near = ("becomes found", "becomes ready", "becomes submitting", "state.db.ledger")
    return singly(
        (point for point in moments(setting).telling if point not in ordinary or any(word in point for word in near)),
        setting,
    )


PARTS = {
    "single": Part("killed once, at every moment", lambda: singly(moments().telling)),
    "pairs": Part("killed again while recovering", lambda: in_pairs(moments().telling, PAIRS, SEED)),
    "outside": Part("kill -9 from outside", lambda: outside.draw(OUTSIDE, SEED), outside.carry_out),
    "unlisted": Part("server without a list", _without_list),
    "network": Part("links, but no careful rename", lambda: _on(Disk.NETWORK)),
    "linkless": Part("file system without links", lambda: _on(Disk.LINKLESS)),
    "apart": Part("each folder on its own disk", lambda: _on(Disk.APART)),
    "another": Part("ordered once more, on purpose", _another),
    "faults": Part("server at fault, every way", faults.each),
    "unproved": Part("lost, with a list that is no use", faults.without_proof),
    "lasting": Part("every answer lost, for ever", faults.lasting),
    "answered": Part("killed after a lost answer", faults.killed),
    "many": Part("hundreds of lost answers", many_orders.draw, many_orders.carry_out),
}

PLAIN_SCRIPT = Part(
    "the plain script, killed once", lambda: singly(moments(ORDINARY, plain_script.trace).telling), plain_script.carry_out
)  # fmt: skip


COLUMNS = (
    "trials", "kills", "faults", "orders", "accepted", "re-bought", "lost files", "broken clips", "held", "faulty"
)  # fmt: skip


@dataclass
class Sum:
    """A row of the table: what came of the trials of a part."""

    title: str
    results: list[Result] = field(default_factory=list)

    @property
    def numbers(self) -> tuple[int, ...]:
        """One for each of `COLUMNS`."""
        verdicts = [result.verdict for result in self.results]
        tallied = ("orders", "creates", "duplicates", "lost", "broken", "held")
        return (
            len(verdicts),
            sum(len(verdict.deaths) for verdict in verdicts),
            sum(verdict.faults for verdict in verdicts),
            *(sum(getattr(verdict.tally, name) for verdict in verdicts) for name in tallied),
            len(self.faulty),
        )

    @property
    def faulty(self) -> list[Result]:
        return [result for result in self.results if result.verdict.tally.complaints]

    @property
    def unmet(self) -> list[Result]:
        """Runs that came to their end without the moment they were to die at."""
        return [result for result in self.results if not (result.met or result.verdict.tally.complaints)]


def run(part: Part, tell: Callable[[str], None], sample: int | None = None) -> Sum:
    """Carry a part out, or about ``sample`` of its trials, evenly chosen.

    ``tell`` is given the story of each trial with something to complain about.
    """
    total, trials = Sum(part.title), part.trials()
    step = 1 if sample is None else max(1, len(trials) // sample)
    for result in conduct(trials[::step], part.carry_out):
        total.results.append(result)
        if result.verdict.tally.complaints:
            tell(story(result, next((name for name, each in PARTS.items() if each is part), "script")))
    return total


def story(result: Result, name: str) -> str:
    """What is wrong with a trial of the part ``name``, and the command that repeats it."""
    verdict, trial = result.verdict, result.trial
    died = " and then ".join(verdict.deaths) or f"nowhere, with {trial.fault}"
    lines = [f"killed {died}:", *(f"  {complaint}" for complaint in verdict.tally.complaints)]
    lines.append(f"  again: {_command(trial, name)}")
    return "\n".join([*lines, *(f"  | {line}" for line in verdict.log.splitlines())])


def _command(trial: Trial, name: str) -> str:
    words = ["python -m tests.crash"]
    if trial.fault or any(str(kill).endswith(" ms") for kill in trial.kills):
        return f"{words[0]} --part {name}"
    for option, kill in zip(("--point", "--then"), trial.kills, strict=False):
        words.append(f"{option} {_quoted(kill)}")
    words += [f"--listing {trial.listing}"] * (trial.listing is not Listing.GOOD) + [f"--disk {trial.disk}"] * (
        trial.disk is not Disk.ONE
    )
    words += ["--another"] * trial.another
    return " ".join(words)


def _quoted(kill: Kill) -> str:
    return str(kill) if isinstance(kill, int) else f"'{kill}'"


def table(rows: Sequence[Sum]) -> Iterator[str]:
    """The lines of the table, and which moments never came."""
    yield f"{'':32}" + "".join(f"{column:>13}" for column in COLUMNS)
    for row in rows:
        yield f"{row.title:32}" + "".join(f"{number:>13,}" for number in row.numbers)
    for result in (result for row in rows for result in row.unmet):
        yield f"not met: {' and then '.join(map(str, result.trial.kills)) or result.trial.fault}"
