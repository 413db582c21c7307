"""Reads how colours are stored from the boxes of an AVIF (ISO/IEC 14496-12, 23008-12) or JPEG 2000 (15444-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.edges.images.colour_space import SRGB, UNSPECIFIED, ColourSpace

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_VIDEO = frozenset({1, 6, 14, 15, UNSPECIFIED})
"""Transfers that are the curve of a camera for video. In pictures they stand for sRGB, as browsers take them."""
_BY_PROFILE = frozenset({b"\x02", b"\x03"})
"""Methods of the box colr of a JPEG 2000: a restricted, or any, ICC profile."""


def colour_space(primaries: int, transfer: int) -> ColourSpace | None:
    """The colour space of the box ``nclx`` of an AVIF or HEIC; None if it is sRGB, or not known."""
    return ColourSpace.by_code_points(
        SRGB[0] if primaries == UNSPECIFIED else primaries, SRGB[1] if transfer in _OF_VIDEO else transfer
    )


def code_points(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer in the box ``nclx`` of the primary item of an AVIF; None if it has none."""
    try:
        return _code_points(memoryview(data))
    except (IndexError, KeyError):
        return None


def jpeg2000_profile(data: bytes) -> bytes | None:
    """The ICC profile of a JPEG 2000; None if it has none."""
    for kind, content in _boxes(dict(_boxes(memoryview(data))).get(b"jp2h", memoryview(b""))):
        if kind == b"colr" and bytes(content[:1]) in _BY_PROFILE:
            return bytes(content[3:])
    return None


def _code_points(data: memoryview) -> tuple[int, int] | None:
    meta = dict(_boxes(dict(_boxes(data))[b"meta"][4:]))
    properties = dict(_boxes(meta[b"iprp"]))
    stored = [*_boxes(properties[b"ipco"])]
    primary = meta[b"pitm"]
    item = _number(primary, 4, 2 if primary[0] == 0 else 4)
    for index in _associated(properties[b"ipma"], item):
        kind, content = stored[index - 1]
        if index and kind == b"colr" and bytes(content[:4]) == b"nclx":
            return _number(content, 4, 2), _number(content, 6, 2)
    return None


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The boxes that follow one another in ``data``: type and content."""
    at = 0
    while at + 8 <= len(data):
        length, start = _number(data, at, 4), 8
        if length == 1:
            length, start = _number(data, at + 8, 8), 16
        elif length == 0:
            length = len(data) - at
        if length < start:
            return
        yield bytes(data[at + 4 : at + 8]), data[at + start : at + length]
        at += length


def _associated(table: memoryview, item: int) -> list[int]:
    """The numbers, from 1, of the properties of ``item`` by the box ``ipma``."""
    id_length = 2 if table[0] == 0 else 4
    width = 2 if table[3] & 1 else 1
    at = 8
    for _ in range(_number(table, 4, 4)):
        found, count = _number(table, at, id_length), _number(table, at + id_length, 1)
        at += id_length + 1
        if found == item:
            return [_number(table, at + width * n, width) & ((1 << (8 * width - 1)) - 1) for n in range(count)]
        at += width * count
    return []


def _number(data: memoryview, at: int, length: int) -> int:
    """An unsigned integer. Raises: IndexError: beyond the end."""
    if at + length > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + length], "big")
