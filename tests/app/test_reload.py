"""A configuration changed under a running daemon: what counts at once, what is refused, and what is kept."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import pytest

from sorawatch import config
from sorawatch.daemon.loop import Daemon
from sorawatch.edges import lock
from tests.support import texts
from tests.support.service_manager import listening
from tests.support.workspace import Workspace, wait_until


@pytest.fixture(autouse=True)
def _logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def reload(workspace: Workspace, daemon: Daemon, caplog: pytest.LogCaptureFixture) -> str:
    """What is logged of a reload."""
    caplog.clear()
    workspace.write_config()
    daemon.reload()
    return wait_until(lambda: told if "were reloaded" in (told := caplog.text) or "stays as it was" in told else None)


@contextmanager
def one_of_two_rendering(workspace: Workspace) -> Iterator[Daemon]:
    """A daemon with one place in flight for the two pictures that it has."""
    workspace.set("limits", in_flight=1)
    workspace.drop("first.jpg")
    workspace.drop("second.jpg")
    with workspace.running() as daemon:
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 1})
        yield daemon


def test_limits_defaults_models_and_presets_count_at_once(
    stalled_workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = stalled_workspace
    with one_of_two_rendering(workspace) as daemon:
        workspace.set("limits", in_flight=3)
        assert "changed: limits.in_flight" in reload(workspace, daemon, caplog)
        wait_until(lambda: workspace.counts() == {"rendering": 2})
        workspace.drop("alone.jpg", prompt="")
        workspace.set("models", **{"sora-2": {"seconds": [4, 8, 20]}})
        workspace.set("video", prompt="slow clouds", seconds=20)
        assert "changed: video.prompt, video.seconds, models" in reload(workspace, daemon, caplog)
        wait_until(lambda: workspace.counts().get("failed") == 1 or workspace.counts() == {"rendering": 3})
    assert [job.order.seconds for _, job in workspace.changes if job.pair.image == "alone.jpg" and job.order][-1] == 20


def test_a_new_key_ends_the_pause_at_once(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    (workspace.root / "api.key").write_text("sk-wrong-key")
    workspace.drop()
    with workspace.running() as daemon:
        wait_until(lambda: texts.KEY_REFUSED in caplog.text)
        (workspace.root / "new.key").write_text("sk-simulated")
        workspace.set("api", key_file="new.key")
        assert "changed: api.key_file" in reload(workspace, daemon, caplog)
        wait_until(lambda: workspace.counts() == {"done": 1})


def test_state_and_folders_stay_and_the_rest_changes(
    stalled_workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = stalled_workspace
    with one_of_two_rendering(workspace) as daemon:
        workspace.set("limits", in_flight=2)
        workspace.set("state", value="other.db")
        workspace.set("folders", inbox="elsewhere")
        told = reload(workspace, daemon, caplog)
        for key in ("folders.inbox", "state"):
            assert f"{key} cannot change while sorawatch runs" in told
        workspace.set("state", value="state.db")
        workspace.write_config()
        wait_until(lambda: workspace.counts() == {"rendering": 2})
        assert not (workspace.root / "other.db").exists()


def test_a_bad_configuration_changes_nothing_and_says_why(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with workspace.running() as daemon:
        workspace.set("limits", in_flight=0, usd_per_day=5)
        told = reload(workspace, daemon, caplog)
        assert "limits.in_flight" in told
        workspace.drop()
        wait_until(lambda: workspace.files("processed"))
        (workspace.root / "api.key").write_text("not one word")
        workspace.set("limits", in_flight=1)
        assert texts.NOT_ONE_WORD in reload(workspace, daemon, caplog)
        assert "not one word\n" not in caplog.text


def test_the_signal_and_what_the_service_manager_hears_of_it(workspace: Workspace) -> None:
    with listening(str(workspace.root / "notify")) as heard:
        daemon = workspace.spawn("run", env={"NOTIFY_SOCKET": heard.address})
        heard.wait_for("READY")
        heard.messages.clear()
        workspace.set("limits", usd_per_day=7)
        workspace.set("logging", format="json")
        workspace.write_config()
        daemon.send_signal(signal.SIGHUP)
        assert heard.wait_for("RELOADING")["MONOTONIC_USEC"].isdecimal()
        assert "of $7 today" in heard.wait_for("READY")["STATUS"]
        heard.messages.clear()
        (workspace.root / "config.yaml").write_text("limits: {usd_per_day: -1}")
        daemon.send_signal(signal.SIGHUP)
        refused = heard.wait_for("READY")["STATUS"]
        assert "the new configuration was refused" in refused
        assert "of $7 today" in refused
        daemon.terminate()
        _, told = daemon.communicate(timeout=60)
    assert daemon.returncode == 0
    events = [json.loads(line)["event"] for line in told.splitlines() if line.startswith("{")]
    assert events == ["reloaded", "reload-refused", "stopped"]


@pytest.mark.slow
def test_a_signal_that_comes_while_the_daemon_starts_counts_once_it_is_up(workspace: Workspace) -> None:
    assert workspace.run_once()
    with closing(sqlite3.connect(workspace.root / "state.db", isolation_level=None)) as state:
        state.execute("BEGIN EXCLUSIVE")
        daemon = workspace.spawn("run")
        wait_until(lambda: lock.is_locked(workspace.root / "state.db.lock"))
        daemon.send_signal(signal.SIGHUP)
        state.rollback()
    assert daemon.stderr is not None
    assert any("were reloaded" in line for line in daemon.stderr), f"ended with {daemon.wait()}"
    daemon.terminate()
    assert daemon.wait(60) == 0


def test_a_terminal_that_is_closed_stops_the_daemon(workspace: Workspace) -> None:
    ours, its = os.openpty()
    daemon = workspace.spawn("run", stdin=its, stdout=its, stderr=its)
    os.close(its)
    told = b""
    while b"watching" not in told:
        told += os.read(ours, 65536)
    daemon.send_signal(signal.SIGHUP)
    with suppress(OSError):
        while os.read(ours, 65536):
            pass
    os.close(ours)
    assert daemon.wait(60) == 0


def test_every_key_is_taken_over_or_named(workspace: Workspace) -> None:
    old = config.load(workspace.write_config(), os.environ)
    workspace.set("folders", outbox="clips")
    workspace.set("state", value="other.db")
    workspace.set("api", base_url="https://video.example/v1", timeout_seconds=7)
    workspace.set("watch", mode="polling", rescan_seconds=9)
    workspace.set("logging", level="debug")
    new = config.load(workspace.write_config(), os.environ)
    taken, fixed = config.changed(old, new)
    assert taken == ("api.timeout_seconds", "watch.rescan_seconds", "logging.level")
    assert fixed == ("folders.outbox", "state", "api.base_url", "watch.mode")
    merged = config.merged(old, new)
    assert config.changed(old, merged) == (taken, ())
    assert replace(merged, logging=old.logging) != old
