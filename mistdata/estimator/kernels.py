"""Sums of products of Gaussian kernels over a ladder of bandwidths, with a gradient by hand.

Written out with autograd, the row stream would keep some forty tensors of queries × rows; here the
ladder is run through twice, a few datasets at a time, in memory that stays in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CACHED = 1 << 16  # pairs of rows that are looked at together
RATIO = 4  # of the exponents of neighbouring rungs: each rung is half as wide


def augmented(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Two factors a, b with a_i · b_j = |r_i - r_j|².

    Args:
        rows: (..., n, columns), centred, so that little is lost to rounding.

    Returns:
        Two tensors (..., n, columns + 2).
    """
    squares = rows.square().sum(dim=-1, keepdim=True)
    ones = torch.ones_like(squares)
    return torch.cat([-2 * rows, squares, ones], -1), torch.cat([rows, ones, squares], -1)


def kernel_sums(gap_x: Tensor, gap_y: Tensor, itself: Tensor, rungs: int) -> Tensor:
    """Σ_j K^x_ij K^y_ij, Σ_j K^x_ij and Σ_j K^y_ij at every rung k, with K = exp(-4^k g).

    Args:
        gap_x: (groups, q, n) scaled squared distances g; row j = itself[i] is left out.
        gap_y: likewise, of the other side.
        itself: (groups, q) positions of the queries among the rows.
        rungs: of the ladder.

    Returns:
        (groups, 3, rungs, q).
    """
    sums: Tensor = _KernelSums.apply(gap_x, gap_y, itself, rungs)  # type: ignore[no-untyped-call]
    return sums


class _KernelSums(torch.autograd.Function):
    """The function and its gradient; see `kernel_sums`."""

    @staticmethod
    def forward(ctx: Any, gap_x: Tensor, gap_y: Tensor, itself: Tensor, rungs: int) -> Tensor:
        """Run up the ladder."""
        ctx.save_for_backward(gap_x, gap_y, itself)
        ctx.rungs = rungs
        sums = gap_x.new_empty(len(gap_x), 3, rungs, gap_x.shape[1])
        for part in _few(gap_x):
            x, y = _widest(gap_x[part], itself[part]), _widest(gap_y[part], itself[part])
            both, out = torch.empty_like(x), sums[part]
            for rung in range(rungs):
                if rung:
                    _narrow(x)
                    _narrow(y)
                torch.mul(x, y, out=both)
                for kind, kernel in enumerate((both, x, y)):
                    torch.sum(kernel, dim=2, out=out[:, kind, rung])
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """d/dg^x = -Σ_k 4^k K^x (K^y ∂joint + ∂x), and the same for y."""
        gap_x, gap_y, itself = ctx.saved_tensors
        grad_x, grad_y = torch.empty_like(gap_x), torch.empty_like(gap_y)
        for part in _few(gap_x):
            x, y = _widest(gap_x[part], itself[part]), _widest(gap_y[part], itself[part])
            to_x, to_y = grad_x[part].zero_(), grad_y[part].zero_()
            both, alone, given = torch.empty_like(x), torch.empty_like(x), grad[part].unsqueeze(4)
            for rung in range(ctx.rungs):
                if rung:
                    _narrow(x)
                    _narrow(y)
                joint, one, other = (
                    given[:, kind, rung] * -float(RATIO**rung) for kind in range(3)
                )
                torch.mul(torch.mul(x, y, out=both), joint, out=both)
                to_x.add_(both).add_(torch.mul(x, one, out=alone))
                to_y.add_(both).add_(torch.mul(y, other, out=alone))
        return grad_x, grad_y, None, None


def _few(gaps: Tensor) -> list[slice]:
    """Divide the groups into runs whose pairs of rows stay in the cache."""
    step = max(1, _CACHED // gaps[0].numel())
    return [slice(first, first + step) for first in range(0, len(gaps), step)]


def _widest(gap: Tensor, itself: Tensor) -> Tensor:
    """exp(-g), 0 for a row and itself."""
    kernel = torch.clamp_min(gap, 0).neg_().exp_()
    return kernel.scatter_(2, itself.unsqueeze(2), 0.0)


def _narrow(kernel: Tensor) -> None:
    """K → K⁴."""
    kernel.mul_(kernel)
    kernel.mul_(kernel)
