"""What ``status`` prints at several widths, and which jobs it selects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sorawatch import simulator
from sorawatch.core.job import State
from tests.support.workspace import Workspace, wait_until


def fill(workspace: Workspace) -> None:
    """Leave jobs in several folders and states, and files that belong to none, as a daemon that was stopped leaves them."""
    workspace.set("limits", in_flight=1)
    workspace.drop("cats/wrong.jpg", seconds=99)
    workspace.drop("alone.jpg", prompt="")
    (workspace.inbox / "prompt.txt").write_text("waves")
    workspace.drop("cats/first.jpg", "slow waves around an island in the early morning")
    with workspace.running():
        workspace.wait_for_creates(1)
        for path in ("cats/second.jpg", "dogs/old/a picture with a long name that is folded.jpg", "dogs/third.jpg"):
            workspace.drop(path)
        expected = {"failed": 1, "rendering": 1, "ready": 3}
        wait_until(lambda: workspace.counts() == expected, told=workspace.told)
        wait_until(lambda: len(workspace.status().files) == 2, told=workspace.told)


@pytest.fixture
def busy(stalled_workspace: Workspace) -> Workspace:
    """What `fill` leaves, for tests that change it."""
    fill(stalled_workspace)
    return stalled_workspace


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """What `fill` leaves, for tests that only look at it."""
    settings = simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)
    with simulator.running(settings) as sim, closing(Workspace(tmp_path_factory.mktemp("unchanged"), sim)) as workspace:
        fill(workspace)
        yield workspace


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_every_width_has_the_times_the_price_and_the_reason(unchanged: Workspace, columns: int) -> None:
    told = unchanged.program("status", env={"COLUMNS": str(columns)})
    lines = told.splitlines()
    assert max(map(len, lines)) <= columns
    row = next(number for number, line in enumerate(lines) if " ready " in line and not line.startswith("waiting"))
    text = " ".join(" ".join(lines[row : row + 6]).split())
    assert "$0.80" in text
    assert re.search(r"\b\d\d:\d\d\b", text), "when it came"
    assert re.search(r"\b\d+ (s|min)\b", text), "since when it is ready"
    assert "sorawatch is not running" in text
    header = next(line for line in lines if line.startswith("job "))
    assert header.split() == ["job", "state", *(["for", "came", "price"] if columns >= 100 else []), "picture"]


def test_what_needs_a_person_comes_first(busy: Workspace) -> None:
    busy.cli("pause")
    told = busy.cli("status")
    order = [
        "not running",
        "nothing is submitted: paused",
        "needs a person",
        "cats/wrong.jpg",
        "Correct what is named above.",
        "files that need a person",
        "alone.jpg",
        "prompt.txt",
        "jobs: 3 ready, 1 rendering, 1 failed",
        "waiting: 3 orders ready, $2.40",
        "cats/first.jpg",
    ]
    places = [told.index(words) for words in order if words not in {"alone.jpg", "prompt.txt"}]
    assert places == sorted(places), told
    files = told[told.index("files that need") : told.index("jobs: 3")]
    assert "alone.jpg" in files
    assert "prompt.txt" in files


def test_a_failure_whose_picture_was_dropped_again_needs_nobody(busy: Workspace) -> None:
    busy.drop("cats/wrong.jpg", "calm waves")
    with busy.running():
        wait_until(lambda: busy.counts().get("ready") == 4, told=busy.told)
    assert not busy.status().needing
    assert "needs a person" not in busy.told()
    assert State.FAILED in {job.state for job in busy.status().jobs}


def test_an_old_failure_needs_nobody(busy: Workspace) -> None:
    busy.age(days=2)
    assert not busy.status().needing
    told = busy.told()
    assert "  2 d  " in told
    assert re.search(r"  ([A-Z][a-z]{2} \d+|\d{4}-\d\d-\d\d)  ", told), "the day when it came"


@pytest.mark.parametrize(
    ("arguments", "pictures"),
    [
        (["--state", "ready"], {"second.jpg", "third.jpg", "a picture with a long name that is folded.jpg"}),
        (["--state", "READY", "--folder", "dogs/"], {"third.jpg", "a picture with a long name that is folded.jpg"}),
        (["--state", "rendering", "--state", "failed"], {"first.jpg", "wrong.jpg"}),
        (["--folder", "cats"], {"first.jpg", "second.jpg", "wrong.jpg"}),
        (["--folder", "inbox/dogs/old/"], {"a picture with a long name that is folded.jpg"}),
        (["--folder", "cats", "--state", "held"], set()),
    ],
)
def test_states_and_folders_are_selected(unchanged: Workspace, arguments: list[str], pictures: set[str]) -> None:
    told = unchanged.cli("status", *arguments)
    listed = {
        name
        for name in (
            "first.jpg",
            "second.jpg",
            "third.jpg",
            "wrong.jpg",
            "a picture with a long name that is folded.jpg",
        )
        if name in told
    }
    assert listed == pictures
    as_json = json.loads(unchanged.cli("status", *arguments, "--json"))
    assert {Path(job["image"]).name for job in as_json["jobs"]} == pictures
    assert as_json["left_out"] == {"going_on": 0, "ended": 0}


def test_an_empty_selection_says_so(unchanged: Workspace) -> None:
    assert "no job in the state held in cats" in unchanged.cli("status", "--state", "held", "--folder", "cats")
    assert "jobs in cats: 1 ready, 1 rendering, 1 failed" in unchanged.cli("status", "--folder", "cats")


def test_a_wrong_state_names_the_allowed_ones(unchanged: Workspace) -> None:
    told = unchanged.cli("status", "--state", "reddy", status=2)
    for state in State:
        assert f"'{state}'" in told


def test_a_wrong_folder_names_the_inbox(unchanged: Workspace) -> None:
    told = " ".join(unchanged.cli("status", "--folder", "horses", status=1).split())
    assert f"there is no folder horses in the inbox. Name one of those in {unchanged.inbox}" in told


def test_what_is_left_out_is_counted_with_the_command_that_shows_it(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    (workspace.inbox / "PAUSE").touch()
    for number in range(43):
        workspace.drop(f"cats/{number}.jpg", f"waves {number}")
        (workspace.inbox / f"{number}.txt").write_text("waves")
    with workspace.running():
        wait_until(lambda: sum(workspace.counts().values()) == 43, told=workspace.told)
        wait_until(lambda: len(workspace.status().files) == 43, told=workspace.told)
        told = workspace.cli("status", "--folder", "inbox/cats")
        assert "and 3 more that go on; `sorawatch status --folder cats --all` lists all" in told
        assert len(re.findall(r"cats/\d+\.jpg", told)) == 40
        assert "and 3 more; `sorawatch status --all` lists them" in workspace.cli("status")
        every = workspace.cli("status", "--all")
        assert "more" not in every
        assert len(re.findall(r"^\d+\.txt", every, re.MULTILINE)) == 43
        assert len(json.loads(workspace.cli("status", "--json"))["jobs"]) == 43


def test_files_that_are_not_listed_are_counted(workspace: Workspace) -> None:
    for number in range(203):
        (workspace.inbox / f"{number}.txt").write_text("waves")
    with workspace.running():
        wait_until(lambda: workspace.status().published.waiting_count == 203, told=workspace.told)
    assert "the daemon lists 200 of the 203 files that are not part of a job" in workspace.cli("status", "--all")


def test_a_file_that_is_only_being_written_needs_nobody(workspace: Workspace) -> None:
    workspace.set("watch", settle_seconds=600)
    workspace.drop("a.jpg")
    with workspace.running():
        wait_until(lambda: workspace.status().files, told=workspace.told)
    told = workspace.told()
    assert "in the inbox, no job yet" in told
    assert "need a person" not in told
    assert json.loads(workspace.cli("status", "--json"))["waiting"] == [
        {"path": "a.jpg", "why": "still being written, or just now", "needs_person": False}
    ]
