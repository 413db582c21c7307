"""Which files of one folder belong together as image and sidecar."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sorawatch.core.sync_tools import conflict_copy, placeholder
from sorawatch.core.unread_kinds import kind_by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif",
    ".tif", ".tiff", ".gif", ".bmp", ".dib", ".ico", ".heic", ".heif", ".hif",
    ".jp2", ".j2k", ".j2c", ".jpf", ".jpx",
)  # fmt: skip
YAML_SUFFIXES = (".yaml.txt", ".yml.txt", ".yaml", ".yml")
"""Windows and some phones append ``.txt``."""
SIDECAR_SUFFIXES = (*YAML_SUFFIXES, ".txt.txt", ".txt")
"""A suffix comes before those that it ends with."""
_MEANINGFUL_SUFFIXES = (*IMAGE_SUFFIXES, *SIDECAR_SUFFIXES)
DEFAULTS_NAMES = ("_defaults.yaml", "_defaults.yml")
PAUSE_NAMES = ("pause", "pause.txt", "pause.txt.txt")
"""Windows may append ``.txt`` where it shows none."""
ERROR_SUFFIX = ".error.txt"
RETURNED_SUFFIX = ".returned.txt"
TEXT_SUFFIXES = (ERROR_SUFFIX, RETURNED_SUFFIX)
"""Suffixes of the texts that sorawatch puts beside a pair."""
NOTICE_NAME = "WAITING-FOR-APPROVAL.txt"
"""The text in the errors folder about orders that wait for approval; it may be dragged along into the inbox."""

_LIKE_DEFAULTS = re.compile(r"_*defaults?(\.(yaml|yml|txt|json))*")
_LIKE_PROMPT = re.compile(r"_*prompts?(\.(yaml|yml|txt|json))*")

_JUNK_PREFIXES = (".", "~$")
_JUNK_SUFFIXES = (
    "~", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".filepart", ".!sync", *TEXT_SUFFIXES,
)  # fmt: skip
_JUNK_NAMES = frozenset({
    "thumbs.db", "desktop.ini", "@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot",
    "__macosx", "lost+found", "$recycle.bin", "system volume information", NOTICE_NAME.lower(),
})  # fmt: skip
_JUNK_PATTERNS = ("*.sb-????????-??????",)


@dataclass(frozen=True, slots=True)
class Match:
    """An image and its sidecar, by name. ``conflict`` says why they cannot be used as they are."""

    image: str
    sidecar: str | None
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What the names in one folder mean."""

    matches: tuple[Match, ...]
    without_image: tuple[str, ...]
    """Sidecars without an image."""
    unknown: tuple[str, ...]
    """Neither image nor sidecar, or made by a sync tool beside them."""
    pause_files: tuple[str, ...] = ()
    """Files that stop submissions where they are at the top of the inbox."""


def fold(name: str) -> str:
    """The form in which names are compared, since systems differ in Unicode normalization and in case."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_junk(name: str, ignore: Sequence[str] = ()) -> bool:
    """Whether a file or folder of this name is ignored: hidden, temporary, or created by a system or a sync tool."""
    folded = fold(name)
    # A scan asks for every name, so what is quick comes first.
    if folded.startswith(_JUNK_PREFIXES):
        return placeholder(name) is None
    if folded.endswith(_JUNK_SUFFIXES) or folded in _JUNK_NAMES:
        return True
    return _junk_pattern(tuple(ignore)).match(folded) is not None


@lru_cache(maxsize=8)
def _junk_pattern(ignore: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all patterns, since a scan tests every name."""
    return re.compile("|".join(fnmatch.translate(fold(pattern)) for pattern in (*_JUNK_PATTERNS, *ignore)))


def is_defaults(name: str) -> bool:
    """Whether this is a folder's ``_defaults.yaml``."""
    return name.startswith("_") and fold(name) in DEFAULTS_NAMES


def is_pause_name(name: str) -> bool:
    """Whether a file of this name stops submissions, unless it is the sidecar of an image."""
    return fold(name) in PAUSE_NAMES


def has_meaning(name: str) -> bool:
    """Whether a file of this name can be an image or a sidecar, or stop submissions."""
    folded = fold(name)
    return folded.endswith(_MEANINGFUL_SUFFIXES) or folded in PAUSE_NAMES


def is_yaml(name: str) -> bool:
    """Whether a sidecar of this name is YAML; else its whole text is the prompt."""
    return _sidecar_suffix(name) in YAML_SUFFIXES


def sidecar_stem(name: str) -> str:
    """What a sidecar is the sidecar of: ``beach`` for ``beach.yaml.txt``, ``beach.jpg`` for ``beach.jpg.yaml``.

    A name without any of the suffixes stays as it is.
    """
    return name[: len(name) - len(_sidecar_suffix(name))]


def is_sidecar_of(name: str, image: str) -> bool:
    """Whether a file of this name can be the sidecar of ``image``."""
    return bool(_sidecar_suffix(name)) and fold(sidecar_stem(name)) in {fold(image), fold(_stem(image))}


def _sidecar_suffix(name: str) -> str:
    """The suffix of a sidecar in lower case, which leaves a stem; empty if it has none."""
    folded = fold(name)
    return next((suffix for suffix in SIDECAR_SUFFIXES if folded.endswith(suffix) and folded != suffix), "")


