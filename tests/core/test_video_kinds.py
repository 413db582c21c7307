"""What a file is by its first bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorawatch.core.video_kinds import HEAD, is_text, kind_of

TS = (b"\x47\x40\x11\x10" + bytes(184)) * 6
VIDEOS = {
    ".mp4": [
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        b"\0\0\0\x18styphlsf\0\0\0\0",
        b"\0\0\0\x08free\0\0\0\x20ftypisom",
        b"\0\0\1\0moof\0\0\0\x10mfhd",
    ],
    ".mov": [b"\0\0\0\x14ftypqt  \0\0\2\0", b"\0\0\0\x08wide\0\1\2\3mdat", b"\0\0\x10\0moov\0\0\0\x6cmvhd"],
    ".webm": [b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\xf7\x81\1\x42\x82\x84webm"],
    ".mkv": [b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska"],
    ".avi": [b"RIFF\x9c\x1a\2\0AVI LIST"],
    ".webp": [b"RIFF\x9c\x1a\2\0WEBPVP8X\x0a\0\0\0\x12\0\0\0"],
    ".gif": [b"GIF89a@\0\x30\0\xf7", b"GIF87a@\0\x30\0\xf7"],
    ".apng": [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17) + b"\0\0\0\x08acTL"],
    ".ts": [TS, TS[:HEAD], TS[:200]],
    ".mpg": [b"\0\0\1\xba\x21\0"],
    ".flv": [b"FLV\1\1\0\0\0\x09"],
    ".ogv": [b"OggS\0\2\0\0"],
    ".wmv": [b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9"],
}
NONE = {
    "empty": b"",
    "JSON": b'{"error": {"message": "not ready"}}',
    "web page": b"<!DOCTYPE html><html>",
    "words that look like a box": b"Are free clips allowed? No.",
    "words that look like packets": b"G" * 1000,
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17) + b"\0\0\1\0IDAT",
    "AVIF": b"\0\0\0\x20ftypavif\0\0\0\0",
    "HEIC": b"\0\0\0\x20ftypheic\0\0\0\0",
    "WebP": b"RIFF\x9c\x1a\2\0WEBPVP8X\x0a\0\0\0\x10\0\0\0",
    "simple WebP": b"RIFF\x9c\x1a\2\0WEBPVP8 \x0a\0\0\0",
    "WAV": b"RIFF\x9c\x1a\2\0WAVEfmt ",
    "MP3": b"ID3\4\0\0\0",
    "gzip": b"\x1f\x8b\x08\0\0\0",
    "zeros": bytes(1024),
    "one packet": b"\x47\x40\x11\x10",
}


@pytest.mark.parametrize(
    ("head", "suffix"), [(head, suffix) for suffix, heads in VIDEOS.items() for head in heads], ids=repr
)
def test_videos_are_known(head: bytes, suffix: str) -> None:
    kind = kind_of(head)
    assert kind is not None
    assert kind.suffix == suffix


@pytest.mark.parametrize("head", NONE.values(), ids=NONE.keys())
def test_anything_else_is_no_video(head: bytes) -> None:
    assert kind_of(head) is None


@given(st.text())
def test_text_is_text_wherever_it_is_cut(text: str) -> None:
    printable = "".join(each for each in text if each.isprintable() or each.isspace())
    data = printable.encode()
    assert all(is_text(data[:end]) for end in range(len(data) + 1))
    assert kind_of(data) is None


@pytest.mark.parametrize("data", [b"\0", b"words\0", b"\xff\xfe", b"caf\xe9 au lait", b"\x1b[31m"])
def test_other_bytes_are_no_text(data: bytes) -> None:
    assert not is_text(data)
