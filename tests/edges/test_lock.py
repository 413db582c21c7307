"""One daemon a state."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sorawatch.edges import lock
from sorawatch.edges.lock import Lock
from sorawatch.errors import Deferred, InUse, UsageError

HOLDER = """
import sys
from pathlib import Path
from sorawatch.edges.lock import Lock
held = Lock.take(Path(sys.argv[1]), "the state")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db.lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_taker_is_told_the_pid_of_the_first(path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(UsageError, match=rf"another sorawatch \(pid {holder.pid} on .+\) already works on the state"):
        Lock.take(path, "the state")
    assert lock.is_locked(path)


def test_killing_the_holder_frees_the_lock(path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not lock.is_locked(path)
    Lock.take(path, "the state").release()


def test_a_released_lock_can_be_taken_again(path: Path) -> None:
    Lock.take(path, "the state").release()
    assert not lock.is_locked(path)
    Lock.take(path, "the state").release()


def test_a_refused_taker_leaves_no_descriptor_behind(path: Path, holder: subprocess.Popen[str]) -> None:
    before = descriptors()
    with pytest.raises(UsageError):
        Lock.take(path, "the state")
    assert descriptors() == before


def test_asking_does_not_keep_a_daemon_from_starting(path: Path) -> None:
    path.touch()
    assert run(ASKED, path) == "taken"


ASKED = """
import fcntl, os, sys
from pathlib import Path
from sorawatch.edges.lock import Lock
asking = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(asking, fcntl.LOCK_SH)
tries = 0
def hook(event, args):
    global tries
    if event == "fcntl.flock":
        tries += 1
        if tries == 2:
            os.close(asking)
sys.addaudithook(hook)
Lock.take(Path(sys.argv[1]), "the state")
print("taken")
"""


def run(code: str, path: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_lock_nobody_signed_is_refused_all_the_same(path: Path) -> None:
    path.touch()
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(UsageError, match="pid unknown"):
        Lock.take(path, "the state")
    os.close(descriptor)


def test_a_full_disk_does_not_keep_anybody_from_locking(mount: Callable[[str], Path]) -> None:
    disk = mount("size=4k")
    (disk / "lock").touch()
    (disk / "ballast").write_bytes(bytes(4096))
    held = Lock.take(disk / "lock", "the state")
    assert lock.is_locked(disk / "lock")
    held.release()


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_file_that_is_missing_is_not_locked(path: Path) -> None:
    assert not lock.is_locked(path)
    assert not path.exists()


def test_a_second_name_of_another_file_is_not_written_to(path: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("as it was")
    path.hardlink_to(tmp_path / "victim")
    with pytest.raises(Deferred, match="is not sorawatch's own file"):
        Lock.take(path, "the inbox")
    assert (tmp_path / "victim").read_text() == "as it was"


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_somebody_put_in_its_place_is_to_be_removed(path: Path, tmp_path: Path, kind: str) -> None:
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
    with pytest.raises(Deferred, match="it is a link or no regular file"):
        Lock.take(path, "the inbox")
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(Deferred, match="is not sorawatch's own file"):
        Lock.take(path, "the inbox")


def test_nobody_else_can_open_it(path: Path) -> None:
    Lock.take(path, "the inbox").release()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("is_exported", [True, False])
def test_a_client_of_the_share_is_seen_by_a_lock_of_its_kind(path: Path, is_exported: bool) -> None:
    """The server of a share takes POSIX locks for its clients."""
    path.touch()
    code = "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX); print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        client.stdout.readline()
        assert lock.is_locked(path)
        if is_exported:
            with pytest.raises(InUse):
                Lock.take(path, "the inbox", is_exported=True)
        else:
            Lock.take(path, "the state").release()
        client.kill()


def test_it_is_seen_by_clients_of_the_share(path: Path) -> None:
    held = Lock.take(path, "the inbox", is_exported=True)
    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    client = [sys.executable, "-c", code, str(path)]
    assert b"BlockingIOError" in subprocess.run(client, capture_output=True, check=False).stderr
    held.release()
    subprocess.run(client, check=True)


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Deferred):
        Lock.take(path, "the state")
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_knows_whether_its_file_is_still_the_one_that_lies_there(path: Path) -> None:
    held = Lock.take(path, "the state")
    assert held.holds(path)
    path.rename(path.with_name("away"))
    assert not held.holds(path)
    path.touch()
    assert not held.holds(path)
    held.release()
