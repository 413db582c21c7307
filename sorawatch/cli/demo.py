"""``sorawatch demo``, which runs the daemon on sample photos with the simulator, and ``sorawatch simulate``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.live import Live
from rich.markup import escape
from rich.panel import Panel

from sorawatch import config, simulator
from sorawatch.app import build
from sorawatch.cli import samples, screens
from sorawatch.core.job import State
from sorawatch.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

_GENERATION_SECONDS = 4.0

_CONFIG = """\
# The demo's configuration. For the real thing, `sorawatch init` writes one with every key explained.
state: state.db
api: {{base_url: "{url}", key_file: api.key}}
watch: {{settle_seconds: 0.5}}
polling: {{min_seconds: 0.5, max_seconds: 2}}
limits: {{submits_per_minute: 600}}
"""

_REAL = """\
[bold]These clips are simulated[/]: each is its picture with a slow push-in, marked as such. For the real thing:

{activate}  sorawatch init my-videos
  export SORAWATCH_API_KEY=…         [dim]# your key[/]
  sorawatch run -c my-videos/config.yaml"""


def run(folder: Path, console: Console) -> bool:
    """Make ``folder``, drop the samples into it, run the daemon on them, and show the results.

    Returns:
        Whether every sample had the expected result.

    Raises:
        UsageError: if ``folder`` has other files, or the extra packages of the simulator are missing.
    """
    _make(folder)
    live = screens.LiveJobs()
    began = time.monotonic()
    settings = simulator.SimulatorSettings(generation_seconds=_GENERATION_SECONDS)
    try:
        with simulator.running(settings) as server:
            console.print(
                f"A simulated video API listens at {server.url}. Nothing leaves this machine or costs money.",
                soft_wrap=True,
            )
            path = _write_config(folder, server.url, settings.key or "")
            loaded = config.load(path, {})
            inbox = loaded.folders.inbox
            inbox.mkdir(exist_ok=True)
            samples.drop(inbox)
            console.print(
                f"Dropped {len(samples.SAMPLES) + 1} pictures, each with its prompt, into {escape(str(inbox))}\n",
                soft_wrap=True,
            )
            with build.opened(loaded, {}, [live]) as daemon:
                if console.is_terminal:
                    with Live(live, console=console, refresh_per_second=8, transient=True):
                        daemon.run(once=True)
                else:
                    daemon.run(once=True)
            ledger = server.ledger()
    except simulator.MissingExtraError as error:
        raise UsageError(str(error)) from error
    clips = [job for job in live.ended if job.state is State.DONE]
    console.print(screens.ended(live.ended, "would have cost"))
    console.print(
        f"\n{len(clips)} clips in {time.monotonic() - began:.0f} s; "
        f"the server accepted {ledger.creates} orders, {ledger.duplicates} of them twice. Look at them:\n",
        soft_wrap=True,
    )
    for job in clips:
        console.print(f"  {escape(str(loaded.folders.outbox / str(job.clip)))}", soft_wrap=True)
    console.print()
    activate = f"  {escape(line)}\n" if (line := screens.activation()) else ""
    console.print(Panel(_REAL.format(activate=activate), border_style="yellow", expand=False))
    return len(clips) == len(samples.SAMPLES) and ledger.duplicates == 0


def _make(folder: Path) -> None:
    """Make an empty folder. The folder of an earlier demo is renamed."""
    try:
        if (folder / "state.db").exists():
            number = next(n for n in range(1, 1000) if not folder.with_name(f"{folder.name}.old{n}").exists())
            folder.rename(folder.with_name(f"{folder.name}.old{number}"))
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty. Name another folder: sorawatch demo --dir FOLDER")
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}. Name another folder: sorawatch demo --dir FOLDER") from error


def _write_config(folder: Path, url: str, key: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(_CONFIG.format(url=url), encoding="utf-8")
    key_file = folder / "api.key"
    key_file.touch(mode=0o600)
    key_file.write_text(f"{key}\n", encoding="utf-8")
    return path


def simulate(
    host: str, port: int, settings: simulator.SimulatorSettings, *, allow_remote: bool, console: Console
) -> None:
    """Serve the simulator until interrupted, and print how to use it.

    Raises:
        UsageError: if it cannot listen on the address, or its extra packages are missing.
    """

    def announce(root: str, url: str, key: str | None) -> None:
        asked = f"key {key}" if key else "any key"
        console.print(f"A simulated video API ({settings.api}) at {url}, {asked}. Ctrl-C ends it.", markup=False)
        console.print(f"The requests that it received: {root}/ledger", markup=False)

    try:
        simulator.serve(settings, host, port, allow_remote=allow_remote, announce=announce)
    except simulator.MissingExtraError as error:
        raise UsageError(str(error)) from error
    except ValueError as error:
        raise UsageError(f"{error}. Use --allow-remote to allow requests from other machines.") from error
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}. Name another with --port.") from error
