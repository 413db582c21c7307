"""Runs tests on a mutant, in a process that imports it in place of the module."""

from __future__ import annotations

import importlib.abc
import importlib.util
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import ModuleType

_FORK = multiprocessing.get_context("fork")
_PASSED = 0
_FAILED = (1, 2)
"""pytest's exit statuses where a test fails, or cannot even be collected."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one trial."""

    killed: bool
    seconds: float


class CannotTry(Exception):
    """pytest found no tests, or did not understand how it was called."""


def trial(module: str, source: str, tests: Sequence[Path], timeout: float) -> Result:
    """Whether a test fails, or none ends within ``timeout`` seconds, where ``source`` is the module.

    Raises:
        CannotTry: if the tests cannot be run at all.
    """
    assert not any(name.startswith("sorawatch") for name in sys.modules), "a trial would get the module as it is"
    process = _FORK.Process(target=_run, args=(module, source, tests))
    began = time.monotonic()
    process.start()
    process.join(timeout)
    took = time.monotonic() - began
    if process.exitcode is None:
        assert process.pid is not None
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return Result(killed=True, seconds=took)
    if process.exitcode not in {_PASSED, *_FAILED}:
        raise CannotTry(f"pytest ended with {process.exitcode}")
    return Result(process.exitcode in _FAILED, took)


def _run(module: str, source: str, tests: Sequence[Path]) -> None:
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    sys.meta_path.insert(0, _Mutated(module, source))
    with tempfile.TemporaryDirectory() as examples:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = examples
        status = pytest.main(
            ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--hypothesis-seed=1", *map(str, tests)]
        )
    os._exit(status)


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the mutant under the name of its module."""

    def __init__(self, module: str, source: str) -> None:
        self._module = module
        self._source = source

    def find_spec(self, fullname: str, _path: object = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin="a mutant")

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, "a mutant", "exec"), module.__dict__)
