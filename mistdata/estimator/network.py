"""The network: from a sample (x, y) to quantiles of its mutual information.

It keeps a representation of *pairs of columns*, as mutual information is a matter between columns:
moments over rows make it, blocks let the pairs (j, l) and (l, k) inform (j, k), and a sum over the
X-Y pairs reads it out, as the information of independent blocks adds. Exactly invariant to the
order of rows, the order of columns within a side, exchange of X and Y, and increasing maps of any
column; free in n, dim_x and dim_y.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mistdata.estimator.features import (
    FIXED_CHANNELS,
    GLOBAL_FEATURES,
    cell_features,
    check_cells,
    check_shape,
    fixed_moments,
    global_features,
    normal_scores,
    standardise,
)
from mistdata.estimator.quantiles import QuantileHead

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))


@dataclass(frozen=True)
class NetworkConfig:
    """The widths of a network; JSON-able.

    Args:
        cell: learned features of a cell.
        cell_hidden: hidden width of the map that learns them.
        pair: channels of a pair of columns.
        blocks: pair blocks.
        expansion: hidden width of a block's MLP, in units of `pair`.
        levels: quantile levels, increasing in (0, 1), with 0.5 among them.
    """

    cell: int = 8
    cell_hidden: int = 16
    pair: int = 32
    blocks: int = 3
    expansion: int = 2
    levels: tuple[float, ...] = LEVELS

    def __post_init__(self) -> None:
        for name in ("cell", "cell_hidden", "pair", "blocks", "expansion"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        ordered = tuple(sorted(set(self.levels)))
        if ordered != self.levels or not 0 < ordered[0] <= 0.5 <= ordered[-1] < 1:
            raise ValueError(f"levels must increase within (0, 1), got {self.levels}")
        if 0.5 not in self.levels:
            raise ValueError(f"levels must contain 0.5, got {self.levels}")

    def to_json(self) -> dict[str, Any]:
        """Return the widths as JSON types."""
        return asdict(self) | {"levels": list(self.levels)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Args:
            record: names and values.

        Raises:
            ValueError: on a key that is missing or not known.
        """
        expected = {field.name for field in fields(cls)}
        if set(record) != expected:
            raise ValueError(f"network config must have {sorted(expected)}, got {sorted(record)}")
        return cls(**record | {"levels": tuple(record["levels"])})


CONFIGS = {
    "small": NetworkConfig(),
    "base": NetworkConfig(cell=16, cell_hidden=32, pair=96, blocks=5),
}


class PairBlock(nn.Module):
    """One exchange between pairs: gated matrix product, means of rows and columns, MLP.

    With h_jk symmetric in (j, k) and c channels, each step is a pre-norm residual:

        h_jk += W [g_jk * norm(Σ_l a_jl b_lk + b_jl a_lk)]     a, b, g linear in norm(h)
        h_jk += u_j + u_k                                      u_j from the means of row j
        h_jk += MLP(norm(h_jk))

    Args:
        width: channels c.
        expansion: hidden width of the MLP, in units of c.
    """

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.norm_product = nn.LayerNorm(width)
        self.factors = nn.Linear(width, 3 * width)
        self.norm_out = nn.LayerNorm(width)
        self.product = nn.Linear(width, width)
        self.norm_means = nn.LayerNorm(width)
        self.means = nn.Linear(3 * width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, expansion * width),
            nn.GELU(),
            nn.Linear(expansion * width, width),
        )

    def forward(self, pairs: Tensor, dim_x: int) -> Tensor:
        """Return the updated pairs: (batch, D, D, c) → (batch, D, D, c)."""
        pairs = pairs + self._exchange(self.norm_product(pairs))
        pairs = pairs + self._average(self.norm_means(pairs), dim_x)
        updated: Tensor = pairs + self.mlp(pairs)
        return updated

    def _exchange(self, pairs: Tensor) -> Tensor:
        left, right, gate = self.factors(pairs).chunk(3, dim=-1)
        # A batched matmul wants contiguous (c, D, D); einsum on (D, D, c) is far slower.
        left = left.permute(0, 3, 1, 2).contiguous()
        right = right.permute(0, 3, 1, 2).contiguous()
        product = left @ right / pairs.shape[1] ** 0.5
        product = (product + product.mT).permute(0, 2, 3, 1)
        update: Tensor = self.product(torch.sigmoid(gate) * self.norm_out(product))
        return update

    def _average(self, pairs: Tensor, dim_x: int) -> Tensor:
        own, other = row_means(pairs, dim_x)
        itself = pairs.diagonal(dim1=1, dim2=2).mT
        column: Tensor = self.means(torch.cat([own, other, itself], dim=-1))
        return column.unsqueeze(1) + column.unsqueeze(2)


