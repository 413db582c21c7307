"""What a systemd service for one configuration consists of: its files and the commands that put them in force."""

from __future__ import annotations

import grp
import os
import pwd
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sorawatch.config import Config, KeySource, find_key
from sorawatch.errors import ConfigError, UsageError
from sorawatch.whereabouts import Whereabouts

NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}", re.ASCII)
_PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 -- named to be refused
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


@dataclass(frozen=True, slots=True)
class File:
    """A file to write, as root. A ``secret`` one is never shown."""

    path: Path
    text: str
    mode: int = 0o644
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Files, then commands, in this order."""

    files: tuple[File, ...]
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of the service ``name`` lie."""

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


def install(config: Config, environ: Mapping[str, str], name: str, user: str) -> Plan:
    """What would make a service of this configuration and this interpreter.

    Raises:
        UsageError: if the service could not work, with the mend.
    """
    for word, what in ((name, "--name"), (user, "--user")):
        if not NAME.fullmatch(word):
            raise UsageError(f"{what} is {word!r}. Allowed: small letters, digits, _ and -, a letter first.")
    places = Places(name)
    for path, what in ((config.path, "the configuration"), (Path(sys.prefix), "the installation")):
        if (closed := _closed(path)) is not None:
            raise UsageError(
                f"{what} {path} lies below {closed}, which a service of the user {user} may not enter. "
                f"Put it elsewhere, such as {'/etc/sorawatch' if path == config.path else '/opt/sorawatch'}."
            )
    key = _key_file(config, environ, places)
    roots = writable(config, places)
    folders = "".join(f'd "{_escaped(root)}" :2770 :{user} :{_group(user)} -\n' for root in roots)
    return Plan(
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
    )


def removal(name: str) -> Plan:
    """What takes a service away again; the state, the key, the folders and the user stay."""
    places = Places(name)
    paths = (places.unit, places.users, places.folders)
    return Plan(
        (),
        (
            ("systemctl", "disable", "--now", name),
            ("rm", "-f", *map(str, paths)),
            ("systemctl", "daemon-reload"),
        ),
    )


def writable(config: Config, places: Places) -> tuple[Path, ...]:
    """The folders that the service must be able to write, beside its own below ``/var/lib``.

    The four folders are one where their common parent is not half the machine: two would be two file systems to a
    sandbox, between which nothing can be moved, only copied.
    """
    found = config.folders
    four = [Path(os.path.normpath(each)) for each in (found.inbox, found.outbox, found.errors, found.processed)]
    parent = Path(os.path.commonpath(four))
    roots = [parent] if len(parent.parts) > 2 else four
    beside = [Whereabouts.of(config).home, *([config.logging.file.parent] if config.logging.file else [])]
    roots += [each for each in beside if not any(each.is_relative_to(root) for root in (*roots, places.state))]
    return tuple(roots)


def unit(config: Config, places: Places, user: str, roots: tuple[Path, ...]) -> str:
    """The unit that is shipped, for this configuration and interpreter."""
    command = Path(sys.prefix, "bin/sorawatch")
    start = [_word(command)] if command.exists() else [_word(Path(sys.executable)), "-m", "sorawatch"]
    at_home = [each for each in (config.path, Path(sys.prefix), *roots) if any(map(each.is_relative_to, HOMES))]
    values = {
        "ExecStart": " ".join([*start, "run", "--config", _word(config.path)]),
        "User": user,
        "Group": _group(user),
        "StateDirectory": places.name,
        "ReadWritePaths": " ".join(_word(root, "-") for root in roots),
        "ProtectHome": "read-only" if at_home else "yes",
    }
    if _takes_credential(config):
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
    """A file of the folder ``systemd`` of the repository."""
    inside = files("sorawatch") / "systemd" / name
    if inside.is_file():
        return inside.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "systemd" / name).read_text(encoding="utf-8")


def _closed(path: Path) -> Path | None:
    """The first folder on the way to ``path`` that is closed to others, or that a service has a private one of."""
    for folder in reversed(path.resolve().parents):
        try:
            if folder in _PRIVATE or not folder.stat().st_mode & 0o001:
                return folder
        except OSError:
            return folder
    return None


def _group(user: str) -> str:
    """The user's own group; one that is to be made will have a group of its name."""
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return user


def _takes_credential(config: Config) -> bool:
    """Whether there is a key, and the configuration does not say itself where."""
    try:
        find_key(config, {})
    except ConfigError:
        return True
    return False


def _key_file(config: Config, environ: Mapping[str, str], places: Places) -> File | None:
    """The key as a file for the service manager, where it takes one: that of this environment, or the one there is."""
    if not _takes_credential(config):
        return None
    given = environ.get("SORAWATCH_API_KEY", "").strip()
    source = KeySource("environment variable SORAWATCH_API_KEY", None, environ)
    try:
        key = (source if given else KeySource(str(places.key), places.key, environ)).read()
    except ConfigError as error:
        raise UsageError(
            f"there is no API key: {error.problems[0].what}. Put it into {places.key}, or set $SORAWATCH_API_KEY."
        ) from error
    return File(places.key, f"{key}\n", 0o600, secret=True)


def _word(path: Path, prefix: str = "") -> str:
    """A path as one word of a unit file."""
    text = prefix + str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if re.search(r"[\s'\"\\;]", text) else text


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
