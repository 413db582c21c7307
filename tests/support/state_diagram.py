"""Draws the life of a job as a Mermaid diagram, from the tables of `sorawatch.core.lifecycle`.

``python -m tests.support.state_diagram`` writes it into CONTRIBUTING.md, between the two marks.
"""

from __future__ import annotations

from pathlib import Path

from sorawatch.core.job import FINAL, State
from sorawatch.core.lifecycle import ACTIONS, ARCHIVED, BY_PERSON, TRANSITIONS

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
BEGIN, END = "<!-- states: begin -->", "<!-- states: end -->"


def diagram() -> str:
    """Each arrow has the causes of the transition. Transitions that leave the state as it is are left out."""
    labels: dict[tuple[State, State], list[str]] = {}

    def add(before: State, after: State, cause: str) -> None:
        causes = labels.setdefault((before, after), [])
        if before is not after and cause not in causes:
            causes.append(cause)

    for state, action in (*ACTIONS.items(), (State.SUBMITTING, ACTIONS[State.READY])):
        if state is State.READY:
            add(state, State.SUBMITTING, "begin submit")
            continue
        for (each, outcome), transition in TRANSITIONS.items():
            for after in transition.leads_to if each is action else ():
                if not _is_of_another_state(state, after):
                    add(state, after, f"{action} ({_words(outcome.__name__)})")
    for cause, table in BY_PERSON.items():
        for before, states in table.items():
            for after in states:
                add(before, after, cause)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> found"]
    lines += [
        f"    {before} --> {after}: {'<br>'.join(causes)}" for (before, after), causes in labels.items() if causes
    ]
    return "\n".join([*lines, *(f"    {state} --> [*]" for state in sorted(FINAL)), "```"])


def page(text: str) -> str:
    """``text`` with the diagram as it is now between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{diagram()}\n{END}{after}"


def _is_of_another_state(before: State, after: State) -> bool:
    """One row of the table stands for the archiving of three states, each with its own end."""
    return before in ARCHIVED and after not in {before, ARCHIVED[before]}


def _words(name: str) -> str:
    """``answer lost`` for ``AnswerLost``."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
