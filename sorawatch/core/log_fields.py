"""The events and fields of log lines, for programs that read logs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class LogEvent(StrEnum):
    """What happened. Each event has a name, and a ``MESSAGE_ID`` by which ``journalctl`` finds it."""

    message_id: str

    def __new__(cls, name: str, message_id: str) -> Self:
        event = str.__new__(cls, name)
        event._value_ = name
        event.message_id = message_id
        return event

    STARTED = "started", "13b1aea71f2f47fc93d499b3420e3edc"
    STOPPED = "stopped", "27077a708b3e4f189b0ebfcc63137fb4"
    RELOADED = "reloaded", "277ab05633e74ddfa1314cf52fa36741"
    RELOAD_REFUSED = "reload-refused", "ab449506a6b64639b006d6563cd49370"
    FOUND = "found", "6df3b7a325c34f2bbab59dd2e23b64a3"
    SUBMITTING = "submitting", "16bd479e7cd844689c2f9baedcb30ac2"
    RENDERING = "rendering", "971725bbc76e4c11868ce7d49500c964"
    DELIVERED = "delivered", "e2f24220ccae4267a8fb47362e68d3c9"
    DONE = "done", "19d2b7d995114aa69f90aecc0f2e6d89"
    UNCERTAIN = "uncertain", "b7da9465802f4a4c834bdc5f957a5d19"
    HELD = "held", "9b1640687f9141deb3fa55fbfa64efdd"
    REFUSED = "refused", "80ae76ce7cd74ec0986f91d55ccbdb46"
    FAILED = "failed", "abad3fd7678845748e62f53623986043"
    CANCELLED = "cancelled", "76e9047c550047bb87deb60180444235"
    PROGRESS = "progress", "79e206e9c4a24a3d8ef5b1e1674f1dc9"
    """Any other change of a job's state."""
    PAUSED = "paused", "06a68c45596a4f3ebe0dbae821450490"
    RESUMED = "resumed", "ac693fd12c094bc095c9e9f68834b395"
    INBOX_LOST = "inbox-lost", "bb6d7e4853694a7c809c0479b92666c6"
    INBOX_BACK = "inbox-back", "e1d6421ba1ee4e1fbd1782c0eab081d1"
    STATE_BLOCKED = "state-blocked", "1fa7b48bcad241bfaaeb183de58fd800"


@dataclass(frozen=True, slots=True)
class LogFields:
    """The fields of one log line. ``file`` is a path below the inbox, as ``os.fsdecode`` gives it."""

    event: LogEvent
    job: str | None = None
    state: str | None = None
    file: str | None = None
    video: str | None = None
    why: str | None = None
    seconds: float | None = None
    """How long the job was in its previous state."""


def log_extra(facts: LogFields) -> dict[str, LogFields]:
    """The ``extra`` argument of a log call that passes ``facts`` on."""
    return {"facts": facts}
