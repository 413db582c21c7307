"""Plans the systemd service of one configuration: its files, and the commands that activate them."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.app.state import StateLocation
from sorawatch.config import Config, KeySource, find_key
from sorawatch.core.naming import valid_text
from sorawatch.edges.mounts import is_network, mounts_at
from sorawatch.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}", re.ASCII)
_PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 -- named to be refused
_OTHERS_UNITS = (
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


@dataclass(frozen=True, slots=True)
class File:
    """A file to be written by root. The text of a ``secret`` file is never shown."""

    path: Path
    text: str
    mode: int = 0o644
    secret: bool = False


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """Files to write, then commands to run, in this order. ``advice`` is how to find the cause of a failed command."""

    files: tuple[File, ...]
    commands: tuple[tuple[str, ...], ...]
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of the parts of the service ``name``."""

    name: str

    @property
    def unit(self) -> Path:
        return Path(f"/etc/systemd/system/{self.name}.service")

    @property
    def users(self) -> Path:
        return Path(f"/etc/sysusers.d/{self.name}.conf")

    @property
    def folders(self) -> Path:
        return Path(f"/etc/tmpfiles.d/{self.name}.conf")

    @property
    def key(self) -> Path:
        return Path("/etc/sorawatch/api.key" if self.name == "sorawatch" else f"/etc/sorawatch/{self.name}.key")

    @property
    def state(self) -> Path:
        return Path("/var/lib", self.name)


def install(config: Config, environ: Mapping[str, str], name: str, user: str) -> InstallPlan:
    """The plan for a service of this configuration and this interpreter.

    Raises:
        UsageError: if the service could not work, with a hint.
    """
    _require_name(user, "--user")
    places = _own(name)
    roots = writable_folders(config, places)
    for path in (config.path, Path(sys.prefix), *roots):
        if "\n" in str(path) or valid_text(str(path)) != str(path):
            raise UsageError(
                f"{valid_text(str(path))!r} cannot be named in a unit: it has a line break, or is not UTF-8. Rename it."
            )
    for path, what in ((config.path, "the configuration"), (Path(sys.prefix), "the installation")):
        if (closed := _inaccessible(path)) is not None:
            raise UsageError(
                f"{what} {path} is below {closed}, which a service of the user {user} may not enter. "
                f"Put it elsewhere, such as {'/etc/sorawatch' if path == config.path else '/opt/sorawatch'}."
            )
    key = _key_file(config, environ, places)
    check = ("check", "--service", "--name", name, "--config")
    folders = "".join(
        f'd "{_escaped(folder)}" :2770 :{user} :{_group(user)} -\n' for folder in folders_to_make(config, places, roots)
    )
    return InstallPlan(
        (
            File(places.users, f'u {user} - "sorawatch" {places.state} /usr/sbin/nologin\n'),
            File(places.folders, folders),
            *([key] if key is not None else []),
            File(places.unit, unit(config, places, user, roots)),
        ),
        (
            ("systemd-sysusers", str(places.users)),
            ("systemd-tmpfiles", "--create", str(places.folders)),
            ("systemctl", "daemon-reload"),
            ("systemctl", "enable", name),
            ("systemctl", "restart", name),
        ),
        f"To find the cause, run: {shlex.join([*this_program(), *check, str(config.path)])}",
    )


def removal(name: str) -> InstallPlan:
    """The plan that removes a service. The state, the key, the folders and the user stay.

    Raises:
        UsageError: if it is not one of ours.
    """
    places = _own(name)
    paths = (places.unit, places.users, places.folders)
    return InstallPlan(
        (),
        (
            ("systemctl", "disable", "--now", name),
            ("rm", "-f", *map(str, paths)),
            ("systemctl", "daemon-reload"),
        ),
    )


def writable_folders(config: Config, places: Places) -> tuple[Path, ...]:
    """The folders that the service must be able to write to, in addition to its own below ``/var/lib``.

    Instead of the four folders it is their common parent, unless that is near the root: in a sandbox two writable
    folders are two file systems, between which files must be copied. For a share it is the mount point: a folder below
    it would stay mounted in the sandbox, which would not notice when the share is unmounted or mounted again.
    """
    four, others = needed_folders(config)
    parent = Path(os.path.commonpath(four))
    roots = [*dict.fromkeys(map(_mount_point_or_itself, [parent] if len(parent.parts) > 2 else four))]
    roots += [each for each in others if not any(each.is_relative_to(root) for root in (*roots, places.state))]
    return tuple(roots)


def folders_to_make(config: Config, places: Places, roots: Sequence[Path]) -> list[Path]:
    """The folders that must exist before the service starts.

    The service itself makes the other folders below ``roots``, except for the folder of a log file.
    """
    log = config.logging.file
    parents = reversed(log.parents) if log and not log.is_relative_to(places.state) else ()
    # Every parent needs an entry: systemd-tmpfiles refuses to follow a path from a folder of the user to one of root.
    return [*roots, *(folder for folder in parents if any(root in folder.parents for root in roots))]


