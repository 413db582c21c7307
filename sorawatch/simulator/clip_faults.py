"""Effects of faults on a clip that other servers send in another form, or keep in another place."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sorawatch.simulator.answers import SimulatedResponse

if TYPE_CHECKING:
    from sorawatch.simulator.faults import Fault
    from sorawatch.simulator.telling import Document

_CODECS = {
    "webm": "libvpx-vp9",
    "matroska": "libx264",
    "avi": "mpeg4",
    "gif": "gif",
    "mpegts": "libx264",
    "mpeg": "mpeg2video",
    "flv": "libx264",
    "mov": "libx264",
}
"""A codec for each container, both as FFmpeg names them."""
_PADDING = bytes(4096)


def typed(fault: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    """The clip under the Content-Type ``fault.word``; under none if that is empty."""
    return replace(answer, media_type=fault.word)


def padded(fault: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    """The clip with ``fault.word`` behind it, or with a block of zeros."""
    return replace(answer, body=answer.body + (fault.word.encode() or _PADDING))


def indexed_twice(_: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    """The clip with its index once more behind it, which players do not mind."""
    start = answer.body.index(b"moov") - 4
    size = int.from_bytes(answer.body[start : start + 4], "big")
    return replace(answer, body=answer.body + answer.body[start : start + size])


def contained(fault: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    """A small clip in the container ``fault.word``, a key of ``_CODECS``, in place of the MP4."""
    return replace(answer, body=_small_clip(fault.word))


def linked(fault: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    """JSON with a link to the clip, once there is one: a video's own with that added, else nothing but the link.

    ``fault.word`` is where it stands, such as ``metadata.url`` or ``videos[].url``. ``{path}`` in ``fault.location``
    is the clip's path on every host of this server.
    """
    if not answer.mirror:
        return answer
    is_json = answer.media_type == "application/json"
    link = (fault.location or answer.mirror).replace("{path}", urlsplit(answer.mirror).path)
    document = _placed(json.loads(answer.body) if is_json else {}, (fault.word or "url").split("."), link)
    return SimulatedResponse.of(document, answer.status)


def _placed(document: Document, path: list[str], link: str) -> Document:
    """``document`` with ``link`` at ``path``; a name that ends in ``[]`` holds a list of one."""
    name, *rest = path
    key = name.removesuffix("[]")
    inner = document.get(key)
    value = _placed(inner if isinstance(inner, dict) else {}, rest, link) if rest else link
    return {**document, key: [value] if name.endswith("[]") else value}


@lru_cache
def _small_clip(container: str) -> bytes:
    """Eight frames, 64x48: the same bytes each time, as a server sends them that made its clip once."""
    # Faults can be described without the extra that brings PyAV.
    av: Any = import_module("av")
    options = {"fflags": "+bitexact"}
    with tempfile.TemporaryDirectory(prefix="sorawatch-") as folder:
        path = Path(folder, "clip")
        with av.open(str(path), "w", format=container, options=options) as output:
            stream = output.add_stream(_CODECS[container], 8)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "rgb8" if container == "gif" else "yuv420p"
            stream.codec_context.thread_count = 1
            for number in range(8):
                frame = av.VideoFrame(64, 48, "rgb24")
                plane = frame.planes[0]
                plane.update(bytes((at * 7 + number * 31) % 256 for at in range(plane.buffer_size)))
                output.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
            output.mux(stream.encode())
        return path.read_bytes()
