"""``sorawatch run``: the daemon with signal handlers, logs and, on a terminal, a live display."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.live import Live
from rich.markup import escape

from sorawatch.app import build, status
from sorawatch.cli import screens
from sorawatch.cli.terminal import INTERRUPTED
from sorawatch.config import Config, LogFormat
from sorawatch.core.log_fields import LogEvent, LogFields, log_extra
from sorawatch.daemon.upkeep import job_log
from sorawatch.edges import logs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from rich.console import Console

    from sorawatch.daemon.loop import Daemon

_SHOW_CURSOR = b"\x1b[?25h"
"""Shows the cursor again. The live display hides it, and cannot restore it if the process exits at once."""

logger = logging.getLogger("sorawatch")


def run(config: Config, environ: Mapping[str, str], err: Console, *, once: bool) -> bool:
    """Watch the inbox until stopped or, with ``once``, until all is done. Logs go to ``err`` if it is a terminal.

    Returns:
        As `Daemon.run`.

    Raises:
        SorawatchError: if it cannot start.
    """
    hang_ups = _collect_hang_ups()
    live = screens.LiveJobs()
    log = _Logs(environ, err)
    log.apply(config)
    with build.opened(config, environ, [job_log.log_change, live], apply=log.apply) as daemon:
        _install_signal_handlers(daemon)
        if hang_ups:
            daemon.reload()
        live.begin(status.snapshot(config).jobs)
        with _shown(live, err):
            return _work(daemon, config, once=once)


def _work(daemon: Daemon, config: Config, *, once: bool) -> bool:
    if once:
        return daemon.run(once=True)
    inbox = config.folders.inbox
    logger.info("watching %s until stopped", inbox, extra=log_extra(LogFields(LogEvent.STARTED)))
    # The modules that are loaded now stay in memory, so the garbage collector need not examine them again.
    gc.freeze()
    succeeded = daemon.run()
    what = "stopped; the next `sorawatch run` continues with unfinished jobs"
    logger.info(what, extra=log_extra(LogFields(LogEvent.STOPPED)))
    return succeeded


@contextmanager
def _shown(live: screens.LiveJobs, err: Console) -> Iterator[None]:
    if not err.is_terminal:
        yield
        return
    with Live(live, console=err, refresh_per_second=4, transient=True):
        yield


def _collect_hang_ups() -> list[int]:
    """Collect SIGHUPs that arrive before the daemon exists, because a request to reload must not end the process."""
    received: list[int] = []
    if not sys.stderr.isatty():
        signal.signal(signal.SIGHUP, lambda number, _frame: received.append(number))
    return received


def _install_signal_handlers(daemon: Daemon) -> None:
    """The first signal stops the daemon gracefully. The second one ends the process at once, which also loses no data.

    A SIGHUP requests a reload; but on a terminal it means that the terminal was closed, so it stops the daemon.
    """
    at_terminal = sys.stderr.isatty()
    is_stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopping
        if not is_stopping:
            is_stopping = True
            daemon.stop()
            return
        if at_terminal:
            os.write(sys.stderr.fileno(), _SHOW_CURSOR)
        os._exit(INTERRUPTED)

    def reload(_number: int, _frame: FrameType | None) -> None:
        daemon.reload()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, stop if at_terminal else reload)


class _Logs:
    """Sets up the log handlers of a configuration."""

    def __init__(self, environ: Mapping[str, str], err: Console) -> None:
        self._environ = environ
        self._err = err

    def apply(self, config: Config) -> None:
        """Raises: Blocked, Deferred: if the log file cannot be written. Then the former handlers stay."""
        wanted = config.logging
        as_json = wanted.format is LogFormat.JSON
        handlers = [logs.file_handler(wanted.file, as_json=as_json)] if wanted.file else []
        on_terminal = self._err.is_terminal and not as_json
        handlers.append(
            _AboveDisplay(self._err) if on_terminal else logs.stderr_handler(self._environ, as_json=as_json)
        )
        logs.set_up(handlers, wanted.level, prompts=wanted.prompts)


class _AboveDisplay(logging.Handler):
    """Prints log lines above the live display."""

    _STYLES = ((logging.ERROR, "red"), (logging.WARNING, "yellow"))

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self.setFormatter(logs.TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        style = next((style for level, style in self._STYLES if record.levelno >= level), "default")
        try:
            self._console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] [{style}]{escape(self.format(record))}[/]")
        except OSError:
            self.handleError(record)
