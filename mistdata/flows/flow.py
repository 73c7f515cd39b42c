"""A flow: an injective map from latent rows to a modality, saved as JSON and safetensors.

The folder of a flow holds `flow.json`, the description, with the SHA-256 of the tensors, and
`weights.safetensors`. The identity of a flow is the SHA-256 of its description, so that it changes
with any bit of either file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

import mistdata
from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.estimator.checkpoint import write_atomically
from mistdata.flows.architecture import Architecture, build_layers, quickened
from mistdata.flows.preparation import step_of, step_record
from mistdata.store import ledger
from mistdata.store.place import place

SCHEMA = 1
DESCRIPTION, TENSORS = ledger.FLOW, "weights.safetensors"


class FlowError(MistdataError):
    """A flow that cannot be read, or is not what it says it is."""


class Flow(nn.Module):
    """An injective map from latent rows N(0, I) to rows of a modality.

    Args:
        architecture: of the layers.
        steps: fixed maps after them, see `mistdata.flows.preparation`.
        shape: of one row of the modality.
        seed: of the layers before training.

    Example:
        >>> from mistdata.flows.architecture import Architecture
        >>> flow = Flow(Architecture("coupling", (4,), layers=2), [], (2, 2)).double().eval()
        >>> x = flow.decode(np.zeros((3, 4)))
        >>> x.shape, bool(np.allclose(flow.encode(x), 0, atol=1e-12))
        ((3, 2, 2), True)
    """

    def __init__(
        self,
        architecture: Architecture,
        steps: Sequence[nn.Module],
        shape: tuple[int, ...],
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.architecture, self.shape = architecture, shape
        self.layers = build_layers(architecture, seed)
        self.steps = nn.ModuleList(steps)

    @property
    def dim(self) -> int:
        """Number of latent coordinates."""
        return self.architecture.dim

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map latents (n, dim) to rows (n, *shape), with the log-determinants (n,)."""
        x, total = self.layers(z)
        for step in self.steps:
            x, log_det = step(x)
            total = total + log_det
        return x.reshape(-1, *self.shape), total

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (n, *shape) to latents (n, dim), with the log-determinants (n,)."""
        x = x.reshape(len(x), -1)
        total = x.new_zeros(len(x))
        for step in reversed(self.steps):
            x, log_det = step.inverse(x)  # type: ignore[operator]
            total = total + log_det
        z, log_det = self.layers.inverse(x)  # type: ignore[operator]
        return z, total + log_det

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density of rows (n, *shape), or of their code, in nats."""
        z, log_det = self.inverse(x)
        normal = -0.5 * (z.square() + np.log(2 * np.pi)).sum(dim=1)
        density: Tensor = normal + log_det
        return density

    def decode(self, z: Array) -> Array:
        """Map latents (n, dim) to rows (n, *shape), float64; the flow must be in float64."""
        return self._through(self.forward, z)

    def encode(self, x: Array) -> Array:
        """Map rows (n, *shape) to latents (n, dim), float64; the flow must be in float64."""
        return self._through(self.inverse, x)

    def recover(self, x: Array) -> tuple[Array, float]:
        """Map rows to latents, as `encode`, and hold the log-determinants of both ways together.

        Returns:
            The latents, and the largest |log det of the way back + log det of the way there|,
            which is 0 but for rounding where the one way is the inverse of the other.
        """
        assert next(self.parameters()).dtype == torch.float64 and not self.training
        with torch.inference_mode():
            z, back = self.inverse(torch.from_numpy(np.asarray(x, np.float64)))
            there = self.forward(z)[1]
        return np.asarray(z.numpy()), float((back + there).abs().max())

    def _through(self, way: Any, rows: Array) -> Array:
        assert next(self.parameters()).dtype == torch.float64 and not self.training
        with torch.inference_mode():
            mapped = way(torch.from_numpy(np.asarray(rows, np.float64)))[0]
        return np.asarray(mapped.numpy())


def save_flow(flow: Flow, folder: Path, record: dict[str, Any]) -> str:
    """Write a flow.

    Args:
        flow: to write; the dtype of its tensors is kept.
        folder: made if it is not there.
        record: how it was fitted, as JSON types.

    Returns:
        The identity of the flow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Without any metadata, which safetensors writes in an order of its own.
    tensors = save({name: each.contiguous() for name, each in flow.state_dict().items()})
    description = {
        "schema": SCHEMA,
        "mistdata": mistdata.__version__,
        "architecture": flow.architecture.to_json(),
        "steps": [step_record(step) for step in flow.steps],
        "shape": list(flow.shape),
        "sha256": hashlib.sha256(tensors).hexdigest(),
        "fit": record,
    }
    text = (json.dumps(description, indent=2, sort_keys=True) + "\n").encode()
    # In this order: a description without its tensors would be a broken flow.
    write_atomically(folder / TENSORS, tensors)
    write_atomically(folder / DESCRIPTION, text)
    return hashlib.sha256(text).hexdigest()


def describe_flow(folder: Path) -> dict[str, Any]:
    """Read the description of a flow, with its `identity`.

    Raises:
        FlowError: there is no flow, or one of another schema.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FlowError(f"{folder}: no flow there, it has no {DESCRIPTION}")
    text = path.read_bytes()
    try:
        description: dict[str, Any] = json.loads(text)
    except ValueError:
        raise FlowError(f"{path}: damaged, not JSON") from None
    if description.get("schema") != SCHEMA:
        raise FlowError(f"{path}: schema must be {SCHEMA}, got {description.get('schema')}")
    return description | {"identity": hashlib.sha256(text).hexdigest()}


def load_flow(folder: Path | str) -> Flow:
    """Open a flow, once its tensors are known to be those that its description names.

    Args:
        folder: of the flow; its URL will do.

    Returns:
        The flow in evaluation mode, in float64, on the CPU.

    Raises:
        FlowError: there is no flow, or it was altered.
    """
    folder = place(folder)
    description = describe_flow(folder)
    path = folder / TENSORS
    if not path.is_file():
        raise FlowError(f"{folder}: {TENSORS} is missing")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != description["sha256"]:
        raise FlowError(
            f"{path}: altered; SHA-256 must be {description['sha256'][:12]}, got {found[:12]}"
        )
    try:
        architecture = Architecture.from_json(description["architecture"])
        steps = [step_of(each) for each in description["steps"]]
        flow = Flow(architecture, steps, tuple(description["shape"]))
        flow.load_state_dict(load(content))
    except (KeyError, TypeError, RuntimeError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise FlowError(f"{folder}: not a flow that this version can build: {reason}") from None
    flow.double().eval().requires_grad_(False)
    flow.layers = quickened(flow.layers)
    return flow
