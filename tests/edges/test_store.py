"""The state: what is written is all there after a commit, or none of it, and belongs to one daemon at a time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from sorawatch.core.batches import WAITS, Batch, Recent, Share
from sorawatch.core.budget import Exclusion
from sorawatch.core.command import Command
from sorawatch.core.job import FINAL, Charged, Job, Pair, Stamp, State
from sorawatch.core.lifecycle import retry
from sorawatch.core.order import Aim, Fit, Focus, Order, Point, Size
from sorawatch.core.purchase import PurchaseClosed, Standing, VideoKnown
from sorawatch.edges.store import LEASE_MS, Database, LeaseLost, PostgresDatabase, Spending, Store, Transaction
from sorawatch.edges.store.sqlite import has_safe_wal
from sorawatch.errors import Blocked, UsageError
from tests.support.workspace import wait_until

STATES = Path(__file__).parents[1] / "states"
HORIZON = 1_000_000
ON_POSTGRES = [pytest.mark.slow, pytest.mark.xdist_group("postgres")]
ORDER = Order("waves", "sora-2", Size(1280, 720), 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture(params=["file", pytest.param("database", marks=ON_POSTGRES)])
def where(request: pytest.FixtureRequest, path: Path) -> Path | Database:
    """Who keeps the state: everything must hold for either."""
    return path if request.param == "file" else PostgresDatabase(request.getfixturevalue("database"))


class OfAFile:
    """What only a state file has."""

    @pytest.fixture
    def where(self, path: Path) -> Path:
        return path


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    """Opens states as one daemon or another, and closes them in the end."""
    stores: list[Store] = []

    def open_it(where: Path | Database, owner: str = "one") -> Store:
        stores.append(Store.create_or_open(where, owner)[0])
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(where: Path | Database, opened: Callable[..., Store]) -> Store:
    return opened(where)


def job(job_id: str = "aaaaaaaa", state: State = State.FOUND, **fields: Any) -> Job:
    given: dict[str, Any] = {"created_at": 1, "due_at": 1, "changed_at": 1, "order": ORDER, "digest": "d" * 64} | fields
    return Job(job_id, state, given.pop("pair", Pair("", f"{job_id}.jpg", Stamp(9, 9))), **given)


def add(store: Store, *jobs: Job) -> None:
    with store.transaction() as tx:
        tx.jobs.add(jobs)


def claimed(store: Store, *states: State, limit: int = 10, lease: int = LEASE_MS) -> list[str]:
    store.lease_ms = lease
    try:
        with store.transaction() as tx:
            return [each.id for each in tx.claims.take(states or [State.FOUND], limit, HORIZON)]
    finally:
        store.lease_ms = LEASE_MS


def saved(store: Store, job_id: str) -> Job:
    with store.transaction() as tx:
        found = tx.jobs.get(job_id)
    assert found is not None
    return found


def hasten_and_save(tx: Transaction, after: Job) -> None:
    tx.claims.retry_now()
    tx.jobs.save(after)


def test_what_was_read_ahead_is_given_once_and_never_stale(store: Store) -> None:
    first = job()
    add(store, first)
    writes: list[Callable[[Transaction, Job], object]] = [
        lambda tx, after: tx.jobs.save(after),
        lambda tx, after: tx.jobs.amend(after, first),
        hasten_and_save,
    ]
    for number, write in enumerate(writes, 1):
        with store.transaction() as tx:
            tx.jobs.prefetch([first.id, "missing"])
            write(tx, after := replace(first, attempts=number))
            assert tx.jobs.get(first.id) == after
    with store.transaction() as tx:
        tx.jobs.prefetch([first.id])
        assert tx.jobs.get(first.id) == after
        tx.jobs.save(first, after)
        assert tx.jobs.get(first.id) == first


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = st.binary(min_size=1, max_size=20).filter(lambda name: not {0, ord("/")} & {*name}).map(os.fsdecode)
big = st.integers(-(2**63), 2**63 - 1)
small = st.integers(0, 2**31 - 1)
stamps = st.builds(Stamp, st.integers(0, 2**63 - 1), big)
sizes = st.builds(Size, st.integers(1, 8192), st.integers(1, 8192)) | st.sampled_from(Aim)
focuses = st.sampled_from(Focus) | st.builds(Point, st.floats(0, 1), st.floats(0, 1))
orders = st.builds(Order, text, text, sizes, small, st.sampled_from(Fit), st.integers(-1_000_000, 1_000_000), focuses)
pairs = st.one_of(
    st.builds(Pair, names | st.just(""), names, stamps),
    st.builds(Pair, names | st.just("deep/er"), names, stamps, names, stamps),
)
jobs = st.builds(
    Job,
    id=st.text("23456789abcdefgh", min_size=8, max_size=8),
    state=st.sampled_from(State),
    pair=pairs,
    created_at=big,
    due_at=big,
    changed_at=big,
    order=st.none() | orders,
    attempts=small,
    reason=text,
    hint=text,
    obstacle=text,
    digest=st.just("") | st.text("0123456789abcdef", min_size=64, max_size=64),
    note=text,
    price=st.none() | big,
    token=st.none() | st.text("0123456789abcdef", min_size=32, max_size=32),
    submitted_at=st.none() | big,
    lost_at=st.none() | big,
    misses=small,
    losses=small,
    video_id=st.none() | text,
    progress=st.none() | small,
    generations=small,
    charged=st.sampled_from(Charged),
    clip=st.none() | names,
    filed=st.lists(names, max_size=3).map(tuple),
)


class Undone(Exception):
    """Ends a turn that is to leave nothing."""


@contextmanager
def undone(store: Store) -> Iterator[Transaction]:
    """A turn that fails in the end."""
    with contextlib.suppress(Undone), store.transaction() as tx:
        yield tx
        raise Undone


class TestJobs:
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(first=jobs, second=jobs)
    def test_any_job_comes_back_as_it_was_written(self, store: Store, first: Job, second: Job) -> None:
        second = replace(second, id=first.id)
        with undone(store) as tx:
            tx.jobs.add([first])
            assert tx.jobs.get(first.id) == first
            tx.jobs.save(second)
            assert tx.jobs.get(first.id) == second
            tx.jobs.amend(first, second)
            assert tx.jobs.in_states([first.state]) == [first]
            waited = replace(first, due_at=second.due_at, progress=second.progress, reason=second.reason)
            for before, after in [(first, waited), (waited, second)]:
                tx.jobs.save(after, before)
                assert tx.jobs.get(first.id) == after

    def test_words_that_are_no_text_are_kept_readable(self, store: Store) -> None:
        add(store, job(reason="b\udcffach.jpg: gone\0"))
        assert saved(store, "aaaaaaaa").reason == r"b\udcffach.jpg: gone\x00"

    def test_jobs_come_oldest_first(self, store: Store) -> None:
        add(store, job("b", created_at=2), job("c", created_at=1), job("a", created_at=2))
        with store.transaction() as tx:
            assert [each.id for each in tx.jobs.in_states({State.FOUND})] == ["c", "a", "b"]
            assert tx.jobs.in_states([]) == []

    def test_the_latest_come_latest_first(self, store: Store) -> None:
        add(store, *(job(str(number), State.DONE, changed_at=number) for number in range(5)))
        with store.transaction() as tx:
            assert [each.id for each in tx.listing.jobs([*FINAL], "", 2)] == ["4", "3"]

    def test_counts(self, store: Store) -> None:
        add(store, job("a"), job("b"), job("c", State.RENDERING), job("d", State.SUBMITTING), job("e", State.DONE))
        with store.transaction() as tx:
            assert tx.jobs.counts() == {State.FOUND: 2, State.RENDERING: 1, State.SUBMITTING: 1, State.DONE: 1}
            assert tx.jobs.count(State.FOUND) == 2
            assert tx.jobs.in_flight() == 2

    def test_history_tells_every_state_every_attempt_and_every_new_reason(self, store: Store) -> None:
        first = job()
        ready = replace(first, state=State.READY)
        waiting = replace(ready, reason="waits")
        add(store, first)
        with store.transaction() as tx:
            tx.jobs.save(ready, first)
            tx.jobs.save(waiting, ready)
            tx.jobs.save(replace(waiting, attempts=1), waiting)
            tx.jobs.save(replace(waiting, due_at=9, progress=5), waiting)
            told = [(event.state, event.reason) for event in tx.jobs.history(first.id)]
            assert all(event.at == tx.now for event in tx.jobs.history(first.id)[1:])
        assert told == [(State.FOUND, ""), (State.READY, ""), (State.READY, "waits"), (State.READY, "waits")]

    def test_only_what_ended_long_ago_is_forgotten_and_nothing_that_was_bought(self, store: Store) -> None:
        add(
            store,
            job("failed", State.FAILED, changed_at=1, token="t"),
            job("done", State.DONE, changed_at=5),
            job("recent", State.CANCELLED, changed_at=20),
            job("held", State.HELD, changed_at=1),
        )
        with store.transaction() as tx:
            tx.purchases.add(saved_in(tx, "failed"))
        with store.transaction() as tx:
            assert tx.jobs.prune(before=5, delivered_before=5, limit=5) == 1
            assert {each.id for each in tx.jobs.in_states({*State})} == {"done", "recent", "held"}
            assert (tx.jobs.history("failed"), len(tx.jobs.history("done"))) == ([], 1)
            assert tx.purchases.has("t")
            assert tx.jobs.prune(before=10, delivered_before=10, limit=5) == 1
            assert tx.jobs.prune(before=100, delivered_before=100, limit=0) == 0
            assert tx.jobs.prune(before=10, delivered_before=10, limit=5) == 0


class TestFind:
    @pytest.fixture(autouse=True)
    def _jobs(self, store: Store) -> None:
        add(
            store,
            job("abcd2345", pair=Pair("", "beach.jpg", Stamp(1, 1)), created_at=1),
            job("abce2345", pair=Pair("", "beach.jpg", Stamp(2, 2)), created_at=2),
            job(
                "abc",
                pair=Pair("sub", "b\udcff.jpg", Stamp(1, 1), "b\udcff.yaml", Stamp(1, 1)),
                filed=("b\udcff (2).jpg", "b\udcff (2).yaml"),
                clip="sub/b\udcff (2).mp4",
            ),
        )

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("abcd2345", "abcd2345"),
            ("abcd", "abcd2345"),
            ("abc", "abc"),
            ("", None),
            ("%", None),
            ("_bcd", None),
            ("\udcff", None),
            ("x" * 300, None),
        ],
    )
    def test_a_job_is_found_by_the_start_of_its_id(self, store: Store, words: str, found: str | None) -> None:
        with store.transaction() as tx:
            assert [meant.id for meant in tx.jobs.starting_with(words)] == ([found] if found else [])

    def test_all_jobs_whose_id_starts_so(self, store: Store) -> None:
        with store.transaction() as tx:
            assert [meant.id for meant in tx.jobs.starting_with("ab")] == ["abc", "abcd2345", "abce2345"]

    @pytest.mark.parametrize(
        ("folder", "name", "found"),
        [
            ("", "beach.jpg", ["abce2345", "abcd2345"]),
            ("sub", "b\udcff.jpg", ["abc"]),
            ("sub", "b\udcff.yaml", ["abc"]),
            ("", "b\udcff.yaml", []),
            ("sub", "%", []),
        ],
    )
    def test_a_job_is_found_by_its_files(self, store: Store, folder: str, name: str, found: list[str]) -> None:
        with store.transaction() as tx:
            assert [meant.id for meant in tx.jobs.of_file(folder, name)] == found

    def test_a_job_is_found_by_the_names_of_its_filed_pair(self, store: Store) -> None:
        with store.transaction() as tx:
            assert [meant.id for meant in tx.jobs.filed_as("sub", "b\udcff (2).jpg")] == ["abc"]
            assert tx.jobs.filed_as("", "b\udcff (2).jpg") == tx.jobs.filed_as("sub", "b") == []

    def test_a_job_is_found_by_its_clip(self, store: Store) -> None:
        with store.transaction() as tx:
            assert [meant.id for meant in tx.jobs.with_clip("sub/b\udcff (2).mp4")] == ["abc"]
            assert tx.jobs.with_clip("b\udcff (2).mp4") == []


def test_paid_jobs_are_claimed_as_they_became_due(store: Store) -> None:
    """Whatever their priority and age: the first few would be polled again and again, and the others never."""
    add(
        store,
        job("a", State.RENDERING, created_at=1, due_at=30, order=replace(ORDER, priority=9)),
        job("b", State.RENDERING, created_at=2, due_at=10),
        job("c", State.RENDERING, created_at=3, due_at=20),
    )
    with store.transaction() as tx:
        assert [each.id for each in tx.claims.take([State.RENDERING], 2, HORIZON)] == ["b", "c"]
        assert [each.id for each in tx.claims.take([State.RENDERING], 2, HORIZON)] == ["a"]


def test_jobs_of_another_account_are_left_to_daemons_that_have_its_key_for_a_minute(store: Store) -> None:
    with store.transaction() as tx:
        now = tx.now
    add(
        store,
        job("a", State.RENDERING, due_at=now, account="another"),
        job("b", State.RENDERING, due_at=now - 120_000, account="another"),
        job("c", State.RENDERING, due_at=now, account="ours"),
        job("d", State.RENDERING, due_at=now),
    )
    with undone(store) as tx:
        found = [each.id for each in tx.claims.take([State.RENDERING], 9, HORIZON, account="ours")]
        assert found == ["b", "c", "d"]
    with store.transaction() as tx:
        assert [each.id for each in tx.claims.take([State.RENDERING], 9, HORIZON)] == ["b", "a", "c", "d"]


class TestTransaction:
    def test_a_turn_that_fails_leaves_nothing(self, store: Store) -> None:
        add(store, job("a"))
        with undone(store) as tx:
            tx.jobs.add([job("b")])
            tx.claims.take([State.FOUND], 1, HORIZON)
            tx.jobs.save(replace(saved_in(tx, "a"), state=State.READY))
            tx.purchases.add(job("a", token="t", price=5))
            tx.commands.add(Command("pause"))
            tx.key_values.write("paused", {"since": 1})
        with store.transaction() as tx:
            assert tx.jobs.counts() == {State.FOUND: 1}
            assert len(tx.jobs.history("a")) == 1
            assert (tx.spending.spent(0), tx.commands.take(), tx.key_values.read("paused")) == (0, [], None)
        assert claimed(store) == ["a"]


class TestTransactionInAFile(OfAFile):
    def test_a_killed_process_leaves_what_it_committed_and_nothing_more(
        self, path: Path, opened: Callable[..., Store]
    ) -> None:
        code = f"""
