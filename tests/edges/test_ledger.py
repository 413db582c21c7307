"""The ledger's file: what is written into it comes out again, whatever has happened to it."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorawatch.core.purchase import LedgerEntry, Purchase, PurchaseClosed, Standing, VideoKnown, posted
from sorawatch.edges.ledger import Ledger
from sorawatch.errors import Blocked

BOUGHT = Purchase("t", "k3m9x2pq", 5, 800_000, Standing.OPEN, None, "k" * 64, "l" * 64)

names = st.binary(min_size=1, max_size=20).map(os.fsdecode)
tokens = st.sampled_from("abc")
bought = st.builds(
    Purchase,
    tokens,
    st.text("abc", max_size=3),
    st.integers(0, 9),
    st.none() | st.integers(0, 10**9),
    st.just(Standing.OPEN),
    st.none(),
    st.text("0f", max_size=4),
    st.text("0f", max_size=4),
    reference_key=st.none() | st.text("0f", max_size=4),
    folder=st.none() | names,
    image=st.none() | names,
    model=st.none() | st.text(max_size=5),
    size=st.none() | st.just("1280x720"),
    seconds=st.none() | st.integers(1, 20),
    take=st.integers(1, 3),
)
entries = st.lists(
    bought
    | st.builds(VideoKnown, tokens, st.text(max_size=9))
    | st.builds(PurchaseClosed, tokens, st.sampled_from(Standing), st.none() | names),
    max_size=12,
)


def replayed(told: list[LedgerEntry]) -> dict[str, Purchase]:
    purchases: dict[str, Purchase] = {}
    for entry in told:
        purchase = posted(purchases.get(entry.token), entry)
        if purchase is not None:
            purchases[entry.token] = purchase
    return purchases


@given(told=entries, cuts=st.lists(st.integers(0, 12), max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read(tmp_path: Path, told: list[LedgerEntry], cuts: list[int]) -> None:
    """However it was divided among writers, each of which began anew."""
    path = tmp_path / "state.db.ledger"
    path.unlink(missing_ok=True)
    known = [entry for number, entry in enumerate(told) if _is_known(told[:number], entry)]
    bounds = [0, *sorted(min(cut, len(known)) for cut in cuts), len(known)]
    for begin, end in pairwise(bounds):
        Ledger(path).write(known[begin:end])
    assert Ledger(path).read() == replayed(known)


def _is_known(before: list[LedgerEntry], entry: LedgerEntry) -> bool:
    return isinstance(entry, Purchase) or any(
        isinstance(each, Purchase) and each.token == entry.token for each in before
    )


def test_the_end_of_a_line_may_be_missing_wherever_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "state.db.ledger"
    Ledger(path).write([BOUGHT, PurchaseClosed("t", Standing.SPENT, "beach.mp4")])
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        Ledger(path).write([replace(BOUGHT, token="u")])
        is_told = length == len(whole) - 1
        found = Ledger(path).read()
        assert {*found} == {"t", "u"}
        assert (found["t"].clip == "beach.mp4") == is_told


def test_what_could_not_be_written_is_written_with_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "mount" / "folder" / "state.db.ledger"
    ledger = Ledger(path)
    with pytest.raises(Blocked, match="the ledger cannot be written"):
        ledger.write([BOUGHT])
    assert ledger.write_error is not None
    path.parent.parent.mkdir()
    ledger.write()
    assert ledger.write_error is None
    assert Ledger(path).read() == {"t": BOUGHT}


def test_those_of_other_machines_are_read_too(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "one.ledger", tmp_path / "two.ledger"
    Ledger(theirs).write([BOUGHT])
    Ledger(mine).write([PurchaseClosed("t", Standing.SPENT, "beach.mp4")])
    read = Ledger(mine, [theirs]).read()
    assert read == {"t": replace(BOUGHT, standing=Standing.SPENT, clip="beach.mp4")}
    assert Ledger(mine).read() == {}
