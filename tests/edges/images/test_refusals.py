from __future__ import annotations

import os
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sorawatch.core.order import Aim, Fit, Size
from sorawatch.edges.images import Pool, ReferenceRequest
from sorawatch.errors import Damaged, Deferred, Rejected
from tests.support.malicious_images import grey_jpeg
from tests.support.pictures import FREE, RED, SMALL, SORA, flat, made, near, prepare, save


def rejected(
    path: Path,
    kind: type[Rejected] | type[Deferred] = Rejected,
    aim: Size | Aim = SMALL,
    fit: Fit = Fit.CROP,
    **options: Any,
) -> Rejected | Deferred:
    with pytest.raises(kind) as caught:
        prepare(path, FREE, aim, fit, **options)
    assert isinstance(caught.value, kind)
    return caught.value


def words(error: Rejected | Deferred) -> tuple[str, str]:
    assert isinstance(error, Rejected)
    return str(error), error.hint


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert words(rejected(tmp_path / "a.jpg")) == ("a.jpg is empty: it has 0 bytes", "Copy the picture again.")


def test_something_that_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"nonsense".ljust(5_000, b"."))
    assert words(rejected(tmp_path / "a.jpg")) == (
        "a.jpg is not a picture that can be read; it begins with 'nonsense'",
        "If a viewer can show it, save it as JPEG or PNG.",
    )


def test_another_kind_of_file_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"%PDF-1.7\n".ljust(5_000, b"."))
    error = rejected(tmp_path / "a.jpg")
    assert words(error) == ("a.jpg is a PDF document, which is not read", "Export the page as JPEG or PNG.")
    assert not isinstance(error, Damaged)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(4_096), "a.jpg has no picture in it: all its 4096 bytes are zeros"),
        (
            b"version 1\noid 12345\n",
            "a.jpg is not a picture that can be read; it begins with 'version ' and has only 20 bytes",
        ),
    ],
)
def test_what_stands_for_a_picture_that_is_only_online(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    assert words(rejected(tmp_path / "a.jpg")) == (
        reason,
        "Copy it again. If a cloud service keeps it online only, make it available offline there first.",
    )


def test_formats_that_run_programs_or_are_never_wanted_stay_closed(tmp_path: Path) -> None:
    for kind in ("EPS", "PCX", "TGA", "PPM", "SGI"):
        path = save(tmp_path, flat(RED), "a.jpg", format=kind)
        assert re.search("is not a picture that can be read|, which is not read", str(rejected(path))), kind


def test_heic_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, flat(RED), "IMG_1.HEIC", format="HEIF")
    (tmp_path / "pillow_heif.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with Pool() as bare, pytest.raises(Rejected) as caught:
        bare.prepare(tmp_path / "IMG_1.HEIC", ReferenceRequest(FREE, SMALL, Fit.CROP))
    assert words(caught.value) == (
        "IMG_1.HEIC is a HEIC picture, which needs an extra package",
        "Run: pip install 'sorawatch[heif]'. Or save the picture as a JPEG.",
    )


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff", "gif", "bmp", "avif", "heic"])
def test_a_picture_cut_off(tmp_path: Path, kind: str) -> None:
    data = save(tmp_path, Image.effect_noise((200, 200), 90).convert("RGB"), f"whole.{kind}").read_bytes()
    (tmp_path / f"a.{kind}").write_bytes(data[: len(data) * 2 // 3])
    reason, hint = words(rejected(tmp_path / f"a.{kind}"))
    assert reason.startswith(f"a.{kind} is damaged or cut off")
    assert hint.startswith("Copy it again, or ")
    rejected(tmp_path / f"a.{kind}", Damaged)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "gif", "avif", "heic"])
def test_a_picture_that_got_its_length_before_its_bytes(tmp_path: Path, kind: str) -> None:
    """As some file managers copy; decoders take zeros for pixels, so half a grey picture would be ordered."""
    data = save(tmp_path, Image.effect_noise((400, 400), 90).convert("RGB"), f"whole.{kind}").read_bytes()
    there = len(data) // 2
    (tmp_path / f"a.{kind}").write_bytes(data[:there].ljust(len(data), b"\0"))
    assert len(data) - there > 4096
    rejected(tmp_path / f"a.{kind}", Damaged)


def test_zeros_after_the_end_of_a_picture_are_nobodys_business(tmp_path: Path) -> None:
    for kind in ("jpg", "webp", "png"):
        path = save(tmp_path, Image.effect_noise((400, 400), 90).convert("RGB"), f"a.{kind}")
        path.write_bytes(path.read_bytes() + bytes(10_000))
        assert prepare(path, FREE, SMALL, Fit.CROP).size == SMALL
    black = save(tmp_path, flat((0, 0, 0), size=(200, 200)), "black.bmp")
    assert black.read_bytes().endswith(bytes(10_000))
    assert prepare(black, FREE, SMALL, Fit.CROP).size == SMALL


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A grey PNG of one bit a pixel."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(pixels, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "found"),
    [
        (13_000, 10_000, "13000x10000 pixels, which is 130 million"),
        (100_000, 100_000, "10000 million pixels"),
    ],
)
def test_too_many_pixels_are_refused_before_they_are_decoded(
    tmp_path: Path, width: int, height: int, found: str
) -> None:
    (tmp_path / "a.png").write_bytes(png(width, height))
    assert words(rejected(tmp_path / "a.png")) == (
        f"a.png has {found}; at most 128 million are decoded",
        "Save it smaller: a few thousand pixels a side are plenty.",
    )


