"""Maximise the estimated mutual information through an encoder, and watch the true one rise.

`python -m train.maximise --model small --out docs/maximise.png`

X has 10 independent standard normal columns, of which one hidden direction w, |w| = 1, carries

    Y = w·X + σ E,   E standard normal.

An encoder f: R¹⁰ → R¹ climbs the gradient of the estimate Î(f(X); Y), with `prep="soft"` and 256
fresh rows at every step. Of a linear encoder f(x) = a·x the true information is known,

    I(f(X); Y) = -½ ln(1 - r²),   r = a·w / (|a| √(1 + σ²)),

and no encoder, linear or not, can have more than I(X; Y) = ½ ln(1 + 1/σ²). Of one with a hidden
layer the truth is taken from the estimator of Kraskov, Stögbauer and Grassberger on fresh rows. An
estimate that rises while the truth does not is fooled by its encoder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from mistdata.baselines.neighbours import ksg
from mistdata.errors import MistdataError
from mistdata.estimator import Estimator

COLUMNS, NOISE = 10, 0.5
ROWS, STEPS, RATE = 256, 200, 0.03
JUDGED_ROWS = 10_000  # of the estimate that stands for the truth of an encoder with a hidden layer
JUDGED_EVERY = 10
LAST = 50  # steps at the end, of which averages are reported
SEED = 7
# Hidden units of every encoder, by its name.
ENCODERS = {"linear, its truth exact": 0, "hidden layer of 32, its truth from neighbours": 32}


@dataclass(frozen=True)
class Task:
    """A hidden direction of X and what is seen of it in Y.

    Args:
        direction: w, (columns,), of length 1.
        noise: σ, in standard deviations of w·X.
    """

    direction: np.ndarray
    noise: float = NOISE

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Task:
        """Draw a direction uniformly."""
        direction = rng.standard_normal(COLUMNS)
        return cls(direction / np.linalg.norm(direction))

    @property
    def best(self) -> float:
        """I(X; Y) in nats, the most that any encoder can keep."""
        return 0.5 * math.log1p(self.noise**-2)

    def rows(self, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw x (n, columns) and y (n, 1), float32."""
        x = rng.standard_normal((n, len(self.direction)))
        y = x @ self.direction + self.noise * rng.standard_normal(n)
        return torch.from_numpy(x).float(), torch.from_numpy(y).float().unsqueeze(1)

    def linear_truth(self, weights: np.ndarray) -> float:
        """I(a·X; Y) in nats.

        Args:
            weights: a, (columns,).
        """
        r = weights @ self.direction / (np.linalg.norm(weights) * math.hypot(1, self.noise))
        return -0.5 * math.log1p(-(float(r) ** 2))

    def truth(self, encoder: nn.Module, rng: np.random.Generator) -> float:
        """I(f(X); Y) in nats: exact of a linear encoder, else from the neighbours of many rows.

        Args:
            encoder: f.
            rng: of the rows.
        """
        if isinstance(encoder, nn.Linear):
            return self.linear_truth(encoder.weight.detach()[0].double().numpy())
        x, y = self.rows(JUDGED_ROWS, rng)
        with torch.no_grad():
            code = encoder(x)
        return float(ksg()(code.numpy(), y.numpy(), rng))


class Climb(NamedTuple):
    """What was found on the way up; all in nats.

    Attributes:
        median: (steps,), the estimate from the fresh rows of a step, before the step.
        lower, upper: (steps,), the ends of its 90 % interval.
        at: the steps at which the truth is known, the end of the last one among them.
        truth: (len(at),), at these steps.
    """

    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    at: np.ndarray
    truth: np.ndarray

    @property
    def excess(self) -> float:
        """By how much the estimate exceeds the truth, averaged over the last 50 steps."""
        return float(np.mean((self.median - self._truths())[-LAST:]))

    @property
    def fooled(self) -> float:
        """Share of the last 50 steps whose whole interval lies above the truth; 5 % by right."""
        return float(np.mean((self.lower > self._truths())[-LAST:]))

    def _truths(self) -> np.ndarray:
        """(steps,), linear between the steps at which it is known."""
        return np.interp(np.arange(len(self.median)), self.at, self.truth)


