"""The ledger: an append-only file beside the state, with lines for each order that is bought and what happens to it.

A line is a JSON object in ASCII. The header names the ledger itself and the state that it belongs to. File names are
written as ``os.fsdecode`` gives them, so that all bytes are kept.
Lines that cannot be read, for example after a power cut, are skipped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import defaultdict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sorawatch.core.naming import current_key
from sorawatch.core.os_errors import translate
from sorawatch.core.purchase import LedgerEntry, Purchase, PurchaseClosed, Standing, VideoKnown, posted
from sorawatch.edges.directories import make_private, private_opener
from sorawatch.errors import Blocked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

logger = logging.getLogger("sorawatch")


@dataclass(frozen=True, slots=True)
class LedgerHeader:
    """Which ledger a file is, and for which state it is written: two UUIDs."""

    ledger: str
    state: str


Line = LedgerHeader | LedgerEntry

_NAME_OF: dict[type[Line], str] = {
    LedgerHeader: "ledger",
    Purchase: "bought",
    VideoKnown: "video",
    PurchaseClosed: "settled",
}
_KIND_OF = {name: kind for kind, name in _NAME_OF.items()}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _NAME_OF}
_KEYS = ("order_key", "likeness", "reference_key")
_LAST_BYTES = 4096
_HEADER = b'{"entry":"ledger",'
"""How the line of a header begins."""


class Ledger:
    """Used from one thread of one process. Entries that could not be written are kept, and written with the next."""

    def __init__(self, path: Path, others: Sequence[Path] = ()) -> None:
        """``others`` are ledgers that are read too, but never written."""
        self.path = path
        self._others = others
        self._unwritten: list[Line] = []
        self._ends_complete = False
        """Whether the file is known to end with a complete line."""
        self.was_lost = False
        """Whether the last write made a new file, although there was one before."""
        self.write_error: Blocked | None = None
        """Why the last attempt to write failed; None if it succeeded."""

    def read(self) -> dict[str, Purchase]:
        """All purchases, by token, the oldest first.

        Raises:
            Blocked: if the file exists and cannot be read.
        """
        purchases: dict[str, Purchase] = {}
        without_purchase: dict[str, list[LedgerEntry]] = defaultdict(list)
        for path in (self.path, *self._others):
            for entry in _entries(path):
                if isinstance(entry, LedgerHeader):
                    continue
                purchase = posted(purchases.get(entry.token), entry)
                if purchase is None:
                    # The purchase may be in another of the ledgers.
                    without_purchase[entry.token].append(entry)
                    continue
                for each in without_purchase.pop(entry.token, ()):
                    purchase = posted(purchase, each) or purchase
                purchases[entry.token] = purchase
        return dict(sorted(purchases.items(), key=lambda each: each[1].at))

    def header(self) -> LedgerHeader | None:
        """The last header of this ledger; None if it has none.

        Raises:
            Blocked: if the file exists and cannot be read.
        """
        return _header(self.path)

    def fingerprint(self) -> str | None:
        """What tells this ledger from the same one with more, fewer or other lines; None if it cannot be read.

        It is made from the end of the file, so it takes no time.
        """
        try:
            with open(self.path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LAST_BYTES))
                return f"{size} {hashlib.sha256(file.read()).hexdigest()}"
        except OSError:
            return None

    @property
    def is_complete(self) -> bool:
        """Whether everything that was to be written is on disk."""
        return not self._unwritten and not self.was_lost

    def states(self) -> set[str]:
        """The states for which this ledger and the others were written.

        Raises:
            Blocked: if one of them cannot be read.
        """
        return {header.state for path in (self.path, *self._others) if (header := _header(path)) is not None}

    def write(self, entries: Iterable[Line] = ()) -> None:
        """Append ``entries``. Those about money are on disk when this returns.

        Raises:
            Blocked: if they cannot be written; the next call writes them too.
        """
        self.was_lost = False
        self._unwritten += entries
        if not self._unwritten:
            return
        try:
            self._append()
        except OSError as error:
            self._ends_complete = False
            self.write_error = _blocked(error, self.path, "written")
            raise self.write_error from error
        self._unwritten = []
        self._ends_complete = True
        self.write_error = None

    def _append(self) -> None:
        is_new = not os.path.lexists(self.path)
        if is_new:
            self.was_lost = self._ends_complete
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            os.close(private_opener(str(self.path), os.O_WRONLY | os.O_CREAT))
        else:
            make_private(self.path)
        lines = [_line(entry) for entry in self._unwritten]
        if not (self._ends_complete or _ends_with_newline(self.path)):
            # End a line that was cut off, so that the new one is not joined to it.
            lines.insert(0, "\n")
        with open(self.path, "ab") as file:
            file.write("".join(lines).encode("ascii"))
            file.flush()
            # The id of a video is also in the state and in the work folder, so it needs no fsync here.
            if not all(isinstance(entry, VideoKnown) for entry in self._unwritten):
                os.fsync(file.fileno())
        if is_new:
            _fsync_folder(self.path.parent)


def _line(entry: Line) -> str:
    values = {name: getattr(entry, name) for name in _FIELDS[type(entry)]}
    known = {name: value for name, value in values.items() if value is not None}
    return json.dumps({"entry": _NAME_OF[type(entry)], **known}, separators=(",", ":")) + "\n"


def _header(path: Path) -> LedgerHeader | None:
    found = None
    for line in _lines(path):
        entry = _read(line) if line.startswith(_HEADER) else None
        if isinstance(entry, LedgerHeader):
            found = entry
    return found


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            yield from file
    except FileNotFoundError:
        return
    except OSError as error:
        raise _blocked(error, path, "read") from error


def _entries(path: Path) -> Iterator[Line]:
    unread = 0
    for line in _lines(path):
        entry = _read(line)
        if entry is not None:
            yield entry
        elif line.strip():
            unread += 1
    if unread:
        logger.warning("%s: skipped %d lines that cannot be read", path, unread)


def _read(line: bytes) -> Line | None:
    """The entry of a line; None if it cannot be read, or is of a kind that only a newer sorawatch knows."""
    try:
        document: dict[str, Any] = json.loads(line)
        kind = _KIND_OF[document["entry"]]
        known = {name: document[name] for name in _FIELDS[kind] if name in document}
        if "standing" in known:
            known["standing"] = Standing(known["standing"])
        if kind is Purchase:
            known = {"video_id": None, "micros": None, **known, "at": int(known["at"])}
            known |= {name: current_key(known[name]) for name in _KEYS if known.get(name)}
        elif kind is PurchaseClosed:
            known = {"clip": None, **known}
        return kind(**known)
    except (ValueError, KeyError, TypeError):
        return None


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() in {b"", b"\n"}


def _blocked(error: OSError, path: Path, how: str) -> Blocked:
    found = translate(error, str(path))
    hint = found.hint if isinstance(found, Blocked) else "Check its disk."
    return Blocked(f"the ledger cannot be {how}: {found}", hint, temporary=True)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
