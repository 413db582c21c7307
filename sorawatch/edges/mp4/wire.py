"""The messages about clips between the daemon and a worker."""

from __future__ import annotations

from sorawatch.edges.confined.messages import Reply
from sorawatch.edges.mp4.check import NotWhole
from sorawatch.errors import Blocked, Deferred

Checked = Deferred | Blocked | None
"""The objection to a clip, or why it cannot be read; None for a whole MP4."""


def to_reply(checked: Checked) -> Reply:
    """The message that says how a check ended."""
    match checked:
        case None:
            return Reply({"kind": "whole"})
        case Blocked():
            head = {
                "kind": "blocked",
                "reason": str(checked),
                "hint": checked.hint,
                "temporary": checked.cause.temporary,
            }
            return Reply(head)
        case Deferred():
            kind = "not whole" if isinstance(checked, NotWhole) else "deferred"
            return Reply({"kind": kind, "reason": str(checked)})


def from_reply(reply: Reply) -> Checked:
    """What a message says.

    Raises:
        ValueError, KeyError: if it is not valid.
    """
    head = reply.head
    match reply.kind:
        case "whole":
            return None
        case "not whole":
            return NotWhole(str(head["reason"]))
        case "deferred":
            return Deferred(str(head["reason"]))
        case "blocked":
            return Blocked(str(head["reason"]), str(head["hint"]), temporary=bool(head["temporary"]))
        case other:
            raise ValueError(other)
