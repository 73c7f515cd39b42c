"""A recipe: the TOML file that says what to build, read and checked.

Every mistake is a `RecipeError` of one line that names the file, the key, what was expected, what
was found and the nearest legal name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mistdata.distributions.base import JointDistribution, Parameter
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.priors import Choice, LogUniform, Prior, Uniform
from mistdata.distributions.transforms import TRANSFORMS
from mistdata.errors import RecipeError, did_you_mean

MIB = 1 << 20
_MOST_MIB = 64  # keeps a worker below 1 GiB, whatever the recipe
_MOST_DATASETS = 100_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_RESERVED_SPLITS = {"logs"}
_PRIOR_FORMS = "a number, [low, high], or one of {uniform, log_uniform, values, linspace} = [...]"


@dataclass(frozen=True)
class Dims:
    """The law of (dim_x, dim_y): one prior for both (equal), or one for each side."""

    x: Prior
    y: Prior | None

    def draw(self, rng: np.random.Generator, size: int) -> tuple[Any, Any]:
        """Draw `size` pairs of dimensions."""
        dim_x = self.x.draw(rng, size, integer=True)
        return dim_x, dim_x if self.y is None else self.y.draw(rng, size, integer=True)

    def corners(self) -> Iterator[tuple[int, int]]:
        """Run through the extreme pairs; domains and supports are monotone in the dimensions."""
        ends_x = sorted({int(end) for end in self.x.support(True)})
        if self.y is None:
            return ((d, d) for d in ends_x)
        return product(ends_x, sorted({int(end) for end in self.y.support(True)}))


@dataclass(frozen=True)
class Component:
    """One line of a mixture: family, transforms, parameter ranges, weight, dimensions."""

    name: str
    family: type[JointDistribution]
    transform_x: tuple[str, ...]
    transform_y: tuple[str, ...]
    parameters: Mapping[str, Prior]
    weight: float
    dims: Dims


@dataclass(frozen=True)
class Split:
    """One split: how many datasets, of which sizes, from which mixture.

    In a grid split `datasets` counts per cell of (listed n) x (components).
    """

    name: str
    datasets: int
    replicates: int
    grid: bool
    n: Prior
    mixture: tuple[Component, ...]


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

    def canonical(self) -> dict[str, Any]:
        """Return what decides the bytes of the store, without comments, order or spelling."""
        return {
            "name": self.name,
            "version": self.version,
            "seed": self.seed,
            "shard_mib": self.shard_mib,
            "splits": [
                {
                    "name": split.name,
                    "replicates": split.replicates,
                    "mixture": [_canonical_component(each) for each in split.mixture],
                }
                for split in self.splits
            ],
        }


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


def parse_recipe(text: str, source: str) -> Recipe:
    """Check the text of a recipe; `source` names it in errors.

    Raises:
        RecipeError: the text is not TOML or breaks a rule.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{source}: expected TOML: {error}") from None
    top = _Table(data, source, "")
    name = _take_name(top, "name")
    version = top.integer("version", low=1, high=10**9)
    seed = top.integer("seed", low=0, high=2**128 - 1)
    shard_mib = top.integer("shard_mib", low=1, high=_MOST_MIB, default=16)
    splits_table = top.table("split")
    splits = tuple(_split(splits_table, key, shard_mib) for key in splits_table.data)
    if not splits:
        top.fail("split", "at least one [split.NAME] table")
    top.finish()
    return Recipe(name, version, seed, shard_mib, splits, text, source)


