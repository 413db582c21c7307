"""What a person at a terminal sees of a daemon at work."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
from contextlib import suppress

import pytest

from sorawatch.core.job import State
from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.workspace import Workspace, wait_until

HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


def test_a_terminal_shows_earlier_jobs_and_has_its_cursor_back_after_the_hardest_stop(workspace: Workspace) -> None:
    (workspace.inbox / "PAUSE").touch()
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"ready": 1})

    ours, its = pty.openpty()
    daemon = workspace.spawn("run", stdin=its, stdout=its, stderr=its, env={"TERM": "xterm"})
    os.close(its)
    shown = b""
    try:
        while b"1 waiting" not in shown:
            shown += os.read(ours, 4096)
        assert HIDE_CURSOR in shown
        # Signals sent to a stopped process meet it together: the second comes before it could obey the first.
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            daemon.send_signal(number)
        with suppress(OSError):  # Linux's way to say that nobody has the terminal open any more
            while more := os.read(ours, 4096):
                shown += more
        assert daemon.wait(60) == 130
    finally:
        daemon.kill()
        daemon.wait()
        os.close(ours)
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)


@pytest.mark.slow
def test_what_stands_in_a_name_does_nothing_to_a_terminal(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    workspace.drop("re\x1b[31md/be\x1b]0;ach\nnothing is submitted.jpg", "waves", seconds=4)
    assert workspace.run_once()
    (job,) = workspace.status().jobs
    for told in (workspace.cli("status"), workspace.cli("show", job.id), workspace.cli("report"), caplog.text):
        assert "\x1b" not in told
        assert not any(line.startswith("nothing") for line in told.splitlines())
    (row,) = json.loads(workspace.cli("report", "--json"))["purchases"]
    assert row["folder"] == "re\x1b[31md", "to programs it is told as it is"


def test_no_file_name_writes_to_a_terminal_or_makes_lines_of_its_own(workspace: Workspace) -> None:
    good = workspace.drop("\x1b[2Ja\nb.jpg", "waves")
    workspace.drop("\x1b[2Jc\nd.jpg", "waves").write_bytes(good.read_bytes()[:-40])
    workspace.drop("\x1b[2Je\nf.jpg", "waves", sizze="auto")
    (workspace.inbox / "\x1b[2Jg\nh.jpg").symlink_to(good.name)
    told = workspace.program("run", "--once", status=1)
    lines = told.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in lines), told
    assert any(texts.DAMAGED in line for line in lines), told
    assert any(f"sizze: {texts.UNKNOWN_KEY}" in line for line in lines)
    shown = [told, workspace.cli("status"), workspace.cli("report")]
    shown += [workspace.cli("show", job.id) for job in workspace.status().jobs]
    shown += [path.read_text() for path in workspace.errors.glob("*.error.txt")]
    shown.append(workspace.cli("show", "\x1b[2Jnone.jpg", status=1))
    assert len(shown) == 9
    assert not [text for text in shown if "\x1b" in text]
    assert r"\x1b[2Ja\nb.mp4" in shown[1]


def test_a_waiting_job_s_reason_ends_before_the_time_of_the_next_try(workspace: Workspace) -> None:
    workspace.drop()
    workspace.set("retries", first_seconds=600, max_seconds=600)
    workspace.simulator.inject(Fault("answer_before", on="content", status=502, shape="html", times=None))
    with workspace.running():
        (job,) = wait_until(lambda: [job for job in workspace.status().jobs if job.attempts])
        told = workspace.cli("status")
    assert f"{job.reason}. Tried again at " in told


@pytest.mark.slow
def test_status_fits_a_narrow_terminal(workspace: Workspace) -> None:
    (workspace.outbox / "taken.mp4").touch()
    workspace.drop("taken.jpg", "waves")
    workspace.drop("wrong.jpg", "waves", seconds=99)
    workspace.run_once()
    workspace.drop("later.jpg", "more waves")
    workspace.cli("pause")
    with workspace.running():
        wait_until(lambda: [job for job in workspace.status().jobs if job.state is State.READY])
        told = workspace.program("status", env={"COLUMNS": "56"})
    lines = told.splitlines()
    assert max(map(len, lines)) <= 56
    (title, _) = [number for number, line in enumerate(lines) if line.startswith("job ")]
    assert lines[title - 1].rstrip() == "needs a person"
    ids = {job.id for job in workspace.status().jobs}
    pictures = [line.split()[2] for line in lines if line.split(" ")[0] in ids]
    assert pictures == ["wrong.jpg", "later.jpg", "taken.jpg"]
    assert "taken.jpg → taken (2).mp4" in told
    reason = " ".join(" ".join(line.split()) for line in lines)
    assert "seconds: is 99, which sora-2 (named in config.yaml, video.model) does not have." in reason


def test_show_has_the_full_paths(workspace: Workspace) -> None:
    workspace.drop("sub/beach.jpg")
    workspace.drop("wrong.jpg", seconds=99)
    assert not workspace.run_once()
    done, failed = workspace.program("show", "sub/beach.jpg"), workspace.program("show", "wrong.jpg")
    for path in (
        workspace.inbox / "sub" / "beach.jpg",
        workspace.processed / "sub" / "beach.jpg",
        workspace.processed / "sub" / "beach.yaml",
        workspace.outbox / "sub" / "beach.mp4",
    ):
        assert re.search(rf" {re.escape(str(path))}\s*$", done, re.MULTILINE)
    for name in ("wrong.jpg", "wrong.yaml", "wrong.error.txt"):
        assert str(workspace.errors / name) in failed
    paths = json.loads(workspace.cli("show", "sub/beach.jpg", "--json"))["paths"]
    assert paths == {
        "picture": str(workspace.inbox / "sub" / "beach.jpg"),
        "moved_to": [str(workspace.processed / "sub" / f"beach.{suffix}") for suffix in ("jpg", "yaml")],
        "clip": str(workspace.outbox / "sub" / "beach.mp4"),
    }


def test_status_says_how_many_jobs_it_leaves_out(workspace: Workspace) -> None:
    for number in range(22):
        workspace.drop(f"wrong{number}.jpg", seconds=99)
    assert not workspace.run_once()
    told = " ".join(workspace.cli("status").split())
    assert len(re.findall(r"wrong\d+\.jpg", told)) == 20
    assert "and 2 more that ended before" in told
    for number in range(42):
        workspace.drop(f"later{number}.jpg", f"waves {number}")
    workspace.cli("pause")
    with workspace.running():
        wait_until(lambda: sum(workspace.counts().values()) == 64, told=workspace.told)
        told = " ".join(workspace.cli("status").split())
    assert len(re.findall(r"later\d+\.jpg", told)) == 40
    assert "and 2 more that go on, and 2 more that ended before; `sorawatch status --all` lists all" in told
    told = workspace.cli("status", "--all")
    assert len(re.findall(r"later\d+\.jpg", told)) == 42
    assert len(re.findall(r"wrong\d+\.jpg", told)) == 22
    assert "more" not in told


@pytest.mark.slow
def test_a_followed_status_says_how_many_lines_do_not_fit(workspace: Workspace) -> None:
    for number in range(12):
        workspace.drop(f"wrong{number}.jpg", seconds=99)
    assert not workspace.run_once()
    ours, its = pty.openpty()
    size = {"TERM": "xterm", "LINES": "12"}
    follower = workspace.spawn("status", "--follow", stdin=its, stdout=its, stderr=its, env=size)
    os.close(its)
    shown = b""
    try:
        while b"more lines; `sorawatch status` shows all" not in shown:
            shown += os.read(ours, 4096)
    finally:
        follower.kill()
        follower.wait()
        os.close(ours)
    screen = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).decode()
    assert re.search(r"and [1-9]\d* more lines", screen)
    assert len(screen[: screen.index("more lines")].splitlines()) <= 12
