"""Batches of equal shape from a store, in an order that depends on three integers only.

Networks here need no padding and no mask: rows are i.i.d., so a batch of datasets with the same
dims and similar n is cut down to one n and keeps its labels. Mutual information is symmetric, so
a dataset with dim_x > dim_y is served with its sides exchanged: half as many shapes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from mistdata.store.dataset import MetaDataset, Packed

WINDOW = 64  # shards that are streamed together: 1 GiB of the usual size

# Every n served is one of these (ratio ≤ 9/8): a process that meets ever new shapes never stops
# growing, as allocators and kernels keep something for each.
LADDER = np.unique([10_000, *(r << k for k in range(17) for r in range(8, 16))])


class Batch(NamedTuple):
    """Datasets of one shape; `mi` in nats, `ids` their positions in the store."""

    values: torch.Tensor  # float32 (batch, n, dim_x + dim_y), dim_x ≤ dim_y
    dim_x: int
    mi: torch.Tensor  # float32 (batch,)
    ids: np.ndarray


class Datasets(Protocol):
    """What a loader reads: a MetaDataset, or anything that is read like one."""

    def __len__(self) -> int: ...

    def column(self, name: str) -> np.ndarray:
        """Return n, dim_x, dim_y or mi of every dataset."""

    def read(self, positions: np.ndarray, *, rows: int, skip: np.ndarray) -> Packed:
        """Read `rows` rows of several datasets into one buffer, after those to skip."""


class Epoch(NamedTuple):
    """The batches of one epoch: batch b holds ids[starts[b]:starts[b + 1]], cut to rows[b].

    The rows of dataset ids[k] are cut out after the share skip[k] of those it can spare.
    """

    ids: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    skip: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Position:
    """Where a loader stands: the next batch of an epoch of a seed."""

    seed: int
    epoch: int = 0
    batch: int = 0


def shapes(store: Datasets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    pairs: int = 1 << 62,
    shorten: float = 0.0,
    part: tuple[int, ...] = (),
) -> Epoch:
    """Decide the batches of an epoch: every dataset exactly once.

    Within a group the datasets are ordered by n, jittered by an eighth so that company changes
    from epoch to epoch, and divided evenly into as few batches as the limits allow.

    Args:
        n: rows of every dataset.
        dim_x: columns of X of every dataset.
        dim_y: columns of Y of every dataset.
        position: its seed and epoch decide the order; its batch is not looked at.
        batch_size: most datasets in a batch.
        cells: most cells n (dim_x + dim_y) in a batch of more than one dataset.
        pairs: most pairs of columns (dim_x + dim_y)² in one.
        shorten: share of the batches that are cut down further, to a random rung of the ladder.
        part: numbers the plans of one epoch, where it has several.

    Returns:
        The batches in the order of service.
    """
    rng = np.random.default_rng([position.seed, position.epoch, *part])
    group = shape_groups(n, dim_x, dim_y)
    order = np.lexsort((n * np.exp(rng.uniform(-0.06, 0.06, len(n))), group))
    _, first, members = np.unique(group[order], return_index=True, return_counts=True)
    leader = order[first]
    columns = (dim_x + dim_y)[leader]
    widest = np.exp2(np.frexp(n[leader])[1]) * columns
    limit = np.minimum(cells // widest, pairs // columns**2)
    capacity = np.clip(limit, 1, batch_size).astype(np.int64)
    batches = -(-members // capacity)
    # Batch b of a group of m in k batches starts at ⌊b m / k⌋.
    owner = np.repeat(np.arange(len(first)), batches)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(batches) - batches, batches)
    starts = first[owner] + within * members[owner] // batches[owner]
    rows = np.minimum.reduceat(n[order], starts)
    rungs = np.searchsorted(LADDER, rows, side="right") - 1
    shorter = rng.integers(0, np.maximum(rungs, 0) + 1)
    rungs = np.where(rng.random(len(rungs)) < shorten, np.minimum(shorter, rungs), rungs)
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
    skip = rng.random(len(ids))
    return Epoch(ids[np.arange(len(ids)) + shift], new_starts, rows[turn], skip)


def windows_of(store: MetaDataset, position: Position, window: int) -> list[np.ndarray]:
    """Divide the datasets of an epoch into windows of whole shards, in random order.

    Args:
        store: which datasets.
        position: its seed and epoch decide the order.
        window: shards together.

    Returns:
        The positions of the datasets of every window.
    """
    files = [store.column(name) for name in ("split", "shard")]
    _, split = np.unique(files[0], return_inverse=True)
    _, file = np.unique(split * (files[1].max() + 1) + files[1], return_inverse=True)
    turn = np.random.default_rng([position.seed, position.epoch, 0]).permutation(file.max() + 1)
    number = turn[file] // window
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


class Loader:
    """Serves batches and knows where it stands; an equal position gives equal batches.

    With a `window` it streams: the shards of a window are brought near, whole and several at a
    time, while the one before is served, and batches have datasets of one window only. That is for
    stores on a slow disk, or under a URL, that are larger than what memory or cache can hold.

    Args:
        store: a MetaDataset, or `Resident` values of one.
        position: where to begin.
        batch_size: most datasets in a batch.
        cells: most cells in a batch of more than one dataset.
        pairs: most pairs of columns in one.
        shorten: share of the batches that are cut down to a random number of rows.
        ahead: batches read ahead by one background thread.
        window: shards to stream together; None mixes datasets of the whole store.
        name: of the data.
        origin: what else identifies it: version, hash of the plan, digest of the content.
    """

    def __init__(
        self,
        store: Datasets,
        position: Position,
        *,
        batch_size: int = 32,
        cells: int = 1 << 18,
        pairs: int = 1 << 62,
        shorten: float = 0.0,
        ahead: int = 4,
        window: int | None = None,
        name: str = "",
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        if not len(store):
            raise ValueError("loader: the store holds no dataset of this split")
        self.store, self.position = store, position
        self.batch_size, self.cells, self.ahead = batch_size, cells, ahead
        self.pairs, self.shorten, self.window = pairs, shorten, window
        self.name, self.origin = name, dict(origin or {})
        self.n, self.dim_x, self.dim_y = shapes(store)
        self.mi = store.column("mi")

    def epoch(self) -> Iterator[Batch]:
        """Serve what is left of the present epoch, and step into the next one."""
        seed, epoch, first = self.position.seed, self.position.epoch, self.position.batch
        passed = 0
        for plan in self._plans(first):
            begin = max(0, first - passed)
            for number, batch in enumerate(self._prefetched(plan, range(begin, len(plan))), begin):
                self.position = Position(seed, epoch, passed + number + 1)
                yield batch
            passed += len(plan)
        self.position = Position(seed, epoch + 1)

    def forever(self) -> Generator[Batch]:
        """Serve epoch after epoch."""
        while True:
            yield from self.epoch()

    def state(self) -> dict[str, Any]:
        """Where it stands, as JSON types; a batch is one of the plan of its window."""
        return asdict(self.position) | {"window": self.window}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to where `state` was taken.

        Args:
            state: one without a window, of an earlier version, is taken at its word.

        Raises:
            ValueError: it was taken with another window, whose batches are others.
        """
        window = state.get("window", self.window)
        if window != self.window:
            raise ValueError(
                f"{self.name}: the state is of window = {window}, got {self.window}: a store that"
                " was streamed is streamed on, and no other is"
            )
        self.position = Position(**{k: v for k, v in state.items() if k != "window"})

    def identity(self) -> dict[str, Any]:
        """What identifies the data."""
        return {"name": self.name, **self.origin, "datasets": len(self.store)}

    def _plans(self, first: int) -> Iterator[Epoch]:
        """The plans of the present epoch, of every window; none before batch `first` is read."""
        if self.window is None:
            yield self._plan(np.arange(len(self.store)))
            return
        assert isinstance(self.store, MetaDataset)
        windows = windows_of(self.store, self.position, self.window)
        start, passed = self.position, 0
        with ThreadPoolExecutor(1, thread_name_prefix="windows") as pool:
            near: Future[None] | None = None
            for number, members in enumerate(windows):
                plan = self._plan(members, start, number + 1)
                passed += len(plan)
                if passed > first:
                    (near or pool.submit(self.store.fetch, members)).result()
                    if number + 1 < len(windows):
                        near = pool.submit(self.store.fetch, windows[number + 1])
                yield plan

    def _plan(self, members: np.ndarray, position: Position | None = None, *part: int) -> Epoch:
        """Plan the batches of some datasets."""
        plan = plan_epoch(
            self.n[members],
            self.dim_x[members],
            self.dim_y[members],
            position or self.position,
            batch_size=self.batch_size,
            cells=self.cells,
            pairs=self.pairs,
            shorten=self.shorten,
            part=part,
        )
        return Epoch(members[plan.ids], plan.starts, plan.rows, plan.skip)

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
        part = slice(plan.starts[number], plan.starts[number + 1])
        ids, rows = plan.ids[part], int(plan.rows[number])
        skip = (plan.skip[part] * (self.n[ids] - rows + 1)).astype(np.int64)
        dims = self.dim_x[ids], self.dim_y[ids]
        shape = (len(ids), rows, int(dims[0][0] + dims[1][0]))
        packed = self.store.read(ids, rows=rows, skip=skip).values
        values = torch.as_tensor(packed).view(shape)
        turned = dims[0] > dims[1]
        if turned.any():
            values = values.clone()
            mask = torch.as_tensor(turned, device=values.device)
            values[mask] = values[mask].roll(-int(dims[0].max()), dims=2)
        mi = torch.from_numpy(self.mi[ids].astype(np.float32))
        dim_x = int(min(dims[0][0], dims[1][0]))
        return Batch(values, dim_x, mi, ids)


