"""How much of the machine a fit uses: achieved FLOP/s beside what the device multiplies."""

from __future__ import annotations

import time
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from train.gradients import Gradients
from train.trainer import Trainer


class Utilisation(NamedTuple):
    """What a fit used of its device."""

    flops: float  # of training, per second
    limit: float  # of large matrix products in the precision of the fit, per second
    wait: float  # share of the time spent waiting for data

    def __str__(self) -> str:
        """One line."""
        share = self.flops / self.limit
        return (
            f"{self.flops / 1e9:,.1f} GFLOP/s of {self.limit / 1e9:,.0f} in large matrix products "
            f"({share:.1%}); {self.wait:.2%} of the time waiting for data"
        )


def measure(trainer: Trainer, wait: float, *, batches: int = 12) -> Utilisation:
    """Count the operations of some batches and scale them to the speed of the whole fit.

    Args:
        trainer: at the end of its fit.
        wait: share of the time that it waited for data.
        batches: how many to count; products, convolutions and attention only.
    """
    source = trainer.source.forever()
    rng = np.random.default_rng([trainer.config.seed, trainer.step])
    works = [trainer.work(batch, rng) for batch in islice(source, batches)]
    source.close()
    with FlopCounterMode(display=False) as counter:
        Gradients(trainer.network, trainer.config.long, processes=1).of(works)
    datasets = sum(len(work.batch.ids) for work in works)
    rate = trainer.datasets / trainer.seconds
    flops = counter.get_total_flops() / datasets * rate
    return Utilisation(flops, matrix_rate(trainer.device) * trainer.threads, wait)


def matrix_rate(device: torch.device, *, size: int = 1024, seconds: float = 0.3) -> float:
    """FLOP/s of square matrix products: bfloat16 on a GPU, float32 on one CPU core."""
    cuda = device.type == "cuda"
    if cuda:
        size *= 8
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16 if cuda else torch.float32)
    count = 0
    _ = a @ a
    _finish(cuda)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        _ = a @ a
        _finish(cuda)
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - began)


def _finish(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()
