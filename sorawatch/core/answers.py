"""What an HTTP answer of the ``/videos`` contract means: videos and pages; `refusals` reads what is neither.

All are functions of the answer and the time, for servers that differ as design §7 lists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from sorawatch.core import error_words, refusals
from sorawatch.core.error_bodies import HttpResponse, quote, read_server_error
from sorawatch.core.http_times import retry_after, unix_seconds, used_up
from sorawatch.core.refusals import content_refusal, read_refusal
from sorawatch.core.remote_ids import Record, described, id_of, is_record, job_of, status_of
from sorawatch.errors import Rejected

__all__ = [
    "Failure",
    "HttpResponse",
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
    Status.QUEUED: (
        "queued", "queueing", "in_queue", "enqueued", "submitted", "pending", "created", "preparing", "starting",
        "not_start", "notstarted", "waiting", "scheduled", "throttled",
    ),
    Status.RUNNING: ("in_progress", "inprogress", "processing", "running", "preprocessing", "generating", "rendering"),
    Status.COMPLETED: (
        "completed", "complete", "succeeded", "succeed", "success", "successful", "finished", "finish", "done", "ready",
    ),
    Status.FAILED: (
        "failed", "failure", "fail", "error", "cancelled", "canceled", "expired", "aborted", "rejected", "timeout",
        "timed_out", "timedout", "blocked", "terminated", "request_moderated", "content_moderated", "moderated",
    ),
}  # fmt: skip

_ENDED = {
    "cancelled": "cancelled", "canceled": "cancelled", "aborted": "cancelled", "terminated": "cancelled",
    "expired": "expired", "rejected": "rejected",
}  # fmt: skip
"""Ends that are no failure to make the video, and are not ordered again by themselves: a cancelled one was not wanted,
an expired one may have been charged, a rejected one would be rejected again."""

_STATUS = {word: status for status, words in _WORDS.items() for word in words}

_JOB_FIELDS = frozenset({"object", "model", "progress", "created_at", "prompt"})
"""An error that carries an id, and maybe a status, but none of these, is not a job."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the server gave a video up. ``message`` is one line.

    ``code`` is ``expired``, ``cancelled`` or ``rejected`` where the status is, else the server's own, else its word.
    """

    code: str | None
    message: str
    moderated: bool
    """The content was refused: the same order would be refused again."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video as the server lists it; None is what it does not tell. The ``id`` of a poll's answer may be empty.

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
    filtered: bool = False
    """It names as its first or last a video that it does not show. LiteLLM drops those that it knows no owner of."""


def read_submit(answer: HttpResponse, now: float) -> Video:
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


def read_video(answer: HttpResponse, now: float) -> Video:
    """The video that a poll was answered with. Its id may differ from the one that was asked for: keep the first.

    Raises:
        Deferred: nothing was learnt; ask again later.
        Rejected: the server no longer knows the video.
        Blocked: the key or the account is refused.
    """
    record = described(answer.document)
    if record is None or not (answer.ok or _is_job(record)):
        raise refusals.poll_refusal(answer, now)
    return _video(record)


def read_page(answer: HttpResponse, now: float) -> Page:
    """A page of the list.

    Raises:
        Rejected: the server has no list, or one with entries that cannot be told apart.
        Deferred: the list cannot be had now.
        Blocked: the key or the account is refused.
    """
    entries = _entries(answer, "data", "videos")
    if entries is None:
        raise refusals.page_refusal(answer, now)
    records = [record for record in map(_listed, entries) if record is not None]
    if len(records) < len(entries):
        raise Rejected("the server's list has entries without an id, so it proves nothing")
    videos = tuple(map(_video, records))
    if not isinstance(answer.document, dict):
        return Page(videos, None)
    has_more, shown = answer.document.get("has_more"), {video.id for video in videos}
    ends = {str(end) for name in ("first_id", "last_id") if (end := answer.document.get(name))}
    return Page(videos, has_more if isinstance(has_more, bool) else None, filtered=not ends <= shown)


def read_models(answer: HttpResponse, now: float) -> tuple[str, ...]:
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


def _entries(answer: HttpResponse, *names: str) -> list[object] | None:
    """The list in a 2xx answer, bare or under one of ``names``."""
    document = answer.document
    if isinstance(document, dict) and document.get("object") == "list" and document.get("data", ...) is None:
        # Servers written in Go encode an empty list so.
        document = []
    if isinstance(document, dict):
        document = next((document[name] for name in names if isinstance(document.get(name), list)), None)
    return document if answer.ok and isinstance(document, list) else None


def _record(answer: HttpResponse) -> Record | None:
    """The job in the answer to a submit, if it holds one.

    A failed job may come with any HTTP status, but then it must be plainly a job and not an error with an id.
    """
    record = job_of(answer.document, refused=answer.error is not None)
    if record is None or (not answer.ok and not _is_job(record)):
        return None
    # The id beside a bare error is the request's.
    staged, shown = status_of(record) is not None, bool(_JOB_FIELDS & record.keys())
    return record if staged or shown or not record.get("error") else None


def _is_job(record: Record) -> bool:
    """Whether it is plainly a job: an error with a status and the id of the request has none of a job's fields."""
    return id_of(record) is not None and status_of(record) is not None and bool(_JOB_FIELDS & record.keys())


def _listed(entry: object) -> Record | None:
    """An entry of a list, whose job may lie below ``data`` or the like; None where it has no id."""
    return entry if is_record(entry) else job_of(entry, refused=True)


def _video(record: Record) -> Video:
    word = status_of(record) or Status.QUEUED
    folded = _STATUS.get(word.strip().casefold().replace(" ", "_").replace("-", "_"))
    size, prompt = _text(record.get("size")), record.get("prompt")
    return Video(
        id=id_of(record) or "",
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


_REASONS = (
    "error",
    "fail_reason",
    "failure_reason",
    "failure",
    "error_message",
    "task_status_msg",
    "message",
    "reason",
)


def _failure(record: Record, word: str) -> Failure:
    """Why a job failed: its ``error`` may lack a code, be a text, or have another name (new-api: ``fail_reason``)."""
    stated = next((record[name] for name in _REASONS if record.get(name)), None)
    complaint = read_server_error({"error": stated})
    ended, told = _ENDED.get(word.casefold()), quote(word)
    blocked = "moderated" in word.casefold() or word.casefold() == "blocked"
    if complaint is None:
        return Failure(ended or told.lower(), f"the server gives no reason (status {told})", moderated=blocked)
    moderated = blocked or error_words.MODERATION.search(complaint.words) is not None
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
