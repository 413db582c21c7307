"""The two promises hold for random events of users, servers and shares.

Hypothesis reduces a failing example to a short sequence of events.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from PIL import Image

from sorawatch import config
from sorawatch.app import build
from sorawatch.edges import mp4
from tests.support.workspace import Workspace

SLOTS = st.sampled_from(("a", "b", "c"))
KILLED = 137
_EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "socket.connect"}

FAULTS = (
    {"kind": "lost_after", "on": "create"},
    {"kind": "lost_before", "on": "create"},
    {"kind": "answer_after", "on": "create", "status": 502, "shape": "html"},
    {"kind": "answer_before", "on": "create", "status": 500},
    {"kind": "answer_before", "on": "create", "status": 400, "code": "content_policy_violation"},
    {"kind": "answer_before", "on": "create", "status": 429},
    {"kind": "generation_fails", "times": 2},
    {"kind": "half_zero"},
    {"kind": "answer_before", "on": "retrieve", "status": 404, "shape": "html"},
    {"kind": "answer_before", "on": "list", "status": 404, "times": 3},
)


class Server:
    """A client of the simulator, which runs in another process than those that are forked and killed."""

    def __init__(self, root: str) -> None:
        self.root, self.url = root, f"{root}/v1"

    def videos(self) -> list[dict[str, Any]]:
        videos: list[dict[str, Any]] = requests.get(f"{self.root}/ledger", timeout=10).json()["videos"]
        return videos

    def inject(self, fault: dict[str, Any]) -> None:
        requests.post(f"{self.root}/faults", json=fault, timeout=10).raise_for_status()

    def clear_faults(self) -> None:
        requests.delete(f"{self.root}/faults", timeout=10).raise_for_status()


class Promises(RuleBasedStateMachine):
    """The daemon is started, killed or drained between steps, so that the daemon and its environment never act at once."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="sorawatch-"))
        self.workspace: Workspace
        self.whole: set[bytes] = set()
        self.prompts = 0
        self.share_gone = False
        self.list_was_off = False

    @initialize()
    def set_up(self) -> None:
        self.server.clear_faults()
        self.workspace = Workspace(self.folder, self.server)  # type: ignore[arg-type]
        self.workspace.set("retries", first_seconds=0.02, max_seconds=0.05, attempts=4)
        self.daemon(dies_at=None)
        self.drop("a")
        self.drop("b")

    # Each rule takes its variants as an argument, because Hypothesis omits some rules in a run, but no arguments.

    @rule(do=st.sampled_from(("drop", "drop", "drop", "edit", "delete", "move_back", "pause_or_go_on")), slot=SLOTS)
    @precondition(lambda self: not self.share_gone)
    def person(self, do: str, slot: str) -> None:
        getattr(self, do)(slot)

    @rule(fault=st.sampled_from(FAULTS))
    def server_breaks(self, fault: dict[str, Any]) -> None:
        self.server.inject(fault)
        self.list_was_off |= fault.get("on") == "list"

    @rule()
    def share_goes_or_comes(self) -> None:
        if self.share_gone:
            assert list(self.workspace.inbox.iterdir()) == []
            self.workspace.inbox.rmdir()
            (self.folder / "gone").rename(self.workspace.inbox)
        else:
            self.workspace.inbox.rename(self.folder / "gone")
            self.workspace.inbox.mkdir()
        self.share_gone = not self.share_gone

    @rule(dies_at=st.none() | st.integers(1, 90))
    def daemon(self, dies_at: int | None) -> None:
        """Run a daemon in a forked process until the inbox is done, or until it is killed at the given event."""
        path = self.workspace.write_config()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if dies_at is not None:
                    _die_at(dies_at)
                with build.opened(config.load(path, {}), {}) as daemon:
                    daemon.run(once=True)
                status = 0
            finally:
                os._exit(status)
        _, waited = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(waited) in {0, KILLED}

    def drop(self, slot: str) -> None:
        path = self.workspace.inbox / f"{slot}.jpg"
        if path.exists():
            self.whole.discard(path.read_bytes())
        self.prompts += 1
        colour = (self.prompts % 256, self.prompts * 7 % 256, 40)
        Image.new("RGB", (64, 40), colour).save(path)
        self.whole.add(path.read_bytes())
        path.with_suffix(".yaml").write_text(f"prompt: {self.folder.name} {self.prompts}\nseconds: 4\n")

    def edit(self, slot: str) -> None:
        if (sidecar := self.workspace.inbox / f"{slot}.yaml").exists():
            self.prompts += 1
            sidecar.write_text(f"prompt: {self.folder.name} {self.prompts}\nseconds: 4\n")

    def delete(self, slot: str) -> None:
        if (image := self.workspace.inbox / f"{slot}.jpg").exists():
            self.whole.discard(image.read_bytes())
            image.unlink()

    def move_back(self, _slot: str) -> None:
        for path in self.workspace.errors.iterdir():
            target = self.workspace.inbox / path.name
            if path.suffix in {".jpg", ".yaml"} and not target.exists():
                path.rename(target)

    def pause_or_go_on(self, _slot: str) -> None:
        pause = self.workspace.inbox / "PAUSE"
        if pause.exists():
            pause.unlink()
        else:
            pause.touch()

    # the promises

    @invariant()
    def no_order_is_paid_twice(self) -> None:
        paid = Counter(
            (video["reference_sha256"], video["prompt"])
            for video in self.server.videos()
            if self.folder.name in str(video["prompt"]) and video["billed"]
        )
        assert [order for order, times in paid.items() if times > 1] == []

    @invariant()
    def no_picture_is_lost_or_doubled(self) -> None:
        roots = (self.folder / "gone", self.folder / "inbox", self.folder / "processed", self.folder / "errors")
        found = Counter(path.read_bytes() for root in roots if root.exists() for path in root.glob("*.jpg"))
        assert {content: found[content] for content in self.whole} == dict.fromkeys(self.whole, 1)

    @invariant()
    def every_visible_clip_is_whole(self) -> None:
        for path in (self.folder / "outbox").glob("[!.]*"):
            with open(path, "rb") as file:
                mp4.check(file)

    def teardown(self) -> None:
        try:
            if self.share_gone:
                self.share_goes_or_comes()
            (self.workspace.inbox / "PAUSE").unlink(missing_ok=True)
            self.server.clear_faults()
            self.daemon(dies_at=None)
            self.no_order_is_paid_twice()
            self.no_picture_is_lost_or_doubled()
            ends = {"done", "failed", "cancelled"} | ({"held"} if self.list_was_off else set())
            assert self.workspace.counts().keys() <= ends
        finally:
            shutil.rmtree(self.folder)


def _die_at(moment: int) -> None:
    count = 0

    def hook(event: str, _args: object) -> None:
        nonlocal count
        if event in _EVENTS:
            count += 1
            if count == moment:
                os._exit(KILLED)

    sys.addaudithook(hook)


_SERVE = """
import sys
from sorawatch import simulator
with simulator.running(simulator.SimulatorSettings(generation_seconds=0.02, frames_per_second=1)) as sim:
    print(sim.root, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A simulator in a separate process."""
    command = [sys.executable, "-c", _SERVE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield Server(process.stdout.readline().strip())
        process.stdin.close()


def _drive(server: Server, examples: int, steps: int) -> None:
    machine = type("Promises", (Promises,), {"server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_the_promises_hold(server: Server) -> None:
    _drive(server, examples=3, steps=10)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_promises_hold_for_long(server: Server) -> None:
    _drive(server, examples=20, steps=20)
