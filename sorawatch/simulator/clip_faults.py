"""Effects of faults on clips: another form, another container, or a link to another place."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sorawatch.simulator.responses import SimulatedResponse

if TYPE_CHECKING:
    from sorawatch.simulator.fault_types import Fault
    from sorawatch.simulator.json_faults import Document

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
"""A codec for each container, with the names of FFmpeg."""
_PADDING = bytes(4096)


def set_content_type(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
    """The clip with the Content-Type ``fault.word``, or without one if that is empty."""
    return replace(response, media_type=fault.word)


def append_padding(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
    """The clip followed by ``fault.word``, or by a block of zeros if that is empty."""
    return replace(response, body=response.body + (fault.word.encode() or _PADDING))


def repeat_index(_: Fault, response: SimulatedResponse) -> SimulatedResponse:
    """The clip followed by a copy of its index, which players accept."""
    start = response.body.index(b"moov") - 4
    size = int.from_bytes(response.body[start : start + 4], "big")
    return replace(response, body=response.body + response.body[start : start + size])


def other_container(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
    """A small clip in the container ``fault.word``, a key of ``_CODECS``, instead of the MP4."""
    return replace(response, body=_small_clip(fault.word))


def send_link(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
    """JSON with a link to the clip, once there is a clip: the JSON of the video with the link added, or only the link.

    ``fault.word`` is the place of the link, such as ``metadata.url`` or ``videos[].url``. ``{path}`` in
    ``fault.location`` is replaced by the path of the clip, which is the same on every host of this server.
    """
    if not response.clip_url:
        return response
    is_json = response.media_type == "application/json"
    link = (fault.location or response.clip_url).replace("{path}", urlsplit(response.clip_url).path)
    document = _placed(json.loads(response.body) if is_json else {}, (fault.word or "url").split("."), link)
    return SimulatedResponse.of(document, response.status)


def _placed(document: Document, path: list[str], link: str) -> Document:
    """``document`` with ``link`` at ``path``. A name that ends with ``[]`` is a list with one entry."""
    name, *rest = path
    key = name.removesuffix("[]")
    inner = document.get(key)
    value = _placed(inner if isinstance(inner, dict) else {}, rest, link) if rest else link
    return {**document, key: [value] if name.endswith("[]") else value}


@lru_cache
def _small_clip(container: str) -> bytes:
    """A clip of eight frames, 64x48. The bytes are always the same, as on a server that makes a clip only once."""
    # Imported here, because faults can be defined without the extra that installs PyAV.
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
