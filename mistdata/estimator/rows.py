"""The row stream: rows compared with rows, for what no pair of columns shows.

Products, XOR, spirals and mixtures live in the joint neighbourhoods of whole rows. For Q query
rows i against all rows j ≠ i, and a ladder of bandwidths, learned kernels on either side

    K^x_ij = exp(-s |e^x_i - e^x_j|² / mean |e^x - e^x|²),   e = z G,

give leave-one-out densities and so a pointwise information for every query

    pmi_i = ln Σ_j K^x_ij K^y_ij + ln(n - 1) - ln Σ_j K^x_ij - ln Σ_j K^y_ij      (nats),

and attention: what the neighbours of x_i say of y_i. The metrics G, one diagonal and the others
mixing the columns of a side, and the scales s come from the pair stream. Cost O(Q n (D + M)), so
linear in n for a bounded number of queries.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mistdata.estimator.config import NetworkConfig
from mistdata.estimator.kernels import augmented, kernel_sums
from mistdata.estimator.pairs import ColumnAttention
from mistdata.estimator.prepare import standardise

FLOOR = 0.01  # of a sum of kernels, where one neighbour at distance 0 counts 1
SELF = 1e4  # exponent that leaves a row out of its own neighbours
ATTENDED = 4  # exponent of the kernel that weighs the neighbours: the second rung
_CACHED = 1 << 18  # pairs of rows of one dataset that a core's cache holds
_BLOCK = 1 << 19  # most pairs of rows in a block of queries of a batch,
_BLOCK_GPU = 1 << 23  # and on a GPU, where few large products are faster


class Side(NamedTuple):
    """One side's rows in the learned metrics."""

    queries: Tensor  # (batch, M, n, columns + 2): its products with `keys` are the exponents,
    keys: Tensor  # the scaled squared distances of rows
    values: Tensor  # (batch, n, V): what attention carries
    unknown: Tensor | None  # (batch, n): rows without values


