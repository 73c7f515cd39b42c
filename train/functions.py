"""Noisy functions of several columns, which no training has: `python -m train.functions`.

X is normal, in 2 to 12 columns that are independent or mixed, or uniform; y = f(X) + noise. The
script prints, for the network alone, with nearest neighbours, and with the regression, the error
of the median and what 90 % intervals hold, of as many samples as it is told to draw.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from unittest.mock import patch

import click
import numpy as np
import torch

import mistdata
from mistdata.estimator import Estimate
from mistdata.estimator import estimate as asked
from mistdata.estimator.columns import Array
from train.results import markdown

FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sum of squares": lambda x: (x**2).sum(axis=1),
    "maximum": lambda x: x.max(axis=1),
    "range": lambda x: np.ptp(x, axis=1),
    "median": lambda x: np.median(x, axis=1),
    "product and square": lambda x: x[:, 0] * x[:, 1] + x[:, -1] ** 2,
    "share": lambda x: np.exp(x[:, 0]) / np.exp(x).sum(axis=1),
    "sine of the sum": lambda x: np.sin(1.5 * x.sum(axis=1)),
    "steps": lambda x: (x[:, 0] > 0) + (x[:, 1] > 0.5) * x[:, -1],
    "sum": lambda x: x.sum(axis=1),
    "one of them": lambda x: x[:, 0],
}
MANY = 8000  # draws of the truth
COLUMNS, ROWS, NOISE = (2, 3, 4, 5, 6, 8, 12), (100, 200, 500, 1000, 2000), (0.1, 0.3, 1.0)


def noisy(
    function: Callable[[Array], Array],
    rng: np.random.Generator,
    *,
    n: int,
    columns: int,
    noise: float = 0.3,
    kind: str = "normal",
) -> tuple[Array, Array, Array]:
    """Draw a sample.

    Args:
        function: f.
        rng: draws it.
        n: rows.
        columns: of X.
        noise: deviation of what is added to f, whose own is 1.
        kind: of X: 'normal', 'mixed' or 'uniform'.

    Returns:
        X, y, and many values of f.
    """
    x = (rng.random if kind == "uniform" else rng.standard_normal)((n + MANY, columns))
    if kind == "mixed":
        x = x @ rng.standard_normal((columns, columns))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    f = function(x)
    f = f / f.std()
    return x[:n], f[:n] + noise * rng.standard_normal(n), f[n:]


def truth_of(f: Array, noise: float) -> float:
    """Estimate I(X; y) = E ln p(y | f) / p(y) in nats, p(y) the mean of p(y | f) over draws of f.

    Args:
        f: many draws of the function.
        noise: deviation of what is added.
    """
    half = len(f) // 2
    drawn = np.random.default_rng(0).standard_normal(half)
    y = f[:half] + noise * drawn
    own = np.exp(-0.5 * drawn**2)
    others = np.exp(-0.5 * ((y[:, None] - f[half:]) / noise) ** 2).sum(axis=1)
    return float(np.log((half + 1) * own / (own + others)).mean())


def without(*names: str) -> ExitStack:
    """Leave out parts of the answer, by the names that `estimate` knows them by."""
    stack = ExitStack()
    for name in names:
        stack.enter_context(patch.object(asked, name, lambda *_, **__: None))
    return stack


WAYS = {
    "network alone": ("second_opinion", "weighed", "lower_bound"),
    "with neighbours": ("lower_bound",),
    "with the regression, too": (),
}


@click.command()
@click.option("--samples", type=click.IntRange(1), default=300, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--model", default="small", show_default=True)
def main(samples: int, seed: int, model: str) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    truths: list[float] = []
    answers: dict[str, list[Estimate]] = {way: [] for way in WAYS}
    for index in range(samples):
        function = list(FUNCTIONS.values())[index % len(FUNCTIONS)]
        n, columns, noise = (rng.choice(each) for each in (ROWS, COLUMNS, NOISE))
        kind = str(rng.choice(["normal", "mixed", "uniform"]))
        x, y, f = noisy(function, rng, n=n, columns=columns, noise=noise, kind=kind)
        truths.append(truth_of(f, noise))
        for way, names in WAYS.items():
            with without(*names):
                answers[way].append(mistdata.estimate(x, y, model=model))
    head = ["", "mean error", "mean size of the error", "90 % hold", "truth below", "width"]
    print(markdown(head, [[way, *figures(found, truths)] for way, found in answers.items()]))


def figures(answers: list[Estimate], truths: list[float]) -> list[str]:
    """Errors of the median, and what the intervals hold, beside the truth."""
    truth = np.array(truths)
    error = np.array([each.median for each in answers]) - truth
    low, high = (np.array([getattr(each, end) for each in answers]) for end in ("lower", "upper"))
    held, below = ((low <= truth) & (truth <= high)).mean(), (truth < low).mean()
    numbers = f"{error.mean():.2f}", f"{np.abs(error).mean():.2f}"
    return [*numbers, f"{held:.0%}", f"{below:.0%}", f"{(high - low).mean():.2f}"]


if __name__ == "__main__":
    main()
