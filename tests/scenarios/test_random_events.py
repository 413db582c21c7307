"""The two promises hold for random events of users, servers and shares.

Hypothesis reduces a failing example to a short sequence of events.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

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
DEEDS = (
    "drop", "drop", "drop", "edit", "delete", "move_back", "pause_or_go_on",
    "rename", "recase", "move", "put_back", "drop_without_sidecar", "write_sidecar_late", "write_slowly",
)  # fmt: skip
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
        videos: list[dict[str, Any]] = requests.get(f"{self.root}/ledger", timeout=100).json()["videos"]
        return videos

    def inject(self, fault: dict[str, Any]) -> None:
        requests.post(f"{self.root}/faults", json=fault, timeout=100).raise_for_status()

    def clear_faults(self) -> None:
        requests.delete(f"{self.root}/faults", timeout=100).raise_for_status()


class Promises(RuleBasedStateMachine):
    """The daemon is started, killed or drained between steps, so that the daemon and its environment never act at once."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="sorawatch-"))
        self.workspace: Workspace
        self.whole: Counter[bytes] = Counter()
        """How often each picture was put into the inbox and not deleted, by its bytes."""
        self.unfinished: dict[str, tuple[BinaryIO, bytes]] = {}
        """Pictures that are still being written, by slot: the open file and the whole content."""
        self.prompts = 0
        self.share_gone = False
        self.list_was_off = False

    @initialize()
    def set_up(self) -> None:
        self.server.clear_faults()
        self.workspace = Workspace(self.folder, self.server)  # type: ignore[arg-type]
        self.workspace.set("retries", first_seconds=0.02, max_seconds=0.05, attempts=4)
        self.daemon(dies_at=None)
        with_default = self.workspace.inbox / "with_default"
        with_default.mkdir()
        (with_default / "_defaults.yaml").write_text(f"prompt: {self.folder.name} default\nseconds: 4\n")
        self.drop("a")
        self.drop("b")

    # Each rule takes its variants as an argument, because Hypothesis omits some rules in a run, but no arguments.

    @rule(do=st.sampled_from(DEEDS), slot=SLOTS)
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

    def image(self, slot: str) -> Path | None:
        """The picture of this slot in the inbox, under whatever name and in whatever folder."""
        if slot in self.unfinished:
            return None
        return next((path for path in pictures(self.workspace.inbox) if path.stem[0].casefold() == slot), None)

    def picture(self) -> bytes:
        """A picture that was never used before."""
        self.prompts += 1
        data = io.BytesIO()
        Image.new("RGB", (64, 40), (self.prompts % 256, self.prompts * 7 % 256, 40)).save(data, "JPEG")
        return data.getvalue()

    def write_sidecar(self, image: Path) -> None:
        self.prompts += 1
        image.with_suffix(".yaml").write_text(f"prompt: {self.folder.name} {self.prompts}\nseconds: 4\n")

    def drop(self, slot: str) -> None:
        if slot in self.unfinished:
            return
        path = self.image(slot) or self.workspace.inbox / f"{slot}.jpg"
        if path.exists():
            self.whole[path.read_bytes()] -= 1
        path.write_bytes(content := self.picture())
        self.whole[content] += 1
        self.write_sidecar(path)

    def edit(self, slot: str) -> None:
        if (image := self.image(slot)) and image.with_suffix(".yaml").exists():
            self.write_sidecar(image)

    def delete(self, slot: str) -> None:
        if image := self.image(slot):
            self.whole[image.read_bytes()] -= 1
            image.unlink()

    def move_back(self, _slot: str) -> None:
        for path in self.workspace.errors.rglob("*.*"):
            target = self.workspace.inbox / path.relative_to(self.workspace.errors)
            if path.suffix in {".jpg", ".JPG", ".yaml"} and not target.exists():
                target.parent.mkdir(exist_ok=True)
                path.rename(target)

    def pause_or_go_on(self, slot: str) -> None:
        present = [path for path in self.workspace.inbox.iterdir() if path.name.casefold().startswith("pause")]
        for path in present:
            path.unlink()
        if not present:
            (self.workspace.inbox / {"a": "PAUSE", "b": "Pause", "c": "pause.TXT"}[slot]).touch()

    def rename(self, slot: str) -> None:
        self.move_pair(slot, lambda image: image.with_stem(f"{slot} renamed {len(image.stem)}"))

    def recase(self, slot: str) -> None:
        self.move_pair(slot, lambda image: image.with_stem(image.stem.swapcase()))

    def move(self, slot: str) -> None:
        """To another folder of the inbox, and back."""
        folder = self.workspace.inbox / "sub"
        folder.mkdir(exist_ok=True)
        self.move_pair(slot, lambda image: (self.workspace.inbox if image.parent == folder else folder) / image.name)

    def move_pair(self, slot: str, target_of: Callable[[Path], Path]) -> None:
        if image := self.image(slot):
            target = target_of(image)
            if any(path.exists() for path in (target, target.with_suffix(".yaml"))):
                return
            if (sidecar := image.with_suffix(".yaml")).exists():
                sidecar.rename(target.with_suffix(".yaml"))
            image.rename(target)

    def put_back(self, slot: str) -> None:
        """A sync tool restores a delivered pair as it was."""
        for image in pictures(self.workspace.processed):
            target = self.workspace.inbox / image.relative_to(self.workspace.processed)
            sidecar = image.with_suffix(".yaml")
            if image.stem[0].casefold() != slot or not sidecar.exists() or self.image(slot):
                continue
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(sidecar, target.with_suffix(".yaml"))
            shutil.copy2(image, target)
            self.whole[image.read_bytes()] += 1

    def drop_without_sidecar(self, slot: str) -> None:
        """Into a folder with a default prompt."""
        path = self.workspace.inbox / "with_default" / f"{slot}.jpg"
        if not self.image(slot) and slot not in self.unfinished:
            path.write_bytes(content := self.picture())
            self.whole[content] += 1

    def write_sidecar_late(self, slot: str) -> None:
        """With the terms of the folder, or with others."""
        image = self.image(slot)
        if image and image.parent.name == "with_default" and not image.with_suffix(".yaml").exists():
            if self.prompts % 2:
                image.with_suffix(".yaml").write_text("fit: crop\n")
            else:
                self.write_sidecar(image)

    def write_slowly(self, slot: str) -> None:
        """Write the first half of a picture, or the second one, with the file open all the time."""
        if slot in self.unfinished:
            file, content = self.unfinished.pop(slot)
            file.write(content[len(content) // 2 :])
            file.close()
            self.whole[content] += 1
        elif not self.image(slot):
            path, content = self.workspace.inbox / f"{slot}.jpg", self.picture()
            self.write_sidecar(path)
            file = open(path, "wb", buffering=0)  # noqa: SIM115 -- it stays open between two rules
            file.write(content[: len(content) // 2])
            self.unfinished[slot] = file, content

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
        found = Counter(path.read_bytes() for root in roots if root.exists() for path in pictures(root))
        assert {content: found[content] for content in self.whole} == self.whole

    @invariant()
    def every_visible_clip_is_whole(self) -> None:
        for path in (self.folder / "outbox").rglob("[!.]*.*"):
            with open(path, "rb") as file:
                mp4.check(file)

    def teardown(self) -> None:
        try:
            if self.share_gone:
                self.share_goes_or_comes()
            for path in self.workspace.inbox.iterdir():
                if path.name.casefold().startswith("pause"):
                    path.unlink()
            for slot in [*self.unfinished]:
                self.write_slowly(slot)
            self.server.clear_faults()
            self.daemon(dies_at=None)
            self.no_order_is_paid_twice()
            self.no_picture_is_lost_or_doubled()
            ends = {"done", "failed", "cancelled"} | ({"held"} if self.list_was_off else set())
            assert self.workspace.counts().keys() <= ends
        finally:
            shutil.rmtree(self.folder)


def pictures(root: Path) -> list[Path]:
    """All pictures below ``root``."""
    return sorted(path for path in root.rglob("*") if path.suffix.casefold() == ".jpg")


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
def test_the_promises_hold_in_many_runs(server: Server) -> None:
    _drive(server, examples=6, steps=15)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_the_promises_hold_for_long(server: Server) -> None:
    _drive(server, examples=40, steps=20)
