"""The network: from a sample (x, y) to quantiles of its mutual information.

Two streams read the sample. The *pair stream* (`pairs.py`) keeps a representation of pairs of
columns and is read out by a sum over the X-Y pairs, as the information of independent blocks
adds. The *row stream* (`rows.py`) compares rows with rows, for what no pair of columns shows.
Exactly invariant to the order of rows, the order of columns within a side, exchange of X and Y,
and, with ranks, increasing maps of any column; free in n, dim_x and dim_y.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mistdata.estimator.calibration import calibrated, no_offsets, stratum
from mistdata.estimator.config import NetworkConfig
from mistdata.estimator.features import (
    CELL_FEATURES,
    GLOBAL_FEATURES,
    GRAM_CHANNELS,
    INFORMATION,
    OTHER_CHANNELS,
    cell_features,
    fixed_moments,
    global_features,
    gram_channels,
)
from mistdata.estimator.pairs import PairBlock, relations, side_weights
from mistdata.estimator.prepare import (
    check_cells,
    check_shape,
    chosen_rows,
    evenly,
    prepared,
    rank,
    standardise,
)
from mistdata.estimator.quantiles import QuantileHead
from mistdata.estimator.rows import RowStream

QUERIES = 1024  # most query rows of the row stream
ROWS = 2048  # most rows whose cells are mapped to learned features; at least QUERIES


class Network(nn.Module):
    """Quantiles of the mutual information of a batch of samples.

    In evaluation mode a split-conformal layer moves them by `offsets`, see `calibration.py`.

    Args:
        config: the widths.
    """

    levels: Tensor
    offsets: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.pair
        self.cells = nn.Sequential(
            nn.Linear(CELL_FEATURES, config.cell_hidden),
            nn.GELU(),
            nn.Linear(config.cell_hidden, config.cell),
        )
        grams = config.cell + GRAM_CHANNELS
        self.embed = nn.Linear(grams + OTHER_CHANNELS, width)
        self.embed_noise = nn.Linear(grams, width, bias=False)
        self.embed_facts = nn.Linear(GLOBAL_FEATURES, width)
        self.relation = nn.Linear(3, width, bias=False)
        self.blocks = nn.ModuleList(PairBlock(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.contribution = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.rows = None
        kernels, told = config.metrics * config.bandwidths, 0
        if config.metrics:
            told = 2 * config.row
            self.rows = RowStream(config, GLOBAL_FEATURES)
        pooled = 2 * width
        self.pool = nn.Sequential(nn.Linear(2 * width + GLOBAL_FEATURES + told, pooled), nn.GELU())
        self.trust = nn.Linear(pooled, 2 + INFORMATION + kernels)  # doubt, stretch, weights
        self.evidence = nn.Parameter(torch.tensor(math.log(6.0)))
        self.head = QuantileHead(pooled, config.levels)
        self._start()
        self.register_buffer("levels", torch.tensor(config.levels), persistent=False)
        self.register_buffer("offsets", no_offsets(len(config.levels)), persistent=False)

    def _start(self) -> None:
        """Begin as the unbiased information of a Gaussian copula, with little from elsewhere."""
        nn.init.normal_(self.trust.weight, std=1e-2)
        nn.init.constant_(self.trust.bias, -3.0)
        with torch.no_grad():
            self.trust.bias[1] = 0.0
            self.trust.bias[1 + INFORMATION] = 2.0
            last = self.contribution[2]
            assert isinstance(last, nn.Linear) and last.bias is not None
            last.bias.fill_(-4.0)

    def forward(
        self,
        values: Tensor,
        dim_x: int,
        *,
        prep: str = "rank",
        strict: bool = True,
        queries: int = QUERIES,
    ) -> Tensor:
        """Return the quantiles of the mutual information.

        Args:
            values: (batch, n, dim_x + dim_y): the rows (x_i, y_i); n ≥ 8.
            dim_x: how many leading columns are X.
            prep: 'rank', or 'soft' or 'affine' for gradients with respect to the values.
            strict: refuse cells that are not finite and constant columns. Training passes False:
                a store holds finite cells, and cutting rows may leave a discrete column constant.
            queries: most rows that the row stream compares with all rows.

        Returns:
            (batch, levels) in nats, ≥ 0 and non-decreasing.

        Raises:
            ValueError: on a shape or cells that have no answer, or another preparation.
        """
        check_shape(values, dim_x)
        if strict:
            check_cells(values)
        quantiles = self._answer(values, dim_x, prep, queries)
        if self.training:
            return quantiles
        offsets = self.offsets[stratum(*values.shape[1:])]
        return calibrated(quantiles, offsets.to(quantiles.dtype), self.config.levels.index(0.5))

    def _answer(self, values: Tensor, dim_x: int, prep: str, queries: int) -> Tensor:
        n, size = values.shape[1:]
        with torch.autocast(values.device.type, enabled=False):
            ranks = rank(values)
            scores = prepared(values, ranks.doubled, prep, self.embed.weight.dtype)
            kept = chosen_rows(ranks.doubled, ROWS)
            learned = self._learn(scores, kept, dim_x)
            grams, others, information, shape = fixed_moments(scores, ranks, dim_x, kept)
            grams = torch.cat([gram_channels(learned), grams], dim=-1)
            facts = global_features(information, shape, n, dim_x, size - dim_x)
        pairs = self._embed(grams, others, facts, n, dim_x)
        for block in self.blocks:
            pairs = block(pairs, dim_x)
        pairs = self.norm(pairs)
        seen = [facts]
        terms = [information]
        if self.rows is not None:
            with torch.autocast(values.device.type, enabled=False):
                chosen = self._queries(ranks.doubled, kept, queries)
                full = pairs.to(scores.dtype)
                pooled, kernels = self.rows(scores, learned, full, facts, dim_x, chosen, kept)
            seen.append(pooled)
            terms.append(kernels.clamp_min(0))
        evident = shape[:, ::4].square().sum(dim=1).sqrt()
        return self._read(pairs, torch.cat(seen, dim=1), torch.cat(terms, dim=1), evident, dim_x)

    @staticmethod
    def _queries(doubled: Tensor, kept: Tensor | None, count: int) -> Tensor | None:
        """Query rows of the row stream, among those kept: (batch, Q), or None for all rows."""
        if kept is None:
            return chosen_rows(doubled, count)
        return kept[:, evenly(kept.shape[1], min(count, kept.shape[1]), kept.device)]

    def _learn(self, scores: Tensor, kept: Tensor | None, dim_x: int) -> Tensor:
        """Learned features of the cells, of all rows or of those kept: (batch, rows, D, K)."""
        if kept is not None:
            scores = scores.gather(1, kept.unsqueeze(2).expand(-1, -1, scores.shape[2]))
        learned: Tensor = standardise(self.cells(cell_features(scores, dim_x)))
        return learned

    def _embed(self, grams: Tensor, others: Tensor, facts: Tensor, n: int, dim_x: int) -> Tensor:
        """Linear map of the moments, of the same in units of their noise, and of what is known."""
        inputs = torch.cat([grams, others], dim=-1)
        noise = F.pad(self.embed_noise.weight, (0, others.shape[-1]))
        pairs = F.linear(inputs, self.embed.weight + n**0.5 / 5 * noise)
        told = self.embed.bias + self.embed_facts(facts)
        flags = self.relation(relations(inputs.shape[1], dim_x, inputs))
        embedded: Tensor = pairs + (told[:, None, None] + flags)
        return embedded

    def _read(
        self, pairs: Tensor, seen: Tensor, terms: Tensor, evident: Tensor, dim_x: int
    ) -> Tensor:
        """Weigh the estimates, add what the X-Y pairs contribute, and spread quantiles around.

        The centre is e^s Σ_k w_k t_k + tanh(a e) Σ_jk c_jk - doubt, with w a softmax over the
        estimates t (the Gaussian copula's, the kernels', and 0): where estimates agree, that is
        the answer. The stretch s lies in ±tanh(a e) with e how far from a Gaussian copula the
        sample is: to a long sample that shows no departure from it nothing is added, though it
        may have thousands of pairs, and it is not stretched.
        """
        across = pairs[:, :dim_x, dim_x:] + pairs[:, dim_x:, :dim_x].transpose(1, 2)
        sides = side_weights(pairs.shape[1], dim_x, pairs)
        weights = torch.stack(
            [
                sides[0, :, None] * sides[0] + sides[1, :, None] * sides[1],
                sides[0, :, None] * sides[1] + sides[1, :, None] * sides[0],
            ]
        )
        blocks = weights.flatten(1) @ pairs.flatten(1, 2)
        pooled = self.pool(torch.cat([blocks.flatten(1), seen], dim=1))
        exact = terms.dtype  # half precision ends here
        if not self.config.additive:
            across = across.mean(dim=(1, 2), keepdim=True)
        added = F.softplus(self.contribution(across).to(exact)).sum(dim=(1, 2, 3))
        trust = self.trust(pooled).to(exact)
        doubt = F.softplus(trust[:, 0])
        shares = F.pad(trust[:, 2:], (0, 1)).softmax(dim=1)[:, :-1]
        departure = torch.tanh(self.evidence.exp() * evident)
        stretch = departure * torch.tanh(trust[:, 1])
        weighed = stretch.exp() * (shares * terms).sum(dim=1)
        scale = weighed + departure * added - doubt
        quantiles: Tensor = self.head(pooled, scale)
        return quantiles
