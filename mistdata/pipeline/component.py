"""One line of a recipe's mixture, and the members it draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from mistdata.distributions.base import JointDistribution, Kind
from mistdata.distributions.combine import Independent, draw_maps, fill, transformed
from mistdata.distributions.priors import Choice, Prior


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


class Step(NamedTuple):
    """One map of a side: its name and the ranges of its parameters."""

    name: str
    parameters: Mapping[str, Prior]


@dataclass(frozen=True)
class Component:
    """One line of a mixture.

    Attributes:
        name: what it is called in catalogs.
        family: the family of its members.
        transform_x, transform_y: maps of X and of Y, applied from the left.
        parameters: ranges of the family's parameters that differ from the published ones.
        weight: relative to the other lines.
        dims: the law of the stored dimensions.
        blocks: number of independent members side by side, padded with independent noise to the
            stored dimensions; None for one member of exactly these dimensions.
        independent: share of its distributions in which X and Y are made independent, MI = 0.
    """

    name: str
    family: type[JointDistribution]
    transform_x: tuple[Step, ...]
    transform_y: tuple[Step, ...]
    parameters: Mapping[str, Prior]
    weight: float
    dims: Dims
    blocks: Prior | None = None
    independent: float = 0.0

    def draw(self, dim_x: int, dim_y: int, rng: np.random.Generator) -> JointDistribution:
        """Draw a member whose samples have these dimensions.

        Raises:
            ValueError: there is none, or a drawn value lies outside its domain.
        """
        maps_x = draw_maps(self.transform_x, dim_x, "x", rng)
        maps_y = draw_maps(self.transform_y, dim_y, "y", rng)
        latent_x = maps_x[0].dim_in if maps_x else dim_x
        latent_y = maps_y[0].dim_in if maps_y else dim_y
        if self.blocks is None:
            member = self.family.draw(latent_x, latent_y, rng, **self.parameters)
        else:
            member = fill(self.family, latent_x, latent_y, self.blocks, self.parameters, rng)
        if self.independent and rng.random() < self.independent:
            member = Independent(member)
        return transformed(member, maps_x, maps_y)

    def kind(self, kind: Kind) -> Kind:
        """Return the kind of a side of its samples; padding adds continuous columns."""
        return "mixed" if self.blocks is not None and kind != "continuous" else kind

    def canonical(self) -> dict[str, Any]:
        """Return what decides the bytes of its datasets; what is absent is left out."""
        parts: dict[str, Any] = {
            "name": self.name,
            "family": self.family.name,
            "transform_x": [_canonical_step(step) for step in self.transform_x],
            "transform_y": [_canonical_step(step) for step in self.transform_y],
            "parameters": _canonical_priors(self.parameters),
        }
        if self.blocks is not None:
            parts["blocks"] = _canonical_prior(self.blocks)
        if self.independent:
            parts["independent"] = self.independent
        return parts


def transform_words(steps: tuple[Step, ...]) -> str:
    """Write the maps of one side, from the left."""
    return "+".join(step.name for step in steps)


def transform_label(transform_x: tuple[Step, ...], transform_y: tuple[Step, ...]) -> str:
    """Write the maps of both sides, once when they are the same."""
    label_x, label_y = transform_words(transform_x), transform_words(transform_y)
    return label_x if label_x == label_y else f"{label_x}|{label_y}"


def _canonical_step(step: Step) -> Any:
    return [step.name, _canonical_priors(step.parameters)] if step.parameters else step.name


def _canonical_priors(priors: Mapping[str, Prior]) -> dict[str, list[Any]]:
    return {key: _canonical_prior(prior) for key, prior in sorted(priors.items())}


def _canonical_prior(prior: Prior) -> list[Any]:
    values = prior.values if isinstance(prior, Choice) else (prior.low, prior.high)
    plain = [value if isinstance(value, str) else float(value) for value in values]
    return [type(prior).__name__, *plain]
