"""A simulator for each test, and a client that speaks to it over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sorawatch.simulator import SimulatorSettings, running
from tests.support.simulated_apis import CLIENTS, ApiClient, StartApi
from tests.support.simulator_client import Client, Start, draw


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator whose generations end when told to; keywords are settings."""
    with ExitStack() as stack:

        def begin(**settings: Any) -> Client:
            chosen = SimulatorSettings(**{"generation_seconds": float("inf"), "frames_per_second": 1, **settings})
            client = Client(stack.enter_context(running(chosen)))
            stack.enter_context(client.http)
            return client

        yield begin


@pytest.fixture
def start_api() -> Iterator[StartApi]:
    """Starts a simulator of an API, whose generations end when told to; keywords are settings."""
    with ExitStack() as stack:

        def begin(api: str, **settings: Any) -> ApiClient:
            chosen = {"generation_seconds": float("inf"), "frames_per_second": 1, **settings}
            client = CLIENTS[api](stack.enter_context(running(SimulatorSettings(api=api, **chosen))))
            stack.enter_context(client.http)
            return client

        yield begin


@pytest.fixture
def client(start: Start) -> Client:
    return start()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    return draw
