"""Weights and training states as safetensors and JSON, written atomically; never pickle.

A folder that can estimate holds `config.json` (the network's widths and what it was trained on)
and `weights.safetensors`. A folder that can go on training also holds `state.safetensors`: every
tensor of the training state, with its numbers as JSON in the same file, so that one rename moves
the whole state from one step to the next.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mistdata.estimator.network import NetworkConfig, PairStream

SCHEMA = 1
CONFIG, WEIGHTS, STATE = "config.json", "weights.safetensors", "state.safetensors"


@dataclass(frozen=True)
class Training:
    """What a network was trained on, so that answers beyond it can be flagged.

    Args:
        store: digest of the store.
        n: smallest and largest number of rows.
        dim: smallest and largest number of columns of a side.
        mi: smallest and largest mutual information in nats.
        recipe: the settings of the fit, as JSON types.
    """

    store: str
    n: tuple[int, int]
    dim: tuple[int, int]
    mi: tuple[float, float]
    recipe: dict[str, Any] = field(default_factory=dict)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, finds the old content or the new one.

    Args:
        path: of the file; its folder exists.
        content: all of it.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
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


def save_config(folder: Path, network: NetworkConfig, training: Training) -> None:
    """Write `config.json`, which says what the weights beside it mean."""
    record = {"schema": SCHEMA, "network": network.to_json(), "training": asdict(training)}
    write_atomically(folder / CONFIG, (json.dumps(record, indent=2) + "\n").encode())


def save_weights(folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write `weights.safetensors`; `record` says from which step."""
    write_atomically(folder / WEIGHTS, pack(weights, record))


def load_network(folder: Path | str) -> tuple[PairStream, Training]:
    """Open a trained network.

    Args:
        folder: holds `config.json` and `weights.safetensors`.

    Returns:
        The network in evaluation mode, on the CPU, and what it was trained on.

    Raises:
        ValueError: if a file is missing, damaged, or does not fit the other.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: not a checkpoint, it has no {name}")
    config, training = read_config(folder)
    network = PairStream(config)
    weights, _ = unpack(folder / WEIGHTS)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{folder}: the weights do not fit {CONFIG}") from error
    return network.eval().requires_grad_(False), training


def read_config(folder: Path) -> tuple[NetworkConfig, Training]:
    """Read what `save_config` wrote.

    Args:
        folder: of the checkpoint.

    Raises:
        ValueError: if it is of another schema.
    """
    path = folder / CONFIG
    record = json.loads(path.read_text())
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema != SCHEMA:
        raise ValueError(f"{path}: schema must be {SCHEMA}, got {schema}")
    try:
        known = record["training"]
        ranges = {name: tuple(known[name]) for name in ("n", "dim", "mi")}
        return NetworkConfig.from_json(record["network"]), Training(**(known | ranges))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the configuration of a checkpoint: {error!r}") from None


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, network: torch.nn.Module
) -> dict[str, Tensor]:
    """Flatten an optimizer's state to `<parameter>/<quantity>`.

    Args:
        optimizer: over the parameters of `network`.
        network: gives the parameters their names.
    """
    return {
        f"{name}/{quantity}": tensor
        for name, parameter in network.named_parameters()
        for quantity, tensor in optimizer.state[parameter].items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, network: torch.nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `optimizer_tensors` flattened; a step counter stays on the CPU.

    Args:
        optimizer: over the parameters of `network`.
        network: gives the parameters their names.
        tensors: the flat state.
    """
    parameters = dict(network.named_parameters())
    for key, tensor in tensors.items():
        name, quantity = key.rsplit("/", 1)
        place = "cpu" if quantity == "step" else parameters[name].device
        optimizer.state[parameters[name]][quantity] = tensor.to(place)
