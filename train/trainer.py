"""The training loop as an object whose whole state can be saved and put back, bit for bit."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

import mistdata
from mistdata.estimator import Network, NetworkConfig, Training
from mistdata.estimator.checkpoint import (
    STATE,
    digest_of,
    optimizer_tensors,
    pack,
    restore_optimizer,
    save_weights,
    unpack,
    write_atomically,
)
from mistdata.estimator.pairs import PairBlock
from train.gradients import Gradients, Work
from train.loader import Batch, Source
from train.networks import build, open_network
from train.reference import Reference, ReferenceConfig


@cache
def commit() -> str | None:
    """Name the commit of the checkout that this code is run from.

    Returns:
        The commit, with '-dirty' if files were changed; None without git or outside a checkout.
    """
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--exclude=*"]
    try:
        found = subprocess.run(
            [*command, "--abbrev=40", "--dirty"], capture_output=True, text=True
        )
    except OSError:
        return None
    return found.stdout.strip() or None


@dataclass(frozen=True)
class FitConfig:
    """Everything that decides a fit, apart from the data.

    Args:
        network: the widths, which decide what kind of network it is.
        seed: of the initial weights, the order of the data and the reflections.
        steps: length of the fit in steps; or
        minutes: length of the fit in minutes of training.
        datasets: fewest datasets in a step, which sums the gradients of as many batches, of
            different shapes, as it takes.
        batch_size: most datasets in a batch.
        cells: most cells n D in a batch of more than one dataset: what a core's cache holds.
        pairs: most pairs of columns D² in it.
        shorten: share of the batches that are cut to a random number of rows.
        comparisons: most numbers of the pairs of rows of a dataset that the row stream looks at;
            one batch in four may look at four times as many.
        affine: share of the batches that are prepared by 'affine' instead of 'rank'.
        optimizer: 'muon' for the matrices that it suits, see `make_optimizers`, or 'adamw' alone.
        learning_rate: its peak, of Muon, in units of AdamW; cosine to a hundredth, after a linear
            warm-up.
        warm_up: fraction of the fit.
        weight_decay: of the weight matrices.
        long: exponent of n in the weight of a dataset.
        clip: largest norm of the gradient.
        average: largest decay of the exponential moving average of the weights.
        reflect: reflect random columns (z → -z keeps the mutual information).
        begin: sha256 of the weights that the fit began with, see `Trainer.begin_with`.
    """

    network: NetworkConfig | ReferenceConfig
    seed: int = 0
    steps: int | None = None
    minutes: float | None = None
    datasets: int = 48
    batch_size: int = 32
    cells: int = 1 << 16
    pairs: int = 1 << 14
    shorten: float = 0.35
    comparisons: int = 1 << 18
    affine: float = 1 / 16
    optimizer: str = "muon"
    learning_rate: float = 5e-3
    warm_up: float = 0.03
    weight_decay: float = 0.01
    long: float = 0.15
    clip: float = 1.0
    average: float = 0.998
    reflect: bool = True
    begin: str = ""

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("fit: give either steps or minutes")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise ValueError(f"fit: minutes must be a number > 0, got {self.minutes}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return asdict(self) | {"network": self.network.to_json()}


class Trainer:
    """Weights, their average, the optimizers and the source's position, moved on step by step.

    Args:
        source: of the batches.
        config: of the fit.
        device: to compute on.
        threads: batches of a step that are computed at a time, on the CPU, each in a process on
            one core.
        compile_blocks: compile the pair blocks, once for all shapes; pays on a GPU.
    """

    def __init__(
        self,
        source: Source,
        config: FitConfig,
        device: torch.device | str = "cpu",
        threads: int = 1,
        compile_blocks: bool = False,
    ) -> None:
        self.config, self.source, self.device = config, source, torch.device(device)
        self.threads = threads if self.device.type == "cpu" else 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = build(config.network).to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        if compile_blocks and isinstance(self.network, Network):
            for block in self.network.blocks:
                block.compile(dynamic=True)
        self.parameters = list(self.network.parameters())
        self.optimizers = make_optimizers(self.network, config)
        self.step, self.seconds, self.datasets = 0, 0.0, 0
        self.seen: dict[str, list[float]] = {}
        self.begun: dict[str, Any] = {}

    def begin_with(self, weights: Path | str) -> None:
        """Begin with the weights of another fit instead of random ones.

        Pair blocks that it lacks begin as the identity, so that the network first answers as that
        one does, whatever its depth. Its provenance goes into that of this fit, as `begun`.

        Args:
            weights: name of shipped weights, a file of weights, or the folder of a fit.

        Raises:
            ValueError: if there are none, or they are of other widths or of more blocks.
        """
        known, training = open_network(weights)
        check_grown(str(weights), known.config, self.config.network)
        self.network.load_state_dict(known.state_dict(), strict=False)
        if isinstance(self.network, Network):
            for block in self.network.blocks[len(known.blocks) :]:
                cast(PairBlock, block).silence()
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        ranges = {name: getattr(training, name) for name in ("n", "dim", "mi", "rate")}
        self.seen = {name: [float(low), float(high)] for name, (low, high) in ranges.items()}
        digest = digest_of(weights)
        self.config = replace(self.config, begin=digest)
        self.begun = {
            name: getattr(training, name) for name in ("data", "recipe", "done", "begun")
        }

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
        batches = self.source.forever()
        try:
            with Gradients(self.network, self.config.long, self.threads) as gradients:
                while self.progress < 1 and (until is None or self.step < until):
                    began = time.perf_counter()
                    gathered = self._gather(batches)
                    waited = time.perf_counter() - began
                    figures = self._advance(gathered, gradients)
                    spent = time.perf_counter() - began
                    self.seconds += spent
                    yield figures | {"seconds": round(self.seconds, 3), "wait": waited / spent}
        finally:
            batches.close()

    def _gather(self, batches: Iterator[Batch]) -> list[Work]:
        gathered: list[Work] = []
        rng = np.random.default_rng([self.config.seed, self.step])
        while sum(len(work.batch.ids) for work in gathered) < self.config.datasets:
            batch = next(batches)
            self._note(batch)
            gathered.append(self.work(batch, rng))
        # The longest first, so that the processes end together.
        return sorted(gathered, key=lambda work: -work.batch.values.numel())

    def _note(self, batch: Batch) -> None:
        """Remember the ranges of what was trained on."""
        n, columns = batch.values.shape[1:]
        lowest, highest = (float(edge) for edge in batch.mi.aminmax())
        dims = batch.dim_x, columns - batch.dim_x
        rate = lowest / min(dims), highest / min(dims)
        found = {"n": (n, n), "dim": (min(dims), max(dims)), "mi": (lowest, highest), "rate": rate}
        for name, (low, high) in found.items():
            known = self.seen.setdefault(name, [low, high])
            self.seen[name] = [min(low, known[0]), max(high, known[1])]

    def work(self, batch: Batch, rng: np.random.Generator) -> Work:
        """Decide what is random about a batch of a step.

        Args:
            batch: as the source serves it.
            rng: that decides.
        """
        datasets, n, columns = batch.values.shape
        signs = None
        if self.config.reflect:
            drawn = rng.integers(0, 2, (datasets, 1, columns)) * 2 - 1
            signs = torch.from_numpy(drawn.astype(np.float32))
        prep = "affine" if rng.random() < self.config.affine else "rank"
        comparisons = self.config.comparisons * (4 if rng.random() < 0.25 else 1) // columns
        return Work(batch, signs, prep, max(32, comparisons // n))

    def _advance(self, gathered: Sequence[Work], gradients: Gradients) -> dict[str, float]:
        total = sum(len(work.batch.ids) for work in gathered)
        answers = gradients.of(gathered)
        loss = sum(answer[0] for answer in answers) / total
        for position, parameter in enumerate(self.parameters):
            parts = [gradient[position] for _, gradient in answers]
            parameter.grad = torch.stack(parts).sum(dim=0) / total
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        if not math.isfinite(float(norm)):
            raise FloatingPointError(f"the gradient at step {self.step} is not finite")
        rate = self.config.learning_rate * schedule(self.progress, self.config.warm_up)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self._update_average()
        self.step += 1
        self.datasets += total
        return {
            "step": self.step,
            "datasets": self.datasets,
            "loss": float(loss),
            "norm": float(norm),
            "rate": rate,
        }

    def _update_average(self) -> None:
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)

    def averaged(self) -> Network | Reference:
        """Return a network with the averaged weights, in evaluation mode."""
        network = build(self.config.network).to(self.device)
        network.load_state_dict(self.average)
        return network.eval()

    def training(self) -> Training:
        """Say what the weights were trained on."""
        n, dim = (tuple(int(edge) for edge in self.seen[name]) for name in ("n", "dim"))
        return Training(
            n=(n[0], n[1]),
            dim=(dim[0], dim[1]),
            mi=(self.seen["mi"][0], self.seen["mi"][1]),
            rate=(self.seen["rate"][0], self.seen["rate"][1]),
            data=self.source.identity(),
            recipe=self.config.to_json(),
            done={
                "steps": self.step,
                "datasets": self.datasets,
                "seconds": round(self.seconds),
                "device": self.device.type,
                "threads": self.threads,
                "mistdata": mistdata.__version__,
                "commit": commit(),
                "torch": torch.__version__,
            },
            begun=self.begun,
        )

    def save(self, folder: Path) -> None:
        """Write the checkpoint: averaged weights with their provenance, and the state."""
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(folder, self.config.network, self.average, self.training())
        parts: dict[str, dict[str, Tensor]] = {
            "network": self.network.state_dict(),
            "average": self.average,
        }
        for number, optimizer in enumerate(self.optimizers):
            parts[f"optimizer{number}"] = optimizer_tensors(optimizer, self.network)
        tensors = {f"{part}:{k}": v for part, named in parts.items() for k, v in named.items()}
        write_atomically(folder / STATE, pack(tensors, self._record()))

    def _record(self) -> dict[str, Any]:
        return {
            "data": self.source.identity(),
            "config": self.config.to_json(),
            "step": self.step,
            "seconds": self.seconds,
            "datasets": self.datasets,
            "source": self.source.state(),
            "seen": self.seen,
            "begun": self.begun,
        }

    def resume(self, folder: Path) -> None:
        """Go back to a saved state.

        Args:
            folder: of the checkpoint.

        Raises:
            ValueError: if the state is of other data or another fit.
        """
        if not (folder / STATE).is_file():
            raise ValueError(f"{folder}: nothing to resume, it has no {STATE}")
        tensors, record = unpack(folder / STATE)
        check_same_fit(folder, record, self._record())
        self.network.load_state_dict(_part(tensors, "network", self.device))
        self.average = _part(tensors, "average", self.device)
        for number, optimizer in enumerate(self.optimizers):
            saved = _part(tensors, f"optimizer{number}", self.device)
            restore_optimizer(optimizer, self.network, saved)
        self.step, self.seconds = record["step"], record["seconds"]
        self.datasets, self.seen = record["datasets"], record["seen"]
        self.begun = record["begun"]
        self.source.restore(record["source"])


def make_optimizers(network: torch.nn.Module, config: FitConfig) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks and the row stream, AdamW for everything else.

    Muon replaces the gradient of a matrix by the nearest orthogonal one; its rate is scaled to the
    size of AdamW's steps, so that both share a rate. The reference has neither blocks nor rows in
    this sense: all of it is AdamW's.

    References:
        Muon is scalable for LLM training (Liu et al., 2025), arXiv 2502.16982.
    """
    inner = ("blocks.", "rows.", "pool.")
    matrices, others, plain = [], [], []
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2:
            plain.append(parameter)
        elif config.optimizer == "muon" and name.startswith(inner):
            matrices.append(parameter)
        else:
            others.append(parameter)
    decay = config.weight_decay
    adam = torch.optim.AdamW(
        [{"params": others, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}],
        lr=0.0,
        betas=(0.9, 0.98),
    )
    if not matrices:
        return [adam]
    muon = torch.optim.Muon(matrices, lr=0.0, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return [adam, muon]


def _part(tensors: dict[str, Tensor], part: str, device: torch.device) -> dict[str, Tensor]:
    """Copy the tensors of one part of a state, without its prefix, into memory of their own."""
    prefix = f"{part}:"
    chosen = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors[name].to(device, copy=True) for name in chosen}


