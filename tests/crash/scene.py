"""The orders of one run, the folders they lie in, and what must be true of them after a kill and at the end."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import yaml
from PIL import Image

from sorawatch import config, report
from sorawatch.core.job import Job, State
from sorawatch.edges import clip
from sorawatch.edges.work import WorkFolder
from sorawatch.errors import SorawatchError

OVEN = "oven"
"""In a prompt: the simulator fails the first generation."""

ORDERS = {"beach.jpg": "gentle waves", "trip/harbour.png": "boats leave", "bread.jpg": f"bread in the {OVEN}"}
"""Pictures that become clips, and their prompts."""

BROKEN = "broken.jpg"
"""A picture whose sidecar cannot be understood."""

_VISITED = ("inbox", "processed", "errors")
_LAST_WORDS = b"How to try again"


class Disk(StrEnum):
    """What the folders lie on."""

    ONE = "one"
    LINKLESS = "linkless"
    """One file system without links, where an empty file reserves a name."""
    APART = "apart"
    """A file system for each folder."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one run, killed and taken up again, came to."""

    complaints: tuple[str, ...] = ()
    orders: int = 0
    creates: int = 0
    duplicates: int = 0
    lost: int = 0
    """Inputs that are nowhere to be found whole."""
    broken: int = 0
    """Clips that were not whole under a visible name, at any look."""
    held: int = 0


