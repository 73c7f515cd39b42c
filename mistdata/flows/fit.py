"""Fit a flow to a modality by maximum likelihood, with early stopping on held-out rows.

Training is in float32; a state is written now and then, and a fit that was interrupted goes on
bit for bit: what happens at a step is a function of the seed and the step.
"""

from __future__ import annotations

import copy
import math
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mistdata.errors import MistdataError
from mistdata.estimator.checkpoint import (
    optimizer_tensors,
    pack,
    restore_optimizer,
    unpack,
    write_atomically,
)
from mistdata.flows.architecture import Architecture
from mistdata.flows.flow import DESCRIPTION, Flow, describe_flow, save_flow
from mistdata.flows.modality import Modality, require_independent
from mistdata.flows.preparation import Logit, Planes, Principal, Standard

STATE = "state.safetensors"
_EXAMPLE_VALUES = 1 << 14  # most numbers of all examples together
_TINY = 1e-6  # least standard deviation of a coordinate, over the largest


@dataclass(frozen=True)
class FitSettings:
    """How a flow is fitted.

    Args:
        kind: of the layers, see `Architecture`; 'auto' for 'glow' where the modality is images
            whose sides can be halved twice, 'autoregressive' for one column, else 'coupling'.
        layers, hidden, blocks, bins: see `Architecture`; None for its defaults.
        max_dim: most latent coordinates: a code of so many principal components is learned where
            the modality has more columns.
        steps: most of them; the rate falls to a hundredth along a cosine.
        batch_size: rows of a step.
        rate: of AdamW.
        decay: of the weights.
        held_out: share of the rows that is held out.
        every: steps between looks at the held-out rows.
        patience: looks without an improvement after which the fit ends.
        seed: of the split, the weights, the order and the noise.
        examples: held-out rows kept in the flow, to be shown beside what it makes; 0 where data
            are not to be shown. Fewer where rows are large.
    """

    kind: str = "auto"
    layers: int | None = None
    hidden: int | None = None
    blocks: int | None = None
    bins: int | None = None
    max_dim: int | None = None
    steps: int = 4000
    batch_size: int = 256
    rate: float = 2e-3
    decay: float = 1e-3
    held_out: float = 0.1
    every: int = 50
    patience: int = 20
    seed: int = 0
    examples: int = 16

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "every", "patience"):
            if getattr(self, name) < 1:
                raise MistdataError(f"flow-fit: {name} must be at least 1")
        if self.max_dim is not None and self.max_dim < 1:
            raise MistdataError(f"flow-fit: max_dim must be at least 1, got {self.max_dim}")
        if not 0 < self.held_out < 1:
            raise MistdataError(f"flow-fit: held_out must lie in (0, 1), got {self.held_out}")


