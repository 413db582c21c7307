"""The log output of `sorawatch run`."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from sorawatch.edges.logs import journald
from sorawatch.simulator import Fault
from tests.support.workspace import KEY, Workspace

STATES = ["found", "ready", "submitting", "rendering", "rendered", "delivered", "done"]


def test_every_change_is_one_line_with_job_file_state_and_duration(workspace: Workspace) -> None:
    workspace.drop("beach.jpg", "slow waves at dusk")
    output = workspace.program("run", "--once")
    assert "dusk" not in output
    lines = [line for line in output.splitlines() if "beach.jpg [" in line]
    assert len(lines) == len(STATES)
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO beach\.jpg \[\w{8}\]: ", line) for line in lines)
    # The first picture takes the start of a process. A short duration, as of a simulated render, is left out.
    (ready,) = (line for line in lines if ": ready" in line)
    assert re.search(r" \(\d+\.\d s\)$", ready)


@pytest.mark.slow
def test_json_is_also_written_to_a_file_and_prompts_are_logged_on_request(workspace: Workspace) -> None:
    workspace.set("logging", format="json", file="sorawatch.log", prompts=True, level="warning")
    workspace.drop("beach.jpg", "slow waves at dusk")
    workspace.drop("odd.jpg", seconds=5)
    output = workspace.program("run", "--once", status=1)
    assert output == (workspace.root / "sorawatch.log").read_text()
    entries = [json.loads(line) for line in output.splitlines()]
    (prompt,) = (entry["message"] for entry in entries if entry["level"] == "debug")
    assert re.fullmatch(r"beach\.jpg \[\w{8}\]: its prompt is: slow waves at dusk", prompt)
    (refused,) = (entry for entry in entries if entry["level"] == "warning")
    assert (refused["event"], refused["state"], refused["file"]) == ("refused", "rejected", "odd.jpg")
    assert "seconds" in refused["why"]


@pytest.mark.slow
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_line_to_write_instead_is_for_the_error_text_alone(workspace: Workspace, log_format: str) -> None:
    workspace.set("logging", format=log_format)
    workspace.drop("beach.jpg", "-")
    (workspace.inbox / "beach.yaml").write_text("prompt: slow waves at dusk #calm\n")
    told = workspace.program("run", "--once", status=1)
    assert "beach.yaml line 1, prompt: is cut off at" in told
    assert "slow waves" not in told
    assert "prompt: 'slow waves at dusk #calm'" in (workspace.errors / "beach.error.txt").read_text()


@pytest.mark.slow
def test_a_prompt_that_the_server_repeats_is_not_logged(workspace: Workspace) -> None:
    prompt = "slow waves at dusk"
    workspace.simulator.inject(Fault("generation_fails", message=f"cannot draw {prompt}", times=None))
    workspace.drop("beach.jpg", prompt)
    output = workspace.program("run", "--once", status=1)
    assert "cannot draw [prompt]" in output
    assert prompt not in output


def test_an_unknown_status_is_logged_once(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    workspace.simulator.inject(Fault("status_word", on="retrieve", word="warming_up_the_oven", times=3))
    workspace.drop("beach.jpg", "slow waves at dusk")
    assert workspace.run_once()
    assert caplog.text.count("warming_up_the_oven") == 1


@pytest.mark.slow
def test_a_name_with_a_line_break_is_logged_on_one_line(workspace: Workspace) -> None:
    workspace.drop("be\nach.jpg", "slow waves at dusk")
    output = [line for line in workspace.program("run", "--once").splitlines() if "ach.jpg" in line]
    assert len(output) == len(STATES)
    assert all(r"'be\nach.jpg' [" in line for line in output)
    assert any(
        line.endswith(r"delivered as 'be\nach.mp4'") or r"delivered as 'be\nach.mp4' (" in line for line in output
    )


def test_a_fatal_error_has_the_priority_of_an_error_in_the_journal(workspace: Workspace) -> None:
    if journald.sender() is not None:
        pytest.skip("systemd-python is installed, which writes into the journal itself")
    workspace.set("limits", in_flight=0, burst=0)
    reading, writing = os.pipe()
    status = os.fstat(writing)
    daemon = workspace.spawn("run", env={"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, stderr=writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as stderr:
        output = stderr.read().splitlines()
    daemon.communicate(timeout=60)
    assert len(output) == 2
    assert all(line.startswith("<3>error: config.yaml") for line in output)


@pytest.mark.slow
def test_lines_for_the_journal_have_priorities_and_no_time(workspace: Workspace) -> None:
    if journald.sender() is not None:
        pytest.skip("systemd-python is installed, which writes into the journal itself")
    workspace.drop("beach.jpg")
    reading, writing = os.pipe()
    status = os.fstat(writing)
    stream = f"{status.st_dev}:{status.st_ino}"
    daemon = workspace.spawn("run", "--once", env={"JOURNAL_STREAM": stream}, stderr=writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as stderr:
        output = stderr.read().splitlines()
    daemon.communicate(timeout=60)
    assert all(line.startswith("<6>") for line in output)
    assert len([line for line in output if line.startswith("<6>beach.jpg [")]) == len(STATES)


@pytest.mark.slow
def test_a_log_file_that_cannot_be_written_is_named(workspace: Workspace) -> None:
    workspace.set("logging", file="missing/sorawatch.log")
    assert f"{workspace.root}/missing/sorawatch.log" in workspace.program("run", "--once", status=1)


def test_the_key_is_not_in_the_debug_log(workspace: Workspace) -> None:
    workspace.set("logging", level="debug", prompts=True)
    workspace.simulator.inject(Fault("answer_before", on="create", status=429, message=f"Bearer {KEY} refused"))
    workspace.drop("beach.jpg", f"waves and {KEY}")
    process = workspace.spawn("run", "--once", stderr=subprocess.STDOUT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "[key]" in output
    assert KEY not in output