@dataclass
class Scene:
    """One inbox of orders, named apart from all others by ``tag``, and the simulator at ``server``."""

    root: Path
    server: str
    tag: str
    listed: bool = True
    """Whether the server has a list."""
    disk: Disk = Disk.ONE
    complaints: list[str] = field(default_factory=list)
    broken: int = 0
    lost: set[str] = field(default_factory=set)
    """Pictures whose submit's answer was lost, for good, in a kill."""

    def __post_init__(self) -> None:
        self.originals = {**_pictures(), **{_sidecar(name): self._order(name) for name in (*ORDERS, BROKEN)}}
        for name in (*_VISITED, "outbox"):
            (self.root / name).mkdir()
        for name, data in self.originals.items():
            path = self.root / "inbox" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        key = self.root / "api.key"
        key.write_text("sk-simulated")
        key.chmod(0o600)
        (self.root / "config.yaml").write_text(yaml.safe_dump(self._settings()))

    @property
    def prompts(self) -> dict[str, str]:
        """Pictures by prompt."""
        return {self._prompt(name): name for name in ORDERS}

    def load(self) -> config.Config:
        return config.load(self.root / "config.yaml", {})

    def inspect_wreck(self) -> list[Job]:
        """Look at what a kill left: nothing may be lost, and nothing unfinished be visible. Returns the jobs."""
        self._check_wreck()
        jobs = self._jobs_of_wreck()
        for job in jobs:
            record = WorkFolder.beside(self.root / "state.db").record(job.id) or {}
            known = record.get("video_id") and record.get("token") == job.token
            if job.state in {State.SUBMITTING, State.UNCERTAIN} and not known:
                self.lost.add(job.pair.path)
        return jobs

    def _check_wreck(self) -> None:
        self._check_inputs(at_most=2)
        for path in self._visible("outbox"):
            self._check_clip(path)
        for path in self._visible("errors"):
            if path.name.endswith(".error.txt"):
                self._require(_LAST_WORDS in path.read_bytes(), f"{self._told(path)} is not whole")

    def _jobs_of_wreck(self) -> list[Job]:
        with TemporaryDirectory() as folder:
            # Merely to look at a state whose writer was killed changes it, so a copy is looked at.
            for path in filter(Path.is_file, self.root.glob("state.db*")):
                shutil.copy(path, folder)
            try:
                return list(report.snapshot(replace(self.load(), state=f"{folder}/state.db")).jobs)
            except SorawatchError:
                return []

    def inspect_end(self) -> Tally:
        """Look at what a run without a kill made of it: exactly what was lost is held, where there is no list."""
        held = self.lost if not self.listed else set()
        self._check_jobs(held)
        self._check_inputs(at_most=1, places=self._homes(held))
        self._check_rest(held)
        creates, again = self.count_purchases()
        self.complaints += [f"{name} was bought {times} times too often" for name, times in again.items()]
        missing = sum(not copies for copies in self._copies().values())
        complaints = tuple(dict.fromkeys(self.complaints))
        return Tally(complaints, len(ORDERS), creates, sum(again.values()), missing, self.broken, len(held))

    def count_purchases(self) -> tuple[int, dict[str, int]]:
        """How many orders the server accepted, and how many too often by picture: failed generations do not count."""
        bought: Counter[str] = Counter()
        allowed = dict.fromkeys(self.prompts, 1)
        videos = self.bought()
        for video in videos:
            bought[video["prompt"]] += 1
            allowed[video["prompt"]] += video["status"] == "failed"
        again = {name: bought[prompt] - allowed[prompt] for prompt, name in self.prompts.items()}
        return len(videos), {name: times for name, times in again.items() if times > 0}

    def count_files(self, folder: str, suffix: str) -> int:
        """The visible files of one folder whose name ends so."""
        return sum(path.name.endswith(suffix) for path in self._visible(folder))

    def count_broken_clips(self) -> int:
        """The visible clips that are not whole."""
        for path in self._visible("outbox"):
            self._check_clip(path)
        return self.broken

    def _check_jobs(self, held: set[str]) -> None:
        try:
            jobs = report.snapshot(self.load()).jobs
        except SorawatchError as error:
            self.complaints.append(f"the state cannot be read: {error}")
            return
        ended = Counter((job.pair.path, job.state) for job in jobs)
        expected = Counter((name, State.HELD if name in held else State.DONE) for name in ORDERS)
        expected[BROKEN, State.FAILED] = 1
        if ended != expected:
            told = [f"{job.pair.path} {job.id}: {job.state} {job.short_reason}" for job in jobs]
            self.complaints.append(f"the jobs ended as {told}, not as {[*expected]}")
        work = {job.id for job in jobs if job.state is State.HELD}
        left = {path.name for path in WorkFolder.beside(self.root / "state.db").root.iterdir()}
        self._require(left == work, f"the work folder holds {left}")

    def _homes(self, held: set[str]) -> dict[str, str]:
        """Where each input belongs in the end."""
        homes = {BROKEN: "errors"} | {name: "inbox" if name in held else "processed" for name in ORDERS}
        return homes | {_sidecar(name): home for name, home in homes.items()}

    def _check_inputs(self, *, at_most: int, places: dict[str, str] | None = None) -> None:
        copies = self._copies()
        for name, paths in copies.items():
            told = ", ".join(map(self._told, paths)) or "nowhere"
            self._require(1 <= len(paths) <= at_most, f"{name} lies {told}")
            if places and len(paths) == 1:
                where = paths[0].relative_to(self.root)
                self._require(str(where) == f"{places[name]}/{name}", f"{name} lies at {where}")
        known = {path for paths in copies.values() for path in paths}
        for path in (path for folder in _VISITED for path in self._visible(folder)):
            text = path.parent.name == "errors" and path.name.endswith(".error.txt")
            reserved = self.disk is Disk.LINKLESS and at_most > 1 and path.stat().st_size == 0
            self._require(path in known or text or reserved, f"{self._told(path)} is no input")

    def _check_rest(self, held: set[str]) -> None:
        clips = {str(path.relative_to(self.root / "outbox")) for path in self._visible("outbox")}
        expected = {str(Path(name).with_suffix(".mp4")) for name in ORDERS if name not in held}
        self._require(clips == expected, f"the outbox holds {sorted(clips)} and not {sorted(expected)}")
        for path in self._visible("outbox"):
            self._check_clip(path, reserved=False)
        texts = [path.name for path in self._visible("errors") if path.name.endswith(".error.txt")]
        self._require(texts == ["broken.error.txt"], f"the errors folder holds the reasons {texts}")
        for folder in (*_VISITED, "outbox"):
            hidden = [path for path in (self.root / folder).rglob(".*") if path.name != ".sorawatch"]
            self._require(not hidden, f"left behind: {', '.join(map(self._told, hidden))}")

    def _check_clip(self, path: Path, *, reserved: bool = True) -> None:
        if reserved and self.disk is Disk.LINKLESS and path.stat().st_size == 0:
            return
        with open(path, "rb") as file:
            try:
                clip.check(file)
            except SorawatchError as error:
                self.broken += 1
                self.complaints.append(f"{self._told(path)}: {error}")

    def bought(self) -> list[dict[str, Any]]:
        """The videos that the server accepted of this scene, as its ledger has them."""
        with urlopen(f"{self.server}/ledger", timeout=30) as answer:
            return [video for video in json.load(answer)["videos"] if video["prompt"] in self.prompts]

    def _copies(self) -> dict[str, list[Path]]:
        """Where each input lies now, whole."""
        digests = {_digest(data): name for name, data in self.originals.items()}
        copies: dict[str, list[Path]] = {name: [] for name in self.originals}
        for folder in _VISITED:
            for path in self._visible(folder):
                if (name := digests.get(_digest(path.read_bytes()))) is not None:
                    copies[name].append(path)
        return copies

    def _visible(self, folder: str) -> list[Path]:
        root = self.root / folder
        return sorted(path for path in root.rglob("[!.]*") if path.is_file())

    def _told(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def _require(self, holds: bool, complaint: str) -> None:
        if not holds:
            self.complaints.append(complaint)

    def _prompt(self, name: str) -> str:
        return f"{self.tag}: {ORDERS[name]}"

    def _order(self, name: str) -> bytes:
        asked = {"prompt": "x", "seconds": 7} if name == BROKEN else {"prompt": self._prompt(name), "seconds": 4}
        return yaml.safe_dump(asked).encode()

    def _settings(self) -> dict[str, Any]:
        return {
            "state": "state.db",
            "api": {"base_url": f"{self.server}/v1", "key_file": "api.key", "timeout_seconds": 10},
            "watch": {"settle_seconds": 0.05, "rescan_seconds": 0.5},
            "polling": {"min_seconds": 0.05, "max_seconds": 0.2},
            "retries": {"first_seconds": 0.05, "max_seconds": 0.2, "attempts": 8},
            "limits": {"submits_per_minute": 60_000, "usd_per_day": None},
        }


@cache
def _pictures() -> dict[str, bytes]:
    """Small pictures, each of another colour, so that none can be taken for another."""
    pictures = {}
    for number, name in enumerate((*ORDERS, BROKEN)):
        data = io.BytesIO()
        kind = Image.registered_extensions()[Path(name).suffix]
        Image.new("RGB", (320, 180), (40 * number, 90, 200)).save(data, kind)
        pictures[name] = data.getvalue()
    return pictures


def _sidecar(name: str) -> str:
    return str(Path(name).with_suffix(".yaml"))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
