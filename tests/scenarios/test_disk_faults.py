"""What happens to files and clocks below a daemon: nothing is bought twice, nothing is lost, nothing stalls."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from sorawatch import config
from sorawatch.app import status
from sorawatch.core.job import Job
from sorawatch.simulator import Fault
from tests.support.workspace import Yard, picture, wait_until

DAY_MS = 86_400_000
_AWAY = 3600
"""Seconds between two looks at the inbox where a test says itself when to look."""


def jobs(yard: Yard) -> tuple[Job, ...]:
    return status.snapshot(config.load(yard.root / "config.yaml", {})).jobs


def pauses(yard: Yard) -> str:
    note = status.snapshot(config.load(yard.root / "config.yaml", {})).note
    return " ".join(str(pause["reason"]) for pause in note["pauses"])


def pause(yard: Yard) -> None:
    """Let nothing be submitted by the daemons to come, without any file in the inbox."""
    assert yard.run_once()
    yard.cli("pause")


# Files that come and go


def test_a_picture_that_vanishes_between_being_listed_and_being_opened(yard: Yard) -> None:
    yard.set("watch", mode="polling", rescan_seconds=_AWAY)
    yard.set("limits", in_flight=1)
    pause(yard)
    for number in range(7):
        yard.drop(f"{number}.jpg")
    with yard.running() as daemon:
        wait_until(lambda: yard.counts() == {"ready": 6, "found": 1}, told=yard.counts)
        (unopened,) = [job for job in jobs(yard) if job.state == "found"]
        kept = {name: (yard.inbox / name).read_bytes() for name in unopened.pair.names}
        (yard.inbox / unopened.pair.image).unlink()
        ready = next(job for job in jobs(yard) if job.state == "ready")
        yard.cli("cancel", ready.id)
        wait_until(lambda: any("taken away after it was listed" in job.reason for job in jobs(yard)))
        daemon.nudge()
        wait_until(lambda: yard.states(unopened.pair.image)[-1] == "cancelled")
        (yard.inbox / unopened.pair.image).write_bytes(kept[unopened.pair.image])
        daemon.nudge()
        yard.cli("resume")
        wait_until(lambda: len(yard.files("outbox")) == 6, told=lambda: yard.cli("status"))
    ledger = yard.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (6, 0)


@pytest.mark.parametrize("change", ["replaced", "taken away"])
def test_a_picture_changed_after_it_was_prepared_is_not_ordered_as_it_was(yard: Yard, change: str) -> None:
    yard.set("watch", mode="polling", rescan_seconds=_AWAY)
    pause(yard)
    image = yard.drop("beach.jpg")
    with yard.running() as daemon:
        wait_until(lambda: yard.counts() == {"ready": 1}, told=yard.counts)
        if change == "replaced":
            picture(image, (400, 300), (250, 1, 1))
        else:
            image.unlink()
        yard.cli("resume")
        reason = "changed or taken away after it was listed"
        wait_until(lambda: (job := jobs(yard)[0]).attempts >= 3 and reason in job.reason)
        # A look that meets the job while it is being submitted, in vain, leaves it to the next.
        wait_until(lambda: daemon.nudge() or "cancelled" in yard.states("beach.jpg"))
        if change == "replaced":
            wait_until(lambda: "done" in yard.states("beach.jpg"))
    assert yard.simulator.ledger().creates == (1 if change == "replaced" else 0)


def test_an_outbox_deleted_while_running_is_not_made_again(patient_yard: Yard) -> None:
    yard = patient_yard
    yard.drop("beach.jpg")
    with yard.running():
        wait_until(lambda: yard.counts() == {"rendering": 1})
        shutil.rmtree(yard.outbox)
        yard.simulator.finish_all()
        wait_until(lambda: "outbox has lost its file .sorawatch" in pauses(yard))
        yard.drop("later.jpg")
        wait_until(lambda: yard.counts() == {"rendered": 1, "ready": 1}, told=yard.counts)
        assert not yard.outbox.exists()
        assert len(list((yard.root / "state.db.work").glob("*/clip.mp4"))) == 1
        yard.outbox.mkdir()
        (yard.outbox / ".sorawatch").touch()
        yard.simulator.wait_for(lambda ledger: ledger.creates == 2)
        yard.simulator.finish_all()
        wait_until(lambda: len(yard.files("processed")) == 4, told=lambda: yard.cli("status"))
    ledger = yard.simulator.ledger()
    assert (ledger.creates, ledger.downloads) == (2, 2)
    assert set(yard.files("outbox")) == {"beach.mp4", "later.mp4"}


def test_why_a_picture_failed_is_told_although_the_errors_folder_was_gone_meanwhile(yard: Yard) -> None:
    (yard.inbox / "bad.yaml").write_text("prompt: waves")
    with yard.running():
        wait_until((yard.errors / ".sorawatch").exists)
        (yard.errors / ".sorawatch").unlink()
        (yard.inbox / "bad.jpg").write_bytes(b"no picture")
        wait_until(lambda: jobs(yard) and "errors has lost its file .sorawatch" in jobs(yard)[0].obstacle)
        told = yard.told()
        assert "is not a picture that can be read" in told
        assert "not moved yet: " in told
        (yard.errors / ".sorawatch").touch()
        wait_until(lambda: "failed" in yard.states("bad.jpg"), told=yard.told)
    text = (yard.errors / "bad.error.txt").read_text()
    assert "is not a picture that can be read" in text
    assert ".sorawatch" not in text
    assert "is not a picture that can be read" in jobs(yard)[0].reason


def test_a_pair_that_a_sync_tool_keeps_bringing_back_is_refused_every_time(yard: Yard) -> None:
    image = yard.drop("beach.jpg")
    kept = {path.name: path.read_bytes() for path in (image, image.with_suffix(".yaml"))}
    with yard.running():
        wait_until(lambda: len(yard.files("processed")) == 2)
        for times in range(1, 5):
            for name, content in kept.items():
                (yard.inbox / name).write_bytes(content)
            wait_until(lambda times=times: len(yard.files("errors")) == 3 * times, told=lambda: yard.cli("status"))
            assert yard.files("inbox") == {}
    assert yard.simulator.ledger().creates == 1
    assert list(yard.files("outbox")) == ["beach.mp4"]
    for text in yard.errors.glob("*.error.txt"):
        assert "it is the same order as job" in text.read_text()
        assert "Was it charged?\n    No." in text.read_text()


# The state below a running daemon


def test_a_state_moved_away_and_back_stops_nothing_for_good(patient_yard: Yard) -> None:
    yard = patient_yard
    yard.drop("beach.jpg")
    with yard.running():
        wait_until(lambda: yard.counts() == {"rendering": 1})
        (yard.root / "state.db").rename(yard.root / "elsewhere.db")
        yard.drop("later.jpg")
        yard.simulator.finish_all()
        assert "there is no state" in yard.cli("status", status=2)
        (yard.root / "elsewhere.db").rename(yard.root / "state.db")
        yard.simulator.wait_for(lambda ledger: ledger.creates == 2)
        yard.simulator.finish_all()
        wait_until(lambda: len(yard.files("processed")) == 4)
    assert yard.simulator.ledger().creates == 2


def empty(path: Path) -> None:
    os.truncate(path, 0)


def scribble_over(path: Path) -> None:
    with open(path, "r+b") as file:
        file.write(b"not a database, " * (path.stat().st_size // 16))


def wipe_the_middle(path: Path) -> None:
    """All pages but the first, which holds the header and the names of the tables."""
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(bytes(size - 4096))


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def delete(path: Path) -> None:
    path.unlink()


HARMS = pytest.mark.parametrize("harm", [delete, empty, cut_in_half, scribble_over, wipe_the_middle])


@HARMS
def test_a_state_that_is_lost_is_recovered_and_nothing_bought_twice(
    patient_yard: Yard, harm: Callable[[Path], None]
) -> None:
    yard = patient_yard
    yard.set("limits", in_flight=2)
    for number in range(3):
        yard.drop(f"{number}.jpg")
    daemon = yard.spawn("run")
    wait_until(lambda: yard.counts() == {"rendering": 2, "ready": 1}, told=yard.counts)
    state = yard.root / "state.db"
    daemon.kill()
    daemon.communicate()
    harm(state)
    told = yard.cli("run", status=2)
    assert str(state) in told
    assert "sorawatch recover" in told
    assert yard.simulator.ledger().creates == 2
    assert "took 3 unfinished jobs up again" in yard.cli("recover")
    finish(yard, 3)


@HARMS
def test_a_state_harmed_below_a_running_daemon_costs_nothing(patient_yard: Yard, harm: Callable[[Path], None]) -> None:
    """Until it has to read again what it knows by heart, a daemon does not see the harm, and works on."""
    yard = patient_yard
    yard.set("limits", in_flight=2)
    for number in range(3):
        yard.drop(f"{number}.jpg")
    daemon = yard.spawn("run")
    wait_until(lambda: yard.counts() == {"rendering": 2, "ready": 1}, told=yard.counts)
    state = yard.root / "state.db"
    harm(state)

    def seen_or_over() -> bool:
        yard.simulator.finish_all()
        return not state.exists() or daemon.poll() is not None or len(yard.files("processed")) == 6

    wait_until(seen_or_over)
    if daemon.poll() is None:
        daemon.kill()
    elif daemon.returncode:
        assert daemon.returncode == 2
    _, said = daemon.communicate()
    assert "Traceback" not in said
    assert "fault in sorawatch" not in said
    if len(yard.files("processed")) < 6:
        assert "sorawatch recover" in yard.cli("run", status=2)
        yard.cli("recover")
        finish(yard, 3)
    ledger = yard.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (3, 0)


# Clocks


def shift(state: Path, milliseconds: int) -> None:
    """Move every time in the state, which is what a jump of the clock the other way looks like to a daemon."""
    columns = {
        "jobs": ("created_at", "changed_at", "due_at", "submitted_at", "lost_at", "lease_until"),
        "purchases": ("at",),
        "history": ("at",),
        "commands": ("at",),
    }
    database = sqlite3.connect(state, timeout=30, isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        for table, names in columns.items():
            sets = ", ".join(f"{name} = {name} + {milliseconds}" for name in names)
            database.execute(f"UPDATE {table} SET {sets}")
        for key, value in database.execute("SELECT key, value FROM notes WHERE key = 'pace'").fetchall():
            moved = json.dumps(json.loads(value) + milliseconds)
            database.execute("UPDATE notes SET value = ? WHERE key = ?", (moved, key))
        database.execute("COMMIT")
    finally:
        database.close()


JUMPS = pytest.mark.parametrize("jump", [DAY_MS, -DAY_MS], ids=["set back a day", "put forward a day"])


@JUMPS
def test_a_clock_that_jumps_between_two_runs_stalls_nothing(patient_yard: Yard, jump: int) -> None:
    yard = patient_yard
    yard.set("limits", in_flight=2, submits_per_minute=600)
    yard.set("retries", first_seconds=600, max_seconds=900)
    for number in range(5):
        yard.drop(f"{number}.jpg")
    yard.simulator.inject(Fault("answer_before", on="content", status=502, shape="html"))
    daemon = yard.spawn("run")
    yard.simulator.wait_for(lambda ledger: ledger.creates == 2)
    yard.simulator.complete(yard.simulator.ledger().videos[0].id)
    wait_until(
        lambda: (
            yard.counts() == {"rendered": 1, "rendering": 2, "ready": 2}
            and any(job.state == "rendered" and job.attempts for job in jobs(yard))
        ),
        told=yard.counts,
    )
    daemon.kill()
    daemon.communicate()
    shift(yard.root / "state.db", jump)
    finish(yard, 5)


@JUMPS
def test_a_clock_that_jumps_below_a_running_daemon_stalls_nothing(patient_yard: Yard, jump: int) -> None:
    yard = patient_yard
    yard.set("limits", in_flight=2, submits_per_minute=600)
    for number in range(5):
        yard.drop(f"{number}.jpg")
    with yard.running():
        wait_until(lambda: yard.counts() == {"rendering": 2, "ready": 3}, told=yard.counts)
        shift(yard.root / "state.db", jump)
        drain(yard, 5)
    assert yard.simulator.ledger().creates == 5


@JUMPS
def test_a_submit_lost_while_the_clock_was_wrong_is_not_bought_twice(patient_yard: Yard, jump: int) -> None:
    yard = patient_yard
    yard.simulator.inject(Fault("delay_after", seconds=20))
    yard.drop("beach.jpg")
    daemon = yard.spawn("run")
    yard.simulator.wait_for(lambda ledger: ledger.creates == 1)
    daemon.kill()
    daemon.communicate()
    assert yard.counts() == {"submitting": 1}
    shift(yard.root / "state.db", jump)
    yard.simulator.finish_all()
    daemon = yard.spawn("run")
    wait_until(lambda: yard.counts().keys() & {"held", "done"}, told=lambda: yard.cli("status"))
    if "held" in yard.counts():
        (video,) = yard.simulator.ledger().videos
        assert video.id in yard.cli("show", "beach.jpg")
        yard.cli("adopt", "beach.jpg", video.id)
    wait_until(lambda: yard.counts() == {"done": 1}, told=lambda: yard.cli("status"))
    daemon.terminate()
    daemon.communicate()
    assert yard.simulator.ledger().creates == 1


def finish(yard: Yard, orders: int) -> None:
    """A new daemon delivers all there is, and all was bought once."""
    daemon = yard.spawn("run")
    try:
        drain(yard, orders)
    finally:
        daemon.terminate()
        _, said = daemon.communicate()
    ledger = yard.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (orders, 0), said
    assert len(yard.files("outbox")) == orders


def drain(yard: Yard, orders: int) -> None:
    """Finish what the server makes, until everything lies in ``processed``."""

    def over() -> bool:
        yard.simulator.finish_all()
        return len(yard.files("processed")) == 2 * orders

    wait_until(over, told=lambda: yard.cli("status"))
