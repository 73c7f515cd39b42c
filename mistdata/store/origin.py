"""Where a store comes from: a recipe, other stores, or files; in words for its cards.

The text of plan.json is a recipe, or has a table `derived` that names what a store was selected,
merged or imported from.
"""

from __future__ import annotations

import textwrap
import tomllib
from dataclasses import dataclass
from typing import Any

from mistdata.store.ledger import PlanRecord

LICENCE = "CC-BY-4.0"
LICENCE_URL = "https://creativecommons.org/licenses/by/4.0/"
_OURS = (
    "All rows are random numbers: no\npersons, nothing measured."
    f" Licence: [{LICENCE}]({LICENCE_URL})."
)
_CARRIED = (
    "All rows are random numbers, carried by\nflows that were fitted to data; heed what those data"
    f" allow. Licence of the rest: [{LICENCE}]({LICENCE_URL})."
)
_THEIRS = "What is imported here is licensed\nas the files that it comes from; cite those too."
_DONE = {"select": "Selected", "merge": "Merged", "import": "Imported"}


@dataclass(frozen=True)
class Facts:
    """What a card is about.

    Attributes:
        name: of the recipe.
        version: of the recipe.
        plan: hash of the plan.
        digest: of the content.
        mistdata: version that planned the store.
        derived: what stands in place of a recipe; None for a store that was generated.
    """

    name: str
    version: int
    plan: str
    digest: str
    mistdata: str
    derived: dict[str, Any] | None

    @classmethod
    def of(cls, record: PlanRecord, digest: str) -> Facts:
        """Return the facts of a store.

        Args:
            record: its plan.json.
            digest: of its content.
        """
        derived = derived_of(record.recipe)
        return cls(record.name, record.version, record.plan, digest, record.mistdata, derived)

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name}, version {self.version}"


def derived_of(recipe: str) -> dict[str, Any] | None:
    """Return what a text says in place of a recipe; None if it is one."""
    found: dict[str, Any] | None = tomllib.loads(recipe).get("derived")
    return found


def in_short(facts: Facts) -> str:
    """Say in a sentence what a store was derived from; nothing of one that was generated."""
    if facts.derived is None:
        return ""
    sources = [each.get("file") or _title(each) for each in facts.derived["from"]]
    return f" {_DONE[facts.derived['by']]} from {' and '.join(sources)}."


def in_full(facts: Facts, carried: bool) -> str:
    """Say where a store comes from, and what identifies it.

    Args:
        facts: of the store.
        carried: whether any of its rows were carried by flows.
    """
    identity = f"Plan `{facts.plan}`, content digest `{facts.digest}`."
    if facts.derived is None:
        what = "recipe with the flows in `flows`" if carried else "recipe"
        return (
            f"Made by mistdata {facts.mistdata} from the recipe in `plan.json`; the same {what}"
            f" gives the same\nbytes. {identity}"
        )
    by, where = facts.derived["by"], facts.derived.get("where")
    sources = "\n".join(map(_source, facts.derived["from"]))
    condition = "" if where is None else f"\n\nthe datasets that meet\n\n{quoted(where)}"
    return (
        f"{_DONE[by]} by `mistdata {by}`, version {facts.mistdata}, from\n\n{sources}{condition}"
        f"\n\nThe same command over the same sources gives the same\nbytes. {identity}"
    )


def rights(imported: bool, carried: bool) -> str:
    """Say under which licence data stand.

    Args:
        imported: whether any of them, with their labels, came from elsewhere.
        carried: whether any of them were carried by flows.
    """
    if imported:
        return _THEIRS
    return _CARRIED if carried else _OURS


def quoted(sql: str) -> str:
    """Return a condition as a block of Markdown, whatever stands in it."""
    return textwrap.indent(sql, "    ")


def _title(source: dict[str, Any]) -> str:
    return f"{source['name']}, version {source['version']}"


def _source(source: dict[str, Any]) -> str:
    if "file" not in source:
        return f"- {_title(source)}, content digest `{source['digest']}`"
    left_out = f"; {source['left_out']:,} datasets of it left out" if source["left_out"] else ""
    return (
        f"- `{source['file']}`, as the split {source['split']}, sha256 `{source['sha256']}`"
        f"{left_out}"
    )
