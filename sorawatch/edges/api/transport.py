"""Extends requests so that no key leaks, nothing is sent twice, and every failure has a clear cause."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import requests
from requests.auth import AuthBase
from requests.utils import requote_uri
from urllib3.util import parse_url

from sorawatch.core.local_addresses import is_loopback_host
from sorawatch.edges.api.connections import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from requests import PreparedRequest, Response

    from sorawatch.core.dialect import KeyHeader

MAX_REDIRECTS = 5
_CHUNK = 1 << 18


class Session(requests.Session):
    """Follows redirects without their bodies, sends the key to no other host, and ignores ``~/.netrc``.

    It keeps no cookies, so that threads share only the connections.
    """

    def __init__(self, addresses: Iterable[str], pool_size: int, headers: Mapping[str, str]) -> None:
        """``addresses`` are those of the API. Other addresses must not be local ones."""
        super().__init__()
        self.headers.update(headers)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = Adapter(addresses, pool_size)
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        self._environments: dict[tuple[str | None, str | None, int | None], dict[str, Any]] = {}
        self._prepared: dict[str, PreparedRequest] = {}

    def merge_environment_settings(
        self, url: str | bytes | None, proxies: Any, stream: bool | None, verify: Any, cert: Any
    ) -> Any:
        # Nearly all requests go to one server, and finding its proxy takes a fifth of the time of a poll.
        where = origin(url if isinstance(url, str) else None)
        if where not in self._environments:
            settings = dict(super().merge_environment_settings(url, proxies, None, verify, cert))
            if is_loopback_host(where[1] or ""):
                # The key must not leave this machine on its way to a server on it.
                settings["proxies"] = {}
            self._environments[where] = settings
        return self._environments[where] | {"stream": stream}

    def fetch(
        self,
        url: str,
        auth: Auth,
        timeout: tuple[float, float],
        *,
        root: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """A GET whose body is not read yet. Redirects are followed; a redirect to another origin gets no key.

        Args:
            root: the beginning of ``url`` that it shares with very many others, and after which nothing needs to be
                encoded; empty if there is none.

        Raises:
            LocalAddressError: for a redirect to a loopback or link-local address.
            TooManyRedirects: after ``MAX_REDIRECTS``.
        """
        response = self._first(url, auth, timeout, root, headers)
        for _ in range(MAX_REDIRECTS):
            if not response.is_redirect:
                return response
            # Its body is not read: nobody needs it, and it may be endless.
            with response:
                target = _redirect_target(response)
            if origin(target) != origin(response.url):
                auth = auth.without_key()
            response = self.get(target, headers=headers, auth=auth, timeout=timeout, stream=True, allow_redirects=False)
        if response.is_redirect:
            response.close()
            raise requests.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects")
        return response

    def _first(
        self,
        url: str,
        auth: Auth,
        timeout: tuple[float, float],
        root: str,
        headers: Mapping[str, str] | None,
    ) -> Response:
        """A GET like that of ``get``, in half the time: the work that is the same for all polls is done once."""
        if headers or not root or not url.startswith(root):
            return self.get(url, headers=headers, auth=auth, timeout=timeout, stream=True, allow_redirects=False)
        if root not in self._prepared:
            # An auth that does nothing: without one, requests would use ``~/.netrc``.
            bare = requests.Request("GET", root, auth=lambda request: request)
            self._prepared[root] = self.prepare_request(bare)
        request = self._prepared[root].copy()
        assert request.url is not None
        request.url += url[len(root) :]
        settings = self.merge_environment_settings(request.url, {}, True, None, None)
        return self.get_adapter(request.url).send(auth(request), timeout=timeout, **settings)

    def get_redirect_target(self, resp: Response) -> str | None:  # noqa: ARG002 -- the signature is that of requests
        # requests asks for the target even if it must not follow it, and then reads the whole body.
        return None


def _redirect_target(response: Response) -> str:
    """The absolute URL that a redirect leads to.

    Raises:
        ValueError: if the URL is invalid.
    """
    # The headers were decoded as Latin-1, but servers write UTF-8.
    location = response.headers["Location"].encode("latin-1").decode("utf-8", "replace")
    return requote_uri(urljoin(response.url, location))


class Auth(AuthBase):
    """Adds the key and the headers that only the server may get."""

    def __init__(
        self, key: str | None, header: KeyHeader | None, headers: Mapping[str, str], secrets: Collection[str] = ()
    ) -> None:
        """``header`` carries the key. ``secrets`` are redacted in the same way as the key."""
        self._headers = dict(headers)
        private = [each for each in (key, *secrets) if each]
        self._secrets = [_escaped_forms(each) for each in private]
        if key and header:
            self._headers[header.name] = f"{header.prefix}{key}"

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers.update(self._headers)
        return r

    def without_key(self) -> Auth:
        """An auth for requests to other servers: it redacts the same secrets and adds nothing."""
        other = Auth(None, None, {})
        other._secrets = self._secrets
        return other

    def redact(self, text: str) -> str:
        for secret in self._secrets:
            text = re.sub(secret, "[key]", text)
        return text

    def redact_bytes(self, body: bytes) -> bytes:
        for secret in self._secrets:
            body = re.sub(secret.encode(), b"[key]", body)
        return body


@lru_cache(maxsize=16)
def _escaped_forms(secret: str) -> str:
    """A pattern for ``secret`` in which any character may be escaped as in JSON or in a URL."""
    forms = []
    for each in secret:
        in_url = "".join(f"%{byte:02x}" for byte in each.encode())
        plain = r"\\?/" if each == "/" else re.escape(each)
        forms.append(rf"(?:{plain}|(?i:\\u{ord(each):04x}|{in_url}))")
    return "".join(forms)


class Body(io.BytesIO):
    """A request body that records whether it was read, which happens once the headers are sent.

    ``before`` is called before the first byte is read. If it raises, nothing of the body is sent.
    """

    was_read = False

    def __init__(self, data: bytes, before: Callable[[], None]) -> None:
        super().__init__(data)
        self._before = before

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.was_read:
            self._before()
        self.was_read = True
        return super().read(size)


def chunks(response: Response) -> Iterator[bytes]:
    """The decoded body, in pieces as they arrive."""
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        yield chunk


def origin(url: str | None) -> tuple[str | None, str | None, int | None]:
    """Scheme, host and port, as the connection will use them: what must be equal for a key to be sent."""
    parts = parse_url(url or "")
    return parts.scheme, parts.host, parts.port or {"https": 443, "http": 80}.get(parts.scheme or "")
