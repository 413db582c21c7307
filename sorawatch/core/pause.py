"""Why orders wait, as it is published for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.naming import one_line

if TYPE_CHECKING:
    from sorawatch.core.calendar import LocalTime


@dataclass(frozen=True, slots=True)
class Pause:
    """One reason why nothing, or not everything, is submitted. Times are milliseconds of the store's clock."""

    reason: str
    hint: str = ""
    until: int | None = None
    """When orders go on by themselves, or one of them tries again; None where a person must act."""
    folder: str = ""
    """The pause holds for this folder of the inbox and those below it; ``""`` is the whole inbox."""
    limit: str = ""
    """The limit that is reached, if it is one, in the same words for as long as it is reached."""
    asked: float | None = None
    """Seconds for which the server asked us to wait."""
    since: int | None = None
    model: str = ""
    """The pause holds for orders for this model; ``""`` is all."""
    approval: bool = False
    """Only a batch of orders waits, for a person who approves it."""

    @property
    def cause(self) -> str:
        """Equal for the same pause at two times: the reason of a limit changes as money is spent."""
        return self.limit or self.reason

    @property
    def headline(self) -> str:
        if self.approval:
            return "a batch waits for approval"
        if self.model:
            return f"nothing is submitted for the model {one_line(self.model)}"
        return f"nothing is submitted from {one_line(self.folder)}" if self.folder else "nothing is submitted"

    def goes_on(self, time: LocalTime) -> str:
        """When it ends, as a sentence; empty where a person must act."""
        if self.until is None:
            return ""
        at = time.clock(self.until)
        if self.limit:
            return f"It goes on by itself at {at}."
        return f"{f'The server asks for {self.asked:g} s. ' if self.asked else ''}Tried again at {at}."
