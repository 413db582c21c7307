"""The HTTP client is made when it is first asked for, once."""

from __future__ import annotations

import pytest

from sorawatch.app.build import ApiConnection
from sorawatch.config.dialect_file import shipped
from sorawatch.edges.api import VideoApi
from sorawatch.errors import Deferred


def client() -> VideoApi:
    return VideoApi(shipped("openai"), "http://127.0.0.1:9/v1", lambda: None, timeout_seconds=1, user_agent="tests")


def test_it_is_made_once_and_only_if_it_is_needed() -> None:
    made: list[VideoApi] = []

    def make() -> VideoApi:
        made.append(client())
        return made[-1]

    connection = ApiConnection(make)
    assert made == []
    assert connection() is connection()
    assert len(made) == 1
    connection.close()


def test_closing_makes_none() -> None:
    def make() -> VideoApi:
        raise AssertionError

    ApiConnection(make).close()


@pytest.mark.parametrize("error", [ImportError("no module"), OSError(24, "Too many open files"), MemoryError()])
def test_where_the_library_cannot_be_loaded_it_is_tried_again_later(error: Exception) -> None:
    attempts: list[None] = []

    def make() -> VideoApi:
        attempts.append(None)
        if len(attempts) == 1:
            raise error
        return client()

    connection = ApiConnection(make)
    with pytest.raises(Deferred, match=f"cannot be loaded .{type(error).__name__}") as raised:
        connection()
    assert raised.value.affects_all
    assert not raised.value.answered
    connection()
    connection.close()
