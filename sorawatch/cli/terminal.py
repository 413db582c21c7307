"""The consoles for output and errors, and the exit status of each error."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from rich.console import Console
from rich.markup import escape

from sorawatch.core.naming import terminal_text
from sorawatch.edges import logs
from sorawatch.edges.sd_notify import is_started_by_systemd
from sorawatch.errors import Blocked, ConfigError, InUse, Rejected, SorawatchError, UsageError

FAILED, USAGE, INTERRUPTED = 1, 2, 130
EX_CONFIG = 78
"""From sysexits.h. The shipped unit does not restart the daemon after this exit status."""

_PIPE_WIDTH = 160
"""Columns of output to a pipe or a file, unless COLUMNS is set."""

if isinstance(sys.stdout, TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal can show every name
out = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def explain(error: Exception) -> int:
    """Print an error on stderr. Returns the exit status."""
    match error:
        case ConfigError():
            for problem in error.problems:
                _print_error(str(problem))
            return _usage_status()
        case Blocked() | Rejected():
            _print_error(f"{str(error).removesuffix('.')}. {error.hint}" if error.hint else str(error))
            return FAILED
        case InUse():
            _print_error(str(error))
            return FAILED if _usage_status() == EX_CONFIG else USAGE
        case SorawatchError():
            _print_error(str(error))
            return _usage_status() if isinstance(error, UsageError) else FAILED
        case BrokenPipeError():
            return FAILED
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            _print_error(f"{where}{error.strerror or error}")
            return FAILED
        case _:
            _print_error(f"a fault in sorawatch ({type(error).__name__}: {error}). Run it with --debug for details.")
            return FAILED


def _print_error(text: str) -> None:
    """Print an error on stderr, with its severity if stderr is the journal."""
    if logs.is_journal(os.environ):
        logs.log_fatal_error(os.environ, f"error: {text}")
    else:
        err.print(f"[red]error:[/] {escape(terminal_text(text))}")


def _usage_status() -> int:
    return EX_CONFIG if is_started_by_systemd() else USAGE
