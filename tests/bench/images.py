"""Large photos by the plain Pillow path and by ours, as ratios: ``python -m tests.bench.images``.

The plain path is the one in every tutorial: open, ``exif_transpose``, ``convert("RGB")``, ``ImageOps.fit`` with LANCZOS,
save. The lean one does the same without the two copies that can be spared. Ours is the pool as the daemon uses it.
All run in a process of the same kind that has been at work before, and all write a JPEG of quality 95, 4:4:4. Time is the
least of several runs; memory is the peak above what the process holds when idle. Likeness is the mean SSIM
(Wang et al. 2004) of the luma to what the plain path makes before it encodes: of ours without loss (``format: png``), and
of both as JPEG, where grain costs more than all else.

Photos go to the sizes of their own orientation, as with ``size: auto``; a photo held upright is stored lying, with a tag
that says so. ``across`` cuts an upright window out of a lying photo. The chart shows what it comes to at worst.

Ours is with the extra ``fast`` where that is installed. Without: ``PYTHONPATH=DIR python -m tests.bench.images``, where
DIR holds a ``cykooz_resizer.py`` that says ``raise ImportError``.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageDraw, ImageFilter, ImageOps

from sorawatch.core.order import Fit, Model, Size
from sorawatch.core.reference_format import Format, ReferenceOptions
from sorawatch.edges.images import Pool, ReferenceRequest
from tests.edges.images.test_pool import workers

Array = np.ndarray[Any, np.dtype[Any]]

RUNS = 7
LYING = [Size.parse(size) for size in ("1280x720", "1792x1024", "1920x1080")]
UPRIGHT = [Size(size.height, size.width) for size in LYING]
TURNED_LEFT = 6
"""The EXIF orientation of a photo whose camera was held upright."""


@dataclass(frozen=True, slots=True)
class Case:
    """A picture of ``pixels`` as stored, and what it shall become."""

    name: str
    draw: Callable[[int, int], Image.Image]
    pixels: tuple[int, int]
    orientation: int
    sizes: list[Size]


def cases() -> list[Case]:
    """The photos of a phone in both of its modes, and a drawing."""
    photos = [
        Case(f"photo, {megapixels} MP{held}", photograph, pixels, orientation, sizes)
        for megapixels, pixels in ((12, (4032, 3024)), (48, (8064, 6048)))
        for held, orientation, sizes in (
            ("", 1, LYING),
            (", held upright", TURNED_LEFT, UPRIGHT),
            (", across", 1, UPRIGHT),
        )
    ]
    return [*photos, Case("chart, 12 MP", chart, (4032, 3024), 1, LYING)]


def photograph(width: int, height: int) -> Image.Image:
    """Shapes of every size, fewer the finer, and grain, as sharp as a phone's lens and its colour filters let them be.

    Neither gets sharper with more pixels: the lens is the same, and four of 48 million pixels lie behind one filter.
    """
    random = np.random.default_rng(1)

    def octaves(finest: int, fall: float) -> Array:
        total = np.zeros((height, width), np.float32)
        cells = 2
        while cells <= finest:
            noise = random.normal(size=(max(1, cells * height // width), cells)).astype(np.float32)
            layer = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
            total += cells**-fall * np.asarray(layer)
            cells *= 2
        return total / total.std()

    blur = width / 4032
    luma = 125 + 45 * octaves(width, 0.5) + random.normal(scale=8 * blur, size=(height, width)).astype(np.float32)
    bands = [luma, *(128 + 14 * octaves(width // 8, 1.1) for _ in range(2))]
    image = Image.merge("YCbCr", [Image.fromarray(band.clip(0, 255).astype(np.uint8)) for band in bands])
    return image.convert("RGB").filter(ImageFilter.GaussianBlur(blur))


def chart(width: int, height: int) -> Image.Image:
    """The worst case: hard edges in all directions, as in a scanned drawing."""
    random = np.random.default_rng(2)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(1500):
        x, y, reach = random.integers(0, width), random.integers(0, height), random.integers(20, 300)
        colour = tuple(map(int, random.integers(0, 256, 3)))
        corners = [(int(x + dx), int(y + dy)) for dx, dy in random.integers(-reach, reach + 1, (3, 2))]
        draw.polygon(corners, fill=colour, outline="black", width=3)
    return image


def plain(path: Path, size: tuple[int, int]) -> bytes:
    """What one would write with Pillow and no further thought."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        fitted = ImageOps.fit(upright.convert("RGB"), size, Image.Resampling.LANCZOS)
    return _as_jpeg(fitted)


