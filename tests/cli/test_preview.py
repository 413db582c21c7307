"""``sorawatch preview`` shows what would be bought, and touches nothing."""

from __future__ import annotations

import hashlib
import io
import os
import pty
import re
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from rich.style import Style

from sorawatch import config
from sorawatch.cli import preview
from sorawatch.core.order import Size
from sorawatch.edges.images import Thumbnail
from sorawatch.errors import UsageError
from tests.support.workspace import Workspace, picture


def test_it_writes_the_very_bytes_that_are_uploaded(workspace: Workspace) -> None:
    workspace.set("reference", background="#102030")
    order: dict[str, Any] = {"size": "auto", "fit": "pad", "seconds": 4}
    told = workspace.cli("preview", str(workspace.drop("jpeg.png", **order)))
    assert "Wrote jpeg.preview.jpg" in told
    assert "image/jpeg" in told
    for form, suffix in (("jpeg", "jpg"), ("png", "png"), ("webp", "webp")):
        workspace.set("reference", format=form)
        path = workspace.drop(f"{form}.png", **order)
        written = workspace.root / f"{form}.preview.{suffix}"
        if not written.exists():
            preview.write(config.load(workspace.write_config(), {}), path, written, None)
        assert workspace.run_once()
        video = workspace.simulator.ledger().videos[-1]
        assert video.reference_sha256 == hashlib.sha256(written.read_bytes()).hexdigest()
        with Image.open(written) as reference:
            assert reference.format == form.upper()
            found = np.asarray(reference.convert("RGB")).astype(int)[:, 0]
        assert np.abs(found - (0x10, 0x20, 0x30)).max() <= 4


def test_it_says_size_window_and_price(workspace: Workspace) -> None:
    picture(workspace.root / "wide.jpg", (3000, 1000))
    (workspace.root / "wide.yaml").write_text("size: portrait\nseconds: 12\nfocus: [0.9, 0.5]\n")
    told = workspace.cli("preview", "wide.jpg")
    assert "▀" not in told
    assert "3000x1000, as it is displayed" in told
    assert "562x1000 pixels at 2419,0 (focus: 0.9,0.5)" in told
    assert "720x1280, crop, image/jpeg" in told
    assert "upscaled 1.3×" in told
    assert "sora-2, 12 seconds, $1.20" in told


def test_it_uses_the_same_defaults_as_the_order(workspace: Workspace) -> None:
    dropped = workspace.drop("trips/spain/wide.jpg", prompt="")
    (workspace.inbox / "_defaults.yaml").write_text("prompt: waves\nsize: portrait\nseconds: 12\nfit: pad\n")
    (workspace.inbox / "trips" / "_Defaults.yml").write_text("size: landscape\nseconds: 8\n")
    (workspace.inbox / "trips" / "spain" / "_defaults.yaml").write_text("seconds: 4\n")
    told = workspace.cli("preview", "inbox/trips/spain/wide.jpg")
    assert "1280x720, pad, image/jpeg" in told
    assert "sora-2, 4 seconds" in told
    assert workspace.run_once()
    (video,) = workspace.simulator.ledger().videos
    assert (video.size, video.seconds) == ("1280x720", "4")
    written = (workspace.root / "wide.preview.jpg").read_bytes()
    assert video.reference_sha256 == hashlib.sha256(written).hexdigest()
    assert not dropped.exists()


def test_a_picture_elsewhere_has_the_defaults_beside_it(workspace: Workspace) -> None:
    picture(workspace.root / "elsewhere" / "wide.jpg")
    (workspace.root / "_defaults.yaml").write_text("seconds: 12\n")
    (workspace.root / "elsewhere" / "_defaults.yaml").write_text("size: portrait\n")
    told = workspace.cli("preview", "elsewhere/wide.jpg")
    assert "720x1280, crop" in told
    assert "sora-2, 8 seconds" in told


def test_it_refuses_what_the_daemon_would_refuse(workspace: Workspace) -> None:
    workspace.drop("wide.jpg")
    (workspace.inbox / "wide.txt").write_text("other waves")
    assert "wide.jpg has 2 sidecars" in workspace.cli("preview", "inbox/wide.jpg", status=1)


def test_an_unusable_sidecar_is_told_in_whole_sentences(workspace: Workspace) -> None:
    picture(workspace.root / "wide.jpg")
    (workspace.root / "wide.yaml").write_text("size: 999x1\n")
    told = workspace.cli("preview", "wide.jpg", status=1)
    assert "line 1, size: is 999x1" in told
    assert re.search(r"Allowed: [^.]+auto\. Correct", " ".join(told.split()))


