"""Makes the processes that read pictures and clips, as the configuration and the memory of the machine allow."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sorawatch.core.decoder_limits import decoder_limits
from sorawatch.edges.confined import ProcessLimits
from sorawatch.edges.images import Pool
from sorawatch.edges.memory import total_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from sorawatch.config import Config
    from sorawatch.edges.confined import Confinement

logger = logging.getLogger("sorawatch")


def decoders(config: Config, on_start: Callable[[Confinement], None] = lambda _: None) -> Pool:
    """The processes that decode pictures. They are ended when the block that they are used in ends.

    Args:
        on_start: called with what the kernel refuses to each process that was started, from any thread.
    """
    options = config.decoders
    processes, memory = decoder_limits(total_memory(), options.processes, options.memory_mb)
    return Pool(ProcessLimits(address_space=memory), workers=processes, on_start=on_start)


class ConfinementLog:
    """Logs once what the kernel refuses to the processes that read pictures and clips. Called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged = False

    def __call__(self, confinement: Confinement) -> None:
        with self._lock:
            was_logged, self._logged = self._logged, True
        if not was_logged:
            level = logging.INFO if confinement.is_complete else logging.WARNING
            logger.log(level, "the processes that read pictures and clips %s", confinement)
