"""One block of datasets, estimated and made durable: what a worker does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from mistdata.baselines.answer import Answer, mean_answer
from mistdata.benchmark.estimators import Estimator, Spec, build
from mistdata.benchmark.results import Header, Row, write_part
from mistdata.errors import MistdataError
from mistdata.store.dataset import Dataset, MetaDataset, open_store
from mistdata.threads import one_thread

_FLUSH_SECONDS = 5.0  # what a kill may cost a worker
_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class Block:
    """Some datasets of a store, for an estimator.

    Attributes:
        store: the folder.
        spec: the estimator.
        header: of the result.
        positions: of the datasets, in the store.
    """

    store: Path
    spec: Spec
    header: Header
    positions: tuple[int, ...]


def work(parts: Path, block: Block) -> int:
    """Estimate the datasets of a block and write their rows; return how many.

    Every process uses one thread, so that as many processes as cores do not hinder each other and
    seconds compare.

    Raises:
        MistdataError: the estimator says that it cannot work at all, or the store is damaged.
    """
    store, estimator = _open(block.store), _build(block.spec)
    rows: list[Row] = []
    flushed = time.monotonic()
    try:
        with one_thread():
            for position in block.positions:
                rows.append(estimate_row(store[position], estimator, block.header))
                if time.monotonic() - flushed > _FLUSH_SECONDS:
                    write_part(parts, block.header, rows)
                    rows, flushed = [], time.monotonic()
    finally:
        if rows:
            write_part(parts, block.header, rows)
    return len(block.positions)


def estimate_row(dataset: Dataset, estimator: Estimator, header: Header) -> Row:
    """Estimate one dataset; what the estimator raises is recorded, not raised.

    Raises:
        MistdataError: the estimator cannot work at all.
    """
    identifier = dataset.row["dataset_id"]
    started = time.perf_counter()
    try:
        answer = _answer(dataset, estimator, header)
    except MistdataError:
        raise
    except Exception as error:  # noqa: BLE001 - a failure of any kind is a result
        failure = f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST_MESSAGE]
        seconds = time.perf_counter() - started
        return Row(identifier, None, None, None, None, None, seconds, failure)
    seconds = time.perf_counter() - started
    return Row(
        identifier,
        answer.estimate,
        answer.lower,
        answer.upper,
        answer.levels or None,
        answer.quantiles or None,
        seconds,
        None,
    )


def _answer(dataset: Dataset, estimator: Estimator, header: Header) -> Answer:
    """Answer from the rows as they are, or with the mean over bootstrap resamples of them.

    Randomness is the dataset's own: it depends on the store's digest and the dataset_id alone.
    """
    identity = header.identity
    seed = np.random.SeedSequence(
        int(identity.digest[:32], 16), spawn_key=(dataset.row["dataset_id"],)
    )
    rng = np.random.default_rng(seed)
    if identity.bootstrap == 0:
        return estimator.answer(dataset, rng)
    n = len(dataset.x)
    drawn = (rng.integers(0, n, n) for _ in range(identity.bootstrap))
    resamples = (replace(dataset, x=dataset.x[rows], y=dataset.y[rows]) for rows in drawn)
    return mean_answer([estimator.answer(each, rng) for each in resamples])


def blocks(
    store: Path, spec: Spec, header: Header, positions: Sequence[int], size: int
) -> list[Block]:
    """Cut the datasets that are left into blocks."""
    return [
        Block(store, spec, header, tuple(positions[start : start + size]))
        for start in range(0, len(positions), size)
    ]


@lru_cache(maxsize=1)
def _open(store: Path) -> MetaDataset:
    return open_store(store)


_last: list[tuple[Spec, Estimator]] = []


def _build(spec: Spec) -> Estimator:
    """Build the estimator, once per process."""
    if not _last or _last[0][0] != spec:
        _last[:] = [(spec, build(spec))]
    return _last[0][1]
