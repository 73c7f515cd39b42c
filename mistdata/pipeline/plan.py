"""A plan: every dataset's component, size, seed key, shard and offset, before any data exists.

The plan is a pure function of (recipe, limit), computed in bulk. What it draws itself and what
datasets draw comes from `mistdata.pipeline.streams`; any dataset can be rebuilt alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mistdata.distributions.priors import Array, Choice
from mistdata.pipeline.component import Component
from mistdata.pipeline.recipe import MIB, Recipe, Split
from mistdata.pipeline.streams import Streams
from mistdata.store.ledger import Shard, find_shards

COLUMNS: dict[str, np.dtype[Any]] = {
    "split": np.dtype("<i4"),
    "component": np.dtype("<i4"),
    "distribution_id": np.dtype("<i8"),
    "replicate": np.dtype("<i4"),
    "n": np.dtype("<i4"),
    "dim_x": np.dtype("<i4"),
    "dim_y": np.dtype("<i4"),
    "shard": np.dtype("<i4"),
    "offset": np.dtype("<i8"),
}


class Planned(NamedTuple):
    """What is decided of one dataset; see `COLUMNS`.

    `start` counts from its shard's start. `member_x` and `member_y` are the dimensions of its
    distribution, which differ from the columns that are stored where a flow carries a side.
    """

    dataset_id: int
    component: Component
    split: int
    distribution: int
    replicate: int
    n: int
    dim_x: int
    dim_y: int
    start: int
    member_x: int
    member_y: int

    @property
    def span(self) -> slice:
        """Where the values lie in their shard."""
        return slice(self.start, self.start + self.n * (self.dim_x + self.dim_y))


@dataclass(frozen=True)
class Plan:
    """A recipe with every dataset decided. One row per dataset, in dataset order.

    Attributes:
        recipe: what was planned.
        limit: only the first `limit` datasets of each split, or None for all.
        columns: one array per entry of `COLUMNS`. `split` and `component` are positions in the
            recipe; `offset` counts float32 values from the start of the split's array.
        flows: identities of the flows that carry X and Y to a modality, or None.
        members: dim_x and dim_y of every dataset's distribution, where flows make them differ
            from the columns that are stored.
    """

    recipe: Recipe
    limit: int | None
    columns: Mapping[str, Array]
    flows: tuple[str | None, str | None] = (None, None)
    members: Mapping[str, Array] | None = None

    def __len__(self) -> int:
        return len(self.columns["n"])

    @property
    def shard_length(self) -> int:
        """Float32 values per shard."""
        return self.recipe.shard_mib * MIB // 4

    @cached_property
    def sizes(self) -> Array:
        """Float32 values per dataset, n (dim_x + dim_y)."""
        columns = self.columns
        width = columns["dim_x"] + columns["dim_y"]
        return np.asarray(columns["n"] * width.astype(np.int64))

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """The shards of all splits, numbered in recipe order."""
        names = [split.name for split in self.recipe.splits]
        return find_shards(names, self.columns["split"], self.columns["shard"])

    @cached_property
    def hash(self) -> str:
        """SHA-256 of what decides the bytes of the store."""
        digest = hashlib.sha256(b"mistdata plan 1\n")
        identity: dict[str, Any] = {"recipe": self.recipe.canonical(), "limit": self.limit}
        if self.flows != (None, None):
            identity["flows"] = list(self.flows)
        digest.update(json.dumps(identity, sort_keys=True).encode())
        for name, dtype in COLUMNS.items():
            digest.update(np.ascontiguousarray(self.columns[name], dtype=dtype).tobytes())
        return digest.hexdigest()

    def datasets(self, start: int, stop: int) -> list[Planned]:
        """Return what is decided of the datasets [start, stop)."""
        rows = {name: column[start:stop].tolist() for name, column in self.columns.items()}
        members = self.members or self.columns
        member_x, member_y = (members[name][start:stop].tolist() for name in ("dim_x", "dim_y"))
        mixtures = [split.mixture for split in self.recipe.splits]
        pairs = zip(rows["split"], rows["component"], strict=True)
        return [
            Planned(*row)
            for row in zip(
                range(start, stop),
                [mixtures[split][component] for split, component in pairs],
                rows["split"],
                rows["distribution_id"],
                rows["replicate"],
                rows["n"],
                rows["dim_x"],
                rows["dim_y"],
                [offset % self.shard_length for offset in rows["offset"]],
                member_x,
                member_y,
                strict=True,
            )
        ]


def make_plan(recipe: Recipe, limit: int | None = None) -> Plan:
    """Decide every dataset of a recipe."""
    length = recipe.shard_mib * MIB // 4
    parts = [
        _plan_split(recipe.seed, index, split, limit, length)
        for index, split in enumerate(recipe.splits)
    ]
    columns = {
        name: np.concatenate([part[name] for part in parts]).astype(dtype)
        for name, dtype in COLUMNS.items()
    }
    return Plan(recipe, limit, columns)


def repacked(plan: Plan, dim_x: Array, dim_y: Array, flows: tuple[str | None, str | None]) -> Plan:
    """Return a plan of the same datasets with other columns stored, as flows make them.

    Args:
        plan: of a recipe.
        dim_x: columns of X that are stored, of every dataset.
        dim_y: columns of Y.
        flows: identities.

    Raises:
        ValueError: a dataset does not fit a shard.
    """
    columns = {**plan.columns, "dim_x": dim_x, "dim_y": dim_y}
    sizes = columns["n"].astype(np.int64) * (dim_x + dim_y)
    if sizes.max() > plan.shard_length:
        raise ValueError(
            f"a dataset of {int(sizes.max()):,} values does not fit a shard of"
            f" {plan.recipe.shard_mib} MiB; raise shard_mib in the recipe"
        )
    parts = [pack(sizes[columns["split"] == split], plan.shard_length)
             for split in range(len(plan.recipe.splits))]  # fmt: skip
    shard, offset = (np.concatenate(each) for each in zip(*parts, strict=True))
    columns |= {"shard": shard, "offset": offset}
    typed = {name: columns[name].astype(dtype) for name, dtype in COLUMNS.items()}
    return Plan(plan.recipe, plan.limit, typed, flows, plan.columns)


def _plan_split(
    seed: int, index: int, split: Split, limit: int | None, length: int
) -> dict[str, Array]:
    rng = Streams(seed).of_plan(index)
    component, n = _grid(split, rng) if split.grid else _mixture(split, rng)
    dim_x, dim_y = _dims(split, component, rng)
    if split.values is not None:
        n = _within(split, n, split.values // (dim_x + dim_y), rng)
    count = len(component)
    # Replicates of a distribution lie far apart, so that any stretch of the store is a mixture.
    part = {
        "component": np.tile(component, split.replicates),
        "n": np.tile(n, split.replicates),
        "dim_x": np.tile(dim_x, split.replicates),
        "dim_y": np.tile(dim_y, split.replicates),
        "distribution_id": np.tile(np.arange(count), split.replicates),
        "replicate": np.repeat(np.arange(split.replicates), count),
    }
    part = {name: column[:limit] for name, column in part.items()}
    sizes = part["n"] * (part["dim_x"] + part["dim_y"])
    part["shard"], part["offset"] = pack(sizes, length)
    part["split"] = np.full(len(sizes), index)
    return part


def _mixture(split: Split, rng: np.random.Generator) -> tuple[Array, Array]:
    count = split.datasets // split.replicates
    weights = np.array([component.weight for component in split.mixture])
    component = rng.choice(len(weights), size=count, p=weights / weights.sum())
    return component, split.n.draw(rng, count, integer=True)


def _grid(split: Split, rng: np.random.Generator) -> tuple[Array, Array]:
    assert isinstance(split.n, Choice)
    per_cell = split.datasets // split.replicates
    values = np.asarray(split.n.values, dtype=np.int64)
    components = np.arange(len(split.mixture))
    n, component = (axis.ravel() for axis in np.meshgrid(values, components, indexing="ij"))
    order = rng.permutation(len(n) * per_cell)
    return np.repeat(component, per_cell)[order], np.repeat(n, per_cell)[order]


def _dims(split: Split, component: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw dimensions; components that share a law share its draws."""
    dim_x = np.empty(len(component), np.int64)
    dim_y = np.empty(len(component), np.int64)
    laws = list(dict.fromkeys(each.dims for each in split.mixture))
    law_of = np.array([laws.index(each.dims) for each in split.mixture])[component]
    for position, law in enumerate(laws):
        mask = law_of == position
        dim_x[mask], dim_y[mask] = law.draw(rng, int(mask.sum()))
    return dim_x, dim_y


def _within(split: Split, n: Array, most: Array, rng: np.random.Generator) -> Array:
    """Draw again what exceeds its limit, until nothing does: n follows its law, given that."""
    n = n.copy()
    over = np.flatnonzero(n > most)
    while over.size:
        n[over] = split.n.draw(rng, over.size, integer=True)
        over = over[n[over] > most[over]]
    return n


def pack(sizes: Array, length: int) -> tuple[Array, Array]:
    """Fill shards of `length` values in order; no dataset crosses the end of a shard.

    Args:
        sizes: values of every dataset, at most `length`.
        length: of a shard.

    Returns:
        Shard and offset, in values from the start of the split, of every dataset.
    """
    ends = np.cumsum(sizes)
    shard = np.empty(len(sizes), np.int64)
    offset = np.empty(len(sizes), np.int64)
    start, k, base = 0, 0, 0
    while start < len(sizes):
        stop = int(np.searchsorted(ends, base + length, side="right"))
        assert stop > start, "a dataset is larger than a shard"
        shard[start:stop] = k
        offset[start:stop] = k * length + ends[start:stop] - sizes[start:stop] - base
        start, k, base = stop, k + 1, int(ends[stop - 1])
    return shard, offset
