"""Gradients of the batches of a step: one after the other, or on a process for every core.

Processes, as threads that share one interpreter take turns in starting operations. They read the
weights where the optimizer writes them, in shared memory, and every batch gives the same bits
wherever it is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from mistdata.estimator import pinball, stabilise
from train.loader import Batch
from train.workers import Workers

LONG = 300  # rows of the sample that weighs 1
Gradient = tuple[float, list[Tensor]]  # of a loss that is summed over datasets


class Work(NamedTuple):
    """One batch of a step, with everything random about it decided."""

    batch: Batch
    signs: Tensor | None  # (batch, 1, columns): the reflected columns
    prep: str
    queries: int


def reflected(work: Work, device: torch.device) -> Tensor:
    """The values of a batch on a device, with its columns reflected there.

    Args:
        work: the batch, whose values may be on that device already, and whose signs are not.
        device: to compute on.
    """
    values = work.batch.values.to(device)
    return values if work.signs is None else values * work.signs.to(device)


def batch_loss(network: nn.Module, work: Work, long: float) -> Tensor:
    """Pinball loss of a batch on the stabilised scale, summed over its datasets.

    Args:
        network: a `Network` or `Reference`.
        work: the batch.
        long: exponent of n in the weight of a dataset. Long samples are known better: without a
            weight, all effort would go to the short ones.
    """
    batch, levels = work.batch, network.levels
    assert isinstance(levels, Tensor)
    device = levels.device
    values = reflected(work, device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        quantiles = network(
            values, batch.dim_x, prep=work.prep, strict=False, queries=work.queries
        )
    truth = stabilise(batch.mi.to(device))
    loss = pinball(stabilise(quantiles), truth, levels) * len(batch.ids)
    return loss * (batch.values.shape[1] / LONG) ** long


def batch_gradient(network: nn.Module, work: Work, long: float) -> Gradient:
    """Loss of a batch and its gradient."""
    loss = batch_loss(network, work, long)
    gradient = torch.autograd.grad(
        loss, list(network.parameters()), allow_unused=True, materialize_grads=True
    )
    return float(loss.detach()), list(gradient)


class Gradients:
    """Computes the gradients of a step's batches; close it, or use it as a context.

    Args:
        network: whose parameters the optimizer changes in place.
        long: see `batch_loss`.
        processes: at a time; 1 computes in this process.
    """

    def __init__(self, network: nn.Module, long: float, processes: int) -> None:
        self.network, self.long = network, long
        self.pool = None
        if processes > 1:
            network.share_memory()
            self.pool = Workers(processes, _attach, network, long)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the processes."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def of(self, works: Sequence[Work]) -> list[Gradient]:
        """Return the gradients in the order of the batches."""
        if self.pool is None:
            return [batch_gradient(self.network, work, self.long) for work in works]
        jobs = [self.pool.submit(_remote, *_plain(work)) for work in works]
        shapes = [parameter.shape for parameter in self.network.parameters()]
        sizes = [shape.numel() for shape in shapes]
        answers = []
        for job in jobs:
            loss, flat = job.result()
            parts = torch.from_numpy(flat).split(sizes)
            answers.append(
                (loss, [part.view(shape) for part, shape in zip(parts, shapes, strict=True)])
            )
        return answers


_Plain = tuple[np.ndarray, int, np.ndarray, np.ndarray, "np.ndarray | None", str, int]


def _plain(work: Work) -> _Plain:
    """As arrays: a tensor would travel as a file descriptor."""
    batch = work.batch
    signs = None if work.signs is None else work.signs.numpy()
    return (
        batch.values.numpy(), batch.dim_x, batch.mi.numpy(), batch.ids, signs, work.prep,
        work.queries,
    )  # fmt: skip


_attached: list[tuple[nn.Module, float]] = []  # in a process of the pool: what it works for


def _attach(network: nn.Module, long: float) -> None:
    """Begin a process of the pool."""
    _attached.append((network, long))
    torch.set_num_threads(1)


def _remote(
    values: np.ndarray, dim_x: int, mi: np.ndarray, ids: np.ndarray, signs: np.ndarray | None,
    prep: str, queries: int,
) -> tuple[float, np.ndarray]:  # fmt: skip
    """In a process of the pool: the loss, and the gradient as one vector."""
    network, long = _attached[0]
    batch = Batch(torch.from_numpy(values), dim_x, torch.from_numpy(mi), ids)
    reflected = None if signs is None else torch.from_numpy(signs)
    loss, gradient = batch_gradient(network, Work(batch, reflected, prep, queries), long)
    return loss, torch.cat([each.flatten() for each in gradient]).numpy()
