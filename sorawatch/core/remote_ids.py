"""Finds the job in a server's JSON: which object describes it, and which keys hold its id and status.

The keys are those of the reference contract and of gateways and vendors that imitate it; design §7 lists them.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, TypeGuard

from sorawatch.core.error_bodies import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

Record = dict[str, object]

_ID_KEYS = (
    "id", "task_id", "taskId", "video_id", "videoId", "job_id", "jobId", "generation_id", "generationId"
)  # fmt: skip
_REQUEST_KEYS = ("request_id", "requestId")
"""Many servers number their requests, so these name the video only if no other key does and there is no error."""
_STATUS_KEYS = ("status", "state", "task_status", "taskStatus")
_CONTAINERS = ("data", "result", "output", "task", "video", "job", "response")
_DEPTH = 3
_LONGEST_ID = 2_000
_ID_FORM = re.compile(r"[\w:/=+.~-]{6,}", re.ASCII)
_ID_KEY = re.compile(r"(?:^|[_-])(?:id|uuid|guid|name|ref|reference|handle|number)$|I[dD]$|id$", re.ASCII)
_NOT_ID_KEY = re.compile(
    r"error|model|object|prompt|size|seconds|status|created|updated|time|date|url|_at$|[a-z]At$", re.ASCII
)
_MAX_SUSPECTED = 3


def find_job(document: object, *, refused: bool = False) -> Record | None:
    """The object in a response that describes one video, or None. It has an id, and may have a status.

    If there are several, the first with an id and a status wins, then the first with an id.

    Args:
        refused: the response states an error; then a request id, or a plain text under ``data``, is not the video's id.
    """
    records = [*_records(document)]
    named = [record for record in records if id_of(record) is not None]
    found = next((record for record in named if status_of(record) is not None), None) or next(iter(named), None)
    if found is not None or refused:
        return found
    for record in records:
        video_id = as_id(record.get("data")) or _first_id(record, _REQUEST_KEYS)
        if video_id is not None:
            return {**record, "id": video_id}
    return None


def find_described_job(document: object) -> Record | None:
    """The object in a response that has a status, or None: the first that also has an id, else the innermost."""
    records = [record for record in _records(document) if status_of(record) is not None]
    return next((record for record in records if id_of(record) is not None), None) or (records[-1] if records else None)


def id_of(record: Record) -> str | None:
    """The id in a record, as text. An id that cannot be part of a URL is ignored."""
    return _first_id(record, _ID_KEYS)


def status_of(record: Record) -> str | None:
    """The status word of a record, short and on one line. A number is text, and of a list the last entry counts."""
    for name in _STATUS_KEYS:
        value = record.get(name)
        if isinstance(value, list):
            value = value[-1] if value else None
        if isinstance(value, str | int | float) and not isinstance(value, bool) and (word := quote(str(value))):
            return word
    return None


def suspected_ids(document: object) -> list[str]:
    """Up to three texts or numbers that look like ids: first those with the key of an id, then those with its form."""
    leaves = [*_leaves(document, "", _DEPTH + 1)]
    by_key = [text for name, text in leaves if _ID_KEY.search(name)]
    by_form = [text for _, text in leaves if _ID_FORM.fullmatch(text) and any(map(str.isdigit, text))]
    return [*dict.fromkeys(by_key + by_form)][:_MAX_SUSPECTED]


def is_record(value: object) -> TypeGuard[Record]:
    """Whether ``value`` is an object with an id."""
    return isinstance(value, dict) and id_of(value) is not None


def _records(value: object, depth: int = _DEPTH) -> Iterator[Record]:
    """The objects that may describe a job, outer ones first. A list counts only if it has exactly one entry."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return
    yield value
    if depth:
        for name in _CONTAINERS:
            yield from _records(value.get(name), depth - 1)


def _first_id(record: Record, names: tuple[str, ...]) -> str | None:
    return next((found for name in names if (found := as_id(record.get(name))) is not None), None)


def as_id(value: object) -> str | None:
    """``value`` as the id of a job if it is a text or a number that can be one, else None."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == 0:
        return None
    text = str(value)
    usable = text.isprintable() and not text.isspace() and 0 < len(text) <= _LONGEST_ID and text not in {".", ".."}
    return text if usable else None


def _leaves(value: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """The texts and numbers of a document with their keys, except those whose key shows that they are not ids."""
    if isinstance(value, dict) and depth:
        for key, each in value.items():
            if not _NOT_ID_KEY.search(key):
                yield from _leaves(each, key, depth - 1)
    elif isinstance(value, list) and depth:
        for each in value[:10]:
            yield from _leaves(each, name, depth - 1)
    elif isinstance(value, str) and value.lstrip()[:1] == "{" and depth:
        # A gateway repeats the response of its upstream as a text.
        with suppress(ValueError, RecursionError):
            yield from _leaves(json.loads(value), name, depth - 1)
    elif (text := as_id(value)) is not None:
        yield name, text
