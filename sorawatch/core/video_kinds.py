"""Recognizes the kind of a video file by its first bytes.

The Content-Type is not used: some servers send whole clips as JSON, and web pages as MP4.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = 1024
"""Bytes at the beginning of a file that are enough to recognize its kind."""

TOP_BOXES = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"mfra", b"sidx", b"ssix", b"styp"}
    | {b"uuid", b"meta", b"meco", b"pdin", b"prft", b"emsg"}
)
"""The types of the top-level boxes of an MP4 or MOV: ISO/IEC 14496-12, and the QuickTime file format."""

_FIRST_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"sidx"})
_STILL_BRANDS = frozenset({b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"jp2 ", b"jpx ", b"crx "})
_TS_PACKET = 188
_ANIMATED = 0x02
"""The flag of a VP8X chunk: see the WebP container specification."""


@dataclass(frozen=True, slots=True)
class MediaKind:
    """A kind of video file: its file name extension, with the dot, and its name for messages."""

    suffix: str
    name: str


MP4 = MediaKind(".mp4", "an MP4 video")
MOV = MediaKind(".mov", "a QuickTime video")
WEBM = MediaKind(".webm", "a WebM video")
MKV = MediaKind(".mkv", "a Matroska video")
AVI = MediaKind(".avi", "an AVI video")
WEBP = MediaKind(".webp", "an animated WebP")
GIF = MediaKind(".gif", "a GIF")
APNG = MediaKind(".apng", "an animated PNG")
TS = MediaKind(".ts", "an MPEG transport stream")
PS = MediaKind(".mpg", "an MPEG program stream")
FLV = MediaKind(".flv", "a Flash video")
OGG = MediaKind(".ogv", "an Ogg video")
WMV = MediaKind(".wmv", "a Windows Media video")

BOXED = frozenset({MP4, MOV})
"""The kinds whose files consist of boxes."""

_SIGNATURES = (
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"\x00\x00\x01\xba", PS),
    (b"FLV\x01", FLV),
    (b"OggS\x00", OGG),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", WMV),
)


def kind_of(head: bytes) -> MediaKind | None:
    """The kind of video file whose first `HEAD` bytes, or all of them if it is shorter, are ``head``.

    None for still pictures, sound, text and anything unknown.
    """
    if is_text(head):
        return None
    if head[4:8] in _FIRST_BOXES:
        return _boxed(head)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM if b"webm" in head[:64] else MKV
    if head.startswith(b"RIFF"):
        return _riff(head)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return APNG if b"acTL" in head else None
    if len(head) > _TS_PACKET and all(head[at] == 0x47 for at in range(0, len(head), _TS_PACKET)):
        return TS
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)


def is_text(head: bytes) -> bool:
    """Whether ``head`` is the beginning of a text, such as JSON or a web page. No video begins like a text."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character.isspace() for character in text)


def _boxed(head: bytes) -> MediaKind | None:
    brand = head[8:12]
    if head[4:8] == b"ftyp":
        return None if brand in _STILL_BRANDS else MOV if brand == b"qt  " else MP4
    return MP4 if head[4:8] in {b"styp", b"moof", b"sidx"} or b"ftyp" in head else MOV


def _riff(head: bytes) -> MediaKind | None:
    match head[8:12]:
        case b"AVI ":
            return AVI
        case b"WEBP" if head[12:16] == b"VP8X" and len(head) > 20 and head[20] & _ANIMATED:
            return WEBP
        case _:
            return None
