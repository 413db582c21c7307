"""Folders take turns within one priority."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from sorawatch.core.turns import Head, Urgency, in_turn


def urgency(name: str) -> Urgency:
    """Of a name such as ``anna 5 17``: the folder, the priority, and the age."""
    _, priority, age = name.split()
    return -int(priority), int(age), 0, name, name


def ordered(folders: dict[str, list[str]], turns: dict[str, int] | None = None) -> list[str]:
    heads = [Head(folder, (turns or {}).get(folder, 0), urgency(names[0])) for folder, names in folders.items()]

    def items(folder: str) -> Iterator[str]:
        return iter(folders[folder])

    return [*in_turn(heads, items, urgency)]


def test_folders_take_turns_and_each_begins_with_its_oldest() -> None:
    many, few = [f"anna 0 {age}" for age in range(6)], ["ben 0 7", "ben 0 8"]
    assert ordered({"anna": many, "ben": few}) == [many[0], few[0], many[1], few[1], *many[2:]]


def test_the_folder_whose_turn_was_longest_ago_comes_first() -> None:
    folders = {name: [f"{name} 0 1", f"{name} 0 2"] for name in ("anna", "ben", "carla")}
    first = [name.split()[0] for name in ordered(folders, {"anna": 9, "ben": 7, "carla": 8})]
    assert first == ["ben", "carla", "anna"] * 2


def test_a_higher_priority_comes_first_and_takes_the_turn_of_its_folder() -> None:
    folders = {"anna": ["anna 5 9", "anna 0 1"], "ben": ["ben 0 2"]}
    assert ordered(folders, {"ben": 4}) == ["anna 5 9", "ben 0 2", "anna 0 1"]


def test_a_folder_that_was_emptied_meanwhile_is_skipped() -> None:
    heads = [Head("anna", 0, urgency("anna 0 1")), Head("ben", 0, urgency("ben 0 2"))]
    assert [*in_turn(heads, lambda folder: iter(["ben 0 2"] if folder == "ben" else []), urgency)] == ["ben 0 2"]


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99)), min_size=1, max_size=8),
    )
)
def test_nothing_is_left_out_and_no_priority_is_passed_over(items: dict[str, list[tuple[int, int]]]) -> None:
    folders = {
        folder: sorted((f"{folder} {priority} {age}" for priority, age in found), key=urgency)
        for folder, found in items.items()
    }
    found = ordered(folders)
    assert sorted(found) == sorted(name for names in folders.values() for name in names)
    priorities = [urgency(name)[0] for name in found]
    assert priorities == sorted(priorities)
    for folder, names in folders.items():
        assert [name for name in found if name.split()[0] == folder] == names
