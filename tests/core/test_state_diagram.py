"""CONTRIBUTING.md shows the life of a job as the code has it."""

from __future__ import annotations

from tests.support.state_diagram import PAGE, diagram, page


def test_the_diagram_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run: python -m tests.support.state_diagram"


def test_the_diagram_shows_what_it_should() -> None:
    lines = diagram().splitlines()
    assert "    found --> ready: prepare (prepared)" in lines
    assert "    submitting --> uncertain: submit (answer lost)<br>restart" in lines
    assert "    delivered --> done: archive (archived)" in lines
    assert not any(line.startswith("    delivered --> failed") for line in lines)
    assert "    done --> [*]" in lines
