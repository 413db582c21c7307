"""The state file is gone, damaged, or older than what happened since: nothing is bought again, nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.support.workspace import Workspace, wait_until


@pytest.fixture
def held(stalled_workspace: Workspace) -> Workspace:
    """A workspace whose daemon ended amid three renders and two waiting jobs."""
    workspace = stalled_workspace
    workspace.set("limits", in_flight=3)
    for number in range(5):
        workspace.drop(f"{number}.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 3, "ready": 2}, told=workspace.counts)
    return workspace


def finish(workspace: Workspace) -> None:
    """Everything is delivered, for five orders in all."""
    with workspace.running():
        workspace.simulator.wait_for(lambda ledger: ledger.creates >= 3)
        workspace.simulator.finish_all()
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 5)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 10, told=lambda: workspace.cli("status"))
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (5, 0)
    assert len(workspace.files("outbox")) == 5
    assert workspace.files("errors") == {}


def test_a_lost_state_is_not_replaced_by_an_empty_one(held: Workspace) -> None:
    (held.root / "state.db").unlink()
    told = held.program("run", status=2)
    assert "the state file" in told
    assert "still has 5 unfinished jobs" in told
    assert "sorawatch recover" in told
    assert not (held.root / "state.db").exists()
    assert "restored 5 unfinished jobs" in held.program("recover")
    finish(held)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"\0" * 4096 + whole[4096:],
        # Every page of the tables, so that no transaction is committed before the damage is met.
        pytest.param(
            lambda whole: whole[: 3 * 4096] + b"\xa5" * (len(whole) - 4 * 4096) + whole[-4096:],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["at its beginning", "in its midst"],
)
def test_a_damaged_state_is_kept_aside(held: Workspace, damage: Callable[[bytes], bytes]) -> None:
    """Also one that can be opened, and fails only where it is used."""
    state = held.root / "state.db"
    damaged = damage(state.read_bytes())
    state.write_bytes(damaged)
    told = held.program("run", status=2)
    assert "damaged" in told
    assert "sorawatch recover" in told
    assert "restored 5 unfinished jobs" in held.program("recover")
    assert (held.root / "state.db.damaged1").read_bytes() == damaged
    finish(held)


def test_a_state_in_order_is_not_recovered(held: Workspace) -> None:
    before = (held.root / "state.db").read_bytes()
    assert "in order" in held.program("recover", status=2)
    assert (held.root / "state.db").read_bytes() == before


def test_an_old_backup_of_the_state_buys_nothing_twice(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    (workspace.inbox / "PAUSE").touch()
    workspace.drop("known.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"ready": 1})
    shutil.copy(workspace.root / "state.db", workspace.root / "backup.db")
    workspace.drop("unknown.jpg")
    (workspace.inbox / "PAUSE").unlink()
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 2})
    shutil.copy(workspace.root / "backup.db", workspace.root / "state.db")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 2})
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 4)
    assert workspace.simulator.ledger().creates == 2
