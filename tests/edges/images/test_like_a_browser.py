"""References look as the pictures do in headless Chromium: what a person sees.

Known differences are left out: EXIF in a WebP; later frames of an animation; bright saturated colours of PQ and HLG,
which a browser compresses by the brightest channel and sorawatch channel by channel; and the transparency of an AVIF
that Pillow wrote, which Chromium 156 takes for one of narrow range.
"""

from __future__ import annotations

import base64
import io
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from sorawatch.core.order import Fit, Size
from sorawatch.core.reference_format import Format
from tests.support.colour_profiles import gamma_profile, p3_profile
from tests.support.malicious_images import png, png_chunk
from tests.support.pictures import FREE, prepare

pytestmark = pytest.mark.nightly

Array = np.ndarray[Any, np.dtype[Any]]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTH, HEIGHT = 128, 96
TYPES = {"png": "png", "avif": "avif", "jpg": "jpeg", "webp": "webp", "bmp": "bmp", "gif": "gif"}


def scene() -> Image.Image:
    """Soft colours with all hues, none of them at the edge of the range."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    bands = [70 + 90 * x / WIDTH, 60 + 100 * y / HEIGHT, 150 - 80 * (x + y) / (WIDTH + HEIGHT)]
    return Image.fromarray(np.round(np.stack(bands, -1)).astype(np.uint8))


def saved(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or scene()).save(buffer, kind, **options)
    return buffer.getvalue()


def with_chunks(*chunks: bytes) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(scene()))
    return png(WIDTH, HEIGHT, rows, 8, 2, *chunks)


def with_nclx(primaries: int, transfer: int) -> bytes:
    data = saved("AVIF", quality=100, subsampling="4:4:4")
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = scene() if orientation < 5 else scene().resize((HEIGHT, WIDTH))
    return saved("JPEG", image, quality=95, exif=exif)


def translucent() -> Image.Image:
    image = scene().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "jpeg": ("jpg", lambda: saved("JPEG", quality=95)),
    "jpeg, P3": ("jpg", lambda: saved("JPEG", quality=95, icc_profile=p3_profile())),
    "jpeg, grey with a profile": ("jpg", lambda: saved("JPEG", scene().convert("L"), icc_profile=gamma_profile(1.8))),
    **{f"jpeg, orientation {side}": ("jpg", partial(turned, side)) for side in range(2, 9)},
    "png": ("png", lambda: saved("PNG")),
    "png, translucent": ("png", lambda: saved("PNG", translucent())),
    "png, palette": ("png", lambda: saved("PNG", scene().quantize(32))),
    "png, P3": ("png", lambda: saved("PNG", icc_profile=p3_profile())),
    **{
        f"png, cICP {primaries}/{transfer}": (
            "png",
            partial(with_chunks, png_chunk(b"cICP", bytes([primaries, transfer, 0, 1]))),
        )
        for primaries, transfer in ((12, 13), (9, 13), (9, 14), (1, 1), (1, 8), (1, 4), (9, 16))
    },
    **{
        f"png, gAMA {gamma}": ("png", partial(with_chunks, png_chunk(b"gAMA", struct.pack(">I", gamma))))
        for gamma in (45455, 100_000, 55_556)
    },
    "png, broken iCCP and gAMA": (
        "png",
        lambda: with_chunks(
            png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no")), png_chunk(b"gAMA", struct.pack(">I", 100_000))
        ),
    ),
    **{
        f"avif, nclx {primaries}/{transfer}": ("avif", partial(with_nclx, primaries, transfer))
        for primaries, transfer in ((1, 13), (1, 1), (12, 13), (9, 14), (1, 8), (2, 2))
    },
    "webp": ("webp", lambda: saved("WEBP", quality=95)),
    "webp, translucent": ("webp", lambda: saved("WEBP", translucent(), lossless=True)),
    "gif": ("gif", lambda: saved("GIF", scene().quantize(64))),
    "bmp": ("bmp", lambda: saved("BMP")),
}


COLUMNS = 6


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Array:
    """All pictures on one black page, side by side, as Chromium shows it."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    folder = tmp_path_factory.mktemp("page")
    pictures = []
    for number, (suffix, make) in enumerate(CASES.values()):
        row, column = divmod(number, COLUMNS)
        place = f"position:absolute;left:{column * WIDTH}px;top:{row * HEIGHT}px"
        data = base64.b64encode(make()).decode()
        pictures.append(f'<img style="{place}" src="data:image/{TYPES[suffix]};base64,{data}">')
    (folder / "page.html").write_text(f'<body style="margin:0;background:#000">{"".join(pictures)}')
    shot = folder / "shot.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb"]
    sizes = ["--window-size=900,1200", f"--user-data-dir={folder / 'profile'}", f"--screenshot={shot}"]
    subprocess.run([CHROMIUM, *options, *sizes, (folder / "page.html").as_uri()], check=True, capture_output=True)
    with Image.open(shot) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("name", CASES)
def test_a_reference_looks_as_in_a_browser(tmp_path: Path, page: Array, name: str) -> None:
    suffix, make = CASES[name]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(make())
    reference = prepare(path, FREE, Size(WIDTH, HEIGHT), Fit.STRETCH, format=Format.PNG)
    ours = np.asarray(Image.open(io.BytesIO(reference.data))).astype(int)
    row, column = divmod([*CASES].index(name), COLUMNS)
    shown = page[row * HEIGHT : (row + 1) * HEIGHT, column * WIDTH : (column + 1) * WIDTH]
    difference = np.abs(ours - shown)
    assert difference.mean() < 2
    assert np.percentile(difference, 99) <= 12
