"""The lines that messages suggest."""

from __future__ import annotations

import pytest

from sorawatch.core.yaml_lines import folded_key, instead, quoted, unwrapped, without_lines


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
