"""Draws the README's pictures from a real run of the demo: ``python tests/record_demo.py``."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import av
from PIL import Image, ImageOps
from rich.console import Console

from sorawatch.cli import demo

HERE = Path(__file__).parents[1] / ".github"
WIDTH, HEIGHT, GAP = 400, 300, 8


def main() -> None:
    """Run the demo and write ``demo.svg`` and ``clips.jpg``."""
    console = Console(record=True, width=110, highlight=False, file=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "sorawatch-demo"
        demo.run(here, console)
        sheet(here).save(HERE / "clips.jpg", quality=85)
    text = console.export_svg(title="sorawatch demo").replace(folder, "/home/you")
    (HERE / "demo.svg").write_text(text)


def sheet(demo_folder: Path) -> Image.Image:
    """The dropped pictures above, the last frames of their clips below."""
    stems = ("beach", "lighthouse", "balloon", "mountains")
    canvas = Image.new("RGB", (len(stems) * (WIDTH + GAP) - GAP, 2 * HEIGHT + GAP), "white")
    for column, stem in enumerate(stems):
        (source,) = (demo_folder / "processed").glob(f"{stem}.[jp]*g")
        with Image.open(source) as image:
            paste(canvas, ImageOps.exif_transpose(image).convert("RGBA"), column, 0)
        with av.open(str(demo_folder / "outbox" / f"{stem}.mp4")) as clip:
            *_, last = clip.decode(video=0)
            paste(canvas, Image.fromarray(last.to_ndarray(format="rgb24")).convert("RGBA"), column, 1)
    return canvas


def paste(canvas: Image.Image, image: Image.Image, column: int, row: int) -> None:
    """Put a picture into its cell, whole."""
    image.thumbnail((WIDTH, HEIGHT))
    left = column * (WIDTH + GAP) + (WIDTH - image.width) // 2
    canvas.paste(image, (left, row * (HEIGHT + GAP) + (HEIGHT - image.height) // 2), image)


if __name__ == "__main__":
    main()
