"""The state is lost, or an older one is put back: what was bought since is known from the ledger beside it."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sorawatch.simulator import Fault
from tests.support.workspace import Yard, wait_until

pytestmark = pytest.mark.slow


@contextmanager
def afterwards_put_back(yard: Yard, *, work: bool = True) -> Iterator[None]:
    """What happens in the block is unknown to the state after it, and to the work folder unless ``work`` stays."""
    kept = yard.root / "backup"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    state = yard.root / "state.db"
    if state.exists():
        shutil.copy(state, kept)
    yield
    for path in yard.root.glob("state.db*"):
        if path.is_file() and path.name != "state.db.ledger":
            path.unlink()
    if (kept / "state.db").exists():
        shutil.copy(kept / "state.db", state)
    if not work:
        shutil.rmtree(yard.root / "state.db.work")


def drop_again(yard: Yard, name: str = "beach") -> None:
    for suffix in (".yaml", ".jpg"):
        shutil.copy(yard.processed / f"{name}{suffix}", yard.inbox)


def ledger(yard: Yard) -> Path:
    return yard.root / "state.db.ledger"


def lines(yard: Yard) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ledger(yard).read_bytes().splitlines()]


def is_refused(yard: Yard, name: str = "beach") -> bool:
    return "it is the same order as job" in (yard.errors / f"{name}.error.txt").read_text()


def pause(yard: Yard) -> None:
    (yard.inbox / "PAUSE").touch()


def go_on(yard: Yard) -> None:
    (yard.inbox / "PAUSE").unlink()


def ready(yard: Yard) -> None:
    """Leave a job that is ready, and nothing else."""
    pause(yard)
    with yard.running():
        wait_until(lambda: "ready" in yard.states("beach.jpg"))
    go_on(yard)


def test_it_tells_what_was_bought_and_what_became_of_it(yard: Yard) -> None:
    name = os.fsdecode(b"tr\xffip/beach \xfc.jpg")
    yard.drop(name, "waves", seconds=4)
    assert yard.run_once()
    bought, video, settled = lines(yard)
    (job,) = yard.status().jobs
    assert (bought["entry"], bought["job_id"], bought["micros"]) == ("bought", job.id, 400_000)
    assert (bought["folder"], bought["image"]) == (os.fsdecode(b"tr\xffip"), os.fsdecode(b"beach \xfc.jpg"))
    assert (bought["model"], bought["size"], bought["seconds"], bought["take"]) == ("sora-2", "1280x720", 4, 1)
    assert video == {"entry": "video", "token": bought["token"], "video_id": job.video_id}
    assert settled == {"entry": "settled", "token": bought["token"], "standing": "spent", "clip": job.clip}
    assert stat.S_IMODE(ledger(yard).stat().st_mode) == 0o600
    assert b"waves" not in ledger(yard).read_bytes()


class TestAnOlderState:
    def test_does_not_know_what_was_delivered_since(self, yard: Yard) -> None:
        yard.drop("first.jpg")
        assert yard.run_once()
        with afterwards_put_back(yard):
            yard.drop("beach.jpg")
            assert yard.run_once()
        drop_again(yard)
        assert not yard.run_once()
        assert is_refused(yard)
        assert yard.simulator.ledger().creates == 2
        assert "$1.60 spent" in yard.cli("report")

    @pytest.mark.parametrize("work", [True, False])
    def test_has_as_ready_what_was_delivered_since(self, yard: Yard, work: bool) -> None:
        yard.drop("beach.jpg")
        ready(yard)
        with afterwards_put_back(yard, work=work):
            assert yard.run_once()
        assert yard.run_once()
        assert (yard.simulator.ledger().creates, {*yard.files("outbox")}) == (1, {"beach.mp4"})
        assert {*yard.files("processed")} == {"beach.jpg", "beach.yaml"}
        assert [job.clip for job in yard.status().jobs] == ["beach.mp4"]

    def test_has_as_rendering_what_was_delivered_since(self, patient_yard: Yard) -> None:
        yard = patient_yard
        yard.drop("beach.jpg")
        with yard.running():
            wait_until(lambda: "rendering" in yard.states("beach.jpg"))
        with afterwards_put_back(yard, work=False):
            yard.simulator.finish_all()
            assert yard.run_once()
        assert yard.run_once()
        assert (yard.simulator.ledger().creates, {*yard.files("outbox")}) == (1, {"beach.mp4"})

    @pytest.mark.parametrize("known", [True, False])
    def test_does_not_know_an_order_whose_video_is_known(self, patient_yard: Yard, known: bool) -> None:
        """Nor does the work folder."""
        yard = patient_yard
        yard.drop("beach.jpg")
        if known:
            ready(yard)
        with afterwards_put_back(yard, work=False), yard.running():
            wait_until(lambda: "rendering" in yard.states("beach.jpg"))
        yard.changes.clear()
        yard.simulator.finish_all()
        assert yard.run_once()
        assert (yard.simulator.ledger().creates, {*yard.files("outbox")}) == (1, {"beach.mp4"})
        assert "submitting" not in yard.states("beach.jpg")

    @pytest.mark.parametrize("known", [True, False])
    def test_does_not_know_an_order_whose_answer_never_came(self, yard: Yard, known: bool) -> None:
        self.lose_an_answer(yard, known)
        assert yard.run_once()
        assert (yard.simulator.ledger().creates, {*yard.files("outbox")}) == (1, {"beach.mp4"})
        assert "uncertain" in yard.states("beach.jpg") or known

    @pytest.mark.parametrize("known", [True, False])
    def test_holds_such_an_order_where_the_server_has_no_list(self, yard: Yard, known: bool) -> None:
        self.lose_an_answer(yard, known)
        yard.simulator.inject(Fault("answer_before", on="list", status=404, times=None))
        assert not yard.run_once()
        assert yard.counts() == {"held": 1}
        assert yard.simulator.ledger().creates == 1

    @staticmethod
    def lose_an_answer(yard: Yard, known: bool) -> None:
        """The server has an order of which the state that was put back, and the work folder, know nothing."""
        yard.drop("beach.jpg")
        if known:
            ready(yard)
        yard.simulator.inject(Fault("delay_after", on="create", seconds=30))
        with afterwards_put_back(yard, work=False):
            daemon = yard.spawn("run")
            yard.simulator.wait_for(lambda ledger: ledger.creates == 1)
            daemon.kill()
            daemon.communicate()
        yard.changes.clear()

    def test_has_an_order_that_was_given_up_and_made_anew_since(self, patient_yard: Yard) -> None:
        """The video that it knows has failed, and another was ordered in its place."""
        yard = patient_yard
        yard.simulator.inject(Fault("generation_fails", times=1))
        yard.drop("beach.jpg")
        with yard.running():
            wait_until(lambda: "rendering" in yard.states("beach.jpg"))
        with afterwards_put_back(yard, work=False), yard.running():
            yard.simulator.finish_all()
            yard.simulator.wait_for(lambda ledger: ledger.creates == 2)
            wait_until(lambda: yard.states("beach.jpg")[-1] == "rendering")
        yard.simulator.finish_all()
        assert yard.run_once()
        assert (yard.simulator.ledger().creates, {*yard.files("outbox")}) == (2, {"beach.mp4"})


class TestALostState:
    def test_is_made_anew_and_knows_what_was_delivered(self, yard: Yard) -> None:
        with afterwards_put_back(yard):
            yard.drop("beach.jpg")
            assert yard.run_once()
            before = yard.cli("report", "--json")
        drop_again(yard)
        assert not yard.run_once()
        assert is_refused(yard)
        assert yard.cli("report", "--json") == before

    def test_is_recovered_with_what_was_delivered(self, patient_yard: Yard) -> None:
        yard = patient_yard
        with afterwards_put_back(yard):
            yard.drop("beach.jpg")
            with yard.running():
                wait_until(lambda: "rendering" in yard.states("beach.jpg"))
                yard.simulator.finish_all()
                wait_until(lambda: "done" in yard.states("beach.jpg"))
                yard.drop("other.jpg")
                wait_until(lambda: "rendering" in yard.states("other.jpg"))
        told = yard.cli("recover")
        assert "took 1 unfinished jobs up again. Known again from the ledger: 2 orders." in told
        drop_again(yard)
        yard.simulator.finish_all()
        assert not yard.run_once()
        assert is_refused(yard)
        assert {*yard.files("outbox")} == {"beach.mp4", "other.mp4"}
        assert yard.simulator.ledger().creates == 2


class TestTheFile:
    @pytest.mark.parametrize("cut", [1, 20, 100])
    def test_may_end_within_a_line(self, yard: Yard, cut: int) -> None:
        with afterwards_put_back(yard):
            yard.drop("beach.jpg")
            yard.drop("other.jpg")
            assert yard.run_once()
            whole = ledger(yard).read_bytes()
            ledger(yard).write_bytes(whole[:-cut])
        drop_again(yard)
        drop_again(yard, "other")
        yard.drop("third.jpg")
        yard.run_once()
        assert yard.simulator.ledger().creates == 3
        assert [line["entry"] for line in lines_that_can_be_read(yard)].count("bought") == 3

    def test_may_hold_anything_else(self, yard: Yard) -> None:
        yard.drop("beach.jpg")
        with afterwards_put_back(yard):
            assert yard.run_once()
            told = b'\n{"entry":"from the future","token":"t"}\n[]\n17\n\xff\xfe\n{"entry":"settled","token":"t"}\n{}\n'
            ledger(yard).write_bytes(told + ledger(yard).read_bytes())
        drop_again(yard)
        assert not yard.run_once()
        assert yard.simulator.ledger().creates == 1

    def test_gets_what_it_lacks_at_the_next_start(self, yard: Yard) -> None:
        yard.drop("beach.jpg")
        assert yard.run_once()
        ledger(yard).unlink()
        with afterwards_put_back(yard):
            yard.run_once()
        (yard.root / "state.db").unlink()
        drop_again(yard)
        assert not yard.run_once()
        assert is_refused(yard)

    def test_is_not_written_anew_where_it_lacks_nothing(self, yard: Yard) -> None:
        yard.drop("beach.jpg")
        assert yard.run_once()
        before = ledger(yard).read_bytes()
        assert yard.run_once()
        assert ledger(yard).read_bytes() == before

    def test_that_cannot_be_written_stops_orders_and_nothing_else(self, patient_yard: Yard) -> None:
        yard = patient_yard
        yard.drop("beach.jpg")
        with yard.running():
            wait_until(lambda: "rendering" in yard.states("beach.jpg"))
            ledger(yard).rename(yard.root / "aside")
            ledger(yard).mkdir()
            yard.drop("other.jpg")
            wait_until(lambda: "the ledger cannot be written" in yard.told())
            yard.simulator.finish_all()
            wait_until(lambda: "done" in yard.states("beach.jpg"))
            assert yard.simulator.ledger().creates == 1
            ledger(yard).rmdir()
            (yard.root / "aside").rename(ledger(yard))
            yard.simulator.wait_for(lambda ledger: ledger.creates == 2)
            yard.simulator.finish_all()
            wait_until(lambda: "done" in yard.states("other.jpg"))
        told = [(line["entry"], line.get("clip")) for line in lines(yard)]
        assert ("settled", "beach.mp4") in told
        assert ("settled", "other.mp4") in told

    def test_that_cannot_be_read_is_not_started_without(self, yard: Yard) -> None:
        yard.drop("beach.jpg")
        assert yard.run_once()
        ledger(yard).unlink()
        ledger(yard).mkdir()
        assert "the ledger cannot be read" in yard.cli("run", status=1)


def lines_that_can_be_read(yard: Yard) -> Iterator[dict[str, Any]]:
    for line in ledger(yard).read_bytes().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
