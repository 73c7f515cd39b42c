"""The published architecture, MIST-QR, to be fitted by the same loop to the same data as ours.

Every row (x_i, y_i), padded with zeros to 64 numbers, is a token; tokens attend to tokens, never
columns to columns. With MAB the attention block of the set transformer,

    H = LN(Q + attention(Q, K)),   MAB(Q, K) = LN(H + MLP(H)),

the sample passes through

    embed      64 → 512 → 256 for each row; GELU, LN; dropout 0.1 between the two
    interact   2 × [MAB(R, R), LN, dropout 0.3]
    encode     2 × MAB(R, MAB(I, R)), with 32 learned inducing points I
    gather     MAB(S, R), with 10 learned seeds S
    decode     MAB(S, S), then MAB(s, S) with one seed s, and a linear map: 256 features
    head       256 features and the level τ → 256 → 256 → the quantile; ReLU

with 16 heads throughout. It sees the raw cells: it knows neither ranks nor where Y begins, its
answer depends on the order of the columns and on which side is X, and quantiles may cross and be
negative. Written from the description and from the settings of the released checkpoint. What is
different: more than 64 columns are an error instead of being cut off; rows whose cells sum to 0
take part as any other, since batches hold samples of one shape and need no mask; and all levels
of a sample are trained at once where τ was one random level for each.

References:
    MIST: mutual information via supervised training (Gritsai, Richards, Méloux, Cho, Peyrard,
    2025); https://arxiv.org/abs/2511.18945. Widths: github.com/grgera/mist at 3fc7e62,
    checkpoints/mist_qr/pl_CSVLogger/version_0/hparams.yaml; order of the layers:
    src/mist_statinf/model/architecture.py.
    Set transformer (Lee et al., 2019), eqs. 6-11; https://arxiv.org/abs/1810.00825.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mistdata.estimator.config import LEVELS
from mistdata.estimator.network import QUERIES
from mistdata.estimator.prepare import check_cells, check_shape

KIND = "reference"
# The published optimizer, its peak rate and its decay; the rest of a fit is as for our network.
# Its batches were of 256, its rate fell on plateaus.
SETTINGS: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 1.1e-4,
    "weight_decay": 8.7e-6,
    "affine": 0.0,
}


@dataclass(frozen=True)
class ReferenceConfig:
    """The widths of the published network; JSON-able.

    Args:
        columns: most columns of X and Y together.
        width: of a token.
        heads: of every attention.
        hidden: of the MLP of the encoder's blocks; elsewhere it is `width`.
        interactions: blocks in which all rows attend to all rows.
        encoders: blocks through inducing points.
        inducing: points of each.
        seeds: of the pooling.
        dropout_embed: share of the embedding's hidden units that are dropped in training.
        dropout: share of the units after each interaction.
        levels: quantile levels at which it is asked, increasing in (0, 1), with 0.5 among them.
    """

    columns: int = 64
    width: int = 256
    heads: int = 16
    hidden: int = 1024
    interactions: int = 2
    encoders: int = 2
    inducing: int = 32
    seeds: int = 10
    dropout_embed: float = 0.1
    dropout: float = 0.3
    levels: tuple[float, ...] = LEVELS

    def to_json(self) -> dict[str, Any]:
        """Return the widths as JSON types, with the kind of network."""
        return asdict(self) | {"levels": list(self.levels), "kind": KIND}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read what `to_json` wrote, without the kind.

        Args:
            record: names and values.

        Raises:
            ValueError: on names that are not those of the widths.
        """
        expected = {field.name for field in fields(cls)}
        if set(record) != expected:
            raise ValueError(f"reference must have {sorted(expected)}, got {sorted(record)}")
        return cls(**record | {"levels": tuple(record["levels"])})


class Attention(nn.Module):
    """MAB: every query looks at all keys, then an MLP; layer norm after either.

    Args:
        width: of a token.
        heads: divide the width.
        hidden: width of the MLP.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.look = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.after_look, self.after_mlp = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(batch, queries, width) and (batch, keys, width) to (batch, queries, width)."""
        seen = self.after_look(queries + self.look(queries, keys, keys, need_weights=False)[0])
        answer: Tensor = self.after_mlp(seen + self.mlp(seen))
        return answer


