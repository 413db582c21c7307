"""The messages to the daemon's thread, and the parts of the daemon that a configuration determines."""

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
    from sorawatch.daemon.upkeep.notice_folder import NoticeFolder
    from sorawatch.daemon.upkeep.published_status import ConfigFile


@dataclass(frozen=True, slots=True)
class InboxChanged:
    """Something happened in the inbox."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The daemon should stop."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the daemon that are built from the configuration, and are replaced when it is reloaded."""

    perform: Callable[[Action, Job], o.Outcome]
    stuck: Callable[[], str | None]
    """Which action waits for an unreachable share, or None."""
    scanner: InboxScanner
    admission: Admission
    rescan_seconds: float
    keep_days: int
    stop_seconds: float
    """The longest time that a stop waits for submits."""
    key_fingerprint: Callable[[], Hashable]
    """As `CircuitBreaker` takes it."""
    account: Callable[[], str | None]
    """The fingerprint of the present API key; None if it cannot be read."""
    config_file: ConfigFile
    notices: NoticeFolder
    """Where texts about batches that wait are written."""


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """The configuration was read again. If it was refused, ``parts`` is None and ``refused`` is the reason."""

    parts: Parts | None
    refused: str = ""


Message = ActionDone | ScanDone | InboxChanged | StopRequested | ConfigReloaded

Listener = Callable[[Job | None, Job], None]
"""Called after the commit with a job before and after a change; the former is None for a new job."""


def is_stop(messages: Iterable[Message]) -> bool:
    """Whether one of them is a request to stop."""
    return any(isinstance(message, StopRequested) for message in messages)
