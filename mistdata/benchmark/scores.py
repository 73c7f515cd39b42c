"""A result joined to the catalog, and the figures that judge it.

Errors e = Î - I are in nats. All figures are over the datasets that the estimator answered;
failures are counted apart. `METRICS` says what each figure is; docs/benchmark.md lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mistdata.benchmark.pit import pit_interval
from mistdata.benchmark.results import Result
from mistdata.distributions.priors import Array
from mistdata.errors import OtherResult
from mistdata.store.dataset import MetaDataset

Scores = dict[str, float | int | None]

COVERAGES = (50, 80, 90, 95)  # per cent
_NINETY = 90
_ALPHA = 0.1
_CATALOG = (
    "split", "n", "dim_x", "dim_y", "x_kind", "y_kind", "mi", "family", "component",
    "distribution_id", "oracle_se",
)  # fmt: skip


@dataclass(frozen=True)
class Joined:
    """Results beside the truth, one entry per dataset.

    Attributes:
        columns: arrays of equal length: those of the catalog; estimate, seconds, failed; pinball
            and crps of the dataset; low_C and high_C, ends of its C % interval. NaN where the
            estimator gives none.
    """

    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.columns["dataset_id"])

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def take(self, rows: Array) -> Joined:
        """Select datasets by a mask or by positions."""
        return Joined({name: column[rows] for name, column in self.columns.items()})


def join(result: Result, store: MetaDataset, ids: Array | None = None) -> Joined:
    """Join a result to the catalog of its store, by dataset_id.

    Args:
        result: one row per dataset.
        store: what it is a result of.
        ids: only these datasets.

    Raises:
        OtherResult: it is not a result of this store.
    """
    if result.header.identity.digest != store.digest:
        raise OtherResult(
            f"{result.header.name}: a result of {result.header.store}, digest"
            f" {result.header.identity.digest[:12]}; {store.path} has {store.digest[:12]}"
        )
    found = result.columns["dataset_id"]
    kept = np.flatnonzero(np.ones(len(found), bool) if ids is None else np.isin(found, ids))
    positions = np.searchsorted(store.column("dataset_id"), found[kept])
    columns = {"dataset_id": found[kept]}
    columns |= {name: store.column(name)[positions] for name in _CATALOG}
    columns["oracle_se"] = columns["oracle_se"].astype(np.float64)
    columns |= {name: result.columns[name][kept] for name in ("estimate", "seconds")}
    columns["failed"] = np.array([result.columns["failure"][each] is not None for each in kept])
    return Joined(columns | _of_distributions(result, kept, columns["mi"]))


def _of_distributions(result: Result, kept: Array, mi: Array) -> dict[str, Array]:
    """Compute what quantiles and intervals give for every dataset."""
    names = ["pinball", "crps", "pit_low", "pit_high"]
    names += [f"{end}_{c}" for c in COVERAGES for end in ("low", "high")]
    columns = {name: np.full(len(kept), math.nan) for name in names}
    columns[f"low_{_NINETY}"] = result.columns["lower"][kept].astype(np.float64)
    columns[f"high_{_NINETY}"] = result.columns["upper"][kept].astype(np.float64)
    levels = [result.columns["levels"][each] for each in kept]
    for grid in set(levels) - {None}:
        rows = np.array([index for index, each in enumerate(levels) if each == grid])
        quantiles = np.array([result.columns["quantiles"][each] for each in kept[rows]])
        for name, values in quantile_scores(np.array(grid), quantiles, mi[rows]).items():
            columns[name][rows] = values
    return columns


def quantile_scores(levels: Array, quantiles: Array, mi: Array) -> dict[str, Array]:
    """Score quantiles and read intervals off them.

    Args:
        levels: (levels,), increasing.
        quantiles: (datasets, levels), nats.
        mi: (datasets,), nats.

    Returns:
        pinball: mean over levels of ρ_τ(I - q_τ) = max(τ (I - q), (τ - 1)(I - q));
        crps: 2 Σ_τ w_τ ρ_τ(I - q_τ), w_τ the share of (0, 1) that is nearest to τ;
        pit_low, pit_high: F(I-) and F(I), see `pit_interval`;
        low_C, high_C: of the intervals that the levels reach, interpolated linearly.
    """
    miss = mi[:, None] - quantiles
    loss = np.maximum(levels * miss, (levels - 1.0) * miss)
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2.0, [1.0]])
    scores = {"pinball": loss.mean(axis=1), "crps": 2.0 * loss @ np.diff(edges)}
    scores["pit_low"], scores["pit_high"] = pit_interval(levels, quantiles, mi)
    for coverage in COVERAGES:
        tail = (1.0 - coverage / 100.0) / 2.0
        if levels[0] - 1e-9 <= tail and 1.0 - tail <= levels[-1] + 1e-9:
            scores[f"low_{coverage}"] = _at(tail, levels, quantiles)
            scores[f"high_{coverage}"] = _at(1.0 - tail, levels, quantiles)
    return scores


def _at(level: float, levels: Array, quantiles: Array) -> Array:
    after = min(max(int(np.searchsorted(levels, level)), 1), len(levels) - 1)
    if len(levels) == 1:
        return quantiles[:, 0]
    share = (level - levels[after - 1]) / (levels[after] - levels[after - 1])
    share = min(max(share, 0.0), 1.0)
    return np.asarray(quantiles[:, after - 1] * (1.0 - share) + quantiles[:, after] * share)


@dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes:
        heading: in tables.
        formula: what it is.
        of: computes it from the datasets answered; None where it is not defined.
        shown: how it is written.
    """

    heading: str
    formula: str
    of: Callable[[Joined], float | None]
    shown: str = ".3g"


