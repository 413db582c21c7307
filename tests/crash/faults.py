"""What a server does wrong to every order of a run."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from sorawatch.simulator import Fault
from tests.crash.effects import Side
from tests.crash.installation import Listing
from tests.crash.trial import Trial

_SHAPES = ("openai", "error_text", "detail_text", "code_message", "html", "unparsable", "empty")


def _answers(kind: str, on: str, statuses: tuple[int, ...], shapes: tuple[str, ...] = _SHAPES) -> list[Fault]:
    return [Fault(kind, on=on, status=status, shape=shape) for status, shape in product(statuses, shapes)]


TAKEN = [
    *_answers("answer_after", "create", (500, 502, 503, 504), (*_SHAPES, "detail_list")),
    *_answers("answer_after", "create", (501, 505, 524, 529), ("openai", "html")),
    *_answers("answer_after", "create", (200, 202), ("openai", "code_message", "html", "unparsable", "empty")),
    Fault("answer_after", on="create", status=503, shape="html", retry_after="0"),
    Fault("lost_after", on="create"),
    Fault("hang_after", on="create"),
]
"""The server takes an order and then says something else, or nothing."""

FAULTS = [
    Fault("lost_before", on="create"),
    *TAKEN,
    Fault("delay_after", on="create", seconds=0.5),
    Fault("long_id", on="create"),
    Fault("answer_before", on="create", status=429, retry_after="1"),
    Fault("answer_before", on="create", status=429, retry_after_ms=200),
    *_answers("answer_before", "create", (500, 502, 503, 504), ("openai", "html")),
    *_answers("answer_before", "retrieve", (200, 429, 500, 502, 503, 504)),
    *(Fault("status_word", on="retrieve", word=word) for word in ("Pending", "SUBMITTED", "preprocessing", "dreaming")),
    *(Fault(kind, on="retrieve") for kind in ("lost_before", "lost_after", "hang_after", "other_id")),
    *(Fault(f"progress_{how}", on="retrieve") for how in ("missing", "text", "stuck", "back")),
    *_answers("answer_before", "content", (404, 429, 500, 502, 503, 504), ("openai", "html")),
    *(
        Fault(kind, on="content")
        for kind in (
            "lost_before", "lost_after", "redirect", "gzip", "cut", "truncated", "half_zero", "html_as_mp4",
            "json_as_mp4",
        )
    ),
]  # fmt: skip


_TELLING = [
    Fault("answer_after", on="create", status=500),
    Fault("answer_after", on="create", status=503, shape="code_message"),
    Fault("answer_after", on="create", status=504, shape="html"),
]


def each() -> list[Trial]:
    """A trial for each fault, once for every order, in which nobody is killed."""
    return [Trial((), fault=fault) for fault in FAULTS]


def without_proof() -> list[Trial]:
    """Every way to lose the answer to an order that was taken, with every list that proves nothing."""
    return [Trial((), listing, fault=fault) for listing in Listing if listing is not Listing.GOOD for fault in TAKEN]


def lasting() -> list[Trial]:
    """Every answer is lost, for ever."""
    return [Trial((), listing, fault=replace(fault, times=None)) for listing in Listing for fault in _TELLING]


def killed() -> list[Trial]:
    """The daemon is killed right after an answer that lost an order."""
    moments = [
        moment
        for name in ("beach.jpg", "trip/harbour.png")
        for moment in (
            f"{Side.AFTER} await the answer to POST of {name} #1",
            f"{Side.BEFORE} commit {name} becomes uncertain #1",
            f"{Side.AFTER} commit {name} becomes uncertain #1",
        )
    ]
    return [Trial((moment,), listing, fault=fault) for listing in Listing for fault in _TELLING for moment in moments]
