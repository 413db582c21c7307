"""The strict YAML of sidecars and configuration, judged by what a person who wrote it would read."""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sorawatch.core.yaml_tree import MAX_BYTES, Invalid, Node
from sorawatch.edges import yamlfile
from sorawatch.errors import Deferred


def plain(node: Node) -> Any:
    """The tree without its marks."""
    if isinstance(node.value, Mapping):
        return {key: plain(value) for key, value in node.value.items()}
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    return node.value


def load(text: str) -> Any:
    return plain(yamlfile.load(text.encode(), "beach.yaml"))


def refusal(data: bytes | str) -> str:
    with pytest.raises(Invalid) as caught:
        yamlfile.load(data if isinstance(data, bytes) else data.encode(), "beach.yaml")
    return str(caught.value)


class TestValues:
    @pytest.mark.parametrize(
        "written", ["yes", "no", "on", "Off", "y", "12:30", "1:20:30", "2024-01-01", "0x10", "0o7"]
    )
    def test_what_older_yaml_reinterprets_is_the_text_it_looks_like(self, written: str) -> None:
        assert load(f"prompt: {written}") == {"prompt": written}

    @pytest.mark.parametrize("written", ["1_000", ".inf", ".nan", "-.inf", "=", "<<", "1e", "+", "."])
    def test_what_only_resembles_a_number_is_text(self, written: str) -> None:
        assert load(f"prompt: {written}") == {"prompt": written}

    @pytest.mark.parametrize(
        ("written", "value"),
        [
            ("8", 8),
            ("-3", -3),
            ("007", 7),
            ("0.10", 0.1),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("true", True),
            ("False", False),
        ],
    )
    def test_numbers_and_truths(self, written: str, value: int | float | bool) -> None:
        found = load(f"key: {written}")["key"]
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize("written", ["", "~", "null", "NULL"])
    def test_nothing(self, written: str) -> None:
        assert load(f"key: {written}") == {"key": None}

    @pytest.mark.parametrize("quoted", ['"8"', "'8'", "|-\n  8", ">-\n  8"])
    def test_quoted_and_block_scalars_are_text(self, quoted: str) -> None:
        assert load(f"key: {quoted}") == {"key": "8"}

    def test_a_scalar_keeps_its_digits(self) -> None:
        tree = yamlfile.load(b"price: 0.10", "config.yaml")
        assert isinstance(tree.value, Mapping)
        assert tree.value["price"].text == "0.10"

    def test_every_value_stands_on_the_line_of_its_key(self) -> None:
        tree = yamlfile.load(
            b"# a comment\nvideo:\n  prompt: |\n    two\n    lines\n  sizes:\n    - 1\n    - 2\n", "c.yaml"
        )
        assert isinstance(tree.value, Mapping)
        video = tree.value["video"]
        assert isinstance(video.value, Mapping)
        sizes = video.value["sizes"]
        assert isinstance(sizes.value, tuple)
        assert [video.place, video.value["prompt"].place, sizes.place, sizes.value[1].place] == [
            "c.yaml line 2",
            "c.yaml line 3",
            "c.yaml line 6",
            "c.yaml line 8",
        ]

    @pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "null"])
    def test_an_empty_file_is_an_empty_mapping(self, text: str) -> None:
        assert load(text) == {}

    def test_a_byte_order_mark_and_windows_lines_are_tolerated(self) -> None:
        assert load("\ufeffprompt: Wellen\r\nseconds: 8\r\n") == {"prompt": "Wellen", "seconds": 8}

    def test_the_largest_file_is_read(self) -> None:
        head = b"prompt: "
        assert yamlfile.load(head + b"x" * (MAX_BYTES - len(head)), "beach.yaml")


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "anchor": (
        "a: &x 1\nb: 2\n",
        "beach.yaml line 1: uses an anchor (&) or alias (*), which is not supported. Write the value out; put text that"
        ' starts with "&" or "*" in quotes.',
    ),
    "alias": (
        "a: 1\nb: *slow\n",
        "beach.yaml line 2: uses an anchor (&) or alias (*), which is not supported. Write the value out; put text that"
        ' starts with "&" or "*" in quotes.',
    ),
    "emphasis": (
        "prompt: **slow** waves\n",
        "beach.yaml line 1, column 10: text starts with & or *, which YAML keeps for itself."
        " Put the whole text after the key in quotes, or correct the line.",
    ),
    "duplicate key": (
        "seconds: 4\nprompt: x\nseconds: 8\n",
        'beach.yaml line 3: has the key "seconds" a second time (first in line 1). Keep one of the two.',
    ),
    "duplicate key, quoted": (
        '1: 4\n"1": 8\n',
        'beach.yaml line 2: has the key "1" a second time (first in line 1). Keep one of the two.',
    ),
    "custom tag": (
        "a: !!python/object/apply:os.system [ls]\n",
        "beach.yaml line 1: uses a tag (!), which is not supported."
        ' Remove it; put text that starts with "!" in quotes.',
    ),
    "exclamation": (
        "prompt: !wow what waves\n",
        "beach.yaml line 1: uses a tag (!), which is not supported."
        ' Remove it; put text that starts with "!" in quotes.',
    ),
    "second document": (
        "a: 1\n---\nb: 2\n",
        'beach.yaml line 2: starts a second document. Remove the line "---" and what follows.',
    ),
    "only text": (
        "Gentle waves\n",
        'beach.yaml line 1: is not made of keys and values. Write it as lines of the form "key: value".',
    ),
    "list at the top": (
        "- a\n",
        'beach.yaml line 1: is not made of keys and values. Write it as lines of the form "key: value".',
    ),
    "list as a key": (
        "a: 1\n? [b, c]\n: 2\n",
        "beach.yaml line 2: has a list or mapping where a key is needed. Write a plain word before the colon.",
    ),
    "deep nesting": (
        "a: " + "[" * 5000,
        "beach.yaml line 1: is nested more than 16 levels deep. Remove the brackets.",
    ),
    "tab": (
        "video:\n\tprompt: x\n",
        "beach.yaml line 2, column 1: has a tab where YAML allows only spaces. Use spaces to indent.",
    ),
    "colon in the text": (
        "prompt: Scene: the waves\n",
        'beach.yaml line 1, column 14: has a second ": " in one line, or a wrong indentation.'
        " Put the whole text after the key in quotes, or correct the line.",
    ),
    "line without a key": (
        "prompt: waves\nslowly\nseconds: 8\n",
        'beach.yaml line 2, column 1: is not a key with a value. Write it as "key: value"; indent continued text.',
    ),
    "open quote": (
        'prompt: "waves\nseconds: 8\n',
        "beach.yaml line 1, column 9: a quote is opened and never closed. Close the quote.",
    ),
    "open bracket": (
        "sizes: [1, 2\n",
        "beach.yaml line 1, column 8: a bracket is opened and never closed. Close it, or put the text in quotes.",
    ),
    "text after a quote": (
        "prompt: 'waves' and sand\n",
        "beach.yaml line 1, column 17: is indented differently from the lines above it, or text follows a quote."
        " Put the whole text after the key in quotes, or correct the line.",
    ),
    "reserved character": (
        "prompt: @home\n",
        "beach.yaml line 1, column 9: a value starts with a character that YAML keeps for itself."
        " Put the whole text after the key in quotes, or correct the line.",
    ),
    "unknown escape": (
        'prompt: "C:\\wave"\n',
        "beach.yaml line 1, column 13: has an unknown escape after a backslash. Use single quotes instead of double.",
    ),
    "impossible escape": (
        'a: 1\nprompt: "\\UFFFFFFFF"\n',
        "beach.yaml line 2: is not valid YAML. Put the text of that line in single quotes.",
    ),
    "NUL by escape": (
        'a: 1\nprompt: "\\0"\n',
        "beach.yaml line 2: contains the control character U+0000. Remove that escape.",
    ),
    "half a surrogate pair": (
        'prompt: "\\uD800"\n',
        "beach.yaml line 1: contains the control character U+D800. Remove that escape.",
    ),
    "control character": (
        "a: 1\nprompt: x\x07\n",
        "beach.yaml line 2: contains the control character U+0007."
        " Remove that character, or save the file again as plain text in UTF-8.",
    ),
    "not UTF-8": (
        "a: 1\nprompt: Wellen über Sand\n".encode("latin-1"),
        "beach.yaml line 2: is not UTF-8 text (byte 0xfc). Save it with the encoding UTF-8.",
    ),
    "UTF-16": (
        "prompt: waves".encode("utf-16"),
        "beach.yaml line 1: is not UTF-8 text (byte 0xff). Save it with the encoding UTF-8.",
    ),
    "too large": (
        b"prompt: " + b"x" * MAX_BYTES,
        "beach.yaml: is larger than 64 KiB. Shorten it.",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_says_where_what_and_how_to_mend_it(kind: str) -> None:
    data, message = REFUSED[kind]
    assert refusal(data) == message


@given(
    st.binary(max_size=300)
    | st.text(alphabet="ab:,-?[]{}&*!|>'\"%@`#~<= \t\r\n\\xuU0\ufeff\x85…", max_size=80).map(str.encode)
)
@example(b"%YAML 1." + b"9" * 5000 + b"\n--- a: 1")
@example(b'? "\\U00110000"')
@example(b"\xef\xbb\xbf\xff")
@example(b"a: " + b"9" * 5000)
@example(b"? " * 3000)
@example(b"- " * 3000)
def test_any_bytes_give_a_mapping_or_our_own_error(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        assert isinstance(yamlfile.load(data, "beach.yaml").value, Mapping)


class TestRead:
    def test_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "beach.yaml"
        path.write_bytes(b"x" * MAX_BYTES)
        assert yamlfile.read(path) == b"x" * MAX_BYTES

    def test_a_large_file_is_refused_before_it_is_read_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "beach.yaml"
        with path.open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(Invalid, match=r"^beach\.yaml: is larger than 64 KiB\. Shorten it\.$"):
            yamlfile.read(path)

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("prompt: x")
        path = tmp_path / "beach.yaml"
        path.symlink_to("secret")
        with pytest.raises(Invalid, match=r"^beach\.yaml: is a symbolic link\. Put the file itself in its place\.$"):
            yamlfile.read(path)

    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
    def test_neither_a_pipe_nor_a_folder_is_waited_for(self, tmp_path: Path, make: Callable[[Path], None]) -> None:
        path = tmp_path / "beach.yaml"
        make(path)
        with pytest.raises(Invalid, match=r"^beach\.yaml: is not a regular file\. Put a plain file in its place\.$"):
            yamlfile.read(path)

    def test_a_file_that_vanished_is_no_verdict_on_it(self, tmp_path: Path) -> None:
        with pytest.raises(Deferred, match=r"beach\.yaml"):
            yamlfile.read(tmp_path / "beach.yaml")
