"""The state in which admissions and circuit breakers are tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clocked_state import ClockedState


@pytest.fixture
def state(tmp_path: Path) -> Iterator[ClockedState]:
    state = ClockedState(tmp_path)
    yield state
    state.close()
