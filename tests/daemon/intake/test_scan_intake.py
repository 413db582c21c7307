"""Very many new pairs become jobs in several turns, each of them once, whatever happens to a turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from sorawatch.core.job import Change, Pair, Stamp, State
from sorawatch.core.limits import Limits
from sorawatch.core.order import Order, Size
from sorawatch.core.retry_policy import Policy
from sorawatch.core.waits import Waits
from sorawatch.daemon.intake.known_pairs import KnownPairs
from sorawatch.daemon.intake.scan import NewPair, ScanResult
from sorawatch.daemon.intake.scan_intake import ScanIntake
from sorawatch.daemon.submission.admission import Admission
from sorawatch.edges.inbox import Listing
from sorawatch.edges.store import Store

MANY = 2_500
ADMISSION = Admission(Limits(), Policy(Waits()), {}, True, None, 0, "http://127.0.0.1")
ORDER = Order("waves", "sora-2", Size(1280, 720), 8)
PAIRS = [Pair("", f"{number}.jpg", Stamp(9, number)) for number in range(MANY)]


def scan(pairs: Sequence[Pair]) -> ScanResult:
    present = {pair.path: pair for pair in pairs}
    listing = Listing((), present, (), 0, None, None, 1, {}, ())
    return ScanResult(tuple(NewPair(pair, ORDER) for pair in pairs), (), listing)


class Turns:
    """What the daemon does with an intake."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.intake = ScanIntake()
        self.known = KnownPairs()

    def take(self) -> list[Change]:
        """One turn that is committed."""
        with self.store.transaction() as tx:
            changes = self.intake.apply(tx, self.known, ADMISSION, 0.0)
        for _, after in changes:
            self.known.update(after)
        self.intake.committed()
        return changes

    def fail(self) -> None:
        """One turn whose transaction is rolled back."""
        with pytest.raises(ZeroDivisionError):
            self._break_off()

    def _break_off(self) -> None:
        with self.store.transaction() as tx:
            self.intake.apply(tx, self.known, ADMISSION, 0.0)
            raise ZeroDivisionError

    def paths(self) -> list[str]:
        with self.store.transaction() as tx:
            return [job.pair.path for job in tx.jobs.in_states([State.FOUND])]


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[Turns]:
    with closing(Store.create_or_open(tmp_path / "state.db", "one")[0]) as store:
        yield Turns(store)


def test_each_turn_takes_a_part_until_all_are_jobs(turns: Turns) -> None:
    turns.intake.begin(scan(PAIRS))
    taken = []
    while not turns.intake.is_done:
        taken.append(len(turns.take()))
    assert len(taken) > 1
    assert max(taken) < MANY
    assert sorted(turns.paths()) == sorted(pair.path for pair in PAIRS)
    assert turns.take() == []


def test_a_turn_that_fails_is_repeated_and_no_pair_becomes_two_jobs(turns: Turns) -> None:
    turns.intake.begin(scan(PAIRS))
    turns.take()
    turns.fail()
    while not turns.intake.is_done:
        turns.take()
    assert sorted(turns.paths()) == sorted(pair.path for pair in PAIRS)


def test_the_same_scan_again_adds_nothing(turns: Turns) -> None:
    for _ in range(2):
        turns.intake.begin(scan(PAIRS[:3]))
        turns.take()
    assert len(turns.paths()) == 3


@pytest.mark.parametrize("count", [0, 3])
def test_orders_can_be_sent_in_the_turn_that_takes_the_last_pairs_in(turns: Turns, count: int) -> None:
    turns.intake.begin(scan(PAIRS[:count]))
    assert not turns.intake.is_done
    with turns.store.transaction() as tx:
        assert len(turns.intake.apply(tx, turns.known, ADMISSION, 0.0)) == count
        assert turns.intake.is_done