def divide(count: int, held_out: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the rows that are trained on, and of those held out."""
    order = np.random.default_rng(seed).permutation(count)
    left = max(1, round(held_out * count))
    return order[left:], order[:left]


def _device(name: str) -> torch.device:
    """Return a device, once something could be put there."""
    try:
        return torch.zeros(1, device=name).device
    except (AssertionError, RuntimeError):
        raise MistdataError(f"there is no device {name!r} here; 'cpu' always is") from None


class Fit:
    """A fit at some step.

    Args:
        modality: to look like.
        settings: of the fit.
        device: to compute on.
    """

    def __init__(self, modality: Modality, settings: FitSettings, device: str = "cpu") -> None:
        self.settings, self.modality, self.device = settings, modality, _device(device)
        rows = torch.from_numpy(modality.values.reshape(len(modality), -1))
        train, held_out = divide(len(rows), settings.held_out, settings.seed)
        self.train, self.held_out = rows[train], rows[held_out]
        self.data = modality.sha256
        self.flow, self.about = self._build()
        self.flow.to(self.device, torch.float32)
        self.optimizer = torch.optim.AdamW(
            self.flow.parameters(), lr=settings.rate, weight_decay=settings.decay
        )
        self.step, self.best_step, self.best_loss = 0, 0, math.inf
        self.best = copy.deepcopy(self.flow.state_dict())
        self.losses: list[tuple[int, float, float]] = []
        self._since: list[float] = []

    def _build(self) -> tuple[Flow, dict[str, Any]]:
        """Fit the fixed maps, from the data inwards, and build the layers behind them."""
        modality, settings = self.modality, self.settings
        rows, about = self._levelled(self.train, 0), {}
        steps: list[Any] = []
        size = rows.shape[1]
        count = min(size, settings.max_dim or size)
        if count < size and count >= len(rows):
            raise MistdataError(
                f"flow-fit: --max-dim {count} needs more than {count} rows to learn from, there"
                f" are {len(rows)}"
            )
        if modality.channels_last:
            steps.append(Planes(modality.planes))
            rows = steps[-1].inverse(rows)[0]
        if modality.kind == "embedding" or count < size:
            code, about["variance_kept"] = Principal.of(rows, count)
            steps.append(code)
            rows = code.inverse(rows)[0]
        elif modality.kind == "image":
            steps.append(Logit(modality.levels or 2))
            rows = steps[-1].inverse(rows)[0]
        elif count == size:
            require_independent(rows.numpy(), modality.names)
        standard = Standard.of(rows)
        if (standard.scale < _TINY * standard.scale.max()).any():
            raise MistdataError(
                f"flow-fit: the {size} columns are linearly dependent; --max-dim with fewer"
                " components learns a code of what varies"
            )
        architecture = self._architecture(count, coded=count < size)
        return Flow(architecture, [standard, *steps[::-1]], modality.shape, settings.seed), about

    def _architecture(self, dim: int, *, coded: bool) -> Architecture:
        settings = self.settings
        planes = self.modality.planes if self.modality.kind == "image" and not coded else None
        kind: Any = settings.kind
        if kind == "auto":
            halved = planes is not None and planes[1] % 4 == 0 and planes[2] % 4 == 0
            kind = "glow" if halved else "autoregressive" if dim == 1 else "coupling"
        if kind == "glow" and planes is None:
            raise MistdataError("flow-fit: glow is for images without --max-dim")
        names = ("layers", "hidden", "blocks", "bins")
        given = {name: getattr(settings, name) for name in names}
        given = {name: value for name, value in given.items() if value is not None}
        shape = planes if kind == "glow" and planes is not None else (dim,)
        return Architecture(kind, shape, **given)

    def _levelled(self, rows: Tensor, key: int) -> Tensor:
        """Grey levels of images become continuous: noise of one level's width, by key."""
        if self.modality.kind != "image":
            return rows
        noise = np.random.default_rng([self.settings.seed, 2, key]).random(tuple(rows.shape))
        return rows + torch.from_numpy(noise) - 0.5

    @property
    def done(self) -> bool:
        """Whether the steps are over, or nothing has improved for long."""
        since = (self.step - self.best_step) // self.settings.every
        return self.step >= self.settings.steps or since >= self.settings.patience

    def advance(self) -> None:
        """Take one step, and look at the held-out rows when it is time."""
        settings = self.settings
        size = min(settings.batch_size, len(self.train))
        epoch, place = divmod(self.step, len(self.train) // size)
        order = np.random.default_rng([settings.seed, 1, epoch]).permutation(len(self.train))
        chosen = torch.from_numpy(order[place * size : (place + 1) * size])
        rows = self._levelled(self.train[chosen], self.step + 2)
        self.flow.train()
        loss = -self.flow.log_prob(rows.to(self.device, torch.float32)).mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.flow.parameters(), 5.0)
        done = self.step / settings.steps
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        self.optimizer.step()
        self._since.append(float(loss.detach()))
        self.step += 1
        if self.step % settings.every == 0 or self.step == settings.steps:
            self._look()

    def _look(self) -> None:
        held_out = self.loss(self.held_out)
        self.losses.append((self.step, float(np.mean(self._since)), held_out))
        self._since = []
        if not math.isfinite(held_out):
            raise MistdataError(f"flow-fit: the loss is {held_out} at step {self.step}")
        if held_out < self.best_loss:
            self.best_loss, self.best_step = held_out, self.step
            self.best = copy.deepcopy(self.flow.state_dict())

    def loss(self, rows: Tensor) -> float:
        """Mean negative log-likelihood of rows in nats, with fixed noise."""
        self.flow.eval()
        rows = self._levelled(rows, 1)
        with torch.no_grad():
            parts = [
                self.flow.log_prob(part.to(self.device, torch.float32)).double()
                for part in torch.split(rows, 1024)
            ]
        return -float(torch.cat(parts).mean())

    def save(self, path: Path) -> None:
        """Write the state."""
        tensors = {f"now:{name}": each for name, each in self.flow.state_dict().items()}
        tensors |= {f"best:{name}": each for name, each in self.best.items()}
        state = optimizer_tensors(self.optimizer, self.flow)
        tensors |= {f"optimizer:{name}": each for name, each in state.items()}
        # A tensor of a name of its own: two that share memory are refused.
        copies = {name: tensor.clone() for name, tensor in tensors.items()}
        write_atomically(path, pack(copies, self._record()))

    def _record(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "data": self.data,
            "step": self.step,
            "best_step": self.best_step,
            "best_loss": self.best_loss,
            "losses": self.losses,
            "since": self._since,
        }

    def resume(self, path: Path) -> None:
        """Go back to a saved state.

        Raises:
            MistdataError: it is of other settings or other data.
        """
        tensors, record = unpack(path)
        own = self._record()
        for name in ("settings", "data"):
            if record.get(name) != own[name]:
                raise MistdataError(
                    f"{path}: an interrupted fit of {_other(name, record.get(name), own[name])};"
                    " go on with these, or choose another folder"
                )
        parts: dict[str, dict[str, Tensor]] = {"now": {}, "best": {}, "optimizer": {}}
        for key, tensor in tensors.items():
            part, name = key.split(":", 1)
            parts[part][name] = tensor.to(self.device)
        self.flow.load_state_dict(parts["now"])
        self.best = parts["best"]
        restore_optimizer(self.optimizer, self.flow, parts["optimizer"])
        self.step, self.best_step = record["step"], record["best_step"]
        self.best_loss, self._since = record["best_loss"], record["since"]
        self.losses = [(step, seen, held_out) for step, seen, held_out in record["losses"]]


def fit_flow(
    modality: Modality,
    out: Path | str,
    settings: FitSettings | None = None,
    *,
    device: str = "cpu",
    save_every: int = 100,
    advance: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Fit a flow and write it; the same call again goes on after an interruption.

    After a fit that was finished it has nothing to do.

    Args:
        modality: to look like.
        out: folder of the flow.
        settings: of the fit.
        device: to compute on.
        save_every: steps between saved states.
        advance: is told how many steps were done.

    Returns:
        The record of the fit: settings, rows, steps, held-out loss in nats per row and per
        dimension, for images in bits per dimension, and the identity of the flow.

    Raises:
        MistdataError: `out` holds a flow or an interrupted fit of other settings or data, the
            modality cannot be learned, or there is no such device.
    """
    out = Path(out)
    require_folder(out)
    fit = Fit(modality, settings or FitSettings(), device)
    state = out / STATE
    if (out / DESCRIPTION).exists():
        return _finished(fit, out)
    out.mkdir(parents=True, exist_ok=True)
    if state.exists():
        fit.resume(state)
        if advance is not None:
            advance(fit.step)
    try:
        while not fit.done:
            fit.advance()
            if advance is not None:
                advance(1)
            if fit.step % save_every == 0:
                fit.save(state)
    except KeyboardInterrupt:
        fit.save(state)
        raise
    return _finish(fit, out)


def require_folder(out: Path) -> None:
    """Refuse a folder that holds anything but a flow or an interrupted fit.

    Raises:
        MistdataError: naming what lies there.
    """
    if out.exists() and not out.is_dir():
        raise MistdataError(f"{out}: a file; a flow needs a folder of its own")
    own = {DESCRIPTION, STATE}
    others = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if others and not own & set(others):
        raise MistdataError(f"{out}: holds other files ({others[0]}); choose another folder")


def _finished(fit: Fit, out: Path) -> dict[str, Any]:
    """Return the record of a fit that was finished before, if it is the one that is asked for."""
    description = describe_flow(out)
    record: dict[str, Any] = description["fit"]
    same = record.get("settings") == asdict(fit.settings) and record.get("data_sha256") == fit.data
    if not same:
        raise MistdataError(
            f"{out}: holds a flow of other data or settings already; choose another folder"
        )
    return record | {"identity": description["identity"]}


def _other(name: str, saved: Any, own: Any) -> str:
    """Say how what a fit began with differs from what is asked for now."""
    if name != "settings":
        return "other data"
    differ = [key for key in own if saved.get(key) != own[key]]
    return "other settings: " + ", ".join(f"{key} = {saved.get(key)}" for key in differ)


def _examples(fit: Fit) -> dict[str, Any]:
    """Held-out rows of the modality, as JSON types: {shape, float32 in base64}."""
    settings = fit.settings
    _, held_out = divide(len(fit.modality), settings.held_out, settings.seed)
    most = _EXAMPLE_VALUES // math.prod(fit.modality.shape)
    rows = fit.modality.values[held_out[: min(settings.examples, most)]].astype("<f4")
    return {"shape": list(rows.shape), "float32": b64encode(rows.tobytes()).decode()}


def _finish(fit: Fit, out: Path) -> dict[str, Any]:
    """Write the best flow."""
    if not fit.losses:
        raise MistdataError("flow-fit: no step was taken")
    fit.flow.load_state_dict(fit.best)
    modality, dim = fit.modality, fit.flow.dim
    seen = fit.loss(fit.train)
    record: dict[str, Any] = {
        "settings": asdict(fit.settings),
        "modality": {
            "kind": modality.kind,
            "names": list(modality.names),
            "levels": modality.levels,
        },
        "rows": {"train": len(fit.train), "held_out": len(fit.held_out)},
        "data_sha256": fit.data,
        "steps": fit.step,
        "best_step": fit.best_step,
        "nats": {"train": seen, "held_out": fit.best_loss},
        "nats_per_dim": {"train": seen / dim, "held_out": fit.best_loss / dim},
        "losses": fit.losses,
        "torch": torch.__version__,
        **fit.about,
    }
    if modality.kind == "image" and not fit.about:
        bits = math.log(2) * dim
        record["bits_per_dim"] = {"train": seen / bits, "held_out": fit.best_loss / bits}
    record["examples"] = _examples(fit)
    identity = save_flow(fit.flow.cpu(), out, record)
    (out / STATE).unlink(missing_ok=True)
    return record | {"identity": identity}
