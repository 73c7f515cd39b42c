"""Figures as tables, in plain text or Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from mistdata.benchmark.scores import METRICS

Entry = dict[str, Any]  # a stratum: by, name, and its figures

LISTED = 40  # components that are listed one by one
_NOTHING = "-"


def shown(name: str, value: float | int | None) -> str:
    """Write a figure as its metric wants it."""
    if value is None:
        return _NOTHING
    return f"{value:{METRICS[name].shown}}" if name in METRICS else f"{value:,}"


def listed(entries: Iterable[Entry]) -> list[Entry]:
    """Leave out strata that only repeat others, and components where they are too many."""
    kept: list[Entry] = []
    for by, group in groupby(entries, key=lambda entry: entry["by"]):
        members = list(group)
        alone = by != "all" and len(members) == 1
        long = by == "component" and len(members) > LISTED
        if not (alone or long):
            kept += members
    return kept


def table(
    headings: Sequence[str], groups: Iterable[Sequence[Sequence[str]]], markdown: bool
) -> str:
    """Align rows under headings; a blank line between groups.

    Args:
        headings: the first is of the column of names, which is aligned to the left.
        groups: rows of as many cells as headings.
        markdown: whether as a Markdown table, without the blank lines.
    """
    blocks = [list(group) for group in groups]
    rows = [list(headings), *(list(row) for block in blocks for row in block)]
    if markdown:
        rule = ["---", *["---:"] * (len(headings) - 1)]
        return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], rule, *rows[1:]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    lines = [_line(headings, widths)]
    for index, block in enumerate(blocks):
        lines += [""] * (index > 0) + [_line(row, widths) for row in block]
    return "\n".join(lines)


def figures_table(entries: Sequence[Entry], names: Sequence[str], markdown: bool) -> str:
    """Show some figures of strata: one row per stratum, one column per figure."""
    columns = ["datasets", "failures", *names]
    headings = [
        "", "datasets", "failed", *(METRICS[name].heading for name in names),
    ]  # fmt: skip
    groups = [
        [[entry["name"], *(shown(name, entry[name]) for name in columns)] for entry in group]
        for _, group in groupby(entries, key=lambda entry: entry["by"])
    ]
    return table(headings, groups, markdown)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = [
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join([first, *others]).rstrip()
