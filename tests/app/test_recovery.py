"""The state file is gone, damaged, or older than what happened since: nothing is bought again, nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sorawatch.app.recovery import reconcile, take_in
from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.job_record import to_record
from sorawatch.core.limits import Limits
from sorawatch.core.order import Model, Order, Size
from sorawatch.core.purchase import Purchase
from sorawatch.core.retry_policy import Policy
from sorawatch.core.waits import Waits
from sorawatch.daemon.submission.admission import Admission
from sorawatch.edges.spool import Spool
from sorawatch.edges.store import Store, Transaction
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


FOUND = Job("j1", State.FOUND, Pair("", "a.jpg", Stamp(1, 1)), 1, 1, 1, Order("waves", "wan", Size(64, 36), 4))
SUBMITTED = replace(FOUND, digest="d" * 64, token="t1", price=400_000, submitted_at=1)


def from_the_work_folder(tx: Transaction, folder: Path) -> None:
    spool = Spool(folder)
    spool.create()
    spool.write_record(SUBMITTED.id, to_record(SUBMITTED))
    catalogue = {"wan": Model("wan", None, None, micros_per_second=100_000)}
    reconcile(tx, spool, Admission(Limits(), Policy(Waits()), catalogue, True, None, 90, "https://api.example/v1"))


def from_the_ledger(tx: Transaction, folder: Path) -> None:
    elsewhere, _ = Store.create_or_open(folder / "state.db", "elsewhere")
    with elsewhere.transaction() as other:
        other.purchases.add(SUBMITTED)
        (purchase,) = [entry for entry in other.entries if isinstance(entry, Purchase)]
    elsewhere.close()
    take_in(tx, {purchase.token: purchase})


@pytest.mark.parametrize("learn", [from_the_work_folder, from_the_ledger])
def test_an_order_that_another_daemon_prepares_again_is_known_to_be_bought(
    tmp_path: Path, learn: Callable[[Transaction, Path], None]
) -> None:
    """The state has gone back to the time at which that daemon began to prepare it."""
    (tmp_path / "other").mkdir()
    one, two = [Store.create_or_open(tmp_path / "state.db", name)[0] for name in ("one", "two")]
    try:
        with one.transaction() as tx:
            tx.jobs.add([FOUND])
            assert [job.id for job in tx.claims.take([State.FOUND], 1, 60_000)] == ["j1"]
        with two.transaction() as tx:
            learn(tx, tmp_path / "other")
        with one.transaction() as tx:
            job = tx.jobs.get("j1")
            assert job is not None
            assert job.token == "t1"
    finally:
        one.close()
        two.close()
