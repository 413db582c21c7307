"""What the kernel refuses to a worker process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Confinement:
    """Which means of the kernel are in force in a worker."""

    landlock: int
    """The version of Landlock's ABI; 0 without Landlock, which refuses access to files."""
    seccomp: bool
    """Whether a filter refuses all system calls but a few: a worker opens no file or socket and starts no process."""

    @property
    def is_complete(self) -> bool:
        return bool(self.landlock) and self.seccomp

    def __str__(self) -> str:
        """What a worker can do, to follow "the processes that read pictures and clips"."""
        match bool(self.landlock), self.seccomp:
            case True, True:
                return f"can open no files, connections or programs (Landlock ABI {self.landlock}, seccomp)"
            case False, True:
                return "can open no files, connections or programs (seccomp; Landlock is not available)"
            case True, False:
                return f"can open no files (Landlock ABI {self.landlock}), but seccomp is not available"
            case _:
                return "are not confined by the kernel: neither Landlock nor seccomp is available"
