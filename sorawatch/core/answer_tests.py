"""Tests of a JSON answer, such as ``/status: [done, succeeded]``: a pointer, and the words that count there."""

from __future__ import annotations

from dataclasses import dataclass

from sorawatch.core.pointers import find_all

PRESENT, ABSENT = "present", "absent"
_NOTHING: tuple[object, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class AnswerTest:
    """Any value at ``pointer`` is one of ``words``.

    ``present`` means that there is a value other than null and empty ones, ``absent`` that there is none. A word that
    begins with ``*`` stands for any text that ends with the rest of it.
    """

    pointer: str
    words: tuple[str, ...]

    def passes(self, document: object, *, proves_presence: bool = True) -> bool:
        """Whether the document passes.

        Args:
            proves_presence: false for the answer with an HTTP error, whose own error may look like that of the job.
        """
        values = [*find_all(document, self.pointer)]
        if self.words == (PRESENT,):
            return proves_presence and any(value not in _NOTHING for value in values)
        if self.words == (ABSENT,):
            return proves_presence and all(value in _NOTHING for value in values)
        return any(_is_word(folded(value), word) for value in values for word in self.words)


def any_passes(tests: tuple[AnswerTest, ...], document: object, *, proves_presence: bool = True) -> bool:
    """Whether the document passes one of the tests."""
    return any(test.passes(document, proves_presence=proves_presence) for test in tests)


def folded(value: object) -> str:
    """A text, number or boolean in the form in which words are compared; empty for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        return ""
    return str(value).strip().casefold().replace(" ", "_").replace("-", "_")


def _is_word(value: str, word: str) -> bool:
    return value.endswith(folded(word[1:])) if word.startswith("*") else value == folded(word)
