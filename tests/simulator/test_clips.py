"""The MP4 that is made: its shape, its marks, its structure."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable

import av
import numpy as np
import pytest
from PIL import Image, ImageChops

from sorawatch.simulator.clip_encoder import ClipKey, RenderingStoppedError, render


def key(reference: bytes, width: int, height: int, seconds: int = 4, rate: int = 2) -> ClipKey:
    return ClipKey(hashlib.sha256(reference).hexdigest(), width, height, seconds, rate)


def frames(clip: bytes) -> list[Image.Image]:
    with av.open(io.BytesIO(clip), "r") as container:
        return [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def boxes(clip: bytes) -> list[str]:
    """The types of the top-level boxes; raises if they do not tile the file exactly."""
    found, at = [], 0
    while at < len(clip):
        size, kind = struct.unpack_from(">I4s", clip, at)
        assert 8 <= size <= len(clip) - at
        found.append(kind.decode())
        at += size
    return found


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    histogram = ImageChops.difference(one, other).convert("L").histogram()
    return sum(level * count for level, count in enumerate(histogram)) / sum(histogram)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280), (1080, 1920), (1792, 1024)])
def test_a_clip_has_the_ordered_size_and_length(picture: Callable[..., bytes], width: int, height: int) -> None:
    reference = picture(width, height)

    clip = render(reference, key(reference, width, height, seconds=4, rate=2), lambda: False)

    with av.open(io.BytesIO(clip), "r") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (width, height)
        assert container.duration == 4_000_000
        assert len([*container.decode(video=0)]) == 8


def test_a_clip_says_in_its_metadata_that_it_is_simulated(picture: Callable[..., bytes]) -> None:
    reference = picture(64, 48)

    clip = render(reference, key(reference, 64, 48), lambda: False)

    with av.open(io.BytesIO(clip), "r") as container:
        text = "Simulated by sorawatch; not a real generation"
        assert (container.metadata["title"], container.metadata["comment"]) == (text, text)


def test_a_clip_starts_playing_before_it_is_wholly_there(picture: Callable[..., bytes]) -> None:
    reference = picture(320, 240)

    kinds = boxes(render(reference, key(reference, 320, 240), lambda: False))

    assert kinds[0] == "ftyp"
    assert kinds.index("moov") < kinds.index("mdat")


def test_every_frame_carries_the_label_in_its_corner(picture: Callable[..., bytes]) -> None:
    white = io.BytesIO()
    Image.new("RGB", (1280, 720), "white").save(white, "PNG")

    clip = render(white.getvalue(), key(white.getvalue(), 1280, 720), lambda: False)

    for frame in frames(clip):
        grey = frame.convert("L")
        legend = np.asarray(grey.crop((0, 0, 260, 70)))
        assert legend.min() < 130 < 225 < legend.max()
        assert np.asarray(grey.crop((640, 0, 1280, 720))).min() > 225


def test_the_first_frame_is_the_picture_and_the_last_is_closer(picture: Callable[..., bytes]) -> None:
    reference = picture(640, 480)
    with Image.open(io.BytesIO(reference)) as opened:
        original = opened.convert("RGB")
    # The label is in the upper left.
    lower_right = (320, 240, 640, 480)

    first, *_, last = frames(render(reference, key(reference, 640, 480), lambda: False))

    assert mean_difference(first.crop(lower_right), original.crop(lower_right)) < 3
    across, down = 640 * (1 - 1 / 1.12) / 2, 480 * (1 - 1 / 1.12) / 2
    inner = original.resize(original.size, box=(across, down, 640 - across, 480 - down))
    assert mean_difference(last.crop(lower_right), inner.crop(lower_right)) < 3
    assert mean_difference(last.crop(lower_right), original.crop(lower_right)) > 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_every_mode_become_clips(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (64, 48)).save(out, "JPEG" if mode == "CMYK" else "PNG")

    assert len(frames(render(out.getvalue(), key(out.getvalue(), 64, 48), lambda: False))) == 8


def test_the_same_order_gives_the_same_bytes(picture: Callable[..., bytes]) -> None:
    reference = picture(320, 240)

    once, again = (render(reference, key(reference, 320, 240), lambda: False) for _ in range(2))

    assert once == again


def test_rendering_stops_when_nobody_waits(picture: Callable[..., bytes]) -> None:
    reference = picture(64, 48)

    with pytest.raises(RenderingStoppedError):
        render(reference, key(reference, 64, 48), lambda: True)
