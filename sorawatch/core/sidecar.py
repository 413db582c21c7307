"""Makes an order from layers of settings: the sidecar, then the defaults of its folders, then the configuration.

Nothing here raises at the first mistake: each layer carries its problems, and ``make_order`` reports the problems of
all layers together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from sorawatch.core.limits import Limits, read_limits
from sorawatch.core.order import Aim, Fit, Focus, Model, Order, Point, Size
from sorawatch.core.order_fields import layered, to_text
from sorawatch.core.value_checks import (
    Check,
    CheckError,
    Findings,
    Section,
    choice,
    describe,
    did_you_mean,
    integer,
    suggest,
    text,
)
from sorawatch.core.yaml_lines import trimmed
from sorawatch.core.yaml_tree import Invalid, Node, decode, plain
from sorawatch.errors import Problem, Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PROMPT = 32_000
"""Characters: ``maxLength`` in the OpenAPI schema of the API."""
MAX_SIDE = 8192
"""Pixels: larger than any model offers, and small enough to process."""
MAX_SECONDS = 3600
MAX_PRIORITY = 1_000_000
_MOST_PROBLEMS = 10
"""How many problems an error names; the rest are counted."""

KEYS = ("prompt", "model", "size", "seconds", "fit", "focus", "priority", "fields")
SIZE_FORM = "Allowed: WIDTHxHEIGHT such as 1280x720"

_PROMPT_KEY = re.compile(r"^[\s{]*[\"']?prompt[\"']?\s*[:\uff1a]", re.MULTILINE | re.IGNORECASE)
"""YAML or JSON in a ``.txt`` file, which would be ordered as it stands, with its keys."""
_SECONDS = re.compile(r"[0-9]{1,4}", re.ASCII)
_SIZE = re.compile(r"\s*([0-9]{1,5})\s*[xX×]\s*([0-9]{1,5})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """One layer of settings for an order; None for a key that the layer does not set.

    ``places`` has, for messages, the place of every key that the layer sets. A key with a place but without a value is
    wrong: ``problems`` says why, and lower layers do not replace it.
    """

    prompt: str | None = None
    model: str | None = None
    size: Size | Aim | None = None
    seconds: int | None = None
    fit: Fit | None = None
    focus: Focus | Point | None = None
    priority: int | None = None
    fields: str | None = None
    """The server's own parameters, as JSON."""
    name: str = field(default="", compare=False)
    """The name of the file for messages."""
    places: Mapping[str, str] = field(default_factory=dict, compare=False)
    problems: tuple[Problem, ...] = ()
    limits: Limits | None = field(default=None, compare=False)
    """The limits of a ``_defaults.yaml``; None for other files, and if the limits cannot be read."""

    @classmethod
    def unreadable(cls, name: str, *problems: Problem) -> OrderSettings:
        """A layer that could not be read: it may set any key, so no lower layer applies. ``problems`` are reported."""
        return cls(name=name, places=MappingProxyType(dict.fromkeys(KEYS, name)), problems=problems)

    def sets(self, key: str) -> bool:
        """Whether the layer sets this key, even to a wrong value."""
        return key in self.places or getattr(self, key) is not None

    def where(self, key: str) -> str:
        """The place of ``key`` for a message, whether or not the layer sets it."""
        return self.places.get(key) or (f"{self.name}, {key}" if self.name else key)


def read_settings(tree: Node, *, of_folder: bool = False) -> OrderSettings:
    """The settings of a sidecar or, with ``of_folder``, of a ``_defaults.yaml``, with their ``problems``."""
    findings = Findings()
    section = Section(tree, findings)
    settings = read_video_keys(section, prompt)
    priority = section.get("priority", integer(-MAX_PRIORITY, MAX_PRIORITY), None)
    own = section.get("fields", fields, None)
    problems_before = len(findings.found)
    limits = read_limits(section.section("limits"), Limits(), of_folder=True) if of_folder else None
    understood = len(findings.found) == problems_before
    misspelt = section.close()
    given = {*misspelt, *(key for key in KEYS if section.node(key))}
    places = MappingProxyType({key: section.where(key) for key in KEYS if key in given})
    return replace(
        settings,
        priority=priority,
        fields=own,
        name=tree.source,
        places=places,
        problems=findings.problems,
        limits=limits if understood and "limits" not in misspelt else None,
    )


