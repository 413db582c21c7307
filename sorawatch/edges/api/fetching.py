"""Downloads a clip from one URL. The bytes of a clip go into a `Part`; any other response is returned."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from sorawatch.core.video_kinds import HEAD, is_text, kind_of
from sorawatch.core.video_responses import HttpResponse
from sorawatch.edges.api.connections import LocalAddressError
from sorawatch.edges.api.range_download import OVERLAP
from sorawatch.edges.api.request_errors import REQUEST_ERRORS, root_cause
from sorawatch.edges.api.transport import chunks
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

    from sorawatch.edges.api.deadlines import Exchange
    from sorawatch.edges.api.range_download import Part
    from sorawatch.edges.api.transport import Auth, Session

MAX_RESPONSE = 8 << 20
"""Bytes that are read of any response but a clip. A page of 100 videos with the longest prompts has 3.2 million."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response that is not a clip, and the URL that it came from after all redirects."""

    response: HttpResponse
    url: str


def fetch(
    session: Session, url: str, auth: Auth, timeout: tuple[float, float], exchange: Exchange, target: Part
) -> Refusal | None:
    """Download the clip at ``url`` into ``target``, continuing where that ends. Returns None once it is complete.

    Args:
        timeout: seconds to wait for the connection, and for data after that.
        exchange: ends the request if no body begins in time, and if the clip then comes too slowly.

    Raises:
        Deferred: interrupted, or not the rest of the clip in ``target``, or redirected to a local address.
        Blocked: the disk is full.
    """
    start = max(target.size - OVERLAP, 0)
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        with exchange, session.fetch(url, auth, timeout, headers=headers) as response:
            if response.status_code == 416:
                target.restart()
                raise Deferred(
                    "the clip on the server is shorter than what was downloaded of it; the download starts again"
                )
            body = chunks(response)
            head = _head(body)
            if not _is_clip(response, head, start, target):
                return Refusal(_read(response, head, body, auth, exchange), response.url)
            total = target.begin(response, start)
            for chunk in exchange.at_pace(chain([head], body)):
                target.append(chunk)
            exchange.check()
    except LocalAddressError as error:
        raise Deferred(f"the clip cannot be downloaded from where the server sends us: {error}") from error
    except REQUEST_ERRORS as error:
        raise Deferred(f"the download was interrupted ({root_cause(error)})", affects_all=True) from error
    target.finish(total)
    return None


def unpack(link: str, target: Part) -> None:
    """Decode the clip in a ``data:`` link and write it into ``target``.

    Raises:
        Deferred: if it is not a clip.
        Blocked: the disk is full.
    """
    try:
        clip = base64.b64decode(link.partition(",")[2])
    except binascii.Error as error:
        raise Deferred(f"it is not valid Base64 ({error})") from error
    if kind_of(clip[:HEAD]) is None:
        raise Deferred("its content is not a video")
    target.restart()
    target.append(clip)


def _head(body: Iterator[bytes]) -> bytes:
    """The first bytes of a body, enough to recognize it, or the whole body if it is shorter."""
    head = b""
    for chunk in body:
        head += chunk
        if len(head) >= HEAD:
            break
    return head


def _is_clip(response: Response, head: bytes, start: int, target: Part) -> bool:
    """Whether a body that begins with ``head`` is a clip, or a part from byte ``start``, whatever its Content-Type."""
    match response.status_code:
        case 206 if start:
            # A clip may contain text, so a text is a part of it only if it matches. Other bytes are checked later.
            return target.matches(head, start) or not is_text(head)
        case 200 | 206:
            return kind_of(head[:HEAD]) is not None
        case _:
            return False


def _read(response: Response, head: bytes, body: Iterator[bytes], auth: Auth, exchange: Exchange) -> HttpResponse:
    """The response with the key redacted if it is in it; only its beginning if it is too long or too slow."""
    content = bytearray(head)
    try:
        for chunk in body:
            content += chunk
            if len(content) > MAX_RESPONSE:
                break
    except REQUEST_ERRORS:
        if not exchange.is_expired:
            raise
    headers = {name: auth.redact(value) for name, value in response.headers.items()}
    return HttpResponse(response.status_code, headers, auth.redact_bytes(bytes(content)))
