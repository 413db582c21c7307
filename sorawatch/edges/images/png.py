"""Reads what a PNG says of its colours, and leaves out the chunks that have no part in its pixels.

Text and other metadata would only cost memory, and may be damaged without harm to the picture. See the PNG
Specification (third edition).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.edges.images.colour_space import Chromaticities, ColourSpace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_KEPT = frozenset({b"tRNS", b"eXIf"})
"""Ancillary chunks that Pillow reads."""
_COLOUR = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})
"""Chunks about colours, in the order in which they count; the last two count together."""
_AFTER_HEADER = {b"tRNS", *_COLOUR}

_GREY, _RGB, _PALETTE = 0, 2, 3
"""Values of the header's colour type."""
_FULL_RANGE = 1
_LARGEST_PROFILE = 16 << 20
"""Bytes, when decompressed. The largest profiles of printers have 3 MB."""


@dataclass(frozen=True, slots=True)
class Png:
    """What is left of a PNG to decode, and its colours: an embedded ICC profile, other numbers, or None for sRGB."""

    data: bytes
    colours: ColourSpace | bytes | None


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    end: int
    content: memoryview

    @property
    def is_ancillary(self) -> bool:
        return bool(self.kind[0] & 0x20)


def simplified(data: bytes) -> Png:
    """The PNG ``data`` without metadata. An ancillary chunk with a wrong checksum counts as not there.

    What is cut off or otherwise wrong is left to the decoder.
    """
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    colour: dict[bytes, memoryview] = {}
    header = (0, 0)
    kept_from = 0
    for chunk in _chunks(view):
        if chunk.kind == b"IHDR" and len(chunk.content) >= 13:
            header = (chunk.content[8], chunk.content[9])
        if not chunk.is_ancillary:
            continue
        if chunk.kind == b"eXIf" and _is_sound(view, chunk):
            continue
        parts.append(view[kept_from : chunk.start])
        kept_from = chunk.end
        if chunk.kind in _AFTER_HEADER and _is_sound(view, chunk):
            if chunk.kind == b"tRNS":
                parts.append(_chunk(b"tRNS", _transparency(bytes(chunk.content), *header)))
            else:
                colour.setdefault(chunk.kind, chunk.content)
    if not parts:
        return Png(data, None)
    return Png(b"".join((*parts, view[kept_from:])), _colours(colour))


def _chunks(data: memoryview) -> Iterator[_Chunk]:
    """The chunks that are complete."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            return
        yield _Chunk(bytes(data[at + 4 : at + 8]), at, end, data[at + 8 : end - 4])
        at = end


def _is_sound(data: memoryview, chunk: _Chunk) -> bool:
    return zlib.crc32(data[chunk.start + 4 : chunk.end - 4]) == int.from_bytes(data[chunk.end - 4 : chunk.end])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _transparency(content: bytes, depth: int, kind: int) -> bytes:
    """The chunk tRNS for pixels as Pillow decodes them: grey of few bits and colours of 16 bits, scaled to 8 bits."""
    if kind not in {_GREY, _RGB} or len(content) % 2:
        return content
    samples = [sample & ((1 << depth) - 1) for (sample,) in struct.iter_unpack(">H", content)]
    if kind == _GREY and depth in {2, 4}:
        samples = [sample * 255 // ((1 << depth) - 1) for sample in samples]
    if kind == _RGB and depth == 16:
        samples = [sample >> 8 for sample in samples]
    return struct.pack(f">{len(samples)}H", *samples)


def _colours(chunks: Mapping[bytes, memoryview]) -> ColourSpace | bytes | None:
    """By the first of cICP, iCCP, sRGB and gAMA that can be used."""
    if (code_points := chunks.get(b"cICP")) is not None and len(code_points) == 4:
        primaries, transfer, matrix, video_range = code_points
        if matrix == 0 and video_range == _FULL_RANGE and ColourSpace.is_known(primaries, transfer):
            return ColourSpace.by_code_points(primaries, transfer)
    if (packed := chunks.get(b"iCCP")) is not None and (profile := _profile(bytes(packed))) is not None:
        return profile
    gamma = chunks.get(b"gAMA")
    if b"sRGB" in chunks or gamma is None or len(gamma) != 4:
        return None
    return ColourSpace.by_gamma(int.from_bytes(gamma) / 100_000, _chromaticities(chunks.get(b"cHRM")))


def _chromaticities(content: memoryview | None) -> Chromaticities | None:
    if content is None or len(content) != 32:
        return None
    white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y = (
        value / 100_000 for value in struct.unpack(">8I", content)
    )
    return white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y


def _profile(packed: bytes) -> bytes | None:
    """The ICC profile in the content of a chunk iCCP: name, zero, method, compressed data. None if it is broken."""
    name_and_method, _, _ = packed.partition(b"\0")
    start = len(name_and_method) + 2
    inflate = zlib.decompressobj()
    try:
        profile = inflate.decompress(packed[start:], _LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if inflate.eof and profile[36:40] == b"acsp" else None
