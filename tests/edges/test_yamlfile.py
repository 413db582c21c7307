"""The strict YAML of sidecars and configuration, judged by what a person who wrote it would read."""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sorawatch.core.yaml_lines import quoted
from sorawatch.core.yaml_tree import MAX_BYTES, Invalid, Node
from sorawatch.edges import yamlfile
from sorawatch.errors import Deferred
from tests.support import texts


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

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
    def test_utf_16_with_a_byte_order_mark(self, encoding: str) -> None:
        mark = "" if encoding == "utf-16" else "\ufeff"
        data = f"{mark}prompt: Wellen \N{WATER WAVE}\r\nseconds: 8\r\n".encode(encoding)
        assert plain(yamlfile.load(data, "beach.yaml")) == {"prompt": "Wellen \N{WATER WAVE}", "seconds": 8}

    @pytest.mark.parametrize(
        ("written", "prompt"),
        [
            (r'"\ud83c\udf0a"', "\N{WATER WAVE}"),
            (r'"a \uD83D\uDE00\ud83c\udf0a b"', "a \N{GRINNING FACE}\N{WATER WAVE} b"),
            (r"'\ud83c\udf0a'", r"\ud83c\udf0a"),
            (r"\ud83c\udf0a", r"\ud83c\udf0a"),
        ],
    )
    def test_emoji_as_json_escapes_them(self, written: str, prompt: str) -> None:
        assert load(f"prompt: {written}") == {"prompt": prompt}
        if written.startswith('"'):
            assert load(f'{{"prompt": {written}}}') == {"prompt": prompt}

    @pytest.mark.parametrize(
        "text",
        [
            "prompt:\tcat\nseconds:\t8",
            "prompt: \t cat\t\nseconds: 8\t",
            "prompt\t: cat\n\t\nseconds\t:\t8\t# a comment\n\t# another\n",
            '{\n\t"prompt":\t"cat",\n\t"seconds":\t8\t\n}\t\n',
            '"prompt"\t:\t"cat"\t\n"seconds":\t8',
            "prompt: cat\nseconds: 8\n---\n",
            "prompt: cat\nseconds: 8\n---",
            "---\nprompt: cat\nseconds: 8\n---\n",
            "--- # a comment\nprompt: cat\nseconds: 8\n---\n# the end\n",
            "---\r\nprompt: cat\r\nseconds: 8\r\n...\r\n",
            "prompt: cat\nseconds: 8\n...\n---\n...\n",
            "\x85prompt: cat\x85\n\x85seconds: 8\x85\n",
            "\xa0prompt:\xa0cat\xa0\n\xa0seconds:\xa08\xa0\n",
            "prompt:\u3000cat\nseconds\u3000:\u30008",
            "\u200bprompt:\u200bcat\n\u200bseconds:\u200b 8\u200b",
            "prompt : cat\nseconds : 8",
            "\ufeff\ufeffprompt: cat\nseconds: 8",
            "prompt:\xa0'cat'\n\"seconds\":\xa08",
        ],
    )
    def test_what_can_have_only_one_meaning_is_accepted(self, text: str) -> None:
        assert load(text) == {"prompt": "cat", "seconds": 8}

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("video:\n\xa0\xa0prompt: cat", {"prompt": "cat"}),
            ("video:\n  prompt: |\n\xa0\xa0\xa0\xa0cat\n  \xa0 dog", {"prompt": "cat\ndog"}),
            ("video: cat\tdog", "cat\tdog"),
            ("video: cat\tplays\t\n  piano", "cat\tplays piano"),
            ("video: cat\x85dog\u2028mouse", "cat dog mouse"),
            ("video: cat\xa0#1 a\xa0!\u200b", "cat\xa0#1 a\xa0!"),
            ("video: '\xa0cat\u200b'", "\xa0cat\u200b"),
            ("video: \N{WOMAN}\u200d\N{HEAVY BLACK HEART}\ufe0f", "\N{WOMAN}\u200d\N{HEAVY BLACK HEART}\ufe0f"),
        ],
    )
    def test_white_space_in_text_stays(self, text: str, value: Any) -> None:
        assert load(text) == {"video": value}

    def test_the_largest_file_is_read(self) -> None:
        head = b"prompt: "
        assert yamlfile.load(head + b"x" * (MAX_BYTES - len(head)), "beach.yaml")


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "anchor": (
        "a: &x 1\nb: 2\n",
        "beach.yaml line 1: uses an anchor (&) or alias (*), which is not supported. Write the value out; put text that"
        ' starts with "&" or "*" in quotes:'
        "\n    a: '&x 1'",
    ),
    "alias": (
        "a: 1\nb: *slow\n",
        "beach.yaml line 2: uses an anchor (&) or alias (*), which is not supported. Write the value out; put text that"
        ' starts with "&" or "*" in quotes:'
        "\n    b: '*slow'",
    ),
    "emphasis": (
        "prompt: **slow** waves\n",
        "beach.yaml line 1, column 10: text starts with & or *, which YAML keeps for itself."
        " Correct the line, or put the whole text after the key in quotes:\n    prompt: '**slow** waves'",
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
        ' Remove it; put text that starts with "!" in quotes:'
        "\n    a: '!!python/object/apply:os.system [ls]'",
    ),
    "exclamation": (
        "prompt: !wow what waves\n",
        "beach.yaml line 1: uses a tag (!), which is not supported."
        ' Remove it; put text that starts with "!" in quotes:'
        "\n    prompt: '!wow what waves'",
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
        " Correct the line, or put the whole text after the key in quotes:\n    prompt: 'Scene: the waves'",
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
        "beach.yaml line 1, column 8: a bracket is opened and never closed. Close it, or put the text in quotes:"
        "\n    sizes: '[1, 2'",
    ),
    "text after a quote": (
        "prompt: 'waves' and sand\n",
        "beach.yaml line 1, column 17: is indented differently from the lines above it, or text follows a quote."
        " Correct the line, or put the whole text after the key in quotes:\n    prompt: '''waves'' and sand'",
    ),
    "reserved character": (
        "prompt: @home\n",
        "beach.yaml line 1, column 9: a value starts with a character that YAML keeps for itself."
        " Correct the line, or put the whole text after the key in quotes:\n    prompt: '@home'",
    ),
    "unknown escape": (
        'prompt: "C:\\wave"\n',
        "beach.yaml line 1, column 13: has an unknown escape after a backslash. Use single quotes instead of double:"
        "\n    prompt: 'C:\\wave'",
    ),
    "impossible escape": (
        'a: 1\nprompt: "\\UFFFFFFFF"\n',
        "beach.yaml line 2: is not valid YAML. Put the text of that line in single quotes:\n    prompt: '\\UFFFFFFFF'",
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
    "damaged UTF-8": (
        "a: 1\nprompt: Wellen über Sand in Köln\n".encode().replace(b"\xc3\xb6", b"\xb6"),
        "beach.yaml line 2: is not UTF-8 text (byte 0xb6). Save it with the encoding UTF-8.",
    ),
    **{
        f"the encoding {encoding}": (
            f"a: 1\nprompt: {prompt}\n".encode(encoding),
            f"beach.yaml line 2: is not UTF-8 text (byte 0x{prompt.encode(encoding)[0]:02x}). {texts.SAVE_AS_UTF8}",
        )
        for encoding, prompt in {
            "cp1251": "Волны на песке",
            "koi8-r": "Волны и ветер",
            "cp1253": "Ηλιοβασίλεμα",
            "cp1250": "źródło w górach",
            "shift-jis": "波が打ち寄せる砂浜",
            "gbk": "海浪轻轻拍打沙滩",
            "euc-kr": "해변의 파도",
        }.items()
    },
    "UTF-16 without a byte order mark": (
        "prompt: waves".encode("utf-16-le"),
        f"beach.yaml: is UTF-16 text without the byte order mark that would say so. {texts.SAVE_AS_UTF8}",
    ),
    "UTF-16 without a byte order mark, big-endian": (
        "\r\nprompt: Wellen über Sand".encode("utf-16-be"),
        f"beach.yaml: is UTF-16 text without the byte order mark that would say so. {texts.SAVE_AS_UTF8}",
    ),
    "UTF-16, cut off": (
        "prompt: waves".encode("utf-16")[:-1],
        f"beach.yaml line 1: is not UTF-16 text (byte 0x73). {texts.SAVE_AS_UTF8}",
    ),
    "UTF-32": (
        "prompt: waves".encode("utf-32"),
        "beach.yaml line 1: contains the control character U+0000."
        " Remove that character, or save the file again as plain text in UTF-8.",
    ),
    "text after a closing line": (
        "---\nprompt: waves\n---\nMore text\n",
        'beach.yaml line 3: starts a second document. Remove the line "---" and what follows.',
    ),
    "a second half of a surrogate pair alone": (
        'prompt: "\\udf0a\\ud83c"\n',
        "beach.yaml line 1: contains the control character U+DF0A. Remove that escape.",
    ),
    "a file that says prompt twice": (
        "prompt: waves\nprompt\xa0: hills\n",
        'beach.yaml line 2: has the key "prompt" a second time (first in line 1). Keep one of the two.',
    ),
    "tab before a key": (
        "\tprompt: waves\n",
        "beach.yaml line 1, column 1: has a tab where YAML allows only spaces. Use spaces to indent.",
    ),
    "tab before a continued line": (
        "prompt: waves\n\tslowly\n",
        "beach.yaml line 2, column 1: has a tab where YAML allows only spaces. Use spaces to indent.",
    ),
    "Markdown around it": (
        "```yaml\nprompt: waves\n```\n",
        "beach.yaml line 1, column 1: is Markdown and not YAML. Remove the lines that consist of ```.",
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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("prompt: cat's: `dog`\n", "prompt: 'cat''s: `dog`'"),
        ("seconds: 8\nprompt: {slow} cat\nfit: pad\n", "prompt: '{slow} cat'"),
        ("prompt: [slow] cat\n", "prompt: '[slow] cat'"),
        ("prompt: - cat\n", "prompt: '- cat'"),
        ("prompt: ? cat\n", "prompt: '? cat'"),
        ("prompt: | cat\n", "prompt: '| cat'"),
        ("prompt: > cat\n", "prompt: '> cat'"),
        ("prompt: % cat\n", "prompt: '% cat'"),
        ("prompt: `cat`\n", "prompt: '`cat`'"),
        ("prompt: *cat* dog\n", "prompt: '*cat* dog'"),
        ("prompt: &cat\n", "prompt: '&cat'"),
        ("prompt: , cat\n", "prompt: ', cat'"),
        ("prompt: : cat\n", "prompt: ': cat'"),
        ("prompt: Scene:  a\tcat  # 1\n", "prompt: 'Scene: a cat # 1'"),
        ("prompt: 'it's a cat'\n", "prompt: 'it''s a cat'"),
        ('prompt: "She says "hi" to: it"\n', "prompt: 'She says \"hi\" to: it'"),
        ('prompt: "cat" and "dog"\n', 'prompt: \'"cat" and "dog"\''),
        ("prompt: \u201ccat: dog\u201d\n", "prompt: 'cat: dog'"),
        ("prompt: \u201ccat\u201d: \u201cdog\u201d\n", "prompt: '\u201ccat\u201d: \u201cdog\u201d'"),
        ("prompt: Scene one\n  Scene: two\n\n  the end\nseconds: 8\n", "prompt: 'Scene one Scene: two the end'"),
        ("prompt: cat #funny\n  and more\nseconds: 8\n", "prompt: 'cat #funny and more'"),
        ("prompt: a: b\nfit: c: d\n", "prompt: 'a: b'"),
        ("video:\n  prompt: a: b\n", "prompt: 'a: b'"),
        ("prompt:cat\n", "prompt: cat"),
        ("prompt:it's a cat #1\n", "prompt: 'it''s a cat #1'"),
        ("seconds: 8\nprompt:cat\nfit: pad\n", "prompt: cat"),
        ("prompt:cat\nfit: pad\nseconds: 8\n", "prompt: cat"),
        ("prompt\uff1acat\n", "prompt: cat"),
        ("prompt:cat\nseconds:8\n", "prompt: cat"),
    ],
)
def test_the_line_to_write_is_shown_in_full(text: str, line: str) -> None:
    assert refusal(text).endswith(f":\n    {line}")