class Points(nn.Module):
    """Learned tokens that look at a set: inducing points, or the seeds of a pooling.

    Args:
        count: of the tokens.
        width: of a token.
        heads: of the attention.
        hidden: width of its MLP.
    """

    def __init__(self, count: int, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, count, width)))
        self.attention = Attention(width, heads, hidden)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, n, width) to (batch, count, width)."""
        answer: Tensor = self.attention(self.tokens.expand(len(rows), -1, -1), rows)
        return answer


class Reference(nn.Module):
    """Quantiles of the mutual information of a batch of samples, as published.

    Args:
        config: the widths.
    """

    levels: Tensor

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.config = config
        width, heads, hidden = config.width, config.heads, config.hidden
        self.embed_first = nn.Sequential(
            nn.Linear(config.columns, 2 * width), nn.GELU(), nn.LayerNorm(2 * width)
        )
        self.embed_last = nn.Sequential(
            nn.Linear(2 * width, width), nn.GELU(), nn.LayerNorm(width)
        )
        looks = range(config.interactions)
        self.interact = nn.ModuleList(Attention(width, heads, width) for _ in looks)
        self.interact_norms = nn.ModuleList(nn.LayerNorm(width) for _ in looks)
        points = (Points(config.inducing, width, heads, hidden) for _ in range(config.encoders))
        self.encode_points = nn.ModuleList(points)
        self.encode = nn.ModuleList(
            Attention(width, heads, hidden) for _ in range(config.encoders)
        )
        self.gather = Points(config.seeds, width, heads, width)
        self.decode = Attention(width, heads, width)
        self.decode_point = Points(1, width, heads, width)
        self.project = nn.Linear(width, width)
        self.head = nn.Sequential(
            nn.Linear(width + 1, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )  # fmt: skip
        self.register_buffer("levels", torch.tensor(config.levels), persistent=False)

    def forward(
        self,
        values: Tensor,
        dim_x: int,
        *,
        prep: str = "rank",
        strict: bool = True,
        queries: int = QUERIES,
    ) -> Tensor:
        """Return the quantiles of the mutual information; called as `Network` is.

        Args:
            values: (batch, n, dim_x + dim_y): the rows (x_i, y_i); n ≥ 8.
            dim_x: how many leading columns are X, which it makes no use of.
            prep: makes no difference: the cells are taken as they are.
            strict: refuse cells that are not finite and constant columns.
            queries: makes no difference: all rows attend to all rows.

        Returns:
            (batch, levels) in nats; they may cross and be negative.

        Raises:
            ValueError: on a shape or cells that have no answer, or too many columns.
        """
        check_shape(values, dim_x)
        columns, most = values.shape[2], self.config.columns
        if columns > most:
            raise ValueError(f"dim_x + dim_y must be at most {most}, got {columns}")
        if strict:
            check_cells(values)
        features = self._features(values.to(self.project.weight.dtype))
        with torch.autocast(values.device.type, enabled=False):
            return self._read(features.to(self.project.weight.dtype))

    def _features(self, values: Tensor) -> Tensor:
        """(batch, n, columns) to (batch, width)."""
        noise = noise_of(values) if self.training else None
        rows = self.embed_first(F.pad(values, (0, self.config.columns - values.shape[2])))
        rows = self.embed_last(dropped(rows, self.config.dropout_embed, noise))
        for look, norm in zip(self.interact, self.interact_norms, strict=True):
            rows = dropped(norm(look(rows, rows)), self.config.dropout, noise)
        for points, look in zip(self.encode_points, self.encode, strict=True):
            rows = look(rows, points(rows))
        seeds = self.gather(rows)
        return self.decode_point(self.decode(seeds, seeds))[:, 0]  # type: ignore[no-any-return]

    def _read(self, features: Tensor) -> Tensor:
        """(batch, width) to (batch, levels): every level beside the same features."""
        count = len(self.config.levels)
        features = self.project(features).unsqueeze(1).expand(-1, count, -1)
        levels = self.levels.to(features.dtype).expand(len(features), count).unsqueeze(2)
        answer: Tensor = self.head(torch.cat([features, levels], dim=2)).squeeze(2)
        return answer


def noise_of(values: Tensor) -> torch.Generator:
    """Return the source of a batch's dropout, seeded by the bits of its cells.

    A fit goes on bit for bit after a stop, and batches that are computed at a time share no
    generator. Rows are cut and columns reflected at random, so a dataset that comes again brings
    another seed.

    Args:
        values: (batch, n, columns).
    """
    cells = values.detach().cpu().contiguous().numpy().tobytes()
    seed = int.from_bytes(hashlib.blake2b(cells, digest_size=4).digest())
    return torch.Generator(values.device).manual_seed(seed)


def dropped(units: Tensor, share: float, noise: torch.Generator | None) -> Tensor:
    """Set a random share of the units to 0 and scale the others up; None drops nothing."""
    if noise is None or not share:
        return units
    drawn = torch.rand(units.shape, generator=noise, device=units.device)
    return units * (drawn >= share) / (1 - share)
