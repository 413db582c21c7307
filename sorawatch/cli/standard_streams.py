"""Standard streams that are closed at the start, as by ``2>&-``."""

from __future__ import annotations

import os
import sys

_STREAMS = ("stdin", "stdout", "stderr")
"""By their descriptors."""


def open_closed() -> None:
    """Open the null device on each standard descriptor that is closed.

    Otherwise a file that is opened later, such as the state, gets that descriptor, and what a library or another
    process prints goes into it.
    """
    for descriptor, name in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            # It gets the lowest free descriptor, and those before this one are open.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 -- as long as the process
            setattr(sys, name, stream)