class RowStream(nn.Module):
    """Pointwise information from learned kernels and attention, averaged over query rows.

    Args:
        config: the widths.
        facts: global features.
    """

    def __init__(self, config: NetworkConfig, facts: int) -> None:
        super().__init__()
        self.metrics, self.bandwidths = config.metrics, config.bandwidths
        self.kernels = self.metrics * self.bandwidths
        cell, width = config.cell, config.row
        self.columns = ColumnAttention(config.pair, config.heads)
        told = self.columns.channels
        self.weights = nn.Linear(told, self.metrics + cell)
        self.mixing = nn.Linear(config.pair, self.metrics - 1) if self.metrics > 1 else None
        self.sharpness = nn.Linear(told + facts, self.metrics)
        features = 3 * self.kernels + 3 * cell
        self.row = nn.Sequential(
            nn.Linear(features, width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )
        self.pool = nn.Sequential(
            nn.Linear(2 * width + 3 * self.kernels + cell + facts + 1, 2 * width), nn.GELU()
        )
        for layer in (self.weights, self.sharpness):
            nn.init.normal_(layer.weight, std=1e-2)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        scores: Tensor,
        learned: Tensor,
        pairs: Tensor,
        facts: Tensor,
        dim_x: int,
        queries: Tensor | None,
        kept: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return pooled features (batch, 2 width) and the kernels' information (batch, kernels).

        Args:
            scores: (batch, n, D) prepared scores.
            learned: (batch, n, D, K) learned features of the cells, or of those rows kept.
            pairs: (batch, D, D, c), normalised.
            facts: (batch, facts) global features.
            dim_x: how many columns are X.
            queries: (batch, Q) positions of the query rows, None for all.
            kept: (batch, R) positions of the rows with learned features, the queries among them;
                None for all.
        """
        told = self.columns(pairs, dim_x)
        x, y = (
            self._side(scores[..., part], learned[:, :, part], pairs[:, part, part], told[:, part],
                       facts, kept)
            for part in (slice(None, dim_x), slice(dim_x, None))
        )  # fmt: skip
        n = scores.shape[1]
        if queries is None:
            queries = torch.arange(n, device=scores.device).expand(len(scores), -1)
        most = _BLOCK_GPU if scores.is_cuda else _BLOCK
        block = max(1, min(_CACHED // n, most // (len(scores) * n)))
        parts = [self._compare(x, y, part) for part in torch.split(queries, block, dim=1)]
        features = torch.cat(parts, dim=1)
        return self._pool(features, facts, queries.shape[1])

    def _side(
        self,
        scores: Tensor,
        learned: Tensor,
        pairs: Tensor,
        told: Tensor,
        facts: Tensor,
        kept: Tensor | None,
    ) -> Side:
        """Bring the rows of one side into the metrics."""
        weights = self.weights(told)
        scaled = F.softplus(weights[..., : self.metrics] + 0.54)  # 1 at the start
        rows = [scores * scaled[:, None, :, 0]]
        if self.mixing is not None:
            mixing = self.mixing(pairs).permute(0, 3, 1, 2) / scores.shape[2] ** 0.5
            mixed = scores.unsqueeze(1) @ mixing
            own = scores.unsqueeze(1) * scaled[..., 1:].mT.unsqueeze(2)
            rows.extend((mixed + own).unbind(1))
        stacked = torch.stack(rows, dim=1)
        centred = stacked - stacked.mean(dim=2, keepdim=True)
        spread = 2 * centred.square().sum(dim=3).mean(dim=2) + 1e-6
        sharpness = self.sharpness(torch.cat([told.mean(dim=1), facts], dim=1))
        # Bounded: an exponential without bounds once overflowed in training.
        scale = (2 * torch.tanh(sharpness)).exp() * spread.rsqrt()
        attention = weights[..., self.metrics :].unsqueeze(1) + 1
        values = standardise((learned * attention).sum(dim=2) / scores.shape[2] ** 0.5)
        unknown = None
        if kept is not None:
            index = kept.unsqueeze(2).expand(-1, -1, values.shape[2])
            empty = values.new_zeros(len(values), scores.shape[1], values.shape[2])
            values = empty.scatter(1, index, values)
            unknown = torch.ones_like(scores[..., 0], dtype=torch.bool).scatter(1, kept, False)
        return Side(*augmented(centred * scale[..., None, None]), values, unknown)

    def _compare(self, x: Side, y: Side, queries: Tensor) -> Tensor:
        """Features of the query rows: (batch, q, 3 kernels + 3 cell), symmetric in x and y."""
        batch, asked = queries.shape
        n = x.keys.shape[2]
        gap_x, gap_y = self._gaps(x, queries), self._gaps(y, queries)
        itself = queries.unsqueeze(1).expand(-1, self.metrics, -1).flatten(0, 1)
        sums = kernel_sums(gap_x.flatten(0, 1), gap_y.flatten(0, 1), itself, self.bandwidths)
        logs = ((sums + FLOOR) / (n - 1)).log().view(batch, self.metrics, 3, -1, asked)
        both, one, other = logs.permute(2, 0, 4, 1, 3).flatten(3)
        met = self._attend(x, y, gap_x[:, 0], gap_y[:, 0], queries)
        return torch.cat([both - one - other, both, one + other, *met], dim=2)

    def _gaps(self, side: Side, queries: Tensor) -> Tensor:
        """Scaled squared distances of the queries to all rows: (batch, M, q, n)."""
        index = queries[:, None, :, None].expand(-1, self.metrics, -1, side.queries.shape[3])
        return side.queries.gather(2, index) @ side.keys.mT

    def _attend(
        self, x: Side, y: Side, gap_x: Tensor, gap_y: Tensor, queries: Tensor
    ) -> list[Tensor]:
        """What the neighbours of a row on one side say of its other side."""
        index = queries.unsqueeze(2).expand(-1, -1, x.values.shape[2])
        own_x, own_y = x.values.gather(1, index), y.values.gather(1, index)
        said_y = self._said(gap_x, y, queries)
        said_x = self._said(gap_y, x, queries)
        met = own_x * said_x + own_y * said_y
        return [met, said_x.square() + said_y.square(), own_x.square() + own_y.square()]

    def _said(self, gap: Tensor, other: Side, queries: Tensor) -> Tensor:
        """Mean of the values, weighted by a kernel of the gap; the query itself is left out."""
        logits = (-ATTENDED * gap).scatter_(2, queries.unsqueeze(2), -SELF)
        if other.unknown is not None:
            logits.masked_fill_(other.unknown.unsqueeze(1), -SELF)
        weights = logits.exp_()  # in place, as memory is what this costs
        said: Tensor = weights @ other.values / (weights.sum(dim=2, keepdim=True) + FLOOR)
        return said

    def _pool(self, features: Tensor, facts: Tensor, queries: int) -> tuple[Tensor, Tensor]:
        """Average over the queries."""
        kernels = self.kernels
        mapped = self.row(0.3 * features)
        means = features.mean(dim=1)
        information = means[:, :kernels]
        apart = (features[..., :kernels] - information.unsqueeze(1)).square().mean(dim=1)
        spread = (apart + 1e-6).sqrt()
        likelihood = means[:, kernels : 2 * kernels] - means[:, kernels : 2 * kernels].amax(
            dim=1, keepdim=True
        )
        met = means[:, 3 * kernels : 3 * kernels + (means.shape[1] - 3 * kernels) // 3]
        count = torch.full_like(facts[:, :1], math.log(queries) / 3 - 1.5)
        told = [
            mapped.mean(dim=1), (mapped.square().mean(dim=1) + 1e-6).sqrt(), information, spread,
            likelihood, met, facts, count,
        ]  # fmt: skip
        pooled: Tensor = self.pool(torch.cat(told, dim=1))
        return pooled, information
