"""The program of a worker: checks one clip after the other for the ``ClipChecks`` that started it."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from sorawatch.edges.confined.serving import serve
from sorawatch.edges.mp4 import wire
from sorawatch.edges.mp4.check import check
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from sorawatch.edges.confined.messages import Reply
    from sorawatch.edges.confined.serving import Begin


def handle(_request: object, clip: IO[bytes], begin: Begin) -> Reply:
    """Check an open clip."""
    try:
        with begin():
            check(clip)
    except (Deferred, Blocked) as objection:
        return wire.to_reply(objection)
    except MemoryError:
        return wire.to_reply(
            Deferred("the download cannot be checked: its index needs more memory than a check may use")
        )
    return wire.to_reply(None)


def load() -> None:
    """Everything is imported already."""


if __name__ == "__main__":
    serve(handle, load)
