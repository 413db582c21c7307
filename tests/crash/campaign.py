"""Many trials at once: which moments there are, and what came of dying at each."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

from tests.crash import trial as daemon
from tests.crash.effects import Side
from tests.crash.installation import Listing
from tests.crash.processes import at_once, simulated
from tests.crash.trial import Kill, Trial, Verdict

PLACES = 3 * (os.cpu_count() or 1)
"""Trials at a time: most of a trial is waiting."""

ORDINARY = Trial(())

Task = Callable[[Callable[[str], None]], None]

_LISTINGS: dict[Listing, tuple[dict[str, Any], ...]] = {
    Listing.GOOD: (),
    Listing.NONE: ({"kind": "answer_before", "on": "list", "status": 404, "times": None},),
    Listing.LAGGING: ({"kind": "list_lagging", "seconds": 3600, "times": None},),
    Listing.LYING: ({"kind": "list_hidden", "times": None},),
    Listing.FOREIGN: ({"kind": "list_foreign", "times": None},),
}

_ATTEMPTS = 4
"""How often a trial is begun anew that did not meet the moment it was to die at: threads race."""

_PER_SIMULATOR = 150
"""Trials that share a simulator: its list grows with each."""

_REPEATED = re.compile(r" (?:GET of \S+(?: again)?|connect for GET|commit \S+ stays \w+|commit of nothing new) #(\d+)$")
"""Moments that come with each poll, turn of the loop, or thread, of which a run has now more, now fewer."""

_MOMENT = re.compile(r"(?P<side>before|halfway through|after) (?P<effect>.*) #(?P<number>\d+)")


@dataclass(frozen=True, slots=True)
class Moments:
    """Those of undisturbed runs. ``every`` is in an order that is the same every time, so that numbers stay true."""

    every: tuple[str, ...]
    telling: tuple[str, ...]
    """Without those after one effect that another effect's beginning followed at once: the world is the same then."""


@dataclass(frozen=True, slots=True)
class Result:
    """A trial and what came of it."""

    trial: Trial
    verdict: Verdict

    @property
    def met(self) -> bool:
        """Whether it died as often as it was to, and its fault befell it."""
        return len(self.verdict.deaths) == len(self.trial.kills) and (self.verdict.faults > 0 or not self.trial.fault)


def moments(trial: Trial = ORDINARY, trace: Callable[[str, Trial], Task] = daemon.trace) -> Moments:
    """Every moment at which a run can die.

    Raises:
        AssertionError: if an effect went past the observer, or a run did not end.
    """
    found: set[str] = set()
    telling: set[str] = set()
    with _server(trial) as server:
        for _, said in at_once([trace(server, trial)] * 3, PLACES):
            try:
                run = json.loads(said)
            except ValueError:
                raise AssertionError(said) from None
            assert not run["unseen"], f"not announced: {run['unseen']}"
            steady = {*filter(_is_steady, run["moments"])}
            same = {one for one, next_ in pairwise(run["moments"]) if _is_same(one, next_)}
            telling = (telling - same) | (steady - same - found)
            found |= steady
    return Moments(tuple(sorted(found, key=_place)), tuple(sorted(telling, key=_place)))


def singly(points: Iterable[Kill], trial: Trial = ORDINARY) -> list[Trial]:
    """One trial for each point; the rest of it is as in ``trial``."""
    return [replace(trial, kills=(point,)) for point in points]


def in_pairs(points: Sequence[Kill], count: int, seed: int, trial: Trial = ORDINARY) -> list[Trial]:
    """Trials that die at one of ``points``, then at a moment of the run after that, drawn by its number."""
    dice = random.Random(seed)
    return [replace(trial, kills=(dice.choice(points), dice.randint(1, len(points)))) for _ in range(count)]


def conduct(
    trials: Sequence[Trial], carry_out: Callable[[str, Trial], Task] = daemon.carry_out, places: int = PLACES
) -> Iterator[Result]:
    """Carry out all trials, each until it has died as it was to."""
    for together in _together(trials):
        left = together
        with _server(left[0]) as server:
            for attempt in range(1, _ATTEMPTS + 1):
                again = []
                for number, said in at_once([carry_out(server, trial) for trial in left], places):
                    result = Result(left[number], Verdict.read(said))
                    if result.met or result.verdict.tally.complaints or attempt == _ATTEMPTS:
                        yield result
                    else:
                        again.append(_nearer(result.trial))
                left = again


def _together(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """The trials that can share a simulator."""
    for _, alike in groupby(sorted(trials, key=lambda trial: trial.listing), lambda trial: trial.listing):
        left = [*alike]
        yield from (left[first : first + _PER_SIMULATOR] for first in range(0, len(left), _PER_SIMULATOR))


def _nearer(trial: Trial) -> Trial:
    """The trial with numbered deaths that come earlier: the run had ended before."""
    return replace(trial, kills=tuple(max(1, kill // 3) if isinstance(kill, int) else kill for kill in trial.kills))


def _server(trial: Trial) -> AbstractContextManager[str]:
    return simulated(*_LISTINGS[trial.listing])


def _is_same(moment: str, next_: str) -> bool:
    """Whether a death at the next moment shows the same world; before a commit it comes later, see `watched`."""
    return (
        moment.startswith(f"{Side.AFTER} ")
        and next_.startswith(f"{Side.BEFORE} ")
        and not next_.startswith(daemon.BEFORE_COMMIT)
    )


def _is_steady(moment: str) -> bool:
    repeated = _REPEATED.search(moment)
    return repeated is None or int(repeated[1]) <= (1 if " again #" in moment else 2)


def _place(moment: str) -> tuple[str, int, int]:
    found = _MOMENT.fullmatch(moment)
    assert found is not None
    return found["effect"], int(found["number"]), [*Side].index(Side(found["side"]))
