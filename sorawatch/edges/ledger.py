"""The ledger: a file beside the state, to which a line is added for each order that is bought and what becomes of it.

A line is a JSON object in ASCII. Names of files stand in it as ``os.fsdecode`` gives them, so that any bytes survive.
Lines that cannot be read, as a power cut may leave them, are passed over.
"""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sorawatch.core.os_errors import translate
from sorawatch.core.purchase import LedgerEntry, Purchase, PurchaseSettled, Standing, VideoKnown, posted
from sorawatch.errors import Blocked

logger = logging.getLogger("sorawatch")

_MODE = 0o600
_NAMES: dict[type[LedgerEntry], str] = {Purchase: "bought", VideoKnown: "video", PurchaseSettled: "settled"}
_KINDS = {name: kind for kind, name in _NAMES.items()}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _NAMES}


class Ledger:
    """Used from one thread of one process. What could not be written is kept, and written with what follows."""

    def __init__(self, path: Path, others: Sequence[Path] = ()) -> None:
        """``others`` are ledgers that are read as well, and never written."""
        self.path = path
        self._others = others
        self._unwritten: list[LedgerEntry] = []
        self._is_whole = False
        """The file is known not to end within a line."""
        self.trouble: Blocked | None = None
        """Why it could not be written when that was last tried."""

    def read(self) -> dict[str, Purchase]:
        """All purchases, by their tokens, the oldest first.

        Raises:
            Blocked: if it is there and cannot be read.
        """
        purchases: dict[str, Purchase] = {}
        early: dict[str, list[LedgerEntry]] = defaultdict(list)
        for path in (self.path, *self._others):
            for entry in _entries(path):
                purchase = posted(purchases.get(entry.token), entry)
                if purchase is None:
                    # What was bought may stand in another of the ledgers.
                    early[entry.token].append(entry)
                    continue
                for each in early.pop(entry.token, ()):
                    purchase = posted(purchase, each) or purchase
                purchases[entry.token] = purchase
        return dict(sorted(purchases.items(), key=lambda each: each[1].at))

    def write(self, entries: Iterable[LedgerEntry] = ()) -> None:
        """Add ``entries``; what tells of money is on disk when this returns.

        Raises:
            Blocked: if that is not possible; they are added with the next call.
        """
        self._unwritten += entries
        if not self._unwritten:
            return
        try:
            self._append()
        except OSError as error:
            self._is_whole = False
            self.trouble = _blocked(error, self.path, "written")
            raise self.trouble from error
        self._unwritten = []
        self._is_whole = True
        self.trouble = None

    def _append(self) -> None:
        is_new = not os.path.lexists(self.path)
        if is_new:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, _MODE))
        lines = [_line(entry) for entry in self._unwritten]
        if not (self._is_whole or _ends_whole(self.path)):
            # What follows a line that was cut off must not become a part of it.
            lines.insert(0, "\n")
        with open(self.path, "ab") as file:
            file.write("".join(lines).encode("ascii"))
            file.flush()
            # A video's id is in the state and in the work folder, too.
            if not all(isinstance(entry, VideoKnown) for entry in self._unwritten):
                os.fsync(file.fileno())
        if is_new:
            _fsync_folder(self.path.parent)


def _line(entry: LedgerEntry) -> str:
    values = {name: getattr(entry, name) for name in _FIELDS[type(entry)]}
    known = {name: value for name, value in values.items() if value is not None}
    return json.dumps({"entry": _NAMES[type(entry)], **known}, separators=(",", ":")) + "\n"


def _entries(path: Path) -> Iterator[LedgerEntry]:
    unread = 0
    try:
        with open(path, "rb") as file:
            for line in file:
                entry = _read(line)
                if entry is not None:
                    yield entry
                elif line.strip():
                    unread += 1
    except FileNotFoundError:
        return
    except OSError as error:
        raise _blocked(error, path, "read") from error
    if unread:
        logger.warning("%s: passed over what cannot be read (%d lines)", path, unread)


def _read(line: bytes) -> LedgerEntry | None:
    """What a line tells; None where that cannot be read, or is of a kind that only a newer sorawatch knows."""
    try:
        told: dict[str, Any] = json.loads(line)
        kind = _KINDS[told["entry"]]
        known = {name: told[name] for name in _FIELDS[kind] if name in told}
        if "standing" in known:
            known["standing"] = Standing(known["standing"])
        if kind is Purchase:
            known = {"video_id": None, "micros": None, **known, "at": int(known["at"])}
        elif kind is PurchaseSettled:
            known = {"clip": None, **known}
        return kind(**known)
    except (ValueError, KeyError, TypeError):
        return None


def _ends_whole(path: Path) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() in {b"", b"\n"}


def _blocked(error: OSError, path: Path, how: str) -> Blocked:
    found = translate(error, str(path))
    hint = found.hint if isinstance(found, Blocked) else "Check its disk."
    return Blocked(f"the ledger cannot be {how}: {found}", hint, passing=True)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
