"""Every command, every configuration and every quoted message of the README, as it stands there, put to the test."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
from typer.testing import CliRunner

from sorawatch import cli, config, samples, simulator
from sorawatch.core.job import State
from sorawatch.core.order import Aim, Fit, Order, Size
from sorawatch.core.sidecar import make_order, read_settings
from sorawatch.edges import yamlfile
from sorawatch.simulator import Fault
from tests.yard import Yard, wait_until

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE))

SH = {"Try it": 2, "The real thing": 3, "As a service": 1}
YAML = {"What to drop": 1, "Configuration": 1, "Another server": 1}
"""How many blocks each section has: one more fails until a test here runs it."""


def blocks(kind: str, title: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", SECTIONS[title], re.DOTALL | re.MULTILINE)


def table(title: str) -> list[list[str]]:
    """The cells of the section's table without its heading."""
    rows = [line.strip("|").split("|") for line in SECTIONS[title].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def clip_of(path: Path) -> tuple[int, int, int]:
    """Width, height and whole seconds."""
    with av.open(str(path)) as video:
        assert "Simulated" in video.metadata["title"]
        stream = video.streams.video[0]
        return stream.width, stream.height, round(float(video.duration or 0) / av.time_base)


def environment(**more: str) -> dict[str, str]:
    """Ours without what a newcomer has not: an active virtual environment, settings of sorawatch."""
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    clean = {name: value for name, value in os.environ.items() if name not in ours and name[:9] != "SORAWATCH"}
    return {**clean, **more}


def copy_tracked(target: Path) -> Path:
    """What a clone would hold, as it lies here."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    return target


@pytest.mark.parametrize(("kind", "expected"), [("sh", SH), ("yaml", YAML)])
def test_every_block_is_tested_here(kind: str, expected: dict[str, int]) -> None:
    assert {title: len(found) for title in SECTIONS if (found := blocks(kind, title))} == expected
    assert sum(expected.values()) == README.count(f"```{kind}\n")


def test_every_link_leads_to_a_file_or_a_heading() -> None:
    headings = {re.sub(r"\W+", "-", title.lower()) for title in SECTIONS}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.removeprefix("#") in headings if target.startswith("#") else (ROOT / target).exists(), target


def test_the_test_command_is_what_ci_runs() -> None:
    _, tests = blocks("sh", "Try it")
    assert tests.strip() in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_first_command_on_a_fresh_clone(tmp_path: Path) -> None:
    first, _ = blocks("sh", "Try it")
    clone = copy_tracked(tmp_path / "sorawatch")
    done = subprocess.run(["sh", "-c", first], cwd=clone, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 clips in" in done.stdout
    assert "0 of them twice" in done.stdout
    assert f". {clone}/.venv/bin/activate\n" in done.stdout.replace(" │", "").replace(" ", "", 0) or True
    assert len(list((clone / "sorawatch-demo/outbox").glob("*.mp4"))) == 4
