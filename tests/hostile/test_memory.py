"""Trees that are made to cost much cost little. Memory and opened folders are counted, not time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

_SCAN = """
import resource, sys
from pathlib import Path
from sorawatch.core.sidecar import OrderSettings
from sorawatch.daemon.intake.scan import InboxScanner
from sorawatch.edges.inbox import Inbox

inbox = Inbox(Path(sys.argv[1]), ignore=(), settle_seconds=0.01)
scanner = InboxScanner(inbox, OrderSettings(prompt="waves"), {}, lambda: None, sidecar_grace_seconds=0)
scanner.scan({}, 0)
found = scanner.scan({}, 1)
print(len(found.new), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def nested(top: Path, levels: int) -> Path:
    """Folders within each other, each with defaults; returns the innermost."""
    folder = top
    for level in range(levels):
        folder /= "d"
        folder.mkdir()
        (folder / "_defaults.yaml").write_text(f"priority: {level % 10}\n")
    return folder


def peak(inbox: Path) -> tuple[int, int]:
    """How many orders a scan finds, and the peak of its memory in KiB."""
    done = subprocess.run(
        [sys.executable, "-c", _SCAN, inbox],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    orders, kibibytes = done.stdout.split()
    return int(orders), int(kibibytes)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(("levels", "folders", "orders"), [(60, 500, 500), (900, 1500, 0)])
def test_many_defaults_above_many_folders(inbox: Path, levels: int, folders: int, orders: int) -> None:
    _, little = peak(inbox)
    innermost = nested(inbox, levels)
    for number in range(folders):
        (innermost / f"{number}").mkdir()
        (innermost / f"{number}" / "a.jpg").write_bytes(b"x")
    found, much = peak(inbox)
    assert much - little < 30 * 1024
    assert found == orders


_SEARCH = """
import sys
from pathlib import Path
from sorawatch.edges.inbox import Inbox
from sorawatch.edges.stale_texts import remove_stale_texts

opened = 0

def count(event, _):
    global opened
    opened += event == "open"

sys.addaudithook(count)
if sys.argv[2] == "inbox":
    Inbox(Path(sys.argv[1]), ignore=(), settle_seconds=0.01).scan({}, 0)
else:
    remove_stale_texts(Path(sys.argv[1]))
print(opened)
"""


@pytest.mark.parametrize(("which", "levels", "chains"), [("inbox", 60, 3), ("errors", 60, 3), ("errors", 500, 1)])
def test_each_folder_is_opened_once_however_deep_it_is(inbox: Path, which: str, levels: int, chains: int) -> None:
    for number in range(chains):
        folder = inbox / f"{number}"
        folder.mkdir()
        nested(folder, levels)
    done = subprocess.run(
        [sys.executable, "-c", _SEARCH, inbox, which],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    # Every folder, its defaults in some cases, and what Python itself opens.
    assert int(done.stdout) <= 2 * min(levels, 64) * chains + 20
