"""Starting, stopping, and what happens without the extra."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import requests

from sorawatch.simulator import Fault, SimulatorSettings, running, serve
from sorawatch.simulator.clip_encoder import ClipKey
from sorawatch.simulator.renderer import ClipCache, Renderer
from tests.support.simulator_client import Start


def test_nothing_answers_any_more_after_the_block() -> None:
    with running(SimulatorSettings()) as simulator:
        assert simulator.url == f"{simulator.root}/v1"
        assert requests.get(simulator.root, timeout=5).ok
    with pytest.raises(requests.ConnectionError):
        requests.get(simulator.root, timeout=5)
    assert not [thread for thread in threading.enumerate() if thread.name == "simulator"]


def test_a_hanging_request_is_broken_off_by_the_stop(start: Start) -> None:
    client = start()
    client.simulator.inject(Fault("hang_before"))
    failures = []

    def ask() -> None:
        with pytest.raises(requests.ConnectionError) as caught:
            client.post()
        failures.append(caught.value)

    with running(SimulatorSettings()) as simulator:
        client.simulator = simulator
        simulator.inject(Fault("hang_before"))
        asker = threading.Thread(target=ask)
        asker.start()
        simulator.wait_for(lambda ledger: ledger.rejected == 1)
    asker.join()
    assert len(failures) == 1


def test_the_books_can_be_read_after_the_stop() -> None:
    with running(SimulatorSettings()) as simulator:
        requests.get(f"{simulator.url}/videos", timeout=5)
    assert simulator.ledger().requests == 1


def test_a_taken_port_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        running(SimulatorSettings(), port=taken.getsockname()[1]).__enter__()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])
def test_other_machines_are_not_served_unasked(host: str) -> None:
    with pytest.raises(ValueError, match="open to other machines"):
        serve(SimulatorSettings(), host)


def test_serving_in_the_foreground_ends_with_an_interrupt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = f"from sorawatch.simulator import SimulatorSettings, serve; serve(SimulatorSettings(), port={port}); print('ended')"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            try:
                requests.get(f"http://127.0.0.1:{port}/", timeout=5)
            except requests.ConnectionError:
                continue
            break
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "ended\n"
    assert process.returncode == 0


WITHOUT = """
import sys
for name in ("av", "starlette", "uvicorn", "python_multipart"):
    sys.modules[name] = None
from sorawatch.simulator import Fault, SimulatorSettings, Simulator, running
SimulatorSettings(), Fault("lost_after")
try:
    running(SimulatorSettings())
except ImportError as error:
    print(error)
"""


def test_without_the_extra_only_use_fails_and_says_how_to_mend_it() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)

    assert done.stdout == "the simulator needs its extra: pip install 'sorawatch[demo]'\n"


def test_importing_the_package_loads_no_server() -> None:
    script = "import sys, sorawatch.simulator; print({'av', 'starlette', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_clips_beyond_the_cache_are_dropped_and_rendered_anew_alike(
    picture: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def rendered() -> None:
        with closing(Renderer(ClipCache(1))) as renderer:
            keys = []
            for shade in (0, 1):
                reference = picture(64, 48, shade=shade)
                keys.append(ClipKey(hashlib.sha256(reference).hexdigest(), 64, 48, 4, 1))
                renderer.store_reference(keys[-1].reference_sha256, reference)
            first, second, again = [await renderer.clip(key) for key in (*keys, keys[0])]
            assert first == again != second
            for reference_file in tmp_path.glob("*/*"):
                reference_file.unlink()
            assert await renderer.clip(keys[0]) == first
            with pytest.raises(FileNotFoundError):
                await renderer.clip(keys[1])

    asyncio.run(rendered())
    assert list(tmp_path.iterdir()) == []
