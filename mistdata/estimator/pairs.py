"""The pair stream: a tensor over pairs of columns, where (j, l) and (l, k) inform (j, k).

Mutual information is a matter between columns. The tensor h (batch, D, D, c) starts from moments
over rows; each block is a gated matrix product, means of rows and columns, and an MLP; its cost
does not depend on n. Permuting columns, or exchanging the sides, permutes the tensor.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PairBlock(nn.Module):
    """One exchange between pairs: gated matrix product, means of rows and columns, MLP.

    Each step is a pre-norm residual:

        h_jk += W [σ(g_jk) norm(Σ_l a_jl b_lk / √D)]     a, b, g linear in norm(h)
        h_jk += u_j + v_k                                u_j, v_k from the means around j, k
        h_jk += MLP(norm(h_jk))

    Args:
        width: channels c.
        product: channels of the matrix product.
        expansion: hidden width of the MLP, in units of c.
    """

    def __init__(self, width: int, product: int, expansion: int) -> None:
        super().__init__()
        self.norm_product = nn.LayerNorm(width)
        self.factors = nn.Linear(width, 3 * product)
        self.norm_out = nn.LayerNorm(product)
        self.product = nn.Linear(product, width)
        self.norm_means = nn.LayerNorm(width)
        self.means = nn.Linear(3 * width, 2 * width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, expansion * width),
            nn.ReLU(),  # half the time of GELU here
            nn.Linear(expansion * width, width),
        )

    def forward(self, pairs: Tensor, dim_x: int) -> Tensor:
        """Return the updated pairs: (batch, D, D, c) → (batch, D, D, c)."""
        pairs = pairs + self._exchange(self.norm_product(pairs))
        told = self.norm_means(summary(pairs, dim_x)).flatten(2)
        first, second = self.means(told).chunk(2, dim=-1)
        pairs = pairs + first.unsqueeze(2) + second.unsqueeze(1)
        updated: Tensor = pairs + self.mlp(pairs)
        return updated

    def _exchange(self, pairs: Tensor) -> Tensor:
        left, right, gate = self.factors(pairs).chunk(3, dim=-1)
        # A batched matmul wants contiguous (c, D, D); einsum on (D, D, c) is far slower.
        left = left.permute(0, 3, 1, 2).contiguous()
        right = right.permute(0, 3, 1, 2).contiguous()
        product = (left @ right / pairs.shape[1] ** 0.5).permute(0, 2, 3, 1)
        update: Tensor = self.product(torch.sigmoid(gate) * self.norm_out(product))
        return update


def summary(pairs: Tensor, dim_x: int) -> Tensor:
    """What the pairs say of each column j: means over its own side and the other, and (j, j).

    Args:
        pairs: (batch, D, D, c).
        dim_x: how many columns are X.

    Returns:
        (batch, D, 3, c).
    """
    batch, size, _, width = pairs.shape
    sides = side_weights(size, dim_x, pairs)
    # As a matrix product: slices would each fill a tensor of zeros on the way back.
    means = (sides @ pairs.reshape(batch * size, size, width)).view(batch, size, 2, width)
    own = torch.cat([means[:, :dim_x, :1], means[:, dim_x:, 1:]], dim=1)
    other = torch.cat([means[:, :dim_x, 1:], means[:, dim_x:, :1]], dim=1)
    return torch.cat([own, other, pairs.diagonal(dim1=1, dim2=2).mT.unsqueeze(2)], dim=2)


def side_weights(size: int, dim_x: int, like: Tensor) -> Tensor:
    """Weights of the mean over the columns of X, and of Y: (2, D)."""
    weights = like.new_zeros(2, size)
    weights[0, :dim_x] = 1 / dim_x
    weights[1, dim_x:] = 1 / (size - dim_x)
    return weights


def relations(size: int, dim_x: int, like: Tensor) -> Tensor:
    """Flags of a pair of columns: same side, other side, the same column. (D, D, 3)."""
    side = torch.arange(size, device=like.device) < dim_x
    same = side.unsqueeze(0) == side.unsqueeze(1)
    itself = torch.eye(size, dtype=torch.bool, device=like.device)
    return torch.stack([same, ~same, itself], dim=-1).to(like.dtype)
