"""The marker names its state, and what somebody else wrote is not taken for one."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from sorawatch.core.marker_text import UNNAMED, marker_text, named_state


@given(st.uuids())
def test_it_names_the_state_that_was_written(state: uuid.UUID) -> None:
    assert named_state(marker_text(str(state)).encode()) == str(state)


def test_windows_line_ends_change_nothing() -> None:
    state = str(uuid.uuid4())
    assert named_state(marker_text(state).replace("\n", "\r\n").encode()) == state


@given(st.binary(min_size=1).filter(lambda content: bool(content.decode("utf-8", "replace").strip())))
def test_other_content_is_no_marker(content: bytes) -> None:
    assert named_state(content) is None


@given(st.integers(min_value=0, max_value=len(marker_text(str(uuid.UUID(int=0)))) - 2))
def test_a_part_of_a_marker_names_no_other_state(length: int) -> None:
    """A share may show a file that is not completely written."""
    assert named_state(marker_text(str(uuid.uuid4())).encode()[:length]) in {UNNAMED, None}
