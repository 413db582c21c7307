"""What a server does wrong to every order of a run, once each, without a loss that the promises do not cover."""

from __future__ import annotations

from itertools import product

from sorawatch.simulator import Fault
from tests.crash.trial import Trial

_SHAPES = ("openai", "error_text", "detail_text", "code_message", "html", "unparsable", "empty")


def _answers(kind: str, on: str, statuses: tuple[int, ...], shapes: tuple[str, ...] = _SHAPES) -> list[Fault]:
    return [Fault(kind, on=on, status=status, shape=shape) for status, shape in product(statuses, shapes)]


FAULTS = [
    Fault("lost_before", on="create"),
    Fault("lost_after", on="create"),
    Fault("hang_after", on="create"),
    Fault("delay_after", on="create", seconds=0.5),
    Fault("long_id", on="create"),
    Fault("answer_before", on="create", status=429, retry_after="1"),
    Fault("answer_before", on="create", status=429, retry_after_ms=200),
    *_answers("answer_before", "create", (500, 502, 503, 504)),
    # A 500 or 503 with the API's own error says that nothing was accepted: a server that lies there is not covered.
    *_answers("answer_after", "create", (500, 503), ("html", "unparsable", "empty")),
    *_answers("answer_after", "create", (502, 504)),
    *_answers("answer_after", "create", (200,), ("openai", "html", "unparsable", "empty")),
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


def each() -> list[Trial]:
    """A trial for each fault, in which nobody is killed."""
    return [Trial((), fault=fault) for fault in FAULTS]