def why_unused(pairing: Pairing) -> dict[str, str]:
    """Why the files that are neither images nor sidecars of one have no effect, and what they should be called.

    A sidecar beside a file of a kind that is not read is told of with that file.
    """
    if not (pairing.without_image or pairing.unknown):
        return {}
    by_stem = {fold(_stem(match.image)): match for match in reversed(pairing.matches)}
    alone = next((match.image for match in pairing.matches if match.sidecar is None), "beach.jpg")
    sidecars = {fold(sidecar_stem(name)): name for name in pairing.without_image if _sidecar_suffix(name)}
    beside = {
        name: sidecar
        for name in pairing.unknown
        if not conflict_copy(name) and not placeholder(name)
        if (sidecar := sidecars.get(fold(name)) or sidecars.get(fold(_stem(name))))
    }
    told = {*beside.values()}
    without_image = [name for name in pairing.without_image if name not in told]
    return {
        **{name: _why_unused(name, alone, by_stem, "no image of this name") for name in without_image},
        **{name: _why_unused(name, alone, {}, _why_unread(name, beside.get(name))) for name in pairing.unknown},
    }


def _why_unread(name: str, sidecar: str | None) -> str:
    """Why a file is no picture, by its extension, and what becomes of its ``sidecar``."""
    kind = kind_by_name(name)
    why = f"{kind.what}, which is not read. {kind.hint}" if kind else "not a picture format sorawatch reads"
    if sidecar is None:
        return why.removesuffix(".")
    return f"{why.removesuffix('.')}. Its sidecar {sidecar} waits for a picture"


def _why_unused(name: str, alone: str, by_stem: Mapping[str, Match], otherwise: str) -> str:
    """Why the file ``name`` has no effect.

    Args:
        alone: an image without a sidecar, as an example.
        by_stem: the images that may have another sidecar.
        otherwise: the reason if the name says no more.
    """
    if made_by_tool := conflict_copy(name) or placeholder(name):
        return made_by_tool
    if _LIKE_DEFAULTS.fullmatch(fold(name)):
        hint = f"rename it to {DEFAULTS_NAMES[0]}"
        if not is_yaml(name):
            hint += ' and write keys in it, such as "prompt: waves"'
        return f"has no effect: the defaults of a folder are called {DEFAULTS_NAMES[0]}; {hint}"
    if _LIKE_PROMPT.fullmatch(fold(name)):
        suffix = ".yaml" if is_yaml(name) else ".txt"
        return (
            f"belongs to no image: for one image rename it, such as to {_stem(alone)}{suffix} for {alone};"
            f' for the whole folder write "prompt: ..." in {DEFAULTS_NAMES[0]}'
        )
    other = by_stem.get(fold(sidecar_stem(name)))
    return otherwise if other is None else f"has no effect: {other.image} already has the sidecar {other.sidecar}"


def pair(names: Iterable[str]) -> Pairing:
    """Match the file names of one folder; the caller has left out ignored names.

    ``beach.jpg.yaml`` belongs to ``beach.jpg`` only, ``beach.yaml`` to the only image with the stem ``beach``. Names
    that differ only in case or Unicode form are distinguished if each image has exactly its own sidecar. ``PAUSE.txt``
    is a sidecar if it belongs to an image such as ``pause.jpg``. Conflict copies of a sync tool are no part of a pair,
    because nobody asked for a second clip.
    """
    images: list[str] = []
    sidecars: dict[str, list[str]] = defaultdict(list)
    unknown: list[str] = []
    pause_files: list[str] = []
    for name in sorted(names):
        folded = fold(name)
        if conflict_copy(name) or placeholder(name):
            unknown.append(name)
        elif folded.endswith(IMAGE_SUFFIXES):
            images.append(name)
        elif folded.endswith(SIDECAR_SUFFIXES):
            if not is_defaults(name):
                sidecars[fold(sidecar_stem(name))].append(name)
        elif is_pause_name(name):
            pause_files.append(name)
        else:
            unknown.append(name)
    matches: list[Match] = []
    for name_of in (str, _stem):
        groups, images = _grouped(images, name_of), []
        for name, candidates in groups.items():
            if name in sidecars:
                matches += _match(candidates, sidecars.pop(name), name_of)
            else:
                images += candidates
    matches += [Match(image, None) for image in images]
    unmatched = [name for found in sidecars.values() for name in found]
    pause_files += filter(is_pause_name, unmatched)
    return Pairing(
        matches=tuple(sorted(matches, key=lambda match: match.image)),
        without_image=tuple(name for name in unmatched if not is_pause_name(name)),
        unknown=tuple(unknown),
        pause_files=tuple(pause_files),
    )


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _grouped(images: Iterable[str], name_of: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for image in images:
        groups[fold(name_of(image))].append(image)
    return groups


def _match(images: list[str], sidecars: list[str], name_of: Callable[[str], str]) -> list[Match]:
    """Match the images and sidecars of one name; there is at least one of each."""
    if len(images) == 1:
        conflict = (
            f"{images[0]} has {len(sidecars)} sidecars, {' and '.join(sidecars)}. Keep one of them and remove the "
            "other, also where it still is in the inbox. The sidecar of another picture is called like that picture, "
            "such as hill.yaml for hill.jpg"
        )
        return [Match(images[0], sidecars[0], conflict if len(sidecars) > 1 else "")]
    by_name = {sidecar_stem(sidecar): sidecar for sidecar in sidecars}
    if len(images) == len(sidecars) == len(by_name) and {*map(name_of, images)} == {*by_name}:
        return [Match(image, by_name[name_of(image)]) for image in images]
    conflict = (
        f"{' and '.join(images)} {'both' if len(images) == 2 else 'all'} match {sidecars[0]}. "
        f"Give each its own sidecar: {', '.join(f'{image}.yaml' for image in images)}"
    )
    return [Match(image, sidecars[0], conflict) for image in images]
