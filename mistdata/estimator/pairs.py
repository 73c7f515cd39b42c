"""The pair stream: a tensor over pairs of columns, where (j, l) and (l, k) inform (j, k).

Mutual information is a matter between columns. The tensor h (batch, D, D, c) starts from moments
over rows; each block is a gated matrix product, means of rows and columns, and an MLP; its cost
does not depend on n. Permuting columns, or exchanging the sides, permutes the tensor.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mistdata.estimator.config import NetworkConfig


class PairBlock(nn.Module):
    """One exchange between pairs: gated matrix product, column attention, MLP.

    Each step is a pre-norm residual:

        h_jk += W [σ(g_jk) norm(Σ_l a_jl b_lk / √D)]     a, b, g linear in norm(h)
        h_jk += u_j + v_k                                u_j, v_k from what attention says of j, k
        h_jk += MLP(norm(h_jk))

    Args:
        config: the widths.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width, product, expansion = config.pair, config.product, config.expansion
        self.norm_product = nn.LayerNorm(width)
        self.factors = nn.Linear(width, 3 * product)
        self.norm_out = nn.LayerNorm(product)
        self.product = nn.Linear(product, width)
        self.columns = ColumnAttention(width, config.heads)
        self.tell = nn.Linear(self.columns.channels, 2 * width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, expansion * width),
            nn.ReLU(),  # half the time of GELU here
            nn.Linear(expansion * width, width),
        )

    def forward(self, pairs: Tensor, dim_x: int) -> Tensor:
        """Return the updated pairs: (batch, D, D, c) → (batch, D, D, c)."""
        pairs = pairs + self._exchange(self.norm_product(pairs))
        first, second = self.tell(self.columns(pairs, dim_x)).chunk(2, dim=-1)
        pairs = pairs + first.unsqueeze(2) + second.unsqueeze(1)
        updated: Tensor = pairs + self.mlp(pairs)
        return updated

    def silence(self) -> None:
        """Make the block the identity: the last map of each step becomes zero."""
        for layer in (self.product, self.tell, self.mlp[-1]):
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def _exchange(self, pairs: Tensor) -> Tensor:
        left, right, gate = self.factors(pairs).chunk(3, dim=-1)
        # A batched matmul wants contiguous (c, D, D); einsum on (D, D, c) is far slower.
        left = left.permute(0, 3, 1, 2).contiguous()
        right = right.permute(0, 3, 1, 2).contiguous()
        product = (left @ right / pairs.shape[1] ** 0.5).permute(0, 2, 3, 1)
        update: Tensor = self.product(torch.sigmoid(gate) * self.norm_out(product))
        return update


class ColumnAttention(nn.Module):
    """What each column j learns from its pairs (j, k): over its own side, and over the other.

    On either side: the mean over k, and for every head h the weighted mean Σ_k softmax_k(s_h) h_jk
    with logits s_h linear in h_jk: the mean sees how many columns are related to j, a head sees
    the closest of them. And the pair (j, j) itself.

    Args:
        width: channels c of the pairs.
        heads: H.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.channels = (3 + 2 * heads) * width
        self.logits = nn.Linear(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, pairs: Tensor, dim_x: int) -> Tensor:
        """(batch, D, D, c) → (batch, D, channels)."""
        batch, size, _, width = pairs.shape
        sides = side_weights(size, dim_x, pairs)
        outside = torch.where(sides > 0, 0.0, -torch.inf).to(pairs.dtype)
        logits = self.logits(pairs).mT.unsqueeze(3) + outside
        heads = logits.softmax(dim=-1).flatten(2, 3)
        weights = torch.cat([sides.expand(batch, size, -1, -1), heads], dim=2)
        # As a matrix product: slices would each fill a tensor of zeros on the way back.
        means = weights.flatten(0, 1) @ pairs.reshape(batch * size, size, width)
        kinds = means.view(batch, size, 1 + self.heads, 2, width)
        own = torch.cat([kinds[:, :dim_x, :, 0], kinds[:, dim_x:, :, 1]], dim=1)
        other = torch.cat([kinds[:, :dim_x, :, 1], kinds[:, dim_x:, :, 0]], dim=1)
        itself = pairs.diagonal(dim1=1, dim2=2).mT.unsqueeze(2)
        told: Tensor = self.norm(torch.cat([own, other, itself], dim=2)).flatten(2)
        return told


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
