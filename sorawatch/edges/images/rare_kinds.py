"""Refuses kinds of pictures that Pillow opens and makes another picture of; those of TIFF are in `tiff`."""

from __future__ import annotations

from sorawatch.errors import Rejected

_BMP_BITS, _BMP_ALPHA_MASK, _BMP_V3_HEADER = 28, 66, 56
"""Offsets in a BMP, and the length of the first header that has a mask for transparency."""
_SIZ = b"\xff\x4f\xff\x51"
"""The beginning of the code stream of a JPEG 2000."""
_CHANNELS = 40
"""Where, after ``_SIZ``, the number of channels is; the depth of the first follows."""
_CGBI = b"CgBI"
_HINT = "Save it as PNG or JPEG."


def refuse(name: str, data: bytes) -> None:
    """Raises: Rejected: if the picture would not be decoded as it is."""
    if rarity := _rarity(data):
        raise Rejected(f"{name} is {rarity}, which is not read", _HINT)


def _rarity(data: bytes) -> str | None:
    if data.startswith(b"BM"):
        has_alpha = _number(data, 14) >= _BMP_V3_HEADER and _number(data, _BMP_ALPHA_MASK) != 0
        return "a 16-bit BMP with transparency" if has_alpha and _number(data, _BMP_BITS, 2) == 16 else None
    if data.startswith(b"\x89PNG"):
        return "a PNG as programs of iOS hold it (CgBI)" if data[12:16] == _CGBI else None
    if data[4:8] == b"jP  " or data.startswith(_SIZ):
        return _rare_jpeg2000(data)
    return None


def _rare_jpeg2000(data: bytes) -> str | None:
    """Pillow turns the brightest samples of more than 8 bits into black where there are several channels."""
    start = data.find(_SIZ)
    header = data[start + _CHANNELS : start + _CHANNELS + 3] if start >= 0 else b""
    if len(header) < 3:
        return None
    channels, depth = int.from_bytes(header[:2]), (header[2] & 0x7F) + 1
    return f"a JPEG 2000 with {depth} bits a channel" if channels > 1 and depth > 8 else None


def _number(data: bytes, at: int, length: int = 4) -> int:
    return int.from_bytes(data[at : at + length], "little")