def test_it_never_writes_where_that_would_be_bought_or_over_the_picture(workspace: Workspace) -> None:
    (workspace.inbox / "_defaults.yaml").write_text("prompt: waves\n")
    dropped = workspace.drop("beach.jpg", prompt="")
    original = dropped.read_bytes()
    outside = workspace.root / "beach.jpg"
    outside.write_bytes(original)
    os.link(outside, workspace.root / "same.jpg")
    assert "is in the inbox" in workspace.cli("preview", "inbox/beach.jpg", "-o", "inbox/seen.jpg", status=2)
    for path, output, told in (
        (dropped, dropped, "is in the inbox"),
        (outside, workspace.root / "same.jpg", "is the picture itself"),
        (outside, workspace.root / "nowhere/a.jpg", "Name another file with -o"),
    ):
        with pytest.raises(UsageError, match=told):
            preview.write(config.load(workspace.write_config(), {}), path, output, None)
    assert outside.read_bytes() == original
    assert set(workspace.files("inbox")) == {"_defaults.yaml", "beach.jpg"}


def on_a_terminal(workspace: Workspace, columns: int, **environment: str) -> str:
    """What a terminal of that width shows of ``preview halves.png``."""
    ours, its = pty.openpty()
    settings = {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "COLUMNS": str(columns),
        "LINES": "50",
        **environment,
    }
    process = workspace.spawn("preview", "halves.png", stdin=its, stdout=its, stderr=its, env=settings)
    os.close(its)
    shown = b""
    with suppress(OSError):  # Linux's way to say that nobody has the terminal open any more
        while more := os.read(ours, 65536):
            shown += more
    os.close(ours)
    assert process.wait(100) == 0
    return shown.decode()


def test_a_terminal_shows_the_picture_in_half_blocks(workspace: Workspace) -> None:
    chart = np.zeros((900, 1600, 3), np.uint8)
    chart[:450, :800], chart[:450, 800:] = (250, 20, 30), (20, 240, 30)
    chart[450:, :800], chart[450:, 800:] = (30, 40, 230), (240, 240, 10)
    Image.fromarray(chart).save(workspace.root / "halves.png")
    shown = on_a_terminal(workspace, 60)
    lines = [line for line in shown.splitlines() if "▀" in line]
    assert len(lines) == 17
    assert {line.count("▀") for line in lines} == {60}
    cells = [re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m(▀+)", line) for line in lines]

    def colour(line: int, column: int, lower: bool) -> np.ndarray:
        run = [cell for cell in cells[line] for _ in cell[6]]
        return np.array([int(part) for part in run[column][3 * lower : 3 * lower + 3]])

    for line, column, expected in (
        (1, 2, (250, 20, 30)),
        (1, 57, (20, 240, 30)),
        (15, 2, (30, 40, 230)),
        (15, 57, (240, 240, 10)),
    ):
        assert np.abs(colour(line, column, lower=False) - expected).max() <= 6
        assert np.abs(colour(line, column, lower=True) - expected).max() <= 6


@pytest.mark.parametrize(
    ("width", "height", "room"),
    [(200, 100, Size(72, 80)), (60, 30, Size(60, 40)), (39, 50, None), (80, 10, None)],
)
def test_the_picture_leaves_room_for_the_words(width: int, height: int, room: Size | None) -> None:
    console = Console(force_terminal=True, color_system="truecolor", width=width, height=height, file=utf8())
    assert preview.room(console) == room


def utf8() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


def test_a_terminal_without_half_blocks_shows_none() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert preview.room(Console(force_terminal=True, color_system="truecolor", width=80, height=50, file=file)) is None


@pytest.mark.parametrize(
    ("environment", "able"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"COLUMNS": "39"}, False),
    ],
)
def test_only_terminals_with_colours_and_room_show_one(environment: dict[str, str], able: bool) -> None:
    settings = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "50", **environment}
    console = Console(file=utf8(), force_terminal=True, _environ=settings)
    assert (preview.room(console) is not None) is able


def test_a_picture_of_odd_height_ends_with_its_last_row() -> None:
    text = preview.half_blocks(Thumbnail(Size(2, 3), bytes(range(18))))
    assert text.plain == "▀▀\n▀▀"
    last = text.spans[-1].style
    assert isinstance(last, Style)
    assert last.bgcolor is None
