"""What is kept of concurrency and pace."""

from __future__ import annotations

from sorawatch.core.concurrency_limit import ConcurrencyLimit
from sorawatch.daemon.submission.usage_values import (
    concurrency_limit,
    paced_until,
    write_concurrency_limit,
    write_paces,
)
from tests.support.clocked_state import NOW, ClockedState


def test_a_limit_is_kept_until_there_is_none(state: ClockedState) -> None:
    with state.at() as tx:
        assert concurrency_limit(tx) is None
        write_concurrency_limit(tx, ConcurrencyLimit(3, NOW))
        assert concurrency_limit(tx) == ConcurrencyLimit(3, NOW)
        write_concurrency_limit(tx, None)
        assert concurrency_limit(tx) is None


def test_paces_are_kept_for_each_file_as_long_as_they_are_ahead(state: ClockedState) -> None:
    with state.at() as tx:
        assert paced_until(tx) == 0
        write_paces(tx, {"": NOW + 5, "cats/_defaults.yaml": NOW + 2000})
        write_paces(tx, {"": NOW + 1000})
        assert (paced_until(tx), paced_until(tx, "cats/_defaults.yaml")) == (NOW + 1000, NOW + 2000)
    with state.at(1000) as tx:
        write_paces(tx, {})
        assert (paced_until(tx), paced_until(tx, "cats/_defaults.yaml")) == (0, NOW + 2000)


def test_what_is_over_is_not_kept(state: ClockedState) -> None:
    with state.at() as tx:
        write_paces(tx, {"": NOW})
        assert paced_until(tx) == 0
