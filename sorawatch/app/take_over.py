"""Takes the four folders over from another state, after the inbox was moved to this one on purpose."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.app.folders import locked_inbox, marked_folders
from sorawatch.app.state import StateLocation
from sorawatch.app.state_identity import state_id
from sorawatch.edges.marker import read_marker, write_marker
from sorawatch.edges.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from sorawatch.config import Config


@dataclass(frozen=True, slots=True)
class Claim:
    """A folder whose marker names another state."""

    folder: Path
    state: str
    """The UUID of that state; empty if the marker names none yet."""


def claims_of_others(config: Config) -> tuple[str, list[Claim]]:
    """The UUID of this state, and the folders that do not belong to it. A folder that is not mounted is left out.

    Raises:
        UsageError: if there is no state yet, or a marker is another file.
        Blocked, Deferred: if the state or a marker cannot be read.
    """
    location = StateLocation.of(config)
    Store.open_for_reading(location.database).close()
    store, _ = Store.create_or_open(location.database, "")
    with closing(store), store.transaction() as tx:
        replaces_lost = not store.is_shared or bool(marked_folders(tx))
        own = state_id(tx, location.ledger, replaces_lost=replaces_lost)
    named = {folder: read_marker(folder) for folder in config.folders.roots.values()}
    return own, [Claim(folder, state) for folder, state in named.items() if state is not None and state != own]


def take_over(config: Config, state: str, claims: list[Claim]) -> None:
    """Let the markers of these folders name ``state``.

    Raises:
        InUse: if the daemon of the other state works on the inbox.
        Blocked, Deferred: if a marker cannot be written.
    """
    inbox = config.folders.inbox
    if all(claim.folder != inbox for claim in claims):
        _name(claims, state)
        return
    held = locked_inbox(inbox)
    try:
        _name(claims, state)
    finally:
        held.release()


def _name(claims: list[Claim], state: str) -> None:
    for claim in claims:
        write_marker(claim.folder, state)
