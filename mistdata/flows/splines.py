"""Spline couplings as normflows defines them, evaluated quickly in float64.

A rational-quadratic spline maps [-B, B] to itself through K bins and is the identity outside. With
t = (x - x_k)/w_k in bin k, s = h_k/w_k and slopes d_k, d_{k+1} at its ends,

    y = y_k + h_k (s t² + d_k t (1 - t)) / (s + (d_k + d_{k+1} - 2s) t (1 - t)).

Here the bins come first in memory, so that every operation runs along the rows, and only the bin
that a value lies in is completed. A test holds both evaluations to each other.

References:
    Neural Spline Flows (Durkan et al., 2019), arXiv 1906.04032, equations 4 to 8.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEAST = 1e-3  # width and height of a bin over 2B, and slope


class Knots(NamedTuple):
    """Parameters of splines, before they are made positive; bins first.

    Attributes:
        widths, heights: (K, columns, rows or 1).
        slopes: (K - 1, columns, rows or 1), at the inner knots.
    """

    widths: Tensor
    heights: Tensor
    slopes: Tensor


def spline(values: Tensor, knots: Knots, bound: float, *, inverse: bool) -> tuple[Tensor, Tensor]:
    """Evaluate splines, or their inverse.

    Args:
        values: (columns, rows).
        knots: of the splines.
        bound: B.
        inverse: whether y → x.

    Returns:
        The values (columns, rows), and the logarithms of the derivatives.
    """
    inside = values.clamp(-bound, bound)
    sizes = [_sizes(raw, 2 * bound) for raw in (knots.widths, knots.heights)]
    edges, lengths, first, second = _bin(inside, sizes, knots.slopes, bound, inverse)
    (left, bottom), (width, height) = edges, lengths
    slope = height / width
    bend = first + second - 2 * slope
    if inverse:
        rise = inside - bottom
        a = rise * bend + height * (slope - first)
        b = height * first - rise * bend
        c = -slope * rise
        t = 2 * c / (-b - (b * b - 4 * a * c).clamp_min(0).sqrt())
        mapped = t * width + left
    else:
        t = (inside - left) / width
    mixed = t * (1 - t)
    lower = slope + bend * mixed
    if not inverse:
        mapped = bottom + height * (slope * t * t + first * mixed) / lower
    steep = slope * slope * (second * t * t + 2 * slope * mixed + first * (1 - t) * (1 - t))
    log_slope = steep.log() - 2 * lower.log()
    outside = inside != values
    mapped = torch.where(outside, values, mapped)
    log_slope = torch.where(outside, torch.zeros_like(log_slope), log_slope)
    return mapped, -log_slope if inverse else log_slope


def _sizes(raw: Tensor, total: float) -> Tensor:
    """Lengths of the bins, at least a thousandth of the total: (K, columns, rows)."""
    shares = (raw - raw.amax(dim=0)).exp_()
    shares.mul_(total * (1 - _LEAST * len(raw)) / shares.sum(dim=0))
    return shares.add_(total * _LEAST)


def _bin(
    inside: Tensor, sizes: list[Tensor], slopes: Tensor, bound: float, inverse: bool
) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
    """Find the bin of every value.

    Returns:
        Its lower edges in x and y, its lengths in x and y, the slopes at its two ends.
    """
    edges = [_edges(each, bound) for each in sizes]
    searched = edges[1 if inverse else 0]
    number = torch.zeros(inside.shape, dtype=torch.int64, device=inside.device)
    for edge in searched[1:]:
        number += inside >= edge
    one = torch.full_like(slopes[:1], math.log(math.expm1(1 - _LEAST)))  # a slope of 1 at the ends
    padded = torch.cat([one, slopes, one])

    def chosen(table: Tensor) -> Tensor:
        return table.expand(-1, *inside.shape).gather(0, number.unsqueeze(0))[0]

    first, second = (F.softplus(chosen(each)) + _LEAST for each in (padded[:-1], padded[1:]))
    return [chosen(each) for each in edges], [chosen(each) for each in sizes], first, second


def _edges(lengths: Tensor, bound: float) -> Tensor:
    """Lower edges of the bins of these lengths, from -B on."""
    return F.pad(lengths[:-1].cumsum(dim=0), (0, 0, 0, 0, 1, 0)) - bound


class QuickCoupling(nn.Module):
    """A spline coupling of normflows, for evaluation.

    Args:
        layer: a `CoupledRationalQuadraticSpline`, trained and of its final dtype.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        coupling = layer.prqct
        self.kept, self.moved = coupling.identity_features, coupling.transform_features
        self.network, self.bound = coupling.transform_net, float(coupling.tail_bound)
        own = coupling.unconditional_transform
        raw = (own.unnormalized_widths, own.unnormalized_heights, own.unnormalized_derivatives)
        self.own = Knots(*(each.T.unsqueeze(2) for each in raw))
        self.bins = len(self.own.widths)
        # Columns of the last layer are ordered (column, parameter); here parameters come first.
        last, count = self.network.final_layer, len(self.moved)
        weight = last.weight.detach().view(count, -1, last.in_features)
        self.weight = weight.transpose(0, 1).flatten(0, 1)
        self.bias = last.bias.detach().view(count, -1).T.flatten().unsqueeze(1)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map latents (n, d) on; normflows calls this direction the inverse of the spline."""
        kept, log_kept = spline(z.T[self.kept], self.own, self.bound, inverse=True)
        moved, log_moved = spline(z.T[self.moved], self._knots(kept), self.bound, inverse=True)
        return self._joined(z, kept, moved), log_kept.sum(dim=0) + log_moved.sum(dim=0)

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`."""
        columns = u.T[self.kept]
        moved, log_moved = spline(u.T[self.moved], self._knots(columns), self.bound, inverse=False)
        kept, log_kept = spline(columns, self.own, self.bound, inverse=False)
        return self._joined(u, kept, moved), log_kept.sum(dim=0) + log_moved.sum(dim=0)

    def _joined(self, like: Tensor, kept: Tensor, moved: Tensor) -> Tensor:
        joined = torch.empty_like(like.T)
        joined[self.kept], joined[self.moved] = kept, moved
        return joined.T

    def _knots(self, kept: Tensor) -> Knots:
        """Ask the network for the splines of the other columns."""
        network = self.network
        hidden = network.initial_layer(kept.T)
        for block in network.blocks:
            hidden = block(hidden)
        raw = torch.addmm(self.bias, self.weight, hidden.T)
        raw = raw.view(-1, len(self.moved), len(hidden))
        scale = network.hidden_features**-0.5
        sizes = raw[: 2 * self.bins] * scale
        return Knots(sizes[: self.bins], sizes[self.bins :], raw[2 * self.bins :])