def lean(path: Path, size: tuple[int, int]) -> bytes:
    """The same without copies."""
    return _as_jpeg(full_size(path, size))


def full_size(path: Path, size: tuple[int, int]) -> Image.Image:
    """The picture decoded whole and resized."""
    with Image.open(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def _as_jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, subsampling="4:4:4")
    return buffer.getvalue()


def ssim(one: Image.Image, other: Image.Image) -> float:
    """The mean structural similarity of the luma, with the Gaussian window of 11 pixels and sigma 1.5."""
    window = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def blurred(values: Array) -> Array:
        rows = sum(weight * values[at : len(values) - 10 + at] for at, weight in enumerate(window))
        return np.asarray(sum(weight * rows[:, at : rows.shape[1] - 10 + at] for at, weight in enumerate(window)))

    x, y = (np.asarray(image.convert("L"), np.float64) for image in (one, other))
    mean_x, mean_y = blurred(x), blurred(y)
    var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    both = blurred(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return float(alike.mean())


@dataclass(frozen=True, slots=True)
class Cost:
    """The least seconds and the greatest peak, in MB, of several runs."""

    wall: float
    cpu: float
    peak: float


def measured(pid: int, idle: float, work: Callable[[], object]) -> Cost:
    """What ``work`` costs, which process ``pid`` does that held ``idle`` MB before its first large picture."""
    clock = ~pid << 3 | 2  # as clock_getcpuclockid(3) makes it
    walls, cpus, peaks = [], [], []
    for _ in range(RUNS):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # sets the peak back, proc(5)
        wall, cpu = time.perf_counter(), time.clock_gettime(clock)
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.clock_gettime(clock) - cpu)
        peaks.append(memory(pid, "VmHWM") - idle)
    return Cost(min(walls), min(cpus), max(peaks))


def memory(pid: int, name: str) -> float:
    """MB, by the name it has in ``/proc/PID/status``."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e6


def main() -> None:
    """Print the table."""
    print("| picture | to | plain: wall, CPU, peak | wall | of lean | CPU | peak | SSIM | as JPEG | plain as JPEG |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        Pool(workers=1) as pool,
        ProcessPoolExecutor(1, spawn, os.nice, (5,)) as others,
    ):
        path = Path(folder) / "picture.jpg"
        Image.new("RGB", (64, 36)).save(path)
        others.submit(plain, path, (64, 36)).result()
        pool.prepare(path, ReferenceRequest(Model("free", None, None), Size(64, 36), Fit.CROP))
        plain_pid = others.submit(os.getpid).result()
        (pid,) = set(workers(os.getpid())) - {plain_pid}
        plain_idle, idle = memory(plain_pid, "VmRSS"), memory(pid, "VmRSS")

        def theirs(way: Callable[[Path, tuple[int, int]], bytes], target: tuple[int, int]) -> Cost:
            return measured(plain_pid, plain_idle, lambda: others.submit(way, path, target).result())

        for case in cases():
            exif = Image.Exif()
            exif[ExifTags.Base.Orientation] = case.orientation
            case.draw(*case.pixels).save(path, quality=92, subsampling="4:2:0", exif=exif)
            for size in case.sizes:
                target = (size.width, size.height)
                wish = ReferenceRequest(Model("free", None, None), size, Fit.CROP)
                lossless = replace(wish, options=ReferenceOptions(Format.PNG))
                made = [pool.prepare(path, lossless).data, pool.prepare(path, wish).data]
                made.append(others.submit(plain, path, target).result())
                usual, leanest = theirs(plain, target), theirs(lean, target)
                ours = measured(pid, idle, partial(pool.prepare, path, wish))
                exact = full_size(path, target)
                cells = [
                    f"{case.name}, {path.stat().st_size / 1e6:.1f} MB",
                    str(size),
                    f"{usual.wall * 1000:.0f} ms, {usual.cpu * 1000:.0f} ms, {usual.peak:.0f} MB",
                    f"{ours.wall / usual.wall:.2f}×",
                    f"{ours.wall / leanest.wall:.2f}×",
                    f"{ours.cpu / usual.cpu:.2f}×",
                    f"{ours.peak:.0f} MB, {ours.peak / usual.peak:.2f}×",
                    *(f"{ssim(exact, Image.open(io.BytesIO(data))):.4f}" for data in made),
                ]
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
