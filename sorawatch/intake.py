"""From what lies in the inbox to orders: one look, done in a thread of its own because shares can hang."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sorawatch.core.fsfaults import translate
from sorawatch.core.job import Pair
from sorawatch.core.order import Model, Order
from sorawatch.core.pairing import DEFAULTS_NAMES, YAML_SUFFIXES, fold, pair
from sorawatch.core.sidecar import Settings, make_order, read_prompt, read_settings
from sorawatch.core.tree import Invalid
from sorawatch.edges import yamlfile
from sorawatch.edges.inbox import Arrival, Inbox, Scan, Waiting
from sorawatch.errors import Deferred, Rejected


@dataclass(frozen=True, slots=True)
class NewPair:
    """A settled pair and what it orders, or why it cannot be understood."""

    pair: Pair
    order: Order | Rejected


@dataclass(frozen=True, slots=True)
class Look:
    """What the inbox held at one moment."""

    new: tuple[NewPair, ...]
    waiting: tuple[Waiting, ...]
    scan: Scan


class Intake:
    """Looks at the inbox and reads the sidecars of what is new there."""

    def __init__(
        self, inbox: Inbox, defaults: Settings, catalogue: Mapping[str, Model], check: Callable[[], None]
    ) -> None:
        """``check`` raises `Blocked` where the inbox must not be looked at now."""
        self._inbox = inbox
        self._defaults = defaults
        self._catalogue = catalogue
        self._check = check

    def look(self, known: Mapping[str, Pair], now: float) -> Look:
        """List the inbox once.

        Args:
            known: pairs that are jobs already, by path.
            now: seconds of a monotonic clock.

        Raises:
            Blocked, Deferred: if the inbox cannot be listed, whole.
        """
        self._check()
        scan = self._inbox.scan(known, now)
        presets: dict[str, list[Settings]] = {}
        new: list[NewPair] = []
        waiting = list(scan.waiting)
        for arrival in scan.arrivals:
            folder = arrival.pair.folder
            try:
                if folder not in presets:
                    presets[folder] = [*read_presets(self._inbox.root, folder), self._defaults]
                order = self._order(arrival, presets[folder])
            except Deferred as error:
                waiting.append(Waiting(arrival.pair.path, str(error)))
                continue
            if order is None:
                waiting.append(Waiting(arrival.pair.path, "no sidecar yet, and no default prompt"))
            else:
                new.append(NewPair(arrival.pair, order))
        return Look(tuple(new), tuple(waiting), scan)

    def _order(self, arrival: Arrival, presets: list[Settings]) -> Order | Rejected | None:
        found = arrival.pair
        if arrival.conflict:
            return Rejected(arrival.conflict, "Correct the names, then move the files back into the inbox.")
        if found.sidecar is None and not any(layer.speaks_of("prompt") for layer in presets):
            return None
        layers = presets
        if found.sidecar is not None:
            layers = [read_layer(self._inbox.root / found.folder / found.sidecar, found.sidecar), *presets]
        try:
            return make_order(layers, self._catalogue)
        except Rejected as error:
            return error


def read_presets(root: Path, folder: str) -> Iterator[Settings]:
    """The ``_defaults.yaml`` layers that hold for ``folder`` below ``root``, the nearest first.

    Raises:
        Deferred, Blocked: if one is there and cannot be read now.
    """
    while True:
        for name in DEFAULTS_NAMES:
            path = root / folder / name
            if os.path.lexists(path):
                yield read_layer(path, f"{folder}/{name}" if folder else name)
        if not folder:
            return
        folder = folder.rpartition("/")[0]


def read_layer(path: Path, name: str) -> Settings:
    """A sidecar, or a ``_defaults.yaml``; whatever is wrong in it is among its problems.

    Raises:
        Deferred, Blocked: if it cannot be read now.
    """
    try:
        data = yamlfile.read(path)
        if fold(path.name).endswith(YAML_SUFFIXES):
            return read_settings(yamlfile.load(data, name))
        return read_prompt(data, name)
    except Invalid as invalid:
        return Settings.unreadable(name, *invalid.problems)


def order_beside(image: Path, defaults: Settings, catalogue: Mapping[str, Model]) -> Order:
    """What a picture anywhere would order with the sidecar and the ``_defaults.yaml`` beside it.

    A missing prompt is no fault here, for nothing is ordered.

    Raises:
        Rejected: with every problem.
        Deferred, Blocked: if a file cannot be read.
    """
    try:
        names = [path.name for path in image.parent.iterdir()]
    except OSError as error:
        raise translate(error, str(image.parent)) from error
    match = next((match for match in pair(names).matches if match.image == image.name), None)
    layers = [*read_presets(image.parent, ""), defaults, Settings(prompt="(none yet)")]
    if match is not None and match.sidecar is not None:
        layers.insert(0, read_layer(image.parent / match.sidecar, match.sidecar))
    return make_order(layers, catalogue)
