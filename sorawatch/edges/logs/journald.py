"""Sends records with all their fields to systemd's journal, with systemd-python.

Only ``sendv`` of systemd-python is used, which takes bytes. Its own handler drops fields with lower-case names, loses
records with file names that are not UTF-8, and writes the arguments of log calls, with secrets, into the journal.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sorawatch.edges.logs.formats import TextFormatter, facts_of, priority
from sorawatch.edges.logs.redaction import SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable

IDENTIFIER = "sorawatch"


def sender() -> Callable[..., object] | None:
    """``systemd.journal.sendv``; None where systemd-python is not installed."""
    try:
        from systemd.journal import sendv  # noqa: PLC0415 -- the extra "systemd", which need not be installed
    except ImportError:
        return None
    return sendv  # type: ignore[no-any-return]


class JournalHandler(logging.Handler):
    """Sends records to the journal, or to ``fallback`` if the journal cannot be reached."""

    def __init__(self, send: Callable[..., object], fallback: logging.Handler) -> None:
        super().__init__()
        self._send = send
        self._fallback = fallback
        self.setFormatter(TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._send(*fields(record, self.format(record)))
        except (OSError, ValueError):
            self._fallback.handle(record)


def fields(record: logging.LogRecord, message: str) -> list[bytes]:
    """The journal entry of ``record``, each field as ``NAME=value``. File names keep their original bytes."""
    entry = {
        "MESSAGE": message,
        "PRIORITY": str(priority(record)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "LOGGER": record.name,
        "THREAD_NAME": record.threadName or "",
        "CODE_FILE": record.pathname,
        "CODE_LINE": str(record.lineno),
        "CODE_FUNC": record.funcName or "",
    }
    if facts := facts_of(record):
        known = {
            "SORAWATCH_EVENT": facts.event.value,
            "MESSAGE_ID": facts.event.message_id,
            "SORAWATCH_JOB": facts.job,
            "SORAWATCH_STATE": facts.state,
            "SORAWATCH_FILE": facts.file,
            "SORAWATCH_VIDEO": facts.video,
            "SORAWATCH_WHY": facts.why,
            "SORAWATCH_SECONDS": None if facts.seconds is None else f"{facts.seconds:.3f}",
        }
        entry |= {name: value for name, value in known.items() if value is not None}
    return [
        name.encode() + b"=" + SECRETS.hide(value).encode("utf-8", "surrogateescape") for name, value in entry.items()
    ]
