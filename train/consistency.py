"""Whether the estimator behaves as mutual information does: `python -m train.consistency`.

Independence, data processing, additivity, invariance under rotations, interval width against n,
and samples beyond what it was trained on; on the test store and on Gaussian samples, with seeds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import torch

import mistdata
from mistdata.baselines.network import Network
from mistdata.errors import MistdataError
from mistdata.estimator import Estimate, Estimator
from mistdata.store.dataset import Dataset, MetaDataset

Pair = tuple[np.ndarray, np.ndarray]
Figures = dict[str, float]
SEED = 20_261_125


def some(store: MetaDataset, condition: str, count: int) -> Iterator[Dataset]:
    """The first replicates of `count` distributions that meet a condition, evenly spread.

    Samples of few rows with a constant column, which have no answer, are passed over.
    """
    chosen = store.where(f"replicate = 0 and {condition}")
    for position in np.unique(np.linspace(0, len(chosen) - 1, count).astype(int)):
        one = chosen[int(position)]
        if all((np.ptp(side, axis=0) > 0).all() for side in (one.x, one.y)):
            yield one


def independence(ask: Estimator, store: MetaDataset, count: int) -> Figures:
    """MI = 0: fresh independent datasets, and dependent ones whose Y is shuffled."""
    rng = np.random.default_rng(SEED)
    pairs: list[Pair] = [(d.x, d.y) for d in some(store, "split = 'independent'", count)]
    pairs += [(d.x, rng.permutation(d.y)) for d in some(store, "split = 'imd'", count)]
    answers = [ask(*pair) for pair in pairs]
    alarms = [answer.quantiles[answer.levels.index(0.05)] > 0 for answer in answers]
    medians = [answer.median for answer in answers]
    return {
        "datasets": len(pairs),
        "false alarms, q05 > 0": float(np.mean(alarms)),
        "mean of the median, nats": float(np.mean(medians)),
        "95 % of the medians are below, nats": float(np.quantile(medians, 0.95)),
    }


def data_processing(ask: Estimator, store: MetaDataset, count: int) -> Figures:
    """I(f(X); Y) ≤ I(X; Y): a column of X is dropped, or noise is added to all of them."""
    rng = np.random.default_rng(SEED + 1)

    def drop(x: np.ndarray) -> np.ndarray:
        return np.delete(x, rng.integers(x.shape[1]), axis=1)

    def blur(x: np.ndarray) -> np.ndarray:
        ranks = x.argsort(axis=0).argsort(axis=0) / len(x)
        return ranks + 0.3 * rng.standard_normal(x.shape)

    figures: Figures = {}
    names: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "a column dropped": drop, "noise added": blur,
    }  # fmt: skip
    for name, lose in names.items():
        rises, widths = [], []
        for each in some(store, "split = 'imd' and dim_x > 1 and n >= 50", count):
            before, after = ask(each.x, each.y), ask(lose(each.x), each.y)
            rises.append(after.median - before.median)
            widths.append(before.upper - before.lower)
        share = np.mean(np.array(rises) > np.maximum(0.25 * np.array(widths), 0.01))
        figures[f"{name}: mean change (nats)"] = float(np.mean(rises))
        figures[f"{name}: rises by over a quarter of the interval"] = float(share)
    return figures


def additivity(ask: Estimator, store: MetaDataset, count: int) -> Figures:
    """I of two independent samples side by side is the sum."""
    groups: dict[int, list[Dataset]] = {}
    for each in store.where("split = 'strata' and replicate = 0"):
        groups.setdefault(each.n, []).append(each)
    rng = np.random.default_rng(SEED + 2)
    errors, gaps = [], []
    for _ in range(count):
        members = groups[int(rng.choice(list(groups)))]
        a, b = (members[i] for i in rng.choice(len(members), 2, replace=False))
        both = ask(np.hstack([a.x, b.x]), np.hstack([a.y, b.y])).median
        apart = ask(a.x, a.y).median + ask(b.x, b.y).median
        gaps.append(abs(both - apart) / (1 + a.mi + b.mi))
        errors.append(abs(both - a.mi - b.mi) / (1 + a.mi + b.mi))
    return {
        "|I(both) - I(1) - I(2)| / (1 + I), mean": float(np.mean(gaps)),
        "beside the error of I(both) itself": float(np.mean(errors)),
    }


def rotations(ask: Estimator, store: MetaDataset, count: int) -> Figures:
    """Rotating a side within itself keeps I; the network has learned that, it is not built in."""
    rng = np.random.default_rng(SEED + 3)
    shares = []
    among = "split = 'imd' and family like 'gaussian-%'"
    for each in some(store, f"{among} and dim_x between 2 and 12 and n >= 100", count):
        answers = [ask(each.x, each.y)]
        for _ in range(3):
            turn, _ = np.linalg.qr(rng.standard_normal((each.dim_x, each.dim_x)))
            answers.append(ask(each.x @ turn, each.y))
        medians = np.array([answer.median for answer in answers])
        shares.append(medians.std() / max(answers[0].upper - answers[0].lower, 1e-3))
    return {"spread of the median / width of the interval, mean": float(np.mean(shares))}


def gaussian(n: int, pairs: int, rho: float, rng: np.random.Generator) -> Pair:
    """`pairs` independent pairs of columns of correlation rho."""
    x = rng.standard_normal((n, pairs))
    return x, rho * x + (1 - rho**2) ** 0.5 * rng.standard_normal((n, pairs))


def widths(ask: Estimator) -> Figures:
    """The interval shrinks like n^(-1/2)."""
    rng = np.random.default_rng(SEED + 4)
    rows = np.array([100, 316, 1000, 3162, 10_000])
    figures: Figures = {}
    for pairs, rho in ((1, 0.6), (5, 0.6)):
        mean = []
        for n in rows:
            answers = [ask(*gaussian(int(n), pairs, rho, rng)) for _ in range(8)]
            mean.append(np.mean([answer.upper - answer.lower for answer in answers]))
        slope = np.polyfit(np.log(rows), np.log(mean), 1)[0]
        figures[f"{pairs} + {pairs} columns: exponent of the width in n"] = float(slope)
    return figures


def beyond(ask: Estimator) -> dict[str, dict[str, float | list[str]]]:
    """Samples outside the trained range: what is answered, and what is said."""
    rng = np.random.default_rng(SEED + 5)
    cases = {"n = 40,000, 2 + 2": (40_000, 2, 0.6), "96 + 96, n = 2,000": (2000, 96, 0.3),
             "8 + 8, 45 nats": (500, 8, 0.999993)}  # fmt: skip
    table: dict[str, dict[str, float | list[str]]] = {}
    for name, (n, pairs, rho) in cases.items():
        answer: Estimate = ask(*gaussian(n, pairs, rho, rng))
        table[name] = {
            "truth": -pairs / 2 * float(np.log1p(-(rho**2))),
            "median": answer.median,
            "lower": answer.lower,
            "upper": answer.upper,
            "warnings": list(answer.warnings),
        }
    return table


def run(model: str, path: str, count: int) -> dict[str, object]:
    """All figures of a model, on the test store at `path`."""
    ask, store = Estimator.load(model), mistdata.open(path)
    return {
        "model": model,
        "version": Network(checkpoint=model).version,
        "store": store.digest,
        "seed": SEED,
        "independence": independence(ask, store, count),
        "data processing": data_processing(ask, store, count // 2),
        "additivity": additivity(ask, store, count // 2),
        "rotations": rotations(ask, store, count // 4),
        "widths": widths(ask),
        "beyond": beyond(ask),
    }


@click.command()
@click.option("--model", default="small", show_default=True)
@click.option("--store", required=True, help="A store of pipelines/mistdata-test.toml.")
@click.option("--count", type=click.IntRange(8), default=400, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="JSON to write.")
def main(model: str, store: str, count: int, out: Path | None) -> None:
    """Print how far the estimator behaves as mutual information does."""
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        figures = run(model, store, count)
    except (ValueError, MistdataError, OSError) as error:
        click.echo(f"train.consistency: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None
    text = json.dumps(figures, indent=2)
    print(text)
    if out is not None:
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
