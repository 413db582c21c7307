"""Where a server's answer holds the video: which part of the JSON is the job, and under which key its id stands.

The keys are those of the reference contract and of gateways and vendors that imitate it; design §7 lists them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeGuard

Record = dict[str, object]

_ID_KEYS = (
    "id", "task_id", "taskId", "video_id", "videoId", "job_id", "jobId", "generation_id", "generationId"
)  # fmt: skip
_REQUEST_KEYS = ("request_id", "requestId")
"""They name the video only where nothing else does, and no error is beside them: many servers number requests."""
_STATUS_KEYS = ("status", "state", "task_status", "taskStatus")
_CONTAINERS = ("data", "result", "output", "task", "video", "job", "response")
_DEPTH = 3
_LONGEST_ID = 2_000
_SUSPECTED = re.compile(r"[\w:/=+.~-]{6,}", re.ASCII)
_SUSPECT_KEY = re.compile(r"(?:^|[_-])(?:id|uuid|guid|name|ref|reference|handle|number)$|I[dD]$|id$", re.ASCII)
_OTHER_KEY = re.compile(
    r"error|model|object|prompt|size|seconds|status|created|updated|time|date|url|_at$|[a-z]At$", re.ASCII
)
_MOST_SUSPECTED = 3


def job_of(document: object, *, refused: bool = False) -> Record | None:
    """The part of an answer that describes one video, or None: it has an id, and may have a status.

    Of several the first that has both counts, then the first with an id.

    Args:
        refused: the answer states an error; then a number of the request, or a bare text under ``data``, is no id.
    """
    records = [*_records(document)]
    named = [record for record in records if id_of(record) is not None]
    found = next((record for record in named if status_of(record) is not None), None) or next(iter(named), None)
    if found is not None or refused:
        return found
    for record in records:
        video_id = _usable(record.get("data")) or _first(record, _REQUEST_KEYS)
        if video_id is not None:
            return {**record, "id": video_id}
    return None


def described(document: object) -> Record | None:
    """The part of an answer that tells a status, or None: the one that has an id too, else the innermost."""
    records = [record for record in _records(document) if status_of(record) is not None]
    return next((record for record in records if id_of(record) is not None), None) or (records[-1] if records else None)


def id_of(record: Record) -> str | None:
    """The id in a record, which may be a number. One that no URL can carry is none."""
    return _first(record, _ID_KEYS)


def status_of(record: Record) -> str | None:
    """The word for the status. It may be a number, or the last of a list."""
    for name in _STATUS_KEYS:
        value = record.get(name)
        if isinstance(value, list):
            value = value[-1] if value else None
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return None


def suspected_ids(document: object) -> list[str]:
    """Texts and numbers that look like ids, by their key or else by their form, at most three of them."""
    leaves = [*_leaves(document, "", _DEPTH + 1)]
    by_key = [text for name, text in leaves if _SUSPECT_KEY.search(name)]
    by_form = [text for _, text in leaves if _SUSPECTED.fullmatch(text) and any(map(str.isdigit, text))]
    return [*dict.fromkeys(by_key + by_form)][:_MOST_SUSPECTED]


def is_record(value: object) -> TypeGuard[Record]:
    """Whether it is an object with an id."""
    return isinstance(value, dict) and id_of(value) is not None


def _records(value: object, depth: int = _DEPTH) -> Iterator[Record]:
    """The objects in which a job may be described, the outer ones first. Of a list only a single entry counts."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return
    yield value
    if depth:
        for name in _CONTAINERS:
            yield from _records(value.get(name), depth - 1)


def _first(record: Record, names: tuple[str, ...]) -> str | None:
    return next((found for name in names if (found := _usable(record.get(name))) is not None), None)


def _usable(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == 0:
        return None
    text = str(value)
    usable = text.isprintable() and not text.isspace() and 0 < len(text) <= _LONGEST_ID and text not in {".", ".."}
    return text if usable else None


def _leaves(value: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """The texts and numbers of a document with their keys, without those that are known to be something else."""
    if isinstance(value, dict) and depth:
        for key, each in value.items():
            if not _OTHER_KEY.search(key):
                yield from _leaves(each, key, depth - 1)
    elif isinstance(value, list) and depth:
        for each in value[:10]:
            yield from _leaves(each, name, depth - 1)
    elif isinstance(value, str) and value.lstrip()[:1] == "{" and depth:
        # A gateway quotes its upstream's answer as a text.
        with suppress(ValueError, RecursionError):
            yield from _leaves(json.loads(value), name, depth - 1)
    elif (text := _usable(value)) is not None:
        yield name, text
