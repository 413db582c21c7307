"""A database that was restored, or whose standby took over, has another history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sorawatch.core.incarnation import Incarnation

NOW = Incarnation("7301", "00000001", "16401")


def test_it_is_the_same_after_a_restart() -> None:
    assert NOW.continues(Incarnation.from_json(NOW.as_json()))


@pytest.mark.parametrize("change", [{"system": "7302"}, {"timeline": "00000002"}, {"tables": "16501"}])
def test_each_part_tells(change: dict[str, str]) -> None:
    assert not replace(NOW, **change).continues(NOW)
    assert not NOW.continues(replace(NOW, **change))


@pytest.mark.parametrize("unknown", ["system", "timeline", "tables"])
def test_what_one_of_two_users_may_not_ask_is_no_difference(unknown: str) -> None:
    less = replace(NOW, **{unknown: None})
    assert less.continues(NOW)
    assert NOW.continues(less)
    assert Incarnation.from_json({}).continues(NOW)


def test_what_is_unknown_now_stays_as_it_was() -> None:
    assert Incarnation(None, None, "2").with_unknown_of(NOW) == Incarnation(NOW.system, NOW.timeline, "2")
