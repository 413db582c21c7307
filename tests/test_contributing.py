"""CONTRIBUTING.md: its map leads to files that exist, and its commands are those of the README."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(title: str) -> list[str]:
    """The rows of the tables below a heading, without their headings."""
    (section,) = [part for part in GUIDE.split("\n## ") if part.startswith(f"{title}\n")]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [line for line in lines if not re.match(r"\| (?:to|to change|layer|package|word) \|", line)]


def test_every_row_of_the_map_names_files_that_exist() -> None:
    found = rows("Where to start")
    assert len(found) >= 20
    for row in found:
        paths = re.findall(r"`([\w./-]+\.(?:py|yaml))`", row.rpartition(" | ")[2])
        assert paths, row
        for path in paths:
            assert (ROOT / path).is_file(), path


def test_every_layer_exists() -> None:
    for row in rows("The layers"):
        (path,) = re.findall(r"^\| `([^`]+)`", row)
        assert (ROOT / path).exists(), path


def test_every_package_of_the_program_is_a_layer() -> None:
    packages = {f"sorawatch/{path.parent.name}" for path in ROOT.glob("sorawatch/*/__init__.py")}
    assert packages <= {re.findall(r"`([^`]+)`", row)[0] for row in rows("The layers")}


def test_the_words_are_each_explained_once() -> None:
    words = [word for row in rows("Words") for word in row.split(" | ")[0].removeprefix("| ").split(", ")]
    assert len(words) == len({*words})
    assert {"job", "order", "take", "reference image", "clip", "witness", "circuit breaker", "lease"} <= {*words}


def test_the_test_command_is_that_of_the_readme() -> None:
    (command,) = [line for line in GUIDE.splitlines() if line.endswith(".venv/bin/pytest -n auto")]
    assert command in README.splitlines()


def test_the_readme_leads_to_it() -> None:
    assert "](CONTRIBUTING.md)" in README
