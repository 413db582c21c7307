"""One scan of the inbox: lists it and reads the orders of new pairs. Runs in a thread, because shares can hang."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from sorawatch.core.another_take import has_renamed_sidecar, pair_after_move
from sorawatch.core.job import Job, Pair, Stamp, State, path_in
from sorawatch.core.lifecycle import reject
from sorawatch.core.naming import job_id, one_line
from sorawatch.core.pairing import is_defaults, is_yaml
from sorawatch.core.sidecar import OrderSettings, make_order, read_prompt, read_settings
from sorawatch.core.yaml_tree import Invalid
from sorawatch.daemon.intake.folder_limits import FolderLimits
from sorawatch.edges import yamlfile
from sorawatch.edges.inbox import Inbox, Listing, SettledPair, WaitingFile, digest_of
from sorawatch.errors import Blocked, Deferred, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from sorawatch.core.budget import LimitScope
    from sorawatch.core.order import Model, Order

WAITS_FOR_SIDECAR = "waits for a sidecar; if none comes, it is ordered with the default prompt"


@dataclass(frozen=True, slots=True)
class NewPair:
    """A settled pair and its order, or why it cannot be ordered."""

    pair: Pair
    order: Order | Rejected


@dataclass(frozen=True, slots=True)
class RenamedPair:
    """A pair of a bought job that has another name or folder now."""

    former: str
    """The former path of the image, relative to the inbox."""
    pair: Pair
    digest: str | None
    """SHA-256 of the image's bytes; None if the image itself has kept its path."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan found."""

    new: tuple[NewPair, ...]
    waiting: tuple[WaitingFile, ...]
    listing: Listing
    folder_limits: tuple[LimitScope, ...] = ()
    """The limits of folders that set their own."""
    passing: frozenset[str] = frozenset()
    """Paths of pictures in ``waiting`` that are expected to become jobs without a person's help."""
    renamed: tuple[RenamedPair, ...] = ()


class InboxScanner:
    """Lists the inbox and reads the sidecars of new pairs."""

    def __init__(
        self,
        inbox: Inbox,
        defaults: OrderSettings,
        catalogue: Mapping[str, Model],
        check: Callable[[], None],
        *,
        sidecar_grace_seconds: float,
    ) -> None:
        """``check`` raises `Blocked` where the inbox must not be scanned now.

        Args:
            sidecar_grace_seconds: how long a picture without a sidecar waits for one before it is ordered with the
                default prompt.
        """
        self._sidecar_grace_seconds = sidecar_grace_seconds
        self._inbox = inbox
        self._defaults = defaults
        self._catalogue = catalogue
        self._check = check
        self._folder_limits = FolderLimits(inbox.settle_seconds, lambda path: read_layer(inbox.root, path, path))

    def scan(
        self,
        known: Mapping[str, Pair],
        now: float,
        open_files: Collection[str] = (),
        bought: Mapping[str, Pair] = MappingProxyType({}),
    ) -> ScanResult:
        """List the inbox once.

        Args:
            known: the pairs that have a job already, by path.
            bought: those of them whose job is bought, so that it goes on wherever they are moved.
            now: seconds of a monotonic clock.
            open_files: files that a program has open for writing; paths relative to the inbox.

        Raises:
            Blocked, Deferred: if the inbox itself cannot be listed.
        """
        self._check()
        listing = self._inbox.scan(known, now, open_files)
        # If a share was unmounted during the listing, all its files seem to be missing.
        self._check()
        limits_settle_in = self._folder_limits.update(listing.defaults, listing.unlisted, now, open_files)
        folder_defaults: dict[str, OrderSettings] = {}
        new: list[NewPair] = []
        waiting = list(listing.waiting)
        # What does not belong to a pair is not among those present.
        passing = {each.path for each in waiting if each.path in listing.present}
        graces: list[float] = []
        for settled in listing.settled:
            try:
                order = self._order(settled, folder_defaults)
            except (Deferred, Blocked) as error:
                waiting.append(WaitingFile(settled.pair.path, str(error)))
                passing |= {settled.pair.path} if isinstance(error, Deferred) else set()
                continue
            if order is None:
                waiting.append(WaitingFile(settled.pair.path, "no sidecar yet, and no default prompt"))
            elif settled.pair.sidecar is None and settled.unchanged_seconds < self._sidecar_grace_seconds:
                graces.append(self._sidecar_grace_seconds - settled.unchanged_seconds)
                waiting.append(WaitingFile(settled.pair.path, WAITS_FOR_SIDECAR))
                passing.add(settled.pair.path)
            else:
                new.append(NewPair(settled.pair, order))
        settle_in = [each for each in (listing.settles_in, limits_settle_in, *graces) if each is not None]
        listing = replace(listing, settling=listing.settling + len(graces), settles_in=min(settle_in, default=None))
        renamed = tuple(self._renamed(bought, listing))
        return ScanResult(tuple(new), tuple(waiting), listing, self._folder_limits.scopes, frozenset(passing), renamed)

    def _renamed(self, bought: Mapping[str, Pair], listing: Listing) -> Iterator[RenamedPair]:
        """The pairs of bought jobs that were renamed or moved within the inbox."""
        moved: dict[Stamp, list[Pair]] = {}
        for path, former in bought.items():
            found = listing.present.get(path)
            if found is None:
                moved.setdefault(former.image_stamp, []).append(former)
            elif found != former and has_renamed_sidecar(former, found):
                yield RenamedPair(path, found, None)
        for path, found in listing.present.items() if moved else ():
            if path not in bought and found.image_stamp in moved:
                # Pictures of one size may have the same date, if their file system knows only seconds.
                with suppress(Blocked, Deferred):
                    digest = digest_of(self._inbox.root, path)
                    for former in moved[found.image_stamp]:
                        yield RenamedPair(former.path, pair_after_move(former, found), digest)

    def _order(self, settled: SettledPair, folder_defaults: dict[str, OrderSettings]) -> Order | Rejected | None:
        """The order of a pair, why it cannot be ordered, or None if it has no prompt yet.

        ``folder_defaults`` caches the ``_defaults.yaml`` files that were read in this scan.
        """
        found = settled.pair
        try:
            _require_clear(settled.conflict)
            own = _layers(self._inbox.root, found.folder, found.sidecar, settled.defaults, folder_defaults)
            layers = [*own, self._defaults]
            if found.sidecar is None and not any(layer.sets("prompt") for layer in layers):
                return None
            return make_order(layers, self._catalogue)
        except Rejected as error:
            return error


