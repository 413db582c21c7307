"""The orders of one run, the folders they lie in, and the server that they go to."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from PIL import Image

from sorawatch import config

OVEN = "oven"
"""In a prompt: the simulator fails the first generation."""

ORDERS = {"beach.jpg": "gentle waves", "trip/harbour.png": "boats leave", "bread.jpg": f"bread in the {OVEN}"}
"""Pictures that become clips, and their prompts."""

BROKEN = "broken.jpg"
"""A picture whose sidecar cannot be understood."""

VISITED = ("inbox", "processed", "errors")
"""The folders that inputs come through."""


class Disk(StrEnum):
    """What the folders lie on."""

    ONE = "one"
    NETWORK = "network"
    """One that has links, but no rename that replaces nothing, as NFS."""
    LINKLESS = "linkless"
    """One that has neither, so that an empty file must reserve a name."""
    APART = "apart"
    """A file system for each folder."""


class Listing(StrEnum):
    """What the server's list is worth."""

    GOOD = "good"
    NONE = "none"
    """There is none."""
    LAGGING = "lagging"
    """It shows nothing that is younger than an hour."""
    LYING = "lying"
    """It shows none of ours, which the server has all the same."""
    FOREIGN = "foreign"
    """It is the list of another account."""


@dataclass
class Installation:
    """One inbox of orders, named apart from all others by ``tag``, and the simulator at ``server``."""

    root: Path
    server: str
    tag: str
    listing: Listing = Listing.GOOD
    disk: Disk = Disk.ONE
    takes: int = 1
    """How often each order is to be made: more than once only on purpose."""

    def __post_init__(self) -> None:
        self.prompts = {f"{self.tag}: {words}": name for name, words in ORDERS.items()}
        """Pictures by prompt."""
        orders = {name: {"prompt": prompt, "seconds": 4} for prompt, name in self.prompts.items()}
        orders[BROKEN] = {"prompt": "nothing", "seconds": 7}
        self.originals = _pictures() | {sidecar(name): yaml.safe_dump(order).encode() for name, order in orders.items()}
        """The inputs, by their path below the inbox."""
        for folder in (*VISITED, "outbox"):
            (self.root / folder).mkdir()
        for name, data in self.originals.items():
            path = self.root / "inbox" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        key = self.root / "api.key"
        key.write_text("sk-simulated")
        key.chmod(0o600)
        (self.root / "config.yaml").write_text(yaml.safe_dump(self._settings()))

    def load(self) -> config.Config:
        return config.load(self.root / "config.yaml", {})

    def bought(self) -> list[dict[str, Any]]:
        """The videos that the server accepted of this installation, as its ledger has them."""
        with urlopen(f"{self.server}/ledger", timeout=30) as answer:
            return [video for video in json.load(answer)["videos"] if video["prompt"] in self.prompts]

    def visible(self, folder: str, suffix: str = "") -> list[Path]:
        """The files below one of the folders that are not hidden, and whose names end so."""
        return sorted(path for path in (self.root / folder).rglob(f"[!.]*{suffix}") if path.is_file())

    def _settings(self) -> dict[str, Any]:
        return {
            "state": "state.db",
            "api": {"base_url": f"{self.server}/v1", "key_file": "api.key", "timeout_seconds": 5},
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


def sidecar(name: str) -> str:
    return str(Path(name).with_suffix(".yaml"))
