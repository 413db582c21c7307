"""The style of all tables on a terminal: no lines, and cells that are folded if the terminal is too narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from rich.text import Text


def table(*headings: str, title: str | None = None, unfolded: Collection[str] = ()) -> Table:
    """A table with these headings. If all are empty, it has no head. ``unfolded`` columns stay on one line."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    made.caption_justify = "left"
    made.show_header = any(headings)
    for heading in headings:
        if heading in unfolded:
            made.add_column(heading, header_style="dim", no_wrap=True)
        else:
            made.add_column(heading, header_style="dim", overflow="fold")
    return made


def details(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """A table of names and values. Rows with empty values are left out."""
    made = table("", "")
    made.columns[0].style = "dim"
    for name, value in rows:
        if str(value):
            made.add_row(name, value)
    return made
