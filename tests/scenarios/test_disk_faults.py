"""Files and clocks that change while a daemon runs: nothing is bought twice, lost or stalled."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sorawatch import config
from sorawatch.app import status
from sorawatch.core.job import Job
from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.sampling import nightly
from tests.support.workspace import Workspace, picture, wait_until

DAY_MS = 86_400_000
_AWAY = 3600
"""Seconds between two scans of the inbox in tests that request each scan themselves."""


def has_files(workspace: Workspace, folder: str, count: int) -> bool:
    return len(workspace.files(folder)) == count


def jobs(workspace: Workspace) -> tuple[Job, ...]:
    return status.snapshot(config.load(workspace.root / "config.yaml", {})).jobs


def pauses(workspace: Workspace) -> str:
    published = status.snapshot(config.load(workspace.root / "config.yaml", {})).published
    return " ".join(pause.reason for pause in published.pauses)


def pause(workspace: Workspace) -> None:
    """Pause the submissions of later daemons, without a file in the inbox."""
    assert workspace.run_once()
    workspace.cli("pause")


# Files that come and go


def test_a_picture_that_is_removed_between_the_listing_and_the_opening(workspace: Workspace) -> None:
    workspace.set("watch", mode="polling", rescan_seconds=_AWAY)
    workspace.set("limits", in_flight=1)
    pause(workspace)
    for number in range(7):
        workspace.drop(f"{number}.jpg")
    with workspace.running() as daemon:
        wait_until(lambda: workspace.counts() == {"ready": 6, "found": 1}, told=workspace.counts)
        (unopened,) = [job for job in jobs(workspace) if job.state == "found"]
        contents = {name: (workspace.inbox / name).read_bytes() for name in unopened.pair.names}
        (workspace.inbox / unopened.pair.image).unlink()
        ready = next(job for job in jobs(workspace) if job.state == "ready")
        workspace.cli("cancel", ready.id)
        wait_until(lambda: any("taken away after it was listed" in job.reason for job in jobs(workspace)))
        daemon.request_scan()
        wait_until(lambda: workspace.states(unopened.pair.image)[-1] == "cancelled")
        (workspace.inbox / unopened.pair.image).write_bytes(contents[unopened.pair.image])
        daemon.request_scan()
        workspace.cli("resume")
        wait_until(lambda: len(workspace.files("outbox")) == 6, told=lambda: workspace.cli("status"))
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (6, 0)


@pytest.mark.parametrize("change", ["replaced", "taken away"])
def test_a_picture_changed_after_it_was_prepared_is_not_ordered_in_its_old_form(
    workspace: Workspace, change: str
) -> None:
    workspace.set("watch", mode="polling", rescan_seconds=_AWAY)
    pause(workspace)
    image = workspace.drop("beach.jpg")
    with workspace.running() as daemon:
        wait_until(lambda: workspace.counts() == {"ready": 1}, told=workspace.counts)
        if change == "replaced":
            picture(image, (400, 300), (250, 1, 1))
        else:
            image.unlink()
        workspace.cli("resume")
        reason = "changed or taken away after it was listed"
        wait_until(lambda: (job := jobs(workspace)[0]).attempts >= 3 and reason in job.reason)

        # If a scan finds the job during its failed submit, only the next scan cancels it.
        def cancelled() -> bool:
            daemon.request_scan()
            return "cancelled" in workspace.states("beach.jpg")

        wait_until(cancelled)
        if change == "replaced":
            wait_until(lambda: "done" in workspace.states("beach.jpg"))
    assert workspace.simulator.ledger().creates == (1 if change == "replaced" else 0)


@pytest.mark.slow
def test_an_outbox_deleted_while_running_is_not_made_again(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        shutil.rmtree(workspace.outbox)
        workspace.simulator.finish_all()
        wait_until(lambda: f"outbox {texts.LOST_ITS_FILE}" in pauses(workspace))
        workspace.drop("later.jpg")
        wait_until(lambda: workspace.counts() == {"rendered": 1, "ready": 1}, told=workspace.counts)
        assert not workspace.outbox.exists()
        assert len(list((workspace.root / "state.db.work").glob("*/clip.mp4"))) == 1
        workspace.outbox.mkdir()
        (workspace.outbox / ".sorawatch").touch()
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: workspace.cli("status"))
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.downloads) == (2, 2)
    assert set(workspace.files("outbox")) == {"beach.mp4", "later.mp4"}


@pytest.mark.slow
def test_the_reason_of_a_failure_is_shown_although_the_errors_folder_was_missing(workspace: Workspace) -> None:
    (workspace.inbox / "bad.yaml").write_text("prompt: waves")
    with workspace.running():
        wait_until((workspace.errors / ".sorawatch").exists)
        (workspace.errors / ".sorawatch").unlink()
        (workspace.inbox / "bad.jpg").write_bytes(b"no picture")
        wait_until(lambda: jobs(workspace) and f"errors {texts.LOST_ITS_FILE}" in jobs(workspace)[0].obstacle)
        output = workspace.told()
        assert texts.NOT_A_PICTURE in output
        assert "not moved yet: " in output
        (workspace.errors / ".sorawatch").touch()
        wait_until(lambda: "failed" in workspace.states("bad.jpg"), told=workspace.told)
    text = (workspace.errors / "bad.error.txt").read_text()
    assert texts.NOT_A_PICTURE in text
    assert ".sorawatch" not in text
    assert texts.NOT_A_PICTURE in jobs(workspace)[0].reason


@pytest.mark.slow
def test_a_pair_that_a_sync_tool_restores_repeatedly_is_filed_every_time(workspace: Workspace) -> None:
    image = workspace.drop("beach.jpg")
    contents = {path.name: path.read_bytes() for path in (image, image.with_suffix(".yaml"))}
    with workspace.running():
        wait_until(lambda: len(workspace.files("processed")) == 2)
        for times in range(1, 5):
            for name, content in contents.items():
                (workspace.inbox / name).write_bytes(content)
            # The first and the third return are told.
            expected = 2 * (times + 1) + (1, 1, 2, 2)[times - 1]
            wait_until(partial(has_files, workspace, "processed", expected), told=lambda: workspace.cli("status"))
            assert workspace.files("inbox") == {}
    assert workspace.simulator.ledger().creates == 1
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert workspace.files("errors") == {}
    for text in workspace.processed.glob("*.returned.txt"):
        assert texts.SAME_ORDER in text.read_text()
        assert f"{texts.WAS_IT_CHARGED}\n    No." in text.read_text()


# The state below a running daemon


def test_the_daemon_continues_after_its_state_was_moved_away_and_back(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        (workspace.root / "state.db").rename(workspace.root / "elsewhere.db")
        workspace.drop("later.jpg")
        workspace.simulator.finish_all()
        assert texts.NO_STATE in workspace.cli("status", status=2)
        (workspace.root / "elsewhere.db").rename(workspace.root / "state.db")
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 4)
    assert workspace.simulator.ledger().creates == 2


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite_with_text(path: Path) -> None:
    with open(path, "r+b") as file:
        file.write(b"not a database, " * (path.stat().st_size // 16))


def overwrite_all_but_the_first_page(path: Path) -> None:
    """Overwrite all pages but the first, which has the header and the names of the tables."""
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(bytes(size - 4096))


def truncate_to_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def delete(path: Path) -> None:
    path.unlink()


def each_damage(*, quick: Callable[[Path], None]) -> pytest.MarkDecorator:
    """All ways to damage a state. All but ``quick`` are for the night, because each starts several daemons."""
    ways = (delete, empty, truncate_to_half, overwrite_with_text, overwrite_all_but_the_first_page)
    return pytest.mark.parametrize("damage", [each if each is quick else nightly(each) for each in ways])


def with_two_of_three_rendering(workspace: Workspace) -> subprocess.Popen[str]:
    """A daemon with three orders, of which the limit lets two be submitted."""
    workspace.set("limits", in_flight=2)
    for number in range(3):
        workspace.drop(f"{number}.jpg")
    daemon = workspace.spawn("run")
    wait_until(lambda: workspace.counts() == {"rendering": 2, "ready": 1}, told=workspace.counts)
    return daemon


@each_damage(quick=overwrite_all_but_the_first_page)
def test_a_lost_state_is_recovered_and_nothing_is_bought_twice(
    stalled_workspace: Workspace, damage: Callable[[Path], None]
) -> None:
    workspace = stalled_workspace
    daemon = with_two_of_three_rendering(workspace)
    state = workspace.root / "state.db"
    daemon.kill()
    daemon.communicate()
    damage(state)
    output = workspace.program("run", status=2)
    assert str(state) in output
    assert "sorawatch recover" in output
    assert workspace.simulator.ledger().creates == 2
    assert "restored 3 unfinished jobs" in workspace.program("recover")
    finish(workspace, 3)


@each_damage(quick=delete)
def test_a_state_damaged_while_a_daemon_runs_causes_no_second_purchase(
    stalled_workspace: Workspace, damage: Callable[[Path], None]
) -> None:
    """A daemon does not notice the damage, and continues, until it must read data that it has not cached."""
    workspace = stalled_workspace
    daemon = with_two_of_three_rendering(workspace)
    state = workspace.root / "state.db"
    damage(state)

    def seen_or_over() -> bool:
        workspace.simulator.finish_all()
        return not state.exists() or daemon.poll() is not None or len(workspace.files("processed")) == 6

    wait_until(seen_or_over)
    if daemon.poll() is None:
        daemon.kill()
    elif daemon.returncode:
        assert daemon.returncode == 2
    _, log = daemon.communicate()
    assert "Traceback" not in log
    assert "fault in sorawatch" not in log
    if len(workspace.files("processed")) < 6:
        assert "sorawatch recover" in workspace.program("run", status=2)
        workspace.program("recover")
        finish(workspace, 3)
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (3, 0)


# Clocks


def shift(state: Path, milliseconds: int) -> None:
    """Shift every time in the state. To a daemon this is the same as a jump of the clock in the other direction."""
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


@pytest.mark.slow
@JUMPS
def test_a_clock_jump_between_two_runs_delays_nothing(stalled_workspace: Workspace, jump: int) -> None:
    workspace = stalled_workspace
    workspace.set("limits", in_flight=2, submits_per_minute=600)
    workspace.set("retries", first_seconds=600, max_seconds=900)
    for number in range(5):
        workspace.drop(f"{number}.jpg")
    workspace.simulator.inject(Fault("answer_before", on="content", status=502, shape="html"))
    with workspace.running():
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        workspace.simulator.complete(workspace.simulator.ledger().videos[0].id)
        wait_until(
            lambda: (
                workspace.counts() == {"rendered": 1, "rendering": 2, "ready": 2}
                and any(job.state == "rendered" and job.attempts for job in jobs(workspace))
            ),
            told=workspace.counts,
        )
    shift(workspace.root / "state.db", jump)
    finish(workspace, 5)


@pytest.mark.slow
@JUMPS
def test_a_clock_jump_while_a_daemon_runs_delays_nothing(stalled_workspace: Workspace, jump: int) -> None:
    workspace = stalled_workspace
    workspace.set("limits", in_flight=2, submits_per_minute=600)
    for number in range(5):
        workspace.drop(f"{number}.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 2, "ready": 3}, told=workspace.counts)
        shift(workspace.root / "state.db", jump)
        drain(workspace, 5)
    assert workspace.simulator.ledger().creates == 5


@JUMPS
def test_a_submit_lost_while_the_clock_was_wrong_is_not_bought_twice(stalled_workspace: Workspace, jump: int) -> None:
    workspace = stalled_workspace
    workspace.simulator.inject(Fault("delay_after", seconds=20))
    workspace.drop("beach.jpg")
    daemon = workspace.spawn("run")
    workspace.simulator.wait_for(lambda ledger: ledger.creates == 1)
    daemon.kill()
    daemon.communicate()
    assert workspace.counts() == {"submitting": 1}
    shift(workspace.root / "state.db", jump)
    workspace.simulator.finish_all()
    with workspace.running():
        wait_until(lambda: workspace.counts().keys() & {"held", "done"}, told=lambda: workspace.cli("status"))
        if "held" in workspace.counts():
            (video,) = workspace.simulator.ledger().videos
            assert video.id in workspace.cli("show", "beach.jpg")
            workspace.cli("adopt", "beach.jpg", video.id)
        wait_until(lambda: workspace.counts() == {"done": 1}, told=lambda: workspace.cli("status"))
    assert workspace.simulator.ledger().creates == 1


def finish(workspace: Workspace, orders: int) -> None:
    """Run a new daemon, and assert that every order was delivered, and bought once."""
    with workspace.running():
        drain(workspace, orders)
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (orders, 0)
    assert len(workspace.files("outbox")) == orders


def drain(workspace: Workspace, orders: int) -> None:
    """Let the server finish all videos, until every pair is in ``processed``."""

    def over() -> bool:
        workspace.simulator.finish_all()
        return len(workspace.files("processed")) == 2 * orders

    wait_until(over, told=lambda: workspace.cli("status"))