import os
from pathlib import Path
from tests.edges.test_store import job
from sorawatch.edges.store import Store
store, _ = Store.create_or_open(Path({str(path)!r}), "one")
with store.transaction() as tx:
    tx.jobs.add([job("committed")])
with store.transaction() as tx:
    tx.jobs.add([job(str(number), note="x" * 5000) for number in range(2000)])
    os._exit(9)
"""
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
        reading = Store.open_for_reading(path)
        with reading.transaction() as tx:
            assert [each.id for each in tx.jobs.in_states(State)] == ["committed"]
        reading.close()
        assert [each.id for each in jobs_of(opened(path))] == ["committed"]

    def test_the_clock_is_the_databases_in_milliseconds(self, store: Store, path: Path) -> None:
        query = "SELECT strftime('%s', 'now')"
        before = int(sqlite3.connect(path).execute(query).fetchone()[0])
        with store.transaction() as tx:
            now = tx.now
        after = int(sqlite3.connect(path).execute(query).fetchone()[0])
        assert before - 1 <= now / 1000 <= after + 2


def saved_in(tx: Transaction, job_id: str) -> Job:
    found = tx.jobs.get(job_id)
    assert found is not None
    return found


def jobs_of(store: Store) -> list[Job]:
    with store.transaction() as tx:
        return tx.jobs.in_states(State)


class TestClaims:
    def test_a_job_is_claimed_once(self, store: Store, where: Path, opened: Callable[..., Store]) -> None:
        add(store, job("a"))
        assert claimed(store) == ["a"]
        assert claimed(store) == []
        assert claimed(opened(where, "two")) == []

    def test_the_most_urgent_come_first_then_the_oldest(self, store: Store) -> None:
        urgent = replace(ORDER, priority=5)
        add(store, job("a", created_at=3), job("b", created_at=2), job("c", order=urgent, created_at=4), job("d"))
        with store.transaction() as tx:
            assert [each.id for each in tx.claims.candidates([State.FOUND], 3, HORIZON)] == ["c", "d", "b"]
        assert claimed(store, limit=3) == ["c", "d", "b"]
        assert claimed(store) == ["a"]

    def test_folders_take_turns_over_all_transactions_and_daemons(
        self, store: Store, where: Path, opened: Callable[..., Store]
    ) -> None:
        folders = {"anna": 9, "anna/trip": 9, "": 2, "ben": 2}
        for number, (folder, count) in enumerate(folders.items()):
            pair = replace(job().pair, folder=folder)
            add(store, *(job(f"{number}{each}", pair=pair, created_at=number) for each in range(count)))
        stores = [store, opened(where, "two")]
        found = "".join(each[0] for turn in range(12) for each in claimed(stores[turn % 2], limit=1 + turn % 2))
        assert found == "023023" + "0" * 7 + "1" * 5

    def test_a_submit_is_a_turn(self, store: Store) -> None:
        for number, folder in enumerate(["anna", "ben"]):
            pair = replace(job().pair, folder=folder)
            add(store, *(job(f"{number}{each}", State.READY, pair=pair) for each in range(3)))
        found = []
        for _ in range(6):
            with store.transaction() as tx:
                chosen = next(tx.claims.candidates([State.READY], 64, HORIZON))
                tx.claims.took_turn(chosen)
                tx.jobs.save(replace(chosen, state=State.SUBMITTING, token=chosen.id), chosen)
                found.append(chosen.id)
        assert found == ["00", "10", "01", "11", "02", "12"]

    def test_only_what_is_due_and_in_the_state(self, store: Store) -> None:
        with store.transaction() as tx:
            soon, far = tx.now + HORIZON // 2, tx.now + HORIZON * 2
        add(store, job("a", due_at=soon), job("b", State.READY), job("c", due_at=far))
        assert claimed(store) == ["c"]
        with store.transaction() as tx:
            assert tx.claims.next_due([State.FOUND]) == soon
            assert tx.claims.next_due([State.DONE]) is None

    def test_looking_at_what_is_due_claims_nothing(self, store: Store) -> None:
        add(store, job("a"))
        with store.transaction() as tx:
            assert [each.id for each in tx.claims.candidates([State.FOUND], 5, HORIZON)] == ["a"]
        assert claimed(store) == ["a"]

    def test_a_long_queue_is_read_as_far_as_it_is_asked_for(self, store: Store) -> None:
        add(store, *(job(f"{number:04}", created_at=number) for number in range(300)))
        with store.transaction() as tx:
            found = [each.id for each in tx.claims.candidates([State.FOUND], 290, HORIZON)]
        assert found == [f"{number:04}" for number in range(290)]

    def test_a_lapsed_claim_goes_to_another_daemon(
        self, store: Store, where: Path, opened: Callable[..., Store]
    ) -> None:
        add(store, job("a"))
        claimed(store, lease=-1)
        assert claimed(opened(where, "two")) == ["a"]

    def test_a_lapsed_claim_does_not_go_to_its_own_daemon_which_is_still_at_it(self, store: Store) -> None:
        add(store, job("a"))
        claimed(store, lease=-1)
        assert claimed(store) == []

    def test_a_write_after_the_claim_was_lost_is_void(
        self, store: Store, where: Path, opened: Callable[..., Store]
    ) -> None:
        add(store, job("a"))
        other = opened(where, "two")
        claimed(store, lease=-1)
        claimed(other)
        with pytest.raises(LeaseLost), store.transaction() as tx:
            tx.jobs.save(replace(saved_in(tx, "a"), state=State.READY))
        assert saved(store, "a").state is State.FOUND
        with other.transaction() as tx:
            tx.jobs.save(replace(saved_in(tx, "a"), state=State.READY))
        assert saved(store, "a").state is State.READY

    def test_a_write_after_the_claim_lapsed_counts_while_nobody_else_has_it(self, store: Store) -> None:
        add(store, job("a"))
        claimed(store, lease=-1)
        with store.transaction() as tx:
            tx.jobs.save(replace(saved_in(tx, "a"), state=State.READY))
        assert saved(store, "a").state is State.READY

    def test_saving_gives_the_claim_back_or_keeps_it(
        self, store: Store, where: Path, opened: Callable[..., Store]
    ) -> None:
        add(store, job("a"), job("b"))
        claimed(store)
        with store.transaction() as tx:
            tx.jobs.save(saved_in(tx, "a"))
            tx.jobs.save(saved_in(tx, "b"), claim=True)
        assert claimed(opened(where, "two")) == ["a"]

    def test_a_job_that_is_not_there_cannot_be_saved(self, store: Store) -> None:
        with pytest.raises(LeaseLost), store.transaction() as tx:
            tx.jobs.save(job("nowhere"))

    def test_amending_leaves_the_claim(self, store: Store, where: Path, opened: Callable[..., Store]) -> None:
        add(store, job("a"))
        claimed(store)
        with opened(where, "two").transaction() as tx:
            tx.jobs.amend(replace(saved_in(tx, "a"), note="amended"), job("a"))
        assert saved(store, "a").note == "amended"
        assert claimed(opened(where, "three")) == []

    def test_renewing_prolongs_ones_own_claims_only(
        self, store: Store, where: Path, opened: Callable[..., Store]
    ) -> None:
        add(store, job("a"), job("b"))
        other = opened(where, "two")
        claimed(store, limit=1, lease=-1)
        for _ in range(2):
            with store.transaction() as tx:
                tx.claims.renew()
            claimed(other, lease=-1)
        assert claimed(opened(where, "three")) == ["b"]

    def test_releasing_gives_back_ones_own_claim_only(
        self, store: Store, where: Path, opened: Callable[..., Store]
    ) -> None:
        add(store, job("a"))
        other = opened(where, "two")
        claimed(store)
        with other.transaction() as tx:
            tx.claims.release(saved_in(tx, "a"))
        assert claimed(other) == []
        with store.transaction() as tx:
            tx.claims.release(saved_in(tx, "a"))
        assert claimed(other) == ["a"]

    def test_a_daemon_knows_what_it_has_claimed(self, store: Store, where: Path, opened: Callable[..., Store]) -> None:
        add(store, job("a"), job("b"))
        claimed(store, limit=1)
        claimed(opened(where, "two"))
        with store.transaction() as tx:
            assert [each.id for each in tx.claims.own()] == ["a"]

    def test_the_claims_of_a_daemon_that_is_gone_are_voided(
        self, store: Store, where: Path, opened: Callable[..., Store]
    ) -> None:
        add(store, job("a"), job("b", State.SUBMITTING))
        claimed(store)
        store.close()
        other = opened(where, "two")

        def gone() -> set[str]:
            with other.transaction() as tx:
                return tx.peers.absent()

        wait_until(lambda: gone() == {"one"})
        with other.transaction() as tx:
            assert [each.id for each in tx.peers.release_claims({"one"})] == ["b"]
        assert claimed(other) == ["a"]

    @pytest.mark.slow
    @pytest.mark.xdist_group("postgres")
    def test_the_claims_of_a_daemon_that_is_there_stand(self, database: str, opened: Callable[..., Store]) -> None:
        one, two = (opened(PostgresDatabase(database), name) for name in ("one", "two"))
        add(one, job("a"))
        claimed(one)
        with two.transaction() as tx:
            assert tx.peers.absent() == set()
            assert len(tx.peers.status_keys()) == 2


class TestMoney:
    def buy(self, store: Store, token: str, price: int | None, standing: Standing = Standing.OPEN) -> Job:
        bought = job(token, State.SUBMITTING, token=token, price=price, submitted_at=10**12)
        with store.transaction() as tx:
            tx.jobs.add([bought])
            tx.purchases.add(bought)
            tx.purchases.close(token, standing)
        return bought

    def test_what_is_open_or_spent_counts_and_what_was_released_does_not(self, store: Store) -> None:
        self.buy(store, "a", 1_000_000)
        self.buy(store, "b", 20_000, Standing.SPENT)
        self.buy(store, "c", 300, Standing.RELEASED)
        self.buy(store, "d", None)
        with store.transaction() as tx:
            assert tx.spending.spent(0) == 1_020_000
            assert tx.spending.spent(tx.now + 1) == 0

    def test_nothing_spent_is_zero(self, store: Store) -> None:
        with store.transaction() as tx:
            assert tx.spending.spent(0) == tx.spending.spent(0, "cats") == 0

    def test_a_folder_counts_with_all_below_it_whatever_the_bytes_of_its_name(self, store: Store) -> None:
        folders = ["", "cats", "cats/old", "cats0", "cats-and-dogs", "c", "ca\udcffts", "ca\udcffts/%"]
        with store.transaction() as tx:
            for power, folder in enumerate(folders):
                pair = replace(job().pair, folder=folder)
                bought = job(f"{power:08}", State.SUBMITTING, pair=pair, token=str(power), price=10**power)
                tx.jobs.add([bought])
                tx.purchases.add(bought)
            assert tx.spending.spent(0) == 11_111_111
            assert (tx.spending.spent(0, "cats"), tx.jobs.in_flight("cats")) == (110, 2)
            assert (tx.spending.spent(0, "ca\udcffts"), tx.jobs.in_flight("ca\udcffts")) == (11_000_000, 2)

    def test_shut_folders_are_passed_over(self, store: Store) -> None:
        with store.transaction() as tx:
            for number, folder in enumerate(["cats", "cats/old", "dogs"]):
                tx.jobs.add([job(f"{number:08}", State.READY, pair=replace(job().pair, folder=folder))])
            assert [
                each.pair.folder for each in tx.claims.candidates([State.READY], 9, HORIZON, [Exclusion("cats")])
            ] == ["dogs"]
            assert tx.jobs.count(State.READY, [Exclusion("cats/old")]) == 2
            assert tx.jobs.counts(excluded=[Exclusion("cats")]) == {State.READY: 1}
            assert tx.jobs.counts(excluded=[Exclusion()]) == {}
            claimed = tx.claims.take([State.READY], 9, HORIZON, [Exclusion("cats/old"), Exclusion("dogs")])
            assert [each.pair.folder for each in claimed] == ["cats"]

    def test_models_are_passed_over_by_themselves(self, store: Store) -> None:
        with store.transaction() as tx:
            for number, model in enumerate(["sora-2", "wan", "sora-2"]):
                named = replace(ORDER, model=model)
                pair = replace(job().pair, folder=("cats", "cats", "dogs")[number])
                tx.jobs.add([job(f"{number:08}", State.READY, order=named, pair=pair)])
            without = [Exclusion(models=("sora-2",))]
            assert [each.id for each in tx.claims.candidates([State.READY], 9, HORIZON, without)] == ["00000001"]
            assert tx.jobs.count(State.READY, [Exclusion("cats", ("sora-2",))]) == 2

    def test_what_is_told_of_it(self, store: Store) -> None:
        under_way = self.buy(store, "under way", 100)
        lost, made = self.buy(store, "lost", 20), self.buy(store, "made", 3)
        self.buy(store, "failed", 10**6, Standing.RELEASED)
        with store.transaction() as tx:
            tx.jobs.save(replace(lost, state=State.HELD))
            tx.jobs.save(replace(made, state=State.DONE, clip="made.mp4"))
            tx.purchases.close("made", Standing.SPENT, "made.mp4")
            assert tx.spending.summary(0) == Spending(spent=23, reserved=100, clips=1)
            assert tx.spending.summary(tx.now + 1) == Spending()
            entries = {entry.job_id: entry for entry in tx.spending.purchases(0, tx.now + 1)}
            assert {name: entry.reserved for name, entry in entries.items()} == {
                "under way": True, "lost": False, "made": False,
            }  # fmt: skip
            told = entries[under_way.id]
            assert (told.image, told.model, told.size, told.seconds) == (under_way.pair.image, "sora-2", "1280x720", 8)
            assert entries["made"].clip == "made.mp4"

    def test_a_token_buys_once(self, store: Store) -> None:
        bought = self.buy(store, "a", 5)
        with pytest.raises(sa.exc.IntegrityError), store.transaction() as tx:
            tx.purchases.add(bought)
        with store.transaction() as tx:
            assert tx.purchases.has("a")
            assert not tx.purchases.has("b")

    def test_purchases_of_exactly_this_order(self, store: Store) -> None:
        bought = self.buy(store, "a", 5)
        with store.transaction() as tx:
            tx.purchases.set_video("a", "video_1")
            (purchase,) = tx.purchases.of_order(job("z"))
            assert (purchase.token, purchase.job_id, purchase.micros) == ("a", bought.id, 5)
            assert (purchase.standing, purchase.video_id, purchase.at <= tx.now) == (Standing.OPEN, "video_1", True)
            assert tx.purchases.of_order(job("z", digest="e" * 64)) == []
            assert tx.purchases.of_order(job("z", order=replace(ORDER, fit=Fit.PAD))) == []

    def test_rivals_are_open_submits_that_a_list_could_not_tell_apart(self, store: Store) -> None:
        mine = self.buy(store, "mine", 5)
        self.buy(store, "rival", 5)
        self.buy(store, "released", 5, Standing.RELEASED)
        self.buy(store, "known", 5)
        with store.transaction() as tx:
            tx.purchases.set_video("known", "video_1")
            assert [rival.token for rival in tx.purchases.rivals(mine)] == ["rival"]
            assert [rival.token for rival in tx.purchases.rivals(replace(mine, token=None))] == ["mine", "rival"]
            assert tx.purchases.rivals(replace(mine, order=replace(ORDER, seconds=4))) == []
            assert tx.purchases.rivals(replace(mine, submitted_at=tx.now + 2 * 86_400_000)) == []
            assert tx.purchases.known_videos(["video_1", "video_2"]) == {"video_1"}
            assert tx.purchases.known_videos([]) == set()
            assert tx.purchases.known_videos(f"video_{number}" for number in range(5000)) == {"video_1"}

    def test_a_twin_that_is_being_submitted(self, store: Store) -> None:
        self.buy(store, "a", 5)
        with store.transaction() as tx:
            assert tx.orders.is_being_submitted(job("z"))
            assert not tx.orders.is_being_submitted(job("a"))
            assert not tx.orders.is_being_submitted(job("z", order=replace(ORDER, prompt="hills")))

    @pytest.mark.parametrize(
        ("state", "token", "changed_at", "same"),
        [
            (State.RENDERING, "t", 1, True),
            (State.SUBMITTING, "t", 1, True),
            (State.HELD, "t", 1, True),
            (State.HELD, None, 1, False),
            (State.DONE, "t", 100, True),
            (State.DONE, "t", 99, False),
            (State.READY, None, 100, False),
            (State.FAILED, "t", 100, False),
            (State.REJECTED, "t", 100, False),
        ],
    )
    def test_another_job_of_the_same_order(
        self, store: Store, state: State, token: str | None, changed_at: int, same: bool
    ) -> None:
        add(store, job("a", state, token=token, changed_at=changed_at))
        with store.transaction() as tx:
            assert (tx.orders.same(job("z"), since=100) is not None) == same
            assert tx.orders.same(job("a"), since=100) is None
            assert tx.orders.same(job("z", digest="e" * 64), since=100) is None


class TestCommandsAndNotes:
    def test_wishes_are_taken_once_in_their_order(
        self, store: Store, where: Path, opened: Callable[..., Store]
    ) -> None:
        with opened(where, "command line").transaction() as tx:
            tx.commands.add(Command("retry", "a"))
            tx.commands.add(Command("adopt", "b", "video_\udcff"))
            tx.commands.add(Command("pause"))
        with store.transaction() as tx:
            first, second, third = tx.commands.take()
        assert first == Command("retry", "a")
        assert (second.argument, third.verb) == (r"video_\udcff", "pause")
        with store.transaction() as tx:
            assert tx.commands.take() == []

    def test_wishes_of_a_turn_that_failed_are_still_there(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.commands.add(Command("pause"))
        with undone(store) as tx:
            tx.commands.take()
        with store.transaction() as tx:
            assert [wish.verb for wish in tx.commands.take()] == ["pause"]

    @pytest.mark.parametrize("value", [1, "text", [1, {"b": None}], {"name": "b\udcff\0"}, False, ""])
    def test_a_note_is_kept_replaced_and_forgotten(self, store: Store, value: Any) -> None:
        with store.transaction() as tx:
            assert tx.key_values.read("key") is None
            tx.key_values.write("key", "before")
            tx.key_values.write("key", value)
        with store.transaction() as tx:
            assert tx.key_values.read("key") == value
            tx.key_values.write("key", None)
            assert tx.key_values.read("key") is None


class TestOpening:
    def test_a_state_is_new_once(self, path: Path) -> None:
        for expected in (True, False):
            store, fresh = Store.create_or_open(path, "one")
            store.close()
            assert fresh is expected

    def test_an_empty_file_is_no_state_yet(self, path: Path) -> None:
        path.touch()
        with pytest.raises(UsageError, match="there is no state at"):
            Store.open_for_reading(path)
        store, fresh = Store.create_or_open(path, "one")
        store.close()
        assert fresh

    @pytest.mark.parametrize("name", ["a ? b#c%41.db", "ümlaut &=.db", "byte\udcff.db", ":memory:"])
    def test_any_path(self, tmp_path: Path, opened: Callable[..., Store], name: str) -> None:
        add(opened(tmp_path / name), job("a"))
        reading = Store.open_for_reading(tmp_path / name)
        assert [each.id for each in jobs_of(reading)] == ["a"]
        reading.close()
        assert (tmp_path / name).stat().st_size > 0

    def test_a_relative_path_stays_where_it_was(
        self, tmp_path: Path, opened: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        add(opened(Path("state.db")), job("a"))
        assert (tmp_path / "state.db").stat().st_size > 0

    def test_the_state_of_an_older_version_is_brought_up_to_date_by_whoever_may_write(self, path: Path) -> None:
        store, _ = Store.create_or_open(path, "one")
        done = job("a", State.DONE, token="a", price=7, clip="clip \udcff.mp4")
        with store.transaction() as tx:
            tx.jobs.add([done])
            tx.purchases.add(done)
        store.close()
        with closing(sqlite3.connect(path)) as older:
            packed_indexes = ("open_purchases_by_likeness", "packed_jobs", "packed_jobs_by_end")
            newer = ("jobs_by_turn", "jobs_by_creation", "jobs_awaiting_approval", "jobs_by_batch")
            for index in (*newer, "jobs_by_take", "jobs_by_reference", "purchases_by_reference", *packed_indexes):
                older.execute(f"DROP INDEX {index}")
            older.execute("DROP TABLE turns")
            batches = ("top", "expected_price", "batch", "awaits_approval", "approved_at")
            added = (*batches, "losses", "obstacle", "take", "reference_key", "reference_digest")
            latest = ("account", "publishing", "publishing_digest", "fields")
            for column in (*added, *latest, "reorders", "lost_reason", "witness_until", "retry_state", "unwatched_ms"):
                older.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
            packed = ("packed_job", "ended_at", "image_size")
            for column in ("folder", "image", "model", "size", "seconds", "clip", "take", "reference_key", *packed):
                older.execute(f"ALTER TABLE purchases DROP COLUMN {column}")
            older.execute("UPDATE notes SET value = '1' WHERE key = 'schema'")
            older.execute("INSERT INTO notes VALUES ('pace', '17')")
            older.commit()
        with pytest.raises(UsageError, match=r"an older sorawatch\. `sorawatch run` brings it up to date"):
            Store.open_for_reading(path)
        store, fresh = Store.create_or_open(path, "one")
        assert not fresh
        with store.transaction() as tx:
            assert tx.jobs.in_states(State) == [done]
            (entry,) = tx.spending.purchases(0, tx.now + 1)
            assert (entry.image, entry.clip, entry.micros) == (done.pair.image, "clip \udcff.mp4", 7)
            assert tx.jobs.get("a") == done
        store.close()
        Store.open_for_reading(path).close()

    def test_a_retry_does_with_the_held_jobs_of_an_older_version_what_it_did_there(self, path: Path) -> None:
        """The file was written by the version before, which told from a job's video and attempts what a retry does."""
        with closing(sqlite3.connect(path)) as older:
            older.executescript((STATES / "schema4.sql").read_text())
        store, _ = Store.create_or_open(path, "one")
        with store.transaction() as tx:
            held = {job.id[0]: job for job in tx.jobs.in_states([State.HELD])}
            (rendering,) = tx.jobs.in_states([State.RENDERING])
        store.close()
        assert {name: job.retry_state for name, job in held.items()} == {
            "a": State.UNCERTAIN,  # no list could be had: search again
            "b": State.READY,  # the server has no list: order again
            "c": State.RENDERING,  # the clip could not be downloaded: ask again
        }
        assert {name: (again := retry(job, 0)) and again.state for name, job in held.items()} == {
            name: job.retry_state for name, job in held.items()
        }
        assert "`sorawatch retry aaaaaaaa` looks again" in held["a"].hint
        assert (rendering.retry_state, rendering.unwatched_ms) == (None, 0)

    def test_orders_of_an_older_version_are_known_by_their_shorter_keys(self, path: Path) -> None:
        """The file was written by the version before, which wrote all 256 bits of the keys and packed nothing."""
        with closing(sqlite3.connect(path)) as older:
            older.executescript((STATES / "schema7.sql").read_text())
        store, fresh = Store.create_or_open(path, "one")
        assert not fresh
        for _ in range(2):
            with store.transaction() as tx:
                delivered = tx.jobs.get("aaaaaaaa")
                assert delivered is not None
                again = replace(delivered, id="again", state=State.READY, token=None)
                assert tx.orders.same(again, 0) == delivered
                assert [each.token for each in tx.purchases.of_order(again)] == ["1" * 32]
                assert (delivered.reference_digest, delivered.clip) == ("e" * 64, "cats/beach.mp4")
                assert tx.jobs.counts() == {State.DONE: 1, State.RENDERING: 1}
                packed = tx.jobs.pack(tx.now, 10)
        assert packed == 0
        store.close()

    def test_the_folders_of_an_older_version_take_turns(self, path: Path) -> None:
        """The file was written by the version before, which knew no turns and no batches."""
        with closing(sqlite3.connect(path)) as older:
            older.executescript((STATES / "schema5.sql").read_text())
        store, fresh = Store.create_or_open(path, "one")
        assert not fresh
        with store.transaction() as tx:
            assert tx.jobs.counts(unapproved=False) == {
                State.FOUND: 2,
                State.READY: 2,
                State.RENDERING: 1,
                State.DONE: 1,
            }
            ready = [job.pair.path for job in tx.claims.candidates([State.READY], 9, HORIZON)]
            claimed = [job.pair.path for job in tx.claims.take([State.FOUND], 9, HORIZON)]
        store.close()
        assert ready == ["anna/old/c.jpg", "anna/b.jpg"]
        assert claimed == ["a.jpg", os.fsdecode(b"tr\xfcb/1/2/d.jpg")]
        Store.open_for_reading(path).close()

    @pytest.mark.parametrize("opening", [lambda path: Store.create_or_open(path, "one"), Store.open_for_reading])
    class TestRefused:
        def test_what_is_no_database(self, path: Path, opening: Callable[[Path], object]) -> None:
            path.write_bytes(b"nonsense" * 1000)
            with pytest.raises(UsageError, match=r"state\.db is damaged: file is not a database"):
                opening(path)
            assert path.read_bytes() == b"nonsense" * 1000

        def test_a_damaged_state(self, path: Path, opening: Callable[[Path], object]) -> None:
            Store.create_or_open(path, "one")[0].close()
            data = bytearray(path.read_bytes())
            data[100:4096] = os.urandom(3996)
            path.write_bytes(data)
            with pytest.raises(UsageError, match=r"state\.db is damaged"):
                opening(path)
            assert path.read_bytes() == data

        @pytest.mark.parametrize("table", ["things (a)", "notes (id, body)", "notes (key, value)", "jobs (id)"])
        def test_the_database_of_another_program(
            self, path: Path, opening: Callable[[Path], object], table: str
        ) -> None:
            other = sqlite3.connect(path)
            other.execute(f"CREATE TABLE {table}")
            other.commit()
            other.close()
            before = path.read_bytes()
            with pytest.raises(UsageError, match="is a database, but not one of sorawatch"):
                opening(path)
            assert path.read_bytes() == before

        def test_the_state_of_a_newer_version(self, path: Path, opening: Callable[[Path], object]) -> None:
            store, _ = Store.create_or_open(path, "one")
            with store.transaction() as tx:
                tx.key_values.write("schema", 99)
            store.close()
            with pytest.raises(UsageError, match=r"newer sorawatch \(schema 99\)"):
                opening(path)

    def test_there_must_be_something_to_read(self, path: Path) -> None:
        with pytest.raises(UsageError, match=r"there is no state at .*state\.db yet"):
            Store.open_for_reading(path)
        assert not path.exists()

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(Blocked, match="unable to open database file") as caught:
            Store.create_or_open(tmp_path / "gone" / "state.db", "one")
        assert "folder exists" in caught.value.hint

    @pytest.mark.parametrize(
        ("version", "safe"),
        [
            ((3, 40, 1), False),
            ((3, 44, 5), False),
            ((3, 44, 6), True),
            ((3, 45, 0), False),
            ((3, 50, 6), False),
            ((3, 50, 7), True),
            ((3, 51, 2), False),
            ((3, 51, 3), True),
            ((4, 0, 0), True),
        ],
    )
    def test_the_write_ahead_log_is_used_only_where_it_cannot_damage_the_state(
        self, version: tuple[int, int, int], safe: bool
    ) -> None:
        assert has_safe_wal(version) is safe


