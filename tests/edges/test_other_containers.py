"""Video files that are no whole MP4: what they are, and whether all of them is there. Each is really encoded."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorawatch.edges.mp4 import check
from sorawatch.edges.other_containers import examine
from sorawatch.errors import Deferred

MADE = {
    ".webm": ("webm", "libvpx-vp9", "yuv420p"),
    ".mkv": ("matroska", "libx264", "yuv420p"),
    ".avi": ("avi", "mpeg4", "yuv420p"),
    ".gif": ("gif", "gif", "rgb8"),
    ".apng": ("apng", "apng", "rgb24"),
    ".webp": ("webp", "libwebp_anim", "yuva420p"),
    ".ts": ("mpegts", "libx264", "yuv420p"),
    ".mpg": ("mpeg", "mpeg2video", "yuv420p"),
    ".flv": ("flv", "libx264", "yuv420p"),
    ".wmv": ("asf", "wmv2", "yuv420p"),
    ".mov": ("mov", "libx264", "yuv420p"),
}
SAYS_ITS_LENGTH = (".webm", ".mkv", ".avi", ".gif", ".apng", ".webp", ".ts")


@lru_cache
def encode(suffix: str, colour: int | None = None, **options: str) -> bytes:
    """12 frames, 320x240, of noise or of one grey."""
    container, codec, pixels = MADE[suffix]
    noise = np.random.default_rng(7)
    with TemporaryDirectory() as folder:
        path = Path(folder, "clip")
        with av.open(str(path), "w", format=container, options=options) as output:
            stream = output.add_stream(codec, 8)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 320, 240, pixels
            for _ in range(12):
                small = noise.integers(0, 255, (30, 40, 3), dtype=np.uint8)
                if colour is not None:
                    small = np.full_like(small, colour)
                frame = av.VideoFrame.from_ndarray(np.kron(small, np.ones((8, 8, 1), np.uint8)))
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return path.read_bytes()


def flaw(clip: bytes) -> str:
    found = examine(io.BytesIO(clip))
    assert found is not None
    return found.flaw


@pytest.mark.parametrize("suffix", MADE)
@pytest.mark.parametrize("colour", [None, 0, 128], ids=["noise", "black", "grey"])
def test_whole_files_have_no_flaw(suffix: str, colour: int | None) -> None:
    clip = encode(suffix, colour)
    found = examine(io.BytesIO(clip))
    if suffix == ".webp" and colour is not None:
        assert found is None  # pictures that are all the same become one, which is no video
        return
    assert found is not None
    assert (found.kind.suffix, found.flaw) == (suffix, "")
    assert (found.length, found.digest) == (len(clip), hashlib.sha256(clip).hexdigest())


@pytest.mark.parametrize("suffix", SAYS_ITS_LENGTH)
@pytest.mark.parametrize("missing", [1, 100, 10_000])
def test_files_that_are_cut_off_are_known(suffix: str, missing: int) -> None:
    assert flaw(encode(suffix)[:-missing]) == "it is cut off"


@pytest.mark.parametrize("suffix", MADE)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_files_whose_rest_is_zeros_are_known(suffix: str, share: float) -> None:
    clip = encode(suffix)
    kept = int(len(clip) * share)
    assert flaw(clip[:kept] + bytes(len(clip) - kept)) == "much of it is zeros"


@pytest.mark.parametrize("at", [30_000, (1 << 20) - 4096])
def test_a_hole_is_known_wherever_it_is(at: int) -> None:
    clip = encode(".ts") * 10
    assert flaw(clip) == ""
    assert flaw(clip[:at] + bytes(8192) + clip[at + 8192 :]) == "much of it is zeros"


def test_a_live_stream_says_no_length_and_may_still_be_cut_off() -> None:
    live = encode(".webm", live="1")
    assert flaw(live) == ""
    assert flaw(live[: len(live) // 2]) in {"", "it is cut off"}
    seekless = encode(".avi")[:4] + bytes(4) + encode(".avi")[8:]
    assert flaw(seekless[:-100]) == ""


@pytest.mark.parametrize("clip", [b"", b"<html>", b'{"a": 1}', b"\xff\xd8\xff\xe0 a picture", bytes(1000)])
def test_other_files_are_nothing(clip: bytes) -> None:
    assert examine(io.BytesIO(clip)) is None


@given(st.data())
def test_no_bytes_break_it(data: st.DataObject) -> None:
    clip = bytearray(encode(data.draw(st.sampled_from([".webm", ".avi", ".gif"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        clip[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    kept = data.draw(st.integers(0, len(clip)))
    for broken in (bytes(clip), bytes(clip[:kept]), b"\x1a\x45\xdf\xa3" + data.draw(st.binary(max_size=64))):
        examine(io.BytesIO(broken))


@pytest.mark.parametrize("suffix", sorted({*MADE} - {".mov"}))
def test_none_of_them_is_a_whole_mp4(suffix: str) -> None:
    with pytest.raises(Deferred):
        check(io.BytesIO(encode(suffix)))


def test_a_matroska_file_of_nothing_but_empty_elements_is_not_read_to_its_end() -> None:
    header = b"\x1a\x45\xdf\xa3\x88\x42\x82\x84webm\x00"

    class Counted(io.BytesIO):
        seeks = 0

        def seek(self, *args: int) -> int:
            self.seeks += 1
            return super().seek(*args)

    clip = Counted(header + b"\xec\x80" * 1_000_000)
    assert examine(clip) is not None
    assert clip.seeks < 200_000
