"""The memory that there is: that of the machine, or of the container."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorawatch.edges.memory import total_memory

MEMINFO = "MemTotal:        8000000 kB\nMemFree:          100000 kB\n"


@pytest.fixture
def system(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Files as the kernel has them: the memory, the own group, and the groups."""
    meminfo, own, groups = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "groups"
    (groups / "system.slice" / "sorawatch.service").mkdir(parents=True)
    meminfo.write_text(MEMINFO)
    own.write_text("1:memory:/elsewhere\n0::/system.slice/sorawatch.service\n")
    return meminfo, own, groups


def test_a_machine(system: tuple[Path, Path, Path]) -> None:
    assert total_memory(*system) == 8_000_000 << 10


@pytest.mark.parametrize("folder", ["", "system.slice", "system.slice/sorawatch.service"])
def test_the_smallest_limit_of_its_groups_counts(system: tuple[Path, Path, Path], folder: str) -> None:
    groups = system[2]
    (groups / "system.slice/memory.max").write_text("max\n")
    (groups / folder / "memory.max").write_text("1073741824\n")
    assert total_memory(*system) == 1 << 30


def test_a_system_that_says_nothing(tmp_path: Path) -> None:
    assert total_memory(tmp_path / "none", tmp_path / "none", tmp_path / "none") is None
    (tmp_path / "empty").touch()
    assert total_memory(tmp_path / "empty", tmp_path / "empty", tmp_path) is None


def test_this_machine() -> None:
    assert (total_memory() or 0) > 1 << 26
