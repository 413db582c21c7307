"""The same picture with and without the extra ``fast``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sorawatch.core.order import Fit, Size
from sorawatch.core.reference_format import Format, ReferenceOptions
from sorawatch.edges.images import Pool, ReferenceRequest
from tests.edges.images.test_pool import workers
from tests.support.pictures import FREE, Array, save

pytest.importorskip("cykooz_resizer")

TARGET = Size(320, 180)
WITHOUT = "raise ImportError"
BROKEN = """
from unittest.mock import MagicMock as FilterType, MagicMock as ResizeAlg, MagicMock as ResizeOptions
class Resizer:
    def resize_pil(self, image, resized, options):
        {}
"""
STRUCTS = "from unittest.mock import MagicMock as CropBox"


def photograph() -> Image.Image:
    y, x = np.mgrid[0:1081, 0:1923]
    waves = [127 + 120 * np.sin(x / 61 + band) * np.cos(y / 37 - band) for band in range(3)]
    return Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8))


def made(pool: Pool, path: Path, fit: Fit) -> Array:
    reference = pool.prepare(path, ReferenceRequest(FREE, TARGET, fit, options=ReferenceOptions(Format.PNG)))
    copy = path.with_name("reference.png")
    copy.write_bytes(reference.data)
    return np.asarray(Image.open(copy)).astype(int)


def resized_by(pool: Pool, path: Path) -> tuple[Array, bool]:
    """What ``pool``, which has no worker yet, makes of the picture, and whether it holds the extra's code."""
    others = set(workers(os.getpid()))
    pixels = made(pool, path, Fit.CROP)
    (pid,) = set(workers(os.getpid())) - others
    return pixels, "cykooz_resizer/rust_lib" in Path(f"/proc/{pid}/maps").read_text()


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    package = folder / "instead" / "cykooz_resizer"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(text)
    (package / "structs.py").write_text(STRUCTS)
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=os.pathsep)


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize(
    ("mode", "name"), [("RGB", "a.jpg"), ("L", "a.jpg"), ("CMYK", "a.jpg"), ("RGB", "a.png"), ("RGBA", "a.png")]
)
def test_the_extra_changes_no_more_than_the_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, name: str, fit: Fit
) -> None:
    path = save(tmp_path, photograph().convert(mode), name, **({"quality": 95} if name == "a.jpg" else {}))
    with Pool() as fast:
        vectored = made(fast, path, fit)
    stand_in(tmp_path, monkeypatch, WITHOUT)
    with Pool() as bare:
        plain = made(bare, path, fit)
    assert plain.std() > 30
    assert np.abs(vectored - plain).max() <= 12
    assert np.abs(vectored - plain).mean() < 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BROKEN.format("raise ValueError('Invalid mode of PIL image')"), id="refuses what it is given"),
        pytest.param(BROKEN.format("raise BaseException('panicked')"), id="panics"),
        pytest.param(BROKEN.format("resized.paste((255, 0, 255))"), id="makes another picture"),
        pytest.param("from nowhere import FilterType", id="is not all there"),
    ],
)
def test_a_resizer_that_does_not_get_on_with_pillow_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = save(tmp_path, photograph(), "a.png")
    with Pool() as fast:
        right, is_vectored = resized_by(fast, path)
    assert is_vectored
    stand_in(tmp_path, monkeypatch, text)
    with Pool() as odd:
        pixels, is_vectored = resized_by(odd, path)
    assert not is_vectored
    assert np.abs(pixels - right).max() <= 12
