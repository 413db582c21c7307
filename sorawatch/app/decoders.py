"""Makes the processes that decode pictures, as the configuration and the memory of the machine allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core.decoder_limits import decoder_limits
from sorawatch.edges.images import Pool, ProcessLimits
from sorawatch.edges.memory import total_memory

if TYPE_CHECKING:
    from sorawatch.config import Config


def decoders(config: Config) -> Pool:
    """The processes. They are ended when the block that they are used in ends."""
    options = config.decoders
    processes, memory = decoder_limits(total_memory(), options.processes, options.memory_mb)
    return Pool(ProcessLimits(address_space=memory), workers=processes)
