from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.pictures import pool


@pytest.fixture(scope="session", autouse=True)
def _end_the_workers() -> Iterator[None]:
    yield
    pool.close()
