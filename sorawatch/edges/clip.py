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

from sorawatch.core.media import TOP_BOXES
from sorawatch.core.os_errors import translate
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST_MOOV = 64 << 20
"""Bytes; the index of a clip of minutes has a few thousand."""

_PROBE = 16
"""Bytes at a sample's ends. No codec begins a sample with so many zeros."""

_ZERO_TAIL = 64
"""Bytes: no coded content ends in so many zeros, of whatever codec."""

_NAL_CODECS = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1"})
"""Their samples never end in zeros either: a NAL unit's last byte is not 0 (H.264 7.4.1, H.265 7.4.2)."""


_MOST_BOXES = 100_000
_MOST_SAMPLES = 100_000
"""Nearly an hour of video; a file made to keep us busy gets no further."""

_Read = Callable[[int, int], bytes]
"""``read(start, size)``: those bytes, or fewer at the end."""


class NotWhole(Deferred):
    """Bytes of the clip are missing, or zeros: this is not what the server meant to send."""


class _BoxError(Exception):
    """What is wrong with the file."""


class _MissingError(_BoxError):
    """What the file lacks."""


@dataclass(frozen=True, slots=True)
class _Box:
    """One box: its four-letter type and where its payload lies, in bytes of the file or the buffer."""

    type: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of a box: its type, cut short where the file ends in it, and the bytes of header and whole box."""

    type: bytes
    payload: int
    size: int

    def fits(self, room: int) -> bool:
        """Whether this is a box that ``room`` bytes hold."""
        named = len(self.type) == 4 and all(0x20 <= byte <= 0x7E for byte in self.type)
        return named and self.payload <= self.size <= room

    def box(self, start: int) -> _Box:
        return _Box(self.type, start + self.payload, start + self.size)

    def claim(self, start: int, end: int) -> str:
        """What is wrong with a box that does not fit."""
        name = self.type.decode("ascii") if self.type.isalnum() else self.type.hex()
        return f"its {name} box at byte {start} claims {self.size} bytes where {end - start} are left"


def check(clip: BinaryIO) -> None:
    """Return if ``clip``, an open binary file, is a whole MP4.

    ``ftyp`` comes first, there is one ``moov``, ``mdat`` has content, all boxes are whole, and every video sample that
    ``moov`` indexes lies within an ``mdat`` and is no run of zeros. Files without such an index, as fragmented ones
    are, are held to the boxes alone. Padding may follow the boxes.

    Raises:
        NotWhole: bytes are missing or zeros; another download may bring a whole one.
        Deferred: it is not an MP4 such as this, though nothing seems to be missing.
        Blocked: the disk cannot be read.
    """
    try:
        _check(clip, clip.seek(0, os.SEEK_END))
    except _MissingError as missing:
        raise NotWhole(f"the download is not a whole MP4: {missing}") from missing
    except _BoxError as broken:
        raise Deferred(f"the download is not a whole MP4: {broken}") from broken
    except OSError as error:
        raise translate(error, "the downloaded clip") from error


def _check(clip: BinaryIO, length: int) -> None:
    """Missing bytes are looked for first, so that they are what is told of a file with several faults."""

    def read(start: int, size: int) -> bytes:
        clip.seek(start)
        return clip.read(size)

    if not length:
        raise _MissingError("it is empty")
    if read(4, 4) not in TOP_BOXES:
        raise _BoxError("it does not begin with an ftyp box")
    boxes = list(islice(_top_level(read, length), _MOST_BOXES))
    moovs = [box for box in boxes if box.type == b"moov"]
    contents = [box for box in boxes if box.type == b"mdat" and box.end > box.start]
    if not moovs:
        raise _MissingError("it has no moov box")
    if not contents:
        raise _MissingError("it has no mdat box with content")
    _check_fragments(read, boxes)
    for moov in moovs:
        if moov.end - moov.start > _LARGEST_MOOV:
            raise _BoxError(f"its moov box is {moov.end - moov.start} bytes long")
        for track in _tracks(read(moov.start, moov.end - moov.start)):
            _check_track(read, contents, track, length)
    if len(moovs) != 1:
        raise _BoxError(f"it has {len(moovs)} moov boxes and not one")
    if boxes[0].type != b"ftyp":
        raise _BoxError("it does not begin with an ftyp box")


def _top_level(read: _Read, length: int) -> Iterator[_Box]:
    """The boxes of a file up to its end, or up to the padding behind them."""
    start = 0
    while start < length:
        header = _header(read, start, length, may_be_open=True)
        if header.fits(length - start):
            yield header.box(start)
        elif header.type and any(known.startswith(header.type) for known in TOP_BOXES):
            raise _MissingError(header.claim(start, length))
        else:
            return
        start += header.size


def _check_fragments(read: _Read, boxes: list[_Box]) -> None:
    """A fragmented file has no index of its samples by which it would be noticed that some are missing, or zeros."""
    fragments = [box for box in boxes if box.type in {b"moof", b"mdat"}]
    if not any(box.type == b"moof" for box in fragments):
        return
    last = fragments[-1]
    if last.type == b"moof":
        raise _MissingError("its last moof box has no mdat box")
    if last.end - last.start >= _ZERO_TAIL and not any(read(last.end - _ZERO_TAIL, _ZERO_TAIL)):
        raise _MissingError(f"its content before byte {last.end} is zeros")


def _header(read: _Read, start: int, end: int, *, may_be_open: bool = False) -> _Header:
    """The header at ``start``. An open box, of size 0, reaches to ``end``."""
    head = read(start, min(16, end - start))
    size, _ = struct.unpack(">I4s", head[:8].ljust(8, b"\0"))
    payload = 8
    if size == 1:
        (size,), payload = struct.unpack(">Q", head[8:16].ljust(8, b"\0")), 16
    elif size == 0 and may_be_open:
        size = end - start
    return _Header(head[4:8], payload, size)


def _boxes(read: _Read, start: int, end: int) -> Iterator[_Box]:
    """The boxes that tile ``start…end`` exactly."""
    while start < end:
        header = _header(read, start, end)
        if not header.fits(end - start):
            raise _BoxError(header.claim(start, end))
        yield header.box(start)
        start += header.size


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


def _check_track(read: _Read, contents: list[_Box], track: bytes, length: int) -> None:
    """Every sample of a video track lies within ``contents`` and has no zeros where its codec has none."""
    if _below(track, b"mdia", b"hdlr")[8:12] != b"vide":
        return
    table = _below(track, b"mdia", b"minf", b"stbl")
    nal_units = _below(table, b"stsd")[12:16] in _NAL_CODECS
    stray = None
    for start, size in islice(_samples(table), _MOST_SAMPLES):
        if start + size > length:
            raise _MissingError(f"its index names a frame at byte {start}, which is not there")
        hollow = size >= _PROBE and not any(read(start, _PROBE))
        if hollow or (nal_units and size >= _PROBE and not any(read(start + size - _PROBE, _PROBE))):
            raise _MissingError(f"the frame at byte {start} is zeros")
        if stray is None and not any(box.start <= start and start + size <= box.end for box in contents):
            stray = start
    if stray is not None:
        raise _BoxError(f"its index names a frame at byte {stray}, outside the content")


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
