"""A worker process that checks clips, so that no clip can harm or delay the daemon."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, BinaryIO

from sorawatch.edges.confined import Lost, ProcessLimits, UnknownError, Workers
from sorawatch.edges.mp4.wire import from_reply
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable

    from sorawatch.edges.confined import Confinement

logger = logging.getLogger("sorawatch")

_DEFAULT = ProcessLimits(address_space=1 << 29)
"""Half a gibibyte: many times what the largest index that is read takes, and the process itself."""


class ClipChecks(Workers):
    """A process that checks clips, one at a time."""

    def __init__(
        self,
        limits: ProcessLimits = _DEFAULT,
        *,
        idle_seconds: float = 60.0,
        on_start: Callable[[Confinement], None] = lambda _: None,
    ) -> None:
        """See `Workers`."""
        super().__init__(
            "sorawatch.edges.mp4.worker",
            limits,
            "checks clips",
            most=1,
            idle_seconds=idle_seconds,
            on_start=on_start,
        )
        self._cpu_seconds = limits.cpu_seconds

    def check(self, clip: BinaryIO) -> None:
        """Return if ``clip``, an open file, is a whole MP4; raise otherwise, as `check` does.

        Raises:
            NotWhole: bytes are missing or zeros.
            NoWorker: it was not checked, for a reason that has nothing to do with it.
            Deferred: it is not such an MP4, or cannot be checked: the process crashed, or took too long.
            Blocked: the disk cannot be read.
        """
        try:
            objection = self.ask(None, clip, from_reply)
        except Lost as lost:
            logger.warning("the process that checked a clip ended (%s)", lost)
            raise Deferred(f"the download cannot be checked: {self._description(lost)}") from lost
        if isinstance(objection, UnknownError):
            logger.error("in a worker that was to check a clip\n%s", objection.trace)
            raise Deferred("the download cannot be checked: there was an error, which is in the log")
        if objection is not None:
            raise objection

    def _description(self, lost: Lost) -> str:
        match -lost.status:
            case signal.SIGPROF | signal.SIGALRM:
                return f"that took longer than the {self._cpu_seconds:g} seconds that are allowed"
            case signal.SIGKILL:
                return "the process was killed, perhaps because the memory ran out"
            case _:
                return f"the process crashed ({lost})"
