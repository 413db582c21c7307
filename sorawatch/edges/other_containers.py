"""Recognizes finished downloads that `mp4` does not accept as an MP4, and checks whether they are complete.

Servers send WebM, GIF and other kinds of video, and unusual MP4s. Nothing is decoded. A complete file is as long as
its container says, and has no long runs of zeros, as lost parts of a file would leave them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from sorawatch.core import video_kinds
from sorawatch.core.os_errors import translate
from sorawatch.core.video_kinds import HEAD, MediaKind, kind_of

_BLOCK = 1 << 20
_ZERO_RUN = 8192
"""Bytes: so many zeros in a row mean a lost part. The header of an AVI has 4,108, all others have fewer than 1,000."""
_TAIL = 64
_TS_PACKET = 188
_APNG_END = b"IEND\xae\x42\x60\x82"
_SEGMENT = 0x18538067
"""The Matroska element that contains all others but the header."""
_MOST_ELEMENTS = 100_000
"""Matroska elements that are looked at. A file has one for each second or so, but could be made of millions."""
_UNKNOWN_SIZES = frozenset({0, 0xFFFFFFFF})
"""The size in the header of an AVI that was written to a stream, where the header could not be updated."""


@dataclass(frozen=True, slots=True)
class ForeignClip:
    """A download that is a video file of another kind. ``digest`` is the SHA-256 of its ``length`` bytes."""

    kind: MediaKind
    length: int
    digest: str
    flaw: str
    """Why it should not be delivered; empty if nothing is wrong."""


def examine(clip: BinaryIO) -> ForeignClip | None:
    """The kind of ``clip``, an open binary file, and its flaw; None if it is not a video file.

    The boxes of MP4 and MOV are not checked here, since `mp4.check` did that.

    Raises:
        Blocked, Deferred: the disk cannot be read.
    """
    try:
        clip.seek(0)
        head = clip.read(HEAD)
        if (kind := kind_of(head)) is None:
            return None
        digest, length, has_zeros = _read_through(clip)
        flaw = "much of it is zeros" if has_zeros else "it is cut off" if _is_cut_off(clip, kind, head, length) else ""
        return ForeignClip(kind, length, digest, flaw)
    except OSError as error:
        raise translate(error, "the downloaded clip") from error


def _read_through(clip: BinaryIO) -> tuple[str, int, bool]:
    """SHA-256, length, and whether there is a long run of zeros, or zeros at the end."""
    digest, length, has_zeros, tail = hashlib.sha256(), 0, False, b""
    clip.seek(0)
    while block := clip.read(_BLOCK):
        digest.update(block)
        length += len(block)
        has_zeros = has_zeros or bytes(_ZERO_RUN) in tail + block
        tail = (tail + block)[-_ZERO_RUN:]
    ends_with_zeros = len(tail) >= _TAIL and not any(tail[-_TAIL:])
    return digest.hexdigest(), length, has_zeros or ends_with_zeros


def _is_cut_off(clip: BinaryIO, kind: MediaKind, head: bytes, length: int) -> bool:
    """Whether a file is shorter than its container says; False for kinds that do not say their length."""
    match kind:
        case video_kinds.AVI | video_kinds.WEBP:
            size = int.from_bytes(head[4:8], "little")
            return size not in _UNKNOWN_SIZES and 8 + size > length
        case video_kinds.WEBM | video_kinds.MKV:
            return _is_short_of_elements(clip, length)
        case video_kinds.GIF:
            return not _end(clip, length).rstrip(b"\r\n\0").endswith(b"\x3b")
        case video_kinds.APNG:
            return _APNG_END not in _end(clip, length)
        case video_kinds.TS:
            return length % _TS_PACKET != 0
        case _:
            return False


def _end(clip: BinaryIO, length: int) -> bytes:
    clip.seek(max(0, length - _TAIL))
    return clip.read(_TAIL)


def _is_short_of_elements(clip: BinaryIO, length: int) -> bool:
    """Whether an EBML element at the top level, or in a segment of unknown size, extends beyond the end of the file.

    A live stream has a segment of unknown size, whose last elements extend to the end of the file.
    """
    position = 0
    for _ in range(_MOST_ELEMENTS):
        if position >= length:
            break
        clip.seek(position)
        name, size = _vint(clip), _vint(clip)
        if name is None or size is None:
            return True
        begin = clip.tell()
        is_open = size == (1 << size.bit_length()) - 1
        end = begin if is_open else begin + size - (1 << size.bit_length() - 1)
        if end > length:
            return True
        if is_open != (name == _SEGMENT):
            return False
        position = end
    return False


def _vint(clip: BinaryIO) -> int | None:
    """An EBML number including its length marker, which is its highest bit; None if there is none."""
    first = clip.read(1)
    if not first or not first[0]:
        return None
    rest = clip.read(8 - first[0].bit_length())
    return int.from_bytes(first + rest, "big")
