"""Whether a downloaded file is a whole MP4.

A server may send a truncated clip, one whose second half is zeros, or a web page, each with status 200. The
box structure is that of ISO/IEC 14496-12, the sample tables those of its section 8.7.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TYPE_CHECKING, BinaryIO

from sorawatch.core.fsfaults import translate
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST_MOOV = 64 << 20
"""Bytes; the index of a clip of minutes has a few thousand."""

_PROBE = 16
"""Bytes at a sample's ends. No codec begins a sample with so many zeros."""

_NAL_CODECS = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1"})
"""Their samples never end in zeros either: a NAL unit's last byte is not 0 (H.264 7.4.1, H.265 7.4.2)."""


_MOST_BOXES = 100_000
_MOST_SAMPLES = 100_000
"""Nearly an hour of video; a file made to keep us busy gets no further."""

_Read = Callable[[int, int], bytes]
"""``read(start, size)``: those bytes, or fewer at the end."""


class _BoxError(Exception):
    """What is wrong with the file."""


@dataclass(frozen=True, slots=True)
class _Box:
    """One box: its four-letter type and where its payload lies, in bytes of the file or the buffer."""

    type: bytes
    start: int
    end: int


def check(clip: BinaryIO) -> None:
    """Return if ``clip``, an open binary file, is a whole MP4.

    Its boxes tile the file exactly, ``ftyp`` comes first, there is one ``moov``, ``mdat`` has content, and every
    video sample that ``moov`` indexes lies within an ``mdat`` and is no run of zeros. Files without such an index,
    as fragmented ones are, are held to the boxes alone.

    Raises:
        Deferred: it is not; another download may bring a whole one.
        Blocked: the disk cannot be read.
    """
    try:
        _check(clip, clip.seek(0, os.SEEK_END))
    except _BoxError as broken:
        raise Deferred(f"the download is not a whole MP4: {broken}") from broken
    except OSError as error:
        raise translate(error, "the downloaded clip") from error


def _check(clip: BinaryIO, length: int) -> None:
    def read(start: int, size: int) -> bytes:
        clip.seek(start)
        return clip.read(size)

    boxes = list(islice(_boxes(read, 0, length, last_may_be_open=True), _MOST_BOXES))
    if not boxes or boxes[0].type != b"ftyp":
        raise _BoxError("it does not begin with an ftyp box" if length else "it is empty")
    moovs = [box for box in boxes if box.type == b"moov"]
    contents = [box for box in boxes if box.type == b"mdat" and box.end > box.start]
    if len(moovs) != 1:
        raise _BoxError(f"it has {len(moovs)} moov boxes and not one")
    if not contents:
        raise _BoxError("it has no mdat box with content")
    (moov,) = moovs
    if moov.end - moov.start > _LARGEST_MOOV:
        raise _BoxError(f"its moov box is {moov.end - moov.start} bytes long")
    index = read(moov.start, moov.end - moov.start)
    for track in _tracks(index):
        _check_track(read, contents, track)


def _boxes(read: _Read, start: int, end: int, *, last_may_be_open: bool = False) -> Iterator[_Box]:
    """The boxes that tile ``start…end`` exactly. An open one, of size 0, reaches to the end."""
    while start < end:
        header = read(start, 16)
        size, kind = struct.unpack(">I4s", header[:8].ljust(8, b"\0"))
        payload = 8
        if size == 1:
            (size,), payload = struct.unpack(">Q", header[8:16].ljust(8, b"\0")), 16
        elif size == 0 and last_may_be_open:
            size = end - start
        if not all(0x20 <= byte <= 0x7E for byte in kind):
            raise _BoxError(f"at byte {start} a box of type {kind.hex()} begins, which is none")
        if not payload <= size <= end - start:
            raise _BoxError(f"its {kind.decode()} box at byte {start} claims {size} bytes where {end - start} are left")
        yield _Box(kind, start + payload, start + size)
        start += size


def _children(buffer: bytes) -> Iterator[_Box]:
    return _boxes(lambda start, size: buffer[start : start + size], 0, len(buffer))


def _tracks(index: bytes) -> list[bytes]:
    """The tracks of a ``moov``; none where it tells of none, which is odd, but the server's affair."""
    with suppress(_BoxError):
        return [index[box.start : box.end] for box in _children(index) if box.type == b"trak"]
    return []


def _below(buffer: bytes, *path: bytes) -> bytes:
    """The payload of the first box under each name of ``path``; empty where there is none."""
    for name in path:
        buffer = next((buffer[box.start : box.end] for box in _children(buffer) if box.type == name), b"")
    return buffer


def _check_track(read: _Read, contents: list[_Box], track: bytes) -> None:
    """Every sample of a video track lies within ``contents`` and has no zeros where its codec has none."""
    if _below(track, b"mdia", b"hdlr")[8:12] != b"vide":
        return
    table = _below(track, b"mdia", b"minf", b"stbl")
    nal_units = _below(table, b"stsd")[12:16] in _NAL_CODECS
    for start, size in islice(_samples(table), _MOST_SAMPLES):
        if not any(box.start <= start and start + size <= box.end for box in contents):
            raise _BoxError(f"its index names a frame at byte {start}, outside the content")
        hollow = size >= _PROBE and not any(read(start, _PROBE))
        if hollow or (nal_units and size >= _PROBE and not any(read(start + size - _PROBE, _PROBE))):
            raise _BoxError(f"the frame at byte {start} is zeros")


def _samples(table: bytes) -> Iterator[tuple[int, int]]:
    """Where each sample lies: its first byte in the file and its size. None for tables without sizes of their own."""
    sizes = _numbers(_below(table, b"stsz")[8:], "I") if _below(table, b"stsz")[4:8] == bytes(4) else ()
    chunks = _numbers(_below(table, b"stco")[4:], "I") or _numbers(_below(table, b"co64")[4:], "Q")
    runs = _numbers(_below(table, b"stsc")[4:], "3I")
    per_chunk = dict(zip(runs[::3], runs[1::3], strict=True))
    sample = count = 0
    for number, start in enumerate(chunks, 1):
        count = per_chunk.get(number, count)
        within = sizes[sample : sample + count]
        yield from zip(accumulate(within, initial=start), within, strict=False)
        sample += count


def _numbers(payload: bytes, row: str) -> tuple[int, ...]:
    """A table: the number of its rows, then the rows, big-endian."""
    if not payload:
        return ()
    (rows,) = struct.unpack(">I", payload[:4].ljust(4, b"\xff"))
    width = struct.calcsize(f">{row}")
    if 4 + rows * width > len(payload):
        raise _BoxError("a table of its index is cut off")
    return tuple(number for found in struct.iter_unpack(f">{row}", payload[4 : 4 + rows * width]) for number in found)