class Resident:
    """The values of a store, all of them in the memory of one device.

    Args:
        store: a MetaDataset.
        device: 'cpu' or a GPU.
    """

    def __init__(self, store: MetaDataset, device: torch.device | str) -> None:
        self.store = store
        n, dim_x, dim_y = shapes(store)
        self.columns = dim_x + dim_y
        ends = np.cumsum(n * self.columns)
        self.starts = ends - n * self.columns
        self.values = torch.empty(int(ends[-1]), dtype=torch.float32, device=device)
        for first in range(0, len(store), 4096):
            part = np.arange(first, min(first + 4096, len(store)))
            block = torch.from_numpy(store.read(part).values)
            begin = int(self.starts[first])
            self.values[begin : begin + len(block)] = block.to(device)

    def __len__(self) -> int:
        return len(self.store)

    def column(self, name: str) -> np.ndarray:
        """Return a column of the catalog."""
        return self.store.column(name)

    def read(self, positions: np.ndarray, *, rows: int, skip: np.ndarray) -> Packed:
        """Gather datasets of equal columns; the values stay on the device."""
        width = int(self.columns[positions[0]])
        starts = self.starts[positions] + skip * width
        shape = np.stack([np.full(len(positions), rows), self.columns[positions]], axis=1)
        return Packed(self._gather(starts, rows * width), shape)

    def _gather(self, starts: np.ndarray, length: int) -> torch.Tensor:
        """Take `length` values from each start: as blocks on a CPU, in one kernel elsewhere."""
        if self.values.device.type == "cpu":
            return torch.cat([self.values[start : start + length] for start in starts.tolist()])
        first = torch.as_tensor(starts, device=self.values.device)
        inside = torch.arange(length, device=self.values.device)
        return self.values[first[:, None] + inside].flatten()


