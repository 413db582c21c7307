"""The terminal, or whatever is in its place, and how errors are told there."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from rich.console import Console
from rich.markup import escape

from sorawatch.core.naming import tame
from sorawatch.edges import logs
from sorawatch.edges.sd_notify import is_started_by_systemd
from sorawatch.errors import Blocked, ConfigError, Rejected, SorawatchError, UsageError

FAILED, USAGE, INTERRUPTED = 1, 2, 130
EX_CONFIG = 78
"""As sysexits.h has it: a service manager that starts us anew after failures shall not after this one."""

_PIPE_WIDTH = 160
"""Columns of a table that goes into a pipe or a file, unless COLUMNS says otherwise."""

if sys.stdout is None:  # closed, as by `>&-`
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 -- for as long as the process lives
elif isinstance(sys.stdout, TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal can show every name
out = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def explain(error: Exception) -> int:
    """Say what went wrong on stderr. Returns the exit status."""
    match error:
        case ConfigError():
            for problem in error.problems:
                _tell(str(problem))
            return _unusable()
        case Blocked() | Rejected():
            _tell(f"{str(error).removesuffix('.')}. {error.hint}" if error.hint else str(error))
            return FAILED
        case SorawatchError():
            _tell(str(error))
            return _unusable() if isinstance(error, UsageError) else FAILED
        case BrokenPipeError():
            return FAILED
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            _tell(f"{where}{error.strerror or error}")
            return FAILED
        case _:
            _tell(f"a fault in sorawatch ({type(error).__name__}: {error}). Run it with --debug for details.")
            return FAILED


def _tell(trouble: str) -> None:
    """Say on stderr what is wrong; a journal there is told that it is an error."""
    if logs.is_journal(os.environ):
        logs.last_words(os.environ, f"error: {trouble}")
    else:
        err.print(f"[red]error:[/] {escape(tame(trouble))}")


def _unusable() -> int:
    return EX_CONFIG if is_started_by_systemd() else USAGE
