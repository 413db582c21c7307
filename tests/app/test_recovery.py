"""The state file is gone, damaged, or older than what happened since: nothing is bought again, nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.support.workspace import Yard, wait_until


@pytest.fixture
def held(patient_yard: Yard) -> Yard:
    """A yard with a daemon killed amid three renders and two waiting jobs."""
    yard = patient_yard
    yard.set("limits", in_flight=3)
    for number in range(5):
        yard.drop(f"{number}.jpg")
    daemon = yard.spawn("run")
    wait_until(lambda: yard.counts() == {"rendering": 3, "ready": 2}, told=yard.counts)
    daemon.kill()
    daemon.communicate()
    return yard


def finish(yard: Yard) -> None:
    """Everything is delivered, for five orders in all."""
    daemon = yard.spawn("run")
    try:
        yard.simulator.wait_for(lambda ledger: ledger.creates >= 3)
        yard.simulator.finish_all()
        yard.simulator.wait_for(lambda ledger: ledger.creates == 5)
        yard.simulator.finish_all()
        wait_until(lambda: len(yard.files("processed")) == 10, told=lambda: yard.cli("status"))
    finally:
        daemon.terminate()
        output, errors = daemon.communicate()
    ledger = yard.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (5, 0), output + errors
    assert len(yard.files("outbox")) == 5
    assert yard.files("errors") == {}


def test_a_lost_state_is_not_replaced_by_an_empty_one(held: Yard) -> None:
    (held.root / "state.db").unlink()
    told = held.cli("run", status=2)
    assert "the state file" in told
    assert "still holds 5 unfinished jobs" in told
    assert "sorawatch recover" in told
    assert not (held.root / "state.db").exists()
    assert "took 5 unfinished jobs up again" in held.cli("recover")
    finish(held)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"\0" * 4096 + whole[4096:],
        lambda whole: whole[: 3 * 4096] + b"\xa5" * (6 * 4096) + whole[9 * 4096 :],
    ],
    ids=["at its beginning", "in its midst"],
)
def test_a_damaged_state_is_kept_aside(held: Yard, damage: Callable[[bytes], bytes]) -> None:
    """Also one that can be opened, and fails only where it is used."""
    state = held.root / "state.db"
    damaged = damage(state.read_bytes())
    state.write_bytes(damaged)
    told = held.cli("run", status=2)
    assert "damaged" in told
    assert "sorawatch recover" in told
    assert "took 5 unfinished jobs up again" in held.cli("recover")
    assert (held.root / "state.db.damaged1").read_bytes() == damaged
    finish(held)


def test_a_state_in_order_is_not_recovered(held: Yard) -> None:
    before = (held.root / "state.db").read_bytes()
    assert "in order" in held.cli("recover", status=2)
    assert (held.root / "state.db").read_bytes() == before


def test_an_old_backup_of_the_state_buys_nothing_twice(patient_yard: Yard) -> None:
    yard = patient_yard
    (yard.inbox / "PAUSE").touch()
    yard.drop("known.jpg")
    daemon = yard.spawn("run")
    wait_until(lambda: yard.counts() == {"ready": 1})
    daemon.terminate()
    daemon.communicate()
    shutil.copy(yard.root / "state.db", yard.root / "backup.db")
    yard.drop("unknown.jpg")
    (yard.inbox / "PAUSE").unlink()
    daemon = yard.spawn("run")
    wait_until(lambda: yard.counts() == {"rendering": 2})
    daemon.kill()
    daemon.communicate()
    shutil.copy(yard.root / "backup.db", yard.root / "state.db")
    daemon = yard.spawn("run")
    wait_until(lambda: yard.counts() == {"rendering": 2})
    yard.simulator.finish_all()
    wait_until(lambda: len(yard.files("processed")) == 4)
    daemon.terminate()
    daemon.communicate()
    assert yard.simulator.ledger().creates == 2
