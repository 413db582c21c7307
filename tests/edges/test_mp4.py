"""Whole MP4s pass, everything that servers send instead does not."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorawatch.edges.mp4 import NotWhole, check
from sorawatch.errors import Deferred


def encode(codec: str = "libx264", **options: str) -> bytes:
    """Eight frames of noise, 64x48, as an MP4 with the muxer's ``options``."""
    noise = np.random.default_rng(7)
    with TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, rate=8)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for _ in range(8):
                picture = noise.integers(0, 255, (48, 64, 3), dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode())
        return path.read_bytes()


WHOLE = encode()
FAST_START = encode(movflags="faststart")
FRAGMENTED = encode(movflags="frag_keyframe+empty_moov")


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def top_level(clip: bytes) -> dict[bytes, bytes]:
    """The last whole box of each type."""
    found, start = {}, 0
    while start < len(clip):
        size, kind = struct.unpack_from(">I4s", clip, start)
        found[kind] = clip[start : start + size]
        start += size
    return found


def refusal(clip: bytes) -> str:
    with pytest.raises(Deferred) as raised:
        check(io.BytesIO(clip))
    return str(raised.value)


def refused(clip: bytes) -> type[Deferred]:
    """The very class of the refusal."""
    with pytest.raises(Deferred) as raised:
        check(io.BytesIO(clip))
    return raised.type


@pytest.mark.parametrize(
    "clip", [WHOLE, FAST_START, FRAGMENTED, encode("mpeg4")], ids=["plain", "faststart", "fragmented", "mpeg4"]
)
def test_whole_clips_pass(clip: bytes) -> None:
    check(io.BytesIO(clip))


@pytest.mark.parametrize("index", [b"", bytes(64), box(b"mvhd", bytes(100))], ids=["empty", "nothing", "no tracks"])
def test_a_clip_whose_index_names_no_track_is_the_servers_affair(index: bytes) -> None:
    check(io.BytesIO(top_level(WHOLE)[b"ftyp"] + box(b"moov", index) + top_level(WHOLE)[b"mdat"]))


def test_an_open_ended_mdat_and_a_64_bit_size_are_legal() -> None:
    boxes = top_level(FAST_START)
    assert list(boxes)[-1] == b"mdat"
    head = FAST_START.removesuffix(boxes[b"mdat"])
    check(io.BytesIO(head + bytes(4) + boxes[b"mdat"][4:]))
    spare = box(b"free", bytes(8))
    wide = struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)
    check(io.BytesIO(WHOLE + spare + wide))


