"""The lines that messages suggest."""

from __future__ import annotations

import pytest

from sorawatch.core.yaml_lines import (
    folded_key,
    instead,
    quoted,
    regular,
    rewritten,
    trimmed,
    unwrapped,
    with_comments,
    without_lines,
)


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("cat", "cat"),
        ('"cat"', "cat"),
        (" 'cat' ", "cat"),
        ("\u201ccat\u201d", "cat"),
        ("'it's a cat'", "it's a cat"),
        ("'the cats' dog'", "'the cats' dog'"),
        ('"She says "hi" to him"', 'She says "hi" to him'),
        ('""hi" she says"', '"hi" she says'),
        ('"cat" and "dog"', '"cat" and "dog"'),
        ("\u201ccat\u201d and \u201cdog\u201d", "\u201ccat\u201d and \u201cdog\u201d"),
        ("\"cat'", "\"cat'"),
        ('"cat', '"cat'),
        ('""', '""'),
        ('"', '"'),
        ("", ""),
    ],
)
def test_quotes_are_removed_only_around_the_whole_text(text: str, inner: str) -> None:
    assert unwrapped(text) == inner


def test_a_quoted_line_is_one_line() -> None:
    assert quoted("prompt", " it's\n\t'so'  ") == "prompt: 'it''s ''so'''"


def test_a_message_without_its_line_says_the_rest() -> None:
    message = f"{instead('Put it in quotes.', 'prompt: x')}\nanother problem\n{instead('Again.', 'fit: y')}"
    assert message == "Put it in quotes:\n    prompt: x\nanother problem\nAgain:\n    fit: y"
    assert without_lines(message) == "Put it in quotes:\nanother problem\nAgain:"


@pytest.mark.parametrize("key", ["prompt", "Prompt", "PROMPT", " prompt\xa0", "pro\u200bmpt", "\ufeffprompt"])
def test_the_form_in_which_keys_are_compared(key: str) -> None:
    assert folded_key(key) == "prompt"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\xa0\xa0prompt: x\n\u3000\tfit: y", "  prompt: x\n \tfit: y"),
        ("\u200b prompt:\u200bx", " prompt: x"),
        ("prompt\xa0:\xa0\t'x'\xa0", "prompt\xa0: 'x'\xa0"),
        ('  "prompt":\u3000x', '  "prompt": x'),
        ("- prompt:\xa0x", "- prompt: x"),
        ("prompt: x\xa0y\u200bz", "prompt: x\xa0y\u200bz"),
        ("prompt:\tx", "prompt:\tx"),
        ("prompt: a:\xa0b", "prompt: a:\xa0b"),
        ("a\x85b\u2028c\u2029d", "a b c d"),
    ],
)
def test_white_space_becomes_spaces_where_it_has_a_meaning(text: str, found: str) -> None:
    assert regular(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("\xa0 \u200b x \u200b\n\ufeff", "x"), ("\u200b", ""), ("", ""), ("x\u200by", "x\u200by"), ("x\u200d", "x\u200d")],
)
def test_what_is_trimmed(text: str, found: str) -> None:
    assert trimmed(text) == found


@pytest.mark.parametrize(
    ("before", "value", "after", "found"),
    [
        ("prompt: ", "cat", " #a b\nfit: y", "cat #a b"),
        ("prompt: ", "cat", "\t#a\r\n", "cat #a"),
        ("prompt: ", "cat", " # a", "cat # a"),
        ("prompt: ", "cat", "\n #a\n\n  #b c\n#d\n #e", "cat #a #b c"),
        ("prompt: ", "cat", " #a\r\r #b\rfit: x", "cat #a #b"),
        ("prompt: ", "cat\n  plays", " #a", "cat plays #a"),
        ("prompt: #a\n  ", "cat", "\n", "#a cat"),
        ("prompt:\n  #a\n\n  ", "cat", " #b\n", "#a cat #b"),
        ("prompt :", "", " #a", "#a"),
        ("prompt: ", "cat", "\n # a\n", ""),
        ("prompt: ", "cat", "\n ## a\n", ""),
        ("prompt: ", "cat", "\n#a\n", ""),
        ("prompt: ", "cat", "\n# x\n  #a\n", ""),
        ("prompt: ", "cat", "\nfit: x #a\n", ""),
        ("prompt:\n  # a\n  ", "cat", "", ""),
        ("prompt: ", "cat", "", ""),
        ("{prompt: ", "cat", ", fit: x #a\n}", ""),
    ],
)
def test_comments_that_may_belong_to_a_value(before: str, value: str, after: str, found: str) -> None:
    text = before + value + after
    key_end = before.index("prompt") + len("prompt")
    assert with_comments(text, len(before), len(before + value), key_end, 0) == found


def test_a_hashtag_continues_a_value_only_if_it_is_indented_more_than_its_key() -> None:
    text = "  prompt: cat\n  #fit: x\n"
    assert with_comments(text, 10, 13, 8, 2) == ""
    assert with_comments(text, 10, 13, 8, 1) == "cat #fit: x"


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a:\n  prompt: x: y \nb: 2\n", 2, [("prompt: 'x: y'", "a:\n  prompt: 'x: y'\nb: 2")]),
        ("prompt: x\n\n  more\nb: 2\n", 3, [("prompt: 'x more'", "prompt: 'x more'\nb: 2")]),
        (
            "prompt: x\n  y: z\n   w\nb: 2",
            2,
            [
                ("y: 'z w'", "prompt: x\n  y: 'z w'\nb: 2"),
                ("prompt: 'x y: z w'", "prompt: 'x y: z w'\nb: 2"),
            ],
        ),
        ("prompt: x\n \n  more\n", 3, [("prompt: 'x more'", "prompt: 'x more'")]),
        ("prompt: | # x\n", 1, []),
        ("prompt: >-\n  x\n y\n", 3, []),
        ("prompt:\n", 1, []),
        ("prompt:x", 1, [("prompt: x", "prompt: x"), ("prompt: 'x'", "prompt: 'x'")]),
        ("prompt\uff1a x #y", 1, [("prompt: 'x #y'", "prompt: 'x #y'")]),
        (" prompt:x\n\n", 2, [("prompt: x", " prompt: x\n"), ("prompt: 'x'", " prompt: 'x'\n")]),
        ("prompt:x\n\n\n", 3, []),
        ("https://x\n", 1, []),
        ("prompt: x", 0, []),
        ("prompt: x", 2, []),
    ],
)
def test_the_lines_that_could_replace_a_faulty_one(text: str, line: int, found: list[tuple[str, str]]) -> None:
    assert list(rewritten(text, line)) == found