class TestReading(OfAFile):
    def test_a_reader_sees_what_was_committed_while_a_writer_is_at_work(self, store: Store, path: Path) -> None:
        add(store, job("a"))
        with store.transaction() as tx:
            tx.jobs.add([job("b")])
            reading = Store.open_for_reading(path)
            assert [each.id for each in jobs_of(reading)] == ["a"]
        assert [each.id for each in jobs_of(reading)] == ["a", "b"]
        reading.close()

    def test_a_reader_waits_for_a_commit(self, store: Store, path: Path) -> None:
        add(store, job("a"))
        writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        writer.execute("PRAGMA locking_mode=EXCLUSIVE")
        writer.execute("BEGIN EXCLUSIVE")
        letting_go = threading.Timer(0.3, writer.close)
        letting_go.start()
        reading = Store.open_for_reading(path)
        assert [each.id for each in jobs_of(reading)] == ["a"]
        reading.close()
        letting_go.join()

    def test_a_writer_waits_for_another(self, store: Store, path: Path, opened: Callable[..., Store]) -> None:
        other = opened(path, "command line")
        began = threading.Event()

        def write() -> None:
            began.set()
            add(other, job("b"))

        with store.transaction() as tx:
            writing = threading.Thread(target=write)
            writing.start()
            began.wait()
            tx.jobs.add([job("a")])
        writing.join()
        assert {each.id for each in jobs_of(store)} == {"a", "b"}

    def test_a_reader_cannot_write(self, store: Store, path: Path) -> None:
        reading = Store.open_for_reading(path)
        with pytest.raises(Blocked, match="readonly"):
            add(reading, job("a"))
        reading.close()

    def test_what_another_process_wrote_is_noticed_once(
        self, store: Store, path: Path, opened: Callable[..., Store]
    ) -> None:
        other = opened(path, "command line")
        store.was_written_by_others()
        add(store, job("a"))
        assert not store.was_written_by_others()
        jobs_of(other)
        assert not store.was_written_by_others()
        add(other, job("b"))
        assert store.was_written_by_others()
        assert not store.was_written_by_others()

    def test_a_state_that_cannot_be_asked_counts_as_touched(self, store: Store, path: Path) -> None:
        store.was_written_by_others()
        path.write_bytes(b"nonsense" * 1000)
        assert store.was_written_by_others()
        with pytest.raises(UsageError, match="damaged"):
            jobs_of(store)


