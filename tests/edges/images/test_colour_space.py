"""Pictures whose colours are named by numbers: cICP, gAMA and cHRM of a PNG, the box nclx of an AVIF or HEIC."""

from __future__ import annotations

import itertools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.colour_profiles import from_linear, gamma_profile, p3_profile, to_linear
from tests.support.malicious_images import png, png_chunk
from tests.support.pictures import flat, made, near, save

Colour = tuple[int, int, int]

BT2020_TO_SRGB = np.array([
    [1.6605, -0.5876, -0.0728],
    [-0.1246, 1.1329, -0.0083],
    [-0.0182, -0.1006, 1.1187],
])  # fmt: skip
"""Linear light, ITU-R BT.2087."""
P3_TO_SRGB = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
"""Linear light; from the colorants that the specification of Display P3 gives."""

P3_GREEN = (90, 197, 58)
PQ = {
    (106, 132, 77): (0, 146, 0),
    (122, 72, 47): (146, 0, 0),
    (109, 109, 109): (92, 92, 92),
    (135, 126, 104): (165, 125, 75),
}
"""Patches of a picture in BT.2020 and PQ, and what a browser shows."""


def patch(folder: Path, colour: Colour, *chunks: bytes) -> Path:
    path = folder / "patch.png"
    path.write_bytes(png(64, 36, (b"\0" + bytes(colour) * 64) * 36, 8, 2, *chunks))
    return path


def grey_patch(folder: Path, level: int, *chunks: bytes) -> Path:
    path = folder / "grey.png"
    path.write_bytes(png(64, 36, (b"\0" + bytes([level]) * 64) * 36, 8, 0, *chunks))
    return path


def cicp(primaries: int, transfer: int, matrix: int = 0, full_range: int = 1) -> bytes:
    return png_chunk(b"cICP", bytes([primaries, transfer, matrix, full_range]))


def gama(gamma: float) -> bytes:
    return png_chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(*chromaticities: float) -> bytes:
    return png_chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in chromaticities)))


def iccp(profile: bytes) -> bytes:
    return png_chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