@pytest.mark.parametrize(
    "kept", [0, 4, 8, 20, 100, len(WHOLE) // 2, len(WHOLE) - 1], ids=["0", "4", "8", "20", "100", "half", "all but one"]
)
def test_truncated_clips_are_refused(kept: int) -> None:
    assert "not a whole MP4" in refusal(WHOLE[:kept])


@pytest.mark.parametrize("clip", [WHOLE, FAST_START], ids=["plain", "faststart"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_clips_whose_rest_is_zeros_are_refused(clip: bytes, share: float) -> None:
    kept = int(len(clip) * share)
    refusal(clip[:kept] + bytes(len(clip) - kept))


def test_zeros_in_the_middle_of_the_content_are_refused() -> None:
    start = FAST_START.index(b"mdat") + 4
    hole = start + (len(FAST_START) - start) // 3
    size = (len(FAST_START) - start) // 3
    assert "zeros" in refusal(FAST_START[:hole] + bytes(size) + FAST_START[hole + size :])


def test_a_zero_tail_within_the_last_frame_is_refused() -> None:
    assert "zeros" in refusal(FAST_START[:-40] + bytes(40))


@pytest.mark.parametrize(
    "clip",
    [
        b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>",
        b'{"error": {"message": "not ready"}}',
        WHOLE[4:],
        box(b"free", b"") + WHOLE,
        WHOLE + top_level(WHOLE)[b"moov"],
        top_level(WHOLE)[b"ftyp"] + top_level(WHOLE)[b"mdat"],
        top_level(WHOLE)[b"ftyp"] + top_level(WHOLE)[b"moov"],
        top_level(WHOLE)[b"ftyp"] + top_level(WHOLE)[b"moov"] + box(b"mdat", b""),
        top_level(WHOLE)[b"ftyp"] + top_level(WHOLE)[b"moov"] + box(b"mdat", b"another clip's content"),
    ],
    ids=[
        "html",
        "json",
        "headless",
        "no-ftyp-first",
        "two-moovs",
        "no-moov",
        "no-mdat",
        "empty-mdat",
        "foreign-mdat",
    ],
)
def test_what_is_no_clip_is_refused(clip: bytes) -> None:
    assert "not a whole MP4" in refusal(clip)


PADDINGS = {
    "newline": b"\n",
    "few nulls": bytes(3),
    "nulls": bytes(8),
    "a block of nulls": bytes(4096),
    "words": b"-- end of the file --",
    "spaces": b" " * 512,
    "high bytes": b"\xff" * 100,
}


@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS.keys())
@pytest.mark.parametrize("clip", [WHOLE, FAST_START, FRAGMENTED], ids=["plain", "faststart", "fragmented"])
def test_padding_behind_whole_boxes_is_no_fault(clip: bytes, padding: bytes) -> None:
    check(io.BytesIO(clip + padding))


@pytest.mark.parametrize("cut", [1, 5, 9, 40])
@pytest.mark.parametrize("kind", [b"moof", b"mdat", b"free"])
def test_a_last_box_that_is_cut_off_is_no_padding(kind: bytes, cut: int) -> None:
    last = box(kind, b"x" * 100)
    assert refused(FAST_START + last[: len(last) - cut]) is NotWhole
    assert refused(FAST_START + last[:6]) is NotWhole


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_a_fragmented_clip_whose_rest_is_zeros_is_refused(share: float) -> None:
    clip = encode(movflags="frag_every_frame+empty_moov")
    kept = int(len(clip) * share)
    assert refused(clip[:kept] + bytes(len(clip) - kept)) is NotWhole


def test_a_fragment_without_its_content_is_refused() -> None:
    clip = encode(movflags="frag_every_frame+empty_moov")
    last = clip.rindex(b"mdat") - 4
    assert refused(clip[:last]) is NotWhole
    assert refused(clip[:last] + bytes(len(clip) - last)) is NotWhole


MISSING = [WHOLE[:-1], WHOLE[: len(WHOLE) // 2], FAST_START[:-40] + bytes(40), b"", top_level(WHOLE)[b"ftyp"]]
ODD = [
    WHOLE + top_level(WHOLE)[b"moov"],
    box(b"free", bytes(8)) + FRAGMENTED,
    FRAGMENTED + top_level(FRAGMENTED)[b"moov"],
    b"\x1a\x45\xdf\xa3 a WebM",
    b"<html>",
]


@pytest.mark.parametrize(("clips", "kind"), [(MISSING, NotWhole), (ODD, Deferred)], ids=["missing", "odd"])
def test_missing_bytes_are_told_from_odd_ones(clips: list[bytes], kind: type[Deferred]) -> None:
    assert {refused(clip) for clip in clips} == {kind}


def test_missing_bytes_are_told_first_of_a_clip_with_several_faults() -> None:
    zeros = FAST_START[:-40] + bytes(40)
    assert refused(zeros + top_level(WHOLE)[b"moov"]) is NotWhole
    assert refused(box(b"free", b"") + WHOLE[:-1]) is NotWhole


@given(st.data())
def test_no_bytes_bring_anything_but_our_error(data: st.DataObject) -> None:
    clip = bytearray(FAST_START)
    for _ in range(data.draw(st.integers(1, 6))):
        clip[data.draw(st.integers(0, 1500))] = data.draw(st.integers(0, 255))
    kept = data.draw(st.integers(0, len(clip)))
    for broken in (bytes(clip), bytes(clip[:kept]), data.draw(st.binary(max_size=64))):
        with suppress(Deferred):
            check(io.BytesIO(broken))


def table(kind: bytes, *rows: int, form: str = "I") -> bytes:
    """A box with a table of numbers, one a row."""
    return box(kind, bytes(4) + struct.pack(f">I{len(rows)}{form}", len(rows), *rows))


def indexed(sizes: list[int], chunks: list[int], per_chunk: int) -> bytes:
    """A ``moov`` with one video track."""
    stbl = box(b"stsd", bytes(8) + box(b"avc1", b""))
    stbl += box(b"stsz", bytes(8) + struct.pack(f">I{len(sizes)}I", len(sizes), *sizes))
    stbl += table(b"stco", *chunks)
    stbl += box(b"stsc", bytes(4) + struct.pack(">4I", 1, 1, per_chunk, 1))
    media = box(b"hdlr", bytes(8) + b"vide") + box(b"minf", box(b"stbl", stbl))
    return box(b"moov", box(b"trak", box(b"mdia", media)))


FTYP = top_level(WHOLE)[b"ftyp"]
CHECK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
from sorawatch.edges.mp4 import check
from sorawatch.errors import Deferred
with open(sys.argv[1], "rb") as clip:
    try:
        check(clip)
    except Deferred as error:
        print(error)
"""


def check_in_little_memory(path: Path) -> str:
    """The refusal, or nothing, from a process that may take 400 MiB of addresses."""
    done = subprocess.run([sys.executable, "-c", CHECK, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "index",
    [
        box(b"moov", bytes(60 << 20)),
        indexed([0] * (15 << 20), [0], 1),
        indexed([], [0] * (3 << 20), 0),
        box(b"moov", box(b"free", b"") * (1 << 20)),
    ],
    ids=["zeros", "sizes", "chunks", "boxes"],
)
def test_large_indexes_take_little_memory(tmp_path: Path, index: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(FTYP + 3 * index + box(b"mdat", b"x" * 100))
    check_in_little_memory(path)


def test_a_large_index_is_odd_and_not_missing() -> None:
    assert "its index is" in refusal(FTYP + 3 * box(b"moov", bytes(6 << 20)) + box(b"mdat", b"x"))


def test_a_clip_of_an_hour_is_checked() -> None:
    count = 90_000
    content = box(b"mdat", b"x" * count)
    start = len(FTYP) + 8
    chunks = [start + number for number in range(count)]
    check(io.BytesIO(FTYP + content + indexed([1] * count, chunks, 1)))
    chunks[-1] += 1_000_000_000
    assert "is not there" in refusal(FTYP + content + indexed([1] * count, chunks, 1))


def test_samples_in_many_boxes_are_found_at_once() -> None:
    # With a search through all boxes for each sample, this would take hours.
    many = 90_000
    small = box(b"mdat", b"x") * many
    start = len(FTYP) + len(small) + 8
    index = indexed([1] * many, [start + number for number in range(many)], 1)
    check(io.BytesIO(FTYP + small + box(b"mdat", b"x" * many) + index))


def test_a_file_of_nothing_but_small_boxes_is_given_up() -> None:
    assert "more than 100000 boxes" in refusal(FTYP + box(b"free", b"") * 300_000)
    assert "more than 100000 boxes" in refusal(FTYP + box(b"mdat", b"x") + box(b"moov", box(b"free", b"") * 200_000))
    nested = box(b"trak", box(b"mdia", box(b"free", b"") * 10)) * 20_000
    assert "more than 100000 boxes" in refusal(FTYP + box(b"mdat", b"x") + box(b"moov", nested))
