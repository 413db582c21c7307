"""What an HTTP answer of the ``/videos`` contract means: videos and pages; `refusals` reads what is neither.

All are functions of the answer and the time, for servers that differ as design §7 lists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeGuard

from sorawatch.core import refusals
from sorawatch.core.complaints import Answer, quote, read_complaint
from sorawatch.core.refusals import content_refusal, read_refusal
from sorawatch.core.times import retry_after, unix_seconds, used_up
from sorawatch.errors import Rejected

__all__ = [
    "Answer",
    "Failure",
    "Page",
    "Status",
    "Video",
    "content_refusal",
    "read_models",
    "read_page",
    "read_refusal",
    "read_submit",
    "read_video",
    "retry_after",
]


class Status(StrEnum):
    """How far a video is; every server's words are folded into these."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


_WORDS: dict[Status, tuple[str, ...]] = {
    Status.QUEUED: ("queued", "submitted", "pending", "created", "preparing", "starting", "not_start", "notstarted"),
    Status.RUNNING: ("in_progress", "processing", "running", "preprocessing", "generating"),
    Status.COMPLETED: ("completed", "complete", "succeeded", "success", "finished", "done"),
    Status.FAILED: ("failed", "failure", "fail", "error", "cancelled", "canceled", "expired"),
}

_ENDED = {"cancelled": "cancelled", "canceled": "cancelled", "expired": "expired"}
"""Ends that are no failure to make the video: a cancelled one was not wanted, an expired one may have been charged."""

_STATUS = {word: status for status, words in _WORDS.items() for word in words}

_JOB_FIELDS = frozenset({"object", "model", "progress", "created_at", "prompt"})
"""An error that carries an id, and maybe a status, but none of these, is not a job."""

_LONGEST_ID = 2_000


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the server gave a video up. ``message`` is one line.

    ``code`` is ``expired`` or ``cancelled`` where the status is, else the server's own, else its status word.
    """

    code: str | None
    message: str
    moderated: bool
    """The content was refused: the same order would be refused again."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video as the server lists it; None is what it does not tell.

    ``progress`` is in 0…100, ``created_at`` and ``expires_at`` are Unix seconds, ``size`` is ``1280x720`` and
    ``seconds`` a decimal number.
    """

    id: str
    status: Status
    progress: int | None = None
    model: str | None = None
    prompt: str | None = None
    size: str | None = None
    seconds: str | None = None
    created_at: int | None = None
    completed_at: int | None = None
    expires_at: int | None = None
    failure: Failure | None = None
    """Set exactly where ``status`` is `Status.FAILED`."""
    unknown_status: str | None = None
    """The server's word where it is none we know; the video then counts as running."""
    rest: float | None = None
    """Seconds for which the server, having taken this order, says that it takes no other."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the server's videos, newest first. ``has_more`` is None where the server does not say."""

    videos: tuple[Video, ...]
    has_more: bool | None


def read_submit(answer: Answer, now: float) -> Video:
    """The video that a submit was answered with, which may have failed already.

    Args:
        now: the Unix time in seconds, for times to wait that are told as a moment.

    Raises:
        Deferred: not accepted; the same order may be accepted later.
        Rejected: not accepted, and never will be.
        Blocked: not accepted, nor would any other order be.
        Unresolved: the order may have been accepted.
    """
    record = _record(answer)
    if record is None:
        raise refusals.submit_refusal(answer, now)
    return replace(_video(record), rest=used_up(answer.headers, now))


def read_video(answer: Answer, now: float) -> Video:
    """The video that a poll was answered with. Its id may differ from the one that was asked for: keep the first.

    Raises:
        Deferred: nothing was learnt; ask again later.
        Rejected: the server no longer knows the video.
        Blocked: the key or the account is refused.
    """
    record = _record(answer)
    if record is None or not isinstance(record.get("status"), str):
        raise refusals.poll_refusal(answer, now)
    return _video(record)