CHRM_OF_P3 = chrm(0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


def nits_of_pq(encoded: float) -> float:
    """SMPTE ST 2084, equation 4.1."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = encoded ** (1 / m2)
    return float(10_000 * (max(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1))


@pytest.mark.parametrize(("stored", "shown"), PQ.items())
def test_pq_in_a_png_looks_as_in_a_browser(tmp_path: Path, stored: Colour, shown: Colour) -> None:
    assert near(made(patch(tmp_path, stored, cicp(9, 16))), shown, 4)


@pytest.mark.parametrize("level", [20, 60, 100, 140])
def test_pq_up_to_the_reference_white_becomes_half_its_light(tmp_path: Path, level: int) -> None:
    light = nits_of_pq(level / 255) / 203
    assert light < 1
    expected = 255 * from_linear(np.array(light / 2))
    assert near(made(patch(tmp_path, (level,) * 3, cicp(9, 16))), expected)
    assert near(made(grey_patch(tmp_path, level, cicp(9, 16))), expected)


def test_brighter_parts_of_pq_stay_distinct_up_to_1000_nits(tmp_path: Path) -> None:
    levels = [made(patch(tmp_path, (level,) * 3, cicp(9, 16)))[0, 0, 0] for level in (148, 160, 172, 184)]
    assert all(later - earlier >= 8 for earlier, later in itertools.pairwise(levels))
    assert levels[-1] < 255
    assert near(made(patch(tmp_path, (200,) * 3, cicp(9, 16))), 255)


@pytest.mark.parametrize("level", [40, 90, 127, 180, 191])
def test_hlg_grey_has_the_light_of_a_screen_of_1000_nits(tmp_path: Path, level: int) -> None:
    """ITU-R BT.2100, table 5: the inverse OETF, then the system gamma 1.2."""
    value = level / 255
    scene = value**2 / 3 if value <= 0.5 else (np.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
    nits = 1000 * scene**1.2
    assert nits <= 203.5
    assert near(made(patch(tmp_path, (level,) * 3, cicp(9, 18))), 255 * from_linear(np.array(nits / 203 / 2)))


def test_hlg_colours_are_near_to_what_a_browser_shows(tmp_path: Path) -> None:
    """A curve for each channel cannot do what HLG asks for: one gain by the luminance of all three."""
    assert near(made(patch(tmp_path, (135, 126, 104), cicp(9, 18))), (110, 97, 79), 6)
    assert near(made(patch(tmp_path, (255, 255, 255), cicp(9, 18))), 255)


def test_a_wide_gamut_in_a_png_becomes_srgb(tmp_path: Path) -> None:
    assert near(made(patch(tmp_path, P3_GREEN, cicp(12, 13))), (0, 200, 0), 4)
    for colour in ((200, 100, 50), (90, 140, 200)):
        linear = to_linear(np.array(colour) / 255)
        assert near(made(patch(tmp_path, colour, cicp(12, 13))), 255 * from_linear(P3_TO_SRGB @ linear))
        assert near(made(patch(tmp_path, colour, cicp(9, 13))), 255 * from_linear(BT2020_TO_SRGB @ linear))
        assert near(made(patch(tmp_path, colour, cicp(1, 13))), colour)


@pytest.mark.parametrize(("transfer", "gamma"), [(1, 2.4), (4, 2.2), (5, 2.8), (6, 2.4), (8, 1.0), (14, 2.4)], ids=str)
def test_plain_transfers_have_their_gamma(tmp_path: Path, transfer: int, gamma: float) -> None:
    expected = 255 * from_linear(np.array(109 / 255) ** gamma)
    assert near(made(patch(tmp_path, (109, 109, 109), cicp(1, transfer))), expected)


@pytest.mark.parametrize(
    "chunk",
    [cicp(9, 16, full_range=0), cicp(9, 16, matrix=9), cicp(2, 16), cicp(9, 2), cicp(99, 200), png_chunk(b"cICP", b"\x09\x10")],
    ids=["narrow range", "no RGB", "unknown primaries", "unknown transfer", "nonsense", "short"],
)  # fmt: skip
def test_a_cicp_chunk_that_says_nothing_usable_is_ignored(tmp_path: Path, chunk: bytes) -> None:
    assert near(made(patch(tmp_path, (106, 132, 77), chunk)), (106, 132, 77))
    assert near(made(patch(tmp_path, (109, 109, 109), chunk, gama(1.0))), 255 * from_linear(np.array(109 / 255)))


@pytest.mark.parametrize("gamma", [1.0, 0.55556, 0.3, 0.22727])
def test_a_gamma_is_honoured(tmp_path: Path, gamma: float) -> None:
    for level in (40, 109, 200):
        expected = 255 * from_linear(np.array(level / 255) ** (1 / gamma))
        assert near(made(patch(tmp_path, (level,) * 3, gama(gamma))), expected)
        assert near(made(grey_patch(tmp_path, level, gama(gamma))), expected)


@pytest.mark.parametrize("gamma", [0.45455, 0.46, 0.0, 0.00001, 40_000.0])
def test_a_gamma_like_that_of_srgb_or_without_sense_changes_nothing(tmp_path: Path, gamma: float) -> None:
    assert near(made(patch(tmp_path, (106, 132, 77), gama(gamma))), (106, 132, 77))


def test_primaries_count_with_a_gamma_and_not_alone(tmp_path: Path) -> None:
    linear = (np.array((200, 100, 50)) / 255) ** 2.2
    expected = 255 * from_linear(P3_TO_SRGB @ linear)
    assert near(made(patch(tmp_path, (200, 100, 50), gama(0.45455), CHRM_OF_P3)), expected)
    assert near(made(patch(tmp_path, (200, 100, 50), CHRM_OF_P3)), (200, 100, 50))
    for broken in (chrm(*[0.0] * 8), chrm(*[0.3] * 8), png_chunk(b"cHRM", b"short")):
        made(patch(tmp_path, (200, 100, 50), gama(1.0), broken))


LINEAR, P3, GAMMA = cicp(1, 8), iccp(p3_profile()), gama(1.0)
SRGB_CHUNK = png_chunk(b"sRGB", b"\0")


@pytest.mark.parametrize(
    ("chunks", "is_linear"),
    [
        ((LINEAR, P3), True),
        ((LINEAR, SRGB_CHUNK), True),
        ((cicp(1, 13), GAMMA), False),
        ((P3, GAMMA), False),
        ((SRGB_CHUNK, GAMMA), False),
        ((GAMMA, SRGB_CHUNK), False),
        ((GAMMA,), True),
        ((iccp(b"nonsense"), GAMMA), True),
        ((png_chunk(b"iCCP", b"x\0\0nonsense"), GAMMA), True),
        ((GAMMA[:-1] + b"?",), False),
    ],
    ids=[
        "cICP above iCCP", "cICP above sRGB", "cICP above gAMA", "iCCP above gAMA", "sRGB above gAMA",
        "whatever comes first", "gAMA alone", "broken iCCP", "iCCP that is no zlib", "gAMA with a wrong checksum",
    ],
)  # fmt: skip
def test_which_chunk_counts(tmp_path: Path, chunks: tuple[bytes, ...], is_linear: bool) -> None:
    """Grey is the same in P3 as in sRGB."""
    expected = 255 * from_linear(np.array(109 / 255)) if is_linear else 109
    assert near(made(patch(tmp_path, (109, 109, 109), *chunks)), expected)


def test_a_palette_and_transparency_have_colours_too(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    palette = png_chunk(b"PLTE", bytes(P3_GREEN))
    path.write_bytes(png(64, 36, (b"\0" + bytes(64)) * 36, 8, 3, cicp(12, 13), palette))
    assert near(made(path), (0, 200, 0), 4)
    path.write_bytes(png(64, 36, (b"\0" + bytes((*P3_GREEN, 128)) * 64) * 36, 8, 6, cicp(12, 13)))
    assert near(made(path, background=(0, 0, 0)), (0, 100, 0), 4)
    path.write_bytes(png(64, 36, (b"\0" + bytes((109, 128)) * 64) * 36, 8, 4, gama(1.0)))
    assert near(made(path, background=(0, 0, 0)), 255 * from_linear(np.array(109 / 255)) * 128 / 255, 4)


def with_nclx(folder: Path, kind: str, colour: Colour, primaries: int, transfer: int) -> Path:
    """A picture whose encoder wrote a box nclx, which is changed."""
    options: dict[str, Any] = {"quality": 100}
    path = save(folder, flat(colour), f"a.{kind}", **(options | ({"subsampling": "4:4:4"} if kind == "avif" else {})))
    data = path.read_bytes()
    assert data.count(b"colrnclx") == 1
    at = data.index(b"colrnclx") + 8
    path.write_bytes(data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :])
    return path


@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_the_numbers_of_an_avif_or_heic_are_honoured(tmp_path: Path, kind: str) -> None:
    assert near(made(with_nclx(tmp_path, kind, P3_GREEN, 12, 13)), (0, 200, 0), 6)
    assert near(made(with_nclx(tmp_path, kind, (135, 126, 104), 9, 16)), (165, 125, 75), 7)
    assert near(made(with_nclx(tmp_path, kind, (109, 109, 109), 9, 18)), (83, 83, 83), 5)


@pytest.mark.parametrize("kind", ["avif", "heic"])
@pytest.mark.parametrize("numbers", [(1, 13), (1, 1), (1, 6), (2, 2), (2, 13), (1, 14)], ids=str)
def test_what_cameras_call_video_or_do_not_know_stands_for_srgb(
    tmp_path: Path, kind: str, numbers: tuple[int, int]
) -> None:
    assert near(made(with_nclx(tmp_path, kind, (106, 132, 77), *numbers)), (106, 132, 77), 6)


def test_numbers_of_an_avif_that_mean_nothing_are_ignored(tmp_path: Path) -> None:
    assert near(made(with_nclx(tmp_path, "avif", (106, 132, 77), 77, 99)), (106, 132, 77), 6)


def test_a_profile_in_an_avif_stands_above_its_numbers(tmp_path: Path) -> None:
    path = save(tmp_path, flat((109, 109, 109)), "a.avif", quality=100, icc_profile=p3_profile())
    data = path.read_bytes()
    if (at := data.find(b"colrnclx")) >= 0:
        path.write_bytes(data[: at + 8] + struct.pack(">HH", 9, 16) + data[at + 12 :])
    assert near(made(path), 109, 5)


def test_the_profile_of_grey_does_not_change_colours_named_by_numbers(tmp_path: Path) -> None:
    chunk = iccp(gamma_profile(1.0))
    assert near(made(grey_patch(tmp_path, 109, chunk)), 255 * from_linear(np.array(109 / 255)))
    assert near(made(grey_patch(tmp_path, 109, cicp(1, 13), chunk)), 109)
