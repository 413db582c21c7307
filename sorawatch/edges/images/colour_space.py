"""Colour spaces that a file names by numbers, as ICC profiles: code points of ITU-T H.273 (CICP), or a gamma.

PQ and HLG are brighter than a screen for standard pictures. Their curves here end in a tone map: the reference white
of 203 nits (ITU-R BT.2408) becomes half of the linear range, the part up to 1000 nits is compressed into the rest.
It is the reference white tone mapping of SMPTE ST 2094-50, annex C, which browsers use, applied to each channel.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Curve = tuple[int, ...]
"""Linear light for evenly spaced encoded values, both from 0 to ``_CURVE_MAX``."""
Matrix = tuple[tuple[float, ...], ...]

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue, as in the chunk cHRM of a PNG."""

SRGB, UNSPECIFIED = (1, 13), 2
"""Code points: primaries and transfer of sRGB; what is not known."""

_D65 = (0.3127, 0.3290)
_PRIMARIES: dict[int, Chromaticities] = {
    1: (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
"""H.273, table 2: BT.709, BT.470 M, BT.470 BG, SMPTE 170M, 240M, film, BT.2020, DCI P3, Display P3, EBU 3213."""

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
"""The white of ICC profiles, and the matrix by which they adapt colours to it (ICC.1:2022, annex E)."""

_STEPS = 4096
_CURVE_MAX = 65535

_REFERENCE_WHITE = 203.0
_PEAK = 1000.0
"""Nits: what white is in a picture for HDR screens (BT.2408), and the brightest that is told from white."""
_HEADROOM = _PEAK / _REFERENCE_WHITE
_WHITE = 0.5
"""What the reference white becomes, in the linear range of a standard picture."""
_SHOULDER = 0.65
"""Where the control point of the Bezier curve lies between its ends (ST 2094-50, annex C)."""

_SRGB_GAMMA = 0.45455
_LIKE_SRGB = 0.05
"""Without primaries, a gamma that is so near to that of sRGB stands for sRGB, as in browsers."""
_SANE_GAMMA = (0.1, 10.0)


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """Primaries with their white, and the transfer curve that all channels have."""

    chromaticities: Chromaticities
    curve: Curve

    @staticmethod
    def is_known(primaries: int, transfer: int) -> bool:
        """Whether both code points say something that can be used."""
        return primaries in _PRIMARIES and transfer in _TRANSFERS

    @classmethod
    def by_code_points(cls, primaries: int, transfer: int) -> ColourSpace | None:
        """The colour space of these code points; None if they say nothing, or sRGB."""
        if (primaries, transfer) == SRGB or not cls.is_known(primaries, transfer):
            return None
        return cls(_PRIMARIES[primaries], _curve(transfer))

    @classmethod
    def by_gamma(cls, gamma: float, chromaticities: Chromaticities | None) -> ColourSpace | None:
        """The colour space of a PNG's chunks gAMA and cHRM; None if they say nothing, or sRGB."""
        lowest, highest = _SANE_GAMMA
        if not lowest <= gamma <= highest:
            return None
        if chromaticities is None and abs(gamma - _SRGB_GAMMA) < _LIKE_SRGB * _SRGB_GAMMA:
            return None
        return cls(chromaticities or _PRIMARIES[1], _sampled(lambda value: value ** (1 / gamma)))

    def icc(self, *, grey: bool) -> bytes:
        """An ICC profile of version 2, for one channel of grey, or for red, green and blue.

        Raises:
            ValueError, ZeroDivisionError: if the primaries are not those of three colours.
        """
        curve = struct.pack(f">4sII{len(self.curve)}H", b"curv", 0, len(self.curve), *self.curve)
        if grey:
            return _profile(b"GRAY", {b"kTRC": curve})
        colorants = [
            struct.pack(">4sI3i", b"XYZ ", 0, *(round(value * 65536) for value in column))
            for column in zip(*_to_xyz(self.chromaticities), strict=True)
        ]
        tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True))
        return _profile(b"RGB ", {**tags, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """ICC.1:2001-04, clause 6. Equal tags are stored once."""
    white = struct.pack(">3i", *(round(value * 65536) for value in _D50))
    tags = {b"wtpt": b"XYZ \0\0\0\0" + white, **tags}
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    placed: dict[bytes, int] = {}
    for name, tag in tags.items():
        if tag not in placed:
            placed[tag] = start + len(body)
            body += tag + b"\0" * (-len(tag) % 4)
        table += struct.pack(">4sII", name, placed[tag], len(tag))
    header = struct.pack(">I4xI4s4s4s12x4s28x", start + len(body), 0x02400000, b"mntr", space, b"XYZ ", b"acsp")
    return (header + white).ljust(128, b"\0") + table + body


def _to_xyz(chromaticities: Chromaticities) -> Matrix:
    """From linear RGB to XYZ, adapted from the white of ``chromaticities`` to D50."""
    white, *primaries = zip(chromaticities[::2], chromaticities[1::2], strict=True)
    directions = tuple(zip(*map(_xyz, primaries), strict=True))
    amounts = _times(_inverse(directions), _xyz(white))
    there = _times(_BRADFORD, _xyz(white))
    here = _times(_BRADFORD, _D50)
    gains = [to / of for to, of in zip(here, there, strict=True)]
    scaled = tuple(tuple(gain * part for part in row) for gain, row in zip(gains, _BRADFORD, strict=True))
    adapted = _product(_product(_inverse(_BRADFORD), scaled), directions)
    return tuple(tuple(part * amount for part, amount in zip(row, amounts, strict=True)) for row in adapted)


def _xyz(chromaticity: tuple[float, float]) -> tuple[float, float, float]:
    """XYZ of luminance 1."""
    x, y = chromaticity
    return x / y, 1.0, (1 - x - y) / y


def _times(matrix: Matrix, vector: Sequence[float]) -> tuple[float, ...]:
    return tuple(sum(part * value for part, value in zip(row, vector, strict=True)) for row in matrix)


def _product(one: Matrix, other: Matrix) -> Matrix:
    columns = [_times(one, column) for column in zip(*other, strict=True)]
    return tuple(zip(*columns, strict=True))


def _inverse(matrix: Matrix) -> Matrix:
    """By Cramer's rule."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    return tuple(tuple(part / determinant for part in row) for row in cofactors)


@cache
def _curve(transfer: int) -> Curve:
    return _sampled(_TRANSFERS[transfer])


def _sampled(to_linear: Callable[[float], float]) -> Curve:
    values = (to_linear(step / (_STEPS - 1)) for step in range(_STEPS))
    return tuple(round(min(max(value, 0.0), 1.0) * _CURVE_MAX) for value in values)


def _srgb(value: float) -> float:
    """IEC 61966-2-1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _bt1886(value: float) -> float:
    """ITU-R BT.1886: how a screen shows what was encoded by the curves of BT.709, BT.2020 or SMPTE 170M."""
    return float(value**2.4)


def _smpte240(value: float) -> float:
    return value / 4.0 if value < 0.0912 else ((value + 0.1115) / 1.1115) ** (1 / 0.45)


def _smpte428(value: float) -> float:
    return float(value**2.6 * 52.37 / 48.0)


def _pq(value: float) -> float:
    """SMPTE ST 2084, for 10000 nits, and the tone map."""
    root = value ** (32 / 2523)
    nits = 10_000 * (max(root - 107 / 128, 0.0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305)
    return _tone_mapped(nits / _REFERENCE_WHITE)


def _hlg(value: float) -> float:
    """ITU-R BT.2100, for a screen of 1000 nits with its system gamma of 1.2, and the tone map."""
    scene = value**2 / 3 if value <= 0.5 else (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return _tone_mapped(scene**1.2 * _HEADROOM)


def _tone_mapped(light: float) -> float:
    """Light for a standard screen: ``light`` is 1 for the reference white.

    Up to there it is proportional; then follows a quadratic Bezier curve that begins with the same slope.
    """
    if light <= 1:
        return _WHITE * light
    if light >= _HEADROOM:
        return 1.0
    middle_x = 1 - _SHOULDER + _SHOULDER / _WHITE
    middle_y = (1 - _SHOULDER) * _WHITE + _SHOULDER
    a, b = 1 - 2 * middle_x + _HEADROOM, 2 * (middle_x - 1)
    t = (math.sqrt(b * b + 4 * a * (light - 1)) - b) / (2 * a)
    return _WHITE + 2 * (middle_y - _WHITE) * t + (_WHITE - 2 * middle_y + 1) * t * t


_TRANSFERS: dict[int, Callable[[float], float]] = {
    1: _bt1886,
    4: lambda value: float(value**2.2),
    5: lambda value: float(value**2.8),
    6: _bt1886,
    7: _smpte240,
    8: lambda value: value,
    11: _bt1886,
    13: _srgb,
    14: _bt1886,
    15: _bt1886,
    16: _pq,
    17: _smpte428,
    18: _hlg,
}
"""H.273, table 3."""
