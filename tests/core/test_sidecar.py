"""Sidecars and folder defaults: what becomes an order, and what a person reads when it does not."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sorawatch.config.dialect_file import shipped
from sorawatch.core.limits import Limits
from sorawatch.core.order import Aim, Fit, Focus, Model, Order, Point, Size, parse_focus
from sorawatch.core.sidecar import OrderSettings, make_order, read_prompt, read_settings
from sorawatch.core.yaml_tree import MAX_BYTES, Invalid
from sorawatch.edges import yamlfile
from sorawatch.errors import Problem, Rejected
from tests.support import texts

CONFIG = OrderSettings(
    model="sora-2",
    size=Size(1280, 720),
    seconds=8,
    fit=Fit.CROP,
    name="config.yaml",
    places={"model": "config.yaml line 9, video.model", "size": "config.yaml, video.size"},
)
LOCAL = Model("local", (Size(832, 480), Size(480, 832)), None)
CATALOGUE = {**shipped("openai").catalogue, "local": LOCAL, "square": Model("square", (Size(512, 512),), (2,))}


def settings(text: str, name: str = "beach.yaml") -> OrderSettings:
    return read_settings(yamlfile.load(text.encode(), name))


def order(text: str, *lower: OrderSettings) -> Order:
    return make_order([settings(text), *lower, CONFIG], CATALOGUE)


def refusal(*layers: OrderSettings) -> str:
    with pytest.raises(Rejected) as caught:
        make_order([*layers, CONFIG], CATALOGUE)
    assert caught.value.hint
    return str(caught.value)


class TestOrders:
    def test_a_prompt_is_enough(self) -> None:
        assert order("prompt: Gentle waves") == Order("Gentle waves", "sora-2", Size(1280, 720), 8, Fit.CROP, 0)

    def test_every_key(self) -> None:
        text = "prompt: Waves\nmodel: sora-2-pro\nsize: 1920x1080\nseconds: 12\nfit: blur\npriority: -3\n"
        assert order(text) == Order("Waves", "sora-2-pro", Size(1920, 1080), 12, Fit.BLUR, -3)

    @pytest.mark.parametrize(
        ("written", "focus"),
        [
            ("centre", Focus.CENTRE),
            ("edges", Focus.EDGES),
            ("[0.25, 1]", Point(0.25, 1.0)),
            ("[0, 0.333]", Point(0.0, 0.333)),
        ],
    )
    def test_a_focus(self, written: str, focus: Focus | Point) -> None:
        found = order(f"prompt: x\nfocus: {written}").focus
        assert found == focus
        assert parse_focus(str(found)) == focus

    @pytest.mark.parametrize("seconds", ["8", '"8"', "'8'", "08"])
    def test_seconds_may_be_quoted(self, seconds: str) -> None:
        assert order(f"prompt: x\nseconds: {seconds}").seconds == 8

    @pytest.mark.parametrize("size", ["720x1280", "720X1280", "720×1280", "720 x 1280", "'720x1280 '"])
    def test_a_size_may_be_written_as_people_write_it(self, size: str) -> None:
        assert order(f"prompt: x\nsize: {size}").size == Size(720, 1280)

    @pytest.mark.parametrize("aim", Aim)
    def test_a_size_may_be_left_open(self, aim: Aim) -> None:
        assert order(f"prompt: x\nsize: {aim}").size is aim

    @pytest.mark.parametrize("prompt", ["yes", "2024", "12:30", "2024-01-01", "0.10", "true", "'null'"])
    def test_a_prompt_is_taken_as_the_text_it_is(self, prompt: str) -> None:
        assert order(f"prompt: {prompt}").prompt == prompt.strip("'")

    def test_a_prompt_in_a_block_loses_only_the_space_around_it(self) -> None:
        assert order("prompt: |\n\n  Waves.\n  Leaves.\n\n").prompt == "Waves.\nLeaves."

    def test_a_model_without_fixed_seconds_takes_any(self) -> None:
        assert order("prompt: x\nmodel: local\nsize: 832x480\nseconds: 7").seconds == 7

    def test_a_text_file_is_the_prompt(self) -> None:
        layer = read_prompt("\ufeffGentle waves: slow,\r\nthen calm\n".encode(), "beach.txt")
        assert make_order([layer, CONFIG], CATALOGUE).prompt == "Gentle waves: slow,\nthen calm"


class TestLayers:
    def test_the_nearest_layer_that_says_something_decides(self) -> None:
        near = settings("prompt: near\nseconds: 12", "trip/day/_defaults.yaml")
        far = settings("prompt: far\nseconds: 4\nfit: pad\npriority: 2", "trip/_defaults.yaml")
        assert order("seconds: 4", near, far) == Order("near", "sora-2", Size(1280, 720), 4, Fit.PAD, 2)

    def test_a_folder_can_be_a_preset_without_sidecars(self) -> None:
        assert make_order([settings("prompt: preset", "_defaults.yaml"), CONFIG], CATALOGUE).prompt == "preset"

    def test_a_problem_names_the_file_that_the_bad_value_came_from(self) -> None:
        defaults = settings("fit: pad\nseconds: 5", "trip/_defaults.yaml")
        assert refusal(settings("prompt: x"), defaults) == (
            "trip/_defaults.yaml line 2, seconds: is 5, which sora-2 (named in config.yaml line 9, video.model)"
            " does not have. Allowed: 4, 8, 12."
        )

    def test_a_default_that_does_not_suit_the_sidecars_model_names_both(self) -> None:
        assert refusal(settings("prompt: x\nmodel: local")) == (
            "config.yaml, video.size: is 1280x720, which local (named in beach.yaml line 2, model) does not have."
            " Allowed: 832x480, 480x832, landscape, portrait, auto."
        )

    def test_a_bad_value_is_not_answered_by_a_lower_layer(self) -> None:
        defaults = settings("prompt: a preset that would be bought by mistake", "_defaults.yaml")
        assert refusal(settings("prompt:\n"), defaults).startswith("beach.yaml line 1, prompt: is empty.")

    def test_a_bad_layer_below_counts_too(self) -> None:
        assert "_defaults.yaml line 1, fit: " in refusal(settings("prompt: x"), settings("fit: 3", "_defaults.yaml"))


REFUSED = {
    "unknown key": (
        "promt: Waves\n",
        'beach.yaml line 1, promt: is not a known key. Did you mean "prompt"?'
        " Allowed: prompt, model, size, seconds, fit, focus, priority, fields.",
    ),
    "unknown key, like no other": (
        "prompt: x\ncolour: red\n",
        "beach.yaml line 2, colour: is not a known key. Allowed: prompt, model, size, seconds, fit, focus, priority, fields.",
    ),
    "prompt missing": (
        "seconds: 8\n",
        'beach.yaml, prompt: is missing. Write a line such as "prompt: what moves, and how the camera moves" in it,'
        " or in the _defaults.yaml of its folder.",
    ),
    "prompt empty": (
        "prompt: '  '\n",
        "beach.yaml line 1, prompt: is empty. Write some text after the colon, or remove the line.",
    ),
    "prompt a list": (
        "prompt: [waves, sand]\n",
        "beach.yaml line 1, prompt: is a list, but text is needed. Put the text in quotes:"
        "\n    prompt: '[waves, sand]'",
    ),
    "prompt too long": (
        f"prompt: {'x' * 32_001}\n",
        "beach.yaml line 1, prompt: has 32001 characters. Allowed: at most 32000.",
    ),
    "unknown model": (
        "prompt: x\nmodel: sora2\n",
        'beach.yaml line 2, model: is "sora2", which is not in the catalogue. Did you mean "sora-2"?'
        " Known: sora-2, sora-2-pro, local, square. Others can be added under models: in the configuration.",
    ),
    "model a mapping": (
        "prompt: x\nmodel: {name: sora-2}\n",
        "beach.yaml line 2, model: is a mapping, but text is needed. Write plain text, in quotes if in doubt.",
    ),
    "size the model lacks": (
        "prompt: x\nmodel: sora-2\nsize: 1920x1080\n",
        "beach.yaml line 3, size: is 1920x1080, which sora-2 does not have."
        " Allowed: 720x1280, 1280x720, landscape, portrait, auto.",
    ),
    "direction the model lacks": (
        "prompt: x\nmodel: square\nsize: portrait\nseconds: 2\n",
        "beach.yaml line 3, size: is portrait, which square does not have. Allowed: 512x512, landscape, auto.",
    ),
    "size of another form": (
        "prompt: x\nsize: 720p\n",
        'beach.yaml line 2, size: is "720p". Allowed: WIDTHxHEIGHT such as 1280x720, landscape, portrait, auto.',
    ),
    "size misspelt": (
        "prompt: x\nsize: Landscpe\n",
        'beach.yaml line 2, size: is "Landscpe". Did you mean "landscape"?'
        " Allowed: WIDTHxHEIGHT such as 1280x720, landscape, portrait, auto.",
    ),
    "size of nothing": (
        "prompt: x\nsize: 0x720\n",
        'beach.yaml line 2, size: is "0x720". Allowed: WIDTHxHEIGHT such as 1280x720, landscape, portrait, auto.',
    ),
    "seconds the model lacks": (
        "prompt: x\nmodel: sora-2\nseconds: 7\n",
        "beach.yaml line 3, seconds: is 7, which sora-2 does not have. Allowed: 4, 8, 12.",
    ),
    "seconds with a unit": (
        "prompt: x\nseconds: 8s\n",
        'beach.yaml line 2, seconds: is "8s". Allowed: a whole number of seconds, such as 8.',
    ),
    "seconds a fraction": (
        "prompt: x\nseconds: 7.5\n",
        "beach.yaml line 2, seconds: is 7.5. Allowed: a whole number of seconds, such as 8.",
    ),
    "seconds zero": (
        "prompt: x\nseconds: 0\n",
        "beach.yaml line 2, seconds: is 0. Allowed: a whole number of seconds, such as 8.",
    ),
    "seconds a list": (
        "prompt: x\nseconds: [4, 8]\n",
        "beach.yaml line 2, seconds: is a list. Allowed: a whole number of seconds, such as 8.",
    ),
    "seconds empty": (
        "prompt: x\nseconds:\n",
        "beach.yaml line 2, seconds: is nothing. Allowed: a whole number of seconds, such as 8.",
    ),
    "fit": (
        "prompt: x\nfit: Cropped\n",
        'beach.yaml line 2, fit: is "Cropped". Did you mean "crop"? Allowed: crop, pad, blur, stretch.',
    ),
    "focus": (
        "prompt: x\nfocus: center\n",
        'beach.yaml line 2, focus: is "center". Did you mean "centre"? Allowed: auto, centre, edges, or a point such as'
        " [0.5, 0.3]: fractions of the width and height.",
    ),
    **{
        f"focus {found}": (
            f"prompt: x\nfocus: {written}\n",
            f"beach.yaml line 2, focus: is {found}. Allowed: auto, centre, edges, or a point such as [0.5, 0.3]: fractions of"
            " the width and height, from the top left, each from 0 to 1.",
        )
        for written, found in {
            "[0.5]": "[0.5]",
            "[0.1, 0.2, 0.3]": "[0.1, 0.2, 0.3]",
            "[640, 360]": "[640, 360]",
            "[-0.1, 0.5]": "[-0.1, 0.5]",
            "[a, 0.5]": '["a", 0.5]',
            "[true, 0.5]": "[true, 0.5]",
            "[]": "[]",
        }.items()
    },
    "priority in words": (
        "prompt: x\npriority: high\n",
        'beach.yaml line 2, priority: is "high". Allowed: a whole number from -1000000 to 1000000.',
    ),
    "priority a truth": (
        "prompt: x\npriority: true\n",
        "beach.yaml line 2, priority: is true. Allowed: a whole number from -1000000 to 1000000.",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_says_file_line_key_value_and_what_is_allowed(kind: str) -> None:
    text, message = REFUSED[kind]
    assert refusal(settings(text)) == message


def test_all_problems_are_told_at_once() -> None:
    told = refusal(settings("promt: x\nsize: 99x99\nseconds: 8s\nfit: none\n"), settings("zoom: 1", "_defaults.yaml"))
    assert [line.partition(":")[0] for line in told.splitlines()] == [
        "beach.yaml line 1, promt",
        "beach.yaml line 3, seconds",
        "beach.yaml line 4, fit",
        "_defaults.yaml line 1, zoom",
        "beach.yaml line 2, size",
    ]


def test_a_misspelt_prompt_is_not_reported_as_missing_as_well() -> None:
    assert refusal(settings("promt: x")).count("\n") == 0


def test_a_long_value_is_shortened_in_the_message() -> None:
    assert refusal(settings(f"prompt: x\nfit: {'y' * 500}")).startswith(f'beach.yaml line 2, fit: is "{"y" * 57}..."')


class TestUnreadable:
    def test_only_its_own_problems_are_told(self) -> None:
        with pytest.raises(Invalid) as caught:
            yamlfile.load(b"seconds: 4\nseconds: 8\n", "beach.yaml")
        layer = OrderSettings.unreadable("beach.yaml", *caught.value.problems)
        assert refusal(layer) == (f'beach.yaml line 2: has the key "seconds" {texts.SECOND_TIME} 1). {texts.KEEP_ONE}')

    def test_several_problems_of_one_file(self) -> None:
        problems = (Problem("beach.yaml line 1", "is wrong", "Mend it."), Problem("beach.yaml line 2", "too", "Also."))
        assert refusal(OrderSettings.unreadable("beach.yaml", *problems)).count("\n") == 1


TEXT_REFUSED = {
    "empty": (b" \n\t\n", "beach.txt: is empty. Write what moves, and how the camera moves."),
    "not UTF-8": (
        "ok\nволны".encode("cp1251"),
        f"beach.txt line 2: is not UTF-8 text (byte 0xe2). {texts.SAVE_AS_UTF8}",
    ),
    "too large": (b"x" * (MAX_BYTES + 1), "beach.txt: is larger than 64 KiB. Shorten it."),
    "too long": (b"x" * 32_001, "beach.txt: has 32001 characters. Allowed: at most 32000."),
    "a picture": (
        b"\x00\x01",
        "beach.txt line 1: contains the control character U+0000."
        " Remove that character, or save the file again as plain text in UTF-8.",
    ),
}


@pytest.mark.parametrize("kind", TEXT_REFUSED)
def test_a_text_file_that_is_no_prompt(kind: str) -> None:
    data, message = TEXT_REFUSED[kind]
    assert refusal(read_prompt(data, "beach.txt")) == message


HASHTAGS = {
    "prompt: cat plays piano #funny #cat\n": "prompt: 'cat plays piano #funny #cat'",
    "seconds: 8\r\nprompt: cat\t#funny\r\nfit: pad\r\n": "prompt: 'cat #funny'",
    'prompt: it\'s # 1 of "many"\n': "prompt: 'it''s # 1 of \"many\"'",
    "Prompt: cat #funny: yes\n": "prompt: 'cat #funny: yes'",
    "prompt: cat plays\n  piano #funny\nseconds: 8\n": "prompt: 'cat plays piano #funny'",
    "prompt: cat\n\n  #funny\n  #cat\n# a comment\nseconds: 8\n": "prompt: 'cat #funny #cat'",
    "prompt:\n  #funny\n  cat plays\n": "prompt: '#funny cat plays'",
    "prompt: # what moves\n  cat plays\n": "prompt: '# what moves cat plays'",
    "prompt: ~ #funny\n": "prompt: '~ #funny'",
    "{prompt: cat #funny\n}": "prompt: 'cat #funny'",
}
"""Sidecars of which a part of the prompt would be a comment, and the line to write instead."""


class TestHashtags:
    @pytest.mark.parametrize("text", HASHTAGS)
    def test_a_prompt_that_a_comment_cuts_off_is_not_ordered(self, text: str) -> None:
        line = text[: text.lower().index("prompt")].count("\n") + 1
        assert refusal(settings(text)) == (
            f'beach.yaml line {line}, prompt: is cut off at " #", which begins a comment. Put a comment on a line of'
            f" its own, and text that belongs to the prompt in quotes:\n    {HASHTAGS[text]}"
        )

    @pytest.mark.parametrize("text", HASHTAGS)
    def test_the_line_to_write_gives_the_whole_prompt(self, text: str) -> None:
        line = HASHTAGS[text]
        assert order(line).prompt == line.removeprefix("prompt: '").removesuffix("'").replace("''", "'")

    @pytest.mark.parametrize("text", ["prompt: #funny\n", "seconds: 8\nprompt:\n  #funny\n", "prompt: #funny"])
    def test_a_prompt_of_hashtags_alone(self, text: str) -> None:
        told = refusal(settings(text))
        assert ', prompt: is empty, since " #" begins a comment. ' in told
        assert told.endswith("in quotes:\n    prompt: '#funny'")

    def test_folder_defaults_are_checked_too(self) -> None:
        told = refusal(settings("seconds: 8"), settings("prompt: cat #funny", "trip/_defaults.yaml"))
        assert told.startswith('trip/_defaults.yaml line 1, prompt: is cut off at " #"')

    @pytest.mark.parametrize(
        "text",
        [
            "prompt: cat\nseconds: 8 # short\nfit: crop #funny\n",
            "# a comment\nprompt: cat\n# another\n",
            "prompt: cat\n#seconds: 4\n",
            "prompt: cat\n  # what moves\n",
            "# prompt: dog\nprompt: cat",
            "prompt: 'cat' # a comment\n",
            'prompt: "cat" # a comment\n',
            "prompt: | # a comment\n  cat\n# another\n",
            "prompt: cat\nseconds: 8\n  #funny\n",
        ],
    )
    def test_other_comments_are_comments(self, text: str) -> None:
        assert order(text).prompt == "cat"

    @pytest.mark.parametrize(
        ("text", "prompt"),
        [
            ("prompt: cat#1 plays\n", "cat#1 plays"),
            ("prompt: 'cat #funny'\n", "cat #funny"),
            ("prompt: |\n  cat #funny\n  #cat\n", "cat #funny\n#cat"),
            ("prompt: >\n  cat\n  #cat\n", "cat #cat"),
        ],
    )
    def test_a_hashtag_that_cuts_nothing_is_part_of_the_prompt(self, text: str, prompt: str) -> None:
        assert order(text).prompt == prompt


class TestKeysInAnyCase:
    @pytest.mark.parametrize(
        "text", ["Prompt: cat\nSeconds: 4", "PROMPT: cat\nSECONDS : 4", "pro\u200bmpt: cat\n'seconds\xa0': 4"]
    )
    def test_are_accepted(self, text: str) -> None:
        found = order(text)
        assert (found.prompt, found.seconds) == ("cat", 4)

    def test_problems_are_told_as_usual(self) -> None:
        assert refusal(settings("Prompt: x\nFit: Cropped")).startswith('beach.yaml line 2, fit: is "Cropped".')

    def test_a_wrong_value_is_not_answered_by_a_lower_layer(self) -> None:
        assert refusal(settings("Prompt:\n"), settings("prompt: y", "_defaults.yaml")).startswith(
            "beach.yaml line 1, prompt: is empty."
        )

    @pytest.mark.parametrize(("first", "second"), [("prompt", "Prompt"), ("Prompt", "PROMPT")])
    def test_two_spellings_of_one_key_are_refused(self, first: str, second: str) -> None:
        assert refusal(settings(f"{first}: cat\n{second}: dog\n")) == (
            f'beach.yaml line 2, {second}: is the key "{first}" a second time (the other is in line 1).'
            f" {texts.KEEP_ONE}"
        )

    def test_the_exact_spelling_is_the_key(self) -> None:
        assert refusal(settings("Prompt: cat\nprompt: dog\n")) == (
            f'beach.yaml line 1, Prompt: is the key "prompt" a second time (the other is in line 2). {texts.KEEP_ONE}'
        )

    def test_limits_of_a_folder(self) -> None:
        tree = yamlfile.load(b"Limits: {In_Flight: 2}", "_defaults.yaml")
        assert read_settings(tree, of_folder=True).limits == Limits(in_flight=2)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("prompt: [slow motion]\n", "prompt: '[slow motion]'"),
        ("prompt: [it's,\n  slow] # a comment\nseconds: 8\n", "prompt: '[it''s, slow]'"),
        ("prompt: {cat: dog}\n", "prompt: '{cat: dog}'"),
    ],
)
def test_a_prompt_in_brackets_is_shown_in_quotes(text: str, line: str) -> None:
    assert refusal(settings(text)).endswith(f", but text is needed. Put the text in quotes:\n    {line}")
    assert order(line)


@pytest.mark.parametrize("text", ["prompt:\n  - cat\n  - dog\n", "prompt:\n  Scene: cat\n  Camera: slow\n"])
def test_a_prompt_of_several_parts_is_told_how_to_write_a_text(text: str) -> None:
    assert refusal(settings(text)).endswith('Write several lines of text indented below "prompt: |".')


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_the_encodings_of_windows(encoding: str) -> None:
    data = "prompt: W\u00e4lder \N{WATER WAVE}\r\nseconds: 4\r\n".encode(encoding)
    assert make_order([read_settings(yamlfile.load(data, "a.yaml")), CONFIG], CATALOGUE).seconds == 4
    layer = read_prompt("W\u00e4lder \N{WATER WAVE}\r\nslow".encode(encoding), "a.txt")
    assert make_order([layer, CONFIG], CATALOGUE).prompt == "W\u00e4lder \N{WATER WAVE}\nslow"


def test_invisible_characters_are_no_prompt() -> None:
    assert refusal(settings("prompt: '\u200b \ufeff'")).startswith("beach.yaml line 1, prompt: is empty.")
    assert refusal(read_prompt("\u200b\n\ufeff".encode(), "beach.txt")).startswith("beach.txt: is empty.")
    assert order("prompt: '\u200bcat\u2060 '").prompt == "cat"


def test_invisible_characters_of_a_wrong_value_are_shown() -> None:
    assert r'fit: is "cr\u200bop". Did you mean "crop"?' in refusal(settings("prompt: x\nfit: cr\u200bop"))


@pytest.mark.parametrize(
    "text",
    ["prompt: cat", "Prompt : cat\r\nseconds: 8", "model: sora-2\nprompt: cat", '{"prompt": "cat"}', "prompt\uff1acat"],
)
def test_yaml_in_a_text_file_is_not_ordered_as_a_prompt(text: str) -> None:
    assert refusal(read_prompt(text.encode(), "beach.txt")) == (
        'beach.txt: has a line that begins with "prompt:", although its whole text is the prompt.'
        ' Remove the word, or rename the file so that it ends with ".yaml".'
    )


@pytest.mark.parametrize("text", ["Prompt engineer at work: slow", "A prompt: cat", "prompts: cat", "cat #funny: a"])
def test_other_text_is_a_prompt(text: str) -> None:
    assert make_order([read_prompt(text.encode(), "beach.txt"), CONFIG], CATALOGUE).prompt == text


LINES = st.lists(
    st.tuples(
        st.sampled_from(["prompt", "model", "size", "seconds", "fit", "focus", "priority", "promt", "x"]),
        st.one_of(
            st.sampled_from(
                ["sora-2", "landscape", "1280x720", "8", "crop", "null", "[]", "{}", "1e999", "-1", "9" * 30]
            ),
            st.text(alphabet="x×08.-' ", max_size=6),
        ),
    ),
    max_size=6,
).map(lambda pairs: "\n".join(f"{key}: {value}" for key, value in pairs).encode())


@given(LINES | st.binary(max_size=100))
@example(b"size: 99999x99999\nprompt: x")
@example("seconds: ²\nprompt: x".encode())
@example("size: ١x٢\nprompt: x".encode())
def test_any_sidecar_becomes_an_order_or_is_rejected(data: bytes) -> None:
    try:
        layer = read_settings(yamlfile.load(data, "beach.yaml"))
    except Invalid as invalid:
        layer = OrderSettings.unreadable("beach.yaml", *invalid.problems)
    for each in (layer, read_prompt(data, "beach.txt")):
        with contextlib.suppress(Rejected):
            made = make_order([each, CONFIG], CATALOGUE)
            assert made.prompt == made.prompt.strip() != ""
            assert made.seconds in (CATALOGUE[made.model].seconds or [made.seconds])


def test_of_many_problems_ten_are_named_and_the_rest_counted() -> None:
    text = "prompt: waves\n" + "".join(f"key{number}: 1\n" for number in range(5_000))
    *named, left = refusal(settings(text)).splitlines()
    assert len(named) == 10
    assert left == "and 4990 more"
