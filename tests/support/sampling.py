"""Matrices of which a sample is tried with the other tests, and all the rest at night."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], step: int) -> list[Any]:
    """The arguments of ``parametrize``: every ``step``-th case from the first on as it is, the others as nightly."""
    return [case if number % step == 0 else nightly(case) for number, case in enumerate(cases)]


def nightly(case: Any) -> Any:
    """A case that is tried only at night: a value, a tuple of them, or what ``pytest.param`` gives."""
    if isinstance(case, type(pytest.param())):
        return pytest.param(*case.values, marks=[*case.marks, pytest.mark.nightly], id=case.id)
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.nightly)