def test_what_pillow_only_warns_of_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(30_000, 3_000, (b"\0" + b"\xff" * 3750) * 3_000))
    assert near(made(tmp_path / "a.png"), 255)


@pytest.mark.parametrize(("width", "height"), [(43_000, 5_000), (16_320, 12_240)])
def test_a_jpeg_of_200_million_pixels_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "a.jpg").write_bytes(grey_jpeg(width, height))
    assert near(made(tmp_path / "a.jpg"), 128)


def test_a_jpeg_is_limited_by_the_memory_that_its_decoder_needs(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(grey_jpeg(60_000, 20_000))
    assert words(rejected(tmp_path / "a.jpg", aim=Size(160, 90))) == (
        "a.jpg has 60000x20000 pixels and needs 2475 MB to be decoded; at most 1600 MB are allowed",
        "Save it smaller: a few thousand pixels a side are plenty.",
    )


def test_a_webp_needs_more_memory_and_may_be_smaller(tmp_path: Path) -> None:
    lossless = b"\x2f" + struct.pack("<I", (11_000 - 1) | (10_000 - 1) << 14) + bytes(64)
    body = b"WEBPVP8L" + struct.pack("<I", len(lossless)) + lossless + bytes(len(lossless) % 2)
    (tmp_path / "a.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert str(rejected(tmp_path / "a.webp")).startswith(
        "a.webp has 11000x10000 pixels, which is 110 million; at most 100 million"
    )


def test_a_huge_file_is_not_even_read(tmp_path: Path) -> None:
    with open(tmp_path / "a.tif", "wb") as file:
        file.truncate(513 << 20)
    assert words(rejected(tmp_path / "a.tif")) == (
        "a.tif has 513 MiB, which is more than 512 MiB",
        "Save it as a JPEG, or smaller.",
    )


def test_too_small_a_picture(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED, size=(150, 90)), "tiny.png")
    allowed = "at most 8× is allowed (reference.max_enlargement)"
    assert words(rejected(path, aim=Size(1280, 720))) == (
        f"tiny.png has 150x90 pixels and would be enlarged 8.6× to 1280x720; {allowed}",
        "Use a larger picture, or fit: pad.",
    )
    assert str(rejected(path, aim=Size(1290, 774), fit=Fit.PAD)).endswith(allowed)
    assert prepare(path, FREE, Size(1280, 720), Fit.PAD).note == "upscaled 8.0×"
    assert prepare(path, FREE, Size(1280, 720), Fit.CROP, max_enlargement=9).note == "upscaled 8.5×"
    dot = save(tmp_path, flat(RED, size=(1, 1)), "dot.png")
    assert words(rejected(dot, aim=Size(1280, 720), fit=Fit.PAD)) == (
        f"dot.png has 1x1 pixels and would be enlarged 720× to 1280x720; {allowed}",
        "Use a larger picture.",
    )


def test_a_panorama_is_padded_but_not_cropped(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED, size=(30_000, 10)), "panorama.png")
    assert prepare(path, SORA, Aim.AUTO, Fit.PAD).note == ""
    assert words(rejected(path, aim=Size(1280, 720)))[1] == "Use a larger picture, or fit: pad."


def link(path: Path) -> None:
    path.symlink_to(save(path.parent, flat(RED), "target.png"))


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (link, "a symbolic link"),
        (os.mkfifo, "a named pipe"),
        (Path.mkdir, "a folder"),
        (listener, "a socket"),
    ],
    ids=["link", "pipe", "folder", "socket"],
)
def test_only_files_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("a.png"))
    assert words(rejected(Path("a.png"))) == (f"a.png is {kind}, not a file", "Put the picture itself there.")


def test_a_file_that_is_gone_is_tried_again(tmp_path: Path) -> None:
    assert str(rejected(tmp_path / "a.png", Deferred)) == "a.png is gone: it was moved or deleted"


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root reads everything, so that it has to be somebody else for a while."""
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(uid)


def test_a_file_that_may_not_be_read_is_tried_again(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED), "a.png")
    path.chmod(0)
    with as_nobody(), pytest.raises(Deferred) as caught:
        prepare(path, FREE, SMALL, Fit.CROP)
    assert str(caught.value) == "a.png cannot be read: Permission denied. Let sorawatch's user read it"


def touch(path: Path) -> None:
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def replace(path: Path) -> None:
    other = path.with_name("b.png")
    other.write_bytes(b"not the same")
    os.replace(other, path)


@pytest.mark.parametrize("disturb", [touch, replace])
def test_a_file_that_changes_while_it_is_read_is_tried_again(tmp_path: Path, disturb: Callable[[Path], None]) -> None:
    path = tmp_path / "a.png"
    content = png(640, 360, (b"\0" + bytes(80)) * 360) + bytes(8 << 20)
    done = threading.Event()

    def keep_disturbing() -> None:
        while not done.is_set():
            disturb(path)

    path.write_bytes(content)
    disturber = threading.Thread(target=keep_disturbing)
    disturber.start()
    try:
        # A disturbance between two readings proves nothing: on until one falls into a reading.
        told = ""
        while not told:
            try:
                prepare(path, FREE, SMALL, Fit.CROP)
            except Deferred as error:
                told = str(error)
            except Rejected:
                path.write_bytes(content)
    finally:
        done.set()
        disturber.join()
    assert told == "a.png changed while it was read"