def _error(rows: Joined) -> Array:
    return np.asarray(rows["estimate"] - rows["mi"])


def _mean_of(values: Array) -> float | None:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None


def _mse_se(rows: Joined) -> float | None:
    squares = _error(rows) ** 2
    return float(squares.std(ddof=1) / math.sqrt(len(squares))) if len(squares) > 1 else None


def _to_oracle(rows: Joined) -> float | None:
    known = rows["oracle_se"] > 0.0
    if not known.any():
        return None
    squares = (_error(rows)[known] ** 2).sum() / (rows["oracle_se"][known] ** 2).sum()
    return math.sqrt(squares)


def _r2(rows: Joined) -> float | None:
    spread = float(((rows["mi"] - rows["mi"].mean()) ** 2).sum())
    return 1.0 - float((_error(rows) ** 2).sum()) / spread if spread > 1e-12 * len(rows) else None


def _covered(coverage: int) -> Callable[[Joined], float | None]:
    def of(rows: Joined) -> float | None:
        low, high = rows[f"low_{coverage}"], rows[f"high_{coverage}"]
        inside = ((low <= rows["mi"]) & (rows["mi"] <= high)).astype(np.float64)
        return _mean_of(np.where(np.isnan(low) | np.isnan(high), math.nan, inside))

    return of


def _width(rows: Joined) -> float | None:
    return _mean_of(rows[f"high_{_NINETY}"] - rows[f"low_{_NINETY}"])


def _interval_score(rows: Joined) -> float | None:
    low, high, mi = rows[f"low_{_NINETY}"], rows[f"high_{_NINETY}"], rows["mi"]
    outside = np.maximum(low - mi, 0.0) + np.maximum(mi - high, 0.0)
    return _mean_of(high - low + 2.0 / _ALPHA * outside)


def replicate_groups(rows: Joined) -> list[Array]:
    """Return the positions of the samples of one distribution with one n, where several are."""
    split = np.unique(rows["split"], return_inverse=True)[1]
    keys = np.stack([split, rows["distribution_id"], rows["n"]])
    _, group, counts = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
    order = np.argsort(group.ravel(), kind="stable")
    pieces = np.split(order, np.cumsum(counts)[:-1])
    return [piece for piece in pieces if len(piece) > 1]


