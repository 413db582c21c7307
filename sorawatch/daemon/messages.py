"""The messages that reach the daemon's thread, and what it is configured with."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.job import Job
from sorawatch.daemon.actions.executor import ActionDone
from sorawatch.daemon.intake.scan_scheduler import ScanDone

if TYPE_CHECKING:
    from sorawatch.core import outcome as o
    from sorawatch.core.lifecycle import Action
    from sorawatch.daemon.intake.scan import InboxScanner
    from sorawatch.daemon.submission.admission import Admission


@dataclass(frozen=True, slots=True)
class InboxChanged:
    """Something happened in the inbox."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The daemon shall end."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What follows from the configuration, and is exchanged when that is reloaded."""

    perform: Callable[[Action, Job], o.Outcome]
    scanner: InboxScanner
    admission: Admission
    rescan_seconds: float
    keep_days: int
    key_fingerprint: Callable[[], Hashable]
    """As `CircuitBreaker` takes it."""


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """The configuration was read anew; ``parts`` is None where it was refused, as ``refused`` says."""

    parts: Parts | None
    refused: str = ""


Message = ActionDone | ScanDone | InboxChanged | StopRequested | ConfigReloaded

Listener = Callable[[Job | None, Job], None]
"""Called with every change of a job, before and after, once it is on disk."""


def is_stop(messages: Iterable[Message]) -> bool:
    """Whether the daemon shall end."""
    return any(isinstance(message, StopRequested) for message in messages)
