"""``sorawatch check --service``: whether an installed service is what this configuration needs."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sorawatch.checks import Finding
from sorawatch.config import Config
from sorawatch.errors import UsageError
from sorawatch.service import properties
from sorawatch.service.unit import Places, writable

_AGAIN = "Run: sorawatch service install"


def verify(config: Config, name: str) -> Iterator[Finding]:
    """Look at the unit, its user, the key and the folders, and at what systemd says; changes nothing."""
    places = Places(name)
    if not places.unit.is_file():
        yield Finding(f"service {name}: there is no {places.unit}", _AGAIN, grave=True)
        return
    said = _said(places.unit)
    yield _command(config, places, said)
    yield from _user(config, said)
    yield from _key(said)
    yield _reach(config, places, said)
    if (told := _verified(places.unit)) is not None:
        yield told
    yield from _running(name)


def _said(unit: Path) -> dict[str, str]:
    """What the unit says last under each key; drop-ins are an administrator's own business."""
    pairs = (line.partition("=") for line in unit.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {key: value for key, separator, value in pairs if separator}


def _command(config: Config, places: Places, said: dict[str, str]) -> Finding:
    words = shlex.split(said.get("ExecStart", ""))
    if not words or not os.access(words[0], os.X_OK):
        return Finding(f"{places.unit}: {words[0] if words else 'ExecStart'} cannot be run", _AGAIN, grave=True)
    if str(config.path) not in words:
        return Finding(f"{places.unit}: reads another configuration than {config.path}", _AGAIN, grave=True)
    return Finding(f"{places.unit}: runs {words[0]} with {config.path}")


def _user(config: Config, said: dict[str, str]) -> Iterator[Finding]:
    name = said.get("User", "root")
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        yield Finding(f"user {name}: does not exist", _AGAIN, grave=True)
        return
    groups = os.getgrouplist(name, user.pw_gid)
    for key, folder in config.folders.roots.items():
        if folder.is_dir() and not _may_write(folder, user.pw_uid, groups):
            mend = f"Let it in: setfacl -m u:{name}:rwx {folder}, or change the owner, group or mode of {folder}"
            yield Finding(f"folders.{key}, {folder}: the user {name} may not write there", mend, grave=True)
    yield Finding(f"user {name}: exists")


def _may_write(folder: Path, uid: int, groups: list[int]) -> bool:
    """By owner, group and mode; an access list is taken to let it in."""
    status = folder.stat()
    if uid in {0, status.st_uid}:
        return uid == 0 or status.st_mode & 0o300 == 0o300
    wanted = 0o030 if status.st_gid in groups else 0o003
    return status.st_mode & wanted == wanted or _has_access_list(folder)


def _has_access_list(folder: Path) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(folder)
    except OSError:
        return False


def _key(said: dict[str, str]) -> Iterator[Finding]:
    credential = said.get("LoadCredential", "")
    if not credential:
        return
    path = Path(credential.partition(":")[2])
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield Finding(
            f"{path}: {error.strerror}",
            f"Put the API key there, for root alone: chmod 600 {shlex.quote(str(path))}",
            grave=True,
        )
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding(f"{path}: others than its owner can read it", f"chmod 600 {shlex.quote(str(path))}", grave=True)
    else:
        yield Finding(f"{path}: holds the key, for root alone")


def _reach(config: Config, places: Places, said: dict[str, str]) -> Finding:
    allowed = [Path(word.lstrip("-+")) for word in shlex.split(said.get("ReadWritePaths", ""))]
    for root in writable(config, places):
        if not any(root.is_relative_to(each) for each in allowed):
            return Finding(f"{places.unit}: the service may not write to {root}", _AGAIN, grave=True)
    return Finding(f"{places.unit}: the service may write to all it must")


def _verified(unit: Path) -> Finding | None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return None
    command = [tool, "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own words
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    if complaints:
        return Finding(f"{unit}: {'; '.join(complaints)}", _AGAIN, grave=True)
    return Finding(f"{unit}: systemd finds nothing wrong with it")


def _running(name: str) -> Iterator[Finding]:
    try:
        told = properties(name)
    except UsageError as error:
        yield Finding(f"service {name}: {error}", "Start it where systemd runs.", grave=True)
        return
    if told["NeedDaemonReload"] == "yes":
        mend = f"systemctl daemon-reload && systemctl restart {name}"
        yield Finding(f"service {name}: its unit was changed after systemd read it", mend, grave=True)
    if told["UnitFileState"] != "enabled":
        yield Finding(f"service {name}: does not start at boot", f"systemctl enable {name}", grave=True)
    if told["ActiveState"] in {"active", "reloading"}:
        yield Finding(f"service {name}: runs; {told['StatusText']}")
    else:
        mend = f"journalctl -u {name} says why; systemctl restart {name}"
        yield Finding(f"service {name}: is {told['ActiveState']} ({told['Result']})", mend, grave=True)