class _Table:
    """A TOML table being read: every key is taken once, what is left over is an error."""

    def __init__(self, data: dict[str, Any], source: str, path: str) -> None:
        self.data = data
        self.source = source
        self.path = path
        self.taken: set[str] = set()

    def where(self, key: str) -> str:
        return f"{self.source}: {self.path}{key}"

    def fail(self, key: str, expected: str, hint: str = "") -> NoReturn:
        if key in self.data:
            found = f"got {_shown(self.data[key])}"
        else:
            near = get_close_matches(key, [k for k in self.data if k not in self.taken], 1, 0.6)
            found = f"found {near[0]!r}, did you mean {key!r}?" if near else "it is missing"
        raise RecipeError(f"{self.where(key)}: expected {expected}, {found}{hint}")

    def take(self, key: str) -> Any:
        self.taken.add(key)
        return self.data.get(key)

    def integer(
        self, key: str, *, low: int, high: int | None = None, default: int | None = None
    ) -> int:
        value = self.take(key)
        if value is None and default is not None:
            return default
        top = f" and <= {high}" if high is not None else ""
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
        if not fits or (high is not None and value > high):
            self.fail(key, f"a whole number >= {low}{top}")
        return int(value)

    def table(self, key: str) -> _Table:
        value = self.take(key)
        if not isinstance(value, dict):
            self.fail(key, "a table")
        return _Table(value, self.source, f"{self.path}{key}.")

    def finish(self) -> None:
        for key in self.data:
            if key not in self.taken:
                hint = did_you_mean(key, self.taken)
                legal = ", ".join(sorted(self.taken))
                raise RecipeError(f"{self.where(key)}: unknown key, expected one of {legal}{hint}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _take_name(table: _Table, key: str) -> str:
    value = table.take(key)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        table.fail(key, "a name of lower-case letters, digits, '-' and '_'")
    return value


def _split(splits: _Table, name: str, shard_mib: int) -> Split:
    table = splits.table(name)
    if not _NAME.fullmatch(name) or name in _RESERVED_SPLITS:
        raise RecipeError(
            f"{table.source}: split.{_shown(name)}: expected a name of lower-case letters, digits,"
            f" '-' and '_' other than {sorted(_RESERVED_SPLITS)}"
        )
    datasets = table.integer("datasets", low=1, high=_MOST_DATASETS)
    replicates = table.integer("replicates", low=1, default=1)
    grid = table.take("grid")
    if grid is not None and not isinstance(grid, bool):
        table.fail("grid", "true or false")
    if datasets % replicates:
        table.fail("datasets", f"a multiple of replicates = {replicates}")
    n = _prior(table, "n", integer=True, low=1)
    if grid and not isinstance(n, Choice):
        table.fail("n", "{ values = [...] } or { linspace = [...] }, because grid = true")
    mixture = _mixture(splits, table, _dims(table))
    table.finish()
    if grid and isinstance(n, Choice) and len(n.values) * len(mixture) * datasets > _MOST_DATASETS:
        table.fail("datasets", f"a grid of at most {_MOST_DATASETS:,} datasets")
    _require_fits(table, n, mixture, shard_mib)
    return Split(name, datasets, replicates, bool(grid), n, mixture)


def _require_fits(table: _Table, n: Prior, mixture: tuple[Component, ...], shard_mib: int) -> None:
    rows = int(n.support(True)[1])
    for component in mixture:
        widest = max(dim_x + dim_y for dim_x, dim_y in component.dims.corners())
        if rows * widest * 4 > shard_mib * MIB:
            raise RecipeError(
                f"{table.where('n')}: expected datasets that fit a shard of {shard_mib} MiB, got"
                f" n = {rows} rows of {widest} columns ({component.name}); raise shard_mib"
            )


def _dims(table: _Table, default: Dims | None = None) -> Dims:
    keys = [key for key in ("dim", "dim_x", "dim_y") if key in table.data]
    table.taken.update(("dim", "dim_x", "dim_y"))
    if not keys and default is not None:
        return default
    if keys == ["dim"]:
        return Dims(_prior(table, "dim", integer=True, low=1, high=65536), None)
    if keys != ["dim_x", "dim_y"]:
        table.fail(keys[0] if keys else "dim", "either dim, or both dim_x and dim_y")
    return Dims(
        _prior(table, "dim_x", integer=True, low=1, high=65536),
        _prior(table, "dim_y", integer=True, low=1, high=65536),
    )


def _mixture(splits: _Table, table: _Table, dims: Dims) -> tuple[Component, ...]:
    lines = table.take("mixture")
    if isinstance(lines, str):
        lines = _lines_of(splits, table, lines)
    if not isinstance(lines, list) or not lines or not all(isinstance(e, dict) for e in lines):
        table.fail("mixture", "[[split.NAME.mixture]] tables, or the name of another split")
    components = tuple(
        _component(_Table(line, table.source, f"{table.path}mixture[{i}]."), dims)
        for i, line in enumerate(lines)
    )
    seen: set[str] = set()
    for i, component in enumerate(components):
        if component.name in seen:
            raise RecipeError(
                f"{table.source}: {table.path}mixture[{i}].name: expected a name of its own,"
                f" {component.name!r} is taken"
            )
        seen.add(component.name)
    return components


def _lines_of(splits: _Table, table: _Table, name: str) -> Any:
    """Return the mixture that another split spells out."""
    if name not in splits.data:
        hint = did_you_mean(name, splits.data)
        table.fail("mixture", "[[split.NAME.mixture]] tables, or the name of another split", hint)
    other = splits.data[name]
    return other.get("mixture") if isinstance(other, dict) else None


def _component(table: _Table, default_dims: Dims) -> Component:
    family = _family(table)
    transform_x, transform_y = _transforms(table)
    weight = table.take("weight")
    weight = 1 if weight is None else weight
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < 1e300:
        table.fail("weight", "a number > 0")
    dims = _dims(table, default_dims)
    for dim_x, dim_y in dims.corners():
        if not family.supports(dim_x, dim_y):
            raise RecipeError(
                f"{table.where('family')}: expected dimensions that {family.name} supports, got"
                f" dim_x = {dim_x}, dim_y = {dim_y}"
            )
    parameters = _parameters(table, family, dims)
    name = f"{family.name}/{transform_label(transform_x, transform_y)}"
    if "name" in table.data:
        name = _take_name(table, "name")
    table.taken.add("name")
    table.finish()
    return Component(name, family, transform_x, transform_y, parameters, float(weight), dims)


def transform_label(transform_x: tuple[str, ...], transform_y: tuple[str, ...]) -> str:
    """Write the transforms of both sides, once when they are the same."""
    label_x, label_y = "+".join(transform_x), "+".join(transform_y)
    return label_x if label_x == label_y else f"{label_x}|{label_y}"


def _family(table: _Table) -> type[JointDistribution]:
    value = table.take("family")
    if not isinstance(value, str) or value not in FAMILIES:
        hint = did_you_mean(value, FAMILIES) if isinstance(value, str) else ""
        table.fail("family", "a family listed by `mistdata families`", hint)
    return FAMILIES[value]


def _transforms(table: _Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if "transform" in table.data:
        for side in ("transform_x", "transform_y"):
            if side in table.data:
                table.fail(side, "either transform, or transform_x and transform_y")
        both = _transform_names(table, "transform")
        table.taken.update(("transform_x", "transform_y"))
        return both, both
    table.taken.add("transform")
    return _transform_names(table, "transform_x"), _transform_names(table, "transform_y")


def _transform_names(table: _Table, key: str) -> tuple[str, ...]:
    value = table.take(key)
    if value is None:
        return ("identity",)
    names = value if isinstance(value, list) else [value]
    expected = f"one or a list of {', '.join(TRANSFORMS)}"
    if not names:
        table.fail(key, expected)
    for name in names:
        if not isinstance(name, str) or name not in TRANSFORMS:
            hint = did_you_mean(name, TRANSFORMS) if isinstance(name, str) else ""
            table.fail(key, expected, hint)
    return tuple(names)


def _parameters(table: _Table, family: type[JointDistribution], dims: Dims) -> Mapping[str, Prior]:
    if "parameters" not in table.data:
        table.taken.add("parameters")
        return {}
    given = table.table("parameters")
    given.taken.update(family.parameters)
    given.finish()
    priors = {}
    for key in given.data:
        parameter = family.parameters[key]
        priors[key] = _prior(given, key, integer=parameter.integer)
        _require_domain(given, key, parameter, priors[key], dims)
    return priors


def _require_domain(
    table: _Table, key: str, parameter: Parameter, prior: Prior, dims: Dims
) -> None:
    ends = prior.support(parameter.integer)
    for dim_x, dim_y in dims.corners():
        if not all(parameter.contains(end, dim_x, dim_y) for end in ends):
            domain = parameter.describe_domain(dim_x, dim_y)
            table.fail(key, f"values in {domain} (at dim_x = {dim_x}, dim_y = {dim_y})")


def _prior(
    table: _Table, key: str, *, integer: bool, low: int | None = None, high: int | None = None
) -> Prior:
    value = table.take(key)
    noun = "whole numbers" if integer else "numbers"
    expected = f"{_PRIOR_FORMS} of {noun}"
    try:
        prior = _as_prior(value, integer)
    except (ValueError, TypeError, OverflowError) as error:
        table.fail(key, expected, f" ({error})" if str(error) else "")
    least, greatest = prior.support(integer)
    if (low is not None and least < low) or (high is not None and greatest > high):
        bounds = f">= {low}" + (f" and <= {high}" if high is not None else "")
        table.fail(key, f"{noun} {bounds}")
    return prior


def _as_prior(value: Any, integer: bool) -> Prior:
    if isinstance(value, list):
        return Uniform(*_numbers(value, integer, 2))
    if not isinstance(value, dict):
        return Choice(_numbers([value], integer, 1))
    if len(value) != 1:
        raise ValueError("one form at a time")
    form, arguments = next(iter(value.items()))
    if form not in _FORMS:
        raise ValueError(f"unknown form {form!r}{did_you_mean(form, _FORMS)}")
    if not isinstance(arguments, list):
        raise TypeError(f"{form} takes a list")
    return _FORMS[form](arguments, integer)


def _linspace(arguments: list[Any], integer: bool) -> Prior:
    low, high, count = _numbers(arguments, integer, 3)
    if count != int(count) or not 1 <= count <= 1_000_000:
        raise ValueError("linspace = [low, high, count]")
    values = np.linspace(low, high, int(count))
    if integer:
        values = np.unique(np.rint(values))
    return Choice(tuple(values.tolist()))


_FORMS: dict[str, Callable[[list[Any], bool], Prior]] = {
    "uniform": lambda arguments, integer: Uniform(*_numbers(arguments, integer, 2)),
    "log_uniform": lambda arguments, integer: LogUniform(*_numbers(arguments, integer, 2)),
    "values": lambda arguments, integer: Choice(_numbers(arguments, integer, None)),
    "linspace": _linspace,
}


def _numbers(values: list[Any], integer: bool, count: int | None) -> tuple[float, ...]:
    if count is not None and len(values) != count:
        raise ValueError(f"{count} number{'s' * (count > 1)} needed")
    legal = int if integer else int | float
    for value in values:
        if isinstance(value, bool) or not isinstance(value, legal) or not abs(value) < 2**53:
            raise TypeError(f"{_shown(value)} is not a {'whole ' * integer}number")
    return tuple(values)


def _canonical_component(component: Component) -> dict[str, Any]:
    return {
        "name": component.name,
        "family": component.family.name,
        "transform_x": component.transform_x,
        "transform_y": component.transform_y,
        "parameters": {
            key: [type(prior).__name__, *_prior_values(prior)]
            for key, prior in sorted(component.parameters.items())
        },
    }


def _prior_values(prior: Prior) -> list[float]:
    values = prior.values if isinstance(prior, Choice) else (prior.low, prior.high)
    return [float(value) for value in values]
