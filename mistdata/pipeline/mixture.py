"""The mixture of a split: lines of the recipe that name families, maps, ranges and weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from mistdata.distributions.base import JointDistribution
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.parameters import Parametrised
from mistdata.distributions.priors import Prior
from mistdata.distributions.transforms import TRANSFORMS
from mistdata.errors import RecipeError, did_you_mean
from mistdata.pipeline.component import Component, Dims, Step, transform_label
from mistdata.pipeline.reading import Table, take_prior, take_words

_MOST_BLOCKS = 65_536
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _dims(table: Table, default: Dims | None = None) -> Dims:
    keys = [key for key in ("dim", "dim_x", "dim_y") if key in table.data]
    table.taken.update(("dim", "dim_x", "dim_y"))
    if not keys and default is not None:
        return default
    if keys == ["dim"]:
        return Dims(take_prior(table, "dim", integer=True, low=1, high=65536), None)
    if keys != ["dim_x", "dim_y"]:
        table.fail(keys[0] if keys else "dim", "either dim, or both dim_x and dim_y")
    return Dims(
        take_prior(table, "dim_x", integer=True, low=1, high=65536),
        take_prior(table, "dim_y", integer=True, low=1, high=65536),
    )


def _independent(table: Table, default: float) -> float:
    what = "a share between 0 and 1"
    return table.number("independent", low=0.0, high=1.0, default=default, what=what)


def take_mixture(splits: Table, table: Table) -> tuple[Component, ...]:
    """Take the components of a split, with its dimensions and independent share as defaults."""
    dims, independent = _dims(table), _independent(table, 0.0)
    lines = table.take("mixture")
    if isinstance(lines, str):
        lines = _lines_of(splits, table, lines)
    if not isinstance(lines, list) or not lines or not all(isinstance(e, dict) for e in lines):
        table.fail("mixture", "[[split.NAME.mixture]] tables, or the name of another split")
    components: list[Component] = []
    for i, line in enumerate(lines):
        path = f"{table.path}mixture[{i}]."
        taken = {component.name for component in components}
        for one in _each(Table(line, table.source, path)):
            component = _component(Table(one, table.source, path), dims, independent)
            if component.name in taken:
                raise RecipeError(
                    f"{table.source}: {path}name: expected a name of its own,"
                    f" {component.name!r} is taken"
                )
            taken.add(component.name)
            components.append(component)
    return tuple(components)


def _each(line: Table) -> Iterator[dict[str, Any]]:
    """Run through the components that a line stands for: families x transforms.

    They share the line's weight evenly.
    """
    rest = dict(line.data)
    families = _listed(line, rest, "families", "family")
    transforms = _listed(line, rest, "transforms", "transform")
    if len(families) * len(transforms) == 1 and not {"families", "transforms"} & line.data.keys():
        yield line.data
        return
    if "name" in rest:
        line.fail("name", "no name of its own where families or transforms are listed")
    weight = rest.get("weight", 1)
    if isinstance(weight, int | float) and not isinstance(weight, bool):
        rest["weight"] = weight / (len(families) * len(transforms))
    for family, transform in product(families, transforms):
        yield rest | family | transform


def _listed(line: Table, rest: dict[str, Any], many: str, one: str) -> list[dict[str, Any]]:
    """Take a list of alternatives for one key; a list with one empty entry when there is none."""
    if many not in rest:
        return [{}]
    values = rest.pop(many)
    if one in rest:
        line.fail(one, f"either {one} or {many}")
    if not isinstance(values, list) or not values:
        line.fail(many, f"a list of what {one} can be")
    return [{one: value} for value in values]


def _lines_of(splits: Table, table: Table, name: str) -> Any:
    """Return the mixture that another split spells out."""
    if name not in splits.data:
        hint = did_you_mean(name, splits.data)
        table.fail("mixture", "[[split.NAME.mixture]] tables, or the name of another split", hint)
    other = splits.data[name]
    return other.get("mixture") if isinstance(other, dict) else None


def _component(table: Table, default_dims: Dims, default_independent: float) -> Component:
    family = _family(table)
    transform_x, transform_y = _transforms(table)
    weight = table.take("weight")
    weight = 1 if weight is None else weight
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < 1e300:
        table.fail("weight", "a number > 0")
    dims = _dims(table, default_dims)
    table.taken.add("blocks")
    blocks = None
    if "blocks" in table.data:
        blocks = take_prior(table, "blocks", integer=True, low=1, high=_MOST_BLOCKS)
    independent = _independent(table, default_independent)
    name = f"{family.name}/{transform_label(transform_x, transform_y)}"
    if "name" in table.data:
        name = table.take("name")
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            table.fail("name", "a name of letters, digits, '.', '-' and '_'")
    table.taken.update(("name", "parameters"))
    component = Component(
        name, family, transform_x, transform_y, {}, float(weight), dims, blocks, independent
    )
    latents = [each for corner in dims.corners() for each in _latents(table, component, *corner)]
    parameters = _parameters(table, family, latents)
    table.finish()
    return replace(component, parameters=parameters)


def _latents(
    table: Table, component: Component, dim_x: int, dim_y: int
) -> Iterator[tuple[int, int]]:
    """Run through the dimensions that the family must have where the stored ones are these."""
    family = component.family
    least = family.shape.nearest(1, 1)
    for latent in product(
        _before(table, "transform_x", component.transform_x, dim_x),
        _before(table, "transform_y", component.transform_y, dim_y),
    ):
        enough = latent[0] >= least[0] and latent[1] >= least[1]
        if not (enough if component.blocks is not None else family.supports(*latent)):
            before = f" ({latent[0]} and {latent[1]} before maps)"
            raise RecipeError(
                f"{table.where('family')}: expected dimensions that {family.name} supports"
                f" ({family.shape}), got dim_x = {dim_x}, dim_y = {dim_y}"
                f"{before if latent != (dim_x, dim_y) else ''}; `blocks` fills any dimensions"
            )
        yield least if component.blocks is not None else latent


def _before(table: Table, side: str, steps: tuple[Step, ...], dim: int) -> list[int]:
    """Return the fewest and the most columns before the maps; random embeddings differ."""
    key = side if side in table.data else "transform"
    given = table.data.get(key)
    entries = given if isinstance(given, list) else [given]
    ends = {dim}
    for step, entry in zip(reversed(steps), reversed(entries), strict=True):
        kind = TRANSFORMS[step.name]
        if min(ends) < kind.least_dim:
            raise RecipeError(
                f"{table.where(key)}: expected at least {kind.least_dim} columns for {step.name},"
                f" got {min(ends)}"
            )
        if step.parameters:
            inner = Table(entry, table.source, f"{table.path}{key}.")
            _require_domains(inner, kind, step.parameters, [(end, end) for end in ends])
        ends = {before for end in ends for before in kind.dims_in(end, step.parameters)}
    return sorted({min(ends), max(ends)})


def _family(table: Table) -> type[JointDistribution]:
    value = table.take("family")
    if not isinstance(value, str) or value not in FAMILIES:
        hint = did_you_mean(value, FAMILIES) if isinstance(value, str) else ""
        table.fail("family", "a family listed by `mistdata families`", hint)
    return FAMILIES[value]


def _transforms(table: Table) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    if "transform" in table.data:
        for side in ("transform_x", "transform_y"):
            if side in table.data:
                table.fail(side, "either transform, or transform_x and transform_y")
        both = _steps(table, "transform")
        table.taken.update(("transform_x", "transform_y"))
        return both, both
    table.taken.add("transform")
    return _steps(table, "transform_x"), _steps(table, "transform_y")


def _steps(table: Table, key: str) -> tuple[Step, ...]:
    value = table.take(key)
    if value is None:
        return (Step("identity", {}),)
    entries = value if isinstance(value, list) else [value]
    expected = f"one or a list of {', '.join(TRANSFORMS)}, or tables with their name"
    if not entries:
        table.fail(key, expected)
    return tuple(_step(table, key, entry, expected) for entry in entries)


def _step(table: Table, key: str, entry: Any, expected: str) -> Step:
    given = entry if isinstance(entry, dict) else {"name": entry}
    name = given.get("name")
    if not isinstance(name, str) or name not in TRANSFORMS:
        hint = did_you_mean(name, TRANSFORMS) if isinstance(name, str) else ""
        table.fail(key, expected, hint)
    inner = Table(given, table.source, f"{table.path}{key}.")
    inner.taken.add("name")
    return Step(name, _priors(inner, TRANSFORMS[name]))


def _parameters(
    table: Table, family: type[JointDistribution], dims: Iterable[tuple[int, int]]
) -> Mapping[str, Prior]:
    if "parameters" not in table.data:
        return {}
    given = table.table("parameters")
    priors = _priors(given, family)
    _require_domains(given, family, priors, dims)
    return priors


def _priors(given: Table, owner: type[Parametrised]) -> Mapping[str, Prior]:
    """Take ranges for an owner's parameters."""
    priors: dict[str, Prior] = {}
    for key in given.data.keys() & owner.parameters.keys():
        parameter = owner.parameters[key]
        if parameter.names:
            priors[key] = take_words(given, key, parameter.names)
        else:
            priors[key] = take_prior(given, key, integer=parameter.integer)
    given.taken.update(owner.parameters)
    given.finish()
    return dict(sorted(priors.items()))


def _require_domains(
    given: Table,
    owner: type[Parametrised],
    priors: Mapping[str, Prior],
    dims: Iterable[tuple[int, int]],
) -> None:
    """Hold the ends of ranges against the domains at these dimensions."""
    for (key, prior), (dim_x, dim_y) in product(priors.items(), dims):
        parameter = owner.parameters[key]
        if parameter.names:
            continue
        ends = prior.support(parameter.integer)
        if not all(parameter.contains(end, dim_x, dim_y) for end in ends):
            domain = parameter.describe_domain(dim_x, dim_y)
            reason = f"; {parameter.reason}" if parameter.reason else ""
            where = f" (at dim_x = {dim_x}, dim_y = {dim_y})"
            given.fail(key, f"values in {domain}{where}{reason}")
