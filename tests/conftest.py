"""What the tests of the whole product share."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sorawatch import simulator
from sorawatch.simulator.renderer import ClipCache
from tests.support.memory_folder import memory_folder
from tests.support.mounts import mount, other_disk, remount, unprivileged
from tests.support.postgres import cluster, database
from tests.support.workspace import Workspace

__all__ = [
    "cluster",
    "database",
    "mount",
    "other_disk",
    "remount",
    "sim",
    "stalled_workspace",
    "unprivileged",
    "workspace",
]

# One job waits about 100 times until a write is on the disk, most of the time of many tests. The nightly run is on a disk:
# it sets TMPDIR.
if "TMPDIR" not in os.environ and (memory := memory_folder()):
    os.environ["TMPDIR"] = tempfile.tempdir = str(memory)
# Compiling all modules in each process takes longer than the tests of the core.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Before a test module imports the command line, whose tables are as wide as this.
os.environ["COLUMNS"] = "200"
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_CLIPS = ClipCache()
"""Most tests order the same few pictures."""
_PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One and a half times as many as processors: much of a test is waiting."""
    processors = len(os.sched_getaffinity(0))
    return processors + (processors + 1) // 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture(autouse=True)
def _files_of_passed_tests_are_removed(request: pytest.FixtureRequest) -> Iterator[None]:
    """All that is kept of a whole run would fill the memory. Pytest itself would look into what is still mounted there."""
    yield
    folder = request.node.funcargs.get("tmp_path")
    if folder is not None and request.node.stash.get(_PASSED, False):
        points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        if not any(point.startswith(f"{folder}/") for point in points):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sim() -> Iterator[simulator.Simulator]:
    """A quick simulator with small clips."""
    settings = simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1)
    with simulator.running(settings, clips=_CLIPS) as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path, sim: simulator.Simulator) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path, sim)
    yield workspace
    workspace.close()


@pytest.fixture
def stalled_workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose simulator finishes no video until it is told to."""
    settings = simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)
    with simulator.running(settings, clips=_CLIPS) as sim:
        workspace = Workspace(tmp_path, sim)
        yield workspace
        workspace.close()
