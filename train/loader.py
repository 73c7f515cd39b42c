"""Batches of equal shape from a store, in an order that depends on three integers only.

Networks here need no padding and no mask: rows are i.i.d., so a batch of datasets with the same
dims and similar n is cut down to one n and keeps its labels. Mutual information is symmetric, so
a dataset with dim_x > dim_y is served with its sides exchanged: half as many shapes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from mistdata.store.dataset import MetaDataset

# Every n served is one of these (ratio ≤ 4/3): a process that meets ever new shapes never stops
# growing, as allocators and kernels keep something for each.
LADDER = np.array([r << k for k in range(17) for r in (8, 10, 12, 14)])


class Batch(NamedTuple):
    """Datasets of one shape; `mi` in nats, `ids` their positions in the store."""

    values: torch.Tensor  # float32 (batch, n, dim_x + dim_y), dim_x ≤ dim_y
    dim_x: int
    mi: torch.Tensor  # float32 (batch,)
    ids: np.ndarray


class Epoch(NamedTuple):
    """The batches of one epoch: batch b holds ids[starts[b]:starts[b + 1]], cut to rows[b]."""

    ids: np.ndarray
    starts: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Position:
    """Where a loader stands: the next batch of an epoch of a seed."""

    seed: int
    epoch: int = 0
    batch: int = 0


def shapes(store: MetaDataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return n, dim_x and dim_y of every dataset, int64."""
    n, dim_x, dim_y = (store.column(name).astype(np.int64) for name in ("n", "dim_x", "dim_y"))
    return n, dim_x, dim_y


def shape_groups(n: np.ndarray, dim_x: np.ndarray, dim_y: np.ndarray) -> np.ndarray:
    """Number the groups that may share a batch: equal unordered dims, n within a factor of 2."""
    low, high = np.minimum(dim_x, dim_y), np.maximum(dim_x, dim_y)
    octave = np.frexp(n)[1]
    return (low * (high.max() + 1) + high) * 64 + octave


def plan_epoch(
    n: np.ndarray,
    dim_x: np.ndarray,
    dim_y: np.ndarray,
    position: Position,
    *,
    batch_size: int,
    cells: int,
) -> Epoch:
    """Decide the batches of an epoch: every dataset exactly once.

    Within a group the datasets are ordered by n, jittered by a quarter so that company changes
    from epoch to epoch, and divided evenly into as few batches as the limits allow.

    Args:
        n: rows of every dataset.
        dim_x: columns of X of every dataset.
        dim_y: columns of Y of every dataset.
        position: its seed and epoch decide the order; its batch is not looked at.
        batch_size: most datasets in a batch.
        cells: most cells n (dim_x + dim_y) in a batch of more than one dataset.

    Returns:
        The batches in the order of service.
    """
    rng = np.random.default_rng([position.seed, position.epoch])
    group = shape_groups(n, dim_x, dim_y)
    order = np.lexsort((n * np.exp(rng.uniform(-0.125, 0.125, len(n))), group))
    _, first, members = np.unique(group[order], return_index=True, return_counts=True)
    leader = order[first]
    widest = np.exp2(np.frexp(n[leader])[1]) * (dim_x + dim_y)[leader]
    capacity = np.clip(cells // widest, 1, batch_size).astype(np.int64)
    batches = -(-members // capacity)
    # Batch b of a group of m in k batches starts at ⌊b m / k⌋.
    owner = np.repeat(np.arange(len(first)), batches)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(batches) - batches, batches)
    starts = first[owner] + within * members[owner] // batches[owner]
    rows = np.minimum.reduceat(n[order], starts)
    rungs = np.searchsorted(LADDER, rows, side="right") - 1
    rows = np.where(rungs < 0, rows, LADDER[rungs])
    return _shuffled(order, starts, rows, rng)


def _shuffled(
    ids: np.ndarray, starts: np.ndarray, rows: np.ndarray, rng: np.random.Generator
) -> Epoch:
    """Put the batches in random order."""
    sizes = np.diff(starts, append=len(ids))
    turn = rng.permutation(len(starts))
    new_starts = np.concatenate([[0], np.cumsum(sizes[turn])])
    shift = np.repeat(starts[turn] - new_starts[:-1], sizes[turn])
    return Epoch(ids[np.arange(len(ids)) + shift], new_starts, rows[turn])


class Loader:
    """Serves batches and knows where it stands; an equal position gives equal batches.

    Args:
        store: a MetaDataset.
        position: where to begin.
        batch_size: most datasets in a batch.
        cells: most cells in a batch of more than one dataset.
        ahead: batches read ahead by one background thread.
    """

    def __init__(
        self,
        store: MetaDataset,
        position: Position,
        *,
        batch_size: int = 32,
        cells: int = 1 << 18,
        ahead: int = 4,
    ) -> None:
        if not len(store):
            raise ValueError("loader: the store holds no dataset of this split")
        self.store, self.position = store, position
        self.batch_size, self.cells, self.ahead = batch_size, cells, ahead
        self.n, self.dim_x, self.dim_y = shapes(store)
        self.mi = store.column("mi")

    def epoch(self) -> Iterator[Batch]:
        """Serve what is left of the present epoch, and step into the next one."""
        seed, epoch, first = self.position.seed, self.position.epoch, self.position.batch
        plan = plan_epoch(
            self.n,
            self.dim_x,
            self.dim_y,
            self.position,
            batch_size=self.batch_size,
            cells=self.cells,
        )
        for number, batch in enumerate(self._prefetched(plan, range(first, len(plan))), first + 1):
            self.position = Position(seed, epoch, number)
            yield batch
        self.position = Position(seed, epoch + 1)

    def forever(self) -> Iterator[Batch]:
        """Serve epoch after epoch."""
        while True:
            yield from self.epoch()

    def _prefetched(self, plan: Epoch, numbers: Sequence[int]) -> Iterator[Batch]:
        with ThreadPoolExecutor(1, thread_name_prefix="loader") as pool:
            pending: deque[Future[Batch]] = deque()
            try:
                for number in numbers:
                    pending.append(pool.submit(self._read, plan, number))
                    if len(pending) > self.ahead:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def _read(self, plan: Epoch, number: int) -> Batch:
        ids = plan.ids[plan.starts[number] : plan.starts[number + 1]]
        rows = int(plan.rows[number])
        dims = self.dim_x[ids], self.dim_y[ids]
        packed = self.store.read(ids, rows=rows)
        values = packed.values.reshape(len(ids), rows, int(dims[0][0] + dims[1][0]))
        turned = dims[0] > dims[1]
        if turned.any():
            values = values.copy()
            values[turned] = np.roll(values[turned], -int(dims[0].max()), axis=2)
        mi = torch.from_numpy(self.mi[ids].astype(np.float32))
        dim_x = int(min(dims[0][0], dims[1][0]))
        return Batch(torch.from_numpy(values), dim_x, mi, ids)
