"""Where a server's JSON says that a clip is to be had."""

from __future__ import annotations

from collections.abc import Iterator

MOST_LINKS = 4
"""Links of one answer that are tried."""

_LINKS = ("video_url", "url", "result_url", "download_url", "output_url")
_HOLDERS = ("video", "output", "result", "content", "data", "metadata", "task_result")
"""Fields with a further object, or with the link itself."""
_LISTS = ("videos", "outputs", "generations", "output", "data", "urls")
"""Fields with a list, of which the first entry counts."""
_DEPTH = 4
_LONGEST_LINK = 8_000
"""Characters of a link that is fetched; one that holds the clip itself may be any length."""


def clip_links(document: object) -> tuple[str, ...]:
    """The links to a clip in the JSON ``document``, the likeliest first; they may be relative, or ``data:`` links."""
    return tuple(dict.fromkeys(_links(document, _DEPTH)))[:MOST_LINKS]


def holds_clip(link: str) -> bool:
    """Whether the clip is in the link itself, in Base64."""
    head, _, _ = link[:_LONGEST_LINK].partition(",")
    return head.casefold().startswith("data:video/") and head.casefold().endswith(";base64")


def _links(document: object, depth: int) -> Iterator[str]:
    if not isinstance(document, dict) or not depth:
        return
    for name in _LINKS:
        if isinstance(link := document.get(name), str) and _is_usable(link):
            yield link.strip()
    for name in _HOLDERS:
        yield from _held(document.get(name), depth)
    for name in _LISTS:
        match document.get(name):
            case [first, *_]:
                yield from _held(first, depth)


def _held(value: object, depth: int) -> Iterator[str]:
    """The links in a field that may hold an object, or the link itself, or words that are none."""
    if not isinstance(value, str):
        yield from _links(value, depth - 1)
    elif _is_usable(value) and (value.strip().casefold().startswith(("http://", "https://", "/")) or holds_clip(value)):
        yield value.strip()


def _is_usable(link: str) -> bool:
    """Whether it can be sent for: printable, on one line, not too long, and of a scheme that is followed."""
    text = link.strip()
    if holds_clip(text):
        return True
    scheme, colon, _ = text.partition(":")
    other = colon and scheme.isalnum() and scheme.casefold() not in {"http", "https"}
    return 0 < len(text) <= _LONGEST_LINK and text.isprintable() and " " not in text and not other
