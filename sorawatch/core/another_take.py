"""The same order a second time: a duplicate, or another take that a person asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, UNPAID, Job, Pair, State
from sorawatch.core.naming import order_key
from sorawatch.core.pairing import fold
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAVING = frozenset({State.DELIVERED, State.WITHDRAWN})
"""The pairs of these are just being moved out of the inbox, so a pair that is missing may not have been renamed."""


def is_same(one: Job, other: Job) -> bool:
    """Whether two prepared jobs have the same order, no matter which take."""
    if one.order is None or other.order is None:
        return False
    terms = {order_key("", replace(order, take=1)) for order in (one.order, other.order)}
    return len(terms) == 1 and is_same_picture(one, other)


def is_continued_by(older: Job, job: Job, is_present: Callable[[str], bool]) -> bool:
    """Whether the pair of ``job`` is that of ``older``, which was touched, renamed or moved within the inbox.

    A pair that was renamed or moved is known by its picture, and by its order or its sidecar: in another folder there
    may be other defaults.

    Args:
        older: a job that is bought.
        job: a prepared job that is not.
        is_present: whether there is a picture at this path of the inbox.
    """
    if older.pair.path == job.pair.path:
        return is_same(older, job)
    if is_present(older.pair.path) or older.state in _LEAVING:
        return False
    return is_same(older, job) or (is_same_picture(older, job) and older.pair.sidecar_stamp == job.pair.sidecar_stamp)


def has_renamed_sidecar(former: Pair, found: Pair) -> bool:
    """Whether only the name of the sidecar has changed."""
    same_files = (former.image_stamp, former.sidecar_stamp) == (found.image_stamp, found.sidecar_stamp)
    return same_files and former.sidecar != found.sidecar


def pair_after_move(former: Pair, found: Pair) -> Pair:
    """The pair of a bought job whose picture was renamed or moved.

    Its sidecar may follow later, and another one beside the picture is another order.
    """
    if found.sidecar is None or found.sidecar_stamp == former.sidecar_stamp:
        return found
    return replace(found, sidecar=None, sidecar_stamp=None)


def is_same_picture(one: Job, other: Job) -> bool:
    """Whether two prepared jobs have the same picture or reference image."""
    digests = ((one.digest, other.digest), (one.reference_digest, other.reference_digest))
    return any(first and first == second for first, second in digests)


def is_same_path(one: str, other: str) -> bool:
    """Whether two paths in the inbox differ at most in case and Unicode form, which some systems change."""
    return fold(one) == fold(other)


def came_back(delivered: Job, job: Job) -> bool:
    """Whether the pair of ``job`` is that of ``delivered``, put back into the inbox unchanged.

    A pair that was renamed just before it was to be moved away was not found then, so the delivered job filed nothing.

    Args:
        delivered: a job that has the same order as ``job``.
    """
    has_place = is_same_path(delivered.pair.path, job.pair.path) or not delivered.filed
    return has_place and delivered.digest == job.digest


def new_take(job: Job, take: int, job_id: str, now: int) -> Job:
    """A new job that moves the pair of ``job`` back into the inbox, where it is ordered again as take ``take``.

    Args:
        job_id: of the new job.
        now: milliseconds of the store's clock.
    """
    assert job.order is not None
    return Job(
        job_id,
        State.RESTORING,
        job.pair,
        created_at=now,
        due_at=now,
        changed_at=now,
        order=replace(job.order, take=take),
        reason=f"job {job.id} is ordered once more, as take {take}",
        digest=job.digest,
        reference_digest=job.reference_digest,
        note=job.note,
        filed=job.filed,
    )


def require_repeatable(job: Job) -> None:
    """Raises: Rejected: if no other take of the job can be ordered now; the hint says what to do."""
    command = f"`sorawatch retry --another {job.id}`"
    if job.state is State.RESTORING:
        why = "its pair is just being moved back into the inbox"
        hint = f"`sorawatch show {job.id}` says how it goes on."
    elif job.state in UNPAID:
        why, hint = "it waits in the inbox for its first order", f"Run {command} once it is delivered."
    elif job.state is State.HELD:
        why = "it is held, and its pair is still in the inbox"
        hint = f"`sorawatch show {job.id}` lists what you can do; run {command} when it has ended."
    elif job.state not in FINAL:
        why, hint = f"it is {job.state}, and its pair is still in the inbox", f"Run {command} once it is delivered."
    elif not job.filed or (job.state is State.DONE and not job.digest):
        why = "its pair is no longer where sorawatch put it"
        hint = "Drop the pair into the inbox; if it is refused as a duplicate, the text beside it names the command."
    elif job.order is None or not job.digest:
        why, hint = "it was never ordered", f"`sorawatch retry {job.id}` tries it again."
    else:
        return
    raise Rejected(f"job {job.id} cannot be ordered once more now: {why}", hint)
