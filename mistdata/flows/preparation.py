"""Fixed maps between the flow's own units and those of the data.

In the direction of the flow, from latents to data: standard units to units of the code or column;
for images, logits to grey levels; where the modality is too large for a flow, or its coordinates
have no meaning of their own, a code of principal components to the data.

All are injective. The decoder of principal components is injective on the code, which is what
carries the information; rows of data are brought back to their code by projection.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ALPHA = 0.05  # keeps logits of black and white finite
_TAIL = 3.0  # T, above the largest logit of data, ln((1 - ALPHA) / ALPHA) = 2.94


class Standard(nn.Module):
    """x = mean + scale u, by column."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    @classmethod
    def of(cls, rows: Tensor) -> Standard:
        """Take mean and standard deviation of rows (n, d)."""
        return cls(rows.mean(dim=0), rows.std(dim=0))

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d) in standard units → (n, d), and the log-determinant (n,)."""
        log_det = self.scale.log().sum().expand(len(u))
        return self.mean + self.scale * u, log_det

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`."""
        return (x - self.mean) / self.scale, -self.scale.log().sum().expand(len(x))


class Logit(nn.Module):
    """x = L (sigmoid(t(u)) - α) / (1 - 2α) - ½: levels 0 ... L - 1 at the middle of their bins.

    Logits of data are within ±T. Beyond, |t| grows as T + ln(1 + |u| - T), so that a draw that
    leaves the data by far is not rounded to black or white in single precision.

    Args:
        levels: L of them.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d) logits → (n, d) in units of one level, and the log-determinant (n,)."""
        log_slope = (u.abs() - _TAIL).clamp_min(0).log1p()
        v = u.sign() * (u.abs().clamp_max(_TAIL) + log_slope)
        stretch = self.levels / (1 - 2 * ALPHA)
        slope = nn.functional.logsigmoid(v) + nn.functional.logsigmoid(-v) + math.log(stretch)
        return stretch * (torch.sigmoid(v) - ALPHA) - 0.5, (slope - log_slope).sum(dim=1)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`."""
        v = torch.logit(ALPHA + (1 - 2 * ALPHA) * (x + 0.5) / self.levels)
        u = v.sign() * (v.abs().clamp_max(_TAIL) + (v.abs() - _TAIL).clamp_min(0).expm1())
        return u, -self.forward(u)[1]


class Principal(nn.Module):
    """x = mean + B c: a code c of principal components, B orthonormal.

    The log-determinant is that of an isometry, 0: densities are those of the code.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, mean: Tensor, basis: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)

    @classmethod
    def of(cls, rows: Tensor, count: int) -> tuple[Principal, float]:
        """Find the `count` leading components of rows (n, d) and their share of the variance."""
        mean = rows.mean(dim=0)
        _, size, right = np.linalg.svd((rows - mean).numpy(), full_matrices=False)
        power = size**2
        share = float(power[:count].sum() / power.sum())
        return cls(mean, torch.from_numpy(right[:count].T.copy())), share

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """(n, k) → (n, d), and zeros (n,)."""
        return self.mean + code @ self.basis.T, code.new_zeros(len(code))

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Project to the code."""
        return (x - self.mean) @ self.basis, x.new_zeros(len(x))


class Planes(nn.Module):
    """Channels first, as layers take images, to channels last, as pictures are stored.

    Args:
        shape: (channels, height, width).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d) → (n, d), and zeros (n,)."""
        moved = x.view(-1, *self.shape).movedim(1, 3).reshape(len(x), -1)
        return moved, x.new_zeros(len(x))

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`."""
        channels, height, width = self.shape
        moved = x.view(-1, height, width, channels).movedim(3, 1).reshape(len(x), -1)
        return moved, x.new_zeros(len(x))


def step_record(step: nn.Module) -> dict[str, Any]:
    """Describe a step without its tensors, as JSON types."""
    if isinstance(step, Logit):
        return {"name": "logit", "levels": step.levels}
    if isinstance(step, Planes):
        return {"name": "planes", "shape": list(step.shape)}
    sizes = {name: list(tensor.shape) for name, tensor in step.named_buffers()}
    return {"name": type(step).__name__.lower(), "shapes": sizes}


def step_of(record: dict[str, Any]) -> nn.Module:
    """Build a step from its description; its tensors are still to be filled.

    Raises:
        KeyError: the description is of no known step.
    """
    if record["name"] == "logit":
        return Logit(record["levels"])
    if record["name"] == "planes":
        return Planes(tuple(record["shape"]))
    tensors = {name: torch.zeros(shape) for name, shape in record["shapes"].items()}
    kinds: dict[str, Any] = {"standard": Standard, "principal": Principal}
    step: nn.Module = kinds[record["name"]](**tensors)
    return step
