"""Endless fresh data: a recipe's datasets, made while the network trains, never stored.

Worker processes compute whole shards, as `mistdata generate` does; a *pool* of them is batched
like a store while the next pool is being made. Pool p of a recipe holds the shards p m to
(p + 1) m - 1 of its split 'train'; when they run out, the recipe goes on with another seed. So
what is served is a pure function of the recipe, and a saved position resumes exactly.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.pipeline.generate import generate_shard
from mistdata.pipeline.plan import Plan, make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.store.dataset import Packed
from train.loader import Batch, Loader, Position
from train.workers import Workers

SPLIT = "train"
TURN = 1_000_000_007
Shard = tuple[np.ndarray, dict[str, np.ndarray]]


class Pool:
    """Datasets in memory, read like a store.

    Args:
        shards: what `make_shard` gives.
    """

    def __init__(self, shards: list[Shard]) -> None:
        names = ("n", "dim_x", "dim_y", "mi")
        self.columns = {
            name: np.concatenate([table[name] for _, table in shards]) for name in names
        }
        starts = np.cumsum([0, *(len(values) for values, _ in shards[:-1])])
        self.offsets = np.concatenate(
            [table["offset"] + start for (_, table), start in zip(shards, starts, strict=True)]
        )
        self.values = np.concatenate([values for values, _ in shards])

    def __len__(self) -> int:
        return len(self.offsets)

    def column(self, name: str) -> np.ndarray:
        """Return n, dim_x, dim_y or mi of every dataset."""
        return self.columns[name]

    def read(self, positions: np.ndarray, *, rows: int, skip: np.ndarray) -> Packed:
        """Read `rows` rows of several datasets, after those to skip."""
        dim_x, dim_y = (self.columns[name][positions] for name in ("dim_x", "dim_y"))
        width = dim_x + dim_y
        starts = self.offsets[positions] + skip * width
        parts = [
            self.values[start : start + rows * columns]
            for start, columns in zip(starts, width, strict=True)
        ]
        shape = np.stack([np.full(len(positions), rows), dim_x, dim_y], axis=1)
        return Packed(np.concatenate(parts), shape)


@lru_cache(maxsize=4)
def _plan(text: str, source: str, turn: int) -> Plan:
    recipe = parse_recipe(text, source)
    splits = tuple(split for split in recipe.splits if split.name == SPLIT)
    if not splits:
        raise ValueError(f"{source}: no split '{SPLIT}' to stream")
    # Far from the seeds of other recipes, which people number one after the other.
    return make_plan(replace(recipe, seed=recipe.seed + turn * TURN, splits=splits))


@cache
def _shards(text: str, source: str, turn: int) -> int:
    return len(_plan(text, source, turn).shards)


def _place(text: str, source: str, number: int, turn: int) -> tuple[Plan, int]:
    """The plan that holds a shard, and its number in it; those of other seeds differ in length."""
    while number >= _shards(text, source, turn):
        number -= _shards(text, source, turn)
        turn += 1
    return _plan(text, source, turn), number


def make_shard(text: str, source: str, number: int, turn: int = 0) -> Shard:
    """Compute the `number`-th shard of a recipe, in any process.

    Args:
        text: of the recipe.
        source: its name in messages.
        number: beyond the recipe's shards, those of other seeds follow.
        turn: which of the seeds comes first.

    Returns:
        The values, and n, dim_x, dim_y, mi and offset of every dataset.
    """
    plan, index = _place(text, source, number, turn)
    shard = plan.shards[index]
    values, labels = generate_shard(plan, shard)
    planned = plan.datasets(shard.start, shard.stop)
    table = {
        name: np.array([getattr(each, name) for each in planned])
        for name in ("n", "dim_x", "dim_y")
    }
    table["offset"] = np.array([each.span.start for each in planned])
    table["mi"] = np.array([label.mi for label in labels])
    return values, table


class Stream:
    """Serves fresh batches of one recipe without end.

    Args:
        recipe: path of the TOML file.
        seed: of the order within a pool.
        workers: processes that make shards.
        shards: of a pool.
        options: of the `Loader` of a pool: batch_size, cells, shorten.
    """

    def __init__(
        self, recipe: Path, seed: int, *, workers: int, shards: int = 16, **options: Any
    ) -> None:
        self.text, self.source = recipe.read_text(), str(recipe)
        self.plan = _plan(self.text, self.source, 0)
        self.seed, self.workers, self.shards, self.options = seed, workers, shards, options
        self.pool, self.batch = 0, 0

    def forever(self) -> Generator[Batch]:
        """Serve pool after pool."""
        with Workers(self.workers) as workers:
            try:
                coming = self._order(workers, self.pool)
                while True:
                    pool = Pool([future.result() for future in coming])
                    coming = self._order(workers, self.pool + 1)
                    yield from self._serve(pool)
                    self.pool, self.batch = self.pool + 1, 0
            finally:
                workers.shutdown(wait=False, cancel_futures=True)

    def _order(self, workers: Workers, pool: int) -> list[Future[Shard]]:
        first = pool * self.shards
        return [
            workers.submit(make_shard, self.text, self.source, number)
            for number in range(first, first + self.shards)
        ]

    def _serve(self, pool: Pool) -> Iterator[Batch]:
        loader = Loader(pool, Position(self.seed, self.pool, self.batch), **self.options)
        for batch in loader.epoch():
            self.batch = loader.position.batch
            yield batch

    def state(self) -> dict[str, Any]:
        """Where it stands, as JSON types."""
        return {"pool": self.pool, "batch": self.batch}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to where `state` was taken."""
        self.pool, self.batch = state["pool"], state["batch"]

    def identity(self) -> dict[str, Any]:
        """What identifies the data."""
        recipe = self.plan.recipe
        return {"name": recipe.name, "version": recipe.version, "plan": self.plan.hash}
