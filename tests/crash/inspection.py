"""What must be true of a installation right after a kill, and when a run without a kill has ended."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sorawatch.app import status
from sorawatch.core.job import FINAL, UNPAID, Job, State
from sorawatch.edges import mp4
from sorawatch.edges.spool import Spool
from sorawatch.errors import SorawatchError
from tests.crash.installation import BROKEN, ORDERS, VISITED, Disk, Installation, Listing, sidecar

_LAST_WORDS = b"How to try again"
_REASON = ".error.txt"


@dataclass(frozen=True, slots=True)
class Tally:
    """What a installation, killed and taken up again, came to."""

    complaints: tuple[str, ...] = ()
    orders: int = 0
    creates: int = 0
    duplicates: int = 0
    lost: int = 0
    """Inputs that are nowhere to be found whole."""
    broken: int = 0
    """Clips that were not whole under a visible name, at any look."""
    held: int = 0


class Inspection:
    """Of one installation, kill after kill. Whatever is wrong becomes one of the ``complaints``."""

    def __init__(self, installation: Installation) -> None:
        self.complaints: list[str] = []
        self.broken = 0
        self._installation = installation
        self._work = Spool.beside(installation.root / "state.db")
        self.lost: set[str] = set()
        """Pictures the answer to whose submit was lost, to a kill or to a fault."""

    def after_a_kill(self) -> list[Job]:
        """Nothing may be missing, and nothing unfinished be visible. Returns the jobs."""
        # Where a file cannot be moved in one step, it is in both places for a moment.
        self._check_inputs(at_most=1 if self._installation.disk is Disk.ONE else 2)
        self.check_clips()
        for path in self._installation.visible("errors", _REASON):
            whole = _LAST_WORDS in path.read_bytes() or self._is_reserved(path)
            self._require(whole, f"{self._told(path)} is not whole")
        jobs = self._jobs_of_wreck()
        for job in jobs:
            record = self._work.record(job.id) or {}
            known = record.get("video_id") and record.get("token") == job.token
            if job.state in {State.SUBMITTING, State.UNCERTAIN} and not known:
                self.lost.add(job.pair.path)
        return jobs

    def at_the_end(self) -> Tally:
        """All is done, but for orders whose answer was lost and which no list can show."""
        held, waiting = self._left()
        kept = held | waiting
        homes = {BROKEN: "errors"} | {name: "inbox" if name in kept else "processed" for name in ORDERS}
        self._check_inputs(at_most=1, homes=homes | {sidecar(name): home for name, home in homes.items()})
        clips = {self._told(path) for path in self._installation.visible("outbox")}
        numbers = ["", *(f" ({take})" for take in range(2, self._installation.takes + 1))]
        stems = [Path(name).with_suffix("") for name in ORDERS if name not in kept]
        expected = {f"outbox/{stem}{number}.mp4" for stem in stems for number in numbers}
        self._require(clips == expected, f"there are {sorted(clips)} and not {sorted(expected)}")
        self.check_clips(reserved=False)
        reasons = [path.name for path in self._installation.visible("errors", _REASON)]
        self._require(reasons == [f"{Path(BROKEN).stem}{_REASON}"], f"the errors folder holds the reasons {reasons}")
        for folder in (*VISITED, "outbox"):
            found = (self._installation.root / folder).rglob(".*")
            hidden = [path for path in found if path.name not in {".sorawatch", ".sorawatch.lock"}]
            self._require(not hidden, f"left behind: {', '.join(map(self._told, hidden))}")
        creates, again = self.purchases()
        self.complaints += [f"{name} was bought {times} times too often" for name, times in again.items()]
        missing = sum(not copies for copies in self._copies().values())
        complaints = tuple(dict.fromkeys(self.complaints))
        return Tally(
            complaints,
            len(ORDERS) * self._installation.takes,
            creates,
            sum(again.values()),
            missing,
            self.broken,
            len(held),
        )

    def purchases(self) -> tuple[int, dict[str, int]]:
        """How many orders the server accepted, and how many too often by picture: failed generations do not count."""
        prompts, videos = self._installation.prompts, self._installation.bought()
        again = Counter(dict.fromkeys(prompts.values(), -self._installation.takes))
        again.update(prompts[video["prompt"]] for video in videos if video["status"] != "failed")
        return len(videos), dict(+again)

    def check_clips(self, *, reserved: bool = True) -> None:
        """Every visible clip is whole; ``reserved`` names are let pass where the disk has no other way."""
        for path in self._installation.visible("outbox"):
            if reserved and self._is_reserved(path):
                continue
            with open(path, "rb") as file:
                try:
                    mp4.check(file)
                except SorawatchError as error:
                    self.broken += 1
                    self.complaints.append(f"{self._told(path)}: {error}")

    def _left(self) -> tuple[set[str], set[str]]:
        """The pictures whose jobs are held, and those that wait for their turn; every other is done.

        An order is held where its answer was lost and the list does not show it, a good list only if it shows no
        other order either. It is never sent again where the list proves nothing. Lost answers of two orders may keep
        further ones from being sent at all.
        """
        try:
            jobs = status.snapshot(self._installation.load()).jobs
        except SorawatchError as error:
            self.complaints.append(f"the state cannot be read: {error}")
            return set(), set()
        bought = {
            self._installation.prompts[video["prompt"]]
            for video in self._installation.bought()
            if video["status"] != "failed"
        }
        good = self._installation.listing is Listing.GOOD
        held = {job.pair.path for job in jobs if job.state is State.HELD}
        waiting = {job.pair.path for job in jobs if job.state in UNPAID}
        told = [f"{job.pair.path} {job.state} {job.short_reason}".rstrip() for job in jobs]
        shown = {job.pair.path for job in jobs if job.state is State.DONE} if good else set()
        undecided = self.lost - bought if good else self.lost
        for name in held if shown else held - undecided:
            self.complaints.append(f"{name} is held for nothing: {told}")
        for name in waiting - ({*ORDERS} - bought if len(self.lost) > 1 else set()):
            self.complaints.append(f"{name} waits for nothing: {told}")
        for name in set() if good else self.lost - held - waiting:
            self.complaints.append(f"{name} went on although nothing can tell what became of it: {told}")
        ended = Counter((job.pair.path, job.state) for job in jobs if job.pair.path not in held | waiting)
        expected = Counter((name, State.DONE) for name in ORDERS if name not in held | waiting)
        expected[BROKEN, State.FAILED] = 1
        for name in ORDERS if self._installation.takes > 1 else ():
            # One is done; one moved its pair back, and one was found there, for each take after the first.
            expected[name, State.DONE], expected[name, State.CANCELLED] = (
                self._installation.takes,
                self._installation.takes - 1,
            )
        self._require(ended == expected, f"the jobs ended as {told}")
        going_on = {job.id for job in jobs if job.state not in FINAL}
        left = {path.name for path in self._work.root.iterdir()}
        self._require(left == going_on, f"the work folder holds {left}")
        return held, waiting

    def _check_inputs(self, *, at_most: int, homes: Mapping[str, str] | None = None) -> None:
        """Every input is in so many places, whole, and in ``homes`` if they are known; nothing else is with them."""
        copies = self._copies()
        for name, paths in copies.items():
            told = ", ".join(map(self._told, paths)) or "nowhere"
            home = not homes or paths == [self._installation.root / homes[name] / name]
            self._require(1 <= len(paths) <= at_most and home, f"{name} lies {told}")
        known = {path for paths in copies.values() for path in paths} | {*self._installation.visible("errors", _REASON)}
        for path in (path for folder in VISITED for path in self._installation.visible(folder)):
            reserved = homes is None and self._is_reserved(path)
            self._require(path in known or reserved, f"{self._told(path)} is no input")

    def _copies(self) -> dict[str, list[Path]]:
        """Where each input lies now, whole."""
        names = {_digest(data): name for name, data in self._installation.originals.items()}
        copies: dict[str, list[Path]] = {name: [] for name in self._installation.originals}
        for path in (path for folder in VISITED for path in self._installation.visible(folder)):
            if (name := names.get(_digest(path.read_bytes()))) is not None:
                copies[name].append(path)
        return copies

    def _jobs_of_wreck(self) -> list[Job]:
        """The jobs that a killed daemon left; none if it had not come to write any."""
        with TemporaryDirectory() as folder:
            # Merely to look at a state whose writer was killed changes it, so a copy is looked at.
            for path in filter(Path.is_file, self._installation.root.glob("state.db*")):
                shutil.copy(path, folder)
            try:
                return list(status.snapshot(replace(self._installation.load(), state=f"{folder}/state.db")).jobs)
            except SorawatchError:
                return []

    def _is_reserved(self, path: Path) -> bool:
        """Whether it is an empty file that merely keeps a name."""
        return self._installation.disk is Disk.LINKLESS and path.stat().st_size == 0

    def _told(self, path: Path) -> str:
        return str(path.relative_to(self._installation.root))

    def _require(self, holds: bool, complaint: str) -> None:
        if not holds:
            self.complaints.append(complaint)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