def _over_replicates(of: Callable[[Array], float]) -> Callable[[Joined], float | None]:
    def over(rows: Joined) -> float | None:
        error = _error(rows)
        figures = [of(error[each]) for each in replicate_groups(rows)] if len(rows) else []
        return float(np.mean(figures)) if figures else None

    return over


def _variance(errors: Array) -> float:
    return float(errors.var(ddof=1))


def _squared_bias(errors: Array) -> float:
    return float(errors.mean() ** 2 - errors.var(ddof=1) / len(errors))


METRICS: dict[str, Metric] = {
    "mse": Metric("MSE", "mean of e², nats²", lambda rows: _mean_of(_error(rows) ** 2)),
    "mse_se": Metric("± s.e.", "standard error of MSE: s(e²)/√m", _mse_se, ".2g"),
    "bias": Metric("bias", "mean of e, nats", lambda rows: _mean_of(_error(rows)), "+.3f"),
    "mae": Metric("MAE", "mean of |e|, nats", lambda r: _mean_of(np.abs(_error(r))), ".4f"),
    "relative": Metric(
        "relative",
        "mean of |e| / (1 + I)",
        lambda rows: _mean_of(np.abs(_error(rows)) / (1.0 + rows["mi"])),
    ),
    "rmse_oracle": Metric(
        "RMSE/oracle",
        "√(Σ e² / Σ oracle_se²), over the datasets whose oracle_se is known and positive",
        _to_oracle,
    ),
    "r2": Metric("R²", "1 - Σ e² / Σ (I - mean I)², within the stratum", _r2, ".3f"),
    "seconds": Metric(
        "seconds", "mean time per dataset, one thread", lambda r: _mean_of(r["seconds"])
    ),
    "bias2": Metric(
        "bias²",
        "mean over distributions with several samples of (mean e)² - s²(e)/r; unbiased, so that"
        " it may come out below 0",
        _over_replicates(_squared_bias),
    ),
    "variance": Metric(
        "variance",
        "mean over these distributions of s²(e), the variance between their r samples",
        _over_replicates(_variance),
    ),
    "pinball": Metric(
        "pinball",
        "mean over levels τ of max(τ (I - q_τ), (τ - 1)(I - q_τ)), nats",
        lambda rows: _mean_of(rows["pinball"]),
        ".4f",
    ),
    "crps": Metric(
        "CRPS",
        "2 Σ_τ w_τ of the same, w_τ the share of (0, 1) nearest to τ: approaches the continuous"
        " ranked probability score as levels grow dense, nats",
        lambda rows: _mean_of(rows["crps"]),
        ".4f",
    ),
    **{
        f"cover_{c}": Metric(
            f"in {c} %",
            f"share of datasets with I within the central {c} % interval, ends included",
            _covered(c),
            ".1%",
        )
        for c in COVERAGES
    },
    "width": Metric("width 90", "mean width of the 90 % interval, nats", _width, ".3f"),
    "interval_score": Metric(
        "score 90",
        "mean of (u - l) + (2/α)((l - I)₊ + (I - u)₊) of the 90 % interval, α = 0.1, nats",
        _interval_score,
        ".3f",
    ),
}
POINT = ("mse", "mse_se", "bias", "mae", "relative", "rmse_oracle", "r2")
REPLICATES = ("bias2", "variance")
INTERVALS = (
    "pinball", "crps", *(f"cover_{c}" for c in COVERAGES), "width", "interval_score",
)  # fmt: skip


def score(rows: Joined) -> Scores:
    """Compute every figure of `METRICS` over some datasets.

    Returns:
        datasets, failures, and the figures over the datasets that were answered; None where a
        figure is not defined.
    """
    answered = rows.take(~rows["failed"])
    figures: dict[str, Any] = {"datasets": len(rows), "failures": len(rows) - len(answered)}
    return figures | {
        name: metric.of(answered) if len(answered) else None for name, metric in METRICS.items()
    }
