"""The faults that are switched on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sorawatch.simulator.error_bodies import SHAPES
from sorawatch.simulator.faults import KINDS, OPERATIONS

if TYPE_CHECKING:
    from sorawatch.simulator.api import Api
    from sorawatch.simulator.fault_types import Fault, Stage


class FaultBox:
    """The faults that are switched on. Every method may be called from any thread."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._matches: list[tuple[Fault, int]] = []
        """Each fault with the number of requests that have matched it."""

    def inject(self, *faults: Fault) -> None:
        """Switch faults on.

        Raises:
            ValueError: for a kind, an operation or a shape that does not exist; the message lists those that do. Also
                for a fault that the API cannot have.
        """
        for fault in faults:
            _check(fault, self._api)
        own = [self._api.own_fault(fault) for fault in faults]
        with self._lock:
            self._matches += [(fault, 0) for fault in own]

    def clear(self) -> None:
        with self._lock:
            self._matches.clear()

    def active(self) -> tuple[Fault, ...]:
        """The faults that can still affect a request."""
        with self._lock:
            return tuple(fault for fault, count in self._matches if not _is_used_up(fault, count))

    def take(
        self, operation: str, stage: Stage, prompt: str | None = None, status: str | None = None
    ) -> tuple[Fault, ...]:
        """The faults that affect this request at this stage, in the order of their injection."""
        taken = []
        with self._lock:
            for index, (fault, count) in enumerate(self._matches):
                if not _is_used_up(fault, count) and _is_match(fault, operation, stage, prompt, status):
                    self._matches[index] = (fault, count + 1)
                    if count >= fault.after:
                        taken.append(fault)
        return tuple(taken)


def _check(fault: Fault, api: Api) -> None:
    for name, value, allowed in (
        ("kind", fault.kind, tuple(KINDS)),
        ("on", fault.on, (None, "any", *OPERATIONS)),
        ("shape", fault.shape, (None, *SHAPES)),
    ):
        if value not in allowed:
            raise ValueError(f"{name}: {value!r} is none of {', '.join(map(str, allowed))}")
    needs = KINDS[fault.kind].needs
    if needs is not None and not getattr(api.abilities, needs):
        raise ValueError(f"kind: {fault.kind!r} changes what {api.settings.api} does not have")


def _is_match(fault: Fault, operation: str, stage: Stage, prompt: str | None, status: str | None) -> bool:
    kind = KINDS[fault.kind]
    return (
        kind.stage is stage
        and (fault.on or kind.on) in (operation, "any")
        and (fault.prompt is None or (prompt is not None and fault.prompt in prompt))
        and (fault.when is None or fault.when == status)
    )


def _is_used_up(fault: Fault, count: int) -> bool:
    return fault.times is not None and count >= fault.after + fault.times
