"""Draws the photos of ``sorawatch.cli.samples``, the same each time: ``python tests/draw_samples.py [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageDraw, ImageFilter

SAMPLES = Path(__file__).parent.parent / "sorawatch" / "cli" / "samples"

Array = np.ndarray
Point = tuple[float, float]


def rgb(code: str) -> Array:
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], dtype=np.float64) / 255


def ramp(position: Array, *stops: tuple[float, str]) -> Array:
    """Colours for ``position`` along a gradient of (place, colour) stops."""
    places = [place for place, _ in stops]
    colours = np.stack([rgb(code) for _, code in stops])
    return np.stack([np.interp(position, places, colours[:, band]) for band in range(3)], axis=-1)


def mix(below: Array, above: Array, cover: Array | float) -> Array:
    cover = np.asarray(cover, dtype=np.float64)
    cover = cover[..., None] if cover.ndim == 2 else cover
    return below + (above - below) * cover


def screen(below: Array, light: Array) -> Array:
    """Light on top of light, never beyond white."""
    return 1 - (1 - below) * (1 - np.clip(light, 0, 1))


def smooth(low: Array | float, high: float, value: Array) -> Array:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def grid(width: int, height: int) -> tuple[Array, Array]:
    """x and y of each pixel's centre; y runs from 0 to 1, x on the same scale."""
    y, x = np.mgrid[0:height, 0:width]
    return (x + 0.5) / height, (y + 0.5) / height


def noise(rng: np.random.Generator, width: int, height: int, cells: Point, octaves: int, gain: float = 0.5) -> Array:
    """Fractal noise from 0 to 1 whose coarsest features number ``cells`` across and down."""
    total, weight = np.zeros((height, width)), 1.0
    for octave in range(octaves):
        shape = tuple(max(2, round(count * 2**octave) + 1) for count in reversed(cells))
        layer = Image.fromarray(rng.random(shape).astype(np.float32))
        total += weight * np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC))
        weight *= gain
    low, high = np.percentile(total, (0.5, 99.5))
    return np.clip((total - low) / (high - low), 0, 1)


def line(rng: np.random.Generator, width: int, cells: float, octaves: int, gain: float = 0.5) -> Array:
    return noise(rng, width, 2, (cells, 1), octaves, gain)[0]


def shape(width: int, height: int, *polygons: list[Point], soften: float = 0.0) -> Array:
    """Cover from 0 to 1 of polygons given in the coordinates of ``grid``."""
    mask = Image.new("L", (2 * width, 2 * height))
    for polygon in polygons:
        ImageDraw.Draw(mask).polygon([(2 * height * x, 2 * height * y) for x, y in polygon], fill=255)
    mask = mask.resize((width, height), Image.Resampling.BOX)
    if soften:
        mask = mask.filter(ImageFilter.GaussianBlur(soften))
    return np.asarray(mask) / 255


