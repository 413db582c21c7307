"""Whatever the bytes are, there is a reference of exactly the size or one of our errors, and the pool goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorawatch.core.order import Fit
from sorawatch.errors import Rejected
from tests.support import texts
from tests.support.malicious_images import mutants, samples, seeds
from tests.support.pictures import made

SEEDS = seeds()
SAMPLES = samples()


def survive(path: Path, data: bytes) -> Rejected | None:
    """Prepare ``data``; ``made`` checks that a reference has the size. Returns the refusal, if it was one."""
    path.write_bytes(data)
    refusals: list[Rejected] = []
    for fit in (Fit.CROP, Fit.BLUR):
        try:
            made(path, fit=fit, max_enlargement=10_000)
        except Rejected as error:
            refusals.append(error)
    assert all(refusal.hint and "\n" not in str(refusal) for refusal in refusals)
    return refusals[0] if refusals else None


@pytest.mark.parametrize("name", SEEDS)
def test_a_seed_is_sound_and_its_mutants_do_no_harm(tmp_path: Path, name: str) -> None:
    data = SEEDS[name]
    assert survive(tmp_path / "a.jpg", data) is None
    cuts = [data[: len(data) * part // 12] for part in range(1, 12)]
    for mutant in (*cuts, *mutants(data, random.Random(name), 25)):
        survive(tmp_path / "a.jpg", mutant)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_hostile_sample_does_no_harm(tmp_path: Path, name: str) -> None:
    told = survive(tmp_path / "a.jpg", SAMPLES[name])
    assert "crash" not in str(told)
    assert "killed" not in str(told)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("jpeg: 65500 pixels square", "has 65500x65500 pixels and needs 13139 MB to be decoded; at most 1600 MB"),
        ("jpeg: only a header", texts.DAMAGED),
        ("png: a bomb", "has 3600 million pixels; at most 128 million"),
        ("gif: a bomb", "has 4295 million pixels; at most 128 million"),
        ("tiff: huge", "pixels, which is 72057593501 million"),
        ("webp: 16383 pixels square", "has 268 million pixels"),
    ],
)
def test_a_bomb_is_called_what_it_is(tmp_path: Path, name: str, words: str) -> None:
    assert words in str(survive(tmp_path / "a.jpg", SAMPLES[name]))


@pytest.mark.parametrize(
    "name", [*(name for name in SAMPLES if name.startswith("exif")), "png: a text bomb", "png: a profile bomb"]
)
def test_a_sound_picture_is_used_whatever_its_metadata(tmp_path: Path, name: str) -> None:
    assert survive(tmp_path / "a.jpg", SAMPLES[name]) is None


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """One seed or sample with a few changes of the kind that fuzzers find most with; sometimes two spliced together."""
    pool = [*SEEDS.values(), *(data for data in SAMPLES.values() if len(data) < 20_000)]
    data = bytearray(draw(st.sampled_from(pool)))
    if draw(st.booleans()):
        other = draw(st.sampled_from(pool))
        at, begin = draw(st.integers(0, len(data))), draw(st.integers(0, len(other)))
        data[at:] = other[begin:]
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                size = draw(st.sampled_from([1, 2, 4]))
                data[at : at + size] = draw(st.sampled_from([b"\0", b"\xff", b"\x7f", b"\x80"])) * size
            case 2:
                data[at:at] = draw(st.binary(max_size=16))
            case _:
                del data[at : at + draw(st.integers(1, 64))]
    return bytes(data)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", SEEDS)
def test_many_mutants_of_a_seed_do_no_harm(tmp_path: Path, name: str) -> None:
    for mutant in mutants(SEEDS[name], random.Random(f"nightly {name}"), 5000):
        told = survive(tmp_path / "a.jpg", mutant)
        assert "crash" not in str(told)
        assert "killed" not in str(told)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(bent())
def test_nothing_bent_does_harm(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    told = survive(tmp_path_factory.getbasetemp() / "bent.jpg", data)
    assert "crash" not in str(told)
    assert "killed" not in str(told)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.sampled_from([data[:16] for data in SEEDS.values()] + [b""]), st.binary(max_size=4096))
def test_no_bytes_at_all_do_harm(tmp_path_factory: pytest.TempPathFactory, start: bytes, data: bytes) -> None:
    survive(tmp_path_factory.getbasetemp() / "any.jpg", start + data)
