"""What an answer that is no video means: every refusal, told apart by status, code and text.

The first rule is that of money. A submit counts as not accepted only where the API's own 4xx says so, or a 503 or 529
with its own JSON and either a ``Retry-After`` or words of capacity. Everything else is `Unresolved`: no words turn any
other 5xx into a refusal. They may only say that it is about the model, the credit or the key, so that others wait.

Each function returns the error for its caller to raise, so that a classification stays a plain list of returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core import error_words as words_of
from sorawatch.core.error_bodies import quote
from sorawatch.core.http_times import asks_to_wait, retry_after
from sorawatch.core.remote_ids import suspected_ids
from sorawatch.errors import Blocked, Deferred, ModelUnknown, Rejected, Unresolved

if TYPE_CHECKING:
    from sorawatch.core.error_bodies import HttpResponse

KEY_HINT = "Put a valid key into the file that api.key_file names, or into SORAWATCH_API_KEY."
QUOTA_HINT = "Top up the account, or put the key of another one into the file that api.key_file names."
MODEL_HINT = "Set video.model, or the sidecar's model, to one that this server offers, and describe it under models."
URL_HINT = "Set api.base_url to the address that /videos follows; it usually ends in /v1."
ORDER_HINT = "Change what the server objects to, then move the pair back into the inbox."
CONTENT_HINT = "Change the prompt or the picture, then move the pair back into the inbox."
FORBIDDEN_HINT = (
    "The server's own words say why: a country, a firewall, an account that must be verified, or a right that the key "
    "lacks. When it is settled, `sorawatch resume` tries again at once."
)

NOT_A_REFUSAL = frozenset({408, 425, 499})
"""4xx that say nothing of what became of the order: the time was up (LiteLLM answers 408 when its upstream's was), it
came too early, the client was gone."""


def submit_refusal(answer: HttpResponse, now: float) -> Deferred | Rejected | Unresolved | Blocked:
    """Why a submit brought no video: only what proves that nothing was accepted is anything but `Unresolved`."""
    if 400 <= answer.status < 500:
        return _client_error(answer, now)
    if answer.status in {503, 529} and _takes_none(answer):
        return _cause(answer, answer.own_words) or _no_capacity(answer, now)
    if answer.ok and (found := _refusal_as_success(answer, now)) is not None:
        return found
    return _unresolved(answer)


def _client_error(answer: HttpResponse, now: float) -> Deferred | Rejected | Unresolved | Blocked:
    """What a 4xx to a submit means."""
    status, words = answer.status, answer.words
    if status in NOT_A_REFUSAL or (status == 409 and words_of.TWIN.search(words)):
        return _unresolved(answer)
    if (refused := _about_this_order(answer, words)) is not None:
        return refused
    if (blocked := _cause(answer, words)) is not None:
        return blocked
    if status == 410:
        return ModelUnknown(f"the server says that this is gone ({answer})", MODEL_HINT)
    if status in {404, 405} or words_of.NO_GATEWAY_ROUTE.search(words):
        return Blocked(f"the server does not take submits at this address ({answer})", URL_HINT)
    crowded = words_of.CROWDED.search(words) is not None
    if crowded or status in {409, 429}:
        wait = retry_after(answer.headers, now)
        return Deferred(
            f"the server wants us to wait ({answer})", retry_after=wait, crowded=crowded, everyone=status == 429
        )
    if status == 403 or words_of.PLACE.search(words):
        return Blocked(f"the server refuses the order ({answer})", FORBIDDEN_HINT)
    if answer.error or status in {413, 415, 422}:
        return Rejected(f"the server refused the order ({answer})", ORDER_HINT, own=status == 413)
    return Blocked(f"something that is not the API refused the order ({answer})", URL_HINT)


def _refusal_as_success(answer: HttpResponse, now: float) -> Deferred | Rejected | Blocked | None:
    """What a 2xx with an error in it means, where the error is plainly a refusal; None where that cannot be told."""
    complaint = answer.error
    if complaint is None or answer.stated_status in {500, 501, 502, 504, 505, *NOT_A_REFUSAL}:
        return None
    if answer.stated_status in {503, 529}:
        return (_cause(answer, answer.own_words) or _no_capacity(answer, now)) if _takes_none(answer) else None
    words = answer.own_words
    if (found := _about_this_order(answer, words) or _cause(answer, words)) is not None:
        return found
    crowded = words_of.CROWDED.search(words) is not None
    if crowded or answer.stated_status == 429 or words_of.RATE_LIMIT.search(words):
        wait = retry_after(answer.headers, now)
        return Deferred(f"the server wants us to wait ({answer})", retry_after=wait, crowded=crowded, everyone=True)
    kind = f"{complaint.code or ''} {complaint.type or ''}".casefold()
    if answer.stated_status is not None or words_of.REFUSAL.search(kind):
        return Rejected(f"the server refused the order ({answer})", ORDER_HINT)
    return None


def _takes_none(answer: HttpResponse) -> bool:
    """Whether a 503 or 529 proves that nothing was accepted: the API itself says so, and that it takes none now."""
    if answer.error is None or answer.from_gateway or words_of.TWIN.search(answer.words):
        return False
    return asks_to_wait(answer.headers) or any(
        pattern.search(answer.own_words) for pattern in (words_of.CAPACITY, words_of.CROWDED)
    )


def _no_capacity(answer: HttpResponse, now: float) -> Deferred:
    return Deferred(
        f"the server takes no order now ({answer})",
        retry_after=retry_after(answer.headers, now),
        crowded=words_of.CROWDED.search(answer.words) is not None,
        everyone=True,
    )


def _about_this_order(answer: HttpResponse, words: str) -> Rejected | None:
    """A refusal of this prompt or this picture, going by the words, which says nothing of other orders."""
    if words_of.MODERATION.search(words):
        return Rejected(f"the server's moderation refused the order ({answer})", CONTENT_HINT, own=True)
    if words_of.SIZE_MISMATCH.search(words):
        hint = "Check that the size is one that the model has, then move the pair back into the inbox."
        why = f"the server says that the picture does not have the size of the order ({answer})"
        return Rejected(why, hint, own=True)
    return None


def _cause(answer: HttpResponse, words: str) -> Blocked | None:
    """What stops other orders too, going by the words: the credit, the model, the key. Of a 401 no words are needed."""
    status = answer.effective_status
    if status == 402 or words_of.CREDIT.search(words):
        return Blocked(f"the account has no credit left ({answer})", QUOTA_HINT, keyed=True)
    if words_of.MODEL.search(words):
        return ModelUnknown(f"the server does not offer the model ({answer})", MODEL_HINT)
    if (status == 401 or words_of.BAD_KEY.search(words)) and not words_of.PLACE.search(words):
        return _key_refused(answer)
    if status == 401:
        return Blocked(f"the server refuses the request ({answer})", FORBIDDEN_HINT)
    if status == 407:
        return Blocked(f"the proxy wants a password ({answer})", "Put it into HTTPS_PROXY: http://user:password@host.")
    return None


def _unresolved(answer: HttpResponse) -> Unresolved:
    """The order may have been accepted. What the words say of others is kept, and whatever may be its id is told."""
    cause, reason = _cause(answer, answer.own_words), f"the order may have been accepted: the server answered {answer}"
    if 300 <= answer.status < 400:
        location = next((value for name, value in answer.headers.items() if name.lower() == "location"), "nowhere")
        elsewhere = f"the server sends submits elsewhere (HTTP {answer.status} to {quote(location)})"
        cause, reason = Blocked(elsewhere, URL_HINT), f"the order may have been accepted: {elsewhere}"
    if ids := suspected_ids(answer.document):
        reason += f". What looks like an id in it: {', '.join(map(quote, ids))}"
    return Unresolved(reason, cause)


def poll_refusal(answer: HttpResponse, now: float) -> Deferred | Rejected | Blocked:
    """Why a poll brought no video. Only a server that no longer knows the video ends a job that is paid for."""
    status = answer.effective_status
    unknown = status == 410 or (status == 404 and not _no_route(answer))
    if unknown or (status < 500 and words_of.UNKNOWN_VIDEO.search(answer.words)):
        return Rejected(f"the server no longer knows the video ({answer})", "Look for it in the server's own console.")
    return read_refusal(answer, now)


def content_refusal(answer: HttpResponse, now: float) -> Deferred | Rejected | Blocked:
    """Why a clip could not be downloaded. "Not found" just after completion passes; "expired" does not."""
    status = answer.effective_status
    if status == 410 or (status in {400, 403, 404} and words_of.EXPIRED.search(answer.words)):
        return Rejected(f"the clip has expired on the server ({answer})", "It was charged; order it again if you want.")
    if status == 403 and not words_of.CREDIT.search(answer.words):
        # Gateways and storage hosts answer 403 for one clip; a refused key shows at the next poll or submit.
        return Deferred(f"the server does not give the clip out ({answer})")
    return read_refusal(answer, now)


def page_refusal(answer: HttpResponse, now: float) -> Deferred | Rejected | Blocked:
    """Why videos could not be listed: `Rejected` where the server has no list, or none for us."""
    status = answer.effective_status
    if status < 500 and (closed := _closed(answer)) is not None:
        return closed
    if status == 403:
        return Rejected(f"the server does not let its list be read ({answer})")
    cut_off = answer.document is None and answer.body.lstrip()[:1] in {b"{", b"["}
    something_else = answer.ok and not answer.error and not cut_off
    if something_else or status in {400, 404, 405, 410, 422, 501}:
        return Rejected(f"the server has no list of videos ({answer})")
    return read_refusal(answer, now)


def read_refusal(answer: HttpResponse, now: float) -> Deferred | Rejected | Blocked:
    """What a GET that failed means, where nothing is known about its kind of request."""
    if (closed := _closed(answer)) is not None:
        return closed
    return Deferred(
        f"the server answered {answer}",
        retry_after=retry_after(answer.headers, now),
        crowded=words_of.CROWDED.search(answer.words) is not None,
        everyone=answer.effective_status in {429, 502, 503, 504},
    )


def _no_route(answer: HttpResponse) -> bool:
    """Whether a 404 speaks of the address and not of a video: a web server's page, or a framework's own words."""
    return answer.error is None or words_of.NO_ROUTE.match(answer.error.text.casefold()) is not None


def _closed(answer: HttpResponse) -> Blocked | None:
    """The account, the key or the way to the server is shut, whatever was asked for."""
    if answer.effective_status >= 500 and not words_of.CREDIT.search(answer.words):
        return None
    cause = _cause(answer, answer.words)
    return None if isinstance(cause, ModelUnknown) else cause


def _key_refused(answer: HttpResponse) -> Blocked:
    return Blocked(f"the server refuses the API key ({answer})", KEY_HINT, keyed=True)