def picture(rng: np.random.Generator, colours: Array, grain: float = 0.005) -> Image.Image:
    """Eight bits of ``colours``, with a vignette and a little of a film's grain."""
    height, width = colours.shape[:2]
    x, y = grid(width, height)
    falling = 1 - 0.35 * ((x - x.mean()) ** 2 + (y - 0.5) ** 2) / (x.mean() ** 2 + 0.25)
    soft = Image.fromarray(rng.normal(0, 1, (height // 2, width // 2)).astype(np.float32))
    grains = np.asarray(soft.resize((width, height), Image.Resampling.BICUBIC))
    finished = colours * falling[..., None] + grain * grains[..., None]
    return Image.fromarray((np.clip(finished, 0, 1) * 255 + 0.5).astype(np.uint8))


def frond(base: Point, tip: Point, sag: float, rng: np.random.Generator) -> list[list[Point]]:
    """A palm leaf: a bent rib with leaflets hanging from it."""
    (x0, y0), (x2, y2) = base, tip
    x1, y1 = (x0 + x2) / 2, min(y0, y2) - sag
    leaflets = []
    for t in np.linspace(0.06, 1, 44):
        x = (1 - t) ** 2 * x0 + 2 * t * (1 - t) * x1 + t * t * x2
        y = (1 - t) ** 2 * y0 + 2 * t * (1 - t) * y1 + t * t * y2
        along = np.arctan2(2 * (1 - t) * (y1 - y0) + 2 * t * (y2 - y1), 2 * (1 - t) * (x1 - x0) + 2 * t * (x2 - x1))
        length = 0.17 * np.sin(np.pi * (0.12 + 0.85 * t)) ** 0.8 * rng.uniform(0.85, 1.1)
        for side in (-1, 1):
            bend = along + side * (1.05 - 0.55 * t) * rng.uniform(0.85, 1.15)
            end = (x + length * np.cos(bend), y + length * np.sin(bend) + 0.35 * length)
            wide = 0.0045 * (1.15 - t)
            normal = (-np.sin(bend) * wide, np.cos(bend) * wide)
            middle = ((2 * x + end[0]) / 3, (2 * y + end[1]) / 3 - 0.12 * length)
            leaflets.append(
                [
                    (x, y),
                    (middle[0] + normal[0], middle[1] + normal[1]),
                    end,
                    (middle[0] - normal[0], middle[1] - normal[1]),
                ]
            )
    rib = [
        ((1 - t) ** 2 * x0 + 2 * t * (1 - t) * x1 + t * t * x2, (1 - t) ** 2 * y0 + 2 * t * (1 - t) * y1 + t * t * y2)
        for t in np.linspace(0, 1, 30)
    ]
    return [*leaflets, [*rib, *((x, y + 0.006 * (1 - i / 30)) for i, (x, y) in reversed(list(enumerate(rib))))]]


def beach() -> Image.Image:
    """A sunset over the sea, seen from under a palm."""
    rng, width, height = np.random.default_rng(7), 1600, 1067
    x, y = grid(width, height)
    horizon, sun_x, sun_y = 0.56, 0.93, 0.475
    sky = ramp(
        y / horizon, (0, "24365f"), (0.3, "5b5585"), (0.55, "b56a83"), (0.78, "f0925f"), (0.93, "ffc06b"), (1, "ffd48a")
    )
    far = np.hypot(x - sun_x, 1.15 * (y - sun_y))
    sky = screen(sky, np.exp(-far * 4.2)[..., None] * rgb("ff9a4a") * 0.75)
    clouds = noise(rng, width, height, (2.2, 9), 6, 0.55)
    cover = smooth(0.5, 0.85, clouds) * smooth(0.0, 0.16, y) * (1 - smooth(horizon - 0.11, horizon - 0.02, y))
    lit = ramp(np.clip(far * 1.1, 0, 1), (0, "fff0c4"), (0.25, "ffb37a"), (0.6, "c96f86"), (1, "5a5588"))
    shade = ramp(np.clip(far * 1.2, 0, 1), (0, "ef8f5a"), (0.4, "8f5a7c"), (1, "34406e"))
    edge = np.clip(np.roll(clouds, -9, axis=0) - clouds + 0.5, 0, 1)
    sky = mix(sky, mix(shade, lit, smooth(0.44, 0.56, 1 - edge)), 0.85 * cover)
    for reach, rise, near, end in ((0.62, 0.055, "8a6478", "d98f78"), (0.46, 0.085, "453a60", "9a6470")):
        crest = (
            horizon
            + 0.004
            - rise * (0.35 + 0.65 * line(rng, width, 4.5, 7, 0.5)) * (1 - smooth(0.02, reach, x[0])) ** 0.8
        )
        sky = mix(sky, ramp(x, (0, near), (reach, end)), smooth(0, 0.002, y - crest[None, :]))

    depth = np.clip((y - horizon) / (1 - horizon), 1e-4, 1)
    swell = noise(rng, width, height, (5, 60), 4, 0.6) - 0.5
    rows = np.clip(((2 * horizon - y) + 0.10 * swell * (0.25 + depth)) * height, 0, horizon * height - 2).astype(int)
    columns = np.clip(x * height + 26 * swell * (0.3 + depth), 0, width - 1).astype(int)
    sea = mix(sky[rows, columns], ramp(depth, (0, "7a5a78"), (0.4, "2f4470"), (1, "1d3157")), 0.35 + 0.35 * depth)
    ripples = noise(rng, width, height, (14, 150), 3, 0.7)
    path = np.exp(-(((x - sun_x) / (0.035 + 0.20 * depth)) ** 2))
    glitter = path * smooth(0.5 + 0.12 * depth, 0.78, ripples) * (1 - 0.45 * depth)
    sea = screen(
        sea, glitter[..., None] * rgb("ffd493") * 1.15 + (0.28 * path * (1 - depth))[..., None] * rgb("ff9e58")
    )
    sea = mix(sea, sea * 0.72, smooth(0.55, 0.9, 1 - ripples) * (0.15 + 0.5 * depth))
    disc = 1 - smooth(0.036, 0.0385, np.hypot(x - sun_x, y - sun_y))
    sky = mix(sky, rgb("fffbe6") * np.ones_like(sky), disc)
    sky = screen(sky, np.exp(-((far / 0.075) ** 1.3))[..., None] * rgb("ffd890") * 0.8)
    mirror = mix(sea, ramp(depth, (0, "e0996f"), (0.5, "8a5f78"), (1, "4a3f63")), 0.35)
    colours = mix(sky, sea, smooth(horizon - 0.0008, horizon + 0.0008, y))
    colours = screen(colours, np.exp(-np.abs(y - horizon) * 60)[..., None] * rgb("ffb070") * 0.28)

    wave = line(rng, width, 3, 4)[None, :]
    shore = 0.845 + 0.05 * wave + 0.05 * (x - 0.75)
    grain = noise(rng, width, height, (60, 90), 4, 0.8)
    sand = ramp(np.clip((y - shore) / 0.16, 0, 1), (0, "6d5563"), (0.35, "8a6560"), (1, "5a4048")) * (
        0.93 + 0.12 * grain[..., None]
    )
    mirrored = np.clip((2 * shore - y - 0.30) * height, 0, height - 1).astype(int)
    wet = 1 - smooth(0.0, 0.12, y - shore)
    sand = mix(sand, mirror[np.maximum(mirrored, int(horizon * height) + 1), (x * height).astype(int)], 0.6 * wet)
    colours = mix(colours, sand, smooth(-0.002, 0.004, y - shore))
    for offset, thickness, strength in ((0.0, 0.011, 0.9), (-0.045, 0.006, 0.55), (-0.085, 0.004, 0.4)):
        where = shore + offset + 0.012 * (line(rng, width, 7, 5)[None, :] - 0.5)
        lace = noise(rng, width, height, (45, 70), 3, 0.7)
        foam = np.exp(-np.abs(y - where + 0.4 * thickness) / thickness) * smooth(
            0.22, 0.6, lace + 0.3 * np.exp(-np.abs(y - where) / 0.003)
        )
        colours = mix(
            colours, ramp(np.abs(x - sun_x), (0, "ffe9cf"), (0.8, "d9b9c4")), np.clip(strength * foam, 0, 0.95)
        )

    leaves = [
        polygon
        for tip, sag in (
            ((0.52, 0.10), 0.05),
            ((0.44, 0.27), 0.10),
            ((0.27, 0.38), 0.12),
            ((0.60, -0.04), 0.02),
            ((0.10, 0.40), 0.1),
        )
        for polygon in frond((-0.05, -0.02), tip, sag, rng)
    ]
    palm = shape(width, height, *leaves, soften=0.8)
    colours = mix(colours, ramp(far, (0.3, "3b2430"), (1.0, "131a2e")), palm)
    return picture(rng, colours)


def ridge(rng: np.random.Generator, x: Array, base: float, rise: float, cells: float, octaves: int) -> Array:
    """The height of a range of mountains: sharp tops, broad valleys."""
    sharp = 1 - np.abs(2 * line(rng, x.shape[1], cells, octaves, 0.48) - 1)
    broad = line(rng, x.shape[1], cells, octaves, 0.42)
    return base - rise * (0.55 * sharp + 0.45 * broad)[None, :]


def trees(rng: np.random.Generator, ground: Array, height: int, count: int, tallest: float) -> list[list[Point]]:
    """Spruces along ``ground``: stacked, ragged triangles."""
    polygons: list[list[Point]] = []
    for x in rng.uniform(0, len(ground) / height, count):
        foot = ground[min(int(x * height), len(ground) - 1)] + 0.012
        tall = tallest * rng.uniform(0.35, 1) ** 1.3
        for tier in range(9):
            top, low = foot - tall * (1 - tier / 10.5), foot - tall * (0.83 - tier / 9.2)
            half = tall * 0.022 * (tier + 1.3) * rng.uniform(0.8, 1.15)
            polygons.append(
                [(x, top), (x + half, low + rng.uniform(0, 0.01) * tall), (x, low - 0.03 * tall), (x - half, low)]
            )
    return polygons


def mountains() -> Image.Image:
    """Ridge behind ridge in the mist of a morning."""
    rng, width, height = np.random.default_rng(21), 1200, 1500
    x, y = grid(width, height)
    sun_x, sun_y = 0.54, 0.285
    far = np.hypot(x - sun_x, y - sun_y)
    colours = ramp(y, (0, "3f6796"), (0.16, "7d9cba"), (0.28, "e6c3a4"), (0.40, "ffdcae"), (0.6, "ffe6c4"))
    cirrus = noise(rng, width, height, (1.6, 7), 6, 0.55)
    colours = mix(
        colours, rgb("ffe8d2") * np.ones_like(colours), 0.5 * smooth(0.5, 0.95, cirrus) * (1 - smooth(0.2, 0.42, y))
    )
    colours = screen(colours, np.exp(-far * 6)[..., None] * rgb("ffc27a") * 0.85)
    colours = mix(colours, rgb("fffdf0") * np.ones_like(colours), 1 - smooth(0.029, 0.034, far))
    layers = [
        (0.440, 0.150, 3.0, "c9b7b4", "f2d5b8"),
        (0.520, 0.165, 2.4, "9fa0b0", "e9cdb6"),
        (0.610, 0.170, 2.0, "74839d", "d6c3b8"),
        (0.700, 0.170, 2.2, "506785", "b7b4b8"),
        (0.795, 0.150, 1.8, "35506b", "8f9fae"),
        (0.890, 0.140, 1.6, "213b50", "5f7b8e"),
    ]
    for index, (base, rise, cells, dark, misty) in enumerate(layers):
        crest = ridge(rng, x, base, rise, cells, 7)
        below = y - crest
        drift = 0.06 * (noise(rng, width, height, (3, 8), 5, 0.55) - 0.5)
        fog = smooth(base - 0.75 * rise, base + 0.07, y + drift) * smooth(0.0, 0.05, below)
        texture = noise(rng, width, height, (18 + 6 * index, 26 + 8 * index), 4, 0.65)
        facing = np.clip(2 * np.gradient(crest[0])[None, :] * height * np.clip(4 * (sun_x - x), -1, 1), -1, 1) * (
            1 - smooth(0, 0.06, below)
        )
        body = rgb(dark) * (1 + (0.02 + 0.02 * index) * (texture[..., None] * 2 - 1) + 0.035 * facing[..., None])
        body = screen(body, np.exp(-far * 3.0)[..., None] * rgb("ffb877") * (0.42 - 0.06 * index))
        cover = smooth(-0.0006, 0.0010, below)
        if index >= 3:
            cover = np.maximum(
                cover,
                shape(width, height, *trees(rng, crest[0], height, 150 + 60 * index, 0.012 + 0.011 * (index - 2))),
            )
        colours = mix(colours, mix(body, rgb(misty) * np.ones_like(body), 0.92 * fog), cover)
    ground = 0.985 - 0.09 * line(rng, width, 1.4, 5) - 0.05 * (np.abs(x[0] - 0.4) / 0.4) ** 2
    forest = np.maximum(
        shape(width, height, *trees(rng, ground, height, 130, 0.17)), smooth(-0.001, 0.001, y - ground[None, :])
    )
    shade = ramp(y, (0.75, "1b3342"), (1, "0b1a22")) * (
        0.9 + 0.2 * noise(rng, width, height, (60, 75), 3, 0.7)[..., None]
    )
    colours = mix(colours, shade, forest)
    rays = (
        np.clip(np.cos(np.arctan2(y - sun_y, x - sun_x) * 23 + 1.0), 0, 1) * np.exp(-far * 3.2) * smooth(0.03, 0.2, far)
    )
    colours = screen(colours, (np.exp(-far * 16) * 0.8)[..., None] * rgb("fff0cc"))
    return picture(rng, screen(colours, (0.10 * rays)[..., None] * rgb("ffe0b0")))


def lighthouse() -> Image.Image:
    """A lighthouse at dusk: upright 1067 by 1600, to be stored lying."""
    rng, width, height = np.random.default_rng(5), 1067, 1600
    x, y = grid(width, height)
    horizon, lamp = 0.66, (0.395, 0.252)
    colours = ramp(
        y, (0, "0b1638"), (0.22, "1d2f63"), (0.42, "4a4f8e"), (0.55, "a86f93"), (0.62, "ee9a80"), (0.66, "ffc48e")
    )
    stars = np.where(rng.random((height, width)) > 0.99975, rng.uniform(0.2, 1, (height, width)) ** 2, 0)
    glow = np.asarray(Image.fromarray((255 * stars).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.9))) / 255
    colours = screen(colours, (glow * 5 * (1 - smooth(0.10, 0.46, y)))[..., None] * rgb("e8eeff"))
    clouds = noise(rng, width, height, (1.8, 11), 6, 0.55)
    cover = smooth(0.52, 0.9, clouds) * smooth(0.12, 0.42, y)
    colours = mix(
        colours, ramp(y, (0.15, "2a3768"), (0.42, "7c5d90"), (0.58, "f2907f"), (0.66, "ffb184")), 0.75 * cover
    )

    turned = np.arctan2(y - lamp[1], x - lamp[0])
    away = np.hypot(x - lamp[0], y - lamp[1])
    for angle, strength in ((-0.10, 0.9), (np.pi - 0.17, 0.75)):
        off = np.abs((turned - angle + np.pi) % (2 * np.pi) - np.pi)
        beam = np.exp(-((off / 0.052) ** 2)) * np.exp(-away * 1.5) * strength
        colours = screen(colours, (beam * (0.8 + 0.35 * clouds))[..., None] * rgb("ffe7b0"))

    depth = np.clip((y - horizon) / (1 - horizon), 1e-4, 1)
    swell = noise(rng, width, height, (4, 85), 4, 0.62) - 0.5
    rows = np.clip(((2 * horizon - y) + 0.12 * swell * (0.2 + depth)) * height, 0, horizon * height - 2).astype(int)
    columns = np.clip(x * height + 40 * swell * (0.2 + depth), 0, width - 1).astype(int)
    sea = mix(colours[rows, columns], ramp(depth, (0, "8a6a8c"), (0.35, "35477c"), (1, "101c3c")), 0.4 + 0.35 * depth)
    ripples = noise(rng, width, height, (9, 170), 3, 0.7)
    path = np.exp(-(((x - lamp[0] - 0.02) / (0.03 + 0.09 * depth)) ** 2)) * smooth(0.5, 0.8, ripples)
    sea = screen(sea, (0.75 * path * (1 - 0.3 * depth))[..., None] * rgb("ffd9a0"))
    colours = mix(
        colours,
        sea * (1 - 0.25 * smooth(0.5, 0.95, 1 - ripples)[..., None] * depth[..., None]),
        smooth(horizon - 0.0007, horizon + 0.0007, y),
    )
    colours = screen(colours, np.exp(-np.abs(y - horizon) * 45)[..., None] * rgb("ff9d78") * 0.30)

    left, right = lamp[0] - 0.15, lamp[0] + 0.18
    profile = 0.705 - 0.075 * smooth(left - 0.12, left + 0.09, x[0]) * (1 - smooth(right - 0.05, right + 0.16, x[0]))
    profile += (
        0.034 * (line(rng, width, 9, 6, 0.55) - 0.5)
        + 0.10 * smooth(right, right + 0.13, x[0])
        + 0.05 * (1 - smooth(0.0, left, x[0]))
    )
    below = np.clip(y - profile[None, :], 0, 1)
    rock = noise(rng, width, height, (7, 9), 6, 0.5)
    rows, columns = np.gradient(
        np.asarray(
            Image.fromarray(rock.astype(np.float32))
            .resize((width // 3, height // 3))
            .resize((width, height), Image.Resampling.BICUBIC)
        )
    )
    facing = np.clip(0.42 - 26 * columns - 30 * rows, 0, 1)
    strata = 0.5 + 0.5 * np.sin(150 * (y + 0.16 * x) + 9 * rock)
    stone = mix(
        ramp(below, (0, "4a4463"), (0.12, "221f3c")),
        ramp(below, (0, "e8a288"), (0.05, "a8768a"), (0.15, "4b4570")),
        facing,
    )
    cliff = stone * (0.90 + 0.14 * strata * smooth(0.01, 0.06, below))[..., None]
    foot = 0.795 + 0.030 * noise(rng, width, 2, (6, 1), 5)[0] + 0.02 * np.cos(9 * x[0])
    cliff_cover = smooth(-0.0008, 0.0012, y - profile[None, :]) * (1 - smooth(-0.002, 0.003, y - foot[None, :]))
    colours = mix(colours, cliff, cliff_cover)
    surf = np.exp(-np.abs(y - foot[None, :] - 0.003) / 0.0085) * smooth(
        0.28, 0.7, noise(rng, width, height, (30, 60), 4, 0.7)
    )
    colours = mix(colours, rgb("dfcfdc") * np.ones_like(colours), 0.8 * surf * (profile < foot)[None, :])

    top, base = 0.300, 0.655
    t = np.clip((y - top) / (base - top), 0, 1)
    half = 0.036 + 0.026 * t**1.35
    across = (x - lamp[0]) / half
    body = (
        smooth(1.0, 0.975, np.abs(across))
        * smooth(top - 0.001, top + 0.001, y)
        * smooth(base + 0.002, base, y + 0.010 * across**2 - 0.010)
    )
    light = 0.38 + 0.62 * np.clip(0.70 * across + 0.50 - 0.55 * across**2 * (across > 0), 0, 1)
    band = smooth(0.47, 0.5, np.abs(((t * 4.0 + 0.02 * across**2) % 1.0) - 0.5) * 2)
    paint = mix(rgb("f4e6df") * np.ones_like(colours), rgb("b8433f") * np.ones_like(colours), band)
    tower = paint * mix(rgb("54588c") * np.ones_like(colours), rgb("ffd9bd") * np.ones_like(colours), light)
    colours = mix(colours, tower, body)
    for wx, wy in ((0.002, 0.37), (-0.006, 0.455), (0.004, 0.545)):
        for grown, paint_ in ((1.45, "5a3440"), (1.0, "ffd58a")):
            u, v = (x - lamp[0] - wx) / (0.0042 * grown), (y - wy) / (0.0085 * grown**0.6)
            arch = smooth(1.1, 0.95, np.where(v < 0, np.hypot(u, v), np.maximum(np.abs(u), v)))
            colours = mix(colours, rgb(paint_) * np.ones_like(colours), arch)

    def slab(centre: float, wide: float, tall: float, colour: str, round_: float = 0.0) -> None:
        nonlocal colours
        u = (x - lamp[0]) / wide
        cover = smooth(1.0, 0.97, np.abs(u)) * smooth(tall, tall - 0.001, np.abs(y - centre + round_ * u**2))
        colours = mix(colours, rgb(colour) * (0.75 + 0.45 * np.clip(u, -1, 1)[..., None] * 0.6), cover)

    slab(0.2985, 0.054, 0.0055, "8d6f86", -0.004)
    slab(0.284, 0.052, 0.0015, "5d5478", -0.003)
    for post in np.linspace(-0.05, 0.05, 11):
        rail = smooth(0.0016, 0.0008, np.abs(x - lamp[0] - post)) * smooth(0.2825, 0.2835, y) * smooth(0.297, 0.2955, y)
        colours = mix(colours, rgb("4b466c") * np.ones_like(colours), rail)
    room = smooth(1.0, 0.95, np.abs(x - lamp[0]) / 0.028) * smooth(0.222, 0.223, y) * smooth(0.294, 0.293, y)
    colours = mix(colours, ramp(away, (0, "fffbe8"), (0.025, "ffe2a0"), (0.06, "e59a55")), room)
    for post in (-0.028, -0.0095, 0.0095, 0.028):
        bar = smooth(0.0022, 0.0012, np.abs(x - lamp[0] - post)) * smooth(0.222, 0.223, y) * smooth(0.294, 0.293, y)
        colours = mix(colours, rgb("5a3f55") * np.ones_like(colours), bar)
    dome = smooth(1.0, 0.98, np.hypot((x - lamp[0]) / 0.036, (y - 0.224) / 0.034)) * smooth(0.2245, 0.2235, y)
    colours = mix(
        colours,
        mix(
            rgb("5c2c3f") * np.ones_like(colours),
            rgb("d8655a") * np.ones_like(colours),
            np.clip(0.4 + (x - lamp[0]) / 0.06, 0, 1),
        ),
        dome,
    )
    spire = smooth(0.0022, 0.0012, np.abs(x - lamp[0])) * smooth(0.163, 0.164, y) * smooth(0.194, 0.193, y)
    colours = mix(colours, rgb("5c2c3f") * np.ones_like(colours), spire)
    colours = screen(colours, (np.exp(-away * 17) * 0.85 + 0.25 * np.exp(-away * 5))[..., None] * rgb("ffd28a"))
    mist = smooth(0.45, 0.9, noise(rng, width, height, (2.2, 14), 5, 0.55)) * np.exp(-(((y - 0.70) / 0.06) ** 2))
    colours = mix(colours, rgb("d79a9b") * np.ones_like(colours), 0.35 * mist)
    return picture(rng, colours)


def balloon() -> Image.Image:
    """A hot-air balloon and a smaller one far off, on nothing: straight alpha."""
    width, height = 1200, 900
    x, y = grid(width, height)
    colours, alpha = np.zeros((height, width, 3)), np.zeros((height, width))

    def lay(cover: Array, paint: Array) -> None:
        nonlocal colours, alpha
        both = cover + alpha * (1 - cover)
        colours = np.where(
            both[..., None] > 0, mix(colours, paint * np.ones_like(colours), cover / np.maximum(both, 1e-9)), colours
        )
        alpha = both

    for centre, middle, radius, palette in (
        (1.06, 0.25, 0.095, ("f2c14e", "2f6f8f", "f7e7c4")),
        (0.53, 0.345, 0.272, ("d9423b", "f6a437", "fbe6b8")),
    ):
        u, v = (x - centre) / radius, (y - middle) / radius
        t = np.clip((v + 1) / 2.42, 0, 1)
        # A sphere above, drawn out to a mouth below.
        half = np.where(
            v < 0.25, np.sqrt(np.clip(1 - v * v, 0, None)), np.interp(v, np.linspace(0.25, 1.42, 40), _throat(40))
        )
        across = np.clip(u / np.maximum(half, 1e-6), -1, 1)
        edge = 1.6 / (radius * height)
        envelope = smooth(edge, -edge, np.abs(u) - half) * smooth(1.42 + edge, 1.42 - edge, v) * (v > -1)
        gore = np.arcsin(across) / np.pi + 0.5
        stripe = (gore * 12) % 3
        panels = np.select(
            [stripe[..., None] < 1, stripe[..., None] < 2], [rgb(palette[0]), rgb(palette[1])], rgb(palette[2])
        )
        belt = smooth(0.012, 0.0, np.abs(t - 0.52 - 0.035 * across**2) - 0.030)
        panels = mix(panels, rgb(palette[1]) * 0.55 * np.ones_like(panels), belt)
        crown = smooth(0.010, 0.0, t - 0.085 - 0.02 * across**2)
        panels = mix(panels, rgb(palette[0]) * np.ones_like(panels), crown)
        seam = 0.10 * np.exp(-(((gore * 12 + 0.5) % 1 - 0.5) ** 2) * 260)
        light = np.clip(0.62 - 0.42 * across - 0.34 * v * 0.8 - 0.30 * across**2, 0.10, 1.15)
        puff = 0.06 * np.cos(((gore * 12) % 1 - 0.5) * np.pi)
        cloth = panels * (0.34 + 0.72 * (light + puff) - seam)[..., None]
        cloth = screen(cloth, np.exp(-((u + 0.38) ** 2 + (v + 0.48) ** 2) * 5.5)[..., None] * rgb("fff1d0") * 0.42)
        cloth = screen(cloth, (np.exp(-((v - 1.15) ** 2) * 9) * (1 - across**2))[..., None] * rgb("ff9a3c") * 0.30)
        lay(envelope, cloth)
        thin = max(0.012, 1.4 / (radius * height))
        for side in (-1.0, -0.35, 0.35, 1.0):
            s = np.clip((v - 1.42) / 0.27, 0, 1)
            rope = smooth(thin, 0.3 * thin, np.abs(u - side * (0.16 - 0.035 * s))) * (v > 1.41) * (v < 1.70)
            lay(rope, rgb("4a3528"))
        flame = np.exp(-((u / 0.035) ** 2) - ((v - 1.50) / 0.07) ** 2)
        lay(
            smooth(0.25, 0.7, flame),
            mix(rgb("ff8a24") * np.ones_like(colours), rgb("fff4c0") * np.ones_like(colours), smooth(0.4, 0.9, flame)),
        )
        wide = 0.135 - 0.02 * np.clip((v - 1.69) / 0.21, 0, 1)
        basket = smooth(edge, -edge, np.abs(u) - wide) * smooth(edge, -edge, np.abs(v - 1.79) - 0.105)
        weave = 0.82 + 0.12 * np.cos(v * 190) * np.cos(u * 150) if radius > 0.2 else 0.82 + 0 * v
        lay(basket, rgb("9a6a3a") * (weave * (0.95 - 2.6 * u))[..., None])
        lay(
            smooth(edge, -edge, np.abs(u) - 0.142) * smooth(edge, -edge, np.abs(v - 1.70) - 0.02),
            rgb("5d3b22") * (1 - 2.0 * u)[..., None],
        )
    pixels = np.clip(np.dstack([colours, alpha]), 0, 1) * 255 + 0.5
    pixels[alpha == 0] = 0
    pixels[..., :3] -= pixels[..., :3] % 5  # what no eye sees takes half the file
    return Image.fromarray(pixels.astype(np.uint8))


def _throat(count: int) -> Array:
    """Half widths from below the equator to the mouth, joined smoothly to the sphere."""
    s = np.linspace(0, 1, count)
    start, slope = np.sqrt(1 - 0.25**2), -0.25 / np.sqrt(1 - 0.25**2) * 1.17
    # A cubic from (0, start) with the sphere's slope to (1, 0.16) with the slope of the skirt.
    return (
        (2 * s**3 - 3 * s**2 + 1) * start
        + (s**3 - 2 * s**2 + s) * slope
        + (3 * s**2 - 2 * s**3) * 0.16
        + (s**3 - s**2) * -0.35
    )


def main(folder: Path = SAMPLES) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    sunset = beach()
    sunset.save(folder / "beach.jpg", quality=75, optimize=True)
    lighthouse().transpose(Image.Transpose.ROTATE_90).save(
        folder / "lighthouse.jpg", quality=75, optimize=True, exif=exif
    )
    mountains().save(folder / "mountains.jpg", quality=75, optimize=True)
    balloon().save(folder / "balloon.png", optimize=True)
    sunset.resize((640, 427), Image.Resampling.LANCZOS).save(folder / "notes.jpg", quality=75, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
