"""Delivered jobs that are packed still answer everything that is asked of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.order import Fit, Focus, Order, Point, Size
from sorawatch.core.purchase import Standing
from sorawatch.daemon.upkeep.retention import DAY_MS, Retention
from sorawatch.edges.store import Database, HistoryEntry, PostgresDatabase, Store
from sorawatch.edges.store.packing import pack, unpack
from sorawatch.edges.store.rows import row_of

KEEP_DAYS = 90
PROMPT = "Gentle waves, leaves swaying, slow camera push-in"
ORDER = Order(PROMPT, "sora-2", Size(1280, 720), 8)
ON_POSTGRES = [pytest.mark.slow, pytest.mark.xdist_group("postgres")]


class Clock:
    def __init__(self) -> None:
        self.now = 1_793_491_200_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["file", pytest.param("database", marks=ON_POSTGRES)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | Database:
    if request.param == "file":
        return tmp_path / "state.db"
    return PostgresDatabase(request.getfixturevalue("database"))


@pytest.fixture
def store(where: Path | Database, clock: Clock) -> Iterator[Store]:
    with closing(Store.create_or_open(where, "one", clock)[0]) as store:
        yield store


def delivered(name: str, at: int, **fields: Any) -> Job:
    pair = Pair("cats", f"{name}.jpg", Stamp(2_345_678, at * 1_000_000), f"{name}.yaml", Stamp(170, at * 1_000_000 + 7))
    usual: dict[str, Any] = {
        "pair": pair,
        "order": ORDER,
        "digest": f"{name:0>64}".encode().hex()[-64:],
        "reference_digest": f"{name:1>64}".encode().hex()[-64:],
        "note": "upscaled 1.2×",
        "price": 800_000,
        "token": f"token-{name}",
        "submitted_at": at,
        "video_id": f"video_{name}",
        "progress": 100,
        "charged": Charged.YES,
        "clip": f"cats/{name}.mp4",
        "filed": pair.names,
    }
    return Job(f"{name:a<8}"[:8], State.DONE, created_at=at, due_at=at, changed_at=at, **{**usual, **fields})


def deliver(store: Store, *jobs: Job) -> None:
    with store.transaction() as tx:
        tx.jobs.add(jobs)
        for job in jobs:
            tx.purchases.add(job)
            tx.purchases.set_video(job.token or "", job.video_id or "")
            tx.purchases.close(job.token or "", Standing.SPENT, job.clip)


def grow_old(store: Store, clock: Clock, days: int = 1) -> None:
    clock.now += days * DAY_MS
    for _ in range(2):
        with store.transaction() as tx:
            Retention(KEEP_DAYS).prune(tx)


def is_packed(store: Store, job: Job) -> bool:
    with store.transaction() as tx:
        return len(tx.jobs.history(job.id)) == 3


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
names = st.binary(min_size=1, max_size=20).filter(lambda name: not {0, ord("/")} & {*name}).map(os.fsdecode)
orders = st.builds(
    Order,
    text,
    text,
    st.builds(Size, st.integers(1, 8192), st.integers(1, 8192)),
    st.integers(0, 3600),
    st.sampled_from(Fit),
    st.integers(-1_000_000, 1_000_000),
    st.sampled_from(Focus) | st.builds(Point, st.floats(0, 1), st.floats(0, 1)),
    fields=text,
)
stamps = st.builds(Stamp, st.integers(0, 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
digests = st.just("") | st.binary(min_size=32, max_size=32).map(bytes.hex)
jobs = st.builds(
    delivered,
    st.just("a"),
    st.integers(0, 2**42),
    pair=st.builds(Pair, names | st.just(""), names, stamps)
    | st.builds(Pair, names | st.just("deep/er"), names, stamps, names, stamps),
    order=orders,
    digest=digests,
    reference_digest=digests,
    note=text,
    price=st.none() | st.integers(0, 10**9),
    reason=text,
    hint=text,
    generations=st.integers(0, 9),
    charged=st.sampled_from(Charged),
    video_id=st.none() | text,
    clip=st.none() | names,
    filed=st.just(()) | st.tuples(names, names),
)


@given(jobs, st.booleans())
def test_any_delivered_job_comes_back_as_it_was_packed(job: Job, renamed: bool) -> None:
    row = row_of(job)
    copied = ("token", "folder", "image", "model", "size", "seconds", "take", "video_id", "clip", "image_size")
    purchase: dict[str, Any] = {name: row[name] for name in copied}
    purchase |= {"job_id": job.id, "at": job.submitted_at, "micros": job.price, "ended_at": job.changed_at}
    if renamed:
        purchase |= {"image": None, "video_id": None, "clip": None}
    assert unpack({**purchase, "packed_job": pack(job, purchase)}) == job


def test_a_packed_job_is_found_in_every_way(store: Store, clock: Clock) -> None:
    job, other = delivered("beach", clock.now), delivered("hill", clock.now + 1)
    deliver(store, job, other)
    grow_old(store, clock)
    assert is_packed(store, job)
    with store.transaction() as tx:
        assert tx.jobs.get(job.id) == job
        assert tx.jobs.starting_with("bea") == [job]
        assert tx.jobs.of_file("cats", "beach.yaml") == [job]
        assert tx.jobs.filed_as("cats", "beach.jpg") == [job]
        assert tx.jobs.with_clip("cats/beach.mp4") == [job]
        assert tx.jobs.in_states(State) == [job, other]
        assert tx.jobs.counts() == {State.DONE: 2}
        assert tx.listing.counts("cats") == {State.DONE: 2}
        assert tx.listing.counts("dogs") == {}
        assert tx.listing.jobs([State.DONE, State.FAILED], "", 1) == [other]
        assert tx.listing.has_folder("cats")
        assert [witness.prompt for witness in tx.purchases.witnesses(5)] == [PROMPT, PROMPT]
        assert tx.orders.picture_sizes() == {2_345_678}


def test_a_packed_job_still_refuses_its_duplicates(store: Store, clock: Clock) -> None:
    job = delivered("beach", clock.now)
    deliver(store, job)
    again = replace(job, id="again", state=State.READY, token=None, clip=None, video_id=None)
    edited = replace(again, digest="e" * 64)
    another = replace(edited, reference_digest="f" * 64)
    grow_old(store, clock)
    with store.transaction() as tx:
        assert tx.orders.same(again, job.changed_at) == job
        assert tx.orders.same(edited, job.changed_at) == job
        assert tx.orders.same(another, job.changed_at) is None
        assert tx.orders.same(again, job.changed_at + 1) is None
        assert tx.orders.was_here(again)
        assert not tx.orders.was_here(replace(again, pair=replace(again.pair, image="moved.jpg")))
        assert tx.orders.next_take(again) == 2
        assert tx.jobs.follower("video_beach", again) == job


def test_the_history_of_a_packed_job_tells_its_begin_its_submit_and_its_end(store: Store, clock: Clock) -> None:
    began = clock.now
    job = delivered("beach", began + 9_000, submitted_at=began + 2_000)
    job = replace(job, created_at=began)
    deliver(store, job)
    clock.now += 9_000
    grow_old(store, clock)
    with store.transaction() as tx:
        told = tx.jobs.history(job.id)
    assert [(entry.at - began, entry.state) for entry in told] == [
        (0, State.FOUND),
        (2_000, State.SUBMITTING),
        (9_000, State.DONE),
    ]
    assert told[-1] == HistoryEntry(job.changed_at, State.DONE, "")


def test_a_packed_job_that_is_changed_is_an_ordinary_one_again(store: Store, clock: Clock) -> None:
    job = delivered("beach", clock.now)
    deliver(store, job)
    grow_old(store, clock)
    with store.transaction() as tx:
        tx.jobs.save(replace(job, filed=()), job)
    assert not is_packed(store, job)
    with store.transaction() as tx:
        assert tx.jobs.get(job.id) == replace(job, filed=())
        assert tx.jobs.counts() == {State.DONE: 1}


def test_only_what_is_settled_is_packed(store: Store, clock: Clock) -> None:
    repeated = delivered("beach", clock.now, order=replace(ORDER, take=2))
    failed = replace(delivered("hill", clock.now, clip=None), state=State.FAILED)
    moved = delivered("pier", clock.now)
    deliver(store, repeated, failed, moved)
    with store.transaction() as tx:
        tx.jobs.save(replace(moved, pair=replace(moved.pair, folder="dogs")), moved)
    grow_old(store, clock)
    assert not any(is_packed(store, job) for job in (repeated, failed, moved))


def test_a_fresh_job_keeps_its_whole_history(store: Store, clock: Clock) -> None:
    job = delivered("beach", clock.now)
    deliver(store, job)
    with store.transaction() as tx:
        Retention(KEEP_DAYS).prune(tx)
    assert not is_packed(store, job)


def test_packed_jobs_are_forgotten_in_their_time_and_their_purchases_never(store: Store, clock: Clock) -> None:
    job = delivered("beach", clock.now)
    deliver(store, job)
    grow_old(store, clock)
    grow_old(store, clock, KEEP_DAYS - 2)
    with store.transaction() as tx:
        assert tx.jobs.get(job.id) == job
    grow_old(store, clock, 2)
    with store.transaction() as tx:
        assert tx.jobs.get(job.id) is None
        assert tx.jobs.counts() == {}
        assert [each.clip for each in tx.spending.purchases(0, clock.now)] == ["cats/beach.mp4"]