class Source(Protocol):
    """Where batches come from: a store, a stream of fresh data, or a mixture of such."""

    def forever(self) -> Generator[Batch]:
        """Serve without end."""

    def state(self) -> dict[str, Any]:
        """Where it stands, as JSON types."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go to where `state` was taken."""

    def identity(self) -> dict[str, Any]:
        """What identifies the data."""


class Mixture:
    """Serves batches of several sources in proportion to weights, in an order fixed by them.

    Args:
        sources: at any positions.
        weights: share of the datasets that each is to serve, in any unit.
    """

    def __init__(self, sources: Sequence[Source], weights: Sequence[float]) -> None:
        self.sources, self.weights = tuple(sources), tuple(weights)
        self.served = [0] * len(self.sources)

    def forever(self) -> Generator[Batch]:
        """Serve without end: next comes whoever is furthest behind its share."""
        streams = [source.forever() for source in self.sources]
        try:
            while True:
                owed = [n / weight for n, weight in zip(self.served, self.weights, strict=True)]
                chosen = owed.index(min(owed))
                batch = next(streams[chosen])
                self.served[chosen] += len(batch.ids)
                yield batch
        finally:
            for stream in streams:
                stream.close()

    def state(self) -> dict[str, Any]:
        """Where it stands, as JSON types."""
        return {"served": list(self.served), "sources": [each.state() for each in self.sources]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to where `state` was taken."""
        self.served = list(state["served"])
        for source, saved in zip(self.sources, state["sources"], strict=True):
            source.restore(saved)

    def identity(self) -> dict[str, Any]:
        """What identifies the data: that of every source, and its share."""
        parts = zip(self.sources, self.weights, strict=True)
        return {"mixture": [source.identity() | {"weight": weight} for source, weight in parts]}
