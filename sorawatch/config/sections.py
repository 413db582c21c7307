"""The sections of a configuration and their defaults. Seconds may be fractions; money is in micro-dollars."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.core.dialect import Dialect, customized
from sorawatch.core.limits import Limits
from sorawatch.core.order import MICROS, Aim, Fit, Focus, Model, Size
from sorawatch.core.pairing import ERROR_SUFFIX
from sorawatch.core.permissions import Permissions
from sorawatch.core.sidecar import OrderSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from sorawatch.core.job import Job
    from sorawatch.core.reference_format import ReferenceOptions
    from sorawatch.core.retry_policy import Policy

KEEP_DAYS = 90
STATE = "/var/lib/sorawatch/state.db"
WORK = "work"
"""The work folder beside the configuration, used if the state is in PostgreSQL."""
LIMITS = Limits(in_flight=4, submits_per_minute=30, micros_per_day=20 * MICROS)
VIDEO = OrderSettings(model="sora-2", size=Aim.AUTO, seconds=8, fit=Fit.CROP, focus=Focus.AUTO)
FORMER_VIDEO = {"size": Size(1280, 720), "focus": Focus.CENTRE}
"""The defaults of the keys of ``video`` that had other ones in former versions."""


class UnresolvedSubmit(StrEnum):
    """What to do with an order whose answer was lost, if the server cannot list its videos."""

    HOLD = "hold"
    RESUBMIT = "resubmit"


class WatchMode(StrEnum):
    """How changes in the inbox are noticed. ``auto`` depends on the file system of the inbox."""

    AUTO = "auto"
    NATIVE = "native"
    POLLING = "polling"


class Duplicates(StrEnum):
    """What to do with the same order as one that was delivered and is still in the state."""

    REFUSE = "refuse"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders and permissions. Loaded paths are absolute; the defaults are relative to the configuration file."""

    inbox: Path = Path("inbox")
    outbox: Path = Path("outbox")
    errors: Path = Path("errors")
    processed: Path = Path("processed")
    file_mode: int | None = None
    dir_mode: int | None = None
    group: int | None = None
    """The id of the group."""

    @property
    def roots(self) -> Mapping[str, Path]:
        """The four folders by their keys."""
        names = ("inbox", "outbox", "errors", "processed")
        return {name: getattr(self, name) for name in names}

    def filed(self, job: Job) -> tuple[Path, ...]:
        """Where the files of a job are that were moved out of the inbox, the picture first."""
        return tuple(self.of_filed(job) / job.pair.folder / name for name in job.filed)

    def clip(self, job: Job) -> Path | None:
        """Where a job's clip was delivered to."""
        return None if job.clip is None else self.outbox / job.clip

    def of_filed(self, job: Job) -> Path:
        """The folder to which the pair of a job was moved: in the errors folder there is a text beside every pair."""
        return self.errors if any(name.endswith(ERROR_SUFFIX) for name in job.filed) else self.processed

    @property
    def access(self) -> Permissions:
        return Permissions(self.file_mode, self.dir_mode, self.group)


@dataclass(frozen=True, slots=True)
class Api:
    """The server, and how it differs from its dialect."""

    dialect: Dialect
    base_url: str
    """Without a slash at its end."""
    key_file: Path | None = None
    timeout_seconds: float = 60
    max_clip_mb: int = 2048
    """The largest clip that is downloaded, in MiB."""
    allow_http: bool = False
    graph: Path | None = None
    """The person's own workflow, for dialects whose orders contain one."""
    query: tuple[tuple[str, str], ...] = ()
    """Added to every request to the server."""
    image_field: str = ""
    extra_fields: tuple[tuple[str, str], ...] = ()
    """Additional form fields, with their values."""
    send_size: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    """Names and values. A value ``$NAME`` means that environment variable, whose value is a secret."""
    auth: str = ""
    """``bearer``, ``none``, or the name of the header that contains only the key; empty for the dialect's own."""

    @property
    def contract(self) -> Dialect:
        """The dialect with what the other keys say on top of it."""
        return customized(
            self.dialect,
            image_field=self.image_field,
            extra_fields=self.extra_fields,
            send_size=self.send_size,
            auth=self.auth,
            query=self.query,
        )


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How the inbox is watched, and when a file in it is complete."""

    mode: WatchMode = WatchMode.AUTO
    settle_seconds: float = 3
    """A file is complete when it has not changed for so long."""
    sidecar_grace_seconds: float = 10
    """For so long a picture without a sidecar waits for one before it is ordered with the default prompt."""
    rescan_seconds: float = 30
    """The longest time between two scans."""
    ignore: tuple[str, ...] = ()
    """Glob patterns of file names."""


@dataclass(frozen=True, slots=True)
class DecoderOptions:
    """The processes that decode pictures. None follows from the memory of the machine."""

    processes: int | None = None
    memory_mb: int | None = None
    """MiB that each may use."""


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The lowest severity that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Logging:
    """The logs of ``sorawatch run``."""

    format: LogFormat = LogFormat.TEXT
    level: LogLevel = LogLevel.INFO
    file: Path | None = None
    """A log file in addition to stderr."""
    prompts: bool = False
    """Whether prompts are logged, at any level."""


@dataclass(frozen=True, slots=True)
class Config:
    """A complete configuration without problems."""

    path: Path
    """The file it was read from, absolute."""
    folders: Folders
    state: str = field(repr=False)
    """An absolute path (SQLite), or a ``postgresql://`` URL, which may contain a password."""
    work: Path | None
    """None means ``WORK``. Not used if the state is a file."""
    api: Api
    defaults: OrderSettings
    """The section ``video``: the last layer of every order."""
    catalogue: Mapping[str, Model]
    """The built-in models, changed and extended by the section ``models``."""
    reference: ReferenceOptions
    decoders: DecoderOptions
    watch: WatchOptions
    policy: Policy
    """The sections ``polling``, ``retries`` and ``billing``, and the keys of others that decide about jobs."""
    limits: Limits
    logging: Logging
    duplicates: Duplicates
    keep_days: int
    """For how many days ended jobs and their history are kept."""
    timezone: ZoneInfo | None
    """None means the time zone of the system."""
    unset_video_keys: frozenset[str] = field(default=frozenset(), compare=False)
    """The keys of ``video`` that have their defaults because nothing sets them."""
    digest: str = field(default="", repr=False, compare=False)
    """SHA-256 of the file, without what the environment overrides."""
