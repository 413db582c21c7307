"""Checks whether a downloaded file is a whole MP4.

A server may send a truncated clip, one whose second half is zeros, or a web page, all with status 200. The box
structure is that of ISO/IEC 14496-12, the sample tables are those of its section 8.7.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import IO, TYPE_CHECKING

from sorawatch.core.os_errors import translate
from sorawatch.core.video_kinds import TOP_BOXES
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LARGEST_INDEX = 16 << 20
"""Bytes of all ``moov`` boxes together. The index of an hour of video has about two million."""

_PROBE = 16
"""Bytes that are read at the ends of a sample. No codec begins a sample with so many zeros."""

_TAIL = 64
"""Bytes. The content of no codec ends with so many zeros."""

_NAL_CODECS = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1"})
"""Samples of these codecs do not end with zeros either: the last byte of a NAL unit is never 0 (H.264 7.4.1, H.265
7.4.2)."""


_MOST_BOXES = 100_000
_MOST_SAMPLES = 100_000
"""Nearly an hour of video. The limits protect from files that were made to take long to check. Of a file with more
samples, the first ones are checked."""

_Read = Callable[[int, int], bytes]
"""``read(start, size)``: those bytes, or fewer at the end."""
_Sample = tuple[int, int, bool]
"""The start in the file and the size of a sample, in bytes, and whether its codec may end it with zeros."""


class NotWhole(Deferred):
    """Bytes of the clip are missing or zeros, so the download is incomplete."""


class _BoxError(Exception):
    """The file is not an MP4 as expected; the text says why."""


class _LimitError(_BoxError):
    """The file has more parts than are checked."""


class _MissingError(_BoxError):
    """A part of the file is missing; the text says which."""


@dataclass(frozen=True, slots=True)
class _Box:
    """One box: its four-letter type, and the start and end of its payload in the file or buffer, in bytes."""

    type: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of a box: its type, shortened if the file ends within it, and the sizes of header and box in bytes."""

    type: bytes
    payload: int
    size: int

    def fits(self, room: int) -> bool:
        """Whether this is a box that fits into ``room`` bytes."""
        named = len(self.type) == 4 and all(0x20 <= byte <= 0x7E for byte in self.type)
        return named and self.payload <= self.size <= room

    def box(self, start: int) -> _Box:
        return _Box(self.type, start + self.payload, start + self.size)

    def size_error(self, start: int, end: int) -> str:
        """The message for a box that does not fit between ``start`` and ``end``."""
        name = self.type.decode("ascii") if self.type.isalnum() else self.type.hex()
        return f"its {name} box at byte {start} claims {self.size} bytes where {end - start} are left"


