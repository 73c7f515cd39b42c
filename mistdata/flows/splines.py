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

import itertools
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEAST = 1e-3  # width and height of a bin over 2B, and slope
_ONE = math.log(math.expm1(1 - _LEAST))  # becomes a slope of 1


class Ladder(NamedTuple):
    """Bins of [-B, B], by their edges above -B in units of which there are `unit` to 1.

    Attributes:
        edges: (K + 1, columns, rows or 1), the first 0.
        unit: (columns, rows or 1).
    """

    edges: Tensor
    unit: Tensor

    def at(self, number: Tensor, bound: float) -> tuple[Tensor, Tensor]:
        """Return the lower edge and the length of the bins of these numbers."""
        edge, upper = _chosen(self.edges, number), _chosen(self.edges, number + 1)
        return edge * self.unit - bound, (upper - edge) * self.unit


class Knots(NamedTuple):
    """Splines; bins first.

    Attributes:
        x, y: the bins.
        slopes: (K + 1, columns, rows or 1), at the edges, before they are made positive.
    """

    x: Ladder
    y: Ladder
    slopes: Tensor


def knots_of(raw: Tensor, bound: float) -> Knots:
    """Make knots of what a network says, in its memory: passes over it are what splines cost.

    Args:
        raw: (3K + 3, columns, rows or 1), see `padded`; overwritten.
        bound: B.
    """
    widths, heights, slopes = raw.chunk(3)
    return Knots(_ladder(widths, 2 * bound), _ladder(heights, 2 * bound), slopes)


def padded(parameters: Tensor, end: float) -> Tensor:
    """Leave room before the logarithms of widths and of heights, and give both ends theirs.

    Args:
        parameters: (3K - 1, ...): K widths, K heights, K - 1 slopes.
        end: of the slopes at ±B, before they are made positive.

    Returns:
        (3K + 3, ...).
    """
    widths, heights, slopes = parameters.tensor_split(3)
    room = torch.zeros_like(widths[:1])
    return torch.cat([room, widths, room, heights, room + end, slopes, room + end])


def _ladder(edges: Tensor, total: float) -> Ladder:
    """Bins of lengths proportional to exponentials, none less than a thousandth of the total."""
    bins = edges[1:]
    bins.sub_(bins.amax(dim=0)).exp_()
    unit = total * (1 - _LEAST * len(bins)) / bins.sum(dim=0)
    edges[0] = 0
    bins.add_(total * _LEAST / unit)
    for edge, length in itertools.pairwise(edges):
        length += edge
    return Ladder(edges, unit)


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
    number = _bin(inside + bound, knots.y if inverse else knots.x)
    (left, width), (bottom, height) = (each.at(number, bound) for each in (knots.x, knots.y))
    first, second = (
        F.softplus(_chosen(knots.slopes, each)) + _LEAST for each in (number, number + 1)
    )
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


def _bin(height: Tensor, ladder: Ladder) -> Tensor:
    """Find the bins of heights above -B, (columns, rows)."""
    height = height / ladder.unit
    number = torch.zeros(height.shape, dtype=torch.int8, device=height.device)
    for edge in ladder.edges[1:-1]:
        number += (height >= edge).view(torch.int8)
    return number.long()


def _chosen(table: Tensor, number: Tensor) -> Tensor:
    """Take entry `number` (columns, rows) of a table (entries, columns, rows or 1)."""
    return table.expand(-1, *number.shape).gather(0, number.unsqueeze(0))[0]


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
        table = padded(torch.cat([each.T for each in raw]), _ONE)
        self.own = knots_of(table.unsqueeze(2), self.bound)
        # Columns of the last layer are ordered (column, parameter); here parameters come first.
        last, count = self.network.final_layer, len(self.moved)
        weight = last.weight.view(count, -1, last.in_features).transpose(0, 1)
        bias = last.bias.view(count, -1).T
        scale = weight.new_ones(len(weight), 1)
        scale[: 2 * len(raw[0].T)] = self.network.hidden_features**-0.5  # of widths and heights
        self.weight = padded(weight * scale.unsqueeze(2), 0).flatten(0, 1)
        self.bias = padded(bias * scale, _ONE).flatten().unsqueeze(1)

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
        return knots_of(raw.view(-1, len(self.moved), len(hidden)), self.bound)


class QuickMixing(nn.Module):
    """A linear map of normflows, for evaluation: one matrix product either way.

    Args:
        layer: an `LULinearPermute`, trained and of its final dtype.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        unit = torch.eye(len(layer.linear.bias), dtype=layer.linear.bias.dtype)
        origin = torch.zeros_like(unit[:1])
        self.shift, self.back = layer(origin)[0], layer.inverse(origin)[0]
        there, log_dets = layer(unit)
        self.log_det = log_dets[:1]
        self.there, self.again = there - self.shift, layer.inverse(unit)[0] - self.back

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map latents (n, d) on."""
        return torch.addmm(self.shift, z, self.there), self.log_det.expand(len(z))

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`."""
        return torch.addmm(self.back, u, self.again), -self.log_det.expand(len(u))
