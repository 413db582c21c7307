"""The HTTP client. Each method makes one call, returns our own types and raises our own errors.

`sorawatch.core.video_responses` decides what a response means. A POST is sent once and never repeated, on a connection
of its own: on a kept-alive connection that the server is just closing, a harmless reset would look like a lost answer.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, urljoin

import requests
import urllib3
from tenacity import Retrying, retry_if_exception, retry_if_result, stop_after_attempt, wait_random
from urllib3.filepost import encode_multipart_formdata

from sorawatch.core import video_responses
from sorawatch.core.clip_links import clip_links, holds_clip
from sorawatch.core.error_bodies import quote as quote_text
from sorawatch.core.local_addresses import Reach
from sorawatch.core.refusals import KEY_HINT
from sorawatch.core.video_responses import HttpResponse, Page, Video
from sorawatch.edges.api.deadlines import Exchange, TransferLimits, Watch
from sorawatch.edges.api.fetching import MAX_RESPONSE, Refusal, fetch, unpack
from sorawatch.edges.api.range_download import Part
from sorawatch.edges.api.request_errors import REQUEST_ERRORS, root_cause
from sorawatch.edges.api.transport import Auth, Body, Session, chunks, origin
from sorawatch.errors import Blocked, Deferred, Rejected, SorawatchError, Unresolved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from requests import Response

CONNECT_SECONDS = 10.0
MODELS_SECONDS = 10.0
"""How long to wait for the list of models, which only makes a message more helpful."""

_TLS_HINT = "Correct api.base_url, or name in REQUESTS_CA_BUNDLE the file of whoever signed its certificate."
_MAX_SHOWN_LINK = 2_000
"""Characters of any other link that a message repeats."""
_MAX_SHOWN_DATA = 40
"""Characters of a ``data:`` link that a message repeats."""
_MIN_SECRET_LENGTH = 6
"""Characters: a shorter secret would also be redacted where it is part of a number or a word."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server's form differs from that of the reference contract.

    ``auth`` is ``bearer``, ``none``, or the name of the header that contains only the key.
    """

    image_field: str = "input_reference"
    extra_fields: tuple[tuple[str, str], ...] = ()
    send_size: bool = True
    auth: str = "bearer"


REFERENCE = Dialect()


class VideoApi:
    """One server. Its methods may be called from several threads at once.

    Args:
        base_url: what ``/videos`` follows, such as ``https://api.apiyi.com/v1``.
        key: returns the API key, or None for a server without keys. Called for every request, so that the key may
            change.
        timeout_seconds: how long a request may take, with its answer. An upload, and the body of a clip, may take
            longer, as ``limits`` says. Only the time to resolve the name of the host is up to the system.
        pool_size: connections kept open, ideally one for each thread.
        headers: sent with every request, to this server only.
        secrets: values of ``headers`` that must not appear in messages.
        user_agent: the ``User-Agent``.
        dialect: how the server's form differs from that of the reference contract.
        limits: how slow uploads and downloads may be, and how large a clip.
    """

    def __init__(
        self,
        base_url: str,
        key: Callable[[], str | None],
        *,
        timeout_seconds: float,
        user_agent: str,
        pool_size: int = 8,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
        dialect: Dialect = REFERENCE,
        limits: TransferLimits = TransferLimits(),  # noqa: B008 -- it is frozen
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._timeout = (min(CONNECT_SECONDS, timeout_seconds), timeout_seconds)
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        self._extra_headers = dict(headers or {})
        self._secrets = tuple(secret for secret in secrets if len(secret) >= _MIN_SECRET_LENGTH)
        self.dialect = dialect
        self._limits = limits
        self._watch = Watch()
        self._session = self._open_session(pool_size)

    def close(self) -> None:
        """Close the connections. No method may be called after this."""
        self._session.close()
        self._watch.close()

    def submit(
        self,
        *,
        model: str,
        prompt: str,
        size: str,
        seconds: str,
        reference: bytes,
        file_name: str,
        mime: str,
        before_body: Callable[[], None] = lambda: None,
    ) -> Video:
        """Order a video. The request is sent at most once.

        Args:
            size: pixels, ``1280x720``.
            seconds: whole seconds, as text.
            reference: the picture, an encoded file of type ``mime``.
            before_body: called when the connection is made, just before the body is sent. An error that it raises
                cancels the request, which a server cannot accept without its body.

        Raises:
            Deferred, Rejected, Blocked: the order was not accepted.
            Unresolved: the order may have been accepted.
        """
        fields: list[tuple[str, str | tuple[str, bytes, str]]] = [
            ("model", model),
            ("prompt", prompt),
            ("seconds", seconds),
            *([("size", size)] if self.dialect.send_size else []),
            *self.dialect.extra_fields,
            (self.dialect.image_field, (file_name, reference, mime)),
        ]
        try:
            data, content_type = encode_multipart_formdata(fields)
        except UnicodeEncodeError as error:
            raise Rejected("the prompt contains half a character, which cannot be sent", "Write it again.") from error
        body, auth = Body(data, before_body), self._auth()
        allowed = self._timeout[1] + len(data) / self._limits.upload_rate
        try:
            with (
                self._exchange(allowed) as exchange,
                self._open_session(1) as session,
                session.post(
                    f"{self._base_url}/videos",
                    data=body,
                    headers={"Content-Type": content_type},
                    auth=auth,
                    # The system still sends much of the upload when it is handed over.
                    timeout=(self._timeout[0], allowed),
                    stream=True,
                    allow_redirects=False,
                ) as stream,
            ):
                response = self._read(stream, auth, exchange)
        except REQUEST_ERRORS as error:
            if body.was_read:
                raise Unresolved(f"the answer to the submit was lost ({root_cause(error)})") from error
            if isinstance(error, requests.exceptions.SSLError):
                why = f"there is no secure connection to the server ({root_cause(error)})"
                raise Blocked(why, _TLS_HINT, temporary=True) from error
            raise _out_of_reach(error) from error
        return video_responses.read_submit(response, time.time())

    def retrieve(self, video_id: str) -> Video:
        """Get a video. Raises the errors of `sorawatch.core.video_responses.read_video`."""
        return video_responses.read_video(self._get(self._url(video_id)), time.time())

    def page(self, *, after: str | None = None, limit: int = 100) -> Page:
        """List videos, newest first, after the one with id ``after``. Raises the errors of `read_page`."""
        params = {"limit": str(limit), "order": "desc", **({"after": after} if after is not None else {})}
        return video_responses.read_page(self._get(f"{self._base_url}/videos", params), time.time())

    def models(self) -> tuple[str, ...]:
        """The models that the server offers, with a short time-out. Raises the errors of `read_models`."""
        soon = min(MODELS_SECONDS, self._timeout[1])
        return video_responses.read_models(self._get(f"{self._base_url}/models", seconds=soon), time.time())

    def download(self, video_id: str, part: BinaryIO, room: Callable[[], int] | None = None) -> int:
        """Download a finished clip into ``part``, continuing where an earlier call stopped. Returns its size in bytes.

        The clip is requested at ``/content`` of the video. If there is none, the links in that response, and then those
        in the JSON of the video, are tried, without the key and the headers for this server. What was downloaded before
        a failure stays in ``part``. The method does not check that the clip is whole; if it is not, empty ``part``
        before the next call.

        Args:
            part: a seekable file, open for reading and writing (``r+b``) without a buffer.
            room: returns how many more bytes may be written to it; None means any number.

        Raises:
            Deferred: not ready, interrupted, too large, or not available now.
            Rejected: the clip has expired.
            Blocked: the key is refused, or the disk is full.
        """
        auth, target, reaches = self._auth(), Part(part, self._limits.max_clip_bytes, room), set[Reach]()
        refusal = self._fetch(f"{self._url(video_id)}/content", auth, target, reaches)
        if refusal is None:
            return target.size
        error, failures = self._clip_error(refusal), []
        if isinstance(error, Deferred) and (error.retry_after is not None or refusal.response.effective_status == 429):
            raise error
        for link in self._links(refusal, video_id):
            why = self._follow(link, auth.without_key(), target, reaches)
            if not why:
                return target.size
            failures.append(why)
        if isinstance(error, Deferred | Rejected):
            error.args = (". ".join((str(error), *failures)),)
        raise error

    def _fetch(self, url: str, auth: Auth, target: Part, reaches: set[Reach]) -> Refusal | None:
        return fetch(self._session, url, auth, self._timeout, self._exchange(self._timeout[1], reaches), target)

    def _follow(self, link: str, auth: Auth, target: Part, reaches: set[Reach]) -> str:
        """Download the clip at ``link`` into ``target``. Returns an empty text, or a sentence why it failed."""
        size_before, shown = target.size, _shown(link)
        try:
            if holds_clip(link):
                unpack(link, target)
                return ""
            refusal = self._fetch(link, auth, target, reaches)
        except Deferred as error:
            if target.size > size_before:
                raise
            return f"The server links to {shown}, which gives no clip either: {error}"
        return f"The server links to {shown}, which gives no clip either: {refusal.response}" if refusal else ""

    def _links(self, refusal: Refusal, video_id: str) -> Iterator[str]:
        """The links in a response that is not a clip, then those that the JSON of the video has now."""
        known = []
        if refusal.response.ok:
            known = _absolute(refusal.url, clip_links(refusal.response.document))
            yield from known
        try:
            response = self._get(self._url(video_id))
        except SorawatchError:
            return
        if response.ok:
            fresh = _absolute(self._url(video_id), clip_links(response.document))
            yield from (link for link in fresh if link not in known)

    def _url(self, video_id: str) -> str:
        return f"{self._base_url}/videos/{quote(video_id, safe='')}"

    def _exchange(self, seconds: float, reaches: set[Reach] | None = None) -> Exchange:
        return Exchange(self._watch, seconds, self._limits, set() if reaches is None else reaches)

    def _open_session(self, pool_size: int) -> Session:
        return Session(self._base_url, pool_size, self._headers)

    def _auth(self) -> Auth:
        key = None if self.dialect.auth == "none" else self._key()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise Blocked("the API key contains a space or a character that is not ASCII", KEY_HINT, key_related=True)
        return Auth(key or None, self.dialect.auth, self._extra_headers, self._secrets)

    def _get(self, url: str, params: Mapping[str, str] | None = None, seconds: float | None = None) -> HttpResponse:
        auth, timeout = self._auth(), (self._timeout[0], seconds or self._timeout[1])

        def once() -> HttpResponse:
            exchange.check()
            with self._session.fetch(url, auth, timeout, params=params) as response:
                return self._read(response, auth, exchange)

        try:
            with self._exchange(timeout[1]) as exchange:
                return _RETRYING(once)
        except REQUEST_ERRORS as error:
            raise _out_of_reach(error) from error

    @staticmethod
    def _read(response: Response, auth: Auth, exchange: Exchange) -> HttpResponse:
        """The whole response, with the key redacted if it is in it. Raises if it is too long or too slow."""
        body = bytearray()
        for chunk in chunks(response):
            body += chunk
            if len(body) > MAX_RESPONSE:
                raise ValueError(f"the answer has more than {MAX_RESPONSE} bytes")
        exchange.check()
        headers = {name: auth.redact(value) for name, value in response.headers.items()}
        return HttpResponse(response.status_code, headers, auth.redact_bytes(bytes(body)))

    def _clip_error(self, refusal: Refusal) -> Deferred | Rejected | Blocked:
        if origin(refusal.url) != origin(self._base_url):
            # A signed link has expired, for example. The key is fine, and the next request gets a new link.
            host = quote_text(origin(refusal.url)[1] or "")
            return Deferred(f"{host}, where the server keeps its clips, answered {refusal.response}")
        return video_responses.content_refusal(refusal.response, time.time())


def _shown(link: str) -> str:
    """``link`` for a message. Signed links are long, and somebody may want to open one."""
    longest = _MAX_SHOWN_DATA if holds_clip(link) else _MAX_SHOWN_LINK
    return link if len(link) <= longest else f"{link[:longest]}…"


def _absolute(url: str, links: Iterable[str]) -> list[str]:
    """``links`` of a response from ``url`` as absolute URLs; invalid ones are left out."""
    resolved = []
    for link in links:
        with suppress(ValueError):
            resolved.append(urljoin(url, link))
    return resolved


def _out_of_reach(error: BaseException) -> Deferred:
    return Deferred(f"the server cannot be reached ({root_cause(error)})", affects_all=True, answered=False)


def _is_temporary(error: BaseException) -> bool:
    broken = isinstance(error, requests.ConnectionError | urllib3.exceptions.ProtocolError)
    return broken and not isinstance(error, requests.Timeout)


def _overloaded(response: HttpResponse) -> bool:
    return response.status in {502, 503, 504} and video_responses.retry_after(response.headers, 0) is None


_RETRYING = Retrying(
    stop=stop_after_attempt(3),
    wait=wait_random(0.05, 0.25),
    retry=retry_if_exception(_is_temporary) | retry_if_result(_overloaded),
    retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
)
"""Only for GETs: three attempts within half a second, for a short failure of a connection or a gateway."""
