"""Weights and training states as safetensors, written atomically; never pickle.

A file of weights says in its header what it is: the widths of the network, its kind if it is
another than `Network`, and its provenance, the stores, the settings and the hours that it was
trained with. A folder of a fit holds `weights.safetensors` and `state.safetensors`: every tensor
of the training state, with its numbers as JSON in the same file, so that one rename moves the
whole state from one step to the next.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mistdata.errors import did_you_mean
from mistdata.estimator.config import NetworkConfig
from mistdata.estimator.network import Network

SCHEMA = 2
WEIGHTS, STATE = "weights.safetensors", "state.safetensors"
OFFSETS = "offsets"  # the tensor of the split-conformal layer among the weights
SHIPPED = Path(__file__).parent / "weights"
# How a network of each kind is built from its record; one without a "kind" is a `Network`.
KINDS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "network": lambda record: Network(NetworkConfig.from_json(record))
}


class Widths(Protocol):
    """What describes a network: `NetworkConfig`, or that of another kind, which names it."""

    def to_json(self) -> dict[str, Any]:
        """Return the widths as JSON types, with the "kind" of any but a `Network`."""


@dataclass(frozen=True)
class Training:
    """What a network was trained on, so that answers beyond it can be flagged.

    Args:
        n: smallest and largest number of rows.
        dim: smallest and largest number of columns of a side.
        mi: smallest and largest mutual information in nats.
        rate: the same over the columns of the smaller side.
        data: what identifies the data: names, digests or plans, and shares.
        recipe: the settings of the fit, as JSON types.
        done: how far it went: steps, datasets, seconds, device, mistdata's version.
        begun: the same of the weights that it began with, if they were not random.
    """

    n: tuple[int, int]
    dim: tuple[int, int]
    mi: tuple[float, float]
    rate: tuple[float, float] = (0.0, math.inf)
    data: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    done: dict[str, Any] = field(default_factory=dict)
    begun: dict[str, Any] = field(default_factory=dict)

    def outside(self, n: int, dim_x: int, dim_y: int) -> list[str]:
        """Say what of a sample lies outside the trained range.

        Args:
            n: rows.
            dim_x: columns of X.
            dim_y: columns of Y.
        """
        asked = (("n", n, self.n), ("dim_x", dim_x, self.dim), ("dim_y", dim_y, self.dim))
        return [
            f"{name} = {value} lies outside the trained range {least}..{most}"
            for name, value, (least, most) in asked
            if not least <= value <= most
        ]

    def largest(self, dim_x: int, dim_y: int) -> float:
        """Return the largest mutual information trained on for so many columns, in nats.

        Args:
            dim_x: columns of X.
            dim_y: columns of Y.
        """
        return min(self.mi[1], self.rate[1] * min(dim_x, dim_y))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, finds the old content or the new one.

    On any error the old one stays, and nothing else.

    Args:
        path: of the file; its folder exists.
        content: all of it.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def pack(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> bytes:
    """Return the bytes of a safetensors file that carries `record` as JSON in its header."""
    dense = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(dense, {"schema": str(SCHEMA), "record": json.dumps(record, sort_keys=True)})


def unpack(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `pack` wrote.

    Args:
        path: of the file.

    Returns:
        The tensors, on the CPU, and the record.

    Raises:
        ValueError: if the file is damaged or of another schema.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from error
    if header.get("schema") != str(SCHEMA):
        raise ValueError(f"{path}: schema must be {SCHEMA}, got {header.get('schema')}")
    return tensors, json.loads(header["record"])


def save_weights(
    path: Path,
    config: Widths,
    weights: Mapping[str, Tensor],
    training: Training,
    offsets: Tensor | None = None,
) -> None:
    """Write a file that can estimate.

    Args:
        path: the file, or the folder of a fit.
        config: widths of the network.
        weights: its parameters.
        training: what it was trained on.
        offsets: of the split-conformal layer, if it was calibrated.
    """
    record = {"network": config.to_json(), "training": asdict(training)}
    layer = {} if offsets is None else {OFFSETS: offsets}
    path = path / WEIGHTS if path.is_dir() else path
    write_atomically(path, pack({**weights, **layer}, record))


def find_weights(name: Path | str) -> Path:
    """The file behind the name of shipped weights, a file, or the folder of a fit.

    Args:
        name: a shipped name, as text, comes before a path that is called alike; './small' is a
            path, and so is every `Path`.

    Raises:
        ValueError: if there is none.
    """
    path = Path(name)
    shipped = SHIPPED / f"{name}.safetensors"
    if path.name == name and shipped.is_file():
        return shipped
    if path.is_dir() and (path / WEIGHTS).is_file():
        return path / WEIGHTS
    if path.is_file():
        return path
    known = sorted(file.stem for file in SHIPPED.glob("*.safetensors"))
    hint = did_you_mean(str(name), known)
    raise ValueError(f"{name}: no weights there (shipped: {', '.join(known) or 'none'}){hint}")


def digest_of(name: Path | str) -> str:
    """SHA-256 of a file of weights, named as for `find_weights`."""
    return hashlib.sha256(find_weights(name).read_bytes()).hexdigest()


def load_network(
    name: Path | str, kinds: Mapping[str, Callable[[dict[str, Any]], Any]] = KINDS
) -> tuple[Network, Training]:
    """Open a trained network.

    Args:
        name: of shipped weights, or path of a file of weights or of the folder of a fit.
        kinds: the kinds of network that may be opened; all are called as `Network` is.

    Returns:
        The network in evaluation mode, on the CPU, and what it was trained on.

    Raises:
        ValueError: if there are no weights, they are damaged, or of another kind.
    """
    path = find_weights(name)
    weights, record = unpack(path)
    try:
        known = record["training"]
        ranges = {name: tuple(known[name]) for name in ("n", "dim", "mi", "rate") if name in known}
        training = Training(**(known | ranges))
        network = _build(path, record["network"], kinds)
        if OFFSETS in weights:
            network.offsets = weights.pop(OFFSETS)
        network.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: not the weights of an estimator: {reason}") from None
    return network.eval().requires_grad_(False), training


def _build(
    path: Path, record: dict[str, Any], kinds: Mapping[str, Callable[[dict[str, Any]], Any]]
) -> Any:
    kind = record.get("kind", "network")
    if kind not in kinds:
        raise ValueError(f"{path}: a network of the kind {kind!r}, expected {', '.join(kinds)}")
    return kinds[kind]({name: value for name, value in record.items() if name != "kind"})


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, network: torch.nn.Module
) -> dict[str, Tensor]:
    """Flatten an optimizer's state to `<parameter>/<quantity>`.

    Args:
        optimizer: over parameters of `network`.
        network: gives the parameters their names.
    """
    return {
        f"{name}/{quantity}": tensor
        for name, parameter in network.named_parameters()
        if parameter in optimizer.state
        for quantity, tensor in optimizer.state[parameter].items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, network: torch.nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `optimizer_tensors` flattened; a step counter stays on the CPU.

    Args:
        optimizer: over parameters of `network`.
        network: gives the parameters their names.
        tensors: the flat state.
    """
    parameters = dict(network.named_parameters())
    for key, tensor in tensors.items():
        name, quantity = key.rsplit("/", 1)
        place = "cpu" if quantity == "step" else parameters[name].device
        optimizer.state[parameters[name]][quantity] = tensor.to(place)
