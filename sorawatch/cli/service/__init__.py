"""``sorawatch service``: installs, removes and inspects a systemd service for one configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from sorawatch.cli.service.unit import File, InstallPlan, install, removal
from sorawatch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["InstallPlan", "carry_out", "described", "install", "properties", "removal", "status"]

_STATUS = (
    ("ActiveState", "state"), ("StatusText", "it says"), ("MainPID", "pid"), ("NRestarts", "restarts"),
    ("Result", "last result"), ("UnitFileState", "at boot"), ("FragmentPath", "unit"),
)  # fmt: skip


def carry_out(plan: InstallPlan, say: Callable[[str], None]) -> None:
    """Write the files and run the commands. ``say`` is called with a line for each.

    Raises:
        UsageError: if one of them fails, or the user is not root. Earlier steps are not undone.
    """
    if os.geteuid() != 0:
        raise UsageError("only root can do this. Run it with sudo, or use --dry-run to see what it would do.")
    missing = next((command[0] for command in plan.commands if shutil.which(command[0]) is None), None)
    if missing:
        raise UsageError(f"{missing} is missing, so this system does not run systemd.")
    for file in plan.files:
        _write(file)
        say(f"wrote {file.path}")
    for command in plan.commands:
        say(f"# {' '.join(command)}")
        done = _run(*command)
        if done.returncode:
            why = f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}"
            raise UsageError(f"{why}\n{plan.advice}" if plan.advice else why)


def described(plan: InstallPlan) -> str:
    """The steps of ``carry_out`` as text. The contents of secret files are not shown."""
    parts = [
        f"# {file.path}, mode {file.mode:04o}\n{'(the API key)' if file.secret else file.text.rstrip()}\n"
        for file in plan.files
    ]
    return "\n".join([*parts, *(f"# {' '.join(command)}" for command in plan.commands)])


def status(name: str) -> tuple[bool, list[tuple[str, str]]]:
    """Whether the service is running, and its properties in systemd as labels and values.

    Raises:
        UsageError: if systemd cannot be reached, or has no such service.
    """
    values = properties(name)
    if values["LoadState"] == "not-found":
        raise UsageError(f"there is no service {name}. `sorawatch service install` makes it.")
    lines = [(label, values[key]) for key, label in _STATUS if values.get(key)]
    return values["ActiveState"] in {"active", "reloading"}, lines


def properties(name: str) -> dict[str, str]:
    """The unit's properties in systemd.

    Raises:
        UsageError: if systemd cannot be reached.
    """
    wanted = ("LoadState", "NeedDaemonReload", *(key for key, _ in _STATUS))
    if shutil.which("systemctl") is None:
        raise UsageError("systemctl is missing, so this system does not run systemd.")
    done = _run("systemctl", "show", f"{name}.service", "--property", ",".join(wanted))
    if done.returncode:
        raise UsageError(f"systemd cannot be asked: {done.stderr.strip()}")
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def _write(file: File) -> None:
    """Write a file atomically. It is never readable by more users than its mode allows."""
    temporary = file.path.with_name(f".{file.path.name}.new")
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as out:
            os.fchmod(descriptor, file.mode)
            out.write(file.text)
            out.flush()
            os.fsync(descriptor)
        os.replace(temporary, file.path)
    except OSError as error:
        raise UsageError(f"{file.path} cannot be written: {error.strerror}.") from error


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own words
