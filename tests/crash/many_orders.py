"""Hundreds of orders whose answers are all lost, on a daemon that is killed now and then."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from PIL import Image

from sorawatch.app import status
from sorawatch.core.job import State
from sorawatch.simulator import Fault
from tests.crash.inspection import Tally
from tests.crash.installation import Installation, Listing
from tests.crash.outside import daemon
from tests.crash.processes import inject
from tests.crash.trial import ROOM, Trial, Verdict

MANY = 200
"""Orders of one trial."""

ACCEPTED = 4
"""Orders that may be taken before lost answers stop the rest."""

_PATIENCE = 300.0

_LOST = (
    Fault("answer_after", on="create", status=500, times=None),
    Fault("answer_after", on="create", status=504, shape="html", times=None),
)


def draw() -> list[Trial]:
    """With a list that finds them all, and without one; each once left alone and once killed three times."""
    dice = random.Random(12)
    return [
        Trial(tuple(f"{dice.randint(500, 4000)} ms" for _ in range(kills)), listing, fault=fault)
        for listing in (Listing.GOOD, Listing.NONE)
        for fault, kills in zip(_LOST, (0, 3), strict=True)
    ]


def carry_out(server: str, trial: Trial) -> Callable[[Callable[[str], None]], None]:
    """As `tests.crash.trial.carry_out`."""

    def task(say: Callable[[str], None]) -> None:
        with TemporaryDirectory(dir=ROOM) as folder:
            root = Path(folder) / "workspace"
            root.mkdir()
            installation = Installation(root, server, folder.rpartition("/")[2], trial.listing)
            names = _fill(installation)
            assert trial.fault is not None
            inject(server, asdict(replace(trial.fault, prompt=f"{installation.tag}: order")))
            deaths = [str(kill) for kill in trial.kills if _killed(installation, str(kill))]
            with daemon(installation, "run", "--once") as last:
                complaints = _ended(last)
            say(json.dumps(asdict(_verdict(installation, names, tuple(deaths), complaints))))

    return task


def _fill(installation: Installation) -> dict[str, str]:
    """Put many pictures, each of another colour, in place of the installation's own. Returns them by their prompts."""
    inbox = installation.root / "inbox"
    for path in [path for path in inbox.rglob("*") if path.is_file()]:
        path.unlink()
    names = {f"{installation.tag}: order {number:03}": f"{number:03}.jpg" for number in range(MANY)}
    for number, (prompt, name) in enumerate(names.items()):
        data = io.BytesIO()
        Image.new("RGB", (320, 180), (number % 256, 90, 200 - number // 2)).save(data, "JPEG")
        (inbox / name).write_bytes(data.getvalue())
        (inbox / name).with_suffix(".yaml").write_text(yaml.safe_dump({"prompt": prompt, "seconds": 4}))
    return names


def _killed(installation: Installation, kill: str) -> bool:
    """Whether the daemon was still at it when it was killed after so long."""
    with daemon(installation, "run") as victim:
        time.sleep(int(kill.removesuffix(" ms")) / 1000)
        victim.kill()
        return victim.wait(_PATIENCE) == -signal.SIGKILL


def _ended(last: subprocess.Popen[bytes]) -> list[str]:
    try:
        status = last.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        last.kill()
        return [f"the last run did not end within {_PATIENCE:g} s"]
    return [] if status in {0, 1} else [f"the last run ended with status {status}"]


def _verdict(
    installation: Installation, names: dict[str, str], deaths: tuple[str, ...], complaints: list[str]
) -> Verdict:
    bought = [video["prompt"] for video in _bought(installation, names)]
    again = {names[prompt]: count - 1 for prompt, count in Counter(bought).items() if count > 1}
    complaints += [f"{name} was bought {count} times too often" for name, count in again.items()]
    counts = status.snapshot(installation.load()).counts
    if installation.listing is Listing.GOOD and counts != {State.DONE: MANY}:
        complaints.append(f"with a good list the jobs ended as {counts}")
    # A kill may lose as many answers as there are orders in flight at once; they do not count for the breaker.
    allowed = ACCEPTED * (1 + len(deaths))
    if installation.listing is not Listing.GOOD and len(bought) > allowed:
        complaints.append(f"{len(bought)} orders were taken without one answer")
    inputs = {path.name for folder in ("inbox", "processed", "errors") for path in installation.visible(folder, ".jpg")}
    missing = MANY - len(inputs)
    log = (installation.root.parent / "daemon.log").read_text()[-20_000:] if complaints or missing else ""
    tally = Tally(tuple(complaints), MANY, len(bought), sum(again.values()), missing, 0, counts.get(State.HELD, 0))
    return Verdict(deaths, tally, log, len(set(bought)))


def _bought(installation: Installation, names: dict[str, str]) -> list[dict[str, Any]]:
    installation.prompts = names
    return installation.bought()
