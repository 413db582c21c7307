"""Formats records as lines: for people, for programs, and for the journal."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sorawatch.core.log_fields import LogFields
from sorawatch.core.naming import terminal_text, valid_text
from sorawatch.edges.logs.redaction import SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Log levels and their priorities in syslog(3)."""


def facts_of(record: logging.LogRecord) -> LogFields | None:
    """The fields of a record, if it has any."""
    facts = getattr(record, "facts", None)
    return facts if isinstance(facts, LogFields) else None


def priority(record: logging.LogRecord) -> int:
    """The priority of a record in syslog(3)."""
    return next((number for level, number in _PRIORITIES if record.levelno >= level), 7)


class TextFormatter(logging.Formatter):
    """Lines for people: ``layout`` as in `logging.Formatter`, the time in the time zone of the system.

    The message is always one line, even if a file name or a server's text has line breaks. A traceback keeps its lines.
    """

    def __init__(self, layout: str = "%(message)s") -> None:
        super().__init__(layout)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the name that it overrides
        return " ".join(super().formatMessage(record).splitlines())

    def format(self, record: logging.LogRecord) -> str:
        return SECRETS.hide(terminal_text(super().format(record)))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, message, and the fields and the exception, if any."""

    def format(self, record: logging.LogRecord) -> str:
        facts = facts_of(record)
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if facts is not None:
            fields |= {name: value for name, value in asdict(facts).items() if value is not None}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: _safe(value) for name, value in fields.items()}, ensure_ascii=False)


def _safe(value: object) -> object:
    return SECRETS.hide(valid_text(value)) if isinstance(value, str) else value


class PriorityFormatter(logging.Formatter):
    """The lines of another formatter, each with its priority in front, such as ``<6>``; see sd-daemon(3)."""

    def __init__(self, inner: Callable[[logging.LogRecord], str]) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{priority(record)}>"
        return "\n".join(prefix + line for line in self._inner(record).splitlines())
