"""When a file has stopped changing."""

import pytest

from sorawatch.core.settle import (
    MAX_OPEN_SECONDS,
    FileStatus,
    Observation,
    none_empty,
    observe,
    seconds_to_settle,
    settled,
    settles_in,
)

IMAGE = FileStatus(size=1000, mtime_ns=1, ctime_ns=2, inode=3, device=4)
SIDECAR = FileStatus(size=20, mtime_ns=5, ctime_ns=6, inode=7, device=4)


def seen(*times: float, looks: tuple[FileStatus, ...] = (IMAGE, SIDECAR)) -> Observation:
    observation = None
    for now in times:
        observation = observe(observation, looks, now)
    assert observation is not None
    return observation


def test_files_that_stay_the_same_settle_when_the_time_is_over() -> None:
    assert not settled(seen(10.0, 12.9), 12.9, 3.0)
    assert settled(seen(10.0, 13.0), 13.0, 3.0)


def test_one_look_is_never_enough_however_long_ago() -> None:
    assert not settled(seen(10.0), 1e9, 3.0)
    assert not settled(seen(10.0), 10.0, 0.0)
    assert settled(seen(10.0, 10.0), 10.0, 0.0)


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode", "device"])
def test_any_difference_in_any_file_starts_the_wait_again(field: str) -> None:
    changed = SIDECAR._replace(**{field: 99})
    observation = observe(seen(10.0, 12.0), (IMAGE, changed), 13.0)
    assert observation == Observation((IMAGE, changed), since=13.0, count=1)
    assert not settled(observe(observation, (IMAGE, changed), 15.9), 15.9, 3.0)
    assert settled(observe(observation, (IMAGE, changed), 16.0), 16.0, 3.0)


def test_a_sidecar_that_comes_or_goes_is_a_difference() -> None:
    assert observe(seen(10.0, looks=(IMAGE,)), (IMAGE, SIDECAR), 20.0).since == 20.0
    assert observe(seen(10.0), (IMAGE,), 20.0).since == 20.0


def test_a_file_that_changes_and_changes_back_has_changed() -> None:
    there = seen(10.0, 12.0)
    back = observe(observe(there, (IMAGE, SIDECAR._replace(size=21)), 12.5), there.statuses, 13.0)
    assert (back.since, back.count) == (13.0, 1)


@pytest.mark.parametrize("looks", [(IMAGE._replace(size=0), SIDECAR), (IMAGE, SIDECAR._replace(size=0))])
def test_an_empty_file_never_settles(looks: tuple[FileStatus, ...]) -> None:
    observation = seen(10.0, 20.0, looks=looks)
    assert not none_empty(observation)
    assert not settled(observation, 1e9, 3.0)


@pytest.mark.parametrize(("now", "wait"), [(10.0, 3.0), (12.0, 1.0), (13.0, 0.0), (99.0, 0.0)])
def test_the_next_look_is_when_it_can_settle(now: float, wait: float) -> None:
    assert settles_in(seen(10.0), now, 3.0) == wait


def test_open_files_take_an_hour_to_settle_or_longer_if_others_do() -> None:
    assert seconds_to_settle(3.0, is_open=False) == 3.0
    assert seconds_to_settle(3.0, is_open=True) == MAX_OPEN_SECONDS == 3600.0
    assert seconds_to_settle(7200.0, is_open=True) == 7200.0
