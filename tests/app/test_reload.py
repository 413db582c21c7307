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
from tests.support.service_manager import listening
from tests.support.workspace import Yard, wait_until


@pytest.fixture(autouse=True)
def _logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def reload(yard: Yard, daemon: Daemon, caplog: pytest.LogCaptureFixture) -> str:
    """What is logged of a reload."""
    caplog.clear()
    yard.write_config()
    daemon.reload()
    return wait_until(lambda: told if "read anew" in (told := caplog.text) or "stays as it was" in told else None)


@contextmanager
def one_of_two_rendering(yard: Yard) -> Iterator[Daemon]:
    """A daemon with one place in flight for the two pictures that it has."""
    yard.set("limits", in_flight=1)
    yard.drop("first.jpg")
    yard.drop("second.jpg")
    with yard.running() as daemon:
        wait_until(lambda: yard.counts() == {"rendering": 1, "ready": 1})
        yield daemon


def test_limits_defaults_models_and_presets_count_at_once(patient_yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    yard = patient_yard
    with one_of_two_rendering(yard) as daemon:
        yard.set("limits", in_flight=3)
        assert "changed: limits.in_flight" in reload(yard, daemon, caplog)
        wait_until(lambda: yard.counts() == {"rendering": 2})
        yard.drop("alone.jpg", prompt="")
        yard.set("models", **{"sora-2": {"seconds": [4, 8, 20]}})
        yard.set("video", prompt="slow clouds", seconds=20)
        assert "changed: video.prompt, video.seconds, models" in reload(yard, daemon, caplog)
        wait_until(lambda: yard.counts().get("failed") == 1 or yard.counts() == {"rendering": 3})
    assert [job.order.seconds for _, job in yard.changes if job.pair.image == "alone.jpg" and job.order][-1] == 20


def test_a_new_key_ends_the_pause_at_once(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    (yard.root / "api.key").write_text("sk-wrong-key")
    yard.drop()
    with yard.running() as daemon:
        wait_until(lambda: "the server refuses the API key" in caplog.text)
        (yard.root / "new.key").write_text("sk-simulated")
        yard.set("api", key_file="new.key")
        assert "changed: api.key_file" in reload(yard, daemon, caplog)
        wait_until(lambda: yard.counts() == {"done": 1})


def test_state_and_folders_stay_and_the_rest_changes(patient_yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    yard = patient_yard
    with one_of_two_rendering(yard) as daemon:
        yard.set("limits", in_flight=2)
        yard.set("state", value="other.db")
        yard.set("folders", inbox="elsewhere")
        told = reload(yard, daemon, caplog)
        for key in ("folders.inbox", "state"):
            assert f"{key} cannot change while sorawatch runs" in told
        yard.set("state", value="state.db")
        yard.write_config()
        wait_until(lambda: yard.counts() == {"rendering": 2})
        assert not (yard.root / "other.db").exists()


def test_a_bad_configuration_changes_nothing_and_says_why(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    with yard.running() as daemon:
        yard.set("limits", in_flight=0, usd_per_day=5)
        told = reload(yard, daemon, caplog)
        assert "limits.in_flight" in told
        yard.drop()
        wait_until(lambda: yard.files("processed"))
        (yard.root / "api.key").write_text("not one word")
        yard.set("limits", in_flight=1)
        assert "is not one word of plain letters" in reload(yard, daemon, caplog)
        assert "not one word\n" not in caplog.text


def test_the_signal_and_what_the_service_manager_hears_of_it(yard: Yard) -> None:
    with listening(str(yard.root / "notify")) as heard:
        daemon = yard.spawn("run", env={"NOTIFY_SOCKET": heard.address})
        heard.wait_for("READY")
        heard.messages.clear()
        yard.set("limits", usd_per_day=7)
        yard.set("logging", format="json")
        yard.write_config()
        daemon.send_signal(signal.SIGHUP)
        assert heard.wait_for("RELOADING")["MONOTONIC_USEC"].isdecimal()
        assert "of $7 today" in heard.wait_for("READY")["STATUS"]
        heard.messages.clear()
        (yard.root / "config.yaml").write_text("limits: {usd_per_day: -1}")
        daemon.send_signal(signal.SIGHUP)
        refused = heard.wait_for("READY")["STATUS"]
        assert "the new configuration was refused" in refused
        assert "of $7 today" in refused
        daemon.terminate()
        _, told = daemon.communicate(timeout=60)
    assert daemon.returncode == 0
    events = [json.loads(line)["event"] for line in told.splitlines() if line.startswith("{")]
    assert events == ["reloaded", "reload-refused", "stopped"]


def test_a_signal_that_comes_while_the_daemon_starts_counts_once_it_is_up(yard: Yard) -> None:
    assert yard.run_once()
    with closing(sqlite3.connect(yard.root / "state.db", isolation_level=None)) as state:
        state.execute("BEGIN EXCLUSIVE")
        daemon = yard.spawn("run")
        wait_until(lambda: lock.is_locked(yard.root / "state.db.lock"))
        daemon.send_signal(signal.SIGHUP)
        state.rollback()
    assert daemon.stderr is not None
    assert any("were read anew" in line for line in daemon.stderr), f"ended with {daemon.wait()}"
    daemon.terminate()
    assert daemon.wait(60) == 0


def test_a_terminal_that_is_closed_stops_the_daemon(yard: Yard) -> None:
    ours, its = os.openpty()
    daemon = yard.spawn("run", stdin=its, stdout=its, stderr=its)
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


def test_every_key_is_taken_over_or_named(yard: Yard) -> None:
    old = config.load(yard.write_config(), os.environ)
    yard.set("folders", outbox="clips")
    yard.set("state", value="other.db")
    yard.set("api", base_url="https://video.example/v1", timeout_seconds=7)
    yard.set("watch", mode="polling", rescan_seconds=9)
    yard.set("logging", level="debug")
    new = config.load(yard.write_config(), os.environ)
    taken, fixed = config.changed(old, new)
    assert taken == ("api.timeout_seconds", "watch.rescan_seconds", "logging.level")
    assert fixed == ("folders.outbox", "state", "api.base_url", "watch.mode")
    merged = config.merged(old, new)
    assert config.changed(old, merged) == (taken, ())
    assert replace(merged, logging=old.logging) != old
