"""``sorawatch preview``: shows the reference image that would be uploaded, and the price of its clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.color import Color
from rich.console import Console, Group, RenderableType
from rich.style import Style
from rich.text import Text

from sorawatch.app.decoders import decoders
from sorawatch.cli.tables import details
from sorawatch.core.budget import dollars
from sorawatch.core.order import Fit, Order, Size
from sorawatch.daemon.intake.scan import order_of
from sorawatch.edges import images
from sorawatch.edges.inbox import Inbox
from sorawatch.errors import UsageError

if TYPE_CHECKING:
    from sorawatch.config import Config

_LARGEST = Size(72, 40)
"""The maximum columns and lines of the picture on a terminal."""
_LINES_BESIDE = 10
"""How many lines the terminal must have in addition to those of the picture."""
_LEAST_COLUMNS = 40


@dataclass(frozen=True, slots=True)
class Preview:
    """The reference image of an order, the path of its file, and the price in micro-dollars, or None if unknown."""

    order: Order
    reference: images.Reference
    price: int | None
    path: Path


def write(config: Config, image: Path, output: Path | None, thumbnail: Size | None) -> Preview:
    """Prepare a picture as the daemon would, wherever it is.

    The sidecar beside it holds, and the ``_defaults.yaml`` files of its folders in the inbox; elsewhere, of its folder.
    The reference is written to ``output``, else beside the picture, else, where that is the inbox, to the current
    folder; it comes with a small copy of at most ``thumbnail`` pixels.

    Raises:
        UsageError: if the file cannot be written.
        Rejected, Deferred, Blocked: if the picture cannot be prepared.
    """
    path = output or _beside(config, image)
    if _is_inside(path, config.folders.inbox):
        problem = f"{path} is in the inbox, where it would be ordered as a new picture"
        raise UsageError(f"{problem}. Name a file elsewhere with -o.")
    if path.exists() and image.exists() and path.samefile(image):
        raise UsageError(f"{path} is the picture itself. Name another file with -o.")
    order = _order(config, image)
    model = config.catalogue[order.model]
    request = images.ReferenceRequest(model, order.size, order.fit, order.focus, config.reference, thumbnail)
    with decoders(config) as pictures:
        reference = pictures.prepare(image, request)
    try:
        path.write_bytes(reference.data)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}. Name another file with -o.") from error
    return Preview(replace(order, size=reference.size), reference, model.price(reference.size, order.seconds), path)


def _order(config: Config, image: Path) -> Order:
    """A folder outside the inbox is read as if it were one."""
    inbox, folder = config.folders.inbox.resolve(), image.parent.resolve()
    root = inbox if folder.is_relative_to(inbox) else folder
    inside = "/".join(folder.relative_to(root).parts)
    scanned = Inbox(root, ignore=config.watch.ignore, settle_seconds=config.watch.settle_seconds)
    return order_of(scanned, inside, image.name, config.defaults, config.catalogue)


def _beside(config: Config, image: Path) -> Path:
    name = f"{image.stem}.preview{config.reference.format.suffix}"
    return Path(name) if _is_inside(image, config.folders.inbox) else image.with_name(name)


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def room(console: Console) -> Size | None:
    """The maximum size in pixels of a picture of half blocks on this terminal; None if it cannot show one."""
    width, height = min(console.width, _LARGEST.width), min(console.height - _LINES_BESIDE, _LARGEST.height)
    colours = not console.no_color and console.color_system in {"256", "truecolor"}
    supported = console.is_terminal and colours and console.encoding == "utf-8"
    return Size(width, 2 * height) if supported and width >= _LEAST_COLUMNS and height > 0 else None


def table(preview: Preview) -> RenderableType:
    """The output of the command, without the path."""
    reference, order = preview.reference, preview.order
    rows: list[tuple[str, str | Text]] = [("picture", f"{reference.source}, as it is displayed")]
    if reference.crop is not None:
        left, top, right, bottom = (round(edge) for edge in reference.crop)
        focus = f" (focus: {order.focus})" if order.fit is Fit.CROP else ""
        rows.append(("used of it", f"{right - left}x{bottom - top} pixels at {left},{top}{focus}"))
    kib = len(reference.data) / 1024
    price = "unknown" if preview.price is None else dollars(preview.price)
    rows += [
        ("reference", f"{reference.size}, {order.fit}, {reference.mime}, {kib:.0f} KiB"),
        ("note", reference.note),
        ("clip", f"{order.model}, {order.seconds} seconds, {price}"),
    ]
    facts = details(rows)
    return Group(half_blocks(reference.thumbnail), facts) if reference.thumbnail else facts


def half_blocks(thumbnail: images.Thumbnail) -> Text:
    """The picture as text. Each character shows two pixels: the half block the upper, the background the lower."""
    width, pixels = thumbnail.size.width, thumbnail.pixels
    colours = [Color.from_rgb(*pixels[start : start + 3]) for start in range(0, len(pixels), 3)]
    rows = [colours[start : start + width] for start in range(0, len(colours), width)]
    text = Text(no_wrap=True)
    for upper, lower in zip(rows[::2], [*rows[1::2], None], strict=False):
        for column, colour in enumerate(upper):
            text.append("▀", Style(color=colour, bgcolor=lower[column] if lower else None))
        text.append("\n")
    text.right_crop()
    return text
