"""What is compared with: the loop of the API reference's `requests` example over a folder, killed alike and run again.

It skips pictures whose MP4 is there already, which is more than the reference does.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from PIL import Image

from tests.crash.inspection import Inspection, Tally
from tests.crash.installation import ORDERS, Installation
from tests.crash.names import Names
from tests.crash.processes import KILLED, Child
from tests.crash.trial import ROOM, Kill, Trial, Verdict, lay_out, watched

_RUNS = 5
"""How often a person starts it again until it ends well."""


def trace(server: str, trial: Trial) -> Callable[[Callable[[str], None]], None]:
    """As `tests.crash.trial.trace`; the script is started again where a generation failed."""

    def task(say: Callable[[str], None]) -> None:
        with TemporaryDirectory(dir=ROOM) as folder:
            installation = _lay_out(Path(folder), server, trial)
            moments: dict[str, None] = {}
            for _ in range(_RUNS):
                child = Child.start(partial(_live, installation, None))
                ended = child.wait(60) == 0
                moments |= dict.fromkeys(json.loads(child.said.decode().splitlines()[0]))
                if ended:
                    break
            say(json.dumps({"moments": [*moments], "unseen": []}))

    return task


def carry_out(server: str, trial: Trial) -> Callable[[Callable[[str], None]], None]:
    """As `tests.crash.trial.carry_out`, with nothing to complain about."""

    def task(say: Callable[[str], None]) -> None:
        with TemporaryDirectory(dir=ROOM) as folder:
            installation = _lay_out(Path(folder), server, trial)
            deaths, left = [], [*trial.kills]
            for _ in range(_RUNS):
                child = Child.start(partial(_live, installation, left[0] if left else None))
                status = child.wait(60)
                if status == KILLED:
                    deaths.append(child.said.decode())
                    del left[0]
                elif status == 0:
                    break
            inspection = Inspection(installation)
            inspection.check_clips()
            creates, again = inspection.purchases()
            tally = Tally(orders=len(ORDERS), creates=creates, duplicates=sum(again.values()), broken=inspection.broken)
            say(json.dumps(asdict(Verdict(tuple(deaths), tally))))

    return task


def _lay_out(folder: Path, server: str, trial: Trial) -> Installation:
    installation = lay_out(folder, server, trial)
    for number, name in enumerate(ORDERS):
        (installation.root / "outbox" / name).parent.mkdir(exist_ok=True)
        (installation.root / "inbox" / name).with_suffix(".png").write_bytes(_reference(number))
    return installation


@cache
def _reference(number: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (1280, 720), (40 * number, 90, 200)).save(data, "PNG")
    return data.getvalue()


def _live(installation: Installation, kill: Kill | None, say: Callable[[str], None]) -> None:
    names = Names(installation.root, installation.prompts)
    observer = watched(names, kill, say)
    try:
        for prompt, name in installation.prompts.items():
            make(installation, prompt, name, names.videos)
    finally:
        if kill is None:
            say(json.dumps(observer.moments) + "\n")


def make(installation: Installation, prompt: str, name: str, names: dict[str, str]) -> None:
    """The reference's three steps for one picture; ``names`` is told of the video."""
    target = (installation.root / "outbox" / name).with_suffix(".mp4")
    if target.exists():
        return
    headers = {"Authorization": "Bearer sk-simulated"}
    with open((installation.root / "inbox" / name).with_suffix(".png"), "rb") as file:
        created = requests.post(
            f"{installation.server}/v1/videos",
            headers=headers,
            data={"model": "sora-2", "prompt": prompt, "seconds": "4", "size": "1280x720"},
            files={"input_reference": ("reference.png", file, "image/png")},
            timeout=60,
        ).json()
    names[created["id"]] = name
    while True:
        video = requests.get(f"{installation.server}/v1/videos/{created['id']}", headers=headers, timeout=60).json()
        if video["status"] == "completed":
            break
        if video["status"] == "failed":
            raise RuntimeError(f"Generation failed: {video}")
        time.sleep(0.05)
    url = f"{installation.server}/v1/videos/{created['id']}/content"
    with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
        answer.raise_for_status()
        with open(target, "wb") as file:
            file.writelines(answer.iter_content(chunk_size=8192))
