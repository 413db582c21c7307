"""The keys of ``limits``, and the values that they take."""

from __future__ import annotations

import pytest

from sorawatch.core.limits import Limits, read_limits
from sorawatch.core.value_checks import Findings, Section
from sorawatch.core.yaml_tree import Node, resolve

DEFAULT = Limits()


def read(texts: dict[str, str], default: Limits = DEFAULT) -> tuple[Limits, list[str]]:
    """What is read where these keys have these values, and what is wrong with them."""
    findings = Findings()
    nodes = {key: Node(resolve(text), text) for key, text in texts.items()}
    limits = read_limits(Section(Node(nodes), findings), default)
    return limits, [problem.what for problem in findings.problems]


def test_each_key_has_its_own_value() -> None:
    texts = {"in_flight": "3", "submits_per_minute": "1.5", "burst": "2"}
    caps = {"usd_per_clip": "0.80", "usd_per_day": "5", "usd_per_month": "60"}
    limits, wrong = read(texts | caps)
    assert limits == Limits(3, 1.5, 2, 800_000, 5_000_000, 60_000_000)
    assert wrong == []


def test_what_is_not_said_stays() -> None:
    default = Limits(3, 1.5, 2, 800_000, 5_000_000, 60_000_000)
    assert read({}, default) == (default, [])


@pytest.mark.parametrize("key", ["usd_per_clip", "usd_per_day", "usd_per_month"])
@pytest.mark.parametrize("null", ["null", "~"])
def test_null_removes_a_cap_and_an_empty_value_does_not(key: str, null: str) -> None:
    default = Limits(micros_per_clip=1, micros_per_day=1, micros_per_month=1)
    assert len(read({key: null}, default)[0].spending_caps) == 2
    for empty in ("", " "):
        assert read({key: empty}, default)[0] == default


def test_an_empty_cap_is_said_to_be_empty() -> None:
    assert read({"usd_per_day": ""})[1] == ["is empty"]


@pytest.mark.parametrize(
    ("key", "taken", "refused"),
    [
        ("in_flight", ["1", "100000"], ["0", "100001"]),
        ("submits_per_minute", ["0.1", "100000"], ["0", "100000.5"]),
        ("burst", ["1", "100000"], ["0", "100001"]),
    ],
)
def test_each_number_has_bounds(key: str, taken: list[str], refused: list[str]) -> None:
    for text in taken:
        assert read({key: text})[1] == []
    for text in refused:
        assert len(read({key: text})[1]) == 1
