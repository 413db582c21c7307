"""The pictures of ``sorawatch demo`` with their sidecars. ``tests/draw_samples.py`` drew them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and the contents of its sidecar."""

    name: str
    """The name of the image file."""
    prompt: str
    settings: Mapping[str, str | int]
    """The sidecar's other keys."""

    @property
    def sidecar(self) -> str:
        """The text of the sidecar, in YAML."""
        prompt = {"prompt": self.prompt} if self.prompt else {}
        return "".join(f"{key}: {value}\n" for key, value in (prompt | dict(self.settings)).items())


SAMPLES = (
    Sample(
        "beach.jpg",
        "Gentle waves roll in, palm leaves sway in the breeze, slow camera push-in towards the setting sun",
        {"size": "auto", "seconds": 8, "fit": "crop"},
    ),
    Sample(
        "lighthouse.jpg",
        "The lamp of the lighthouse turns, its beams sweep over the sea at dusk, the camera rises slowly",
        {"size": "portrait", "seconds": 4, "fit": "crop"},
    ),
    Sample(
        "balloon.png",
        "Two hot-air balloons drift gently to the left, the burner flares up once",
        {"size": "landscape", "seconds": 4, "fit": "pad"},
    ),
    Sample(
        "mountains.jpg",
        "Mist flows through the valleys between the ridges, the sun climbs a little, aerial push-in",
        {"size": "landscape", "seconds": 4, "fit": "blur"},
    ),
)

BROKEN = Sample("notes.jpg", "", {"promt": "Clouds drift over the sea", "seconds": 7})
"""A sidecar with a misspelt key and a length that no model has, to show how mistakes are reported."""


def drop(folder: Path) -> None:
    """Put all pairs into ``folder``: the sidecar first, then the image in one step, so that no scan finds a part of it.

    Raises:
        OSError: if the folder cannot be written.
    """
    for sample in (*SAMPLES, BROKEN):
        image = folder / sample.name
        image.with_suffix(".yaml").write_text(sample.sidecar, encoding="utf-8")
        temporary = image.with_name(f".{image.name}.part")
        temporary.write_bytes(resources.files(__name__).joinpath(sample.name).read_bytes())
        os.replace(temporary, image)