def needed_folders(config: Config) -> tuple[list[Path], list[Path]]:
    """The four folders, and those of the state and of a log file."""
    found = config.folders
    four = [Path(os.path.normpath(each)) for each in (found.inbox, found.outbox, found.errors, found.processed)]
    log = config.logging.file
    return four, [StateLocation.of(config).folder, *([log.parent] if log else [])]


def _mount_point_or_itself(folder: Path) -> Path:
    mount = mounts_at(folder)[0]
    return Path(mount.point) if is_network(mount.kind) and mount.point != "/" else folder


def unit(config: Config, places: Places, user: str, roots: tuple[Path, ...]) -> str:
    """The text of the shipped unit, adapted to this configuration and interpreter."""
    at_home = [each for each in (config.path, Path(sys.prefix), *roots) if any(map(each.is_relative_to, HOMES))]
    values = {
        "ExecStart": " ".join(map(_argument, [*this_program(), "run", "--config", str(config.path)])),
        "User": user,
        "Group": _group(user),
        "StateDirectory": places.name,
        "ReadWritePaths": " ".join(_word(f"-{root}") for root in roots),
        "ProtectHome": "read-only" if at_home else "yes",
    }
    if _needs_credential(config):
        values["LoadCredential"] = f"api-key:{places.key}"
    lines = []
    for line in shipped("sorawatch.service").splitlines():
        key = line.partition("=")[0]
        if key == "LoadCredential" and key not in values:
            continue
        lines.append(f"{key}={values[key]}" if key in values else line)
    header = (
        f"# {places.unit}\n# Written by `sorawatch service install`.\n"
        f"# Put changes of your own into a drop-in: systemctl edit {places.name}\n"
    )
    text = "\n".join(lines)
    return header + text[text.index("\n[Unit]") :] + "\n"


def shipped(name: str) -> str:
    """The text of a file in the folder ``systemd`` of the repository."""
    inside = files("sorawatch") / "systemd" / name
    if inside.is_file():
        return inside.read_text(encoding="utf-8")
    return (Path(__file__).parents[3] / "systemd" / name).read_text(encoding="utf-8")


def _require_name(word: str, what: str) -> None:
    if not NAME.fullmatch(word):
        raise UsageError(f"{what} is {word!r}. Allowed: small letters, digits, _ and -, a letter first.")


def _own(name: str) -> Places:
    """The paths of a service of this name.

    Raises:
        UsageError: if another program has a service of this name, or the name is not allowed.
    """
    _require_name(name, "--name")
    places = Places(name)
    for unit in (places.unit, *(Path(folder, places.unit.name) for folder in _OTHERS_UNITS)):
        text = unit.read_text(encoding="utf-8", errors="replace") if unit.exists() else ""
        if text and "sorawatch" not in text:
            raise UsageError(f"{unit} is another program's service. Choose another --name.")
    return places


def _inaccessible(path: Path) -> Path | None:
    """The first parent of ``path`` that other users may not enter, or that is private to each service; else None."""
    for folder in reversed(path.resolve().parents):
        try:
            if folder in _PRIVATE or not folder.stat().st_mode & 0o001:
                return folder
        except OSError:
            return folder
    return None


def _group(user: str) -> str:
    """The primary group of the user. If the user is to be created, the group has the same name."""
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return user


def _needs_credential(config: Config) -> bool:
    """Whether the service manager passes the key, because the configuration needs one and does not name its file."""
    try:
        find_key(config, {})
    except ConfigError:
        return True
    return False


def _key_file(config: Config, environ: Mapping[str, str], places: Places) -> File | None:
    """The file with the key for the service manager: from this environment, or from the existing file; else None."""
    if not _needs_credential(config):
        return None
    given = environ.get("SORAWATCH_API_KEY", "").strip()
    if not given and places.key.exists() and not os.access(places.key, os.R_OK):
        raise UsageError(f"{places.key} holds the key, and only root may read it. Run this with sudo.")
    source = KeySource("environment variable SORAWATCH_API_KEY", None, environ)
    try:
        key = (source if given else KeySource(str(places.key), places.key, environ)).read()
    except ConfigError as error:
        raise UsageError(
            f"there is no API key: {error.problems[0].what}. Put it into {places.key}, or set $SORAWATCH_API_KEY."
        ) from error
    return File(places.key, f"{key}\n", 0o600, secret=True)


def this_program() -> list[str]:
    """The words of the command that runs this installation."""
    command = Path(sys.prefix, "bin/sorawatch")
    return [str(command)] if command.exists() else [sys.executable, "-m", "sorawatch"]


def _argument(word: str) -> str:
    """A word of a command line, with ``$`` escaped."""
    return _word(word).replace("$", "$$")


def _word(word: str) -> str:
    """One word of a unit file, quoted if needed."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if re.search(r"[\s'\"\\;]", text) else text


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
