"""Classifies responses without a video, by status, code and text.

The rule that protects the user's money: a submit counts as not accepted only if the API itself answered 4xx, or
answered 503 or 529 with its own JSON error and either a ``Retry-After`` or words about capacity. Everything else is
`Unresolved`. The words of any other 5xx never make it a refusal; they can only show that its cause is the model, the
credit or the key, so that other orders wait too.

Each function returns the error, and its caller raises it. So a classification is a plain list of returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core import error_words
from sorawatch.core.error_bodies import quote
from sorawatch.core.http_times import has_retry_after, retry_after
from sorawatch.core.remote_ids import suspected_ids
from sorawatch.core.signs import Sign
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
"""4xx that do not say whether the order was accepted: time-out (LiteLLM answers 408 when its upstream timed out), too
early, client closed the connection."""


def submit_refusal(response: HttpResponse, now: float) -> Deferred | Rejected | Unresolved | Blocked:
    """Why a submit gave no video. It is `Unresolved` unless the response proves that nothing was accepted."""
    if response.sign in {Sign.EXISTS, Sign.UNKNOWN}:
        return _unresolved(response)
    if 400 <= response.status < 500:
        return _client_error(response, now)
    if response.status in {503, 529} and _proves_not_accepted(response):
        return _shared_cause(response, response.unquoted_words) or _no_capacity(response, now)
    if response.ok and (found := _refusal_as_success(response, now)) is not None:
        return found
    return _unresolved(response)


def _client_error(response: HttpResponse, now: float) -> Deferred | Rejected | Unresolved | Blocked:
    """What a 4xx to a submit means."""
    status, words = response.status, response.words
    if status in NOT_A_REFUSAL or (status == 409 and error_words.DUPLICATE.search(words)):
        return _unresolved(response)
    if (refused := _about_this_order(response, words)) is not None:
        return refused
    if (blocked := _shared_cause(response, words)) is not None:
        return blocked
    if response.sign is Sign.ORDER:
        return Rejected(f"the server refused the order ({response})", ORDER_HINT)
    if status == 410:
        return ModelUnknown(f"the server says that this is gone ({response})", MODEL_HINT)
    if status in {404, 405} or error_words.NO_GATEWAY_ROUTE.search(words):
        return Blocked(f"the server does not accept submits at this address ({response})", URL_HINT)
    too_many = _too_many(response, words)
    if too_many or response.sign is Sign.BUSY or status in {409, 429}:
        wait = retry_after(response.headers, now)
        return Deferred(
            f"the server wants us to wait ({response})",
            retry_after=wait,
            too_many_running=too_many,
            affects_all=status == 429 or response.sign is Sign.BUSY,
        )
    if status == 403 or error_words.LOCATION.search(words):
        return Blocked(f"the server refuses the order ({response})", FORBIDDEN_HINT)
    if response.error or status in {413, 415, 422}:
        return Rejected(f"the server refused the order ({response})", ORDER_HINT, about_content=status == 413)
    return Blocked(f"something that is not the API refused the order ({response})", URL_HINT)


def _refusal_as_success(response: HttpResponse, now: float) -> Deferred | Rejected | Blocked | None:
    """What a 2xx that states an error means if the error is clearly a refusal; None if that is not certain."""
    error = response.error
    if error is None or response.stated_status in {500, 501, 502, 504, 505, *NOT_A_REFUSAL}:
        return None
    if response.stated_status in {503, 529}:
        return (
            (_shared_cause(response, response.unquoted_words) or _no_capacity(response, now))
            if _proves_not_accepted(response)
            else None
        )
    words = response.unquoted_words
    if (found := _about_this_order(response, words) or _shared_cause(response, words)) is not None:
        return found
    too_many = _too_many(response, words)
    if too_many or response.sign is Sign.BUSY or response.stated_status == 429 or error_words.RATE_LIMIT.search(words):
        wait = retry_after(response.headers, now)
        return Deferred(
            f"the server wants us to wait ({response})", retry_after=wait, too_many_running=too_many, affects_all=True
        )
    kind = f"{error.code or ''} {error.type or ''}".casefold()
    if response.sign is not None or response.stated_status is not None or error_words.REFUSAL.search(kind):
        return Rejected(f"the server refused the order ({response})", ORDER_HINT)
    return None


def _proves_not_accepted(response: HttpResponse) -> bool:
    """Whether a 503 or 529 proves that nothing was accepted: the API itself says that it accepts no orders now."""
    if response.error is None or response.from_gateway or error_words.DUPLICATE.search(response.words):
        return False
    return (
        has_retry_after(response.headers)
        or response.sign is Sign.BUSY
        or any(
            pattern.search(response.unquoted_words) for pattern in (error_words.CAPACITY, error_words.TOO_MANY_RUNNING)
        )
    )


def _no_capacity(response: HttpResponse, now: float) -> Deferred:
    return Deferred(
        f"the server accepts no orders now ({response})",
        retry_after=retry_after(response.headers, now),
        too_many_running=_too_many(response, response.words),
        affects_all=True,
    )


def _too_many(response: HttpResponse, words: str) -> bool:
    """Whether the server says that too many of our jobs run at once. A sign of the dialect that says more counts."""
    return response.sign in {None, Sign.BUSY} and error_words.TOO_MANY_RUNNING.search(words) is not None


def _about_this_order(response: HttpResponse, words: str) -> Rejected | None:
    """A refusal of this prompt or this picture, judged by its words. It does not concern other orders."""
    if response.sign not in {None, Sign.MODERATION}:
        return None
    if response.sign is Sign.MODERATION or error_words.MODERATION.search(words):
        return Rejected(f"the server's moderation refused the order ({response})", CONTENT_HINT, about_content=True)
    if error_words.SIZE_MISMATCH.search(words):
        hint = "Check that the size is one that the model has, then move the pair back into the inbox."
        why = f"the server says that the picture does not have the size of the order ({response})"
        return Rejected(why, hint, about_content=True)
    return None


def _shared_cause(response: HttpResponse, words: str) -> Blocked | None:
    """A cause that stops other orders too (credit, model, key), judged by the words and by a 401, 402 or 407."""
    status, sign = response.effective_status, response.sign
    if sign in {Sign.BUSY, Sign.ORDER, Sign.MODERATION}:
        return None
    if sign is Sign.CREDIT or (sign is None and (status == 402 or error_words.CREDIT.search(words))):
        return Blocked(f"the account has no credit left ({response})", QUOTA_HINT, key_related=True)
    if sign is Sign.MODEL or (sign is None and error_words.MODEL.search(words)):
        return ModelUnknown(f"the server does not offer the model ({response})", MODEL_HINT)
    if sign is Sign.KEY:
        return _key_refused(response)
    if (status == 401 or error_words.BAD_KEY.search(words)) and not error_words.LOCATION.search(words):
        return _key_refused(response)
    if status == 401:
        return Blocked(f"the server refuses the request ({response})", FORBIDDEN_HINT)
    if status == 407:
        return Blocked(
            f"the proxy wants a password ({response})", "Put it into HTTPS_PROXY: http://user:password@host."
        )
    return None


def _unresolved(response: HttpResponse) -> Unresolved:
    """The order may have been accepted. The error has the cause that stops other orders, and texts that may be ids."""
    cause = _shared_cause(response, response.unquoted_words)
    reason = f"the order may have been accepted: the server answered {response}"
    if 300 <= response.status < 400:
        location = next((value for name, value in response.headers.items() if name.lower() == "location"), "nowhere")
        elsewhere = f"the server sends submits elsewhere (HTTP {response.status} to {quote(location)})"
        cause, reason = Blocked(elsewhere, URL_HINT), f"the order may have been accepted: {elsewhere}"
    if ids := suspected_ids(response.document):
        reason += f". What looks like an id in it: {', '.join(map(quote, ids))}"
    return Unresolved(reason, cause)


def poll_refusal(response: HttpResponse, now: float) -> Deferred | Rejected | Blocked:
    """Why a poll gave no video. A paid job ends only if the server no longer knows the video."""
    status = response.effective_status
    unknown = status == 410 or (status == 404 and not _no_route(response))
    if unknown or (status < 500 and error_words.UNKNOWN_VIDEO.search(response.words)):
        return Rejected(
            f"the server no longer knows the video ({response})", "Look for it in the server's own console."
        )
    return read_refusal(response, now)


def content_refusal(response: HttpResponse, now: float) -> Deferred | Rejected | Blocked:
    """Why a clip could not be downloaded. "Not found" just after completion is temporary; "expired" is final."""
    status = response.effective_status
    if status == 410 or (status in {400, 403, 404} and error_words.EXPIRED.search(response.words)):
        return Rejected(
            f"the clip has expired on the server ({response})", "It was charged; order it again if you want."
        )
    if status == 403 and not error_words.CREDIT.search(response.words):
        # Gateways and storage hosts answer 403 for a single clip; a refused key is noticed at the next poll or submit.
        return Deferred(f"the server refuses to send the clip ({response})")
    return read_refusal(response, now)


def page_refusal(response: HttpResponse, now: float) -> Deferred | Rejected | Blocked:
    """Why videos could not be listed: `Rejected` if the server has no list, or does not let us read it."""
    status = response.effective_status
    if status < 500 and (blocked := _access_refused(response)) is not None:
        return blocked
    if status == 403:
        return Rejected(f"the server does not let us read its list ({response})")
    is_cut_off = response.document is None and response.body.lstrip()[:1] in {b"{", b"["}
    is_no_list = response.ok and not response.error and not is_cut_off
    if is_no_list or status in {400, 404, 405, 410, 422, 501}:
        return Rejected(f"the server has no list of videos ({response})")
    return read_refusal(response, now)


def read_refusal(response: HttpResponse, now: float) -> Deferred | Rejected | Blocked:
    """What the failure of any GET means."""
    if (blocked := _access_refused(response)) is not None:
        return blocked
    return Deferred(
        f"the server answered {response}",
        retry_after=retry_after(response.headers, now),
        too_many_running=error_words.TOO_MANY_RUNNING.search(response.words) is not None,
        affects_all=response.effective_status in {429, 502, 503, 504},
    )


def _no_route(response: HttpResponse) -> bool:
    """Whether a 404 is about the address and not about a video: a web server's page, or a framework's default text."""
    return response.error is None or error_words.NO_ROUTE.match(response.error.text.casefold()) is not None


def _access_refused(response: HttpResponse) -> Blocked | None:
    """The account, the key or the proxy is refused, so that every request fails."""
    if response.effective_status >= 500 and not error_words.CREDIT.search(response.words):
        return None
    cause = _shared_cause(response, response.words)
    return None if isinstance(cause, ModelUnknown) else cause


def _key_refused(response: HttpResponse) -> Blocked:
    return Blocked(f"the server refuses the API key ({response})", KEY_HINT, key_related=True)
