"""What requests is told so that no key leaks, nothing is sent twice, and every failure is known for what it is."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from sorawatch.core.error_bodies import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from requests import PreparedRequest, Response

FAULTS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
"""What a request may raise: requests' own, at times urllib3's or the socket's, ValueError for senseless redirects."""

_CHUNK = 1 << 18


class Session(requests.Session):
    """Keeps what is meant for the server from any other host it redirects to, and lets no ``~/.netrc`` replace it.

    It keeps no cookies, so that threads share nothing but the connections.
    """

    def __init__(self, private: frozenset[str], *, follow: bool) -> None:
        super().__init__()
        self._follow = follow
        self.max_redirects = 5
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._private = private
        self._environments: dict[tuple[str, str | None, int | None], dict[str, Any]] = {}
        self._prepared: dict[str, PreparedRequest] = {}

    def merge_environment_settings(
        self, url: str | bytes | None, proxies: Any, stream: bool | None, verify: Any, cert: Any
    ) -> Any:
        # Nearly every request begins at one server, and looking its proxy up is a fifth of the work of a poll.
        where = origin(url if isinstance(url, str) else None)
        if where not in self._environments:
            self._environments[where] = dict(super().merge_environment_settings(url, proxies, None, verify, cert))
        return self._environments[where] | {"stream": stream}

    def fetch(self, url: str, params: Mapping[str, str] | None, auth: Auth, timeout: tuple[float, float]) -> Response:
        """A GET as ``get`` makes it, without the half of its work that is the same for each of a thousand polls.

        The answer's body is not read yet. A redirect is followed as ever.
        """
        root, _, rest = url.partition("/videos/")
        if params or not rest:
            return self.get(url, params=params, auth=auth, timeout=timeout, stream=True)
        if root not in self._prepared:
            # Some auth, though one that does nothing: without any, requests would take what ``~/.netrc`` has.
            bare = requests.Request("GET", f"{root}/videos/", auth=lambda request: request)
            self._prepared[root] = self.prepare_request(bare)
        request = self._prepared[root].copy()
        assert request.url is not None
        request.url += rest
        settings = self.merge_environment_settings(request.url, {}, True, None, None)
        response = self.get_adapter(request.url).send(auth(request), timeout=timeout, **settings)
        if not response.is_redirect:
            return response
        response.close()
        return self.get(url, auth=auth, timeout=timeout, stream=True)

    def get_redirect_target(self, resp: Response) -> str | None:
        # requests reads the target even where it is told not to follow, and a senseless one would cost the answer.
        if not self._follow:
            return None
        try:
            return super().get_redirect_target(resp)
        except UnicodeDecodeError:
            return None

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        if origin(response.request.url) != origin(prepared_request.url):
            for name in self._private:
                prepared_request.headers.pop(name, None)


class Auth(AuthBase):
    """Adds the key and the headers that are meant for the server alone."""

    def __init__(self, key: str | None, scheme: str, headers: Mapping[str, str], secrets: Collection[str] = ()) -> None:
        """``secrets`` are redacted like the key."""
        self._headers = dict(headers)
        private = [each for each in (key, *secrets) if each]
        self._secrets = [_disguises(each) for each in private]
        if key:
            name, value = ("Authorization", f"Bearer {key}") if scheme == "bearer" else (scheme, key)
            self._headers[name] = value

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers.update(self._headers)
        return r

    def for_others(self) -> Auth:
        """One for requests to other servers: it redacts the same and adds nothing."""
        other = Auth(None, "none", {})
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
def _disguises(secret: str) -> str:
    """A pattern of ``secret`` with any of its characters escaped as JSON or a URL may have them."""
    forms = []
    for each in secret:
        in_url = "".join(f"%{byte:02x}" for byte in each.encode())
        plain = r"\\?/" if each == "/" else re.escape(each)
        forms.append(rf"(?:{plain}|(?i:\\u{ord(each):04x}|{in_url}))")
    return "".join(forms)


class Body(io.BytesIO):
    """A request body that knows whether any of it was asked for, which happens once the headers are sent."""

    begun = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.begun = True
        return super().read(size)


def chunks(response: Response) -> Iterator[bytes]:
    """The body, decoded, as it arrives."""
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        yield chunk


def told(fault: BaseException) -> str:
    """What lies at the root of ``fault``: the outer layers repeat addresses and class names."""
    for _ in range(8):
        causes = (fault.__cause__, getattr(fault, "reason", None), *reversed(fault.args))
        fault = next((cause for cause in causes if isinstance(cause, BaseException)), fault)
    return quote(str(fault) or type(fault).__name__)


def origin(url: str | None) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what must be equal for a key to be sent."""
    parts = urlsplit(url or "")
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
