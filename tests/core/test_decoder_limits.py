"""How many pictures are decoded at once, and with how much memory."""

from __future__ import annotations

import pytest

from sorawatch.core.decoder_limits import LEAST_MEMORY, MOST_MEMORY, decoder_limits

GIB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (None, (2, MOST_MEMORY)),
        (64 * GIB, (2, MOST_MEMORY)),
        (8 * GIB, (2, 2 * GIB)),
        (6 * GIB, (2, 3 * GIB // 2)),
        (6 * GIB - 1, (1, MOST_MEMORY)),
        (2 * GIB, (1, GIB)),
        (GIB // 2, (1, LEAST_MEMORY)),
    ],
)
def test_by_the_memory_of_the_machine(memory: int | None, expected: tuple[int, int]) -> None:
    assert decoder_limits(memory, None, None) == expected


def test_what_is_configured_holds() -> None:
    assert decoder_limits(64 * GIB, 3, 700) == (3, 700 << 20)
    assert decoder_limits(8 * GIB, 4, None) == (4, GIB)
    assert decoder_limits(2 * GIB, None, 3000) == (1, 3000 << 20)