def check(clip: IO[bytes]) -> None:
    """Return if ``clip``, an open binary file, is a whole MP4; raise otherwise.

    In a whole MP4 ``ftyp`` comes first, there is one ``moov``, ``mdat`` has content, all boxes are whole, and every
    video sample in the index of ``moov`` is within an ``mdat`` and not zeros. In files without such an index, such as
    fragmented ones, only the boxes are checked. Padding may follow the boxes.

    Raises:
        NotWhole: bytes are missing or zeros; another download may be whole.
        Deferred: it is not such an MP4, although nothing seems to be missing.
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


class _Boxes:
    """Reads boxes, at most `_MOST_BOXES` of one file."""

    def __init__(self) -> None:
        self._left = _MOST_BOXES

    def count(self) -> None:
        """Count one box. Raises `_LimitError` if there are too many."""
        if not self._left:
            raise _LimitError(f"it has more than {_MOST_BOXES} boxes")
        self._left -= 1

    def top_level(self, read: _Read, length: int) -> Iterator[_Box]:
        """The boxes of a file up to its end, or up to the padding after them."""
        start = 0
        while start < length:
            header = _header(read, start, length, may_be_open=True)
            if header.fits(length - start):
                self.count()
                yield header.box(start)
            elif header.type and any(known.startswith(header.type) for known in TOP_BOXES):
                raise _MissingError(header.size_error(start, length))
            else:
                return
            start += header.size

    def within(self, buffer: memoryview) -> Iterator[_Box]:
        """The boxes that together fill ``buffer`` exactly."""
        start, end = 0, len(buffer)
        while start < end:
            header = _header(lambda start, size: bytes(buffer[start : start + size]), start, end)
            if not header.fits(end - start):
                raise _BoxError(header.size_error(start, end))
            self.count()
            yield header.box(start)
            start += header.size

    def first(self, buffer: memoryview, *names: bytes) -> dict[bytes, memoryview]:
        """The payloads of the first boxes with these types in ``buffer``; empty for types that it does not have."""
        found: dict[bytes, memoryview] = {}
        boxes = self.within(buffer)
        while len(found) < len(names) and (box := next(boxes, None)) is not None:
            if box.type in names:
                found.setdefault(box.type, buffer[box.start : box.end])
        return {name: found.get(name, memoryview(b"")) for name in names}


def _check(clip: IO[bytes], length: int) -> None:
    """Missing bytes are checked first, so that they are what is reported if a file has several faults."""

    def read(start: int, size: int) -> bytes:
        clip.seek(start)
        return clip.read(size)

    if not length:
        raise _MissingError("it is empty")
    if read(4, 4) not in TOP_BOXES:
        raise _BoxError("it does not begin with an ftyp box")
    reader = _Boxes()
    boxes = list(reader.top_level(read, length))
    moovs = [box for box in boxes if box.type == b"moov"]
    contents = [box for box in boxes if box.type == b"mdat" and box.end > box.start]
    if not moovs:
        raise _MissingError("it has no moov box")
    if not contents:
        raise _MissingError("it has no mdat box with content")
    _check_fragments(read, boxes)
    if (size := sum(box.end - box.start for box in moovs)) > _LARGEST_INDEX:
        raise _BoxError(f"its index is {size} bytes long")
    samples = islice(
        (sample for moov in moovs for sample in _samples(reader, memoryview(read(moov.start, moov.end - moov.start)))),
        _MOST_SAMPLES,
    )
    _check_samples(read, contents, samples, length)
    if len(moovs) != 1:
        raise _BoxError(f"it has {len(moovs)} moov boxes and not one")
    if boxes[0].type != b"ftyp":
        raise _BoxError("it does not begin with an ftyp box")


def _check_fragments(read: _Read, boxes: list[_Box]) -> None:
    """Check the end of a fragmented file, which has no index that would show missing samples or zeros."""
    fragments = [box for box in boxes if box.type in {b"moof", b"mdat"}]
    if not any(box.type == b"moof" for box in fragments):
        return
    last = fragments[-1]
    if last.type == b"moof":
        raise _MissingError("its last moof box has no mdat box")
    if last.end - last.start >= _TAIL and not any(read(last.end - _TAIL, _TAIL)):
        raise _MissingError(f"its content before byte {last.end} is zeros")


def _header(read: _Read, start: int, end: int, *, may_be_open: bool = False) -> _Header:
    """The header at ``start``. A box of size 0, if allowed, extends to ``end``."""
    head = read(start, min(16, end - start))
    size, _ = struct.unpack(">I4s", head[:8].ljust(8, b"\0"))
    payload = 8
    if size == 1:
        (size,), payload = struct.unpack(">Q", head[8:16].ljust(8, b"\0")), 16
    elif size == 0 and may_be_open:
        size = end - start
    return _Header(head[4:8], payload, size)


def _check_samples(read: _Read, contents: list[_Box], samples: Iterator[_Sample], length: int) -> None:
    """Check that every sample is within ``contents`` and does not begin or end with zeros.

    Args:
        contents: in the order of the file.
    """
    starts = [box.start for box in contents]
    outside = None
    for start, size, ends_with_zeros in samples:
        if start + size > length:
            raise _MissingError(f"its index names a frame at byte {start}, which is not there")
        is_zeros = size >= _PROBE and not any(read(start, _PROBE))
        if is_zeros or (not ends_with_zeros and size >= _PROBE and not any(read(start + size - _PROBE, _PROBE))):
            raise _MissingError(f"the frame at byte {start} is zeros")
        if outside is None:
            nearest = bisect_right(starts, start) - 1
            if nearest < 0 or start + size > contents[nearest].end:
                outside = start
    if outside is not None:
        raise _BoxError(f"its index names a frame at byte {outside}, outside the content")


def _samples(reader: _Boxes, index: memoryview) -> Iterator[_Sample]:
    """The samples of the video tracks of a ``moov``. Without tracks, or with broken boxes, it has none."""
    try:
        tracks = [index[box.start : box.end] for box in reader.within(index) if box.type == b"trak"]
    except _LimitError:
        raise
    except _BoxError:
        return
    for track in tracks:
        media = reader.first(reader.first(track, b"mdia")[b"mdia"], b"hdlr", b"minf")
        if bytes(media[b"hdlr"][8:12]) != b"vide":
            continue
        table = reader.first(
            reader.first(media[b"minf"], b"stbl")[b"stbl"], b"stsd", b"stsz", b"stsc", b"stco", b"co64"
        )
        may_end_with_zeros = bytes(table[b"stsd"][12:16]) not in _NAL_CODECS
        for start, size in _places(table):
            yield start, size, may_end_with_zeros


def _places(table: Mapping[bytes, memoryview]) -> Iterator[tuple[int, int]]:
    """The start in the file and the size of each sample, in bytes; nothing for tables without individual sizes."""
    has_sizes = bytes(table[b"stsz"][4:8]) == bytes(4)
    sizes = _numbers(table[b"stsz"][8:], "I", 1) if has_sizes else array("I")
    chunks = _numbers(table[b"stco"][4:], "I", 1) or _numbers(table[b"co64"][4:], "Q", 1)
    runs = _numbers(table[b"stsc"][4:], "I", 3)
    per_chunk = dict(zip(runs[::3], runs[1::3], strict=True))
    sample = count = 0
    for number, start in enumerate(chunks, 1):
        if sample >= len(sizes):
            return
        count = per_chunk.get(number, count)
        within = sizes[sample : sample + count]
        yield from zip(accumulate(within, initial=start), within, strict=False)
        sample += count


def _numbers(payload: memoryview, kind: str, per_row: int) -> array[int]:
    """The numbers of the first `_MOST_SAMPLES` rows of a table, which is the count of its rows and then the rows.

    Args:
        kind: the type of the numbers, ``I`` or ``Q``, as `array` names it. They are big-endian in the file.
    """
    numbers = array(kind)
    if not payload:
        return numbers
    (rows,) = struct.unpack(">I", bytes(payload[:4]).ljust(4, b"\xff"))
    width = per_row * struct.calcsize(f">{kind}")
    if 4 + rows * width > len(payload):
        raise _BoxError("a table of its index is cut off")
    numbers.frombytes(payload[4 : 4 + min(rows, _MOST_SAMPLES) * width])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
