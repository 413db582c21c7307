"""Texts for people about jobs that failed or are held, above all the file beside a failed pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core.budget import dollars
from sorawatch.core.job import Charged, Job, State
from sorawatch.core.naming import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sorawatch.core.order import Order
    from sorawatch.core.outcome import Candidate

_RETRY = "Move {what} from beside this text back into the inbox, or run `sorawatch retry {job}`."
"""Without the names of the files, because a number may have been added to them."""
_DROP_AGAIN = "Put {what} into the inbox again."
ANOTHER_COMMAND = "`sorawatch retry --another"
"""How the command begins that orders another clip for a duplicate."""
REMOVED_NOTE = "sorawatch removes this text once the picture is no longer beside it."
"""The end of a text that has its picture beside it. A text without this line is left alone."""


MOST_NAMED = 12
"""Things of one kind that a text names; the rest is counted."""


def error_text(job: Job, *, has_pair: bool) -> str:
    """The whole of ``NAME.error.txt``: what happened, whether it was charged, what to do, how to try again.

    Args:
        has_pair: whether the picture is put beside the text.
    """
    what = "the picture" if job.pair.sidecar is None else "the picture and its sidecar"
    sections = [
        (f"{one_line(job.pair.image)} was not made into a video", job.reason or "No reason is known."),
        ("Was it charged?", _charged(job)),
        ("What to do", job.hint or "Read the reason above; if it has passed, try again."),
    ]
    if "`sorawatch retry" not in job.hint:
        again = _RETRY if has_pair else _DROP_AGAIN
        sections.append(("How to try again", again.format(what=what, job=job.id)))
    return _text(sections, job, REMOVED_NOTE if has_pair else "")


def returned_text(job: Job) -> str:
    """The whole of ``NAME.returned.txt``, beside a delivered pair that came back into the inbox."""
    sections = [
        (f"{one_line(job.pair.image)} came back into the inbox and was not ordered again", job.reason),
        ("Was it charged?", "No. Only the first order was charged."),
        ("What to do", job.hint),
    ]
    return _text(sections, job, "")


def _text(sections: Sequence[tuple[str, str]], job: Job, last: str) -> str:
    paragraphs = [f"{title}\n    {_indented(text)}" for title, text in sections]
    if job.order is not None:
        paragraphs.append(f"What was ordered\n    {_indented(_ordered(job.order))}")
    return "\n\n".join(filter(None, (*paragraphs, last))) + "\n"


def is_duplicate(job: Job) -> bool:
    """Whether the job ended because the same order was made before, so that trying it again changes nothing."""
    return ANOTHER_COMMAND in job.hint or (job.clip is not None and job.state is State.CANCELLED)


def stake(job: Job) -> str:
    """What a job may have cost if nobody knows whether it was bought; empty where it costs nothing."""
    if job.price == 0:
        return ""
    return " It may have been charged." if job.price is None else f" It may have been charged ({dollars(job.price)})."


def may_be(candidates: Sequence[Candidate]) -> str:
    """That some listed videos may be the one that is searched for. It names the first `MOST_NAMED` of them."""
    names = ", ".join(each.video_id for each in candidates[:MOST_NAMED])
    more = f" and {len(candidates) - MOST_NAMED:,} more" if len(candidates) > MOST_NAMED else ""
    return f"the server lists videos that may be this one ({names}{more})"


def tried(times: int) -> str:
    """How often something failed."""
    return "tried once" if times == 1 else f"tried {times} times"


def ways_on(job: Job, retry: str) -> str:
    """The commands for a held job; ``retry`` says what a retry does."""
    adopt = f"If the server's own site shows the video: `sorawatch adopt {job.id} VIDEO_ID`."
    return f"{adopt} {retry} `sorawatch cancel {job.id}` gives it up."


def _charged(job: Job) -> str:
    price = f" ({dollars(job.price)})" if job.price is not None else ""
    video = f" The server knows it as {job.video_id}." if job.video_id else ""
    if job.price == 0:
        return f"No: the model costs nothing.{video}"
    match job.charged:
        case Charged.NO:
            return "No."
        case Charged.YES:
            return f"Yes{price}: the server made the video.{video}"
        case Charged.PERHAPS:
            taken = "the server had taken the order" if job.video_id else "the answer to the order was lost"
            return f"Perhaps{price}: {taken}. Its own site shows what it charged.{video}"


def _ordered(order: Order) -> str:
    fields = f"\nfields: {order.fields}" if order.fields else ""
    return f"{order.model}, {order.size}, {order.seconds} seconds, fit {order.fit}\nprompt: {order.prompt}{fields}"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
