"""Where log lines go, and how they look there."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from logging.handlers import WatchedFileHandler
from pathlib import Path

from sorawatch.core.os_errors import translate
from sorawatch.edges.logs.formats import JsonFormatter, PriorityFormatter, TextFormatter
from sorawatch.edges.logs.journald import JournalHandler, sender
from sorawatch.edges.logs.redaction import SECRETS

__all__ = [
    "PROMPTS",
    "SECRETS",
    "TextFormatter",
    "file_handler",
    "is_journal",
    "last_words",
    "set_up",
    "stderr_handler",
]

PROMPTS = logging.getLogger("sorawatch.prompts")
"""What people write is told here alone, below the level of everything else."""

_STAMPED = "%(asctime)s %(levelname)s %(message)s"


class LogFile(WatchedFileHandler):
    """A file that may be renamed or removed at any time: the next line begins a new one.

    A line that cannot be written is dropped, as no log is worth the work's end.
    """

    def __init__(self, path: Path) -> None:
        """Raises: Blocked, Deferred: if it cannot be opened."""
        try:
            super().__init__(path, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise translate(error, str(path)) from error

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)


def set_up(handlers: list[logging.Handler], level: str, *, prompts: bool) -> None:
    """Send everything to ``handlers``; ``level`` holds for sorawatch, other libraries only ever warn."""
    logging.raiseExceptions = False  # a log that cannot be written is no reason to write a traceback to stderr
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("sorawatch").setLevel(level.upper())
    PROMPTS.setLevel(logging.DEBUG if prompts else logging.NOTSET)


def stderr_handler(environ: Mapping[str, str], *, as_json: bool = False) -> logging.Handler:
    """Lines on stderr: with their time, or as its journal wants them where one is at the other end.

    With systemd-python such a journal is written to directly, unless it shall have JSON.
    """
    handler = logging.StreamHandler(sys.stderr)
    if not is_journal(environ):
        handler.setFormatter(JsonFormatter() if as_json else TextFormatter(_STAMPED))
        return handler
    inner = JsonFormatter() if as_json else TextFormatter()
    handler.setFormatter(PriorityFormatter(inner.format))
    send = sender()
    return handler if as_json or send is None else JournalHandler(send, handler)


def file_handler(path: Path, *, as_json: bool) -> logging.Handler:
    """Lines in a file, with their time. Raises: Blocked, Deferred: if it cannot be opened."""
    handler = LogFile(path)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter(_STAMPED))
    return handler


def last_words(environ: Mapping[str, str], told: str) -> None:
    """An error on stderr, whatever the configuration says of logs: it may be what is wrong."""
    record = {"name": "sorawatch", "levelno": logging.ERROR, "levelname": "ERROR", "msg": told}
    stderr_handler(environ).handle(logging.makeLogRecord(record))


def is_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr is the stream that ``$JOURNAL_STREAM`` names; a shell below a service inherits the variable."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