class TestTrouble(OfAFile):
    def test_a_full_disk_blocks_and_goes_on_when_there_is_room(
        self, mount: Callable[[str], Path], opened: Callable[..., Store]
    ) -> None:
        disk = mount("size=1m")
        store = opened(disk / "state.db")
        add(store, job("a"))
        (disk / "ballast").write_bytes(bytes(700_000))
        more = [job(str(number), note="x" * 1000) for number in range(1000)]
        with pytest.raises(Blocked, match="full") as caught:
            add(store, *more)
        assert caught.value.hint == "Make room on its disk."
        assert [each.id for each in jobs_of(store)] == ["a"]
        (disk / "ballast").unlink()
        add(store, job("b"))
        assert [each.id for each in jobs_of(store)] == ["a", "b"]

    def test_a_read_only_disk_blocks(
        self, mount: Callable[[str], Path], remount: Callable[[Path, str], None], opened: Callable[..., Store]
    ) -> None:
        disk = mount("size=1m")
        Store.create_or_open(disk / "state.db", "one")[0].close()
        remount(disk, "ro")
        store = opened(disk / "state.db")
        with pytest.raises(Blocked, match="readonly") as caught:
            add(store, job("a"))
        assert "Let sorawatch's user write it" in caught.value.hint
        reading = Store.open_for_reading(disk / "state.db")
        assert jobs_of(reading) == []
        reading.close()

    @pytest.mark.parametrize("fate", [Path.unlink, lambda path: path.rename(path.with_name("away.db"))])
    def test_a_state_that_loses_its_name_is_written_no_more(
        self, store: Store, path: Path, fate: Callable[[Path], object]
    ) -> None:
        add(store, job("a"))
        fate(path)
        with pytest.raises(Blocked, match="was removed or replaced while in use"):
            add(store, job("b"))

    def test_a_state_put_back_goes_on(self, store: Store, path: Path) -> None:
        path.rename(path.with_name("away.db"))
        path.write_bytes(b"something else")
        with pytest.raises(Blocked):
            add(store, job("a"))
        path.with_name("away.db").rename(path)
        add(store, job("a"))
        assert [each.id for each in jobs_of(store)] == ["a"]

    def test_faults_of_our_own_are_not_taken_for_the_disks(self, store: Store) -> None:
        add(store, job("a"))
        with pytest.raises(sa.exc.IntegrityError):
            add(store, job("a"))


