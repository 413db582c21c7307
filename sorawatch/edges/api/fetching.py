"""One place from which a clip may be had: its bytes go into a part, anything else comes back as an answer."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from sorawatch.core.answers import HttpResponse
from sorawatch.core.media import HEAD, is_text, kind_of
from sorawatch.edges.api.range_download import OVERLAP
from sorawatch.edges.api.transport import FAULTS, chunks, told
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

    from sorawatch.edges.api.range_download import Part
    from sorawatch.edges.api.transport import Auth, Session

LARGEST_ANSWER = 8 << 20
"""Bytes of an answer that is no clip that are read; a page of 100 videos with the longest prompts has 3.2 million."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no clip, and the URL that it came from after all redirects."""

    answer: HttpResponse
    url: str


def fetch(session: Session, url: str, auth: Auth, timeout: tuple[float, float], target: Part) -> Refusal | None:
    """Fetch the clip at ``url`` into ``target``, going on where that ends. Returns None once all of it is there.

    Args:
        timeout: how long a connection is waited for, and any silence after it; in seconds.

    Raises:
        Deferred: broken off, or not the rest of what ``target`` holds.
        Blocked: the disk takes no more.
    """
    start = max(target.size - OVERLAP, 0)
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        with session.get(url, headers=headers, auth=auth, timeout=timeout, stream=True) as response:
            if response.status_code == 416:
                target.restart()
                raise Deferred("the clip on the server is shorter than what was downloaded of it; it starts afresh")
            body = chunks(response)
            head = _head(body)
            if not _is_clip(response, head, start, target):
                return Refusal(_read(response, head, body, auth, timeout[1]), response.url)
            total = target.begin(response, start)
            for chunk in chain([head], body):
                target.take(chunk)
    except FAULTS as fault:
        raise Deferred(f"the download broke off ({told(fault)})", everyone=True) from fault
    target.finish(total)
    return None


def unpack(link: str, target: Part) -> None:
    """Write the clip that a ``data:`` link holds in Base64 into ``target``.

    Raises:
        Deferred: if it holds none.
        Blocked: the disk takes no more.
    """
    try:
        clip = base64.b64decode(link.partition(",")[2])
    except binascii.Error as error:
        raise Deferred(f"it is not the Base64 that it says it is ({error})") from error
    if kind_of(clip[:HEAD]) is None:
        raise Deferred("what it holds is no video")
    target.restart()
    target.take(clip)


def _head(body: Iterator[bytes]) -> bytes:
    """The first bytes of a body, enough to judge it by, or all there are."""
    head = b""
    for chunk in body:
        head += chunk
        if len(head) >= HEAD:
            break
    return head


def _is_clip(response: Response, head: bytes, start: int, target: Part) -> bool:
    """Whether a body that begins with ``head`` is a clip, or one from byte ``start`` on, whatever its Content-Type."""
    match response.status_code:
        case 206 if start:
            # A clip may hold text, such as the settings of its making. Other bytes may be of another clip.
            return target.holds(head, start) or not is_text(head)
        case 200 | 206:
            return kind_of(head[:HEAD]) is not None
        case _:
            return False


def _read(response: Response, head: bytes, body: Iterator[bytes], auth: Auth, seconds: float) -> HttpResponse:
    """The answer without the key, should it echo that; of one too long, or too slow, only the beginning."""
    deadline = time.monotonic() + seconds
    content = bytearray(head)
    for chunk in body:
        content += chunk
        if len(content) > LARGEST_ANSWER or time.monotonic() > deadline:
            break
    headers = {name: auth.redact(value) for name, value in response.headers.items()}
    return HttpResponse(response.status_code, headers, auth.redact_bytes(bytes(content)))
