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
from tests.support.workspace import Yard, wait_until

HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


def test_a_terminal_shows_earlier_jobs_and_has_its_cursor_back_after_the_hardest_stop(yard: Yard) -> None:
    (yard.inbox / "PAUSE").touch()
    yard.drop("beach.jpg")
    with yard.running():
        wait_until(lambda: yard.counts() == {"ready": 1})

    ours, its = pty.openpty()
    daemon = yard.spawn("run", stdin=its, stdout=its, stderr=its, env={"TERM": "xterm"})
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
        assert daemon.wait(10) == 130
    finally:
        daemon.kill()
        daemon.wait()
        os.close(ours)
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)


def test_what_stands_in_a_name_does_nothing_to_a_terminal(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    yard.drop("re\x1b[31md/be\x1b]0;ach\nnothing is submitted.jpg", "waves", seconds=4)
    assert yard.run_once()
    (job,) = yard.status().jobs
    for told in (yard.cli("status"), yard.cli("show", job.id), yard.cli("report"), caplog.text):
        assert "\x1b" not in told
        assert not any(line.startswith("nothing") for line in told.splitlines())
    (row,) = json.loads(yard.cli("report", "--json"))["purchases"]
    assert row["folder"] == "re\x1b[31md", "to programs it is told as it is"


def test_no_file_name_writes_to_a_terminal_or_makes_lines_of_its_own(yard: Yard) -> None:
    good = yard.drop("\x1b[2Ja\nb.jpg", "waves")
    yard.drop("\x1b[2Jc\nd.jpg", "waves").write_bytes(good.read_bytes()[:-40])
    yard.drop("\x1b[2Je\nf.jpg", "waves", sizze="auto")
    (yard.inbox / "\x1b[2Jg\nh.jpg").symlink_to(good.name)
    told = yard.cli("run", "--once", status=1)
    lines = told.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in lines), told
    assert any("is damaged or cut off" in line for line in lines), told
    assert any("sizze: is not a known key" in line for line in lines)
    shown = [told, yard.cli("status"), yard.cli("report")]
    shown += [yard.cli("show", job.id) for job in yard.status().jobs]
    shown += [path.read_text() for path in yard.errors.glob("*.error.txt")]
    shown.append(yard.cli("show", "\x1b[2Jnone.jpg", status=1))
    assert len(shown) == 9
    assert not [text for text in shown if "\x1b" in text]
    assert r"\x1b[2Ja\nb.mp4" in shown[1]


def test_a_waiting_job_s_reason_ends_before_the_time_of_the_next_try(yard: Yard) -> None:
    yard.drop()
    yard.set("retries", first_seconds=600, max_seconds=600)
    yard.simulator.inject(Fault("answer_before", on="content", status=502, shape="html", times=None))
    with yard.running():
        (job,) = wait_until(lambda: [job for job in yard.status().jobs if job.attempts])
        told = yard.cli("status")
    assert f"{job.reason}. Tried again at " in told


def test_status_fits_a_narrow_terminal(yard: Yard) -> None:
    (yard.outbox / "taken.mp4").touch()
    yard.drop("taken.jpg", "waves")
    yard.drop("wrong.jpg", "waves", seconds=99)
    yard.cli("run", "--once", status=1)
    yard.drop("later.jpg", "more waves")
    yard.cli("pause")
    with yard.running():
        wait_until(lambda: [job for job in yard.status().jobs if job.state is State.READY])
        told = yard.cli("status", env={"COLUMNS": "56"})
    lines = told.splitlines()
    assert max(map(len, lines)) <= 56
    (first,) = [number for number, line in enumerate(lines) if line.startswith("job ")]
    pictures = [line.split()[2] for line in lines[first + 1 :] if not line.startswith(" ")]
    assert pictures == ["later.jpg", "taken.jpg", "wrong.jpg"]
    assert "taken.jpg → taken (2).mp4" in told
    reason = " ".join(" ".join(line.split()) for line in lines)
    assert "seconds: is 99, which sora-2 (named in config.yaml, video.model) does not have." in reason
