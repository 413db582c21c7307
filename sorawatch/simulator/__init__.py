"""A simulated video server that makes real MP4s and records every order. It imports nothing else of sorawatch.

>>> with running(SimulatorSettings(generation_seconds=0)) as simulator:
...     client = openai.OpenAI(base_url=simulator.url, api_key="sk-simulated")
...     ...
...     assert simulator.ledger().duplicates == 0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sorawatch.simulator.control import Simulator
from sorawatch.simulator.fault_types import Fault
from sorawatch.simulator.ledger import Ledger, LedgerVideo
from sorawatch.simulator.settings import APIS, MODELS, ModelCard, SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import ModuleType

    from sorawatch.simulator.renderer import ClipCache

__all__ = [
    "APIS",
    "MODELS",
    "Fault",
    "Ledger",
    "LedgerVideo",
    "MissingExtraError",
    "ModelCard",
    "Simulator",
    "SimulatorSettings",
    "running",
    "serve",
]


class MissingExtraError(ImportError):
    """The packages of the extra ``demo`` are not installed."""


def running(
    settings: SimulatorSettings, host: str = "127.0.0.1", port: int = 0, clips: ClipCache | None = None
) -> AbstractContextManager[Simulator]:
    """A simulator in a thread of its own, which runs from entry to exit of the block. Port 0 chooses a free port.

    Args:
        clips: the rendered clips, if several simulators of this process share them.

    Raises:
        MissingExtraError: without the extra ``demo``.
        OSError: on entry, if it cannot listen on the port.
    """
    simulators: AbstractContextManager[Simulator] = _server().running(settings, host, port, clips)
    return simulators


def serve(
    settings: SimulatorSettings,
    host: str = "127.0.0.1",
    port: int = 8787,
    *,
    allow_remote: bool = False,
    announce: Callable[[str, str, str | None], None] = lambda *_: None,
) -> None:
    """Serve in the foreground. Returns after SIGINT; SIGTERM ends the process.

    ``announce`` is called with the address, the base URL of the API and the key that it asks for, as soon as
    connections are accepted.

    Raises:
        MissingExtraError: without the extra ``demo``.
        ValueError: for a host that other machines can reach, unless ``allow_remote``.
        OSError: if it cannot listen on the port.
    """
    server = _server()
    if not (allow_remote or server.is_loopback(host)):
        raise ValueError(f"host {host!r} is open to other machines; the simulator serves 127.0.0.1, ::1 or localhost")
    server.serve(settings, host, port, announce)


def _server() -> ModuleType:
    try:
        for name in ("av", "python_multipart", "starlette", "uvicorn"):
            import_module(name)
    except ImportError as error:
        raise MissingExtraError("the simulator needs its extra: pip install 'sorawatch[demo]'") from error
    return import_module("sorawatch.simulator.server")
