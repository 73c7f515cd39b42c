"""How much adapted rows look like the modality: a claim apart from mutual information.

Three figures, each beside the same figure of data against data, the best that can be had:

- the accuracy of a classifier that tells the two apart (½: it cannot), here by nearest neighbours
  on rows that it has not seen;
- the sliced Wasserstein distance: the mean over random directions of the distance between the
  projections, in units of the data's spread;
- the distance of an adapted row to the nearest row of the training data, over that of held-out
  data to it: well below 1 means that training rows are repeated.

References:
    Revisiting classifier two-sample tests (Lopez-Paz and Oquab, 2017), arXiv 1610.06545.
    Sliced and Radon Wasserstein barycenters of measures (Bonneel et al., 2015), J. Math. Imaging
    Vis. 51.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError
from mistdata.flows.fit import divide
from mistdata.flows.flow import DESCRIPTION, describe_flow
from mistdata.flows.modality import Modality
from mistdata.store import ledger
from mistdata.store.dataset import MetaDataset

_DIRECTIONS = 256
_FEWEST = 20
_MOST = 500  # adapted rows, or as many as there are held-out ones


@dataclass(frozen=True)
class Fidelity:
    """How adapted rows compare with real ones, and real ones with each other.

    Attributes:
        told_apart: accuracy of the classifier; `told_apart_floor` of data against data.
        sliced: sliced Wasserstein distance; `sliced_floor` of data against data.
        nearest: median distance to the nearest training row, over that of held-out rows.
        rows: of each sample.
    """

    told_apart: float
    told_apart_floor: float
    sliced: float
    sliced_floor: float
    nearest: float
    rows: int


def fidelity(train: Array, held_out: Array, adapted: Array, rng: np.random.Generator) -> Fidelity:
    """Compare adapted rows with held-out data.

    Args:
        train: (n, ...) rows that the flow learned from.
        held_out: (m, ...) rows that it did not.
        adapted: (k, ...) rows that it made.
        rng: source of randomness.

    Raises:
        MistdataError: fewer than 20 rows of one of them.
    """
    sides = [side.reshape(len(side), -1).astype(np.float64) for side in (train, held_out, adapted)]
    fewest = min(map(len, sides))
    if fewest < _FEWEST:
        raise MistdataError(f"fidelity: at least {_FEWEST} rows of each are needed, got {fewest}")
    centre, spread = sides[0].mean(axis=0), sides[0].std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    known, fresh, made = ((side - centre) / spread for side in sides)
    count = min(len(fresh), len(made), len(known))
    real, other, made_few = (
        side[rng.choice(len(side), count, replace=False)] for side in (fresh, known, made)
    )
    return Fidelity(
        told_apart=told_apart(real, made_few, rng),
        told_apart_floor=told_apart(real, other, rng),
        sliced=sliced_wasserstein(real, made_few, rng),
        sliced_floor=sliced_wasserstein(real, other, rng),
        nearest=_nearest(known, made) / _nearest(known, fresh),
        rows=count,
    )


def fidelity_of(store: MetaDataset, side: str, modality: Modality, seed: int = 0) -> Fidelity:
    """Compare a side of an adapted store with the data that its flow was fitted to.

    One row of each of up to 500 datasets, or of as many as there are held-out rows, is taken:
    independent draws of the modality. Images are compared in whole grey levels, as the data are.

    Args:
        store: a store that flows carry.
        side: 'x' or 'y'.
        modality: the data, which are divided into trained on and held out as in the fit.
        seed: of the choice of rows and of directions.

    Raises:
        MistdataError: see `fit_of`; or the flow was fitted to other data, or there are too few
            rows.
    """
    fit = fit_of(store, side)
    if fit["data_sha256"] != modality.sha256:
        raise MistdataError(
            f"{store.path}: the flow of {side.upper()} was fitted to other data; give the same"
            " file, --kind and --columns"
        )
    settings = fit["settings"]
    train, held_out = (
        modality.values[part]
        for part in divide(len(modality), settings["held_out"], settings["seed"])
    )
    if len(held_out) < _FEWEST:
        raise MistdataError(
            f"{store.path}: the fit held out {len(held_out)} rows, and at least {_FEWEST} are"
            " needed; fit with a larger --held-out"
        )
    made = one_row_each(store, side, max(len(held_out), _MOST))
    if modality.levels is not None:
        made = np.clip(np.rint(made), 0, modality.levels - 1)
    return fidelity(train, held_out, made, np.random.default_rng(seed))


def the_side(store: MetaDataset) -> str:
    """Return the one side of a store that a flow carries: 'x' or 'y'.

    Raises:
        MistdataError: flows carry both, or none.
    """
    carried = [side for side in "xy" if (store.path / ledger.FLOWS / side).is_dir()]
    if len(carried) != 1:
        what = "flows carry both sides; say which with --side" if carried else "no flow carries it"
        raise MistdataError(f"{store.path}: {what}")
    return carried[0]


def fit_of(store: MetaDataset, side: str) -> dict[str, Any]:
    """Return the record of the fit of the flow that carries a side of a store.

    Args:
        store: to look at.
        side: 'x' or 'y'.

    Raises:
        MistdataError: no flow carries this side, or its flow was not fitted by `flow-fit`.
    """
    folder = store.path / ledger.FLOWS / side
    if not (folder / DESCRIPTION).is_file():
        raise MistdataError(f"{store.path}: no flow carries {side.upper()}")
    fit: dict[str, Any] = describe_flow(folder)["fit"]
    if "data_sha256" not in fit:
        raise MistdataError(f"{folder}: was not fitted to data")
    return fit


def one_row_each(store: MetaDataset, side: str, count: int, seed: int = 1) -> Array:
    """Take the first row of a side of so many datasets, or of all: independent draws.

    Args:
        store: to draw from.
        side: 'x' or 'y'.
        count: datasets, at most.
        seed: of their choice.

    Returns:
        (datasets, columns).
    """
    chosen = np.random.default_rng(seed).choice(len(store), min(count, len(store)), replace=False)
    return np.stack([getattr(store[int(position)], side)[0] for position in chosen])


def told_apart(one: Array, other: Array, rng: np.random.Generator) -> float:
    """Accuracy of a nearest-neighbour classifier on rows that it has not seen.

    Args:
        one: (n, d).
        other: (n, d).
        rng: divides the rows; half of each are known to the classifier.
    """
    rows = np.concatenate([one, other])
    label = np.repeat([0, 1], [len(one), len(other)])
    order = rng.permutation(len(rows))
    seen, unseen = np.array_split(order, 2)
    neighbours = max(1, round(math.sqrt(len(seen)))) | 1  # odd: no vote is tied
    index = cKDTree(rows[seen]).query(rows[unseen], neighbours)[1].reshape(len(unseen), -1)
    votes = label[seen][index].mean(axis=1) > label[seen].mean()
    return float((votes == label[unseen]).mean())


def sliced_wasserstein(one: Array, other: Array, rng: np.random.Generator) -> float:
    """Mean over directions of the first Wasserstein distance of the projections.

    Args:
        one: (n, d).
        other: (n, d), as many rows.
        rng: draws the directions.
    """
    directions = rng.standard_normal((one.shape[1], _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    projected = [np.sort(rows @ directions, axis=0) for rows in (one, other)]
    return float(np.abs(projected[0] - projected[1]).mean())


def _nearest(known: Array, rows: Array) -> float:
    """Median distance to the nearest known row."""
    return float(np.median(cKDTree(known).query(rows)[0]))
