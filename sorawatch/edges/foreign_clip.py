"""What a finished download is that is no MP4 as `clip` knows them, and whether it is all there.

Servers send WebM, GIF and other kinds of video, and MP4s of odd making. Nothing is decoded: what a container says
about its own length must be true, and there are no zeros where a lost piece of a file would leave them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from sorawatch.core import media
from sorawatch.core.media import HEAD, MediaKind, kind_of
from sorawatch.core.os_errors import translate

_BLOCK = 1 << 20
_LONG_ZEROS = 8192
"""Bytes. The header of an AVI has 4,108 zeros, that of any other kind fewer than 1,000."""
_ZERO_TAIL = 64
_TS_PACKET = 188
_APNG_END = b"IEND\xae\x42\x60\x82"
_SEGMENT = 0x18538067
"""The element of Matroska that holds all others but the header."""
_UNKNOWN_SIZES = frozenset({0, 0xFFFFFFFF})
"""What stands for the size of an AVI that was written to where nothing can be written twice."""


@dataclass(frozen=True, slots=True)
class ForeignClip:
    """A download that is a video file of this kind. ``digest`` is the SHA-256 of its ``length`` bytes."""

    kind: MediaKind
    length: int
    digest: str
    flaw: str
    """What speaks against delivering it; empty for nothing."""


def examine(clip: BinaryIO) -> ForeignClip | None:
    """What ``clip``, an open binary file, is; None for what is no video file at all.

    The boxes of MP4 and MOV are not looked at: `clip.check` did.

    Raises:
        Blocked, Deferred: the disk cannot be read.
    """
    try:
        clip.seek(0)
        head = clip.read(HEAD)
        if (kind := kind_of(head)) is None:
            return None
        digest, length, hollow = _read_through(clip)
        flaw = "much of it is zeros" if hollow else "it is cut off" if _is_cut_off(clip, kind, head, length) else ""
        return ForeignClip(kind, length, digest, flaw)
    except OSError as error:
        raise translate(error, "the downloaded clip") from error


def _read_through(clip: BinaryIO) -> tuple[str, int, bool]:
    """SHA-256, length, and whether there is a long run of zeros, or any at the end."""
    digest, length, hollow, tail = hashlib.sha256(), 0, False, b""
    clip.seek(0)
    while block := clip.read(_BLOCK):
        digest.update(block)
        length += len(block)
        hollow = hollow or bytes(_LONG_ZEROS) in tail + block
        tail = (tail + block)[-_LONG_ZEROS:]
    ends_hollow = len(tail) >= _ZERO_TAIL and not any(tail[-_ZERO_TAIL:])
    return digest.hexdigest(), length, hollow or ends_hollow


def _is_cut_off(clip: BinaryIO, kind: MediaKind, head: bytes, length: int) -> bool:
    """Whether a file ends before its container does; of kinds that do not say where that is, never."""
    match kind:
        case media.AVI | media.WEBP:
            size = int.from_bytes(head[4:8], "little")
            return size not in _UNKNOWN_SIZES and 8 + size > length
        case media.WEBM | media.MKV:
            return _is_short_of_elements(clip, length)
        case media.GIF:
            return not _end(clip, length).rstrip(b"\r\n\0").endswith(b"\x3b")
        case media.APNG:
            return _APNG_END not in _end(clip, length)
        case media.TS:
            return length % _TS_PACKET != 0
        case _:
            return False


def _end(clip: BinaryIO, length: int) -> bytes:
    clip.seek(max(0, length - _ZERO_TAIL))
    return clip.read(_ZERO_TAIL)


def _is_short_of_elements(clip: BinaryIO, length: int) -> bool:
    """Whether an element of EBML at the top level, or in a segment of unknown size, reaches beyond the file's end.

    A live stream has such a segment, and elements of unknown size in it end where the file does.
    """
    at = 0
    while at < length:
        clip.seek(at)
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
        at = end
    return False


def _vint(clip: BinaryIO) -> int | None:
    """An EBML number with its length marker, which is its highest bit; None where there is none."""
    first = clip.read(1)
    if not first or not first[0]:
        return None
    rest = clip.read(8 - first[0].bit_length())
    return int.from_bytes(first + rest, "big")
