"""A server that sends for ever, with the whole daemon: nothing is paid for twice, and nothing stops the daemon's end."""

from __future__ import annotations

import pytest

from sorawatch.simulator import Fault
from tests.edges.api.test_client import Server, reply
from tests.support.server_answers import Row
from tests.support.workspace import Workspace, wait_until

pytestmark = pytest.mark.slow

ENDLESS = ["endless_status", "endless_continue", "endless_headers", "endless_body", "endless_gzip"]
PAUSE = 0.02
"""Seconds between two pieces of an endless answer."""


@pytest.fixture
def impatient(workspace: Workspace) -> Workspace:
    workspace.set("api", timeout_seconds=0.5)
    workspace.drop("beach.jpg")
    return workspace


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_answer_to_an_accepted_submit_is_found_in_the_list(impatient: Workspace, kind: str) -> None:
    impatient.simulator.inject(Fault(kind, on="create", seconds=PAUSE))
    assert impatient.run_once()
    assert list(impatient.files("outbox")) == ["beach.mp4"]
    assert impatient.simulator.ledger().creates == 1
    assert "uncertain" in impatient.states("beach.jpg")


@pytest.mark.parametrize("on", ["retrieve", "content"])
@pytest.mark.parametrize("kind", ["endless_continue", "endless_body"])
def test_an_endless_answer_to_a_poll_or_a_download_is_asked_for_again(impatient: Workspace, kind: str, on: str) -> None:
    impatient.simulator.inject(Fault(kind, on=on, seconds=PAUSE, times=2))
    assert impatient.run_once()
    assert list(impatient.files("outbox")) == ["beach.mp4"]
    assert impatient.simulator.ledger().creates == 1


@pytest.mark.parametrize("kind", ["hang_after", "endless_continue"])
def test_a_held_submit_does_not_keep_the_daemon_from_ending(stalled_workspace: Workspace, kind: str) -> None:
    workspace = stalled_workspace
    # The upload could take more than an hour, but a stop waits only as long as for any request.
    workspace.set("api", timeout_seconds=1)
    workspace.simulator.inject(Fault(kind, on="create", seconds=PAUSE))
    workspace.drop("beach.jpg")
    daemon = workspace.spawn("run")
    workspace.wait_for_creates(1)
    wait_until(lambda: workspace.counts() == {"submitting": 1})
    daemon.terminate()
    output, _ = daemon.communicate(timeout=60)
    assert daemon.returncode == 0, output
    assert workspace.counts() in ({"submitting": 1}, {"uncertain": 1})
    workspace.simulator.finish_all()
    assert workspace.run_once()
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert workspace.simulator.ledger().creates == 1


def test_a_clip_that_is_too_large_is_held_until_the_limit_is_raised(workspace: Workspace) -> None:
    workspace.set("api", max_clip_mb=1)
    workspace.set("retries", attempts=2)
    workspace.simulator.inject(Fault("endless_clip", times=2))
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    output = workspace.cli("show", "beach.jpg")
    for words in ("held", "api.max_clip_mb", "sorawatch retry"):
        assert words in output
    workspace.cli("retry", "beach.jpg")
    assert workspace.run_once()
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert workspace.simulator.ledger().creates == 1


def test_the_key_for_a_server_on_this_machine_goes_to_no_proxy(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    workspace.drop("beach.jpg")
    with Server(reply(200, {"id": "video_of_the_proxy", "status": "queued"})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        output = workspace.cli("check")
        assert workspace.run_once()
    assert "only within this machine" in output
    assert proxy.connections == 0
    assert workspace.simulator.ledger().creates == 1


NASTY = "\x1b[2J" + "x" * 1_000_000
"""An escape sequence that clears a terminal, and a text that would fill a log."""


@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer_before", on="create", status=400, message="no", code=NASTY, times=None),
        Fault("answer_before", on="create", status=400, message=NASTY, times=None),
        Fault("generation_fails", code=NASTY, times=None),
        Fault("status_word", word=f"failed{NASTY}", times=3),
    ],
    ids=["code", "message", "failure", "status"],
)
def test_texts_of_the_server_are_short_and_safe_wherever_they_are_shown(workspace: Workspace, fault: Fault) -> None:
    workspace.set("logging", file="sorawatch.log")
    workspace.simulator.inject(fault)
    workspace.drop("beach.jpg")
    workspace.program("run", "--once", status=0 if fault.kind == "status_word" else 1)
    texts = [workspace.program("show", "beach.jpg"), (workspace.root / "sorawatch.log").read_text()]
    texts += [path.read_text() for path in workspace.errors.glob("*.error.txt")]
    for text in texts:
        assert "\x1b" not in text
        assert len(text) < 20_000
    assert sum(path.stat().st_size for path in workspace.root.glob("state.db*") if path.is_file()) < 1_000_000


def test_a_list_without_end_is_told_in_a_few_words(workspace: Workspace) -> None:
    workspace.simulator.inject(
        Fault("lost_after", on="create"),
        Row("many", 200, {"object": "list", "data": [{"id": f"v{number}"} for number in range(300_000)]}).fault(
            "answer_before", "list"
        ),
    )
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    output = workspace.cli("show", "beach.jpg")
    assert "held" in output
    assert "more)" in output
    assert len(output) < 10_000
    assert workspace.simulator.ledger().creates == 1
