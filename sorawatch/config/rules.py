"""The checks that only the configuration needs."""

from __future__ import annotations

import grp
import os
import re
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sorawatch.core.local_addresses import is_loopback_host
from sorawatch.core.value_checks import Check, CheckError, describe, did_you_mean, text
from sorawatch.edges import mounts

if TYPE_CHECKING:
    from sorawatch.core.reference_format import Colour
    from sorawatch.core.yaml_tree import Node

KEY_HINT = "The key belongs in the file that api.key_file names, or in $SORAWATCH_API_KEY."
_ADDRESS = "Allowed: an address such as https://api.apiyi.com/v1."
_MODE = re.compile(r"[0-7]{3,4}", re.ASCII)
_COLOUR = re.compile(r"[0-9a-fA-F]{6}", re.ASCII)


def path(base: Path) -> Check[Path]:
    """A path, relative to ``base``; ``~`` is a home folder."""

    def check(node: Node) -> Path:
        try:
            return base / Path(text(node).strip()).expanduser()
        except RuntimeError as error:
            hint = "Write the whole path, beginning with /."
            raise CheckError(f"is {describe(node)}, but that home folder is not known", hint) from error

    return check


def key_file(base: Path) -> Check[Path]:
    """A path. A key written here by mistake is refused without showing it in the message."""

    def check(node: Node) -> Path:
        if text(node).strip().startswith(("sk-", "Bearer ")):
            raise CheckError("looks like a key, not like the name of a file", KEY_HINT)
        return path(base)(node)

    return check


def state(base: Path) -> Check[str]:
    """An absolute path, or a ``postgresql://`` URL. Messages never show a URL, since it may contain a password."""

    def check(node: Node) -> str:
        scheme, separator, _ = text(node).strip().partition("://")
        if not separator:
            return str(path(base)(node))
        if scheme not in {"postgresql", "postgresql+psycopg"}:
            hint = "Allowed: a path such as /var/lib/sorawatch/state.db, or postgresql://USER@HOST/DATABASE."
            raise CheckError("is an address of another kind than postgresql://", hint)
        return text(node).strip()

    return check


def base_url(node: Node) -> str:
    """A URL without a slash at its end. Messages do not show one with a user, query or fragment: it may have a key."""
    written = text(node).strip()
    if "@" in written:
        raise CheckError("contains a user name or password", f"Remove it. {KEY_HINT}")
    if "?" in written or "#" in written:
        raise CheckError('goes on after a "?" or "#"', f"Remove that part. {KEY_HINT}")
    try:
        url = urlsplit(written)
        usable = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError as error:
        raise CheckError(f"is {describe(node)}", _ADDRESS) from error
    if not usable or any(character.isspace() for character in written):
        raise CheckError(f"is {describe(node)}", _ADDRESS)
    trimmed = url.path.rstrip("/")
    if trimmed.endswith("/videos"):
        raise CheckError(f"is {describe(node)}", 'Leave off "/videos", which is added for every request.')
    return f"{url.scheme}://{url.netloc}{trimmed}"


def is_exposed(url: str) -> bool:
    """Whether requests to ``url`` would carry the key unencrypted beyond this machine.

    Requests to this machine do not use the proxies of the environment.
    """
    parts = urlsplit(url)
    return parts.scheme != "https" and not is_loopback_host(parts.hostname or "")


def timezone(node: Node) -> zoneinfo.ZoneInfo:
    """An IANA time zone that this system knows."""
    name = text(node).strip()
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = did_you_mean(name, zoneinfo.available_timezones())
        hint = f"{near}Allowed: an IANA name such as Europe/Berlin, or null for the system's time zone."
        raise CheckError(f"is {describe(node)}, a time zone that this system does not know", hint) from error


def colour(node: Node) -> Colour:
    """``#RRGGBB``. Without quotes, ``#`` would begin a comment in YAML."""
    digits = node.text.strip().removeprefix("#")
    if not _COLOUR.fullmatch(digits):
        raise CheckError(f"is {describe(node)}", 'Allowed: a colour such as "#1a2b3c" (red, green, blue), in quotes.')
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def mode(required: int) -> Check[int]:
    """Permission bits in octal, quoted or not. ``required`` are the bits that sorawatch itself needs."""

    def check(node: Node) -> int:
        digits = node.text.strip().removeprefix("0o")
        if not _MODE.fullmatch(digits) or int(digits, 8) & required != required:
            example = "0664" if required == 0o600 else "0775"
            hint = f'Allowed: octal digits such as "{example}", with at least {required:04o} for the owner.'
            raise CheckError(f"is {describe(node)}", hint)
        return int(digits, 8)

    return check


def group(node: Node) -> int:
    """The id of a group of this system, given by name or id."""
    name = text(node).strip()
    if name.isascii() and name.isdigit() and len(name) < 10:
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError) as error:
        near = did_you_mean(name, [entry.gr_name for entry in grp.getgrall()])
        hint = f"{near}Allowed: a group of this system, by name or number, or null."
        raise CheckError(f"is {describe(node)}, a group that this system does not know", hint) from error


def globs(node: Node) -> tuple[str, ...]:
    """A list of glob patterns."""
    if not isinstance(node.value, tuple):
        raise CheckError(f"is {describe(node)}", 'Allowed: a list of patterns, such as ["*.tmp", "draft-*"].')
    return tuple(text(item) for item in node.value)


def relation(one: Path, other: Path) -> str | None:
    """How the paths ``one`` and ``other`` overlap, in words, as written or with links resolved; None if they do not.

    Links on network shares are not resolved, so that a configuration can be read while a share hangs.
    """
    for resolve in (os.path.normpath, mounts.resolved):
        first, second = Path(resolve(one)), Path(resolve(other))
        if first == second:
            return "is the same folder as"
        if first.is_relative_to(second):
            return "is inside"
        if second.is_relative_to(first):
            return "contains"
    return None


def located(folder: Path) -> str:
    """``folder`` for a message, with its real path if it contains links."""
    written, real = os.path.normpath(folder), mounts.resolved(folder)
    return written if written == real else f"{written} (which is {real})"
