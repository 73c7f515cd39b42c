"""Many samples through the network: those of equal shape together, long ones in parts.

A sample of more rows than the network was trained on is dealt out, as cards are, into the fewest
parts that it was trained on: of C parts the first takes rows 0, C, 2C, ..., the second 1, C + 1,
.... Their quantiles are averaged level by level. No random number is drawn.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from mistdata.estimator.columns import Array
from mistdata.estimator.network import QUERIES, Network
from mistdata.estimator.sample import Sample
from mistdata.threads import one_thread

_CELLS = 1 << 17  # most cells of a batch


class _Part(NamedTuple):
    """Rows start, start + step, ... of a sample."""

    sample: int
    start: int
    step: int


def parts_of(n: int, most: int) -> int:
    """Return into how many parts n rows are dealt, so that none has more than `most`."""
    return math.ceil(n / most)


def quantiles_of(
    network: Network,
    samples: Sequence[Sample],
    *,
    most: int,
    queries: int = QUERIES,
    advance: Callable[[int], None] | None = None,
) -> Array:
    """Return the quantiles of every sample, in nats.

    Args:
        network: in evaluation mode.
        samples: of any shapes.
        most: rows that the network was trained on; longer samples are dealt into parts.
        queries: most rows of a part that the row stream compares with all its rows.
        advance: is told of every batch how many samples it finishes.

    Returns:
        (samples, levels).
    """
    total = np.zeros((len(samples), len(network.config.levels)))
    shapes = _by_shape(samples, most).values()
    batches = [batch for parts in shapes for batch in _batches(samples, parts)]
    for batch, answers in zip(batches, _each(network, samples, batches, queries), strict=True):
        for part, answer in zip(batch, answers, strict=True):
            total[part.sample] += answer / part.step
        if advance is not None:
            advance(sum(part.start + 1 == part.step for part in batch))
    return total


def _each(
    network: Network, samples: Sequence[Sample], batches: Sequence[list[_Part]], queries: int
) -> Iterator[Array]:
    """Answer every batch, in order; on CPUs one batch to a core, which no core waits for."""
    ask = partial(_ask, network, samples, queries=queries)
    cores = min(torch.get_num_threads(), len(batches))
    if cores < 2 or next(network.parameters()).device.type != "cpu":
        yield from map(ask, batches)
        return
    # A thread has a number of threads of its own, so that the pool's must be told, too.
    with one_thread(), ThreadPoolExecutor(cores, "mistdata", torch.set_num_threads, (1,)) as pool:
        yield from pool.map(ask, batches)


def _by_shape(samples: Sequence[Sample], most: int) -> dict[tuple[int, int, int], list[_Part]]:
    """Sort the parts of all samples by dim_x, dim_y and number of rows."""
    shapes = defaultdict(list)
    for index, sample in enumerate(samples):
        n = len(sample.x)
        step = parts_of(n, most)
        for start in range(step):
            rows = len(range(start, n, step))
            shapes[sample.x.shape[1], sample.y.shape[1], rows].append(_Part(index, start, step))
    return shapes


def _batches(samples: Sequence[Sample], parts: list[_Part]) -> Iterator[list[_Part]]:
    """Cut parts of one shape into batches that fit into memory."""
    count = max(1, _CELLS // _rows(samples[parts[0].sample], parts[0]).size)
    for first in range(0, len(parts), count):
        yield parts[first : first + count]


def _rows(sample: Sample, part: _Part) -> Array:
    cut = slice(part.start, None, part.step)
    return np.concatenate([sample.x[cut], sample.y[cut]], axis=1)


def _ask(
    network: Network, samples: Sequence[Sample], batch: list[_Part], *, queries: int
) -> Array:
    """Ask about one batch; the cells are float64, as float32 would tie nearly equal ones."""
    values = np.stack([_rows(samples[part.sample], part) for part in batch])
    dim_x = samples[batch[0].sample].x.shape[1]
    device = next(network.parameters()).device
    with torch.inference_mode():
        # A rare category may not occur in a part: not strict. The whole sample was checked.
        answer = network(torch.from_numpy(values).to(device), dim_x, strict=False, queries=queries)
    return answer.double().cpu().numpy()  # type: ignore[no-any-return]
