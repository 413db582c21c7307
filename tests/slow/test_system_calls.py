"""System calls that fail where a full or broken disk would make them fail, at any moment of a run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import texts
from tests.support.daemon_process import Promises, attempts, daemon, pauses, reasons, start
from tests.support.failing_system_calls import Injection, count, failing, require_strace, suffer
from tests.support.sampling import nightly
from tests.support.workspace import Workspace, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

STATE = ("state.db", "state.db-journal", "state.db-wal")
FOLDERS = ("inbox", "outbox", "processed", "errors", "state.db.work")
MOMENTS = 3
"""Calls of a kind that are made to fail, each in a run of its own, spread over all that a run makes."""


@pytest.fixture(autouse=True)
def _strace() -> None:
    require_strace()


@pytest.mark.parametrize(
    ("call", "error", "files"),
    [
        ("pwrite64", "ENOSPC", STATE),
        nightly(("pwrite64", "EIO", STATE)),
        ("fdatasync", "EIO", STATE),
        nightly(("ftruncate", "EIO", STATE)),
        ("openat", "EACCES", STATE),
        ("openat", "EIO", FOLDERS),
        ("write", "ENOSPC", ()),
        ("write", "EIO", ()),
        ("fsync", "EIO", ()),
        nightly(("fsync", "ENOSPC", ())),
        nightly(("rename", "EIO", ())),
        ("rename", "EACCES", ()),
        nightly(("link", "ENOSPC", ())),
        ("linkat", "EIO", ()),
        ("renameat2", "EIO", ()),
        ("mkdir", "EACCES", ()),
        ("unlink", "EIO", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "state" if value is STATE else "folders" if value else "all",
)
def test_one_call_fails(tmp_path: Path, call: str, error: str, files: tuple[str, ...]) -> None:
    calls = count(tmp_path / "undisturbed", call, files)
    step = max(1, calls // MOMENTS)
    injections = [Injection(call, error, when, files) for when in range(1 + calls % step, calls + 1, step)]
    roots = [tmp_path / str(injection.when) for injection in injections]
    for root in roots:
        root.mkdir()
    with ThreadPoolExecutor(2) as pool:
        broken = [complaint for complaint in pool.map(suffer, roots, injections) if complaint]
    assert not broken, "\n".join("\n".join(complaint) for complaint in broken)


@pytest.mark.parametrize(("call", "error"), [("fdatasync", "EIO"), ("pwrite64", "ENOSPC"), ("ftruncate", "EIO")])
def test_a_state_that_cannot_be_written_for_a_while(stalled_workspace: Workspace, call: str, error: str) -> None:
    workspace = stalled_workspace
    workspace.set("limits", in_flight=1)
    promises = Promises(workspace)
    promises.drop("0.jpg", "1.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 1}, told=workspace.counts)
        with failing(running, call, error, *(workspace.root / name for name in STATE)):
            workspace.simulator.finish_all()
            wait_until(lambda: running.log.count(texts.TRYING_AGAIN) >= 2, told=lambda: running.log)
            assert workspace.simulator.ledger().creates == 1
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: f"{reasons(workspace)}\n{running.log}")
    assert "Traceback" not in running.log
    promises.keep(clips=2)


def test_an_outbox_that_ails_for_long_is_no_reason_to_give_a_clip_up(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    promises = Promises(workspace)
    promises.drop("0.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts() == {"rendering": 1}, told=workspace.counts)
        with failing(running, "linkat", "ESTALE", workspace.outbox):
            workspace.simulator.finish_all()
            wait_until(lambda: attempts(workspace) >= 12, told=lambda: f"{reasons(workspace)}\n{running.log}")
            assert workspace.counts() == {"rendered": 1}
            assert workspace.files("outbox") == {}
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace))
    promises.keep(clips=1)


def test_a_work_folder_that_ails_for_long_is_no_reason_to_give_an_order_up(workspace: Workspace) -> None:
    assert workspace.run_once()
    workspace.cli("pause")
    promises = Promises(workspace)
    promises.drop("0.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts() == {"ready": 1}, told=workspace.counts)
        with failing(running, "fsync", "EIO", workspace.root / "state.db.work"):
            workspace.cli("resume")
            wait_until(
                lambda: running.log.count("submitting") >= 12, told=lambda: f"{reasons(workspace)}\n{running.log}"
            )
            assert workspace.simulator.ledger().creates == 0
            assert workspace.counts().keys() <= {"ready", "submitting"}
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace))
    promises.keep(clips=1)


def test_a_ledger_that_cannot_be_written_for_a_while(workspace: Workspace) -> None:
    assert workspace.run_once()
    promises = Promises(workspace)
    with daemon(workspace) as running, promises.watching():
        with failing(running, "fsync", "EIO", workspace.root / "state.db.ledger"):
            promises.drop("0.jpg")
            wait_until(lambda: texts.LEDGER_UNWRITABLE in pauses(workspace), told=lambda: running.log)
            assert workspace.simulator.ledger().creates == 0
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: f"{reasons(workspace)}\n{running.log}")
    promises.keep(clips=1)


def test_a_start_that_cannot_write_its_state_says_so_and_ends(workspace: Workspace) -> None:
    promises = Promises(workspace)
    promises.drop("0.jpg")
    fault = Injection("pwrite64", "EIO", 1, STATE)
    running = start(workspace, prefix=fault.prefix(workspace.root))
    assert running.process.wait(60) == 1, running.log
    assert len(running.log.splitlines()) == 1, running.log
    assert "disk I/O error" in running.log
    assert "Check its disk" in running.log
    promises.everything_whole()