def order_of(inbox: Inbox, folder: str, image: str, defaults: OrderSettings, catalogue: Mapping[str, Model]) -> Order:
    """What a picture in a folder of the inbox would order now.

    A missing prompt is allowed here, because nothing is ordered.

    Raises:
        Rejected: with every problem.
        Deferred, Blocked: if a file cannot be read.
    """
    match, applying = inbox.look_up(folder, image)
    _require_clear(match.conflict)
    own = _layers(inbox.root, folder, match.sidecar, applying, {})
    return make_order([*own, defaults, OrderSettings(prompt="(none yet)")], catalogue)


def _require_clear(conflict: str) -> None:
    if conflict:
        raise Rejected(conflict, "Correct the names, then move the files back into the inbox.")


def _layers(
    root: Path, folder: str, sidecar: str | None, applying: Iterable[str], folder_defaults: dict[str, OrderSettings]
) -> list[OrderSettings]:
    """The settings of a pair, then of its folders, the nearest first.

    Args:
        root: the inbox.
        folder: of the pair, relative to the inbox.
        sidecar: its name.
        applying: paths of the ``_defaults.yaml`` files that apply, relative to the inbox.
        folder_defaults: those that were read already, by path; gets the others.

    Raises:
        Deferred, Blocked: if a file cannot be read.
    """
    for path in applying:
        if path not in folder_defaults:
            folder_defaults[path] = read_layer(root, path, path)
    layers = [folder_defaults[path] for path in applying]
    return layers if sidecar is None else [read_layer(root, path_in(folder, sidecar), sidecar), *layers]


def new_job(found: NewPair, now: int) -> Job:
    """A job for a settled pair. It is rejected at once if the pair cannot be ordered."""
    job = Job(job_id(os.urandom(5)), State.FOUND, found.pair, created_at=now, due_at=now, changed_at=now)
    if isinstance(found.order, Rejected):
        return reject(job, now, str(found.order), found.order.hint)
    return replace(job, order=found.order)


def read_layer(root: Path, path: str, name: str) -> OrderSettings:
    """The settings in a sidecar or a ``_defaults.yaml`` below ``root``. Errors in it are listed in their ``problems``.

    Args:
        path: relative to ``root``.
        name: what messages call it.

    Raises:
        Deferred, Blocked: if it cannot be read now.
    """
    name = one_line(name)
    try:
        data = yamlfile.read_below(root, path)
        file_name = path.rpartition("/")[2]
        if is_yaml(file_name):
            return read_settings(yamlfile.load(data, name), of_folder=is_defaults(file_name))
        return read_prompt(data, name)
    except Invalid as invalid:
        return OrderSettings.unreadable(name, *invalid.problems)
