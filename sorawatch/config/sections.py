"""What a configuration says, and what it says where it is silent. Seconds may be fractions; money is micro-dollars."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.core.limits import Limits
from sorawatch.core.order import MICROS, Fit, Focus, Model, Size
from sorawatch.core.permissions import Permissions
from sorawatch.core.sidecar import OrderSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from sorawatch.core.job import Billing
    from sorawatch.core.reference_format import ReferenceOptions

KEEP_DAYS = 90
STATE = "/var/lib/sorawatch/state.db"
WORK = "work"
"""Beside the configuration: the folder for what is under way where the state is in a database."""
LIMITS = Limits(in_flight=4, submits_per_minute=30, micros_per_day=20 * MICROS)
VIDEO = OrderSettings(model="sora-2", size=Size(1280, 720), seconds=8, fit=Fit.CROP, focus=Focus.CENTRE)


class UnresolvedSubmit(StrEnum):
    """What becomes of an order whose answer was lost on a server that cannot list its videos."""

    HOLD = "hold"
    RESUBMIT = "resubmit"


class WatchMode(StrEnum):
    """How changes in the inbox are noticed: ``auto`` goes by what its mounts can tell."""

    AUTO = "auto"
    NATIVE = "native"
    POLLING = "polling"


class Duplicates(StrEnum):
    """What becomes of the same order as one that was delivered and is still remembered."""

    REFUSE = "refuse"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Folders:
    """Absolute once loaded; the defaults are relative to the configuration file."""

    inbox: Path = Path("inbox")
    outbox: Path = Path("outbox")
    errors: Path = Path("errors")
    processed: Path = Path("processed")
    file_mode: int | None = None
    dir_mode: int | None = None
    group: int | None = None
    """Its number."""

    @property
    def roots(self) -> Mapping[str, Path]:
        """The four folders by their keys."""
        names = ("inbox", "outbox", "errors", "processed")
        return {name: getattr(self, name) for name in names}

    @property
    def access(self) -> Permissions:
        return Permissions(self.file_mode, self.dir_mode, self.group)


@dataclass(frozen=True, slots=True)
class Api:
    """The server, and where its form differs from the reference's."""

    base_url: str = "https://api.apiyi.com/v1"
    """Without a slash at its end."""
    key_file: Path | None = None
    timeout_seconds: float = 60
    unresolved_submit: UnresolvedSubmit = UnresolvedSubmit.HOLD
    allow_http: bool = False
    image_field: str = "input_reference"
    extra_fields: tuple[tuple[str, str], ...] = ()
    """Form fields beside the contract's own, with their values."""
    send_size: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    """Names and values; a value ``$NAME`` stands for that environment variable, and is a secret."""
    auth: str = "bearer"
    """``bearer``, ``none``, or the name of the header that carries the bare key."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How the inbox is looked at, and when a file there is complete."""

    mode: WatchMode = WatchMode.AUTO
    settle_seconds: float = 3
    """How long a file must not have changed."""
    rescan_seconds: float = 30
    """The longest time between two listings."""
    damaged_grace_seconds: float = 120
    """How long a picture on a network share may look damaged before it counts as that."""
    ignore: tuple[str, ...] = ()
    """Glob patterns of file names."""


@dataclass(frozen=True, slots=True)
class Polling:
    """The bounds of the wait between two polls of one job at the API, and how long a render may take."""

    min_seconds: float = 5
    max_seconds: float = 30
    stall_minutes: float = 60
    """After so long a render is reported, and asked after ever more rarely."""
    abandon_hours: float = 24
    """After so long it is held for a person."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How temporary failures are met."""

    first_seconds: float = 5
    max_seconds: float = 900
    """The longest wait; each is about twice the one before."""
    attempts: int = 8
    """Failures in a row before a step is given up."""
    failed_generations: int = 1
    """How often a clip that the server failed to make is ordered again."""


class LogFormat(StrEnum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severity that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Logging:
    """Of ``sorawatch run``."""

    format: LogFormat = LogFormat.TEXT
    level: LogLevel = LogLevel.INFO
    file: Path | None = None
    """Written to beside stderr."""
    prompts: bool = False
    """Whether prompts are logged whatever the level."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration in which no problem was found."""

    path: Path
    """The file it was read from, absolute."""
    folders: Folders
    state: str = field(repr=False)
    """An absolute path (SQLite), or a ``postgresql://`` URL, which may hold a password."""
    work: Path | None
    """None is ``WORK``, and of no consequence where the state is a file."""
    api: Api
    defaults: OrderSettings
    """The section ``video``: the last layer of every order."""
    catalogue: Mapping[str, Model]
    """The section ``models`` over the built-in catalogue."""
    reference: ReferenceOptions
    watch: WatchOptions
    polling: Polling
    retries: Retries
    limits: Limits
    logging: Logging
    billing: Billing
    duplicates: Duplicates
    keep_days: int
    """Days for which ended jobs and their history are kept."""
    timezone: ZoneInfo | None
    """None is the system's."""
