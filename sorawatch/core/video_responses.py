"""Reads the responses of a ``/videos`` server: videos, pages of its list, models. `refusals` reads error responses.

Everything here is a pure function of the response and the time. Servers differ as design §7 lists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from sorawatch.core import error_words, refusals
from sorawatch.core.error_bodies import HttpResponse, quote, read_server_error
from sorawatch.core.http_times import rate_limit_wait, retry_after, unix_seconds
from sorawatch.core.refusals import content_refusal, read_refusal
from sorawatch.core.remote_ids import Record, find_described_job, find_job, id_of, is_record, status_of
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
    "video_of",
]


class Status(StrEnum):
    """The status of a video. The status words of all servers are mapped to these."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


_STATUS_WORDS: dict[Status, tuple[str, ...]] = {
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

_END_CODES = {
    "cancelled": "cancelled", "canceled": "cancelled", "aborted": "cancelled", "terminated": "cancelled",
    "expired": "expired", "rejected": "rejected",
}  # fmt: skip
"""The code of a failure that does not mean "the server tried and failed". Such an order is not repeated automatically:
a cancelled video was not wanted, an expired one may have been charged, a rejected one would be rejected again."""

_STATUS = {word: status for status, words in _STATUS_WORDS.items() for word in words}

_JOB_FIELDS = frozenset({"object", "model", "progress", "created_at", "prompt"})
"""An error with an id, and perhaps a status, is a job only if it has one of these fields."""


_LONGEST_PROMPT = 100_000
"""Characters of a listed prompt. Those of our orders are shorter."""
MOST_ENTRIES = 10_000
"""Entries of one list that are read. We ask for 100 videos a page, but servers may send all they have."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the server did not make a video. ``message`` is one line.

    ``code`` is ``expired``, ``cancelled`` or ``rejected`` if the status says so; otherwise the server's error code, or
    its status word if it gives no code.
    """

    code: str | None
    message: str
    moderated: bool
    """The content was refused: the same order would be refused again."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video as the server describes it; None where it says nothing. In the response to a poll ``id`` may be empty.

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
    """The server's status word if we do not know it; the video then counts as running."""
    rest: float | None = None
    """Seconds during which the server accepts no further order, as it said when it accepted this one."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the server's list, newest first. ``has_more`` is None if the server does not say.

    Of a page with more than `MOST_ENTRIES` the first are kept, and ``has_more`` is true.
    """

    videos: tuple[Video, ...]
    has_more: bool | None
    next: str | None = None
    """What the following page is asked for with; None after the last, and where the server does not say."""
    filtered: bool = False
    """``first_id`` or ``last_id`` names a video that is not on the page. LiteLLM leaves out videos without a known
    owner."""


def read_submit(response: HttpResponse, now: float) -> Video:
    """The video in the response to a submit. It may have failed already.

    Args:
        now: the Unix time in seconds, for waits that the server gives as a point in time.

    Raises:
        Deferred: not accepted; the same order may be accepted later.
        Rejected: not accepted, and never will be.
        Blocked: not accepted, and no other order would be.
        Unresolved: the order may have been accepted.
    """
    record = _record(response)
    if record is None:
        raise refusals.submit_refusal(response, now)
    return replace(video_of(record), rest=rate_limit_wait(response.headers, now))


def read_video(response: HttpResponse, now: float) -> Video:
    """The video in the response to a poll. Its id may differ from the one that was asked for: keep the first id.

    Raises:
        Deferred: the response says nothing about the video; ask again later.
        Rejected: the server no longer knows the video.
        Blocked: the key or the account is refused.
    """
    record = find_described_job(response.document)
    if record is None or not (response.ok or _is_job(record)):
        raise refusals.poll_refusal(response, now)
    return video_of(record)


def read_page(response: HttpResponse, now: float) -> Page:
    """A page of the list.

    Raises:
        Rejected: the server has no list, or its list has entries without an id.
        Deferred: the list is not available now.
        Blocked: the key or the account is refused.
    """
    entries = _entries(response, "data", "videos")
    if entries is None:
        raise refusals.page_refusal(response, now)
    kept, is_cut = entries[:MOST_ENTRIES], len(entries) > MOST_ENTRIES
    records = [record for record in map(_job_of_entry, kept) if record is not None]
    if len(records) < len(kept):
        raise Rejected("the server's list has entries without an id, so it proves nothing")
    videos = tuple(map(video_of, records))
    if is_cut:
        return Page(videos, has_more=True)
    if not isinstance(response.document, dict):
        return Page(videos, None)
    has_more, shown = response.document.get("has_more"), {video.id for video in videos}
    ends = {str(end) for name in ("first_id", "last_id") if (end := response.document.get(name))}
    return Page(videos, has_more if isinstance(has_more, bool) else None, filtered=not ends <= shown)


def read_models(response: HttpResponse, now: float) -> tuple[str, ...]:
    """The ids of the models that the server offers, at most `MOST_ENTRIES`, in the order of its list.

    Raises:
        Rejected: the server has no list of models.
        Deferred, Blocked: as for `read_page`.
    """
    entries = _entries(response, "data", "models")
    if entries is None:
        raise refusals.page_refusal(response, now)
    ids = (entry.get("id") if isinstance(entry, dict) else entry for entry in entries)
    names = (quote(name) for name in ids if isinstance(name, str) and name)
    return tuple(islice(dict.fromkeys(names), MOST_ENTRIES))


def _entries(response: HttpResponse, *names: str) -> list[object] | None:
    """The list in a 2xx response: the whole body, or the value of one of the keys ``names``."""
    document = response.document
    if isinstance(document, dict) and document.get("object") == "list" and document.get("data", ...) is None:
        # Servers written in Go encode an empty list as null.
        document = []
    if isinstance(document, dict):
        document = next((document[name] for name in names if isinstance(document.get(name), list)), None)
    return document if response.ok and isinstance(document, list) else None


def _record(response: HttpResponse) -> Record | None:
    """The job in the response to a submit, or None.

    A failed job may come with any HTTP status; then it must have the fields of a job, not only an id.
    """
    record = find_job(response.document, refused=response.error is not None)
    if record is None or (not response.ok and not _is_job(record)):
        return None
    # An id beside an error alone is the id of the request.
    has_status, has_job_field = status_of(record) is not None, bool(_JOB_FIELDS & record.keys())
    return record if has_status or has_job_field or not record.get("error") else None


def _is_job(record: Record) -> bool:
    """Whether ``record`` is a job, and not an error that has a status and the id of the request."""
    return id_of(record) is not None and status_of(record) is not None and bool(_JOB_FIELDS & record.keys())


def _job_of_entry(entry: object) -> Record | None:
    """The job in an entry of the list, perhaps nested below ``data`` or a similar key; None if it has no id."""
    return entry if is_record(entry) else find_job(entry, refused=True)


def video_of(record: Record) -> Video:
    """The video that a record describes, with the keys of the reference contract."""
    word = status_of(record) or Status.QUEUED
    status = _STATUS.get(word.strip().casefold().replace(" ", "_").replace("-", "_"))
    size, prompt = short_text(record.get("size")), record.get("prompt")
    return Video(
        id=id_of(record) or "",
        status=status or Status.RUNNING,
        progress=_progress(record.get("progress")),
        model=short_text(record.get("model")),
        # A prompt that was cut could seem to be another one, but one that is not known cannot.
        prompt=prompt if isinstance(prompt, str) and len(prompt) <= _LONGEST_PROMPT else None,
        size=size.lower() if size else None,
        seconds=_seconds(record.get("seconds")),
        created_at=unix_seconds(record.get("created_at")),
        completed_at=unix_seconds(record.get("completed_at")),
        expires_at=unix_seconds(record.get("expires_at")),
        failure=_failure(record, word) if status is Status.FAILED else None,
        unknown_status=None if status else word,
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
    """Why a job failed. ``error`` may have no code, be a text, or have another name (new-api: ``fail_reason``)."""
    reason = next((record[name] for name in _REASONS if record.get(name)), None)
    error = read_server_error({"error": reason})
    end_code = _END_CODES.get(word.casefold())
    moderated = "moderated" in word.casefold() or word.casefold() == "blocked"
    if error is None:
        return Failure(end_code or word.lower(), f"the server gives no reason (status {word})", moderated)
    moderated = moderated or error_words.MODERATION.search(error.words) is not None
    return Failure(end_code or error.code, str(error), moderated)


def short_text(value: object) -> str | None:
    """``value`` as a short text on one line if it is a text or a number, else None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return quote(str(value)) or None


def _seconds(value: object) -> str | None:
    """``8``, ``"8"``, ``8.0`` and ``"8.0"`` are all ``8``."""
    text = short_text(value)
    number = _finite_number(text)
    return str(int(number)) if number is not None and number.is_integer() else text


def _progress(value: object) -> int | None:
    number = _finite_number((short_text(value) or "").removesuffix("%"))
    return None if number is None else int(min(max(number, 0), 100))


def _finite_number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
