"""Finds the links to a clip in a server's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINKS = 4
"""Links of one response that are tried."""

_LINKS = ("video_url", "url", "result_url", "download_url", "output_url")
_OBJECTS = ("video", "output", "result", "content", "data", "metadata", "task_result")
"""Fields that hold another object, or the link itself."""
_LISTS = ("videos", "outputs", "generations", "output", "data", "urls")
"""Fields that hold a list; only its first entry is used."""
_MAX_DEPTH = 4
_MAX_LINK_LENGTH = 8_000
"""Characters. A ``data:`` link, which holds the clip itself, may be longer."""


def clip_links(document: object) -> tuple[str, ...]:
    """The links to a clip in the JSON ``document``, the most likely first. They may be relative, or ``data:`` links."""
    return tuple(dict.fromkeys(_links(document, _MAX_DEPTH)))[:MAX_LINKS]


def holds_clip(link: str) -> bool:
    """Whether the link contains the clip itself, in Base64."""
    head, _, _ = link[:_MAX_LINK_LENGTH].partition(",")
    return head.casefold().startswith("data:video/") and head.casefold().endswith(";base64")


def _links(document: object, depth: int) -> Iterator[str]:
    if not isinstance(document, dict) or not depth:
        return
    for name in _LINKS:
        if isinstance(link := document.get(name), str) and _is_usable(link):
            yield link.strip()
    for name in _OBJECTS:
        yield from _links_in_field(document.get(name), depth)
    for name in _LISTS:
        match document.get(name):
            case [first, *_]:
                yield from _links_in_field(first, depth)


def _links_in_field(value: object, depth: int) -> Iterator[str]:
    """The links in a field that may hold an object, a link, or some other text."""
    if not isinstance(value, str):
        yield from _links(value, depth - 1)
    elif _is_usable(value) and (value.strip().casefold().startswith(("http://", "https://", "/")) or holds_clip(value)):
        yield value.strip()


def _is_usable(link: str) -> bool:
    """Whether the link can be fetched: printable, on one line, not too long, and http, https or relative."""
    text = link.strip()
    if holds_clip(text):
        return True
    scheme, colon, _ = text.partition(":")
    other = colon and scheme.isalnum() and scheme.casefold() not in {"http", "https"}
    return 0 < len(text) <= _MAX_LINK_LENGTH and text.isprintable() and " " not in text and not other
