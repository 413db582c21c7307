"""What the tests of the whole product share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sorawatch import simulator
from tests.support.mounts import mount, other_disk, remount, unprivileged
from tests.support.postgres import cluster, database
from tests.support.workspace import Yard

__all__ = ["cluster", "database", "mount", "other_disk", "patient_yard", "remount", "sim", "unprivileged", "yard"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def sim() -> Iterator[simulator.Simulator]:
    """A quick simulator with small clips."""
    with simulator.running(simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1)) as running:
        yield running


@pytest.fixture
def yard(tmp_path: Path, sim: simulator.Simulator) -> Iterator[Yard]:
    yard = Yard(tmp_path, sim)
    yield yard
    yard.close()


@pytest.fixture
def patient_yard(tmp_path: Path) -> Iterator[Yard]:
    """A yard whose simulator finishes no video until it is told to."""
    settings = simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)
    with simulator.running(settings) as sim:
        yard = Yard(tmp_path, sim)
        yield yard
        yard.close()