def check_same_fit(folder: Path, saved: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to resume a state of other data or another fit.

    Args:
        folder: named in the message.
        saved: record of the state.
        asked: record of the fit that wants to go on.

    Raises:
        ValueError: in one line, naming the first difference.
    """
    if saved["data"] != asked["data"]:
        raise ValueError(f"{folder}: the fit belongs to {saved['data']}, got {asked['data']}")
    check_same_config(folder, saved["config"], asked["config"])


def check_same_config(folder: Path, saved: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse settings other than those of a fit.

    Args:
        folder: named in the message.
        saved: settings of the fit, as JSON types.
        asked: those asked for.

    Raises:
        ValueError: in one line, naming the first difference.
    """
    for name in sorted(asked):
        before, now = saved.get(name), asked[name]
        if before != now:
            raise ValueError(f"{folder}: fitted with {name} = {before}, asked for {now}")


def check_grown(
    name: str, known: NetworkConfig | ReferenceConfig, asked: NetworkConfig | ReferenceConfig
) -> None:
    """Refuse to begin with the weights of other widths, or of more blocks.

    Args:
        name: of the weights, for the message.
        known: their widths.
        asked: those of the network that shall begin with them.

    Raises:
        ValueError: naming the first difference.
    """
    before, now = known.to_json(), asked.to_json()
    if before.get("kind") == now.get("kind") and before.get("blocks", 0) <= now.get("blocks", 0):
        before["blocks"] = now.get("blocks")
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise ValueError(
                f"{name}: cannot begin with it: it has {key} = {before.get(key)}, "
                f"the network asked for {now.get(key)}"
            )


def schedule(progress: float, warm_up: float) -> float:
    """Linear warm-up, then half a cosine from 1 down to 0.01."""
    if progress < warm_up:
        return (progress + 1e-3) / (warm_up + 1e-3)
    done = (progress - warm_up) / (1 - warm_up)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
