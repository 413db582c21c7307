"""Runs tests on a mutant, in a process that imports it in place of the module.

Each such process is a fork of this one, which has loaded the libraries of the tests. It goes without ``conftest.py``, which
would import all of the program. Hypothesis shows the first failure that it finds, without looking for a simpler one.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import multiprocessing
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import ModuleType

_LIBRARIES = ("hypothesis.stateful", "sqlalchemy.dialects.sqlite", "sqlalchemy.orm")
_MEMORY = 2**30
"""Bytes of addresses that a trial may use: a mutant may gather without end. Without a change it uses a tenth of them."""

_OPTIONS = (
    *("-x", "-q", "--noconftest", "--assert=plain", "--hypothesis-seed=1", "--hypothesis-profile=trial"),
    *("-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:xdist"),
)

_FORK = multiprocessing.get_context("fork")
_PASSED = 0
_UNTRIED = (4, 5)
"""pytest's exit statuses where it does not understand how it was called, or finds no tests."""


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
    for library in _LIBRARIES:
        importlib.import_module(library)
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
    if process.exitcode in _UNTRIED:
        raise CannotTry(f"pytest ended with {process.exitcode}")
    return Result(process.exitcode != _PASSED, took)


def _run(module: str, source: str, tests: Sequence[Path]) -> None:
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    sys.meta_path.insert(0, _Mutated(module, source))
    settings.register_profile(
        "trial", deadline=None, database=None, phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False
    )
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    status = pytest.main([*_OPTIONS, *map(str, tests)], plugins=[_RandomTestsLast()])
    os._exit(status)


class _RandomTestsLast:
    """Lets the quick tests find what they can before those that try many examples."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: item.get_closest_marker("hypothesis") is not None)


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
