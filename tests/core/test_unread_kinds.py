from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorawatch.core.pairing import IMAGE_SUFFIXES
from sorawatch.core.unread_kinds import KINDS, kind_by_bytes, kind_by_name, raw_kind


@pytest.mark.parametrize(
    ("begins", "what"),
    [
        (b"II*\0\x10\0\0\0CR\2\0", "a raw photo of a Canon camera (CR2)"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw photo of a Canon camera (CR3)"),
        (b"FUJIFILMCCD-RAW 0201", "a raw photo of a Fujifilm camera (RAF)"),
        (b"\xff\x0a\xcb@", "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "a vector drawing (SVG)"),
        (b'\n<?xml version="1.0"?>\n<!-- Inkscape --><!DOCTYPE svg PUBLIC "-//W3C">\n<svg>', "a vector drawing (SVG)"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "a video"),
        (b"\x1aE\xdf\xa3\x01", "a video"),
        (b"<!DOCTYPE html>\n<html>", "a web page (HTML)"),
        (b"\n <HTML lang=en><head>", "a web page (HTML)"),
        (b"PK\3\4\x14\0", "a ZIP archive or an office document"),
    ],
)
def test_a_kind_is_found_by_its_first_bytes(begins: bytes, what: str) -> None:
    kind = kind_by_bytes(begins.ljust(5000, b"\0"))
    assert kind is not None
    assert kind.what == what
    assert kind.hint.endswith(".")


def test_a_name_says_the_kind_too() -> None:
    found = kind_by_name("Holiday/DSC_1.NEF")
    assert found is not None
    assert found.what == "a raw photo of a Nikon camera (NEF)"
    assert kind_by_bytes(b"") is None
    assert kind_by_name("notes.doc") is None
    assert kind_by_name("beach.jpg") is None
    assert all(kind_by_name(f"a{suffix}") is None for suffix in IMAGE_SUFFIXES)
    assert raw_kind("NIKON CORPORATION").what == "a raw photo of a Nikon camera (NEF)"
    assert raw_kind("").what == "a raw photo"


@given(st.binary(max_size=64))
def test_any_bytes_are_of_a_kind_or_not(data: bytes) -> None:
    kind = kind_by_bytes(data)
    assert kind is None or kind.begins


def test_no_expression_takes_long() -> None:
    for hostile in (
        b"<!---->" * 300,
        b"<!--->-->" * 300,
        b"<!--" * 600,
        b" " * 2048,
        b"<?xml " * 400,
        b"<!DOCTYPE" * 300,
    ):
        kind_by_bytes(hostile)
    assert all(re.compile(kind.begins, re.DOTALL) for kind in KINDS if kind.begins)
