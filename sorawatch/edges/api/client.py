"""The client: one call per method, every answer in our types, every failure one of our errors.

What an answer means is decided in `sorawatch.core.answers`; here it is only sent for. A POST is sent once, by
nobody repeated, and on a connection of its own: a kept-alive one that the server is just closing would make a
harmless reset look like a lost answer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tenacity import Retrying, retry_if_exception, retry_if_result, stop_after_attempt, wait_random
from urllib3.filepost import encode_multipart_formdata

from sorawatch.core import answers
from sorawatch.core.answers import Answer, Page, Video
from sorawatch.core.refusals import KEY_MEND
from sorawatch.edges.api.part import OVERLAP, Part
from sorawatch.edges.api.transport import FAULTS, Auth, Body, Session, chunks, origin, told
from sorawatch.errors import Blocked, Deferred, Rejected, Unresolved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from requests import Response

CONNECT_SECONDS = 10.0
MODELS_SECONDS = 10.0
"""How long the list of models is waited for, which only makes a message more helpful."""
LARGEST_ANSWER = 8 << 20
"""Bytes of a JSON answer that are read; a page of 100 videos with the longest prompts has 3.2 million."""

_TLS_MEND = "Correct api.base_url, or name in REQUESTS_CA_BUNDLE the file of whoever signed its certificate."
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
                raise Blocked(why, _TLS_MEND, passing=True) from fault
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

        What came before a failure stays in ``part``. Whether the bytes are a clip is not looked at: empty ``part``
        before the next call if they are not.

        Args:
            part: a seekable file, open for reading and writing (``r+b``).

        Raises:
            Deferred: not ready, broken off, or not to be had now.
            Rejected: the clip has expired.
            Blocked: the key is refused, or the disk takes no more.
        """
        auth = self._auth()
        target = Part(part)
        start = max(target.size - OVERLAP, 0)
        headers = {"Range": f"bytes={start}-"} if start else {}
        url = f"{self._url(video_id)}/content"
        try:
            with self._session.get(url, headers=headers, auth=auth, timeout=self._timeout, stream=True) as response:
                if not _is_clip(response):
                    raise self._no_clip(response, auth, target)
                total = target.begin(response, start)
                for chunk in chunks(response):
                    target.take(chunk)
        except FAULTS as fault:
            raise Deferred(f"the download broke off ({told(fault)})", everyone=True) from fault
        target.finish(total)
        return target.size

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
            raise Blocked("the API key holds a space or a character that is not plain ASCII", KEY_MEND, keyed=True)
        return Auth(key or None, self.dialect.auth, self._own_headers, self._secrets)

    def _get(self, url: str, params: Mapping[str, str] | None = None, seconds: float | None = None) -> Answer:
        auth, timeout = self._auth(), (self._timeout[0], seconds or self._timeout[1])

        def once() -> Answer:
            with self._session.fetch(url, params, auth, timeout) as response:
                return self._read(response, auth)

        try:
            return _AGAIN(once)
        except FAULTS as fault:
            raise _out_of_reach(fault) from fault

    def _read(self, response: Response, auth: Auth) -> Answer:
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
        return Answer(response.status_code, headers, auth.redact_bytes(bytes(body)))

    def _no_clip(self, response: Response, auth: Auth, target: Part) -> Deferred | Rejected | Blocked:
        if response.status_code == 416:
            target.restart()
            return Deferred("the clip on the server is shorter than what was downloaded of it; it starts afresh")
        answer = self._read(response, auth)
        if origin(response.url) != origin(self._base_url):
            # A signed link that ran out is no fault of the key, and the next request is given a new one.
            return Deferred(f"{origin(response.url)[1]}, where the server keeps its clips, answered {answer}")
        return answers.content_refusal(answer, time.time())


def _is_clip(response: Response) -> bool:
    kind = response.headers.get("Content-Type", "").lower()
    return response.status_code in {200, 206} and not kind.startswith(("application/json", "text/html"))


def _out_of_reach(fault: BaseException) -> Deferred:
    return Deferred(f"the server cannot be reached ({told(fault)})", everyone=True, answered=False)


def _passing(fault: BaseException) -> bool:
    broken = isinstance(fault, requests.ConnectionError | urllib3.exceptions.ProtocolError)
    return broken and not isinstance(fault, requests.Timeout)


def _overloaded(answer: Answer) -> bool:
    return answer.status in {502, 503, 504} and answers.retry_after(answer.headers, 0) is None


_AGAIN = Retrying(
    stop=stop_after_attempt(3),
    wait=wait_random(0.05, 0.25),
    retry=retry_if_exception(_passing) | retry_if_result(_overloaded),
    retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
)
"""For GETs alone: three tries within half a second, for a connection or a gateway that hiccups."""
