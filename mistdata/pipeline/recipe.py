"""A recipe: the TOML file that says what to build, read and checked.

Every mistake is a `RecipeError` of one line that names the file, the key, what was expected, what
was found and the nearest legal name.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistdata.distributions.priors import Choice, Prior
from mistdata.errors import RecipeError
from mistdata.pipeline.component import Component
from mistdata.pipeline.mixture import take_mixture
from mistdata.pipeline.reading import Table, shown, take_prior

MIB = 1 << 20
_MOST_MIB = 64  # keeps a worker below 1 GiB, whatever the recipe
_MOST_DATASETS = 100_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")  # also names of folders and files
_RESERVED_SPLITS = {"flows", "logs"}
NAMES = "a name of at most 100 lower-case letters, digits, '-' and '_'"
SPLIT_NAMES = f"{NAMES} other than {sorted(_RESERVED_SPLITS)}"


@dataclass(frozen=True)
class Split:
    """One split: how many datasets, of which sizes, from which mixture.

    In a grid split `datasets` counts per cell of (listed n) x (components).

    Attributes:
        name, datasets, replicates, grid, n, mixture: as in the recipe.
        values: no dataset holds more numbers, n (dim_x + dim_y), than this; n is drawn from its
            law, given that. None for no limit but the shard.
        strict: whether labels must be ten times as exact; so unless the split is called train.
    """

    name: str
    datasets: int
    replicates: int
    grid: bool
    n: Prior
    values: int | None
    strict: bool
    mixture: tuple[Component, ...]

    def canonical(self) -> dict[str, Any]:
        """Return what decides the bytes of its datasets and how exact their labels are."""
        parts: dict[str, Any] = {
            "name": self.name,
            "replicates": self.replicates,
            "mixture": [each.canonical() for each in self.mixture],
        }
        return parts | ({"strict": True} if self.strict else {})


@dataclass(frozen=True)
class FlowLines:
    """Which flows carry the datasets to a modality: the table `[flow]`.

    Args:
        x: folder of the flow of X as written, or None to leave X as it is.
        y: of Y.
        keep_uncertified: whether datasets without a certificate are kept, flagged.
        grey_levels: whether images are rounded to whole grey levels, at the cost of information.
    """

    x: str | None
    y: str | None
    keep_uncertified: bool
    grey_levels: bool = False


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. `text` is the file, verbatim; `source` only serves error messages."""

    name: str
    version: int
    seed: int
    shard_mib: int
    splits: tuple[Split, ...]
    text: str
    source: str
    flow: FlowLines | None = None

    def canonical(self) -> dict[str, Any]:
        """Return what decides the bytes of the store, without comments, order or spelling."""
        parts: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "seed": self.seed,
            "shard_mib": self.shard_mib,
            "splits": [split.canonical() for split in self.splits],
        }
        if self.flow is not None:  # which flows these are, their identities say
            parts["flow"] = {"keep_uncertified": self.flow.keep_uncertified}
            if self.flow.grey_levels:
                parts["flow"]["grey_levels"] = True
        return parts


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe file.

    Raises:
        RecipeError: the file cannot be read, is not TOML, or breaks a rule.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path}: expected a TOML file in UTF-8") from None
    return parse_recipe(text, str(path))


def is_name(word: str) -> bool:
    """Tell whether a store may be called so."""
    return bool(_NAME.fullmatch(word))


def is_split(word: str) -> bool:
    """Tell whether a split may be called so."""
    return is_name(word) and word not in _RESERVED_SPLITS


def parse_recipe(text: str, source: str) -> Recipe:
    """Check the text of a recipe; `source` names it in errors.

    Raises:
        RecipeError: the text is not TOML or breaks a rule.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{source}: expected TOML: {error}") from None
    if "derived" in data:
        raise RecipeError(
            f"{source}: a store that was selected, merged or imported has no recipe to make its"
            " datasets from; go to those that its README names"
        )
    top = Table(data, source, "")
    name = _take_name(top, "name")
    version = top.integer("version", low=1, high=10**9)
    seed = top.integer("seed", low=0, high=2**128 - 1)
    shard_mib = top.integer("shard_mib", low=1, high=_MOST_MIB, default=16)
    splits_table = top.table("split")
    splits = tuple(_split(splits_table, key, shard_mib) for key in splits_table.data)
    if not splits:
        top.fail("split", "at least one [split.NAME] table")
    flow = _flow(top.table("flow")) if "flow" in data else None
    top.taken.add("flow")
    top.finish()
    return Recipe(name, version, seed, shard_mib, splits, text, source, flow)


def _flow(table: Table) -> FlowLines:
    folders: list[str | None] = []
    for key in ("x", "y"):
        folder = table.take(key)
        if folder is not None and not (isinstance(folder, str) and folder):
            table.fail(key, "the folder of a flow")
        folders.append(folder)
    if folders == [None, None]:
        table.fail("x", "the folder of a flow, here or for y")
    keep, grey = table.flag("keep_uncertified", False), table.flag("grey_levels", False)
    table.finish()
    return FlowLines(folders[0], folders[1], keep, grey)


def _take_name(table: Table, key: str) -> str:
    value = table.take(key)
    if not isinstance(value, str) or not is_name(value):
        table.fail(key, NAMES)
    return value


def _split(splits: Table, name: str, shard_mib: int) -> Split:
    table = splits.table(name)
    if not is_split(name):
        raise RecipeError(f"{table.source}: split.{shown(name)}: expected {SPLIT_NAMES}")
    datasets = table.integer("datasets", low=1, high=_MOST_DATASETS)
    replicates = table.integer("replicates", low=1, default=1)
    grid = table.flag("grid", False)
    strict = table.flag("strict", name != "train")
    if datasets % replicates:
        table.fail("datasets", f"a multiple of replicates = {replicates}")
    n = take_prior(table, "n", integer=True, low=1)
    if grid and not isinstance(n, Choice):
        table.fail("n", "{ values = [...] } or { linspace = [...] }, because grid = true")
    values = None if "values" not in table.data else table.integer("values", low=1)
    table.taken.add("values")
    mixture = take_mixture(splits, table)
    table.finish()
    if grid and isinstance(n, Choice) and len(n.values) * len(mixture) * datasets > _MOST_DATASETS:
        table.fail("datasets", f"a grid of at most {_MOST_DATASETS:,} datasets")
    _require_fits(table, n, mixture, shard_mib, values, grid)
    return Split(name, datasets, replicates, grid, n, values, strict, mixture)


def _require_fits(
    table: Table,
    n: Prior,
    mixture: tuple[Component, ...],
    shard_mib: int,
    values: int | None,
    grid: bool,
) -> None:
    least, most = (int(end) for end in n.support(True))
    if values is not None and grid:
        table.fail("values", "no limit where the grid lists n")
    rows, limit, key = most, shard_mib * MIB // 4, "n"
    if values is not None:
        rows, limit, key = least, min(values, limit), "values"
    for component in mixture:
        widest = max(dim_x + dim_y for dim_x, dim_y in component.dims.corners())
        if rows * widest > limit:
            what = f"a shard of {shard_mib} MiB" if key == "n" else f"{limit:,} values"
            advice = "shard_mib" if key == "n" else "values"
            raise RecipeError(
                f"{table.where(key)}: expected datasets that fit {what}, got"
                f" n = {rows} rows of {widest} columns ({component.name}); raise {advice}"
            )
