from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from sorawatch.core.order import Fit, Size
from tests.support.pictures import SIDES, arrow, is_upright, made, save, turned


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff", "avif", "heic"])
def test_every_exif_orientation_ends_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    path = turned(tmp_path, arrow(), orientation, kind, **({"quality": 95} if kind not in {"png", "tiff"} else {}))
    assert is_upright(made(path, Size(320, 180), Fit.CROP))


@pytest.mark.parametrize("orientation", SIDES)
def test_a_turned_jpeg_is_cropped_and_drafted_the_right_way(tmp_path: Path, orientation: int) -> None:
    large = np.full((1440, 3840, 3), (250, 250, 0), np.uint8)
    large[:, 640:3200] = np.asarray(arrow().resize((2560, 1440), Image.Resampling.NEAREST))
    path = turned(tmp_path, Image.fromarray(large), orientation, quality=95, subsampling=0)
    assert is_upright(made(path, Size(320, 180), Fit.CROP))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_senseless_orientation_is_ignored(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    assert is_upright(made(save(tmp_path, arrow(), "a.jpg", quality=95, exif=exif), Size(320, 180)))


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    "block", [b"MM\0*\0\0\0\x08\xff\xff", b"nonsense", b"II*\0\xff\xff\xff\xff", b"II+\0\x08\0\0\0"]
)
def test_a_broken_exif_block_is_ignored(tmp_path: Path, kind: str, block: bytes) -> None:
    options = {"quality": 95} if kind != "png" else {}
    path = save(tmp_path, arrow(), f"a.{kind}", exif=b"Exif\0\0" + block, **options)
    assert is_upright(made(path, Size(320, 180)))
