"""Finds the job or the folder that a command names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, Job
from sorawatch.core.naming import one_line
from sorawatch.errors import Rejected, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sorawatch.config.sections import Folders
    from sorawatch.edges.store import Transaction


def find(tx: Transaction, text: str, folders: Folders) -> Job:
    """The job that a person means by ``text``.

    It is an id or the start of one, or the path of the picture, the sidecar, the error text or the clip. A path is
    relative to the inbox or to the working directory, or absolute. Of jobs of the same picture the latest is meant.

    Raises:
        Rejected: if there is none, or if there are several.
    """
    found = tx.jobs.starting_with(text)
    if not found and text and "\0" not in text:
        found = [*{job.id: job for job in _by_path(tx, text, folders)}.values()]
    match found:
        case [job]:
            return job
        case []:
            raise Rejected(f"there is no job {one_line(text)}", "`sorawatch status` lists the jobs.")
        case _:
            several = ", ".join(f"{job.id} ({one_line(job.pair.path)}, {job.state})" for job in found)
            raise Rejected(f"{one_line(text)} may mean several jobs: {several}", "Name one of them by its id.")


def find_folder(tx: Transaction, text: str, folders: Folders) -> str:
    """The folder of the inbox that a person means by ``text``, as `inbox_folder`; it must exist.

    Raises:
        Rejected: if the inbox has no such folder, and no job was in it.
        UsageError: as `inbox_folder`.
    """
    folder = inbox_folder(folders, Path(text)) if text else ""
    if not folder or tx.listing.has_folder(folder) or os.path.isdir(folders.inbox / folder):  # noqa: PTH112 -- Path.is_dir raises errors
        return folder
    raise Rejected(f"there is no folder {one_line(text)} in the inbox", f"Name one of those in {folders.inbox}.")


def inbox_folder(folders: Folders, path: Path) -> str:
    """The folder of the inbox that a person means by ``path``, relative to the inbox; ``""`` is the inbox itself.

    It is relative to the inbox or to the working directory, or absolute. A folder in one of the other three folders
    means the folder of the same name in the inbox.

    Raises:
        UsageError: if it is in none of the four.
    """
    for _, below in _places(str(path), folders, roots=True):
        return below
    text = os.path.normpath(path)
    if path.is_absolute() or text.split("/")[0] == "..":
        raise UsageError(f"{one_line(str(path))} is no folder of the inbox {one_line(str(folders.inbox))}.")
    return "" if text == "." else text


def _by_path(tx: Transaction, text: str, folders: Folders) -> Iterator[Job]:
    if not text.startswith("/"):
        yield from _in_inbox(tx, os.path.normpath(text))
    for root, path in _places(text, folders):
        if root == folders.inbox:
            yield from _in_inbox(tx, path)
        elif root == folders.outbox:
            yield from tx.jobs.with_clip(path)[:1]
        else:
            filed = (job for job in tx.jobs.filed_as(*_split(path)) if folders.of_filed(job) == root)
            yield from _latest_of_each_picture(filed)


def _places(text: str, folders: Folders, *, roots: bool = False) -> Iterator[tuple[Path, str]]:
    """The folders in which a path is, as a shell would understand it, each with the path below it.

    With ``roots`` the path may be one of the folders itself, with ``""`` below it.
    """
    path = Path(os.path.normpath(Path.cwd() / text))
    # A folder may be reached, or configured, through a link.
    real = Path(os.path.realpath(path.parent), path.name)
    for root in folders.roots.values():
        for each, above in ((path, root), (real, Path(os.path.realpath(root)))):
            if (roots or each != above) and each.is_relative_to(above):
                yield root, str(each.relative_to(above)) if each != above else ""
                break


def _in_inbox(tx: Transaction, path: str) -> Iterator[Job]:
    """Where several pictures had this sidecar, those whose jobs go on."""
    found = [*_latest_of_each_picture(tx.jobs.of_file(*_split(path)))]
    yield from [job for job in found if job.state not in FINAL] or found


def _latest_of_each_picture(jobs: Iterable[Job]) -> Iterable[Job]:
    """Of ``jobs``, the latest first."""
    latest: dict[str, Job] = {}
    for job in jobs:
        latest.setdefault(job.pair.path, job)
    return latest.values()


def _split(path: str) -> tuple[str, str]:
    """The folder of a relative path, ``""`` for none, and the name."""
    folder, _, name = path.rpartition("/")
    return folder, name
