"""The work folder beside the state: one folder for each job, with its reference, its partial clip and its records."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sorawatch.core.disk_reserve import room
from sorawatch.core.os_errors import translate
from sorawatch.core.repeated_download import RepeatedDownload
from sorawatch.edges.directories import make_private
from sorawatch.errors import Blocked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class SpoolFile(StrEnum):
    """The files in the folder of a job."""

    REFERENCE = "reference"
    RECORD = "job.json"
    PART = "clip.part"
    """The clip as far as it is downloaded."""
    CLIP = "clip.mp4"
    """The whole clip, whatever its format."""
    REPEATED_DOWNLOAD = "sighting.json"
    """The last download that was not a whole MP4: its digest and when it was made."""
    ERROR = "error.txt"
    PUBLISHING = "publish.json"
    ARCHIVING = "archive.json"
    RESTORING = "restore.json"
    """The names chosen for each move."""


class Spool:
    """The job folders. Everything in them can be made again, except a clip that is already paid for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable: set[str] = set()
        """Jobs whose folder will be there after a power cut."""

    @classmethod
    def beside(cls, state: Path) -> Spool:
        """The work folder of a state file: ``state.db.work`` for ``state.db``."""
        return cls(state.with_name(f"{state.name}.work"))

    def create(self) -> None:
        """Make the work folder itself.

        Raises:
            Blocked: if it cannot be made.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_private(self.root)
        except OSError as error:
            raise _blocked(error, str(self.root)) from error

    def folder(self, job_id: str) -> Path:
        return self.root / job_id

    def make_folder(self, job_id: str) -> Path:
        """The folder of a job, which is made if it is missing, with the work folder itself.

        Raises:
            Blocked: if it cannot be made.
        """
        folder = self.folder(job_id)
        try:
            try:
                folder.mkdir(mode=0o700)
            except FileNotFoundError:
                self.create()
                folder.mkdir(mode=0o700)
            self._durable.discard(job_id)
        except FileExistsError:
            pass
        except OSError as error:
            raise _blocked(error, str(folder)) from error
        return folder

    def room(self) -> int:
        """How many bytes of downloads may still be written; negative if the reserve is in use already.

        Raises:
            Blocked: if the disk does not answer.
        """
        try:
            disk = os.statvfs(self.root)
        except OSError as error:
            raise _blocked(error, str(self.root)) from error
        return room(disk.f_frsize * disk.f_bavail, disk.f_frsize * disk.f_blocks)

    def write_reference(self, job_id: str, data: bytes) -> None:
        """Write the reference. After a power cut it may be damaged, which `reference` notices by the digest.

        Raises:
            Blocked: if it cannot be written.
        """
        self._write(job_id, SpoolFile.REFERENCE, data, flush=False)

    def reference(self, job_id: str, digest: str = "") -> bytes | None:
        """The reference that was written; None if there is none.

        Args:
            digest: its SHA-256. Another file counts as none. Empty if it is not known.

        Raises:
            Blocked: if it exists and cannot be read.
        """
        path = self.folder(job_id) / SpoolFile.REFERENCE
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _blocked(error, str(path)) from error
        return data if data and digest in {"", hashlib.sha256(data).hexdigest()} else None

    def write_record(self, job_id: str, record: Mapping[str, object], *, flush: bool = True) -> None:
        """Write what is needed to restore a job if the state is lost. It is on disk when this returns.

        Args:
            flush: False for a job that is not bought: after a power cut there may be no valid record.

        Raises:
            Blocked: if it cannot be written.
        """
        self._write(job_id, SpoolFile.RECORD, json.dumps(record, indent=1).encode("ascii"), flush=flush)

    def record(self, job_id: str) -> dict[str, Any] | None:
        """What `write_record` last wrote for a job; None if there is nothing, or nothing valid.

        Raises:
            Blocked: if it exists and cannot be read.
        """
        return self._read(job_id, SpoolFile.RECORD)

    def write_repeated_download(self, job_id: str, download: RepeatedDownload) -> None:
        """Write down a download that is not a whole MP4. It is on disk when this returns.

        Raises:
            Blocked: if it cannot be written.
        """
        self._write(job_id, SpoolFile.REPEATED_DOWNLOAD, json.dumps(asdict(download)).encode("ascii"))

    def repeated_download(self, job_id: str) -> RepeatedDownload | None:
        """What `write_repeated_download` last wrote for a job; None if there is nothing, or nothing valid.

        Raises:
            Blocked: if it exists and cannot be read.
        """
        document = self._read(job_id, SpoolFile.REPEATED_DOWNLOAD) or {}
        try:
            times = float(document["seen_at"]), float(document["watched_since"])
            return RepeatedDownload(str(document["digest"]), int(document["length"]), str(document["suffix"]), *times)
        except (KeyError, TypeError, ValueError, OverflowError):
            return None

    def jobs(self) -> list[str]:
        """The jobs that have a folder.

        Raises:
            Blocked: if the work folder cannot be listed.
        """
        try:
            return sorted(path.name for path in self.root.iterdir() if path.is_dir())
        except OSError as error:
            raise _blocked(error, str(self.root)) from error

    def discard(self, job_id: str) -> None:
        """Remove the files of a job, and its folder if it is then empty. Errors are ignored; the next start retries."""
        folder = self.folder(job_id)
        self._durable.discard(job_id)
        with suppress(OSError):
            for path in folder.iterdir():
                if path.name in {*SpoolFile} or (path.name.startswith(".") and path.name.endswith(".part")):
                    path.unlink()
            folder.rmdir()

    def _read(self, job_id: str, name: str) -> dict[str, Any] | None:
        path = self.folder(job_id) / name
        try:
            document = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            raise _blocked(error, str(path)) from error
        return document if isinstance(document, dict) else None

    def _write(self, job_id: str, name: str, data: bytes, *, flush: bool = True) -> None:
        """Write a file of a job atomically, making its folder; with ``flush`` it is on disk afterwards."""
        folder = self.make_folder(job_id)
        temporary = folder / f".{name}.part"
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                if flush:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, folder / name)
            if flush:
                _fsync(folder)
            if flush and job_id not in self._durable:
                _fsync(self.root)
                self._durable.add(job_id)
        except OSError as error:
            raise _blocked(error, str(folder)) from error


def _blocked(error: OSError, where: str) -> Blocked:
    """Whatever is wrong with the work folder concerns every job, and is no failure of one."""
    found = translate(error, where)
    if isinstance(found, Blocked):
        return found
    return Blocked(str(found), "See that the work folder is there, and that its disk is in order.", temporary=True)


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
