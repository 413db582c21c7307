"""Gives up the rights of this process, as far as the kernel can do that."""

from __future__ import annotations

from contextlib import suppress

from sorawatch.edges.confined.confinement import Confinement


def confine() -> Confinement:
    """Give up access to files, the network and other processes for ever. Returns which means are in force.

    From now on nothing can be opened. What this process still needs must be open and imported.
    """
    version, filtered = 0, False
    try:
        from sorawatch.edges.confined import landlock, seccomp, syscalls  # noqa: PLC0415 -- they need ctypes
    except ImportError:
        # A Python that was built without libffi has no ctypes.
        return Confinement(version, filtered)
    with suppress(OSError):
        syscalls.renounce_privileges()
        with suppress(OSError):
            version = landlock.forbid_everything()
        seccomp.install()
        filtered = True
    return Confinement(version, filtered)
