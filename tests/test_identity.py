"""Which orders are the same: one is bought once, whatever becomes of its file, and again only on purpose."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sorawatch.simulator import Fault
from tests.yard import Yard, wait_until

pytestmark = pytest.mark.slow

STATES = Path(__file__).parent / "states"
"""A state of schema 3 and the pictures in it: ``beach`` was delivered, ``harbour`` is ready."""


def annotate(image: Path, note: str = "a caption") -> None:
    """Write metadata into a JPEG file, as photo managers do; its picture stays the same."""
    data, text = image.read_bytes(), note.encode()
    image.write_bytes(data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:])


@contextmanager
def drop_again(yard: Yard, name: str = "beach") -> Iterator[Path]:
    """A pair that was filed in ``processed``, copied into the inbox again; the block may change it before."""
    copy = yard.root / f"{name}.jpg"
    shutil.copy(yard.processed / f"{name}.jpg", copy)
    yield copy
    shutil.copy(yard.processed / f"{name}.yaml", yard.inbox)
    copy.rename(yard.inbox / copy.name)


def refused(yard: Yard, name: str = "beach") -> str:
    """The id of the job that was refused as a duplicate."""
    text = (yard.errors / f"{name}.error.txt").read_text()
    assert "it is the same order as job" in text
    return text.partition("sorawatch retry --another ")[2].partition("`")[0]


class TestMetadata:
    def test_written_while_the_clip_is_rendered_buys_nothing(self, patient_yard: Yard) -> None:
        yard = patient_yard
        image = yard.drop("beach.jpg")
        with yard.running():
            wait_until(lambda: "rendering" in yard.states("beach.jpg"))
            annotate(image)
            wait_until(lambda: "cancelled" in yard.states("beach.jpg"))
            yard.simulator.finish_all()
            wait_until(lambda: "done" in yard.states("beach.jpg"))
        assert yard.simulator.ledger().creates == 1
        assert {*yard.files("processed")} == {"beach.jpg", "beach.yaml"}
        assert b"a caption" in (yard.processed / "beach.jpg").read_bytes()

    def test_written_while_no_other_order_may_go_is_no_reason_to_refuse_the_pair(self, patient_yard: Yard) -> None:
        """The place that it would take is its own."""
        yard = patient_yard
        yard.set("limits", in_flight=1)
        image = yard.drop("beach.jpg")
        with yard.running():
            wait_until(lambda: "rendering" in yard.states("beach.jpg"))
            yard.drop("other.jpg")
            wait_until(lambda: "ready" in yard.states("other.jpg"))
            annotate(image)
            wait_until(lambda: "cancelled" in yard.states("beach.jpg"))
            yard.simulator.finish_all()
            yard.simulator.wait_for(lambda ledger: ledger.creates == 2)
            yard.simulator.finish_all()
            wait_until(lambda: len(yard.files("processed")) == 4)
        assert yard.files("errors") == {}

    def test_written_after_the_delivery_buys_nothing(self, yard: Yard) -> None:
        yard.drop("beach.jpg")
        assert yard.run_once()
        with drop_again(yard) as copy:
            annotate(copy)
        assert not yard.run_once()
        assert yard.simulator.ledger().creates == 1
        refused(yard)

    def test_of_a_clip_that_could_not_be_fetched_leads_to_that_clip(self, yard: Yard) -> None:
        yard.set("retries", attempts=2)
        yard.simulator.inject(Fault("answer_before", on="content", status=404, times=2))
        yard.drop("beach.jpg")
        assert not yard.run_once()
        (job,) = yard.status().jobs
        yard.cli("cancel", job.id)
        assert yard.run_once()
        annotate(yard.errors / "beach.jpg")
        for name in ("beach.jpg", "beach.yaml"):
            (yard.errors / name).rename(yard.inbox / name)
        assert yard.run_once()
        assert yard.simulator.ledger().creates == 1
        assert {*yard.files("outbox")} == {"beach.mp4"}


def test_a_reference_that_comes_out_otherwise_is_no_other_order(yard: Yard) -> None:
    """As with another version of the libraries that make it."""
    yard.drop("beach.jpg")
    assert yard.run_once()
    yard.set("reference", quality=80)
    with drop_again(yard):
        pass
    assert not yard.run_once()
    assert yard.simulator.ledger().creates == 1
    refused(yard)


@pytest.mark.parametrize("terms", [{"seconds": 4}, {"fit": "pad"}, {"prompt": "other waves"}])
def test_other_terms_make_another_order(yard: Yard, terms: dict[str, object]) -> None:
    yard.drop("beach.jpg", "waves", seconds=8)
    assert yard.run_once()
    yard.drop("beach.jpg", **{"prompt": "waves", "seconds": 8, **terms})
    assert yard.run_once()
    assert yard.simulator.ledger().creates == 2


def test_another_picture_makes_another_order(yard: Yard) -> None:
    yard.drop("a.jpg", "waves")
    yard.drop("b.jpg", "waves")
    assert yard.run_once()
    assert yard.simulator.ledger().creates == 2


@pytest.mark.parametrize(("days", "creates"), [(89, 1), (91, 2)])
def test_an_order_is_a_duplicate_for_as_long_as_its_record_is_kept(yard: Yard, days: int, creates: int) -> None:
    yard.drop("beach.jpg")
    assert yard.run_once()
    yard.age(days=days)
    with drop_again(yard):
        pass
    assert yard.run_once() == (creates == 2)
    assert yard.simulator.ledger().creates == creates


def test_what_an_older_version_bought_is_not_bought_again(yard: Yard) -> None:
    with closing(sqlite3.connect(yard.root / "state.db")) as state:
        state.executescript((STATES / "schema3.sql").read_text())
        now = int(1000 * time.time())
        state.execute("UPDATE jobs SET created_at = ?, changed_at = ?, due_at = ?", (now, now, now))
        state.execute("UPDATE purchases SET at = ?", (now,))
        state.commit()
    for name in ("beach", "harbour"):
        (yard.inbox / f"{name}.yaml").write_text(f"prompt: the {name} at dawn\nsize: auto\n")
        shutil.copy(STATES / f"{name}.jpg", yard.inbox)
        for path in (yard.inbox / f"{name}.yaml", yard.inbox / f"{name}.jpg"):
            os.utime(path, ns=(10**18, 10**18))
    assert not yard.run_once()
    assert [video.prompt for video in yard.simulator.ledger().videos] == ["the harbour at dawn"]
    assert yard.states("harbour.jpg")[0] == "submitting"
    refused(yard)


class TestAnother:
    @pytest.fixture
    def duplicate(self, yard: Yard) -> str:
        """The id of a job that was refused as a duplicate; another was delivered."""
        yard.drop("beach.jpg")
        assert yard.run_once()
        with drop_again(yard):
            pass
        assert not yard.run_once()
        return refused(yard)

    def test_of_a_refused_duplicate(self, yard: Yard, duplicate: str) -> None:
        assert f"Asked to order {duplicate} once more" in yard.cli("retry", "--another", duplicate)
        assert yard.run_once()
        assert yard.simulator.ledger().creates == 2
        assert {*yard.files("outbox")} == {"beach.mp4", "beach (2).mp4"}
        assert (yard.files("errors"), yard.files("inbox")) == ({}, {})
        assert {*yard.files("processed")} == {"beach.jpg", "beach.yaml", "beach (2).jpg", "beach (2).yaml"}
        latest = next(job for job in yard.status().jobs if job.clip == "beach (2).mp4")
        assert "take" in yard.cli("show", latest.id)

    def test_is_asked_for_each_time(self, yard: Yard, duplicate: str) -> None:
        yard.cli("retry", "--another", duplicate)
        assert yard.run_once()
        with drop_again(yard):
            pass
        assert not yard.run_once()
        yard.cli("retry", "--another", refused(yard))
        assert yard.run_once()
        assert yard.simulator.ledger().creates == 3
        takes = sorted(job.order.take for job in yard.status().jobs if job.clip and job.order)
        assert takes == [1, 2, 3]

    def test_of_what_was_delivered(self, yard: Yard) -> None:
        yard.drop("beach.jpg")
        assert yard.run_once()
        (done,) = yard.status().jobs
        yard.cli("retry", "--another", done.id)
        assert yard.run_once()
        assert yard.simulator.ledger().creates == 2
        assert {*yard.files("processed")} == {"beach.jpg", "beach.yaml"}
        with drop_again(yard) as copy:
            annotate(copy)
        assert not yard.run_once()
        assert yard.simulator.ledger().creates == 2
        assert f"same order as job {done.id}" in (yard.errors / "beach.error.txt").read_text()

    def test_of_what_failed(self, yard: Yard) -> None:
        yard.set("retries", failed_generations=0)
        yard.simulator.inject(Fault("generation_fails", times=1))
        yard.drop("beach.jpg")
        assert not yard.run_once()
        (failed,) = yard.status().jobs
        yard.cli("retry", "--another", failed.id)
        assert yard.run_once()
        assert [job.order.take for job in yard.status().jobs if job.clip and job.order] == [2]
        assert yard.files("errors") == {}

    @pytest.mark.parametrize("by_hand", [False, True])
    def test_that_failed_is_tried_again_as_what_it_was(self, yard: Yard, duplicate: str, by_hand: bool) -> None:
        yard.set("retries", failed_generations=0)
        yard.simulator.inject(Fault("generation_fails", times=1))
        yard.cli("retry", "--another", duplicate)
        assert not yard.run_once()
        if by_hand:
            for name in ("beach.jpg", "beach.yaml"):
                (yard.errors / name).rename(yard.inbox / name)
        else:
            yard.cli("retry", next(job.id for job in yard.status().jobs if "server failed" in job.reason))
        assert yard.run_once()
        assert {*yard.files("outbox")} == {"beach.mp4", "beach (2).mp4"}

    def test_that_gets_other_metadata_while_it_is_rendered_stays_what_it_is(self, patient_yard: Yard) -> None:
        yard = patient_yard
        image = yard.drop("beach.jpg")
        with yard.running():
            yard.simulator.wait_for(lambda ledger: ledger.creates == 1)
            yard.simulator.finish_all()
            wait_until(lambda: "done" in yard.states("beach.jpg"))
            (done,) = yard.status().jobs
            yard.cli("retry", "--another", done.id)
            yard.simulator.wait_for(lambda ledger: ledger.creates == 2)
            annotate(image)
            wait_until(lambda: yard.states("beach.jpg").count("cancelled") == 2)
            yard.simulator.finish_all()
            wait_until(lambda: yard.states("beach.jpg").count("done") == 2)
        assert yard.simulator.ledger().creates == 2
        assert yard.files("errors") == {}

    def test_whose_name_is_taken_meanwhile(self, yard: Yard, duplicate: str) -> None:
        yard.drop("beach.jpg", "something else")
        yard.cli("retry", "--another", duplicate)
        assert yard.run_once()
        assert yard.simulator.ledger().creates == 3
        assert len(yard.files("outbox")) == 3
        assert yard.files("inbox") == {}

    def test_is_heard_by_a_running_daemon(self, yard: Yard, duplicate: str) -> None:
        with yard.running():
            yard.cli("retry", "--another", duplicate)
            wait_until(lambda: len(yard.files("outbox")) == 2)
            wait_until(lambda: len(yard.files("processed")) == 4)
        assert yard.simulator.ledger().creates == 2

    def test_is_refused_while_the_pair_is_in_the_inbox(self, patient_yard: Yard) -> None:
        yard = patient_yard
        yard.drop("beach.jpg")
        (yard.inbox / "PAUSE").touch()
        with yard.running():
            wait_until(lambda: "ready" in yard.states("beach.jpg"))
            told = yard.cli("retry", "--another", "beach.jpg", status=1)
            assert "cannot be ordered once more now: it waits in the inbox for its first order" in told
            (yard.inbox / "PAUSE").unlink()
            wait_until(lambda: "rendering" in yard.states("beach.jpg"))
            told = yard.cli("retry", "--another", "beach.jpg", status=1)
            assert "it is rendering, and its pair is still in the inbox" in told
            assert f"Run `sorawatch retry --another {yard.status().jobs[0].id}` once it is delivered." in told
            yard.simulator.finish_all()
            wait_until(lambda: "done" in yard.states("beach.jpg"))
        (done,) = yard.status().jobs
        yard.cli("retry", "--another", done.id)
        assert "its pair is not where sorawatch has put it any more" in yard.cli(
            "retry", "--another", done.id, status=1
        )

    def test_whose_pair_was_taken_away(self, yard: Yard, duplicate: str) -> None:
        for name in ("beach.jpg", "beach.yaml"):
            (yard.errors / name).unlink()
        yard.cli("retry", "--another", duplicate)
        assert not yard.run_once()
        assert "beach.jpg is no longer in the errors folder" in (yard.errors / "beach (2).error.txt").read_text()
        assert yard.simulator.ledger().creates == 1
