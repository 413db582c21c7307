"""The HTTP client. It executes a dialect: each method makes one call, or the few that the dialect names for it.

`sorawatch.core.dialect_answers` decides what a response means. A POST is sent once and never repeated, on a connection
of its own: on a kept-alive connection that the server is just closing, a harmless reset would look like a lost answer.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, urlencode, urljoin

import requests
import urllib3
from tenacity import Retrying, retry_if_exception, retry_if_result, stop_after_attempt, wait_random

from sorawatch.core import dialect_answers, video_responses
from sorawatch.core.answer_tests import any_passes
from sorawatch.core.clip_links import clip_links, holds_clip
from sorawatch.core.error_bodies import quote as quote_text
from sorawatch.core.local_addresses import Reach
from sorawatch.core.placeholders import MISSING, PLACEHOLDER, fill, fill_address, names_in
from sorawatch.core.pointers import find_all, first
from sorawatch.core.refusals import KEY_HINT
from sorawatch.core.video_responses import HttpResponse, Page, Video
from sorawatch.edges.api.deadlines import Exchange, TransferLimits, Watch
from sorawatch.edges.api.fetching import MAX_RESPONSE, Refusal, fetch, unpack
from sorawatch.edges.api.range_download import Part
from sorawatch.edges.api.request_body import OrderTerms, Picture, encoded, model_values, order_body, order_values
from sorawatch.edges.api.request_errors import REQUEST_ERRORS, root_cause
from sorawatch.edges.api.transport import Auth, Body, Session, chunks, origin
from sorawatch.errors import Blocked, Deferred, Rejected, SorawatchError, Unresolved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from requests import Response

    from sorawatch.core.dialect import Dialect, Texts

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
_REMEMBERED = 1_000
"""Answers to orders that are remembered, for dialects that poll at an address in them."""


class VideoApi:
    """One server. Its methods may be called from several threads at once.

    Args:
        dialect: the contract of the server.
        base_url: what the paths of the dialect follow, such as ``https://api.apiyi.com/v1``; empty for its own.
        key: returns the API key, or None for a server without keys. Called for every request, so that the key may
            change.
        timeout_seconds: how long a request may take, with its answer. An upload, and the body of a clip, may take
            longer, as ``limits`` says. Only the time to resolve the name of the host is up to the system.
        pool_size: connections kept open, ideally one for each thread.
        headers: sent with every request, to this server only.
        secrets: values of ``headers`` that must not appear in messages.
        user_agent: the ``User-Agent``.
        limits: how slow uploads and downloads may be, and how large a clip.
    """

    def __init__(
        self,
        dialect: Dialect,
        base_url: str,
        key: Callable[[], str | None],
        *,
        timeout_seconds: float,
        user_agent: str,
        pool_size: int = 8,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
        limits: TransferLimits = TransferLimits(),  # noqa: B008 -- it is frozen
    ) -> None:
        own = dialect.base_url.rstrip("/")
        self._base_url = base_url.rstrip("/") or own
        # If the user names another server, the addresses that the dialect names literally get no key.
        literal = dialect.literal_origins if self._base_url == own else ()
        self._trusted = {origin(each) for each in (self._base_url, *literal)}
        self._key = key
        self._timeout = (min(CONNECT_SECONDS, timeout_seconds), timeout_seconds)
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        self._extra_headers = {**dict(dialect.headers), **(headers or {})}
        self._secrets = tuple(secret for secret in secrets if len(secret) >= _MIN_SECRET_LENGTH)
        self.dialect = dialect
        self._limits = limits
        self._watch = Watch()
        self._session = self._open_session(pool_size)
        self._answers: OrderedDict[str, tuple[str, object]] = OrderedDict()

    def close(self) -> None:
        """Close the connections. No method may be called after this."""
        self._session.close()
        self._watch.close()

    def submit(self, terms: OrderTerms, picture: Picture, before_body: Callable[[], None] = lambda: None) -> Video:
        """Order a video. The order is sent at most once; an upload of the picture may precede it.

        Args:
            before_body: called when the connection is made, just before the body is sent. An error that it raises
                cancels the request, which a server cannot accept without its body.

        Raises:
            Deferred, Rejected, Blocked: the order was not accepted.
            Unresolved: the order may have been accepted.
        """
        dialect = self.dialect
        if dialect.max_bytes is not None and len(picture.data) > dialect.max_bytes:
            what = f"the picture has {len(picture.data)} bytes, and {dialect.name} takes at most {dialect.max_bytes}"
            raise Rejected(f"{what}. Nothing was ordered", "Set reference.quality lower.", about_content=True)
        body = order_body(terms, dialect)
        needed = frozenset((*names_in(body.template), *PLACEHOLDER.findall(dialect.create.url)))
        if dialect.upload is not None:
            needed |= frozenset(names_in(dialect.upload.body.template))
        values = order_values(terms, picture, dialect, needed)
        if dialect.upload is not None:
            values["upload"] = self._upload(values)
        data, content_type = encoded(body, values)
        url = self._address((dialect.create.url,), (), values)
        response = self._post(url, data, content_type, before_body)
        video = dialect_answers.read_submit(response, dialect, time.time())
        if any("answer/" in each for each in dialect.poll.urls):
            self._answers[video.id] = (url, response.document)
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        return video

    def _upload(self, values: Mapping[str, object]) -> str:
        """Store the picture at the server. Whatever fails here, nothing is ordered."""
        upload = self.dialect.upload
        assert upload is not None
        data, content_type = encoded(upload.body, values)
        try:
            response = self._post(self._address((upload.url,), (), values), data, content_type, lambda: None)
        except Unresolved as error:
            raise Deferred(f"the picture could not be uploaded ({root_cause(error)})", affects_all=True) from error
        return dialect_answers.read_upload(response, self.dialect, time.time())

    def _post(self, url: str, data: bytes, content_type: str, before_body: Callable[[], None]) -> HttpResponse:
        body, auth = Body(data, before_body), self._auth(url)
        allowed = self._timeout[1] + len(data) / self._limits.upload_rate
        try:
            with (
                self._exchange(allowed) as exchange,
                self._open_session(1) as session,
                session.post(
                    url,
                    data=body,
                    headers={"Content-Type": content_type},
                    auth=auth,
                    # The system still sends much of the upload when it is handed over.
                    timeout=(self._timeout[0], allowed),
                    stream=True,
                    allow_redirects=False,
                ) as stream,
            ):
                return self._read(stream, auth, exchange)
        except REQUEST_ERRORS as error:
            if body.was_read:
                raise Unresolved(f"the answer to the submit was lost ({root_cause(error)})") from error
            if isinstance(error, requests.exceptions.SSLError):
                why = f"there is no secure connection to the server ({root_cause(error)})"
                raise Blocked(why, _TLS_HINT, temporary=True) from error
            raise _out_of_reach(error) from error

    def retrieve(self, video_id: str, model: str = "") -> Video:
        """Get a video. Raises the errors of `sorawatch.core.dialect_answers.read_poll`."""
        response = self._get(self._poll_url(video_id, model), root=self._poll_root())
        video = dialect_answers.read_poll(response, self.dialect, time.time())
        if video is not None:
            return video
        if self.find_tagged(video_id, model):
            return Video(video_id, video_responses.Status.RUNNING)
        raise Rejected(f"the server no longer knows the video ({response})", "It may have been restarted.")

    def find_tagged(self, tag: str, model: str = "") -> tuple[str, ...]:
        """The ids of the videos that were ordered with ``tag``; empty if the server has none.

        Raises:
            Deferred, Blocked: the server says nothing now.
        """
        values = self._model_values(model) | {"tag": tag}
        for look_up in self.dialect.tag_look_ups:
            response = self._get(self._address((look_up.url,), look_up.query, values))
            found = dialect_answers.read_tagged(response, look_up, tag, self.dialect, time.time())
            if found:
                return found
        return ()

    def page(self, *, after: str | None = None, limit: int = 100, model: str = "") -> Page:
        """List videos, newest first, from the page that ``after`` names: `Page.next` of the page before.

        Raises:
            Rejected: the dialect has no list, or the server.
            Deferred, Blocked: as `sorawatch.core.dialect_answers.read_page`.
        """
        look_up = self.dialect.list
        if look_up is None:
            raise Rejected(f"{self.dialect.name} has no request that lists its videos")
        pages, values = look_up.pages, self._model_values(model) | {"limit": limit}
        query = look_up.query
        if after is not None and not pages.next:
            query = (*query, (pages.number or pages.cursor, after))
        url = self._address((look_up.url,), query, values)
        if after is not None and pages.next:
            url = urljoin(url, after)
        found = dialect_answers.read_page(self._get(url), look_up, self.dialect, time.time())
        return _with_next(found, after, number=bool(pages.number), cursor=bool(pages.cursor))

    def prompt_of(self, video_id: str, model: str = "") -> str | None:
        """The prompt of a video by its own answer, for lists that do not show it; None if that does not either."""
        look_up = self.dialect.list
        if look_up is None or not look_up.confirm:
            return None
        shown = first(self._get(self._poll_url(video_id, model)).document, look_up.confirm)
        return shown if isinstance(shown, str) else None

    def models(self) -> tuple[str, ...]:
        """The models that the server offers, with a short time-out; empty if it does not tell.

        Raises:
            Rejected: the dialect or the server has no such request.
            Deferred, Blocked: as `sorawatch.core.dialect_answers.read_models`.
        """
        if self.dialect.check is None:
            raise Rejected(f"{self.dialect.name} has no free request that names its models")
        soon = min(MODELS_SECONDS, self._timeout[1])
        response = self._get(self._address((self.dialect.check.url,), (), {}), seconds=soon)
        return dialect_answers.read_models(response, self.dialect, time.time())

    def download(self, video_id: str, part: BinaryIO, room: Callable[[], int] | None = None, model: str = "") -> int:
        """Download a finished clip into ``part``, continuing where an earlier call stopped. Returns its size in bytes.

        The clip is requested where the dialect says. If there is none, the links in that response, and then those in
        the JSON of the video, are tried, without the key and the headers for this server. What was downloaded before
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
        target, reaches = Part(part, self._limits.max_clip_bytes, room), set[Reach]()
        url = self._clip_url(video_id, model, reaches)
        auth = self._auth(url)
        refusal = self._fetch(url, auth, target, reaches)
        if refusal is None:
            return target.size
        error, failures = self._clip_error(refusal), []
        if isinstance(error, Deferred) and (error.retry_after is not None or refusal.response.effective_status == 429):
            raise error
        for link in self._links(refusal, video_id, model):
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

    def _links(self, refusal: Refusal, video_id: str, model: str) -> Iterator[str]:
        """The links in a response that is not a clip, then those that the JSON of the video has now."""
        known = []
        if refusal.response.ok:
            known = _absolute(refusal.url, clip_links(refusal.response.document))
            yield from known
        try:
            url = self._poll_url(video_id, model)
            response = self._get(url)
        except SorawatchError:
            return
        if response.ok:
            fresh = _absolute(url, clip_links(response.document))
            yield from (link for link in fresh if link not in known)

    def _clip_url(self, video_id: str, model: str, reaches: set[Reach]) -> str:
        """The address of a finished clip. It may take a poll, and another GET, to learn it.

        Raises:
            Deferred: if the server does not say it.
        """
        clip, values = self.dialect.clip, self._model_values(model) | {"id": video_id}
        if not clip.needs_answer:
            return self._address((clip.url,), clip.query, values)
        base = self._poll_url(video_id, model)
        response = self._get(base, reaches=reaches)
        if clip.result:
            base = self._address((clip.result,), (), values, (base, response.document))
            response = self._get(base, reaches=reaches)
        if not response.ok:
            raise video_responses.content_refusal(
                dialect_answers.interpreted(response, self.dialect.errors), time.time()
            )
        item = next(
            (
                found
                for pointer in clip.items
                for found in find_all(response.document, pointer)
                if any_passes(clip.where, found) or not clip.where
            ),
            None,
        )
        return self._address((clip.url,), clip.query, values, (base, response.document), item)

    def _poll_url(self, video_id: str, model: str) -> str:
        poll, values = self.dialect.poll, self._model_values(model) | {"id": video_id}
        return self._address(poll.urls, poll.query, values, self._answers.get(video_id))

    def _poll_root(self) -> str:
        """What the addresses of all polls begin with, if nothing in them needs to be encoded."""
        literal, bracket, _ = self.dialect.poll.urls[0].partition("<id>")
        is_shared = len(self.dialect.poll.urls) == 1 and bracket and "<" not in literal and literal.endswith("/")
        return f"{self._base_url}{literal}" if is_shared and literal.startswith("/") else ""

    def _model_values(self, model: str) -> dict[str, object]:
        return model_values(self.dialect.described(model), model)

    def _address(
        self,
        templates: tuple[str, ...],
        query: Texts,
        values: Mapping[str, object],
        answer: tuple[str, object] | None = None,
        item: object = None,
    ) -> str:
        """The absolute address of the first template whose placeholders all have values, with its query.

        Args:
            answer: the address and the JSON of an earlier answer, for ``<answer/…>``. Relative addresses in it are
                resolved like links in a page.
            item: the object for ``<item/…>``.

        Raises:
            Deferred: if none of the templates can be filled.
        """
        known = dict(values)
        for part in (*templates, *(value for _, value in query)):
            for name in PLACEHOLDER.findall(part):
                kind, slash, pointer = name.partition("/")
                source = {"answer": answer[1] if answer else None, "item": item}.get(kind) if slash else None
                found = first(source, (f"/{pointer}",)) if slash else None
                if isinstance(found, str | int):
                    known[name] = found
        filled = next((url for each in templates if (url := fill_address(each, known)) is not None), None)
        if filled is None:
            raise Deferred("the server does not say where that is; it is asked again later")
        from_answer = answer is not None and any(PLACEHOLDER.fullmatch(each) for each in templates)
        if from_answer and answer is not None:
            url = urljoin(answer[0], filled)
        else:
            url = filled if filled.startswith(("http://", "https://")) else f"{self._base_url}{filled}"
        parts = [(name, value) for name, each in query if (value := fill(each, known)) is not MISSING]
        if origin(url) in self._trusted and not from_answer:
            parts += self.dialect.query
        text = urlencode(parts, quote_via=quote, safe="")
        return f"{url}{'&' if '?' in url else '?'}{text}" if text else url

    def _exchange(self, seconds: float, reaches: set[Reach] | None = None) -> Exchange:
        return Exchange(self._watch, seconds, self._limits, set() if reaches is None else reaches)

    def _open_session(self, pool_size: int) -> Session:
        return Session((self._base_url, *self.dialect.literal_origins), pool_size, self._headers)

    def _auth(self, url: str) -> Auth:
        """What a request to ``url`` carries: the key, if that is the server itself."""
        key = None if self.dialect.key is None else self._key()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise Blocked("the API key contains a space or a character that is not ASCII", KEY_HINT, key_related=True)
        auth = Auth(key or None, self.dialect.key, self._extra_headers, self._secrets)
        return auth if origin(url) in self._trusted else auth.without_key()

    def _get(
        self, url: str, *, root: str = "", seconds: float | None = None, reaches: set[Reach] | None = None
    ) -> HttpResponse:
        auth, timeout = self._auth(url), (self._timeout[0], seconds or self._timeout[1])

        def once() -> HttpResponse:
            exchange.check()
            with self._session.fetch(url, auth, timeout, root=root) as response:
                return self._read(response, auth, exchange)

        try:
            with self._exchange(timeout[1], reaches) as exchange:
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
        response = dialect_answers.interpreted(refusal.response, self.dialect.errors)
        return video_responses.content_refusal(response, time.time())


def _with_next(page: Page, after: str | None, *, number: bool, cursor: bool) -> Page:
    """The page with what the following one is asked for with, unless the server has said that it is the last."""
    if page.has_more is False or page.next is not None or not page.videos:
        return page
    if number:
        return replace(page, next=str(int(after or 1) + 1))
    return replace(page, next=page.videos[-1].id) if cursor else page


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