class TestBatches:
    """The decisions are those of `core/batches.py`; here it is what is written and found."""

    @staticmethod
    def several(store: Store, **folders: int) -> None:
        """Jobs that were added a moment ago, for 10 each, with the folder's first letter and a number as id."""
        with store.transaction() as tx:
            for folder, count in folders.items():
                pair = replace(job().pair, folder=folder)
                names = [f"{folder[0]}{number}" for number in range(count)]
                tx.jobs.add([job(name, pair=pair, created_at=tx.now) for name in names])
                assert {each.id for each in tx.batches.uncounted(tx.now - 1000)} >= {*names}
                tx.batches.write_prices(dict.fromkeys(names, 10))
            assert tx.batches.uncounted(tx.now - 1000) == []

    def test_those_that_were_not_sent_wait_and_are_not_claimed(self, store: Store) -> None:
        self.several(store, anna=2, ben=1)
        with store.transaction() as tx:
            sent = saved_in(tx, "a0")
            tx.jobs.save(replace(sent, state=State.SUBMITTING, token="t"), sent)
            assert tx.batches.recent(tx.now - 60_000) == Recent(30, has_waiting=False)
            assert tx.batches.recent(tx.now) == Recent(0, has_waiting=False)
            tx.batches.put_together(tx.now - 60_000)
            assert tx.batches.recent(tx.now - 60_000) == Recent(30, has_waiting=True)
            (batch,) = tx.batches.waiting()
            assert batch == Batch(1, {"anna": Share(1, 10), "ben": Share(1, 10)}, 30)
            assert saved_in(tx, "a1").reason == tx.jobs.history("a1")[-1].reason == WAITS
            assert tx.jobs.counts(unapproved=False) == {State.SUBMITTING: 1}
            assert tx.jobs.count(State.FOUND) == 0
            assert [*tx.claims.candidates([State.FOUND], 9, HORIZON)] == []
        assert claimed(store) == []

    def test_later_ones_join_and_a_new_batch_has_a_new_number(self, store: Store) -> None:
        self.several(store, anna=1)
        with store.transaction() as tx:
            tx.batches.put_together(0)
        self.several(store, ben=1)
        with store.transaction() as tx:
            tx.batches.put_together(0)
            assert [(batch.number, batch.waiting) for batch in tx.batches.waiting()] == [(1, Share(2, 20))]
            tx.batches.approve("", tx.now)
        self.several(store, carla=1)
        with store.transaction() as tx:
            tx.batches.put_together(0)
            assert [(batch.number, batch.waiting) for batch in tx.batches.waiting()] == [(2, Share(1, 10))]

    def test_an_approval_is_for_a_folder_and_for_what_was_there(self, store: Store) -> None:
        self.several(store, anna=2, banna=1)
        with store.transaction() as tx:
            tx.batches.put_together(0)
            early = tx.now - 3_600_000
            tx.batches.approve("anna", early)
            assert tx.batches.awaiting("anna") == Share(2, 20)
            tx.batches.approve("anna", tx.now)
            assert (tx.batches.awaiting("anna"), tx.batches.awaiting("")) == (Share(), Share(1, 10))
            assert tx.batches.recent(0) == Recent(10, has_waiting=True)
            (batch,) = tx.batches.waiting()
            assert batch.micros == 30, "what is approved still belongs to it"
            assert (saved_in(tx, "a0").reason, tx.jobs.history("a0")[-1].reason) == (
                "",
                "approved with `sorawatch approve`",
            )
        assert claimed(store) == ["a0", "a1"]

    def test_what_is_given_up_no_longer_counts_and_is_archived(self, store: Store) -> None:
        self.several(store, anna=3)
        with store.transaction() as tx:
            tx.batches.put_together(0)
            for name, state in (("a0", State.CANCELLED), ("a1", State.WITHDRAWN)):
                tx.jobs.save(replace(saved_in(tx, name), state=state))
            (batch,) = tx.batches.waiting()
            assert (batch.micros, batch.waiting) == (10, Share(1, 10))
        assert claimed(store, State.WITHDRAWN) == ["a1"]

    def test_released_ones_are_counted_again(self, store: Store) -> None:
        self.several(store, anna=2)
        with store.transaction() as tx:
            tx.batches.put_together(0)
            tx.batches.release([1])
            assert tx.batches.waiting() == []
            assert tx.batches.recent(0) == Recent(20, has_waiting=False)
        assert claimed(store) == ["a0", "a1"]

    def test_orders_that_cost_nothing_are_left_out(self, store: Store) -> None:
        add(store, job("a"))
        with store.transaction() as tx:
            tx.batches.write_prices({"a": 0})
            assert tx.batches.recent(0) == Recent(0, has_waiting=False)
            tx.batches.put_together(0)
            assert tx.batches.waiting() == []

    def test_a_command_says_when_it_was_given(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.commands.add(Command("approve", argument="anna"))
            given = tx.now
        with store.transaction() as tx:
            (command,) = tx.commands.take()
        assert (command, command.at) == (Command("approve", argument="anna"), given)


class TestDialects(OfAFile):
    """Every statement, as PostgreSQL would be sent it."""

    @pytest.fixture
    def statements(self, store: Store) -> list[str]:
        seen: list[str] = []

        def compile_it(_connection: object, statement: Any, *_rest: object) -> None:
            seen.append(str(statement.compile(dialect=postgresql.dialect())))  # type: ignore[no-untyped-call]

        sa.event.listen(sa.Engine, "before_execute", compile_it)
        try:
            self.everything(store)
        finally:
            sa.event.remove(sa.Engine, "before_execute", compile_it)
        return seen

    @staticmethod
    def everything(store: Store) -> None:
        submitting = job("a", State.SUBMITTING, token="t", price=5, submitted_at=1)
        with store.transaction() as tx:
            tx.jobs.add([job("a")])
            tx.claims.take([State.FOUND], 5, HORIZON)
            tx.claims.take([State.FOUND, State.RENDERING], 5, HORIZON)
            tx.jobs.save(submitting, job("a"), claim=True)
            tx.jobs.amend(submitting, job("a"))
            tx.claims.renew()
            tx.claims.own()
            tx.claims.release(submitting)
            tx.peers.release_claims(tx.peers.absent())
            tx.peers.changed_since(0)
            tx.peers.last_change()
            tx.peers.clear_status()
            tx.purchases.add(submitting)
            tx.purchases.close("t", Standing.SPENT)
            tx.purchases.set_video("t", "video_1")
            tx.commands.add(Command("pause"))
            tx.commands.take()
            for value in (1, 2, None):
                tx.key_values.write("key", value)
            tx.key_values.read("key")
            tx.jobs.get("a")
            tx.jobs.starting_with("a")
            tx.jobs.of_file("", "beach.jpg")
            tx.jobs.filed_as("", "beach.jpg")
            tx.jobs.with_clip("beach.mp4")
            tx.jobs.in_states(State)
            tx.listing.jobs([*FINAL], "", 5)
            tx.jobs.counts()
            tx.jobs.count(State.FOUND)
            tx.jobs.in_flight()
            tx.jobs.history("a")
            [*tx.claims.candidates([State.READY], 5, HORIZON)]
            tx.claims.next_due([State.READY])
            tx.orders.same(submitting, 0)
            tx.orders.is_being_submitted(submitting)
            tx.purchases.of_order(submitting)
            (purchase,) = tx.purchases.all().values()
            tx.purchases.replace(purchase)
            tx.purchases.delivered(submitting, 0)
            tx.orders.has_follower(purchase, submitting)
            tx.orders.under_way(submitting, lambda _: True)
            tx.orders.next_take(submitting)
            tx.orders.take_of(submitting.pair)
            tx.batches.uncounted(0)
            tx.batches.write_prices({"a": 1})
            tx.batches.recent(0)
            tx.batches.put_together(0)
            tx.batches.waiting()
            tx.batches.approve("anna", 0)
            tx.batches.release([1])
            tx.purchases.rivals(submitting)
            tx.purchases.has("t")
            tx.purchases.known_videos(["video_1"])
            tx.purchases.known_videos([])
            tx.spending.spent(0)

    def test_every_statement_compiles(self, statements: list[str]) -> None:
        assert len(statements) > 35

    def test_claims_skip_the_rows_that_another_daemon_has_locked(self, statements: list[str]) -> None:
        (claim,) = [each for each in statements if each.startswith("WITH due")]
        select, update = claim.split("UPDATE jobs", maxsplit=1)
        assert "FOR UPDATE SKIP LOCKED" in select
        assert "LIMIT" in select
        assert "RETURNING" in update

    def test_wishes_are_read_and_removed_in_one_statement(self, statements: list[str]) -> None:
        assert [each for each in statements if each.startswith("DELETE FROM commands") and "RETURNING" in each]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_two_daemons_never_hold_one_job(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever they do in whatever order, a save counts only for the one that may write."""
    path = tmp_path_factory.mktemp("two") / "state.db"
    stores = {owner: Store.create_or_open(path, owner)[0] for owner in ("one", "two")}
    add(stores["one"], job("a"), job("b"))
    holder: dict[str, tuple[str, bool]] = {}
    steps = st.tuples(
        st.sampled_from(["one", "two"]), st.sampled_from(["claim", "lapsing", "save", "release", "renew"])
    )
    try:
        for owner, step in data.draw(st.lists(steps, max_size=12)):
            if step in {"claim", "lapsing"}:
                free = {name for name in "ab" if name not in holder or (holder[name][1] and holder[name][0] != owner)}
                lapsing = step == "lapsing"
                assert {*claimed(stores[owner], lease=-1 if lapsing else LEASE_MS)} == free
                holder |= dict.fromkeys(free, (owner, lapsing))
            with stores[owner].transaction() as tx:
                if step == "renew":
                    tx.claims.renew()
                    holder |= {name: (owner, False) for name, (who, _) in holder.items() if who == owner}
                if step == "release" and holder.get("a", ("",))[0] == owner:
                    tx.claims.release(saved_in(tx, "a"))
                    del holder["a"]
                if step == "save":
                    who, lapsed = holder.get("a", (owner, True))
                    if who == owner or lapsed:
                        tx.jobs.save(saved_in(tx, "a"))
                        holder.pop("a", None)
                    else:
                        with pytest.raises(LeaseLost):
                            tx.jobs.save(saved_in(tx, "a"))
    finally:
        for store in stores.values():
            store.close()


class TestOrders:
    SENT = job("a", State.RENDERING, token="t", price=5, reference_digest="r" * 64)

    @pytest.fixture(autouse=True)
    def _bought(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.jobs.add([self.SENT])
            tx.purchases.add(self.SENT)

    @pytest.mark.parametrize(("digest", "reference"), [("e", "r"), ("d", "s"), ("d", "r")])
    def test_are_the_same_by_the_picture_or_by_the_reference(self, store: Store, digest: str, reference: str) -> None:
        with store.transaction() as tx:
            tx.purchases.close("t", Standing.SPENT, "a.mp4")
            like = job("z", digest=digest * 64, reference_digest=reference * 64)
            assert tx.orders.same(like, since=0) is not None
            (purchase,) = tx.purchases.of_order(like)
            assert tx.purchases.delivered(like, since=purchase.at) == purchase
            assert tx.purchases.delivered(like, since=purchase.at + 1) is None
            other = job("z", digest="e" * 64, reference_digest="s" * 64)
            assert (tx.orders.same(other, since=0), tx.purchases.of_order(other)) == (None, [])

    def test_without_a_known_reference_are_told_by_the_picture_alone(self, store: Store) -> None:
        """As an older version has left them."""
        with store.transaction() as tx:
            older = job("z", digest="e" * 64)
            assert (tx.orders.same(older, since=0), tx.purchases.of_order(older)) == (None, [])
            assert tx.orders.same(job("z"), since=0) is not None

    def test_takes_are_counted_over_jobs_and_purchases(self, store: Store) -> None:
        with store.transaction() as tx:
            assert tx.orders.next_take(self.SENT) == 2
            second = replace(self.SENT, id="b", token="u", order=replace(ORDER, take=2))
            tx.jobs.add([replace(second, state=State.CANCELLED)])
            assert tx.orders.next_take(self.SENT) == 3
            tx.purchases.add(replace(second, token="v", order=replace(ORDER, take=3)))
            assert tx.orders.next_take(self.SENT) == 4
            assert tx.orders.next_take(replace(self.SENT, digest="e" * 64)) == 4
            assert tx.orders.next_take(replace(self.SENT, digest="e" * 64, reference_digest="s" * 64)) == 2

    def test_a_pair_that_was_moved_back_is_of_the_take_that_was_asked_for(self, store: Store) -> None:
        pair = Pair("trip", "a.jpg", Stamp(5, 7), "a.yaml", Stamp(1, 1))
        with store.transaction() as tx:
            second = replace(job("b"), pair=pair, order=replace(ORDER, take=2), state=State.RESTORING, created_at=1)
            tx.jobs.add([second])
            assert tx.orders.take_of(pair) == 2
            assert tx.orders.take_of(replace(pair, image="a (2).jpg", sidecar=None)) == 2
            assert tx.orders.take_of(replace(pair, image_stamp=Stamp(5, 8))) == 1
            assert tx.orders.take_of(replace(pair, folder="")) == 1
            failed = replace(second, state=State.FAILED, filed=("a (3).jpg", "a (3).error.txt"))
            tx.jobs.save(failed, second)
            assert tx.orders.take_of(replace(pair, image="a (3).jpg")) == 2
            assert tx.orders.take_of(replace(pair, image="a (2).jpg")) == 1
            tx.jobs.add([replace(failed, id="c", order=replace(ORDER, take=3), created_at=2)])
            assert tx.orders.take_of(pair) == 3

    def test_a_purchase_is_followed_by_one_job(self, store: Store) -> None:
        with store.transaction() as tx:
            (purchase,) = tx.purchases.all().values()
            assert tx.orders.has_follower(purchase, job("z"))
            assert not tx.orders.has_follower(purchase, self.SENT)
            tx.jobs.save(replace(self.SENT, state=State.FAILED), self.SENT)
            assert not tx.orders.has_follower(purchase, job("z"))

    def test_what_is_told_elsewhere_is_put_in_place_of_what_is_known(self, store: Store) -> None:
        with store.transaction() as tx:
            (purchase,) = tx.purchases.all().values()
            delivered = replace(purchase, standing=Standing.SPENT, clip="a \udcff.mp4", video_id="video_1")
            tx.purchases.replace(delivered)
            tx.purchases.replace(replace(delivered, token="u", at=purchase.at + 1))
            assert tx.purchases.all() == {"t": delivered, "u": replace(delivered, token="u", at=purchase.at + 1)}

    def test_what_is_bought_and_settled_is_to_be_entered_into_the_ledger(self, store: Store) -> None:
        with store.transaction() as tx:
            sent = replace(self.SENT, id="b", token="u")
            tx.purchases.add(sent)
            tx.purchases.set_video("u", "video_1")
            tx.purchases.close("u", Standing.SPENT, "b.mp4")
            bought, *rest = tx.entries
            known = tx.purchases.all()["u"]
            assert bought == replace(known, standing=Standing.OPEN, video_id=None, clip=None)
            assert rest == [VideoKnown("u", "video_1"), PurchaseClosed("u", Standing.SPENT, "b.mp4")]
