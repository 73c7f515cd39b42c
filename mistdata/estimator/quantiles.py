"""Quantiles of the mutual information: the head that predicts them and the loss that fits them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SOFT_ZERO = 0.02


class QuantileHead(nn.Module):
    """Non-negative quantiles that never cross, around a scale s.

    With increments d_k > 0 and the median at index m,

        t_m = s,   t_k = t_{k-1} + d_k,   d_k = softplus(r_k) max(0, s) / 10 + softplus(e_k) / 10,
        q_k = max(0, t_k).

    A negative t is a quantile that is exactly 0, and the mass at 0, the belief that X and Y are
    independent, is the level at which t changes sign. In training the gradient of
    τ softplus(t / τ) stands in for that of max(0, t), so that a quantile at 0 can come back.

    Args:
        width: of the pooled features.
        levels: increasing levels in (0, 1) that contain 0.5.
    """

    def __init__(self, width: int, levels: tuple[float, ...]) -> None:
        super().__init__()
        self.middle = levels.index(0.5)
        self.project = nn.Linear(width, 2 * (len(levels) - 1))
        nn.init.normal_(self.project.weight, std=1e-2)
        nn.init.constant_(self.project.bias, -1.0)

    def forward(self, pooled: Tensor, scale: Tensor) -> Tensor:
        """Return the quantiles in nats.

        Args:
            pooled: (batch, width).
            scale: (batch,), where the median is, if it is positive.

        Returns:
            (batch, levels), ≥ 0 and non-decreasing.
        """
        raw = self.project(pooled).to(scale.dtype)
        relative, absolute = F.softplus(raw).chunk(2, dim=1)
        steps = (relative * scale.clamp_min(0).unsqueeze(1) + absolute) / 10
        below, above = steps[:, : self.middle], steps[:, self.middle :]
        down = -below.flip(1).cumsum(dim=1).flip(1)
        offsets = torch.cat([down, torch.zeros_like(down[:, :1]), above.cumsum(dim=1)], dim=1)
        shifted = scale.unsqueeze(1) + offsets
        if not self.training:
            return shifted.clamp_min(0)
        soft = SOFT_ZERO * F.softplus(shifted / SOFT_ZERO)
        return shifted.clamp_min(0).detach() + (soft - soft.detach())


def stabilise(nats: Tensor) -> Tensor:
    """2 (√(1 + I) - 1): the scale on which the spread of estimates varies least.

    The standard deviation of the best estimate of the information I of m Gaussian pairs is
    √(Σ ρ²/ n), which grows like √I near 0, where I is Σ ρ²/ 2, and like √m, so like the √I of m
    equal pairs, where they are strong: I ↦ √I undoes that; 1 keeps the slope finite at 0. Below
    0, where only predictions of other networks are, it goes on with that slope, 1.
    """
    return torch.where(nats < 0, nats, 2 * ((1 + nats.clamp_min(0)).sqrt() - 1))


def pinball(predicted: Tensor, truth: Tensor, levels: Tensor) -> Tensor:
    """Mean pinball loss ρ_τ(y - q) = max(τ (y - q), (τ - 1)(y - q)) over levels and datasets.

    Args:
        predicted: (batch, levels).
        truth: (batch,), on the same scale.
        levels: (levels,).

    Returns:
        A scalar; over a uniform grid of levels twice this tends to the CRPS.
    """
    miss = truth.unsqueeze(1) - predicted
    return torch.maximum(levels * miss, (levels - 1) * miss).mean()
