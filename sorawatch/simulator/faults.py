"""All kinds of faults. ``KINDS`` is the table of them, with the functions that make each fault.

A fault acts at one `Stage` of a request.
"""

from __future__ import annotations

import gzip
import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.simulator import clip_faults, json_faults
from sorawatch.simulator.error_bodies import error_response
from sorawatch.simulator.fault_types import Effect, Fault, FaultKind, Stage
from sorawatch.simulator.responses import SimulatedResponse, Transmission

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sorawatch.simulator.orders import GenerationPlan

OPERATIONS = ("upload", "create", "retrieve", "list", "content", "delete", "models", "storage")
"""``upload`` sends a picture before the create. ``models`` asks what the server offers. ``storage`` is a request for a
clip to another host, which a ``redirect`` or a ``link`` names."""


def _used_up(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
    left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{fault.seconds:g}s"}
    return replace(response, headers={**response.headers, **left})


def _transmitted(transmission: Transmission) -> Effect:
    return lambda fault, response: replace(response, transmission=transmission, seconds=fault.seconds)


def _endless(start: bytes, repeated: bytes) -> Effect:
    return lambda fault, response: replace(
        response,
        body=start,
        repeated=repeated,
        transmission=Transmission.ENDLESS,
        seconds=fault.seconds,
        supports_range=False,
    )


def _with_body(change: Callable[[bytes], bytes]) -> Effect:
    """Change the bytes of the clip before a Range is applied to them."""
    return lambda _, response: replace(response, body=change(response.body))


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _half_zero(body: bytes) -> bytes:
    return _half(body) + bytes(len(body) - len(body) // 2)


def _gzipped(_: Fault, response: SimulatedResponse) -> SimulatedResponse:
    headers = {**response.headers, "Content-Encoding": "gzip"}
    return replace(response, body=gzip.compress(response.body, compresslevel=1), headers=headers, supports_range=False)


def _without_range(_: Fault, response: SimulatedResponse) -> SimulatedResponse:
    return replace(response, supports_range=False)


def _mistyped(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
    return replace(response, media_type=fault.media_type or response.media_type)


def _redirected(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
    return SimulatedResponse(302, headers={"Location": fault.location or response.clip_url})


def _failed_as_error(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
    failed = json.loads(response.body).get("status") == "failed"
    return replace(response, status=fault.status) if failed else response


def _fails(fault: Fault, plan: GenerationPlan) -> GenerationPlan:
    code = {} if fault.code is None else {"code": fault.code}
    return replace(plan, error={**code, "message": fault.message})


def _long_id(_: Fault, plan: GenerationPlan) -> GenerationPlan:
    return replace(plan, id=f"video_{secrets.token_hex(30)}/{secrets.token_hex(30)}+a==")


def _stuck(_: Fault, plan: GenerationPlan) -> GenerationPlan:
    return replace(plan, generation_seconds=float("inf"))


def _before(effect: Effect) -> FaultKind:
    return FaultKind(Stage.BEFORE, "create", effect)


def _after(on: str, effect: Effect) -> FaultKind:
    return FaultKind(Stage.AFTER, on, effect)


def _of_video(effect: Effect) -> FaultKind:
    return FaultKind(Stage.AFTER, "retrieve", effect, needs="videos")


def _of_progress(effect: Effect) -> FaultKind:
    return FaultKind(Stage.AFTER, "retrieve", effect, needs="progress")


def _of_list(effect: Effect) -> FaultKind:
    return FaultKind(Stage.AFTER, "list", effect, needs="listed")


def _planned(plan: Callable[[Fault, GenerationPlan], GenerationPlan]) -> FaultKind:
    return FaultKind(Stage.ACCEPTANCE, "create", plan=plan)


KINDS: Mapping[str, FaultKind] = {
    # Any request
    "lost_before": _before(_transmitted(Transmission.RESET)),
    "lost_after": _after("create", _transmitted(Transmission.RESET)),
    "hang_before": _before(_transmitted(Transmission.HANG)),
    "hang_after": _after("create", _transmitted(Transmission.HANG)),
    "delay_before": FaultKind(Stage.BEFORE, "create", delays=True),
    "delay_after": FaultKind(Stage.AFTER, "create", delays=True),
    "answer_before": _before(error_response),
    "answer_after": _after("create", error_response),
    "refused": _before(error_response),
    "used_up": _after("create", _used_up),
    "endless_status": _after("create", _endless(b"HTTP/1.1 200 ", b"O")),
    "endless_continue": _after("create", _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    "endless_headers": _after("create", _endless(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")),
    "endless_body": _after("create", _endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")),
    "endless_gzip": _after(
        "create", _endless(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b""))
    ),
    "endless_clip": _after("content", _endless(b"HTTP/1.1 200 OK\r\n\r\n\0\0\0\x18ftypisom", b"\xff" * 65536)),
    # The generation of a video
    "generation_fails": _planned(_fails),
    "generation_hangs": _planned(_stuck),
    "long_id": _planned(_long_id),
    # The JSON of a video
    "status_word": _of_video(json_faults.change_videos(lambda fault, video: {**video, "status": fault.word})),
    "progress_missing": _of_progress(json_faults.change_videos(json_faults.remove_key("progress"))),
    "progress_text": _of_progress(
        json_faults.change_videos(lambda _, video: {**video, "progress": f"{video['progress']}%"})
    ),
    "progress_stuck": _of_progress(json_faults.set_values(progress=99)),
    "progress_back": _of_progress(json_faults.change_videos(json_faults.reverse_progress)),
    "other_id": _of_video(json_faults.change_videos(json_faults.other_id)),
    "failed_as_error": _of_video(_failed_as_error),
    "prompt_hidden": _of_list(json_faults.set_values(prompt=None)),
    "prompt_other": _of_list(json_faults.change_videos(lambda fault, video: {**video, "prompt": fault.word})),
    "seconds_other": _of_list(json_faults.set_values(seconds="1")),
    "model_other": _of_list(json_faults.change_videos(lambda fault, video: {**video, "model": fault.word})),
    # The list of videos
    "list_empty": _of_list(json_faults.change_document(json_faults.empty_list)),
    "list_lagging": _of_list(json_faults.hide_videos(json_faults.is_young)),
    "list_unfinished_hidden": _of_list(json_faults.hide_videos(json_faults.is_unfinished)),
    "list_hidden": _of_list(json_faults.hide_videos(json_faults.has_word)),
    "list_filtered": _of_list(json_faults.change_document(json_faults.filter_data)),
    "list_foreign": _of_list(json_faults.change_document(json_faults.foreign_list)),
    "list_without_has_more": _of_list(json_faults.change_document(json_faults.remove_key("has_more"))),
    # The clip
    "redirect": _after("content", _redirected),
    "link": _of_video(clip_faults.send_link),
    "content_type": _after("content", clip_faults.set_content_type),
    "padded": _after("content", clip_faults.append_padding),
    "indexed_twice": _after("content", clip_faults.repeat_index),
    "container": _after("content", clip_faults.other_container),
    "gzip": _after("content", _gzipped),
    "cut": _after("content", _transmitted(Transmission.CUT)),
    "stall": _after("content", _transmitted(Transmission.STALL)),
    "trickle": _after("content", _transmitted(Transmission.TRICKLE)),
    "truncated": _after("content", _with_body(_half)),
    "half_zero": _after("content", _with_body(_half_zero)),
    "html_as_mp4": _after("content", _with_body(lambda _: b"<!doctype html><html><body>Bad gateway</body></html>")),
    "json_as_mp4": _after("content", _with_body(lambda _: b'{"error": {"message": "The video is not available"}}')),
    "mistyped": _after("content", _mistyped),
    "range_ignored": _after("content", _without_range),
}
"""Every kind of fault by its name.

``refused`` answers as this API does for want of what ``word`` names, such as ``credit`` or ``capacity``: see
`sorawatch.simulator.api.Api.refusals`. Some faults need no kind of their own, since ``answer_before`` with the right
``on`` and ``status`` makes them: a server without a list, a clip that is not ready or has expired, an overload, or,
with status 200, an error sent as a success.
"""
