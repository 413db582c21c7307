"""Workers that hang, crash, are killed or run out of memory cost their picture, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sorawatch.core.order import Fit, Size
from sorawatch.edges.confined import ProcessLimits
from sorawatch.edges.images import Pool, Reference, ReferenceRequest
from sorawatch.errors import Deferred, Rejected
from tests.support.malicious_images import png, scans_without_end
from tests.support.pictures import FREE, RED, SMALL, flat, save
from tests.support.workspace import wait_until

WISH = ReferenceRequest(FREE, SMALL, Fit.STRETCH)


def workers(parent: int) -> dict[int, str]:
    """The workers that ``parent`` has started, and the state of each: ``Z`` is one that nobody has buried."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if int(ppid) == parent and (b"images.worker" in command or state == "Z"):
                found[int(folder.name)] = state
    return found


def computed(pid: int) -> float:
    """Seconds of the processor that ``pid`` has used."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def is_busy(pid: int) -> bool:
    """Whether a worker has computed for longer than it takes to start."""
    return exists(pid) and computed(pid) > 0.6


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


class ObservedPool:
    """A pool of its own, and what can be seen of it from outside."""

    def __init__(self, folder: Path, pool: Pool) -> None:
        self.folder = folder
        self.pool = pool
        self._others = set(workers(os.getpid()))
        self._threads = ThreadPoolExecutor(8)

    @property
    def pids(self) -> set[int]:
        return set(workers(os.getpid())) - self._others

    def good(self, name: str = "good.png") -> Reference:
        return self.pool.prepare(save(self.folder, flat(RED), name), WISH)

    def begin(self, name: str, data: bytes) -> Future[Reference]:
        (self.folder / name).write_bytes(data)
        return self._threads.submit(self.pool.prepare, self.folder / name, WISH)

    def busy(self) -> list[int]:
        """The workers that have computed for longer than it takes to start."""
        return [pid for pid in self.pids if is_busy(pid)]

    def wait_for_busy(self, count: int = 1) -> list[int]:
        return list(wait_until(lambda: busy if len(busy := self.busy()) >= count else None))

    def close(self) -> None:
        self.pool.close()
        self._threads.shutdown()


@pytest.fixture
def observed(tmp_path: Path) -> Iterator[ObservedPool]:
    observed = ObservedPool(tmp_path, Pool())
    yield observed
    observed.close()
    assert observed.pids == set()


ENDLESS = scans_without_end(12_000, 10_000, 60_000)
"""Minutes of computing from less than a megabyte."""


def refusal(prepared: Future[Reference]) -> tuple[str, str]:
    with pytest.raises(Rejected) as caught:
        prepared.result(60)
    return str(caught.value), caught.value.hint


@pytest.mark.parametrize(
    "limits", [ProcessLimits(cpu_seconds=0.5), ProcessLimits(seconds=0.5)], ids=["computing", "waiting"]
)
def test_a_picture_that_takes_too_long_is_refused(tmp_path: Path, limits: ProcessLimits) -> None:
    observed = ObservedPool(tmp_path, Pool(limits))
    try:
        told, hint = refusal(observed.begin("endless.jpg", ENDLESS))
        assert told.startswith("endless.jpg took longer to decode than the ")
        assert hint == "Save it again as a plain JPEG, or smaller."
        assert observed.good().size == SMALL
    finally:
        observed.close()


def test_a_picture_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    with Pool(ProcessLimits(address_space=128 << 20)) as pool:
        (tmp_path / "bomb.png").write_bytes(png(10_000, 12_000, bytes(1251 * 12_000)))
        with pytest.raises(Rejected) as caught:
            pool.prepare(tmp_path / "bomb.png", WISH)
        assert str(caught.value) == "bomb.png needs more memory than there is"
        assert pool.prepare(save(tmp_path, flat(RED), "good.png"), WISH).size == SMALL


@pytest.mark.parametrize(
    ("number", "told", "hint"),
    [
        (
            signal.SIGKILL,
            "the process that decoded endless.jpg was killed, perhaps because the memory ran out",
            "Save it smaller. If something else took the memory, just try it again.",
        ),
        (
            signal.SIGSEGV,
            "endless.jpg made its decoder crash (signal 11)",
            "It is probably damaged. Copy it again, or save it again as JPEG or PNG.",
        ),
    ],
)
def test_a_worker_that_dies_costs_its_picture_alone(
    observed: ObservedPool, number: signal.Signals, told: str, hint: str
) -> None:
    observed.good()
    stuck = observed.begin("endless.jpg", ENDLESS)
    (pid,) = observed.wait_for_busy()
    before = observed.good("beside.png")
    os.kill(pid, number)
    assert refusal(stuck) == (told, hint)
    assert observed.good("after.png").data == before.data
    assert pid not in observed.pids


def test_a_worker_that_was_killed_while_idle_is_replaced_unnoticed(observed: ObservedPool) -> None:
    first = observed.good()
    (pid,) = observed.pids
    os.kill(pid, signal.SIGKILL)
    assert observed.good() == first
    assert observed.pids
    assert pid not in observed.pids


def test_a_worker_is_used_again(observed: ObservedPool) -> None:
    observed.good()
    pids = observed.pids
    with pytest.raises(Rejected):
        observed.begin("broken.jpg", b"\xff\xd8\xff nothing").result(60)
    for _ in range(5):
        observed.good()
    assert observed.pids == pids
    assert len(pids) == 1


def test_at_most_two_pictures_are_decoded_at_once(observed: ObservedPool) -> None:
    stuck = [observed.begin(f"{number}.jpg", ENDLESS) for number in range(4)]
    first = observed.wait_for_busy(2)
    assert sorted(first) == sorted(observed.pids)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not observed.pids & set(first))
    second = observed.wait_for_busy(2)
    assert sorted(second) == sorted(observed.pids)
    for pid in second:
        os.kill(pid, signal.SIGKILL)
    assert len([refusal(each) for each in stuck]) == 4
    assert observed.good()


def test_workers_start_with_the_first_picture_and_end_when_there_are_none(tmp_path: Path) -> None:
    observed = ObservedPool(tmp_path, Pool(idle_seconds=0.01))
    assert observed.pids == set()
    for _ in range(2):
        assert observed.good()
        # Not even a zombie is left.
        wait_until(lambda: not observed.pids)
    observed.close()


def test_a_worker_minds_no_signal_that_is_meant_for_the_daemon(observed: ObservedPool) -> None:
    observed.good()
    (pid,) = observed.pids
    slow = observed.begin("slow.jpg", scans_without_end(6_000, 6_000, 250))

    def interrupted_until_done() -> bool:
        os.kill(pid, signal.SIGTERM)
        return slow.done()

    wait_until(interrupted_until_done)
    assert slow.result().size == SMALL
    assert observed.pids == {pid}
    # Ctrl-C goes to the terminal's process group, a closed terminal to its session.
    assert os.getpgid(pid) != os.getpgid(0)
    assert os.getsid(pid) != os.getsid(0)


def test_closing_defers_what_is_under_way(observed: ObservedPool) -> None:
    stuck = observed.begin("endless.jpg", ENDLESS)
    observed.wait_for_busy()
    observed.pool.close()
    attempts: tuple[Callable[[], object], ...] = (lambda: stuck.result(60), observed.good)
    for attempt in attempts:
        with pytest.raises(Deferred, match="sorawatch is being stopped"):
            attempt()
    assert observed.pids == set()


DAEMON = """
import sys
from pathlib import Path
from sorawatch.core.order import Fit, Model, Size
from sorawatch.edges.images import Pool, ReferenceRequest
Pool().prepare(Path(sys.argv[1]), ReferenceRequest(Model("free", None, None), Size(64, 36), Fit.CROP))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_ends_with_its_daemon_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "endless.jpg").write_bytes(ENDLESS)
    with subprocess.Popen([sys.executable, "-c", DAEMON, tmp_path / "endless.jpg"]) as daemon:
        pid = wait_until(lambda: next((pid for pid in workers(daemon.pid) if is_busy(pid)), None))
        daemon.send_signal(number)
        assert daemon.wait(60) == -number
    wait_until(lambda: not exists(pid))


