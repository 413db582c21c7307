"""Worker processes that decode pictures, so that no picture can harm or delay the daemon."""

from __future__ import annotations

import logging
import signal
from typing import IO, TYPE_CHECKING

from sorawatch.core.naming import one_line
from sorawatch.edges.confined import Lost, NoWorker, ProcessLimits, UnknownError, Workers
from sorawatch.edges.images.reference import Reference, ReferenceRequest
from sorawatch.edges.images.source import opened_picture
from sorawatch.edges.images.wire import Prepared, Request, from_reply
from sorawatch.errors import Damaged, Deferred, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sorawatch.edges.confined import Confinement

logger = logging.getLogger("sorawatch")

_DEFAULT = ProcessLimits()


class Pool(Workers):
    """Processes that decode pictures, at most ``workers`` at once."""

    def __init__(
        self,
        limits: ProcessLimits = _DEFAULT,
        *,
        workers: int = 2,
        idle_seconds: float = 60.0,
        on_start: Callable[[Confinement], None] = lambda _: None,
    ) -> None:
        """See `Workers`."""
        super().__init__(
            "sorawatch.edges.images.worker",
            limits,
            "decodes pictures",
            most=workers,
            idle_seconds=idle_seconds,
            on_start=on_start,
        )
        self._cpu_seconds = limits.cpu_seconds

    def prepare(self, path: Path, reference_request: ReferenceRequest, root: Path | None = None) -> Reference:
        """Make a reference from the picture at ``path``. Waits until a worker is free.

        Args:
            root: the folder below which no link is followed on the way to the picture. None: its own folder.

        Raises:
            Damaged: if it is not a picture, or incomplete.
            Rejected: if it can never become a reference: too large, too small, or needs more than a worker may use.
            Deferred: if it cannot be read now, changed while it was read, or no worker can be started.
        """
        name, root = one_line(path.name), root or path.parent
        with opened_picture(root, str(path.relative_to(root))) as picture:
            reply = self._reply_to(Request(name, reference_request), picture)
        match reply:
            case Reference():
                return reply
            case Rejected() | Deferred():
                raise reply
            case UnknownError():
                raise RuntimeError(f"in a worker that was to decode {name}\n{reply.trace}")

    def _reply_to(self, request: Request, picture: IO[bytes]) -> Prepared | UnknownError:
        try:
            return self.ask(request, picture, from_reply)
        except Lost as lost:
            logger.warning("%s: the process that decoded it ended (%s)", request.name, lost)
            return self._refusal(request.name, lost)
        except NoWorker as error:
            return error

    def _refusal(self, name: str, lost: Lost) -> Rejected:
        """The refusal of a picture during whose decoding the worker ended."""
        match -lost.status:
            case signal.SIGPROF | signal.SIGALRM:
                reason = f"{name} took longer to decode than the {self._cpu_seconds:g} seconds that are allowed"
                return Rejected(reason, "Save it again as a plain JPEG, or smaller.")
            case signal.SIGKILL:
                reason = f"the process that decoded {name} was killed, perhaps because the memory ran out"
                return Rejected(reason, "Save it smaller. If something else took the memory, just try it again.")
            case _:
                reason = f"{name} made its decoder crash ({lost})"
                return Damaged(reason, "It is probably damaged. Copy it again, or save it again as JPEG or PNG.")
