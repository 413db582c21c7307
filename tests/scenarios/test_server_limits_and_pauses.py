"""The daemon respects the limits of the server, and a pause stops only new orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sorawatch import simulator
from sorawatch.simulator import Fault, SimulatorSettings
from tests.support import texts
from tests.support.workspace import KEY, Workspace, wait_until


def paused(workspace: Workspace, words: str) -> str:
    """The output of ``status`` once it shows a pause with these words."""

    def shown() -> str | None:
        text = " ".join(workspace.told().split())
        return text if words in text else None

    return str(wait_until(shown, told=workspace.told))


def test_a_slow_pace_is_shown_with_the_time_of_the_next_order(workspace: Workspace) -> None:
    workspace.set("limits", submits_per_minute=0.5)
    workspace.drop("a.jpg")
    workspace.drop("b.jpg")
    with workspace.running():
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 1)
        wait_until(lambda: "; the pace lets the next order go at " in workspace.told(), told=workspace.told)
        status = workspace.status()
        assert 0 < status.paced_until - status.time.now <= 120_000


class TestTooManyAtOnce:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Workspace]:
        """A server that makes two videos at once, and finishes none until the test requests it."""
        settings = SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1, max_running=2)
        with simulator.running(settings) as server:
            yield Workspace(tmp_path, server)

    def test_too_many_running_tasks_halve_the_places_until_videos_finish(self, small: Workspace) -> None:
        small.set("limits", in_flight=6)
        for number in range(6):
            small.drop(f"{number}.jpg")
        with small.running():
            wait_until(lambda: small.status().allowed <= small.simulator.ledger().creates == 2)
            allowed = small.status().allowed
            expected = f"in flight: 2 of 6; the server takes too few for that: {allowed} at once for now"
            wait_until(lambda: expected in small.told(), told=small.told)
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


def test_a_wait_requested_by_the_server_is_respected_and_shown(workspace: Workspace) -> None:
    workspace.simulator.inject(Fault("answer_before", on="create", status=429, message="Rate limit", retry_after="120"))
    workspace.drop("a.jpg")
    workspace.drop("b.jpg")
    with workspace.running() as daemon:
        text = paused(workspace, "The server asks for 120 s. Tried again at ")
        assert "the server wants us to wait (HTTP 429: Rate limit)" in text
        daemon.request_scan()
        assert workspace.simulator.ledger().rejected <= 2, "only what was on its way already"
        workspace.cli("resume")
        wait_until(lambda: len(workspace.files("outbox")) == 2)


def test_an_order_that_must_wait_stops_the_others_for_no_longer_and_nothing_is_bought_twice(
    workspace: Workspace,
) -> None:
    wait = Fault("answer_before", on="create", status=429, message="Rate limit", retry_after_ms=50, times=2)
    workspace.simulator.inject(wait)
    for number in range(6):
        workspace.drop(f"{number}.jpg")
    assert workspace.run_once()
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates, ledger.rejected) == (6, 0, 2)


def test_a_server_that_is_full_for_a_moment_is_asked_again_beside_the_configured_attempts(workspace: Workspace) -> None:
    full = Fault("answer_before", on="create", status=503, message="The server is at capacity", times=3)
    workspace.simulator.inject(full)
    workspace.set("retries", attempts=1)
    for number in range(4):
        workspace.drop(f"{number}.jpg")
    assert workspace.run_once()
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates, ledger.rejected) == (4, 0, 3)


@pytest.mark.slow
def test_rate_limit_headers_of_an_accepted_order_are_respected_and_shown(workspace: Workspace) -> None:
    workspace.simulator.inject(Fault("used_up", seconds=90))
    workspace.set("limits", in_flight=1)
    workspace.drop("a.jpg")
    workspace.drop("b.jpg")
    with workspace.running():
        paused(workspace, "The server asks for 90 s. Tried again at ")
        wait_until(lambda: workspace.counts() == {"done": 1, "ready": 1})
        assert workspace.simulator.ledger().creates == 1
        workspace.cli("resume")
        wait_until(lambda: len(workspace.files("outbox")) == 2)
    assert workspace.simulator.ledger().rejected == 0


def replaced(path: Path, text: str) -> None:
    path.with_name("new").write_text(text)
    path.with_name("new").rename(path)


@pytest.mark.slow
@pytest.mark.parametrize("change", [Path.write_text, replaced], ids=["written", "replaced"])
@pytest.mark.parametrize("found", ["sk-wrong", ""], ids=["wrong", "empty"])
def test_a_corrected_key_is_used_at_once(workspace: Workspace, change: Callable[[Path, str], None], found: str) -> None:
    workspace.drop("a.jpg")
    workspace.drop("b.jpg")
    with workspace.running():
        wait_until(lambda: len(workspace.files("outbox")) == 2)
        (workspace.root / "api.key").write_text(found)
        workspace.drop("c.jpg")
        text = paused(workspace, texts.KEY_REFUSED if found else "the API key cannot be read")
        assert found or f"api.key_file, {workspace.root / 'api.key'}, is empty" in text
        change(workspace.root / "api.key", KEY)
        wait_until(lambda: len(workspace.files("outbox")) == 3, timeout=30, told=workspace.told)
    assert workspace.files("errors") == {}
    assert workspace.simulator.ledger().creates == 3


def test_paid_videos_are_finished_during_a_pause(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.drop("paid.jpg")
    with workspace.running():
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 1)
        workspace.simulator.inject(Fault("answer_before", on="create", status=402, times=None))
        workspace.drop("poor.jpg")
        paused(workspace, f"the account has {texts.NO_CREDIT}")
        workspace.simulator.finish_all()
        wait_until(lambda: workspace.counts() == {"done": 1, "ready": 1})
        assert list(workspace.files("outbox")) == ["paid.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer_before", on="models", status=404, times=None),
        Fault("answer_before", on="models", status=200, shape="html", times=None),
        Fault("lost_before", on="models", times=None),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_server_that_does_not_list_its_models_changes_nothing(workspace: Workspace, fault: Fault) -> None:
    unknown = Fault("answer_before", on="create", status=404, code="model_not_found", message="retired", times=None)
    workspace.simulator.inject(unknown, fault)
    workspace.drop("a.jpg")
    with workspace.running():
        assert "It offers" not in paused(
            workspace, "Set video.model, or the sidecar's model, to one that this server offers"
        )
        assert workspace.counts() == {"ready": 1}