def encoder_of(hidden: int, seed: int) -> nn.Module:
    """Return an encoder R¹⁰ → R¹ with random weights.

    Args:
        hidden: units of its hidden layer; 0 for a linear encoder.
        seed: of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if not hidden:
            return nn.Linear(COLUMNS, 1, bias=False)
        return nn.Sequential(nn.Linear(COLUMNS, hidden), nn.GELU(), nn.Linear(hidden, 1))


def climb(
    estimator: Estimator, task: Task, encoder: nn.Module, *, steps: int, rng: np.random.Generator
) -> Climb:
    """Move the encoder up the gradient of the estimated mutual information, by Adam.

    What climbs is the mean of the quantiles, which has a gradient even where the median is 0.

    Args:
        estimator: whose estimate is maximised.
        task: gives fresh rows at every step.
        encoder: is changed.
        steps: how many.
        rng: of the rows.
    """
    levels = estimator.network.config.levels
    ends = [levels.index(level) for level in (0.05, 0.5, 0.95)]
    optimizer = torch.optim.Adam(encoder.parameters(), RATE)
    every = 1 if isinstance(encoder, nn.Linear) else JUDGED_EVERY
    found, at, truth = [], [], []
    for step in range(steps):
        if step % every == 0:
            at.append(step)
            truth.append(task.truth(encoder, rng))
        x, y = task.rows(ROWS, rng)
        quantiles = estimator.quantiles(encoder(x), y, prep="soft")
        optimizer.zero_grad()
        (-quantiles.mean()).backward()
        optimizer.step()
        found.append(quantiles.detach()[ends].numpy())
    lower, median, upper = np.array(found).T
    return Climb(
        median, lower, upper, np.array([*at, steps]), np.array([*truth, task.truth(encoder, rng)])
    )


def paint(climbs: Mapping[str, Climb], best: float) -> Figure:
    """Draw estimated and true mutual information against the steps, a panel for each encoder.

    Args:
        climbs: by the name of the encoder.
        best: the most that any encoder can have, in nats.
    """
    figure = Figure(figsize=(4.6 * len(climbs), 3.8), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(climbs), sharey=True, squeeze=False)[0]
    for axes, (name, found) in zip(panels, climbs.items(), strict=True):
        _panel(axes, found, best)
        axes.set_title(name, loc="left", fontsize=10)
    panels[0].set_ylim(0, 1.05 * max(found.upper.max() for found in climbs.values()))
    panels[0].set_ylabel("I(f(X); Y) (nats)")
    panels[0].legend(frameon=False, fontsize=8, loc="best")
    return figure


def _panel(axes: Axes, found: Climb, best: float) -> None:
    steps = np.arange(len(found.median))
    axes.axhline(
        best, color="0.4", linewidth=1, linestyle="--", label="I(X; Y), the most possible"
    )
    axes.fill_between(
        steps, found.lower, found.upper, color="C0", alpha=0.15, linewidth=0,
        label="90 % interval of the estimate",
    )  # fmt: skip
    axes.plot(steps, found.median, color="C0", linewidth=0.8, label=f"estimate, {ROWS} fresh rows")
    axes.plot(found.at, found.truth, color="C1", linewidth=2, label="true")
    axes.set_xlabel("steps")
    axes.set_xlim(0, len(steps))
    axes.spines[["top", "right"]].set_visible(False)


def said(name: str, found: Climb, best: float) -> str:
    """One line: how far the truth rose, and whether the estimate went beyond it."""
    return (
        f"{name}: true {found.truth[0]:.3f} to {found.truth[-1]:.3f} of {best:.3f} nats; in the"
        f" last {LAST} steps the estimate exceeds the truth by {found.excess:+.3f} on average,"
        f" and the interval lies above it in {found.fooled:.0%}"
    )


def run(
    estimator: Estimator, *, steps: int = STEPS, seed: int = SEED
) -> tuple[Task, dict[str, Climb]]:
    """Climb with a linear encoder and with one that has a hidden layer.

    Args:
        estimator: whose estimate is maximised.
        steps: of each climb.
        seed: of the hidden direction, the encoders and the rows.

    Returns:
        The task, and the climbs by the name of the encoder.
    """
    task = Task.drawn(np.random.default_rng(seed))
    climbs = {
        name: climb(
            estimator, task, encoder_of(hidden, seed), steps=steps,
            rng=np.random.default_rng([seed, hidden]),
        )
        for name, hidden in ENCODERS.items()
    }  # fmt: skip
    return task, climbs


@click.command()
@click.option("--model", default="small", show_default=True, help="As in `Estimator.load`.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The PNG to write.")
@click.option("--steps", type=click.IntRange(LAST), default=STEPS, show_default=True)
def main(model: str, out: Path, steps: int) -> None:
    """Maximise estimated mutual information, draw it beside the true one, and say if it holds."""
    torch.set_num_threads(1)
    try:
        task, climbs = run(Estimator.load(model), steps=steps)
        paint(climbs, task.best).savefig(out)
    except (ValueError, MistdataError, OSError) as error:
        click.echo(f"train.maximise: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None
    for name, found in climbs.items():
        print(said(name, found, task.best))


if __name__ == "__main__":
    main()
