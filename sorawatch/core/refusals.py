"""What an answer that is no video means: every refusal, told apart by status, code and text.

Texts and codes are those of OpenAI's API and of the new-api and LiteLLM gateways. Each function
returns the error for its caller to raise, so that a classification stays a plain list of returns.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sorawatch.core.complaints import quote
from sorawatch.core.times import retry_after
from sorawatch.errors import Blocked, Deferred, ModelUnknown, Rejected, Unresolved

if TYPE_CHECKING:
    from sorawatch.core.complaints import Answer

KEY_MEND = "Put a valid key into the file that api.key_file names, or into SORAWATCH_API_KEY."
QUOTA_MEND = "Top up the account, or put the key of another one into the file that api.key_file names."
MODEL_MEND = "Set video.model, or the sidecar's model, to one that this server offers, and describe it under models."
URL_MEND = "Set api.base_url to the address that /videos follows; it usually ends in /v1."
ORDER_MEND = "Change what the server objects to, then move the pair back into the inbox."

MODERATION = re.compile(
    r"moderation_blocked|sentinel_block|content_policy_violation|content_filter|blocked by .{0,30}moderation"
    r"|content polic|safety system|violat\w{1,4} .{0,60}polic|内容违规|审核"
    r"|our guardrails|(?:input|output)_moderation|sensitive_words_detected"
)
_SIZE_MISMATCH = re.compile(r"must match the requested width and height")
_QUOTA = re.compile(
    r"insufficient[_ ](?:user[_ ])?(?:quota|balance|credit|fund)|exceeded your current quota|quota_failed"
    r"|billing_(?:hard_limit_reached|not_active)|额度(?:不足|已用尽)|余额不足|欠费"
)
_MODEL = re.compile(
    r"model_not_(?:found|available|supported)|no available channel|无可用渠道|deploymentnotfound"
    r"|access to (?:the )?model"
    r"|(?:unknown|invalid|unsupported) model(?: name|\W{0,2}$|\W{0,2}[:'\"`])"
    r"|model\W{1,3}(?:[\w.:/-]{1,80}\W{1,3})?(?:is |was |does |has been )?"
    r"(?:not (?:found|exist|supported|available)|deprecated|retired|shut ?down)"
)
_CROWDED = re.compile(r"too many (?:running|active|pending|concurrent|parallel|unfinished)|concurren|并发")
_BAD_KEY = re.compile(r"invalid_api_key|(?:incorrect|invalid) api key|invalid[_ ]token|无效的令牌")
_UNKNOWN_VIDEO = re.compile(
    r"(?:video|task|job)_not_(?:found|exist)"
    r"|(?:video|task|job)(?: with)?(?: id)?\W{1,3}(?:\S{1,250}\W{1,3})?"
    r"(?:was |is |could |does )?not (?:be )?(?:found|exist)"
)
_EXPIRED = re.compile(r"expired|no longer available|has been deleted")
_NO_ROUTE = re.compile(
    r"\s*(?:not found\W*$|method not allowed|invalid url|404 page not found|cannot (?:get|post)|no route)",
    re.IGNORECASE,
)
_TWIN = re.compile(r"duplicate|already|exist")
_UPSTREAM_LOST = re.compile(
    r"time[d-]? ?out|deadline exceeded|\beof\b|broken pipe|socket hang ?up|\beconnreset\b|fetch failed"
    r"|connection (?:was )?(?:reset|aborted|closed|lost|broken|terminated|error\b)|server disconnected"
    r"|(?:peer|side|end|server|force|of) closed|incomplete ?(?:read|chunked|message|payload)|error sending request"
    r"|(?:read|unmarshal)_response_body_failed|\binvalid_response\b|bad_response_body"
    r"|litellm\.internalservererror: \w+: \w+exception -(?!\s*\{| cannot connect)"
)
"""A gateway that lost its upstream's answer says so with a 500 and proper JSON, in its HTTP library's words.

LiteLLM 1.106 says nothing after ``OpenAIException -`` then, and quotes the upstream's JSON there if it had any."""
_LOST = frozenset({303, 408, 499, 502, 504, *range(520, 528), 530})
"""303 leads to what was made; LiteLLM answers 408 when its upstream timed out; 52x are Cloudflare's."""


