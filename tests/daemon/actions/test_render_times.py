"""What polling learns from one render to the next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sorawatch.core.job import State
from sorawatch.core.waits import PolledProgress
from sorawatch.daemon.actions.render_times import RenderTimes, duration
from sorawatch.edges.store import Store
from tests.support.workspace import Workspace


def test_how_long_renders_took_is_remembered_by_their_kind_through_restarts(workspace: Workspace) -> None:
    for name, seconds in (("a.jpg", 4), ("b.jpg", 8), ("c.jpg", 8)):
        workspace.drop(name, seconds=seconds)
        assert workspace.run_once()
    store, _ = Store.create_or_open(workspace.root / "state.db", "test")
    with store.transaction() as tx:
        pacing = RenderTimes()
        done = {job.pair.image: job for job in tx.jobs.in_states([State.DONE])}
        short, long = (pacing.history(tx, done[name]).durations for name in ("a.jpg", "b.jpg"))
        order = done["a.jpg"].order
        assert order is not None
        other = replace(done["a.jpg"], order=replace(order, model="another"))
        assert pacing.history(tx, other).durations == ()
    store.close()
    assert (len(short), len(long)) == (1, 2)
    assert all(0 <= each < 60_000 for each in (*short, *long))
    assert long == tuple(sorted(long))


@pytest.mark.parametrize(
    ("age", "before", "took", "expected"),
    [
        (100, None, None, 50),
        (100, PolledProgress(80, 5), None, 90),
        (100, PolledProgress(80, 5), 85, 85),
        (100, PolledProgress(80, 5), 20, 80),
        (100, PolledProgress(80, 5), 999, 100),
        (100, PolledProgress(180, 5), None, 100),
    ],
)
def test_a_servers_word_counts_as_far_as_it_agrees_with_what_was_seen(
    age: int, before: PolledProgress | None, took: int | None, expected: int
) -> None:
    assert duration(age, before, took) == expected
