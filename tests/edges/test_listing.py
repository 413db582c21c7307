"""Which jobs the status lists, by state and folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.order import Aim, Order, Size
from sorawatch.edges.store import Database, JobGroup, PostgresDatabase, Store, Transaction

ON_POSTGRES = [pytest.mark.slow, pytest.mark.xdist_group("postgres")]


@pytest.fixture(params=["file", pytest.param("database", marks=ON_POSTGRES)])
def tx(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transaction]:
    on_file = request.param == "file"
    where: Path | Database = tmp_path / "state.db" if on_file else PostgresDatabase(request.getfixturevalue("database"))
    store, _ = Store.create_or_open(where, "one")
    with store.transaction() as transaction:
        yield transaction
    store.close()


def job(job_id: str, state: State, at: int = 1, path: str = "", **order: Any) -> Job:
    folder, _, image = (path or f"{job_id}.jpg").rpartition("/")
    ordered = replace(Order("waves", "sora-2", Size(1280, 720), 8), **order)
    return Job(job_id, state, Pair(folder, image, Stamp(9, 9)), at, 1, at, ordered)


def ids(jobs: list[Job]) -> str:
    return "".join(job.id for job in jobs)


def test_state_by_state_the_next_order_the_oldest_or_the_latest_end_first(tx: Transaction) -> None:
    tx.jobs.add(
        [
            job("a", State.READY, 3),
            job("b", State.READY, 9, priority=1),
            job("c", State.RENDERING, 5),
            job("d", State.RENDERING, 4),
            job("e", State.DONE, 2),
            job("f", State.FAILED, 8),
            job("g", State.FOUND, 1),
        ]
    )
    states = [State.RENDERING, State.READY, State.DONE, State.FAILED]
    assert ids(tx.listing.jobs(states, "", None)) == "dcbafe"
    assert ids(tx.listing.jobs(states, "", 3)) == "dcb"
    assert ids(tx.listing.jobs(states, "", 5)) == "dcbaf"
    assert ids(tx.listing.jobs([], "", None)) == ""
    assert ids(tx.listing.queue(9)) == "bga"
    assert ids(tx.listing.queue(2)) == "bg"


def test_waiting_orders_are_listed_as_the_folders_take_turns(tx: Transaction) -> None:
    paths = {
        "a": "anna/1.jpg",
        "b": "anna/2.jpg",
        "c": "anna/old/3.jpg",
        "d": "ben/1.jpg",
        "e": "5.jpg",
        "f": "ben/2.jpg",
    }
    tx.jobs.add([job(job_id, State.READY, at, path=path) for at, (job_id, path) in enumerate(paths.items())])
    order = ids([*tx.claims.candidates([State.READY], 9, 1_000)])
    assert order == "adebfc"
    assert ids(tx.listing.queue(9)) == order
    assert ids(tx.listing.jobs([State.READY], "", None)) == order
    tx.claims.took_turn(tx.listing.queue(1)[0])
    order = ids([*tx.claims.candidates([State.READY], 9, 1_000)])
    assert order[0] == "d"
    assert ids(tx.listing.queue(9))[:2] == order[:2]


def test_a_folder_is_listed_with_those_below_it(tx: Transaction) -> None:
    paths = {"a": "cats/a.jpg", "b": "cats/old/b.jpg", "c": "cats2/c.jpg", "d": "d.jpg", "e": "caf\udce9/e.jpg"}
    tx.jobs.add([job(job_id, State.FOUND, path=path) for job_id, path in paths.items()])
    assert ids(tx.listing.jobs([State.FOUND], "cats", None)) == "ab"
    assert ids(tx.listing.jobs([State.FOUND], "caf\udce9", None)) == "e"
    assert tx.listing.counts("cats") == {State.FOUND: 2}
    assert tx.listing.counts("") == {State.FOUND: 5}
    assert [tx.listing.has_folder(folder) for folder in ("cats", "cats/old", "cat", "")] == [True, True, False, True]


def test_recent_failures_are_those_whose_pair_was_not_dropped_again(tx: Transaction) -> None:
    tx.jobs.add(
        [
            job("a", State.FAILED, 100),
            job("b", State.FAILED, 200),
            job("c", State.FAILED, 300, "again.jpg"),
            job("d", State.DONE, 400, "again.jpg"),
            job("e", State.FAILED, 300, "sub/again.jpg"),
            job("f", State.FAILED, 500, "twice.jpg"),
            job("g", State.FAILED, 600, "twice.jpg"),
        ]
    )
    assert ids(tx.listing.failures(200, "", None)) == "geb"
    assert ids(tx.listing.failures(200, "", 2)) == "ge"
    assert ids(tx.listing.failures(200, "sub", None)) == "e"


def test_orders_of_one_kind_are_counted_together(tx: Transaction) -> None:
    bought = replace(job("c", State.RENDERING), price=800_000)
    tx.jobs.add(
        [
            job("a", State.READY),
            job("b", State.READY),
            job("d", State.READY, path="cats/d.jpg", size=Aim.AUTO),
            bought,
            replace(bought, id="e"),
            replace(job("f", State.READY), order=None),
        ]
    )
    groups = tx.listing.groups([State.READY, State.RENDERING], "")
    assert sorted(groups, key=lambda each: (each.state, -each.count)) == [
        JobGroup(State.READY, "sora-2", "1280x720", 8, 2, 0),
        *(each for each in groups if each.count == 1),
        JobGroup(State.RENDERING, "sora-2", "1280x720", 8, 2, 1_600_000),
    ]
    assert {(each.model, each.size) for each in groups if each.count == 1} == {("sora-2", "auto"), (None, None)}
    assert tx.listing.groups([State.READY], "cats") == [JobGroup(State.READY, "sora-2", "auto", 8, 1, 0)]
