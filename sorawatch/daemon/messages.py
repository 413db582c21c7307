"""What reaches the daemon's thread from the others, and what it tells them."""

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
    from sorawatch.daemon.intake.watcher import InboxWatcher
    from sorawatch.daemon.submission.admission import Admission


@dataclass(frozen=True, slots=True)
class InboxChanged:
    """Something happened in the inbox."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody wants the daemon to end."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What follows from the configuration, and can be exchanged while the daemon runs."""

    perform: Callable[[Action, Job], o.Outcome]
    intake: InboxScanner
    vigil: InboxWatcher
    """Never exchanged: what it watches, folders.inbox and watch.mode, changes with a restart only."""
    admission: Admission
    rescan_seconds: float
    keep_days: int
    key_mark: Callable[[], Hashable]
    """As in `Blocks`."""


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """The configuration was read anew; ``parts`` is None where it was refused, as ``refused`` says."""

    parts: Parts | None
    refused: str = ""


Message = ActionDone | ScanDone | InboxChanged | StopRequested | ConfigReloaded

Listener = Callable[[Job | None, Job], None]
"""Told of every change of a job, as it was and as it is, after it is on disk."""


def is_stop(messages: Iterable[Message]) -> bool:
    """Whether somebody wants the daemon to end."""
    return any(isinstance(message, StopRequested) for message in messages)
