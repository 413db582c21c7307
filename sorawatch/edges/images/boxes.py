"""Reads and corrects the boxes of an AVIF (ISO/IEC 14496-12, 23008-12), and reads those of a JPEG 2000 (15444-1)."""

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


def with_size_of_alpha(data: bytes) -> bytes:
    """The AVIF ``data``, in which the transparency has the property ``ispe``, its size.

    Older versions of some encoders left it out. Browsers do without; Pillow does not let libavif do so. Here it takes
    the place of the property ``pixi``, which libavif does not need, so that no box changes its length.
    """
    changed = bytearray(data)
    try:
        found = _give_alpha_its_size(memoryview(changed))
    except (IndexError, KeyError):
        return data
    return bytes(changed) if found else data


def _give_alpha_its_size(data: memoryview) -> bool:
    meta = dict(_boxes(dict(_boxes(data))[b"meta"][4:]))
    properties = dict(_boxes(meta[b"iprp"]))
    kinds = [kind for kind, _ in _boxes(properties[b"ipco"])]
    table = properties[b"ipma"]
    primary = meta[b"pitm"]
    width, mask = _index_width(table), _index_mask(table)
    entries = {item: [_number(table, at, width) & mask for at in places] for item, places in _associations(table)}
    own = entries[_number(primary, 4, 2 if primary[0] == 0 else 4)]
    size = next(index for index in [*own, 0] if index == 0 or kinds[index - 1] == b"ispe")
    found = False
    for _, places in _associations(table) if size else ():
        by_kind = {kinds[(_number(table, at, width) & mask) - 1]: at for at in places}
        if b"auxC" in by_kind and b"pixi" in by_kind and b"ispe" not in by_kind:
            table[by_kind[b"pixi"] : by_kind[b"pixi"] + width] = size.to_bytes(width)
            found = True
    return found


def _code_points(data: memoryview) -> tuple[int, int] | None:
    meta = dict(_boxes(dict(_boxes(data))[b"meta"][4:]))
    properties = dict(_boxes(meta[b"iprp"]))
    stored = [*_boxes(properties[b"ipco"])]
    primary = meta[b"pitm"]
    item = _number(primary, 4, 2 if primary[0] == 0 else 4)
    table = properties[b"ipma"]
    places = dict(_associations(table)).get(item, [])
    for index in (_number(table, at, _index_width(table)) & _index_mask(table) for at in places):
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


def _associations(table: memoryview) -> Iterator[tuple[int, list[int]]]:
    """The items of the box ``ipma``, and where in it the numbers of their properties are."""
    id_length, width = 2 if table[0] == 0 else 4, _index_width(table)
    at = 8
    for _ in range(_number(table, 4, 4)):
        item, count = _number(table, at, id_length), _number(table, at + id_length, 1)
        at += id_length + 1
        yield item, [at + width * number for number in range(count)]
        at += width * count


def _index_width(table: memoryview) -> int:
    """Bytes of the number of a property, which begins at 1."""
    return 2 if table[3] & 1 else 1


def _index_mask(table: memoryview) -> int:
    """Without the first bit, which says whether the property is essential."""
    return (1 << (8 * _index_width(table) - 1)) - 1


def _number(data: memoryview, at: int, length: int) -> int:
    """An unsigned integer. Raises: IndexError: beyond the end."""
    if at + length > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + length], "big")
