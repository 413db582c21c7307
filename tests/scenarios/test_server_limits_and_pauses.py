"""A good citizen on somebody's account: what the server asks for is done, what stops everybody stops only buying."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sorawatch import simulator
from sorawatch.simulator import Fault, SimulatorSettings
from tests.support.workspace import KEY, Yard, wait_until


def paused(yard: Yard, words: str) -> str:
    """What ``status`` tells once it speaks of a pause in these words."""

    def told() -> str | None:
        text = " ".join(yard.told().split())
        return text if words in text else None

    return str(wait_until(told, told=yard.told))


def test_a_slow_pace_is_shown_with_the_time_of_the_next_order(yard: Yard) -> None:
    yard.set("limits", submits_per_minute=0.5)
    yard.drop("a.jpg")
    yard.drop("b.jpg")
    with yard.running():
        yard.simulator.wait_for(lambda ledger: ledger.creates == 1)
        wait_until(lambda: "; the pace lets the next order go at " in yard.told(), told=yard.told)
        status = yard.status()
        assert 0 < status.paced_until - status.now <= 120_000


class TestCrowds:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Yard]:
        """A server that makes two videos at once, and finishes none until it is told to."""
        settings = SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1, max_running=2)
        with simulator.running(settings) as server:
            yield Yard(tmp_path, server)

    def test_too_many_running_tasks_halve_the_places_which_grow_back(self, small: Yard) -> None:
        small.set("limits", in_flight=6)
        for number in range(6):
            small.drop(f"{number}.jpg")
        with small.running():
            wait_until(lambda: small.status().allowed <= small.simulator.ledger().creates == 2)
            allowed = small.status().allowed
            told = f"in flight: 2 of 6; the server takes too few for that: {allowed} at once for now"
            wait_until(lambda: told in small.told(), told=small.told)
        with small.running():
            assert small.status().allowed == allowed, "a restart keeps it"

            def over() -> bool:
                small.simulator.finish_all()
                return len(small.files("outbox")) == 6

            wait_until(over)
        ledger = small.simulator.ledger()
        assert (ledger.creates, ledger.max_in_flight) == (6, 2)
        assert small.files("errors") == {}
        assert small.status().allowed > allowed


def test_a_wait_that_the_server_asks_for_is_kept_and_shown(yard: Yard) -> None:
    yard.simulator.inject(Fault("answer_before", on="create", status=429, message="Rate limit", retry_after="120"))
    yard.drop("a.jpg")
    yard.drop("b.jpg")
    with yard.running() as daemon:
        told = paused(yard, "The server asks for 120 s. Tried again at ")
        assert "the server wants us to wait (HTTP 429: Rate limit)" in told
        daemon.nudge()
        assert yard.simulator.ledger().rejected <= 2, "only what was on its way already"
        yard.cli("resume")
        wait_until(lambda: len(yard.files("outbox")) == 2)


def test_what_the_server_says_of_its_limits_with_an_order_that_it_takes_is_kept_and_shown(yard: Yard) -> None:
    yard.simulator.inject(Fault("used_up", seconds=90))
    yard.set("limits", in_flight=1)
    yard.drop("a.jpg")
    yard.drop("b.jpg")
    with yard.running():
        paused(yard, "The server asks for 90 s. Tried again at ")
        wait_until(lambda: yard.counts() == {"done": 1, "ready": 1})
        assert yard.simulator.ledger().creates == 1
        yard.cli("resume")
        wait_until(lambda: len(yard.files("outbox")) == 2)
    assert yard.simulator.ledger().rejected == 0


def replaced(path: Path, text: str) -> None:
    path.with_name("new").write_text(text)
    path.with_name("new").rename(path)


@pytest.mark.parametrize("change", [Path.write_text, replaced], ids=["written", "replaced"])
@pytest.mark.parametrize("found", ["sk-wrong", ""], ids=["wrong", "empty"])
def test_a_key_that_is_put_right_counts_at_once(yard: Yard, change: Callable[[Path, str], None], found: str) -> None:
    yard.drop("a.jpg")
    yard.drop("b.jpg")
    with yard.running():
        wait_until(lambda: len(yard.files("outbox")) == 2)
        (yard.root / "api.key").write_text(found)
        yard.drop("c.jpg")
        told = paused(yard, "the server refuses the API key" if found else "the API key cannot be read")
        assert found or f"api.key_file, {yard.root / 'api.key'}, is empty" in told
        change(yard.root / "api.key", KEY)
        wait_until(lambda: len(yard.files("outbox")) == 3, timeout=30, told=yard.told)
    assert yard.files("errors") == {}
    assert yard.simulator.ledger().creates == 3


def test_what_is_paid_for_goes_on_while_nothing_is_bought(patient_yard: Yard) -> None:
    yard = patient_yard
    yard.drop("paid.jpg")
    with yard.running():
        yard.simulator.wait_for(lambda ledger: ledger.creates == 1)
        yard.simulator.inject(Fault("answer_before", on="create", status=402, times=None))
        yard.drop("poor.jpg")
        paused(yard, "the account has no credit left")
        yard.simulator.finish_all()
        wait_until(lambda: yard.counts() == {"done": 1, "ready": 1})
        assert list(yard.files("outbox")) == ["paid.mp4"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer_before", on="models", status=404, times=None),
        Fault("answer_before", on="models", status=200, shape="html", times=None),
        Fault("lost_before", on="models", times=None),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_server_that_does_not_list_its_models_changes_nothing(yard: Yard, fault: Fault) -> None:
    unknown = Fault("answer_before", on="create", status=404, code="model_not_found", message="retired", times=None)
    yard.simulator.inject(unknown, fault)
    yard.drop("a.jpg")
    with yard.running():
        assert "It offers" not in paused(
            yard, "Set video.model, or the sidecar's model, to one that this server offers"
        )
        assert yard.counts() == {"ready": 1}
