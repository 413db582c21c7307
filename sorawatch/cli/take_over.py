"""``sorawatch recover --take-over``: lets the folders belong to the state of this configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from sorawatch.app import take_over
from sorawatch.core.naming import terminal_text
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from rich.console import Console

    from sorawatch.config import Config

_MEANING = (
    "The other sorawatch must be stopped: from then on it refuses its inbox. This state does not know what that one "
    "has ordered, so pairs that are still in the inbox may be bought again. To continue the other state instead, move "
    "its files or its database here."
)


def run(config: Config, console: Console, *, ask: bool) -> None:
    """Name the folders that belong to another state, and take them over, after a confirmation with ``ask``.

    Raises:
        Rejected: if it is not confirmed.
        SorawatchError: as `take_over.claims_of_others` and `take_over.take_over`.
    """
    state, claims = take_over.claims_of_others(config)
    if not claims:
        console.print(f"All folders that are there belong to the state {state} already.", soft_wrap=True)
        return
    for claim in claims:
        owner = f"belongs to the state {claim.state}" if claim.state else "belongs to no state yet"
        console.print(f"{escape(terminal_text(str(claim.folder)))} {owner}", soft_wrap=True)
    if ask:
        console.print(_MEANING, soft_wrap=True)
        if not typer.confirm(f"Shall they belong to the state {state}?"):
            raise Rejected("nothing was changed")
    take_over.take_over(config, state, claims)
    console.print(f"They belong to the state {state} now. `sorawatch run` works with them.", soft_wrap=True)
