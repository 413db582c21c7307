"""From what a person wrote to an order: sidecar over folder defaults over the configuration, in the catalogue's terms.

Nothing here raises at the first mistake: what is wrong in a layer travels with it, and ``make_order`` refuses
with everything that is wrong in all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from sorawatch.core.limits import Limits, read_limits
from sorawatch.core.order import Aim, Fit, Focus, Model, Order, Point, Size
from sorawatch.core.schema import (
    Check,
    CheckError,
    Findings,
    Section,
    choice,
    did_you_mean,
    integer,
    shown,
    suggest,
    text,
)
from sorawatch.core.yaml_tree import Invalid, Node, decode
from sorawatch.errors import Problem, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_PROMPT = 32_000
"""Characters, from ``maxLength`` in the API's OpenAPI schema."""
MAX_SIDE = 8192
"""Pixels: beyond every model, and small enough to render."""
MAX_SECONDS = 3600
MAX_PRIORITY = 1_000_000

KEYS = ("prompt", "model", "size", "seconds", "fit", "focus", "priority")
SIZE_FORM = "Allowed: WIDTHxHEIGHT such as 1280x720"

_SECONDS = re.compile(r"[0-9]{1,4}", re.ASCII)
_SIZE = re.compile(r"\s*([0-9]{1,5})\s*[xX×]\s*([0-9]{1,5})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """One layer of what a pair asks for; None where it does not say.

    ``places`` has, for messages, the place of every key the layer speaks of. A key with a place but no value was
    written wrongly: ``problems`` says how, and no lower layer answers in its stead.
    """

    prompt: str | None = None
    model: str | None = None
    size: Size | Aim | None = None
    seconds: int | None = None
    fit: Fit | None = None
    focus: Focus | Point | None = None
    priority: int | None = None
    name: str = field(default="", compare=False)
    """The file, as a person knows it."""
    places: Mapping[str, str] = field(default_factory=dict, compare=False)
    problems: tuple[Problem, ...] = ()
    limits: Limits | None = field(default=None, compare=False)
    """Of a ``_defaults.yaml``; None of anything else, and where they cannot be understood."""

    @classmethod
    def unreadable(cls, name: str, *problems: Problem) -> OrderSettings:
        """A layer that may say anything: nothing below it is trusted, and only ``problems`` are reported."""
        return cls(name=name, places=MappingProxyType(dict.fromkeys(KEYS, name)), problems=problems)

    def speaks_of(self, key: str) -> bool:
        """Whether the layer has this key, be it with a wrong value."""
        return key in self.places or getattr(self, key) is not None

    def where(self, key: str) -> str:
        """The place of ``key`` for a message, whether or not it is there."""
        return self.places.get(key) or (f"{self.name}, {key}" if self.name else key)


def read_settings(tree: Node, *, of_folder: bool = False) -> OrderSettings:
    """A sidecar or, ``of_folder``, a ``_defaults.yaml``; what is wrong with it is in ``problems``."""
    findings = Findings()
    section = Section(tree, findings)
    settings = read_video(section, prompt)
    priority = section.get("priority", integer(-MAX_PRIORITY, MAX_PRIORITY), None)
    faults_elsewhere = len(findings.noted)
    limits = read_limits(section.section("limits"), Limits()) if of_folder else None
    understood = len(findings.noted) == faults_elsewhere
    meant = section.close()
    said = {*meant, *(key for key in KEYS if section.node(key))}
    places = MappingProxyType({key: section.where(key) for key in KEYS if key in said})
    return replace(
        settings,
        priority=priority,
        name=tree.source,
        places=places,
        problems=findings.problems,
        limits=limits if understood and "limits" not in meant else None,
    )


def read_prompt(data: bytes, name: str) -> OrderSettings:
    """The ``.txt`` sidecar ``name``: its whole text is the prompt."""
    try:
        written = decode(data, name)
        if not written.strip():
            raise CheckError("is empty", "Write what moves, and how the camera moves.")
        return OrderSettings(
            prompt=prompt(Node(written, written)), name=name, places=MappingProxyType({"prompt": name})
        )
    except Invalid as invalid:
        return OrderSettings.unreadable(name, *invalid.problems)
    except CheckError as error:
        return OrderSettings.unreadable(name, Problem(name, error.what, error.hint))


def read_video(section: Section, prompt: Check[str | None]) -> OrderSettings:
    """The keys that sidecars and the configuration's ``video`` share, without places and problems."""
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

    For each key the first layer that speaks of it decides.

    Raises:
        Rejected: with every problem of every layer, each with its file, line and key.
    """
    problems = [problem for layer in layers for problem in layer.problems]
    problems += clashes(layers, catalogue)
    found = {key: _first(layers, key) for key in KEYS}
    problems += [_missing(layers, key) for key in ("prompt", "model", "size", "seconds") if found[key] is None]
    if problems:
        raise Rejected("\n".join(str(problem) for problem in problems), "Correct what is named above.")
    values = {key: getattr(layer, key) for key, layer in found.items() if layer}
    return Order(**values)


def clashes(layers: Sequence[OrderSettings], catalogue: Mapping[str, Model]) -> list[Problem]:
    """What ``layers`` ask of a model that it does not have, or of a model that is not in the catalogue."""
    naming = _first(layers, "model")
    if naming is None or naming.model is None:
        return []
    model = catalogue.get(naming.model)
    if model is None:
        hint = f"{suggest(naming.model, catalogue, 'Known')} Others can be added under models: in the configuration."
        return [
            Problem(
                naming.where("model"),
                f"is {shown(Node(naming.model, naming.model))}, which is not in the catalogue",
                hint,
            )
        ]

    def clash(layer: OrderSettings, key: str, value: object, allowed: Sequence[object]) -> Problem:
        named = model.name if layer is naming else f"{model.name} (named in {naming.where('model')})"
        what = f"is {value}, which {named} does not have"
        return Problem(layer.where(key), what, f"Allowed: {_listed(allowed)}.")

    problems = []
    sizing, lasting = _first(layers, "size"), _first(layers, "seconds")
    if sizing and sizing.size and model.sizes is not None and not _offered(sizing.size, model.sizes):
        aims = [aim for aim in Aim if _offered(aim, model.sizes)]
        problems.append(clash(sizing, "size", sizing.size, [*model.sizes, *aims]))
    if lasting and lasting.seconds and model.seconds is not None and lasting.seconds not in model.seconds:
        problems.append(clash(lasting, "seconds", lasting.seconds, model.seconds))
    return problems


def prompt(node: Node) -> str:
    """A prompt without the white space around it, its lines ending as the API gives them back."""
    stripped = text(node).strip().replace("\r\n", "\n").replace("\r", "\n")
    if len(stripped) > MAX_PROMPT:
        raise CheckError(f"has {len(stripped)} characters", f"Allowed: at most {MAX_PROMPT}.")
    return stripped


def size_or_aim(node: Node) -> Size | Aim:
    """A size, or the direction that leaves it to the model or the picture."""
    if node.text in list(Aim):
        return Aim(node.text)
    try:
        return size(node)
    except CheckError as error:
        hint = f"{did_you_mean(node.text, Aim)}{SIZE_FORM}, landscape, portrait, auto."
        raise CheckError(error.what, hint) from error


def size(node: Node) -> Size:
    """``1280x720``, and the other ways people write it: ``1280X720``, ``1280×720``, ``1280 x 720``."""
    match = _SIZE.fullmatch(node.text)
    if match and all(0 < int(side) <= MAX_SIDE for side in match.groups()):
        return Size(int(match[1]), int(match[2]))
    raise CheckError(f"is {shown(node)}", f"{SIZE_FORM}.")


def focus_or_point(node: Node) -> Focus | Point:
    """A word, or ``[x, y]`` in fractions of the picture's width and height."""
    allowed = f"{', '.join(Focus)}, or a point such as [0.5, 0.3]: fractions of the width and height"
    if isinstance(node.value, tuple):
        x, y = map(_fraction, node.value) if len(node.value) == 2 else (None, None)
        if x is None or y is None:
            found = f"[{', '.join(shown(item) for item in node.value)}]"
            raise CheckError(f"is {found}", f"Allowed: {allowed}, from the top left, each from 0 to 1.")
        return Point(x, y)
    if node.text not in list(Focus):
        raise CheckError(f"is {shown(node)}", f"{did_you_mean(node.text, Focus)}Allowed: {allowed}.")
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
    raise CheckError(f"is {shown(node)}", "Allowed: a whole number of seconds, such as 8.")


def _listed(values: Sequence[object]) -> str:
    """All of a few values; of a long run of whole numbers its ends."""
    numbers = [value for value in values if isinstance(value, int)]
    if len(numbers) > 6 and numbers == [*range(numbers[0], numbers[-1] + 1)]:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, values))


def _first(layers: Sequence[OrderSettings], key: str) -> OrderSettings | None:
    return next((layer for layer in layers if layer.speaks_of(key)), None)


def _missing(layers: Sequence[OrderSettings], key: str) -> Problem:
    example = {"prompt": "what moves, and how the camera moves", "size": "auto", "seconds": "8"}.get(key, "sora-2")
    hint = f'Write a line such as "{key}: {example}" in it, or in the _defaults.yaml of its folder.'
    return Problem(layers[0].where(key) if layers else key, "is missing", hint)


def _offered(asked: Size | Aim, sizes: Sequence[Size]) -> bool:
    match asked:
        case Aim.AUTO:
            return True
        case Aim.LANDSCAPE:
            return any(size.width >= size.height for size in sizes)
        case Aim.PORTRAIT:
            return any(size.width < size.height for size in sizes)
        case _:
            return asked in sizes
