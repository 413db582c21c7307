"""What dialect files are made of: pointers, merge patches, tests of answers, placeholders, signs."""

from __future__ import annotations

from typing import Any

import pytest

from sorawatch.core.answer_tests import AnswerTest
from sorawatch.core.merge_patch import merged, merged_at
from sorawatch.core.placeholders import MISSING, aspect, fill, fill_address, names_in
from sorawatch.core.pointers import find_all, first
from sorawatch.core.signs import Sign, recognised

DOCUMENT = {"data": [{"url": "a"}, {"url": "b"}], "a/b": {"~": 1}, "none": None, "empty": ""}


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/data/0/url", ["a"]),
        ("/data/*/url", ["a", "b"]),
        ("/data/2/url", []),
        ("/data/-1/url", []),
        ("/a~1b/~0", [1]),
        ("/*/~0", [1]),
        ("/none", [None]),
        ("/data/x", []),
        ("", [DOCUMENT]),
    ],
)
def test_pointers(pointer: str, found: list[Any]) -> None:
    assert [*find_all(DOCUMENT, pointer)] == found


def test_the_first_pointer_that_finds_something_counts() -> None:
    assert first(DOCUMENT, ("/none", "/missing", "/empty", "/data/0/url")) == ""
    assert first(DOCUMENT, ("/missing",)) is None


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "foo"}, "bar", "bar"),
    ],
)
def test_merge_patches(target: object, patch: object, result: object) -> None:
    assert merged(target, patch) == result


def test_a_patch_at_a_pointer() -> None:
    assert merged_at({"input": {"a": 1}}, "/input", {"b": 2}) == {"input": {"a": 1, "b": 2}}
    assert merged_at({}, "/parameters", {"b": 2}) == {"parameters": {"b": 2}}
    assert merged_at({"a": 1}, "", {"b": 2}) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("words", "document", "passes"),
    [
        (("done",), {"s": "DONE"}, True),
        (("in progress",), {"s": "In-Progress"}, True),
        (("1", "8"), {"s": 8}, True),
        (("false",), {"s": False}, True),
        (("done",), {"s": "undone"}, False),
        (("done",), {}, False),
        (("present",), {"s": {"code": 1}}, True),
        (("present",), {"s": None}, False),
        (("present",), {"s": ""}, False),
        (("absent",), {}, True),
        (("absent",), {"s": 0}, False),
        (("*.mp4",), {"s": "Clip_1.MP4"}, True),
        (("*.mp4",), {"s": "clip.png"}, False),
    ],
)
def test_answers_are_tested(words: tuple[str, ...], document: object, passes: bool) -> None:
    assert AnswerTest("/s", words).passes(document) is passes


def test_presence_in_an_http_error_proves_nothing() -> None:
    assert not AnswerTest("/error", ("present",)).passes({"error": "busy"}, proves_presence=False)


def test_placeholders_keep_types_and_leave_out_what_has_no_value() -> None:
    template = {
        "n": "<seconds>",
        "t": "<seconds>s",
        "x": "<seed>",
        "list": ["<prompt>", "<seed>"],
        "deep": {"y": "<seed>"},
    }
    filled = fill(template, {"seconds": 5, "prompt": "a <seconds> b"})
    assert filled == {"n": 5, "t": "5s", "list": ["a <seconds> b"], "deep": {}}
    assert fill("<seed>", {}) is MISSING
    assert {*names_in(template)} == {"seconds", "seed", "prompt"}


def test_addresses_are_encoded() -> None:
    values = {"id": "a/b=c?", "answer/url": "https://x/y?z=1"}
    assert fill_address("/v/<id>", values) == "/v/a%2Fb%3Dc%3F"
    assert fill_address("/v/<id.raw>", values) == "/v/a/b%3Dc%3F"
    assert fill_address("<answer/url>", values) == "https://x/y?z=1"
    assert fill_address("/v/<tag>", values) is None


@pytest.mark.parametrize(
    ("width", "height", "ratio"), [(1280, 720, "16:9"), (704, 1280, "9:16"), (832, 480, "16:9"), (512, 512, "1:1")]
)
def test_ratios(width: int, height: int, ratio: str) -> None:
    assert aspect(width, height) == ratio


@pytest.mark.parametrize(
    ("words", "code", "status", "sign"),
    [
        ("exhausted balance", None, 403, Sign.CREDIT),
        ("", "1101", 429, Sign.CREDIT),
        ("too fast", "1303", 429, Sign.BUSY),
        ("", None, 402, Sign.CREDIT),
        ("", None, 400, None),
    ],
)
def test_signs_by_words_then_codes_then_statuses(words: str, code: str | None, status: int, sign: Sign | None) -> None:
    signs = ((Sign.BUSY, ("http 429",)), (Sign.CREDIT, (1101, "Exhausted balance", "http 402")))
    assert recognised(signs, words, code, status) is sign
