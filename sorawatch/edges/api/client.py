"""The client: one call per method, every answer in our types, every failure one of our errors.

What an answer means is decided in `sorawatch.core.answers`; here it is only sent for. A POST is sent once, by
nobody repeated, and on a connection of its own: a kept-alive one that the server is just closing would make a
harmless reset look like a lost answer.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tenacity import Retrying, retry_if_exception, retry_if_result, stop_after_attempt, wait_random
from urllib3.filepost import encode_multipart_formdata

from sorawatch.core import answers
from sorawatch.core.answers import HttpResponse, Page, Video
from sorawatch.core.clip_links import clip_links, holds_clip
from sorawatch.core.refusals import KEY_HINT
from sorawatch.edges.api.fetching import LARGEST_ANSWER, Refusal, fetch, unpack
from sorawatch.edges.api.range_download import Part
from sorawatch.edges.api.transport import FAULTS, Auth, Body, Session, chunks, origin, told
from sorawatch.errors import Blocked, Deferred, Rejected, SorawatchError, Unresolved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from requests import Response

CONNECT_SECONDS = 10.0
MODELS_SECONDS = 10.0
"""How long the list of models is waited for, which only makes a message more helpful."""

_TLS_HINT = "Correct api.base_url, or name in REQUESTS_CA_BUNDLE the file of whoever signed its certificate."
_SHOWN_DATA = 40
"""Characters of a link that holds a clip that a message repeats."""
_SHORTEST_SECRET = 6
"""Characters: anything shorter would be found, and redacted, where it is only part of a number or a word."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where a server's form differs from the reference's.

    ``auth`` is ``bearer``, ``none``, or the name of the header that carries the bare key.
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
        key: gives the API key, or None for a server without keys; asked at every request, so a changed key counts.
        timeout_seconds: how long the server may stay silent.
        pool_size: connections kept open, best one a thread.
        headers: sent with every request, to this server only.
        secrets: values of ``headers`` that must appear in no message.
        user_agent: the ``User-Agent``.
        dialect: where the server's form differs from the reference's.
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
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._timeout = (min(CONNECT_SECONDS, timeout_seconds), timeout_seconds)
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        self._own_headers = dict(headers or {})
        self._secrets = tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)
        self.dialect = dialect
        self._session = self._open_session(pool_size, follow=True)

    def close(self) -> None:
        """Close the connections. The methods must not be called any more."""
        self._session.close()

    def submit(
        self, *, model: str, prompt: str, size: str, seconds: str, reference: bytes, file_name: str, mime: str
    ) -> Video:
        """Order a video. Sent at most once.

        Args:
            size: pixels, ``1280x720``.
            seconds: whole seconds, as text.
            reference: the picture, an encoded file of type ``mime``.

        Raises:
            Deferred, Rejected, Blocked: the order was not accepted.
            Unresolved: it may have been.
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
            raise Rejected("the prompt holds half a character, which cannot be sent", "Write it anew.") from error
        body, auth = Body(data), self._auth()
        try:
            with (
                self._open_session(1, follow=False) as session,
                session.post(
                    f"{self._base_url}/videos",
                    data=body,
                    headers={"Content-Type": content_type},
                    auth=auth,
                    timeout=self._timeout,
                    stream=True,
                ) as response,
            ):
                answer = self._read(response, auth)
        except FAULTS as fault:
            if body.begun:
                raise Unresolved(f"the answer to the submit was lost ({told(fault)})") from fault
            if isinstance(fault, requests.exceptions.SSLError):
                why = f"there is no safe connection to the server ({told(fault)})"
                raise Blocked(why, _TLS_HINT, passing=True) from fault
            raise _out_of_reach(fault) from fault
        return answers.read_submit(answer, time.time())

    def retrieve(self, video_id: str) -> Video:
        """Look at a video. Errors as `sorawatch.core.answers.read_video` has them."""
        return answers.read_video(self._get(self._url(video_id)), time.time())

    def page(self, *, after: str | None = None, limit: int = 100) -> Page:
        """List videos, newest first, from behind the one with id ``after``. Errors as `read_page` has them."""
        params = {"limit": str(limit), "order": "desc", **({"after": after} if after is not None else {})}
        return answers.read_page(self._get(f"{self._base_url}/videos", params), time.time())

    def models(self) -> tuple[str, ...]:
        """The models that the server offers, if it says so soon. Errors as `read_models` has them."""
        soon = min(MODELS_SECONDS, self._timeout[1])
        return answers.read_models(self._get(f"{self._base_url}/models", seconds=soon), time.time())

    def download(self, video_id: str, part: BinaryIO) -> int:
        """Fetch a finished clip into ``part``, going on where an earlier call broke off. Returns its bytes.

        It is asked for at the video's ``/content``. Where that gives none, the links in its answer and then those in
        the video's own are followed, as far as a redirect would be, without the key and the headers for this server.
        What came before a failure stays in ``part``. Whether the bytes are a whole clip is not looked at: empty
        ``part`` before the next call if they are not.

        Args:
            part: a seekable file, open for reading and writing (``r+b``).

        Raises:
            Deferred: not ready, broken off, or not to be had now.
            Rejected: the clip has expired.
            Blocked: the key is refused, or the disk takes no more.
        """
        auth, target = self._auth(), Part(part)
        refusal = fetch(self._session, f"{self._url(video_id)}/content", auth, self._timeout, target)
        if refusal is None:
            return target.size
        error, fruitless = self._no_clip(refusal), []
        if isinstance(error, Deferred) and (error.retry_after is not None or refusal.answer.effective_status == 429):
            raise error
        for link in self._links(refusal, video_id):
            why = self._follow(link, auth.for_others(), target)
            if not why:
                return target.size
            fruitless.append(why)
        if isinstance(error, Deferred | Rejected):
            error.args = (". ".join((str(error), *fruitless)),)
        raise error

    def _follow(self, link: str, auth: Auth, target: Part) -> str:
        """Fetch the clip at ``link`` into ``target``. Returns nothing, or a sentence about a link that gives none."""
        had = target.size
        try:
            if holds_clip(link):
                unpack(link, target)
                return ""
            refusal = fetch(self._session, link, auth, self._timeout, target)
        except Deferred as error:
            if target.size > had:
                raise
            shown = f"{link[:_SHOWN_DATA]}…" if holds_clip(link) else link
            return f"The server links to {shown}, which gives no clip either: {error}"
        return f"The server links to {link}, which gives no clip either: {refusal.answer}" if refusal else ""

    def _links(self, refusal: Refusal, video_id: str) -> Iterator[str]:
        """The links in an answer that is no clip, then those that the video itself has now."""
        known = []
        if refusal.answer.ok:
            known = _resolved(refusal.url, clip_links(refusal.answer.document))
            yield from known
        try:
            answer = self._get(self._url(video_id))
        except SorawatchError:
            return
        if answer.ok:
            fresh = _resolved(self._url(video_id), clip_links(answer.document))
            yield from (link for link in fresh if link not in known)

    def _url(self, video_id: str) -> str:
        return f"{self._base_url}/videos/{quote(video_id, safe='')}"

    def _open_session(self, pool_size: int, *, follow: bool) -> Session:
        session = Session(frozenset({"Authorization", self.dialect.auth, *self._own_headers}), follow=follow)
        session.headers.update(self._headers)
        adapter = HTTPAdapter(pool_maxsize=pool_size, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def _auth(self) -> Auth:
        key = None if self.dialect.auth == "none" else self._key()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise Blocked("the API key holds a space or a character that is not plain ASCII", KEY_HINT, keyed=True)
        return Auth(key or None, self.dialect.auth, self._own_headers, self._secrets)

    def _get(self, url: str, params: Mapping[str, str] | None = None, seconds: float | None = None) -> HttpResponse:
        auth, timeout = self._auth(), (self._timeout[0], seconds or self._timeout[1])

        def once() -> HttpResponse:
            with self._session.fetch(url, params, auth, timeout) as response:
                return self._read(response, auth)

        try:
            return _AGAIN(once)
        except FAULTS as fault:
            raise _out_of_reach(fault) from fault

    def _read(self, response: Response, auth: Auth) -> HttpResponse:
        """The whole answer, without the key should it echo that. One too long, or too slow, is a fault."""
        deadline = time.monotonic() + self._timeout[1]
        body = bytearray()
        for chunk in chunks(response):
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise ValueError(f"the answer has more than {LARGEST_ANSWER} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the answer took longer than {self._timeout[1]:g} s")
        headers = {name: auth.redact(value) for name, value in response.headers.items()}
        return HttpResponse(response.status_code, headers, auth.redact_bytes(bytes(body)))

    def _no_clip(self, refusal: Refusal) -> Deferred | Rejected | Blocked:
        if origin(refusal.url) != origin(self._base_url):
            # A signed link that ran out is no fault of the key, and the next request is given a new one.
            host = origin(refusal.url)[1]
            return Deferred(f"{host}, where the server keeps its clips, answered {refusal.answer}")
        return answers.content_refusal(refusal.answer, time.time())


def _resolved(url: str, links: Iterable[str]) -> list[str]:
    """``links`` as they are meant in an answer from ``url``; senseless ones are left out."""
    resolved = []
    for link in links:
        with suppress(ValueError):
            resolved.append(urljoin(url, link))
    return resolved


def _out_of_reach(fault: BaseException) -> Deferred:
    return Deferred(f"the server cannot be reached ({told(fault)})", everyone=True, answered=False)


def _passing(fault: BaseException) -> bool:
    broken = isinstance(fault, requests.ConnectionError | urllib3.exceptions.ProtocolError)
    return broken and not isinstance(fault, requests.Timeout)


def _overloaded(answer: HttpResponse) -> bool:
    return answer.status in {502, 503, 504} and answers.retry_after(answer.headers, 0) is None


_AGAIN = Retrying(
    stop=stop_after_attempt(3),
    wait=wait_random(0.05, 0.25),
    retry=retry_if_exception(_passing) | retry_if_result(_overloaded),
    retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
)
"""For GETs alone: three tries within half a second, for a connection or a gateway that hiccups."""