def submit_refusal(answer: Answer, now: float) -> Deferred | Rejected | Unresolved | Blocked:
    """Why a submit brought no video: only what proves that nothing was accepted is anything but `Unresolved`."""
    status, words = answer.effective_status, answer.words
    if status in _LOST or (status >= 500 and _UPSTREAM_LOST.search(words)) or (status == 409 and _TWIN.search(words)):
        return Unresolved(f"the order may have been accepted: the server answered {answer}")
    if 300 <= status < 400:
        target = next((value for name, value in answer.headers.items() if name.lower() == "location"), "nowhere")
        return Blocked(f"the server sends submits elsewhere (HTTP {status} to {quote(target)})", URL_MEND)
    if MODERATION.search(words):
        return Rejected(f"the server's moderation refused the order ({answer})", "Change the prompt or the picture.")
    if _SIZE_MISMATCH.search(words):
        mend = "Check that the size is one that the model has, then move the pair back into the inbox."
        return Rejected(f"the server says that the picture does not have the size of the order ({answer})", mend)
    if blocked := _closed(answer):
        return blocked
    if _MODEL.search(words):
        return ModelUnknown(f"the server does not offer the model ({answer})", MODEL_MEND)
    if status == 403 and not _CROWDED.search(words):
        return _key_refused(answer)
    if status in {404, 405, 501}:
        return Blocked(f"the server does not take submits at this address ({answer})", URL_MEND)
    crowded = _CROWDED.search(words) is not None
    if crowded or status in {409, 425, 429}:
        wait = retry_after(answer.headers, now)
        return Deferred(
            f"the server wants us to wait ({answer})", retry_after=wait, crowded=crowded, everyone=status == 429
        )
    # A fault behind a 2xx is no plain refusal: what answered so may have taken the order before it failed.
    plain = answer.complaint and not answer.of_a_middleman and (not answer.ok or status == 503)
    if status >= 500 and plain:
        wait = retry_after(answer.headers, now)
        everyone = status == 503
        return Deferred(f"the server could not take the order ({answer})", retry_after=wait, everyone=everyone)
    if 400 <= status < 500 and (answer.complaint or status in {413, 415, 422}):
        return Rejected(f"the server refused the order ({answer})", ORDER_MEND)
    if 400 <= status < 500:
        return Blocked(f"something that is not the API refused the order ({answer})", URL_MEND)
    return Unresolved(f"the order may have been accepted: the server answered {answer}")


def poll_refusal(answer: Answer, now: float) -> Deferred | Rejected | Blocked:
    """Why a poll brought no video. Only a server that no longer knows the video ends a job that is paid for."""
    status = answer.effective_status
    unknown = status == 410 or (status == 404 and not _no_route(answer))
    if unknown or (status < 500 and _UNKNOWN_VIDEO.search(answer.words)):
        return Rejected(f"the server no longer knows the video ({answer})", "Look for it in the server's own console.")
    return read_refusal(answer, now)


def content_refusal(answer: Answer, now: float) -> Deferred | Rejected | Blocked:
    """Why a clip could not be downloaded. "Not found" just after completion passes; "expired" does not."""
    status = answer.effective_status
    if status == 410 or (status in {400, 403, 404} and _EXPIRED.search(answer.words)):
        return Rejected(f"the clip has expired on the server ({answer})", "It was charged; order it again if you want.")
    if status == 403 and not _QUOTA.search(answer.words):
        # Gateways and storage hosts answer 403 for one clip; a refused key shows at the next poll or submit.
        return Deferred(f"the server does not give the clip out ({answer})")
    return read_refusal(answer, now)


def page_refusal(answer: Answer, now: float) -> Deferred | Rejected | Blocked:
    """Why videos could not be listed: `Rejected` where the server has no list."""
    cut_off = answer.document is None and answer.body.lstrip()[:1] in {b"{", b"["}
    something_else = answer.ok and not answer.complaint and not cut_off
    if something_else or answer.effective_status in {400, 404, 405, 410, 422, 501}:
        return Rejected(f"the server has no list of videos ({answer})")
    return read_refusal(answer, now)


def read_refusal(answer: Answer, now: float) -> Deferred | Rejected | Blocked:
    """What a GET that failed means, where nothing is known about its kind of request."""
    if blocked := _closed(answer):
        return blocked
    if answer.effective_status == 403:
        return _key_refused(answer)
    return Deferred(
        f"the server answered {answer}",
        retry_after=retry_after(answer.headers, now),
        crowded=_CROWDED.search(answer.words) is not None,
        everyone=answer.effective_status in {429, 502, 503, 504},
    )


def _no_route(answer: Answer) -> bool:
    """Whether a 404 speaks of the address and not of a video: a web server's page, or a framework's own words."""
    return answer.complaint is None or _NO_ROUTE.match(answer.complaint.text) is not None


def _closed(answer: Answer) -> Blocked | None:
    """The account, the key or the way to the server is shut, whatever was asked for."""
    status = answer.effective_status
    if status == 402 or _QUOTA.search(answer.words):
        return Blocked(f"the account has no credit left ({answer})", QUOTA_MEND, keyed=True)
    if status == 401 or (status < 500 and _BAD_KEY.search(answer.words)):
        return _key_refused(answer)
    if status == 407:
        return Blocked(f"the proxy wants a password ({answer})", "Put it into HTTPS_PROXY: http://user:password@host.")
    return None


def _key_refused(answer: Answer) -> Blocked:
    return Blocked(f"the server refuses the API key ({answer})", KEY_MEND, keyed=True)
