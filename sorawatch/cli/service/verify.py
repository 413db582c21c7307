"""``sorawatch check --service``: checks whether an installed service fits this configuration."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.cli.check import Finding
from sorawatch.cli.service import properties
from sorawatch.cli.service.account import ENTER, READ, WRITE, Account
from sorawatch.cli.service.installed import Installed
from sorawatch.cli.service.unit import Places, needed_folders, this_program
from sorawatch.config.keys import CREDENTIAL
from sorawatch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.config import Config

_DEFAULT = "sorawatch"
"""The default name of the service and of its user."""


def verify(config: Config, name: str) -> Iterator[Finding]:
    """Check the unit, its user, the key, the folders, and its status in systemd. Nothing is changed."""
    installed = Installed.read(name)
    hint = _repair_hint(config, name, installed)
    if installed is None:
        yield Finding(f"service {name}: there is no {Places(name).unit}", hint, grave=True)
        return
    yield _command(config, installed, hint)
    yield from _user(config, installed, hint)
    yield from _key(installed)
    yield _write_access(config, installed, hint)
    if (reported := _verified(installed.unit, hint)) is not None:
        yield reported
    yield from _running(name)


def is_service_of(config: Config, name: str) -> bool:
    """Whether the service ``name`` is installed with this configuration."""
    installed = Installed.read(name)
    return installed is not None and str(config.path) in installed.command


def _repair_hint(config: Config, name: str, installed: Installed | None) -> str:
    """How to repair a wrong unit."""
    if "@" in name:
        return f"Change it with: systemctl edit {name}"
    user = installed.last("User", _DEFAULT) if installed else _DEFAULT
    words = [*(("--name", name) if name != _DEFAULT else ()), *(("--user", user) if user != _DEFAULT else ())]
    return f"Run: {shlex.join([*this_program(), 'service', 'install', *words, '--config', str(config.path)])}"


def _command(config: Config, installed: Installed, hint: str) -> Finding:
    unit, words = installed.unit, installed.command
    if not words or not os.access(words[0], os.X_OK):
        return Finding(f"{unit}: {words[0] if words else 'ExecStart'} cannot be run", hint, grave=True)
    if str(config.path) not in words:
        return Finding(f"{unit}: reads another configuration than {config.path}", hint, grave=True)
    return Finding(f"{unit}: runs {words[0]} with {config.path}")


def _user(config: Config, installed: Installed, hint: str) -> Iterator[Finding]:
    name = installed.last("User", "root")
    try:
        account = Account.of(name, installed.words("SupplementaryGroups"))
    except KeyError:
        yield Finding(f"user {name}: does not exist, or a group of it", hint, grave=True)
        return
    reported = set()
    for what, path, right in _wanted(config, installed):
        obstacle = account.obstacle(path, right, [*_bound(installed)])
        if obstacle is not None and obstacle not in reported:
            reported.add(obstacle)
            yield _no_access(name, what, path, *obstacle, hint if _is_made(obstacle[0], installed) else "")
    yield Finding(f"user {name}: exists")


def _is_made(place: Path, installed: Installed) -> bool:
    """Whether `service install` makes the missing folder below ``place``."""
    return any(place in allowed.parents and not allowed.exists() for allowed in _allowed(installed))


def _no_access(name: str, what: str, path: Path, place: Path, lacking: int, hint: str) -> Finding:
    rights = "".join(sign for sign, bit in (("r", READ), ("w", WRITE), ("x", ENTER)) if lacking & bit)
    verb = "write to" if lacking & WRITE else "read" if lacking & READ else "enter" if place.is_dir() else "run"
    hint = hint or f"Allow it: setfacl -m u:{name}:{rights} {place}, or change the owner, group or mode of {place}"
    return Finding(f"{what}, {path}: the user {name} may not {verb} {place}", hint, grave=True)


def _wanted(config: Config, installed: Installed) -> Iterator[tuple[str, Path, int]]:
    """The paths that the user must have access to, each with a description and the needed rights.

    Folders that systemd makes for the service are left out.
    """
    if installed.command and os.access(installed.command[0], os.X_OK):
        yield "the program", Path(installed.command[0]), READ | ENTER
    yield "the configuration", config.path, READ
    for key, folder in config.folders.roots.items():
        if any(folder.is_relative_to(each) for each in _allowed(installed)):
            yield f"folders.{key}", folder, READ | WRITE | ENTER
    for what, folder in zip(("state", "logging.file"), needed_folders(config)[1], strict=False):
        if not any(folder.is_relative_to(each) for each in _own(installed)):
            yield f"the folder of {what}", folder, READ | WRITE | ENTER


def _own(installed: Installed) -> list[Path]:
    """The folders that systemd makes for the service."""
    return [Path("/var/lib", each) for each in installed.words("StateDirectory")]


def _allowed(installed: Installed) -> list[Path]:
    """The folders that the service may write to in its sandbox."""
    paths = [Path(word.lstrip("-+")) for word in installed.words("ReadWritePaths")]
    return [*paths, *_bound(installed), *_own(installed)]


def _bound(installed: Installed) -> Iterator[Path]:
    """The paths at which ``BindPaths=`` mounts something for the service."""
    for word in installed.words("BindPaths"):
        source, _, rest = word.lstrip("-").partition(":")
        yield Path(rest.partition(":")[0] or source)


def _key(installed: Installed) -> Iterator[Finding]:
    for credential in installed.values.get("LoadCredential", ()):
        name, _, path = credential.partition(":")
        if name == CREDENTIAL:
            yield _kept_key(Path(path))


def _kept_key(path: Path) -> Finding:
    try:
        status = path.stat()
    except OSError as error:
        hint = f"Put the API key there, for root alone: chmod 600 {shlex.quote(str(path))}"
        return Finding(f"{path}: {error.strerror}", hint, grave=True)
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(f"{path}: others than its owner can read it", f"chmod 600 {shlex.quote(str(path))}", grave=True)
    if status.st_uid != 0:
        return Finding(f"{path}: is not root's", f"chown root {shlex.quote(str(path))}", grave=True)
    if not status.st_size:
        return Finding(f"{path}: is empty", "Put the API key there.", grave=True)
    return Finding(f"{path}: holds the key, for root alone")


def _write_access(config: Config, installed: Installed, hint: str) -> Finding:
    four, others = needed_folders(config)
    for folder in (*four, *others):
        if not any(folder.is_relative_to(each) for each in _allowed(installed)):
            return Finding(f"{installed.unit}: the service may not write to {folder}", hint, grave=True)
    return Finding(f"{installed.unit}: the service may write to all needed folders")


def _verified(unit: Path, hint: str) -> Finding | None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return None
    command = [tool, "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own words
    mark = unit.name.removesuffix(".service") if "@" in unit.name else unit.name
    complaints = [line for line in done.stderr.splitlines() if mark in line]
    if complaints:
        return Finding(f"{unit}: {'; '.join(complaints)}", hint, grave=True)
    return Finding(f"{unit}: systemd finds nothing wrong with it")


def _running(name: str) -> Iterator[Finding]:
    try:
        reported = properties(name)
    except UsageError as error:
        yield Finding(f"service {name}: {error}", "Start it on a system with systemd.", grave=True)
        return
    if reported["NeedDaemonReload"] == "yes":
        hint = f"systemctl daemon-reload && systemctl restart {name}"
        yield Finding(f"service {name}: its unit was changed after systemd read it", hint, grave=True)
    if reported["UnitFileState"] != "enabled":
        yield Finding(f"service {name}: does not start at boot", f"systemctl enable {name}", grave=True)
    if reported["ActiveState"] in {"active", "reloading"}:
        yield Finding(f"service {name}: runs; {reported['StatusText']}")
    else:
        hint = f"journalctl -u {name} says why; systemctl restart {name}"
        yield Finding(f"service {name}: is {reported['ActiveState']} ({reported['Result']})", hint, grave=True)
