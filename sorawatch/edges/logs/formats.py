"""A record as a line: for people, for programs, and for a journal at the other end of stderr."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from sorawatch.core.log_events import LogFields
from sorawatch.core.naming import legible, tame
from sorawatch.edges.logs.redaction import SECRETS

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Levels, and those of syslog(3) that they are."""


def facts_of(record: logging.LogRecord) -> LogFields | None:
    """What the record is about, if it is one of ours that says so."""
    facts = getattr(record, "facts", None)
    return facts if isinstance(facts, LogFields) else None


def priority(record: logging.LogRecord) -> int:
    """The record's priority as syslog(3) has it."""
    return next((number for level, number in _PRIORITIES if record.levelno >= level), 7)


class TextFormatter(logging.Formatter):
    """Lines for people: ``layout`` as in `logging.Formatter`, the time in the system's zone.

    What is told is one line, whatever line breaks a file's name or a server put into it; a traceback keeps its own.
    """

    def __init__(self, layout: str = "%(message)s") -> None:
        super().__init__(layout)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the name that it overrides
        return " ".join(super().formatMessage(record).splitlines())

    def format(self, record: logging.LogRecord) -> str:
        return SECRETS.hide(tame(super().format(record)))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, message, and whichever facts and exception there are."""

    def format(self, record: logging.LogRecord) -> str:
        facts = facts_of(record)
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if facts is not None:
            told |= {name: value for name, value in asdict(facts).items() if value is not None}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: _clean(value) for name, value in told.items()}, ensure_ascii=False)


def _clean(value: object) -> object:
    return SECRETS.hide(legible(value)) if isinstance(value, str) else value


class PriorityFormatter(logging.Formatter):
    """Another's lines as sd-daemon(3) has them for a journal: each begins with its priority, ``<6>``."""

    def __init__(self, inner: Callable[[logging.LogRecord], str]) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{priority(record)}>"
        return "\n".join(mark + line for line in self._inner(record).splitlines())
