"""Sets up logging: where log lines go, and their format."""

from __future__ import annotations

import logging
import os
import sys
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING

from sorawatch.core.os_errors import translate
from sorawatch.edges.directories import private_opener
from sorawatch.edges.logs.formats import JsonFormatter, PriorityFormatter, TextFormatter
from sorawatch.edges.logs.journald import JournalHandler, sender
from sorawatch.edges.logs.redaction import SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "PROMPTS",
    "SECRETS",
    "TextFormatter",
    "file_handler",
    "is_journal",
    "log_fatal_error",
    "set_up",
    "stderr_handler",
]

PROMPTS = logging.getLogger("sorawatch.prompts")
"""Prompts are logged only here, with a level of its own."""

_WITH_TIME = "%(asctime)s %(levelname)s %(message)s"


class LogFile(WatchedFileHandler):
    """A log file that may be renamed or removed at any time: the next line starts a new file.

    A line that cannot be written is dropped, since the work must not stop because of a log.
    """

    def __init__(self, path: Path) -> None:
        """Raises: Blocked, Deferred: if it cannot be opened."""
        try:
            super().__init__(path, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise translate(error, str(path)) from error

    def _open(self) -> TextIOWrapper:
        file = open(  # noqa: SIM115 -- the handler closes it
            self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=private_opener
        )
        assert isinstance(file, TextIOWrapper)
        return file

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)


def set_up(handlers: list[logging.Handler], level: str, *, prompts: bool) -> None:
    """Send all records to ``handlers``. ``level`` applies to sorawatch; libraries log warnings and errors only."""
    logging.raiseExceptions = False  # without a traceback on stderr for each line that cannot be written
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("sorawatch").setLevel(level.upper())
    # What fails in a database is raised too. The pool would log with a traceback that a broken connection is broken.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    PROMPTS.setLevel(logging.DEBUG if prompts else logging.NOTSET)


def stderr_handler(environ: Mapping[str, str], *, as_json: bool = False) -> logging.Handler:
    """A handler for stderr. Lines have the time or, if stderr goes to the journal, a priority.

    With systemd-python the journal is written to directly, except as JSON.
    """
    handler = logging.StreamHandler(sys.stderr)
    if not is_journal(environ):
        handler.setFormatter(JsonFormatter() if as_json else TextFormatter(_WITH_TIME))
        return handler
    inner = JsonFormatter() if as_json else TextFormatter()
    handler.setFormatter(PriorityFormatter(inner.format))
    send = sender()
    return handler if as_json or send is None else JournalHandler(send, handler)


def file_handler(path: Path, *, as_json: bool) -> logging.Handler:
    """A handler for a file. Raises: Blocked, Deferred: if it cannot be opened."""
    handler = LogFile(path)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter(_WITH_TIME))
    return handler


def log_fatal_error(environ: Mapping[str, str], text: str) -> None:
    """Write an error to stderr without using the configuration of logs, which may itself be wrong."""
    record = {"name": "sorawatch", "levelno": logging.ERROR, "levelname": "ERROR", "msg": text}
    stderr_handler(environ).handle(logging.makeLogRecord(record))


def is_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr is the stream that ``$JOURNAL_STREAM`` names. The variable alone may be inherited by a shell."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
