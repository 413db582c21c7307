"""What all machines on a state know of it having gone back: a standby without the last transactions, a restored dump.

Then orders may be missing in the state that a machine has in its ledger and its work folder. Nothing is submitted until
each machine that ever used the state has compared them with it, or a person says `sorawatch resume`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sorawatch.core.incarnation import Incarnation
from sorawatch.core.naming import one_line

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction

_INCARNATION = "incarnation"
"""The key in the state of the history that it had when it was last used."""
_MACHINES = "machines"
"""The key in the state of the machines that used it: by the UUID of their ledger, a name and when they were seen."""
_AWAITED = "awaited"
"""The key in the state of the machines that have not compared their ledgers with it since it went back."""

_SEEN_MS = 86_400_000
"""A machine's time is written again when it is this old."""
_FORGOTTEN_MS = 90 * 86_400_000
"""A machine that was not seen for this long has nothing that the state lacks."""
_NAMED = 12
"""Maximum machines that a text names."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that uses a shared state, or one of several work folders of a machine."""

    ledger: str
    """The UUID of its ledger. Where the ledger is lost, so is what the machine knew."""
    name: str
    """For people: the host and the work folder."""


def register(tx: Transaction, machine: Machine) -> None:
    """Write down that ``machine`` uses the state, before it submits anything."""
    machines = _machines(tx)
    known = machines.get(machine.ledger)
    if known is not None and known["name"] == machine.name and abs(tx.now - known["seen"]) < _SEEN_MS:
        return
    awaited = _awaited(tx)
    kept = {
        ledger: each for ledger, each in machines.items() if ledger in awaited or tx.now - each["seen"] < _FORGOTTEN_MS
    }
    tx.key_values.write(_MACHINES, kept | {machine.ledger: {"name": machine.name, "seen": tx.now}})


def has_another_history(tx: Transaction) -> bool:
    """Whether the state has another history than when it was last used. From then on all machines are awaited."""
    # Reading it first keeps the tables from being exchanged until this transaction ends.
    written = tx.key_values.read(_INCARNATION)
    now = tx.peers.incarnation()
    if now is None:
        return False
    before = Incarnation.from_json(written or {})
    # Another user of the database may be allowed to ask for less.
    known = now.with_unknown_of(before).as_json()
    if known != written:
        tx.key_values.write(_INCARNATION, known)
    if now.continues(before):
        return False
    await_all(tx)
    return True


def await_all(tx: Transaction) -> None:
    """Wait for every machine that used the state, because the state has gone back."""
    tx.key_values.write(_AWAITED, sorted(_machines(tx)))


def is_awaited(tx: Transaction, machine: Machine) -> bool:
    """Whether this machine has to compare its ledger with the state."""
    return machine.ledger in _awaited(tx)


def has_reconciled(tx: Transaction, machine: Machine) -> None:
    """The state has everything now that this machine knows."""
    awaited = _awaited(tx)
    if machine.ledger in awaited:
        left = [each for each in awaited if each != machine.ledger]
        tx.key_values.write(_AWAITED, left or None)


def give_up(tx: Transaction) -> None:
    """Go on without the machines that are awaited. They are forgotten until they use the state again."""
    awaited = _awaited(tx)
    if awaited:
        machines = {ledger: each for ledger, each in _machines(tx).items() if ledger not in awaited}
        tx.key_values.write(_MACHINES, machines)
        tx.key_values.write(_AWAITED, None)


def pause_reason(tx: Transaction) -> str | None:
    """Why nothing may be submitted; None if no machine is awaited."""
    awaited, machines = _awaited(tx), _machines(tx)
    names = [one_line(machines[ledger]["name"]) for ledger in awaited if ledger in machines]
    if not names:
        return None
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        "the database has gone back to an earlier time, as after a failover or a restored dump, so it may lack the "
        f"last orders of {', '.join(sorted(names)[:_NAMED])}{more}. Start sorawatch there, with the same work folder. "
        "If that is gone, compare the server's own list with `sorawatch report`; `sorawatch resume` goes on without it"
    )


def _machines(tx: Transaction) -> dict[str, dict[str, Any]]:
    return tx.key_values.read(_MACHINES) or {}


def _awaited(tx: Transaction) -> list[str]:
    return tx.key_values.read(_AWAITED) or []