def row_means(pairs: Tensor, dim_x: int) -> tuple[Tensor, Tensor]:
    """Mean of each row j of the pairs over the columns of j's own side, and of the other side.

    Args:
        pairs: (batch, D, D, c).
        dim_x: how many columns are X.

    Returns:
        Two tensors (batch, D, c).
    """
    x, y = pairs[:, :, :dim_x].mean(dim=2), pairs[:, :, dim_x:].mean(dim=2)
    own = torch.cat([x[:, :dim_x], y[:, dim_x:]], dim=1)
    other = torch.cat([y[:, :dim_x], x[:, dim_x:]], dim=1)
    return own, other


def relations(size: int, dim_x: int, like: Tensor) -> Tensor:
    """Flags of a pair of columns: same side, other side, the same column. (D, D, 3)."""
    side = torch.arange(size, device=like.device) < dim_x
    same = side.unsqueeze(0) == side.unsqueeze(1)
    itself = torch.eye(size, dtype=torch.bool, device=like.device)
    return torch.stack([same, ~same, itself], dim=-1).to(like.dtype)


class PairStream(nn.Module):
    """Quantiles of the mutual information of a batch of samples.

    Args:
        config: the widths.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.pair
        self.cells = nn.Sequential(
            nn.Linear(4, config.cell_hidden),
            nn.GELU(),
            nn.Linear(config.cell_hidden, config.cell),
        )
        channels = 2 * config.cell + 2 * FIXED_CHANNELS + 3 + GLOBAL_FEATURES
        self.embed = nn.Linear(channels, width)
        self.blocks = nn.ModuleList(
            PairBlock(width, config.expansion) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.contribution = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.pool = nn.Sequential(nn.Linear(2 * width + GLOBAL_FEATURES, 2 * width), nn.GELU())
        self.trust = nn.Linear(2 * width, 2)
        self.head = QuantileHead(2 * width, config.levels)
        self.register_buffer("levels", torch.tensor(config.levels), persistent=False)

    def forward(self, values: Tensor, dim_x: int, *, strict: bool = True) -> Tensor:
        """Return the quantiles of the mutual information.

        Args:
            values: (batch, n, dim_x + dim_y): the rows (x_i, y_i); n ≥ 8.
            dim_x: how many leading columns are X.
            strict: refuse cells that are not finite and constant columns. Training passes False:
                a store holds finite cells, and cutting rows may leave a discrete column constant.

        Returns:
            (batch, levels) in nats, ≥ 0 and non-decreasing.

        Raises:
            ValueError: on a shape or cells that have no answer.
        """
        check_shape(values, dim_x)
        if strict:
            check_cells(values)
        with torch.autocast(values.device.type, enabled=False):
            inputs, facts, information = self._moments(values, dim_x)
        pairs = self.embed(inputs)
        for block in self.blocks:
            pairs = block(pairs, dim_x)
        return self._read(self.norm(pairs), facts, information, dim_x)

    def _moments(self, values: Tensor, dim_x: int) -> tuple[Tensor, Tensor, Tensor]:
        """Everything that is a mean over rows, in full precision."""
        n, size = values.shape[1:]
        scores = normal_scores(values, self.embed.weight.dtype)
        learned = standardise(self.cells(cell_features(scores, dim_x)))
        outer = gram_channels(learned)
        fixed, information = fixed_moments(scores, dim_x)
        moments = torch.cat([outer, fixed], dim=-1)
        facts = global_features(information, n, dim_x, size - dim_x)
        flags = relations(size, dim_x, moments).expand(len(values), -1, -1, -1)
        told = facts[:, None, None].expand(-1, size, size, -1)
        inputs = torch.cat([moments, moments * (n**0.5 / 5), flags, told], dim=-1)
        return inputs, facts, information

    def _read(self, pairs: Tensor, facts: Tensor, information: Tensor, dim_x: int) -> Tensor:
        """Sum the contributions of the X-Y pairs and spread quantiles around the sum."""
        across = pairs[:, :dim_x, dim_x:]
        within_x, within_y = pairs[:, :dim_x, :dim_x], pairs[:, dim_x:, dim_x:]
        inside = within_x.mean(dim=(1, 2)) + within_y.mean(dim=(1, 2))
        pooled = self.pool(torch.cat([across.mean(dim=(1, 2)), inside, facts], dim=1))
        exact = information.dtype  # half precision ends here
        added = F.softplus(self.contribution(across).to(exact)).sum(dim=(1, 2, 3))
        share = torch.sigmoid(self.trust(pooled).to(exact))
        scale = added + (share * information).sum(dim=1)
        quantiles: Tensor = self.head(pooled, scale)
        return quantiles


def gram_channels(learned: Tensor) -> Tensor:
    """Outer-product mean of learned features over rows: (batch, n, D, K) → (batch, D, D, K)."""
    columns = learned.permute(0, 3, 2, 1).contiguous()
    return (columns @ columns.mT / columns.shape[-1]).permute(0, 2, 3, 1)
