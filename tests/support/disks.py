"""Disks that can be filled, made read-only, unplugged: mounted over a folder, and gone when the test ends."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2
"""EXT4_GOING_FLAGS_NOLOGFLUSH: what is not on the platter yet is lost, as when the power fails."""
FILLER = ".filler"


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


@dataclass
class Disk:
    """A file system of its own at ``point``."""

    point: Path
    image: Path | None = None

    def fill(self, *, leave: int = 0) -> None:
        """Take every byte and every inode but ``leave`` bytes."""
        with open(self.point / FILLER, "ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                with _until_full():
                    while True:
                        file.write(b"x" * size)
            if leave:
                file.truncate(max(0, file.tell() - leave))

    def take_inodes(self) -> None:
        """Make files, hidden ones, until no more can be made."""
        with _until_full():
            for number in range(1_000_000):
                (self.point / f"{FILLER}{number}").touch()

    def make_room(self) -> None:
        """Remove what `fill` and `take_inodes` wrote."""
        for path in self.point.glob(f"{FILLER}*"):
            path.unlink()

    def remount(self, *options: str) -> None:
        done = _run("mount", "-o", ",".join(("remount", *options)), self.point)
        assert done.returncode == 0, done.stderr

    def fail(self) -> None:
        """Have the kernel take the disk for damaged, which makes it read-only although files are open on it."""
        source = _run("findmnt", "-n", "-o", "SOURCE", self.point).stdout.strip()
        trigger = Path("/sys/fs/ext4", Path(source).name, "trigger_fs_error")
        if not trigger.exists():
            pytest.skip("this kernel cannot be made to take a disk for damaged")
        trigger.write_text("1")

    def cut_power(self) -> None:
        """Nothing reaches the disk from here on, nor what has not reached it yet."""
        descriptor = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
        finally:
            os.close(descriptor)

    def repair(self) -> None:
        """Check the disk, which is not mounted, as a machine does when it starts."""
        assert self.image is not None
        _run("e2fsck", "-fy", self.image)

    def mount(self) -> None:
        assert self.image is not None
        done = _run("mount", "-o", "loop,errors=remount-ro", self.image, self.point)
        if done.returncode:
            pytest.skip(f"a file system in a file cannot be mounted here: {done.stderr.strip()}")

    def unmount(self) -> None:
        """Raises AssertionError while it is in use."""
        done = _run("umount", self.point)
        assert done.returncode == 0, done.stderr


class _until_full:  # noqa: N801
    """Ends the block at ENOSPC."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        return isinstance(error, OSError) and error.errno == errno.ENOSPC


@dataclass
class Disks:
    """All that a test has mounted."""

    images: Path
    disks: list[Disk] = field(default_factory=list)

    def tmpfs(self, point: Path, **options: str | int) -> Disk:
        """Memory as a disk: ``size`` as mount(8) takes it, ``nr_inodes``."""
        point.mkdir(exist_ok=True)
        told = ",".join(f"{name}={value}" for name, value in {"mode": "755", **options}.items())
        done = _run("mount", "-t", "tmpfs", "-o", told, "tmpfs", point)
        if done.returncode:
            pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
        return self._keep(Disk(point))

    def ext4(self, point: Path, megabytes: int) -> Disk:
        """A journalled disk in a file."""
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("mkfs.ext4 is not installed")
        point.mkdir(exist_ok=True)
        image = self.images / f"{len(self.disks)}.img"
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        made = _run("mkfs.ext4", "-q", "-m", "0", "-F", image)
        assert made.returncode == 0, made.stderr
        disk = Disk(point, image)
        disk.mount()
        return self._keep(disk)

    @contextmanager
    def read_only(self, point: Path) -> Iterator[None]:
        """Have ``point`` be read-only until the block ends, even while files are open in it."""
        for command in (("--bind", point, point), ("-o", "remount,bind,ro", point)):
            done = _run("mount", *command)
            if done.returncode:
                pytest.skip(f"a folder cannot be mounted read-only here: {done.stderr.strip()}")
            if command[0] == "--bind":
                disk = self._keep(Disk(point))
        yield
        disk.unmount()

    def close(self) -> None:
        """Unmount all, whatever state they are in."""
        for disk in reversed(self.disks):
            if os.path.ismount(disk.point) and _run("umount", disk.point).returncode:
                _run("umount", "-l", disk.point)

    def _keep(self, disk: Disk) -> Disk:
        self.disks.append(disk)
        return disk