def read_prompt(data: bytes, name: str) -> OrderSettings:
    """The settings of the ``.txt`` sidecar ``name``, whose whole text is the prompt."""
    try:
        written = decode(data, name)
        if not trimmed(written):
            raise CheckError("is empty", "Write what moves, and how the camera moves.")
        if _PROMPT_KEY.search(written):
            what = 'has a line that begins with "prompt:", although its whole text is the prompt'
            raise CheckError(what, 'Remove the word, or rename the file so that it ends with ".yaml".')
        return OrderSettings(
            prompt=prompt(Node(written, written)), name=name, places=MappingProxyType({"prompt": name})
        )
    except Invalid as invalid:
        return OrderSettings.unreadable(name, *invalid.problems)
    except CheckError as error:
        return OrderSettings.unreadable(name, Problem(name, error.what, error.hint))


def read_video_keys(section: Section, prompt: Check[str | None]) -> OrderSettings:
    """The keys that sidecars and the section ``video`` of the configuration share, without places and problems."""
    return OrderSettings(
        prompt=section.get("prompt", prompt, None),
        model=section.get("model", text, None),
        size=section.get("size", size_or_aim, None),
        seconds=section.get("seconds", seconds, None),
        fit=section.get("fit", choice(Fit), None),
        focus=section.get("focus", focus_or_point, None),
    )


def make_order(layers: Sequence[OrderSettings], catalogue: Mapping[str, Model]) -> Order:
    """The order of a pair from its ``layers``: the sidecar, the nearest ``_defaults.yaml`` …, the configuration.

    The first layer that sets a key decides it.

    Raises:
        Rejected: with all problems of all layers, each with its file, line and key.
    """
    problems = [problem for layer in layers for problem in layer.problems]
    problems += catalogue_problems(layers, catalogue)
    found = {key: _first(layers, key) for key in KEYS}
    problems += [_missing(layers, key) for key in ("prompt", "model", "size", "seconds") if found[key] is None]
    if problems:
        told = [str(problem) for problem in problems[:_MOST_PROBLEMS]]
        if left := len(problems) - len(told):
            told.append(f"and {left} more")
        raise Rejected("\n".join(told), "Correct what is named above.")
    values = {key: getattr(layer, key) for key, layer in found.items() if layer and key != "fields"}
    own = layered(*(layer.fields for layer in layers if layer.fields), catalogue[values["model"]].fields)
    return Order(**values, fields=own)


def catalogue_problems(layers: Sequence[OrderSettings], catalogue: Mapping[str, Model]) -> list[Problem]:
    """The problems if the model is not in the catalogue, or does not have the size or seconds of ``layers``."""
    model_layer = _first(layers, "model")
    if model_layer is None or model_layer.model is None:
        return []
    model = catalogue.get(model_layer.model)
    if model is None:
        hint = (
            f"{suggest(model_layer.model, catalogue, 'Known')} Others can be added under models: in the configuration."
        )
        return [
            Problem(
                model_layer.where("model"),
                f"is {describe(Node(model_layer.model, model_layer.model))}, which is not in the catalogue",
                hint,
            )
        ]

    def problem(layer: OrderSettings, key: str, value: object, allowed: Sequence[object]) -> Problem:
        named = model.name if layer is model_layer else f"{model.name} (named in {model_layer.where('model')})"
        what = f"is {value}, which {named} does not have"
        return Problem(layer.where(key), what, f"Allowed: {_joined(allowed)}.")

    problems = []
    size_layer, seconds_layer = _first(layers, "size"), _first(layers, "seconds")
    if size_layer and size_layer.size and model.sizes is not None and not _offers(size_layer.size, model.sizes):
        aims = [aim for aim in Aim if _offers(aim, model.sizes)]
        problems.append(problem(size_layer, "size", size_layer.size, [*model.sizes, *aims]))
    if (
        seconds_layer
        and seconds_layer.seconds
        and model.seconds is not None
        and seconds_layer.seconds not in model.seconds
    ):
        problems.append(problem(seconds_layer, "seconds", seconds_layer.seconds, model.seconds))
    return problems


