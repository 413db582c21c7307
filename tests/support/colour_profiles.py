"""Colour spaces by their published numbers, and ICC profiles made from them without any library."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def to_linear(encoded: Array) -> Array:
    """IEC 61966-2-1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def from_linear(linear: Array) -> Array:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""Linear RGB to XYZ under D50: the colorants in the published profiles of Display P3 and sRGB."""
D50 = np.array([0.9642, 1.0, 0.8249])


def icc(space: bytes, connection: bytes, **tags: bytes) -> bytes:
    """A minimal ICC version 2 profile: header, table of tags, tags."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += name.encode() + struct.pack(">II", start + len(body), len(tag))
        body += tag + b"\0" * (-len(tag) % 4)
    kind = b"mntr" if connection == b"XYZ " else b"prtr"
    header = struct.pack(">I4sI4s4s4s12x4s", start + len(body), b"test", 0x02400000, kind, space, connection, b"acsp")
    header += bytes(28) + b"".join(fixed(number) for number in D50)
    return header.ljust(128, b"\0") + table + body


def fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))


def xyz(numbers: Array) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(fixed(number) for number in numbers)


def curve(samples: Array) -> bytes:
    return struct.pack(f">4sII{len(samples)}H", b"curv", 0, len(samples), *np.round(samples * 65535).astype(int))


def p3_profile() -> bytes:
    tone = curve(to_linear(np.linspace(0, 1, 1024)))
    red, green, blue = (xyz(column) for column in P3.T)
    return icc(b"RGB ", b"XYZ ", wtpt=xyz(D50), rXYZ=red, gXYZ=green, bXYZ=blue, rTRC=tone, gTRC=tone, bTRC=tone)


def gamma_profile(gamma: float) -> bytes:
    return icc(b"GRAY", b"XYZ ", wtpt=xyz(D50), kTRC=curve(np.linspace(0, 1, 1024) ** gamma))


def cmyk_profile(inks: Mapping[tuple[int, ...], tuple[float, int, int]]) -> bytes:
    """A press whose solid overprints have these Lab colours; those not named are black."""
    corners = b"".join(
        bytes([round(lightness * 2.55), a + 128, b + 128])
        for corner in itertools.product((0, 1), repeat=4)
        for lightness, a, b in [inks.get(corner, (0, 0, 0))]
    )
    straight = bytes(range(256))
    matrix = b"".join(fixed(number) for number in np.eye(3).flat)
    lut = struct.pack(">4sI4B", b"mft1", 0, 4, 3, 2, 0) + matrix + straight * 4 + corners + straight * 3
    return icc(b"CMYK", b"Lab ", wtpt=xyz(D50), A2B0=lut)


def lab_to_srgb(lightness: float, a: float, b: float) -> Array:
    """CIE 15 from Lab to XYZ under D50, then to sRGB, 0 to 255."""
    y = (lightness + 16) / 116
    f = np.array([y + a / 500, y, y - b / 200])
    xyz_ = D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return 255 * from_linear(np.linalg.inv(SRGB) @ xyz_)
