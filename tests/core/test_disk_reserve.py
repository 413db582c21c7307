"""What is kept free for the state."""

from __future__ import annotations

import pytest

from sorawatch.core.disk_reserve import room

MIB = 1 << 20


@pytest.mark.parametrize(
    ("free", "total", "expected"),
    [
        (1000 * MIB, 10_000 * MIB, 936 * MIB),
        (64 * MIB, 10_000 * MIB, 0),
        (10 * MIB, 10_000 * MIB, -54 * MIB),
        (1 * MIB, 1 * MIB, MIB - MIB // 20),
    ],
)
def test_a_part_of_the_disk_stays_free(free: int, total: int, expected: int) -> None:
    assert room(free, total) == expected
