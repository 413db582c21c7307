"""The same bytes for some minutes."""

from __future__ import annotations

from sorawatch.core.repeated_download import RepeatedDownload

PATIENCE = 120.0


def sighting(digest: str, at: float, length: int = 7) -> RepeatedDownload:
    return RepeatedDownload(digest, length, ".webm", at, at)


def test_the_same_bytes_settle_after_the_patience() -> None:
    first = sighting("a", 1000.0)
    assert not first.is_confirmed(1000.0, PATIENCE)
    early = sighting("a", 1119.0).after(first)
    assert not early.is_confirmed(1119.0, PATIENCE)
    assert early.wait(1119.0, PATIENCE) == 1.0
    assert sighting("a", 1120.0).after(early).is_confirmed(1120.0, PATIENCE)


def test_other_bytes_begin_anew_but_not_for_ever() -> None:
    seen = sighting("a", 1000.0)
    for at in (1060.0, 1119.0, 1121.0, 1300.0):
        seen = sighting(str(at), at).after(seen)
        assert not seen.is_confirmed(at, PATIENCE)
        assert seen.is_new(at, PATIENCE) == (at < 1120.0)
    assert not sighting("a", 1400.0, length=8).after(sighting("a", 1000.0)).is_confirmed(1400.0, PATIENCE)


def test_it_is_new_for_the_patience_and_no_longer() -> None:
    first = sighting("a", 1000.0)
    assert first.is_new(1119.0, PATIENCE)
    assert not first.is_new(1120.0, PATIENCE)


def test_what_has_settled_waits_no_longer() -> None:
    first = sighting("a", 1000.0)
    assert [first.wait(now, PATIENCE) for now in (1119.5, 1120.0, 1500.0)] == [0.5, 0.0, 0.0]


def test_two_at_the_same_moment_are_watched_since_the_first() -> None:
    second = sighting("b", 1060.0).after(sighting("a", 1000.0))
    assert sighting("c", 1060.0).after(second).watched_since == 1000.0


def test_a_clock_that_was_set_back_begins_anew() -> None:
    back = sighting("a", 500.0).after(sighting("a", 1000.0))
    assert back == sighting("a", 500.0)
    assert back.is_new(500.0, PATIENCE)
    mixed = RepeatedDownload("a", 7, ".webm", 400.0, 1000.0)
    assert sighting("a", 900.0).after(mixed) == sighting("a", 900.0)