@pytest.mark.parametrize(
    "text",
    [
        "prompt: |\n    a\n  b: c\n",
        "prompt: x\n- y\n",
        "a: b: c\na: d\n" * 2,
        "prompt: 'tis the season\n",
        "https://example.org\n",
    ],
)
def test_no_line_is_shown_that_would_be_wrong_as_well(text: str) -> None:
    message = refusal(text)
    assert "\n" not in message or message.endswith("\n    a: 'b: c'")


def test_a_confidential_file_is_not_quoted() -> None:
    with pytest.raises(Invalid) as caught:
        yamlfile.load(b"headers: Key: secret", "config.yaml", confidential=True)
    assert "secret" not in str(caught.value)


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=40))
@example("it's #1: \\ \"x\" '")
def test_a_quoted_line_gives_the_text_that_it_quotes(text: str) -> None:
    assert load(quoted("prompt", text)) == {"prompt": " ".join(text.split())}


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
        with pytest.raises(
            Invalid, match=r"^beach\.yaml: is a symbolic link, not a file\. Put the file itself in its place\.$"
        ):
            yamlfile.read(path)

    @pytest.mark.parametrize(("make", "kind"), [(os.mkfifo, "a named pipe"), (os.mkdir, "a folder")])
    def test_neither_a_pipe_nor_a_folder_is_waited_for(
        self, tmp_path: Path, make: Callable[[Path], None], kind: str
    ) -> None:
        path = tmp_path / "beach.yaml"
        make(path)
        with pytest.raises(
            Invalid, match=rf"^beach\.yaml: is {kind}, not a file\. Put the file itself in its place\.$"
        ):
            yamlfile.read(path)

    def test_a_file_that_vanished_is_no_verdict_on_it(self, tmp_path: Path) -> None:
        with pytest.raises(Deferred, match=r"beach\.yaml"):
            yamlfile.read(tmp_path / "beach.yaml")


@pytest.mark.parametrize(
    "prompt",
    [
        "Wellen über den Füßen, größer wie früher",
        "vagues à l'été, cœur – “doux”",
        "mañana en la playa, ¿qué tal?",
        "château d’eau, 35 °C, 20 € à l'entrée",
        "blåbær på øya, Ærø",
    ],
)
def test_windows_1252_is_read_as_what_it_can_only_be(prompt: str) -> None:
    text = f"prompt: {prompt}\nseconds: 8\n"
    assert plain(yamlfile.load(text.encode("cp1252"), "beach.yaml")) == load(text)
