"""Reads the answers of a server as its dialect says. Where it says nothing, `video_responses` reads the usual places.

Everything here is a pure function of the answer, the dialect and the time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core import refusals, video_responses
from sorawatch.core.answer_tests import any_passes
from sorawatch.core.error_bodies import HttpResponse, Reading, ServerError, quote, unquoted
from sorawatch.core.error_words import MODERATION
from sorawatch.core.http_times import rate_limit_wait
from sorawatch.core.pointers import find_all, first
from sorawatch.core.remote_ids import as_id, find_described_job, find_job
from sorawatch.core.signs import recognised
from sorawatch.core.video_responses import MOST_ENTRIES, Failure, Page, Status, Video, short_text, video_of
from sorawatch.errors import Rejected, Unresolved

if TYPE_CHECKING:
    from sorawatch.core.dialect import Dialect, Errors, LookUp

_LIST_KEYS = {"prompt": "prompt", "model": "model", "size": "size", "seconds": "seconds", "created": "created_at"}
"""For each name in ``match`` the key of the reference contract."""


def interpreted(response: HttpResponse, errors: Errors) -> HttpResponse:
    """The response with its error, and what that is about, as the dialect reads them."""
    if not (errors.ok or errors.code or errors.text or errors.signs):
        return response
    document = response.document
    shows_failure = bool(errors.ok) and not any_passes(errors.ok, document)
    error = response.error
    if response.ok and errors.ok:
        error = (
            (_stated(document, errors) or error or ServerError("the answer shows no success"))
            if shows_failure
            else None
        )
    elif not response.ok:
        error = _stated(document, errors) or error
    if error is None:
        return replace(response, reading=Reading(None))
    words = unquoted(error.words)
    return replace(response, reading=Reading(error, recognised(errors.signs, words, error.code, response.status)))


def _is_good(response: HttpResponse, errors: Errors) -> bool:
    """Whether it is a 2xx that passes the test of success.

    Without such a test, an error in a 2xx proves nothing: it may be that of a job that failed.
    """
    return response.ok and not (errors.ok and response.error)


def _stated(document: object, errors: Errors) -> ServerError | None:
    """The error at the pointers of the dialect."""
    code, text = short_text(first(document, errors.code)), first(document, errors.text)
    message = text if isinstance(text, str) else short_text(text)
    return ServerError(message or "", code) if message or (code and errors.code and not message) else None


def read_submit(answer: HttpResponse, dialect: Dialect, now: float) -> Video:
    """The job in the answer to an order.

    Raises:
        Deferred, Rejected, Blocked, Unresolved: as `video_responses.read_submit`.
    """
    response = interpreted(answer, dialect.errors)
    if response.sign is None and not dialect.create.id:
        return video_responses.read_submit(response, now)
    if _is_good(response, dialect.errors):
        found = as_id(first(response.document, dialect.create.id))
        if found is not None:
            return Video(found, Status.QUEUED, rest=rate_limit_wait(response.headers, now))
    raise refusals.submit_refusal(response, now)


def read_poll(answer: HttpResponse, dialect: Dialect, now: float) -> Video | None:
    """The job in the answer to a poll; None if the answer says nothing about it, so that the look-ups decide.

    Raises:
        Deferred, Rejected, Blocked: as `video_responses.read_video`.
    """
    poll, response = dialect.poll, interpreted(answer, dialect.errors)
    document, ok = response.document, _is_good(response, dialect.errors)
    if response.status == 202 and not response.body.strip():
        return Video("", Status.RUNNING)
    if any_passes(poll.refused, document, proves_presence=ok):
        return Video("", Status.FAILED, failure=_failure(document, dialect, moderated=True))
    if any_passes(poll.gone, document, proves_presence=ok):
        raise Rejected(f"the server no longer knows the video ({response})", "Look for it in the server's own console.")
    if any_passes(poll.silent, document, proves_presence=ok):
        return None
    if any_passes(poll.failed, document, proves_presence=ok):
        return Video("", Status.FAILED, failure=_failure(document, dialect, moderated=False))
    if ok and any_passes(poll.done, document):
        return Video("", Status.COMPLETED)
    if not (poll.done or poll.failed):
        return _with_failure(video_responses.read_video(response, now), document, dialect)
    if not ok:
        raise refusals.poll_refusal(response, now)
    return Video("", Status.RUNNING, progress=_progress(document, dialect))


def _with_failure(video: Video, document: object, dialect: Dialect) -> Video:
    if video.failure is None or not (dialect.poll.code or dialect.poll.text):
        return video
    return replace(video, failure=_failure(document, dialect, moderated=video.failure.moderated))


def _failure(document: object, dialect: Dialect, *, moderated: bool) -> Failure:
    poll = dialect.poll
    code, text = short_text(first(document, poll.code)), short_text(first(document, poll.text))
    record = find_described_job(document)
    if code is None and text is None and record is not None:
        usual = video_of({**record, "status": "failed"}).failure
        assert usual is not None
        return replace(usual, moderated=moderated or usual.moderated)
    words = f"{code or ''} {text or ''}".casefold()
    reason = text or code or "the server gives no reason"
    return Failure(code, quote(reason), moderated or MODERATION.search(words) is not None)


def _progress(document: object, dialect: Dialect) -> int | None:
    poll = dialect.poll
    percent = first(document, poll.percent)
    fraction = first(document, poll.fraction)
    if isinstance(fraction, int | float) and not isinstance(fraction, bool):
        percent = 100 * fraction
    return video_of({"progress": percent}).progress


def read_page(answer: HttpResponse, look_up: LookUp, dialect: Dialect, now: float) -> Page:
    """A page of a list of jobs.

    Raises:
        Rejected, Deferred, Blocked: as `video_responses.read_page`.
    """
    response = interpreted(answer, dialect.errors)
    page = _page(response, look_up, now)
    pages, document = look_up.pages, response.document
    if pages.next:
        following = first(document, (pages.next,))
        return replace(page, next=following if isinstance(following, str) else None, has_more=following is not None)
    return page


def _page(response: HttpResponse, look_up: LookUp, now: float) -> Page:
    if not look_up.items:
        return video_responses.read_page(response, now)
    found = first(response.document, look_up.items)
    if isinstance(found, dict):
        found = [*found.values()]
    if not (response.ok and response.error is None and isinstance(found, list)):
        raise refusals.page_refusal(response, now)
    videos = [video for entry in found[:MOST_ENTRIES] if (video := _entry(entry, look_up)) is not None]
    if len(videos) < len(found[:MOST_ENTRIES]):
        raise Rejected("the server's list has entries without an id, so it proves nothing")
    more = True if len(found) > MOST_ENTRIES else None
    is_whole = not (look_up.pages.number or look_up.pages.cursor or look_up.pages.next)
    return Page(tuple(videos), False if is_whole and more is None else more)


def _entry(entry: object, look_up: LookUp) -> Video | None:
    """The job in an entry of a list."""
    record: dict[str, object] = {}
    for name, pointers in look_up.match:
        if name in _LIST_KEYS:
            record[_LIST_KEYS[name]] = first(entry, pointers)
    found = as_id(first(entry, look_up.id)) if look_up.id else None
    if not look_up.id and (usual := find_job(entry, refused=True)) is not None:
        found = as_id(usual.get("id")) or video_of(usual).id
    return None if not found else replace(video_of(record), id=found)


def read_tagged(answer: HttpResponse, look_up: LookUp, tag: str, dialect: Dialect, now: float) -> tuple[str, ...]:
    """The ids of the jobs with this tag in the answer to a look-up by tag; empty if the server has none.

    Raises:
        Deferred, Blocked: the server says nothing now.
    """
    response = interpreted(answer, dialect.errors)
    document = response.document
    if response.status in {404, 410}:
        return ()
    if not _is_good(response, dialect.errors):
        error = refusals.poll_refusal(response, now)
        if isinstance(error, Rejected):
            return ()
        raise error
    if not look_up.items:
        found = as_id(first(document, look_up.id or ("/id",)))
        return () if found is None else (found,)
    tags = dict(look_up.match).get("tag", ())
    entries = [entry for pointer in look_up.items for entry in _members(document, pointer)]
    tagged = [entry for entry in entries if not tags or str(first(entry, tags)).casefold() == tag.casefold()]
    ids = (as_id(first(entry, look_up.id)) if look_up.id else tag for entry in tagged)
    return tuple(dict.fromkeys(each for each in ids if each is not None))


def _members(document: object, pointer: str) -> list[object]:
    """The members of the lists, or of the objects, at ``pointer``."""
    members: list[object] = []
    for found in find_all(document, pointer):
        members += found if isinstance(found, list) else [*found.values()] if isinstance(found, dict) else []
    return members


def read_models(answer: HttpResponse, dialect: Dialect, now: float) -> tuple[str, ...]:
    """The models that the free request of the dialect names; empty if it names none.

    Raises:
        Rejected, Deferred, Blocked: as `video_responses.read_models`.
    """
    response = interpreted(answer, dialect.errors)
    check = dialect.check
    if check is None or not check.models:
        if not _is_good(response, dialect.errors):
            raise refusals.page_refusal(response, now)
        return ()
    found = [value for pointer in check.models for value in find_all(response.document, pointer)]
    names = tuple(quote(value) for value in found[:MOST_ENTRIES] if isinstance(value, str) and value)
    if names and response.ok:
        return tuple(dict.fromkeys(names))
    return video_responses.read_models(response, now)


def read_upload(answer: HttpResponse, dialect: Dialect, now: float) -> str:
    """What the picture is called at the server, after the upload that precedes an order.

    Raises:
        Deferred, Rejected, Blocked: the picture was not stored. Nothing was ordered.
    """
    assert dialect.upload is not None
    response = interpreted(answer, dialect.errors)
    found = first(response.document, dialect.upload.id)
    if _is_good(response, dialect.errors) and isinstance(found, str | int) and str(found).strip():
        return str(found)
    if response.ok or response.status >= 500:
        raise refusals.read_refusal(response, now)
    error = refusals.submit_refusal(response, now)
    raise error if not isinstance(error, Unresolved) else refusals.read_refusal(response, now)