def read_page(answer: Answer, now: float) -> Page:
    """A page of the list.

    Raises:
        Rejected: the server has no list, or one with entries that cannot be told apart.
        Deferred: the list cannot be had now.
        Blocked: the key or the account is refused.
    """
    entries = _entries(answer, "data", "videos")
    if entries is None:
        raise refusals.page_refusal(answer, now)
    records = [entry for entry in entries if _is_record(entry)]
    if len(records) < len(entries):
        raise Rejected("the server's list has entries without an id, so it proves nothing")
    has_more = answer.document.get("has_more") if isinstance(answer.document, dict) else None
    return Page(tuple(map(_video, records)), has_more if isinstance(has_more, bool) else None)


def read_models(answer: Answer, now: float) -> tuple[str, ...]:
    """The ids of the models that the server offers, in its order.

    Raises:
        Rejected: the server has no list of models.
        Deferred, Blocked: as for `read_page`.
    """
    entries = _entries(answer, "data", "models")
    if entries is None:
        raise refusals.page_refusal(answer, now)
    ids = (entry.get("id") if isinstance(entry, dict) else entry for entry in entries)
    return tuple(quote(name) for name in ids if isinstance(name, str) and name)


def _entries(answer: Answer, *names: str) -> list[object] | None:
    """The list in a 2xx answer, bare or under one of ``names``."""
    document = answer.document
    if isinstance(document, dict):
        document = next((document[name] for name in names if isinstance(document.get(name), list)), None)
    return document if answer.ok and isinstance(document, list) else None


def _record(answer: Answer) -> dict[str, object] | None:
    """The job in the answer, if it holds one: bare, or under ``data`` as new-api's own form has it.

    A failed job may come with any HTTP status, but then it must be plainly a job and not an error with an id.
    """
    document = answer.document
    if isinstance(document, dict) and not _is_record(document):
        document = document.get("data")
    if not _is_record(document):
        return None
    staged, described = isinstance(document.get("status"), str), bool(_JOB_FIELDS & document.keys())
    if not answer.ok and not (staged and described):
        return None
    # The id beside a bare error is the request's.
    return document if staged or described or not document.get("error") else None


def _is_record(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict) and _id(value) is not None


def _id(record: dict[str, object]) -> str | None:
    """The id, which may be a number. One that no URL can carry is none."""
    value = record.get("id") or record.get("task_id")
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    usable = text.isprintable() and not text.isspace() and 0 < len(text) <= _LONGEST_ID and text not in {".", ".."}
    return text if usable else None


def _video(record: dict[str, object]) -> Video:
    video_id = _id(record)
    assert video_id is not None
    word = _text(record.get("status")) or Status.QUEUED
    folded = _STATUS.get(word.strip().casefold().replace(" ", "_").replace("-", "_"))
    size, prompt = _text(record.get("size")), record.get("prompt")
    return Video(
        id=video_id,
        status=folded or Status.RUNNING,
        progress=_progress(record.get("progress")),
        model=_text(record.get("model")),
        prompt=prompt if isinstance(prompt, str) else None,
        size=size.lower() if size else None,
        seconds=_seconds(record.get("seconds")),
        created_at=unix_seconds(record.get("created_at")),
        completed_at=unix_seconds(record.get("completed_at")),
        expires_at=unix_seconds(record.get("expires_at")),
        failure=_failure(record, word) if folded is Status.FAILED else None,
        unknown_status=None if folded else quote(word),
    )


def _failure(record: dict[str, object], word: str) -> Failure:
    """Why a job failed: its ``error`` may lack a code, be a text, or be missing (new-api: ``fail_reason``)."""
    complaint = read_complaint({"error": record.get("error") or record.get("fail_reason")})
    ended, told = _ENDED.get(word.casefold()), quote(word)
    if complaint is None:
        return Failure(ended or told.lower(), f"the server gives no reason (status {told})", moderated=False)
    moderated = refusals.MODERATION.search(complaint.words) is not None
    return Failure(ended or complaint.code, str(complaint), moderated)


def _text(value: object) -> str | None:
    """A text or a number as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def _seconds(value: object) -> str | None:
    """``8``, ``"8"``, ``8.0`` and ``"8.0"`` are all ``8``."""
    text = _text(value)
    number = _finite(text)
    return str(int(number)) if number is not None and number.is_integer() else text


def _progress(value: object) -> int | None:
    number = _finite((_text(value) or "").removesuffix("%"))
    return None if number is None else int(min(max(number, 0), 100))


def _finite(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