def prompt(node: Node) -> str:
    """A prompt without white space around it, with the line endings that the API returns."""
    if isinstance(node.value, (tuple, Mapping)):
        what = f"is {describe(node)}, but text is needed"
        if node.written:
            raise CheckError(what, "Put the text in quotes.", text=node.written)
        raise CheckError(what, 'Write several lines of text indented below "prompt: |".')
    if node.with_comments:
        what = 'is cut off at " #", which begins a comment' if node.text else 'is empty, since " #" begins a comment'
        hint = "Put a comment on a line of its own, and text that belongs to the prompt in quotes."
        raise CheckError(what, hint, text=node.with_comments)
    stripped = trimmed(text(node)).replace("\r\n", "\n").replace("\r", "\n")
    if len(stripped) > MAX_PROMPT:
        raise CheckError(f"has {len(stripped)} characters", f"Allowed: at most {MAX_PROMPT}.")
    return stripped


def fields(node: Node) -> str:
    """Names of the server's own parameters with their values, of the types that YAML gives them, as JSON."""
    if not isinstance(node.value, Mapping):
        raise CheckError(f"is {describe(node)}", "Allowed: names with their values, such as {seed: 7}, or {} for none.")
    found = plain(node)
    assert isinstance(found, dict)
    return to_text(found)


def size_or_aim(node: Node) -> Size | Aim:
    """A size, or an `Aim`."""
    if node.text in list(Aim):
        return Aim(node.text)
    try:
        return size(node)
    except CheckError as error:
        hint = f"{did_you_mean(node.text, Aim)}{SIZE_FORM}, landscape, portrait, auto."
        raise CheckError(error.what, hint) from error


def size(node: Node) -> Size:
    """``1280x720``, also written as ``1280X720``, ``1280×720`` or ``1280 x 720``."""
    match = _SIZE.fullmatch(node.text)
    if match and all(0 < int(side) <= MAX_SIDE for side in match.groups()):
        return Size(int(match[1]), int(match[2]))
    raise CheckError(f"is {describe(node)}", f"{SIZE_FORM}.")


def focus_or_point(node: Node) -> Focus | Point:
    """A `Focus`, or ``[x, y]`` in fractions of the picture's width and height."""
    allowed = f"{', '.join(Focus)}, or a point such as [0.5, 0.3]: fractions of the width and height"
    if isinstance(node.value, tuple):
        x, y = map(_fraction, node.value) if len(node.value) == 2 else (None, None)
        if x is None or y is None:
            found = f"[{', '.join(describe(item) for item in node.value)}]"
            raise CheckError(f"is {found}", f"Allowed: {allowed}, from the top left, each from 0 to 1.")
        return Point(x, y)
    if node.text not in list(Focus):
        raise CheckError(f"is {describe(node)}", f"{did_you_mean(node.text, Focus)}Allowed: {allowed}.")
    return Focus(node.text)


def _fraction(node: Node) -> float | None:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return None
    return float(value)


def seconds(node: Node) -> int:
    """``8`` or ``"8"``."""
    if _SECONDS.fullmatch(node.text) and 0 < int(node.text) <= MAX_SECONDS:
        return int(node.text)
    raise CheckError(f"is {describe(node)}", "Allowed: a whole number of seconds, such as 8.")


def _joined(values: Sequence[object]) -> str:
    """The values as text; a long range of whole numbers is shortened to its ends."""
    numbers = [value for value in values if isinstance(value, int)]
    if len(numbers) > 6 and numbers == [*range(numbers[0], numbers[-1] + 1)]:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, values))


def _first(layers: Sequence[OrderSettings], key: str) -> OrderSettings | None:
    return next((layer for layer in layers if layer.sets(key)), None)


def _missing(layers: Sequence[OrderSettings], key: str) -> Problem:
    example = {"prompt": "what moves, and how the camera moves", "size": "auto", "seconds": "8"}.get(key, "sora-2")
    hint = f'Write a line such as "{key}: {example}" in it, or in the _defaults.yaml of its folder.'
    return Problem(layers[0].where(key) if layers else key, "is missing", hint)


def _offers(asked: Size | Aim, sizes: Sequence[Size]) -> bool:
    match asked:
        case Aim.AUTO:
            return True
        case Aim.LANDSCAPE:
            return any(size.width >= size.height for size in sizes)
        case Aim.PORTRAIT:
            return any(size.width < size.height for size in sizes)
        case _:
            return asked in sizes