def test_an_idle_worker_ends_with_its_daemon(tmp_path: Path) -> None:
    script = f"{DAEMON}\nprint('made', flush=True)\nsys.stdin.read()"
    picture = save(tmp_path, flat(RED), "good.png")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, str(picture)], **pipes) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"made\n"
        (pid,) = workers(daemon.pid)
        daemon.kill()
    wait_until(lambda: not exists(pid))


def test_the_daemon_holds_no_decoder_and_the_worker_no_key(
    observed: ObservedPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SORAWATCH_API_KEY", "TEAM_TOKEN", "PGPASSWORD", "HTTPS_PROXY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sk-secret")
    observed.good()
    (pid,) = observed.pids
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"sk-secret" not in environment
    assert b"PATH=" in environment
    maps = "import sorawatch.app.build; print(open('/proc/self/maps').read())"
    loaded = subprocess.run([sys.executable, "-c", maps], capture_output=True, text=True, check=True).stdout
    assert "PIL/_imaging" in Path(f"/proc/{pid}/maps").read_text()
    assert "PIL/" not in loaded
    assert "pillow_heif" not in loaded


def test_a_worker_is_confined(observed: ObservedPool) -> None:
    observed.good()
    (pid,) = observed.pids
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert f"Max address space         {5 << 29}" in limits
    assert "Max core file size        0  " in limits
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"
    assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)


def test_decoders_write_nothing_over_our_own_words(
    observed: ObservedPool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = Image.effect_noise((200, 200), 90)
    data = save(tmp_path, noise, "whole.tiff", compression="tiff_lzw").read_bytes()
    with pytest.raises(Rejected):
        observed.begin("cut.tiff", data[:2000] + bytes(8000) + data[10_000:]).result(60)
    assert capfd.readouterr() == ("", "")


def test_without_a_worker_pictures_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL/__init__.py").write_text("raise ImportError('libjpeg.so.62: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with Pool() as pool, pytest.raises(Deferred) as caught:
        pool.prepare(save(tmp_path, flat(RED), "good.png"), WISH)
    assert str(caught.value) == "the process that decodes pictures ended before it began (status 1)"
    assert "libjpeg.so.62" in capfd.readouterr().err


def test_many_threads_get_what_one_gets(observed: ObservedPool) -> None:
    paths = [save(observed.folder, flat((9 * number, 200, 90)), f"{number}.png") for number in range(8)]
    alone = [observed.pool.prepare(path, WISH) for path in paths]
    start = threading.Barrier(8)

    def together(path: Path) -> list[Reference]:
        start.wait()
        return [observed.pool.prepare(path, WISH) for _ in range(4)]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(together, paths)) == [[reference] * 4 for reference in alone]
    assert len(observed.pids) == 2


def test_a_relative_path_is_that_of_the_daemon(observed: ObservedPool, monkeypatch: pytest.MonkeyPatch) -> None:
    observed.good()
    (observed.folder / "below").mkdir()
    save(observed.folder / "below", flat(RED, size=(320, 200)), "here.png")
    monkeypatch.chdir(observed.folder / "below")
    assert observed.pool.prepare(Path("here.png"), WISH).source == Size(320, 200)
