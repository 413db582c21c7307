"""What passes between the daemon and a worker about pictures arrives as it was sent; anything else is not valid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sorawatch.core.order import Size
from sorawatch.edges.confined import Reply
from sorawatch.edges.images import Reference, Thumbnail, wire
from sorawatch.errors import Damaged, Deferred, Rejected
from tests.edges.confined.test_messages import json_values, sent_and_received

HEAD = {
    "kind": "reference",
    "mime": "image/jpeg",
    "size": "2x1",
    "source": "4x2",
    "digest": "ab",
    "note": "upscaled 2×",
}


def passed_on(prepared: wire.Prepared) -> wire.Prepared:
    return wire.from_reply(sent_and_received(wire.to_reply(prepared)))


@pytest.mark.parametrize("thumbnail", [None, Thumbnail(Size(2, 1), b"abcdef")])
@pytest.mark.parametrize("crop", [None, (0.0, 1.5, 2.25, 3.0)])
def test_a_reference_arrives_as_it_was_sent(
    thumbnail: Thumbnail | None, crop: tuple[float, float, float, float] | None
) -> None:
    reference = Reference(b"\0\xffdata", "image/png", Size(2, 1), Size(4, 2), "ab", crop, "upscaled 2×", thumbnail)
    assert passed_on(reference) == reference


def test_refusals_arrive_as_they_were_sent() -> None:
    refused = passed_on(Rejected("a\udcff.jpg is damaged", "Mend it."))
    assert isinstance(refused, Rejected)
    assert (str(refused), refused.hint) == ("a\udcff.jpg is damaged", "Mend it.")
    assert not isinstance(refused, Damaged)
    damaged = passed_on(Damaged("a.jpg is cut off", "Copy it again."))
    assert isinstance(damaged, Damaged)
    assert (str(damaged), damaged.hint) == ("a.jpg is cut off", "Copy it again.")
    deferred = passed_on(Deferred("later"))
    assert isinstance(deferred, Deferred)
    assert str(deferred) == "later"


@given(
    st.dictionaries(st.sampled_from([*HEAD, "crop", "thumbnail", "reason", "hint", "trace"]), json_values), st.binary()
)
@example({"kind": "rejected"}, b"")
@example({"size": 5}, b"")
@example({"size": "0x0"}, b"")
@example({"crop": [1, 2]}, b"")
@example({"crop": [10**400, 0, 0, 0]}, b"")
@example({"crop": None, "thumbnail": "9x9"}, b"short")
def test_whatever_a_worker_says_is_an_answer_or_not_valid(change: dict[str, Any], data: bytes) -> None:
    for head in (change, HEAD | change):
        try:
            answer = wire.from_reply(Reply(head, data))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            continue
        assert isinstance(answer, Reference | Rejected | Deferred)
