"""The configuration file: where it is searched, and the commented one that new users start with."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.config.sections import STATE
from sorawatch.errors import ConfigError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "SORAWATCH_CONFIG"
PLACES = (Path("config.yaml"), Path("/etc/sorawatch/config.yaml"))
EXAMPLE = "config.example.yaml"


def find(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """The configuration file: ``explicit``, else ``$SORAWATCH_CONFIG``, else the first of ``PLACES`` that exists.

    Raises:
        ConfigError: there is none. If a named file is missing, no other is used instead.
    """
    named = explicit or (Path(environ[VARIABLE]) if environ.get(VARIABLE) else None)
    for place in [named] if named else PLACES:
        if _is_there(place):
            return place
    hint = "Write one with: sorawatch init"
    if named and named.is_dir():
        raise ConfigError((Problem(str(named), "is a folder", f"Name the file in it: {named / PLACES[0]}"),))
    if named:
        origin = "named by --config" if explicit else f"named by ${VARIABLE}"
        raise ConfigError(
            (Problem(str(named), f"there is no such file, {origin}", f"{hint} {shlex.quote(str(named.parent))}"),)
        )
    searched = ", ".join(
        [f"${VARIABLE} (not set)", *(f"./{place}" if not place.is_absolute() else str(place) for place in PLACES)]
    )
    raise ConfigError((Problem("config.yaml", f"there is no configuration; looked for {searched}", hint),))


def _is_there(place: Path) -> bool:
    """Raises: ConfigError: if the system does not say whether it exists."""
    try:
        return place.is_file()
    except OSError as error:
        hint = "Check its path and permissions."
        raise ConfigError((Problem(str(place), error.strerror or str(error), hint),)) from error


def example() -> str:
    """``config.example.yaml``: every key with a comment and its default."""
    shipped = files("sorawatch") / EXAMPLE
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / EXAMPLE).read_text(encoding="utf-8")


def create_starter(folder: Path, text: str) -> Path:
    """Write ``text`` as a configuration into ``folder`` and make the four folders beside it. Returns its path.

    Raises:
        UsageError: if there is a configuration already, or nothing can be written there.
    """
    path = folder / "config.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
        for name in ("inbox", "outbox", "errors", "processed"):
            (folder / name).mkdir(exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{error.filename} is already there, so nothing was changed.") from error
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}. Choose a folder that you may write to.") from error
    return path


def starter() -> str:
    """The example with the state beside it, so that users without access to ``/var/lib`` can use it."""
    return example().replace(f"state: {STATE}", "state: state.db")
