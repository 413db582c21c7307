"""Effects of faults on the JSON of a video or of the list."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sorawatch.simulator.fault_types import Effect, Fault
    from sorawatch.simulator.responses import SimulatedResponse

Document = dict[str, object]


def change_document(change: Callable[[Fault, Document], Document]) -> Effect:
    """Apply ``change`` to the JSON of a response."""

    def effect(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
        return replace(response, body=json.dumps(change(fault, json.loads(response.body))).encode())

    return effect


def change_videos(change: Callable[[Fault, Document], Document]) -> Effect:
    """Apply ``change`` to a video, or to each video of a list."""

    def each(fault: Fault, document: Document) -> Document:
        data = document.get("data")
        if isinstance(data, list):
            return {**document, "data": [change(fault, video) for video in data]}
        return change(fault, document)

    return change_document(each)


def set_values(**values: object) -> Effect:
    """Every video with these values instead of its own."""
    return change_videos(lambda _, video: {**video, **values})


def remove_key(key: str) -> Callable[[Fault, Document], Document]:
    """The document without a key."""
    return lambda _, document: {name: value for name, value in document.items() if name != key}


def reverse_progress(_: Fault, video: Document) -> Document:
    """A video whose progress goes back."""
    progress = video["progress"]
    assert isinstance(progress, int)
    return {**video, "progress": 100 - progress}


def other_id(_: Fault, video: Document) -> Document:
    """The video under another id."""
    return {**video, "id": "task_" + hashlib.sha256(str(video["id"]).encode()).hexdigest()[:24]}


def hide_videos(hides: Callable[[Fault, Document], bool]) -> Effect:
    """Remove the videos for which ``hides`` is true from a list, as if they did not exist."""

    def shown(fault: Fault, page: Document) -> Document:
        return _page_of(page, [video for video in _data(page) if not hides(fault, video)])

    return change_document(shown)


def filter_data(fault: Fault, page: Document) -> Document:
    """Remove videos from the data, but not from ``first_id`` and ``last_id``, as a gateway does with unknown ones."""
    return {**page, "data": [video for video in _data(page) if not has_word(fault, video)]}


def empty_list(_: Fault, page: Document) -> Document:
    """An empty list that says that there are no more videos."""
    return {**_page_of(page, []), "has_more": False}


def is_young(fault: Fault, video: Document) -> bool:
    """Whether the video was ordered within the last ``fault.seconds``."""
    created_at = video["created_at"]
    assert isinstance(created_at, int)
    return created_at > time.time() - fault.seconds


def is_unfinished(_: Fault, video: Document) -> bool:
    """Whether the server still renders the video."""
    return video["status"] not in {"completed", "failed"}


def has_word(fault: Fault, video: Document) -> bool:
    """Whether the prompt contains the fault's word."""
    return fault.word in str(video.get("prompt", ""))


def foreign_list(_: Fault, page: Document) -> Document:
    """The list of another account."""
    return {
        **_page_of(page, [_foreign_video("A kettle on a stove", 0), _foreign_video("Two foxes in fresh snow", 3600)]),
        "has_more": False,
    }


def _data(page: Document) -> list[Document]:
    data = page["data"]
    assert isinstance(data, list)
    return data


def _page_of(page: Document, data: list[Document]) -> Document:
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {**page, "data": data, "first_id": first, "last_id": last}


def _foreign_video(prompt: str, age: int) -> Document:
    created_at = int(time.time()) - age
    return {
        "id": f"video_{hashlib.sha256(prompt.encode()).hexdigest()[:32]}",
        "object": "video",
        "model": "sora-2",
        "status": "completed",
        "progress": 100,
        "created_at": created_at,
        "prompt": prompt,
        "size": "1280x720",
        "seconds": "4",
    }
