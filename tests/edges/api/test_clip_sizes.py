"""Clips that are too large, and disks without room for them."""

from __future__ import annotations

import errno
import io
import os

import pytest

from sorawatch.edges.api import TransferLimits
from sorawatch.edges.api.range_download import OVERLAP
from sorawatch.errors import Blocked, Deferred
from tests.edges.api.test_client import CLIP, Reply, reply, serving

OK = b"HTTP/1.1 200 OK\r\n"
TERABYTE = 1 << 40
LIMITS = TransferLimits(max_clip_bytes=len(CLIP))


class Writes(io.BytesIO):
    """A file that counts the bytes that were ever written to it."""

    written = 0

    def write(self, data: object, /) -> int:
        count = super().write(data)  # type: ignore[arg-type]
        self.written += count
        return count


def announced(size: int) -> Reply:
    return Reply(OK + b"Content-Length: %d\r\n\r\n" % size + CLIP, "hang")


def test_a_clip_that_announces_too_many_bytes_is_not_begun() -> None:
    part = Writes()
    with (
        serving(announced(len(CLIP) + 1), limits=LIMITS) as (_, api),
        pytest.raises(Deferred, match=r"larger than 0 MiB.*api\.max_clip_mb") as raised,
    ):
        api.download("v", part)
    assert part.written == 0
    # It counts, so that the job is held in the end and does not try for ever.
    assert not raised.value.affects_all


def test_a_clip_of_the_largest_size_is_taken() -> None:
    with serving(reply(200, CLIP), limits=LIMITS) as (_, api):
        assert api.download("v", io.BytesIO(), lambda: len(CLIP)) == len(CLIP)


def test_an_endless_clip_ends_at_the_largest_size() -> None:
    part = Writes()
    endless = Reply(OK + b"\r\n" + CLIP[:-1], "repeat", b"\xff" * 1000, 0)
    with serving(endless, limits=LIMITS) as (_, api), pytest.raises(Deferred, match="larger than"):
        api.download("v", part)
    assert part.written <= len(CLIP)
    assert part.getvalue() == b""


def test_a_clip_is_begun_only_if_there_is_room_for_all_of_it() -> None:
    part = Writes()
    with (
        serving(announced(TERABYTE), limits=TransferLimits(max_clip_bytes=2 * TERABYTE)) as (_, api),
        pytest.raises(Blocked, match="disk is full") as raised,
    ):
        api.download("v", part, lambda: TERABYTE - 1)
    assert part.written == 0
    assert raised.value.cause.temporary


def test_the_rest_of_a_clip_needs_room_only_for_the_rest() -> None:
    start = OVERLAP
    rest = reply(206, CLIP[start:], Content_Range=f"bytes {start}-{len(CLIP) - 1}/{len(CLIP)}")
    had = CLIP[: 2 * OVERLAP]
    with serving(rest) as (_, api):
        part = io.BytesIO(had)
        assert api.download("v", part, lambda: len(CLIP) - len(had)) == len(CLIP)
        part = io.BytesIO(had)
        with pytest.raises(Blocked):
            api.download("v", part, lambda: len(CLIP) - len(had) - 1)
    assert part.getvalue() == b""


def test_a_clip_of_unknown_length_is_dropped_when_only_the_reserve_is_left() -> None:
    part = Writes()
    room = 10 * len(CLIP)
    endless = Reply(OK + b"\r\n" + CLIP, "repeat", b"\xff" * 1000, 0)
    with serving(endless) as (_, api), pytest.raises(Blocked, match="disk is full"):
        api.download("v", part, lambda: room - part.written)
    assert part.written <= room
    assert part.getvalue() == b""


def test_what_was_downloaded_is_dropped_when_the_disk_is_full() -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            if self.tell() > OVERLAP:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(bytes(data)[:OVERLAP])  # type: ignore[call-overload]

    part = Full()
    with serving(reply(200, CLIP)) as (_, api), pytest.raises(Blocked, match="disk is full"):
        api.download("v", part)
    assert part.getvalue() == b""
