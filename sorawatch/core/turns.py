"""Folders take turns, so that the many orders of one person do not delay the few of another."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Urgency = tuple[int, int, int, str, str]
"""The priority, negated, then what decides within a folder: age, date of the picture, name, id."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """The urgency of the most urgent item of a folder, and the folder's last turn."""

    folder: str
    turn: int
    """The folder with the lowest number comes first."""
    urgency: Urgency


def in_turn(heads: Iterable[Head], items: Callable[[str], Iterator[T]], urgency: Callable[[T], Urgency]) -> Iterator[T]:
    """All items: by priority, then the folders in turn, then by what decides within a folder.

    Args:
        heads: the folders that have items.
        items: returns the items of a folder, the most urgent first. It is called when the folder has its first turn.
    """
    waiting = [(head.urgency[0], head.turn, head.urgency[1:], head.folder) for head in heads]
    heapq.heapify(waiting)
    last = max((turn for _, turn, _, _ in waiting), default=0)
    queues: dict[str, Iterator[T]] = {}
    following: dict[str, T] = {}
    while waiting:
        *_, folder = heapq.heappop(waiting)
        if folder not in queues:
            queues[folder] = items(folder)
            following.update((folder, item) for item in islice(queues[folder], 1))
        if folder not in following:
            continue
        yield following.pop(folder)
        last += 1
        for item in islice(queues[folder], 1):
            following[folder] = item
            own = urgency(item)
            heapq.heappush(waiting, (own[0], last, own[1:], folder))
