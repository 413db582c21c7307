"""What polling learns from one render to the next."""

from __future__ import annotations

import sqlite3

import pytest

from sorawatch.core.schedule import Look
from sorawatch.pacing import REMEMBERED, length
from sorawatch.simulator import Settings, running
from tests.yard import Yard


def test_later_renders_are_polled_less(tmp_path) -> None:
    """Of renders that all take as long, the first need many polls and the later ones few, restarts in between or not."""
    with running(Settings(generation_seconds=1.0, frames_per_second=1)) as server:
        yard = Yard(tmp_path, server)
        yard.set("polling", min_seconds=0.02, max_seconds=2)
        yard.set("limits", in_flight=1)
        for number in range(9):
            yard.drop(f"{number}.jpg")
            assert yard.run_once()
        polls = [video.polls for video in server.ledger().videos]
    assert min(polls[:3]) > 2 * max(polls[-3:])
    with sqlite3.connect(yard.root / "state.db") as connection:
        ((name, lengths),) = connection.execute("SELECT key, value FROM notes WHERE key LIKE 'renders-%'").fetchall()
    connection.close()
    assert len(name) <= 32
    assert len(lengths.split(",")) == 9 <= REMEMBERED


@pytest.mark.parametrize(
    ("age", "before", "took", "expected"),
    [
        (100, None, None, 50),
        (100, Look(80, 5), None, 90),
        (100, Look(80, 5), 85, 85),
        (100, Look(80, 5), 20, 80),
        (100, Look(80, 5), 999, 100),
        (100, Look(180, 5), None, 100),
    ],
)
def test_a_servers_word_counts_as_far_as_it_agrees_with_what_was_seen(age, before, took, expected) -> None:
    assert length(age, before, took) == expected
