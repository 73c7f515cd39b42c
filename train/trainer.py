"""The training loop as an object whose whole state can be saved and put back, bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mistdata.estimator import NetworkConfig, PairStream, Training, pinball, stabilise
from mistdata.estimator.checkpoint import (
    STATE,
    optimizer_tensors,
    pack,
    restore_optimizer,
    save_config,
    save_weights,
    unpack,
    write_atomically,
)
from mistdata.store.dataset import MetaDataset
from train.loader import Batch, Loader, Position


@dataclass(frozen=True)
class FitConfig:
    """Everything that decides a fit, apart from the store.

    Args:
        network: the widths.
        seed: of the initial weights, the order of the data and the reflections.
        steps: length of the fit in steps; or
        minutes: length of the fit in minutes of training.
        datasets: fewest datasets in a step, which sums the gradients of as many batches, of
            different shapes, as it takes.
        batch_size: most datasets in a batch.
        cells: most cells in a batch.
        learning_rate: its peak; cosine to a hundredth, after a linear warm-up.
        warm_up: fraction of the fit.
        weight_decay: of the weight matrices.
        clip: largest norm of the gradient.
        average: largest decay of the exponential moving average of the weights.
        reflect: reflect random columns (z → -z keeps the mutual information).
    """

    network: NetworkConfig
    seed: int = 0
    steps: int | None = None
    minutes: float | None = None
    datasets: int = 48
    batch_size: int = 32
    cells: int = 1 << 17
    learning_rate: float = 3e-3
    warm_up: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.995
    reflect: bool = True

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("fit: give either steps or minutes")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise ValueError(f"fit: minutes must be a number > 0, got {self.minutes}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return asdict(self) | {"network": self.network.to_json()}


class Trainer:
    """Weights, their average, the optimizer and the loader's position, moved on step by step.

    Args:
        store: the training split.
        digest: identifies the store's content; a state is bound to it.
        config: of the fit.
        device: to compute on.
    """

    def __init__(
        self,
        store: MetaDataset,
        digest: str,
        config: FitConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.digest, self.device = config, digest, torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = PairStream(config.network).to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self._groups(), lr=0.0, betas=(0.9, 0.98))
        self.loader = Loader(
            store, Position(config.seed), batch_size=config.batch_size, cells=config.cells
        )
        self.step, self.seconds, self.datasets = 0, 0.0, 0

    def _groups(self) -> list[dict[str, Any]]:
        parameters = list(self.network.parameters())
        return [
            {
                "params": [p for p in parameters if p.ndim > 1],
                "weight_decay": self.config.weight_decay,
            },
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]

    @property
    def progress(self) -> float:
        """How much of the fit is done, from 0 to 1."""
        if self.config.steps is not None:
            return self.step / self.config.steps
        return self.seconds / (60 * (self.config.minutes or 0.0))

    def run(self, until: int | None = None) -> Iterator[dict[str, float]]:
        """Train until the end of the fit, yielding the figures of every step.

        Args:
            until: stop before this step.
        """
        batches = self.loader.forever()
        try:
            while self.progress < 1 and (until is None or self.step < until):
                began = time.perf_counter()
                figures = self._advance(self._gather(batches))
                self.seconds += time.perf_counter() - began
                yield figures | {"seconds": round(self.seconds, 3)}
        finally:
            batches.close()

    def _gather(self, batches: Iterator[Batch]) -> list[Batch]:
        gathered: list[Batch] = []
        while sum(len(batch.ids) for batch in gathered) < self.config.datasets:
            gathered.append(next(batches))
        return gathered

    def _advance(self, batches: list[Batch]) -> dict[str, float]:
        total = sum(len(batch.ids) for batch in batches)
        loss = sum(self._backward(*item, total) for item in enumerate(batches))
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        if not math.isfinite(float(norm)):
            raise FloatingPointError(f"the gradient at step {self.step} is not finite")
        rate = self.config.learning_rate * schedule(self.progress, self.config.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._update_average()
        self.step += 1
        self.datasets += total
        return {"step": self.step, "loss": float(loss), "norm": float(norm), "rate": rate}

    def _backward(self, number: int, batch: Batch, total: int) -> float:
        values = batch.values
        if self.config.reflect:
            values = reflected(values, [self.config.seed, self.step, number])
        cuda = self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=cuda):
            quantiles = self.network(values.to(self.device), batch.dim_x, strict=False)
        truth = stabilise(batch.mi.to(self.device))
        loss = pinball(stabilise(quantiles), truth, self.network.levels) * len(batch.ids) / total
        loss.backward()
        return float(loss.detach())

    def _update_average(self) -> None:
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)

    def averaged(self) -> PairStream:
        """Return a network with the averaged weights."""
        network = PairStream(self.config.network).to(self.device)
        network.load_state_dict(self.average)
        return network

    def training(self) -> Training:
        """Say what the weights were trained on."""
        loader = self.loader
        dims = np.concatenate([loader.dim_x, loader.dim_y])
        return Training(
            store=self.digest,
            n=(int(loader.n.min()), int(loader.n.max())),
            dim=(int(dims.min()), int(dims.max())),
            mi=(float(loader.mi.min()), float(loader.mi.max())),
            recipe=self.config.to_json(),
        )

    def save(self, folder: Path) -> None:
        """Write the checkpoint: config, averaged weights, state."""
        folder.mkdir(parents=True, exist_ok=True)
        save_config(folder, self.config.network, self.training())
        save_weights(folder, self.average, {"step": self.step})
        parts = {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": optimizer_tensors(self.optimizer, self.network),
        }
        tensors = {f"{part}:{k}": v for part, named in parts.items() for k, v in named.items()}
        write_atomically(folder / STATE, pack(tensors, self._record()))

    def _record(self) -> dict[str, Any]:
        return {
            "store": self.digest,
            "config": self.config.to_json(),
            "step": self.step,
            "seconds": self.seconds,
            "datasets": self.datasets,
            "loader": asdict(self.loader.position),
        }

    def resume(self, folder: Path) -> None:
        """Go back to a saved state.

        Args:
            folder: of the checkpoint.

        Raises:
            ValueError: if the state is of another store or another fit.
        """
        if not (folder / STATE).is_file():
            raise ValueError(f"{folder}: nothing to resume, it has no {STATE}")
        tensors, record = unpack(folder / STATE)
        check_same_fit(folder, record, self._record())
        named = {
            part: _part(tensors, part, self.device) for part in ("network", "average", "optimizer")
        }
        self.network.load_state_dict(named["network"])
        self.average = named["average"]
        restore_optimizer(self.optimizer, self.network, named["optimizer"])
        self.step, self.seconds = record["step"], record["seconds"]
        self.datasets = record["datasets"]
        self.loader.position = Position(**record["loader"])


def _part(tensors: dict[str, Tensor], part: str, device: torch.device) -> dict[str, Tensor]:
    """Copy the tensors of one part of a state, without its prefix, into memory of their own."""
    prefix = f"{part}:"
    chosen = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors[name].to(device, copy=True) for name in chosen}


def check_same_fit(folder: Path, saved: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to resume a state of another store or another fit.

    Args:
        folder: named in the message.
        saved: record of the state.
        asked: record of the fit that wants to go on.

    Raises:
        ValueError: in one line, naming the first difference.
    """
    if saved["store"] != asked["store"]:
        raise ValueError(
            f"{folder}: the checkpoint belongs to store {saved['store']}, got {asked['store']}"
        )
    for name in sorted(asked["config"]):
        before, now = saved["config"].get(name), asked["config"][name]
        if before != now:
            raise ValueError(f"{folder}: fitted with {name} = {before}, asked for {now}")


def schedule(progress: float, warm_up: float) -> float:
    """Linear warm-up, then half a cosine from 1 down to 0.01."""
    if progress < warm_up:
        return (progress + 1e-3) / (warm_up + 1e-3)
    done = (progress - warm_up) / (1 - warm_up)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def reflected(values: Tensor, key: list[int]) -> Tensor:
    """Change the sign of about half of the columns of every dataset.

    Args:
        values: (batch, n, columns).
        key: decides which.
    """
    batch, _, columns = values.shape
    signs = np.random.default_rng(key).integers(0, 2, (batch, 1, columns)) * 2 - 1
    return values * torch.from_numpy(signs.astype(np.float32))
