"""What a server tells of one video or of all of them, falsified or left out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.simulator.answers import SimulatedResponse
    from sorawatch.simulator.faults import Effect, Fault

Document = dict[str, object]


def of_document(change: Callable[[Fault, Document], Document]) -> Effect:
    """``change`` applied to the JSON of an answer."""

    def effect(fault: Fault, answer: SimulatedResponse) -> SimulatedResponse:
        return replace(answer, body=json.dumps(change(fault, json.loads(answer.body))).encode())

    return effect


def of_videos(change: Callable[[Fault, Document], Document]) -> Effect:
    """``change`` applied to a video, or to each video of a list."""

    def each(fault: Fault, document: Document) -> Document:
        data = document.get("data")
        if isinstance(data, list):
            return {**document, "data": [change(fault, video) for video in data]}
        return change(fault, document)

    return of_document(each)


def with_values(**values: object) -> Effect:
    """Each video with these values in place of its own."""
    return of_videos(lambda _, video: {**video, **values})


def without(key: str) -> Callable[[Fault, Document], Document]:
    """The document without a key."""
    return lambda _, document: {name: value for name, value in document.items() if name != key}


def receding(_: Fault, video: Document) -> Document:
    """A progress that goes back as the video is made."""
    progress = video["progress"]
    assert isinstance(progress, int)
    return {**video, "progress": 100 - progress}


def renamed(_: Fault, video: Document) -> Document:
    """The video under another id."""
    return {**video, "id": "task_" + hashlib.sha256(str(video["id"]).encode()).hexdigest()[:24]}


def hiding(hides: Callable[[Fault, Document], bool]) -> Effect:
    """A list without the videos that ``hides`` is true of, as if there were no such videos."""

    def shown(fault: Fault, page: Document) -> Document:
        return _page(page, [video for video in _data(page) if not hides(fault, video)])

    return of_document(shown)


def filtered(fault: Fault, page: Document) -> Document:
    """A list from which a gateway drops what is not in its own books, but for ``first_id`` and ``last_id``."""
    return {**page, "data": [video for video in _data(page) if not has_word(fault, video)]}


def emptied(_: Fault, page: Document) -> Document:
    """A list that shows nothing, and says that there is no more."""
    return {**_page(page, []), "has_more": False}


def is_young(fault: Fault, video: Document) -> bool:
    """Whether the video was ordered within the last ``fault.seconds``."""
    created_at = video["created_at"]
    assert isinstance(created_at, int)
    return created_at > time.time() - fault.seconds


def is_unfinished(_: Fault, video: Document) -> bool:
    """Whether the video is still being made."""
    return video["status"] not in {"completed", "failed"}


def has_word(fault: Fault, video: Document) -> bool:
    """Whether the prompt holds the fault's word."""
    return fault.word in str(video["prompt"])


def foreign(_: Fault, page: Document) -> Document:
    """The whole list of an account that has nothing to do with ours."""
    return {
        **_page(page, [_stranger("A kettle on a stove", 0), _stranger("Two foxes in fresh snow", 3600)]),
        "has_more": False,
    }


def _data(page: Document) -> list[Document]:
    data = page["data"]
    assert isinstance(data, list)
    return data


def _page(page: Document, data: list[Document]) -> Document:
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {**page, "data": data, "first_id": first, "last_id": last}


def _stranger(prompt: str, age: int) -> Document:
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
