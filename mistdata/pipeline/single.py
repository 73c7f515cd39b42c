"""One dataset on its own, outside any store: for `mistdata sample`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mistdata.distributions.base import JointDistribution, Precision
from mistdata.distributions.combine import latent
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError, did_you_mean
from mistdata.pipeline.label import Label, make_label
from mistdata.pipeline.recipe import Recipe


@dataclass(frozen=True)
class Single:
    """A member, one sample of it, and its label."""

    name: str
    member: JointDistribution
    x: Array
    y: Array
    label: Label


def sample_family(
    name: str, dim_x: int | None, dim_y: int | None, n: int | None, seed: int
) -> Single:
    """Draw a member of a family from its published ranges, and a sample of it.

    A dimension not given is that of the other side, or the least.

    Raises:
        MistdataError: there is no such family, or none of these dimensions.
    """
    if name not in FAMILIES:
        raise MistdataError(f"no family {name!r}{did_you_mean(name, FAMILIES)}")
    family = FAMILIES[name]
    near_x, near_y = family.shape.nearest(dim_x or dim_y or 1, dim_y or dim_x or 1)
    dim_x, dim_y = dim_x or near_x, dim_y or near_y
    if not family.supports(dim_x, dim_y):
        raise MistdataError(
            f"{name}: dimensions are {family.shape}, got dim_x = {dim_x}, dim_y = {dim_y}"
        )
    rng = np.random.default_rng(seed)
    return _single(name, family.draw(dim_x, dim_y, rng), n or 500, rng)


def sample_component(
    recipe: Recipe,
    name: str | None,
    dim_x: int | None,
    dim_y: int | None,
    n: int | None,
    seed: int,
) -> Single:
    """Draw a dataset of a recipe's component; sizes not given are drawn from its laws.

    Raises:
        MistdataError: there is no such component, or none of these dimensions.
    """
    lines = {each.name: (split, each) for split in recipe.splits for each in split.mixture}
    name = next(iter(lines)) if name is None else name
    if name not in lines:
        raise MistdataError(f"{recipe.source}: no component {name!r}{did_you_mean(name, lines)}")
    split, component = lines[name]
    rng = np.random.default_rng(seed)
    drawn_x, drawn_y = (int(each[0]) for each in component.dims.draw(rng, 1))
    try:
        member = component.draw(dim_x or drawn_x, dim_y or drawn_y, rng)
    except ValueError as error:
        raise MistdataError(f"{name}: {error}") from None
    return _single(name, member, n or int(split.n.draw(rng, None, integer=True)), rng)


def _single(name: str, member: JointDistribution, n: int, rng: np.random.Generator) -> Single:
    try:
        x, y = member.sample(n, rng)
        draws = partial(latent(member).sample, rng=rng)
        label = make_label(member, Precision(n, strict=True), draws, checked=True)
    except (ArithmeticError, ValueError) as error:
        raise MistdataError(f"{name}: {error}") from None
    return Single(name, member, x, y, label)


def write_csv(path: Path, one: Single) -> None:
    """Write the rows as CSV with the header x1, ..., y1, ..."""
    header = [f"x{i + 1}" for i in range(one.x.shape[1])]
    header += [f"y{j + 1}" for j in range(one.y.shape[1])]
    table = np.concatenate((one.x, one.y), axis=1)
    np.savetxt(path, table, fmt="%.9g", delimiter=",", header=",".join(header), comments="")
