"""Packs a delivered job into the bytes that its purchase lacks, and unpacks it.

What no later decision needs is left out: claims, waits, counts of failures, and how the answer to the submit was found.
"""

from __future__ import annotations

import json
import os
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sorawatch.core.job import Charged, Job, State
from sorawatch.core.naming import stem_of
from sorawatch.core.order import Fit, Focus
from sorawatch.edges.store.rows import job_of, row_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = 1
_DIGESTS = ("digest", "reference_digest")
_DIGEST_BYTES = 32
_WORDS = (
    b" smiling at the viewer, walking past, hair and clothes moving, waves, clouds, trees, leaves, snow, rain, smoke, "
    b"shallow depth of field, golden hour, slow motion, timelapse, handheld, drone shot, wide shot, close-up of "
    b"her face, his hands, people in the street, children, water, sky, evening light, reflections, gentle movement, "
    b"cinematic, subtle, realistic, from the left to the right, over the, into the, through the, in the background. "
    b'The camera slowly pushes in, pulls back, pans, tilts up, and with a "note":"upscaled \xc3\x97",'
    b'"fit":"pad","focus":"edges","priority":"filed":" (2).jpg\\u0000","sidecar":".txt"{"image_mtime_ns":17,'
    b'"sidecar_size":1,"sidecar_mtime_ns":17,"created_at":17,"prompt":"'
)
"""Known to both sides, so that what is often repeated takes no room. It belongs to the version."""

_BLANK: Mapping[str, Any] = {
    "state": State.DONE.value,
    "sidecar_size": None,
    "sidecar_mtime_ns": None,
    "prompt": None,
    "fit": Fit.CROP.value,
    "focus": Focus.CENTRE.value,
    "fields": "",
    "priority": 0,
    "attempts": 0,
    "retry_state": None,
    "reason": "",
    "hint": "",
    "obstacle": "",
    "digest": "",
    "reference_digest": "",
    "note": "",
    "lost_at": None,
    "misses": 0,
    "losses": 0,
    "reorders": 0,
    "lost_reason": "",
    "witness_until": None,
    "progress": 100,
    "unwatched_ms": 0,
    "generations": 0,
    "charged": Charged.YES.value,
    "account": None,
    "publishing": None,
    "publishing_digest": "",
}
"""What a job has unless its packed bytes say otherwise; the columns of its purchase come beside these."""

_LEFT_OUT = frozenset(
    {
        "attempts", "misses", "losses", "reorders", "lost_at", "lost_reason", "witness_until", "progress",
        "unwatched_ms", "account", "due_at", "publishing", "publishing_digest",
        "top", "order_key", "reference_key", "likeness", *_DIGESTS,
    }
)  # fmt: skip
"""Columns that are not kept, follow from others, or are kept apart."""


def pack(job: Job, purchase: Mapping[Any, Any]) -> bytes:
    """The bytes that lead, with the row of its ``purchase``, back to a job that was delivered."""
    row = {**row_of(job), "filed": [*job.filed]}
    known = _known(row, purchase, job.changed_at)
    kept = {name: value for name, value in row.items() if name not in _LEFT_OUT and value != known[name]}
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_WORDS)
    digests = [bytes.fromhex(row[name]) for name in _DIGESTS]
    lengths = bytes([_VERSION, *map(len, digests)])
    return b"".join((lengths, *digests, compressor.compress(text), compressor.flush()))


def unpack(purchase: Mapping[Any, Any]) -> Job:
    """The job that was packed into the row of a purchase."""
    packed: bytes = purchase["packed_job"]
    digests: dict[str, str] = {}
    begins = 1 + len(_DIGESTS)
    for name, length in zip(_DIGESTS, packed[1:begins], strict=True):
        digests[name] = packed[begins : begins + length].hex()
        begins += length
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_WORDS)
    text = decompressor.decompress(packed[begins:]) + decompressor.flush()
    kept = json.loads(text.decode("utf-8", "surrogatepass"))
    row = {**_known(kept, purchase, purchase["ended_at"]), **kept, **digests}
    row["filed"] = b"\0".join(map(os.fsencode, row["filed"]))
    return job_of(SimpleNamespace(**row))


def _known(given: Mapping[str, Any], purchase: Mapping[Any, Any], ended_at: int) -> dict[str, Any]:
    """The columns of a packed job as they mostly are. ``given`` has the names of its files that differ from these."""
    copied = ("token", "folder", "image", "model", "size", "seconds", "take", "video_id", "clip")
    known = {**_BLANK, **{name: purchase[name] for name in copied}}
    image = given.get("image", purchase["image"])
    sidecar = f"{stem_of(image or '')}.yaml"
    return {
        **known,
        "id": purchase["job_id"],
        "price": purchase["micros"],
        "image_size": purchase["image_size"],
        "image_mtime_ns": None,
        "created_at": None,
        "submitted_at": purchase["at"],
        "changed_at": ended_at,
        "due_at": ended_at,
        "sidecar": sidecar,
        "filed": [image, given.get("sidecar", sidecar)],
    }
