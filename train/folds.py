"""Fold columns of a sample: dependence that no correlation shows, of a mutual information known.

Let u in (0, 1) be the mid-rank of a cell of a column, and b its branch, one of f, drawn uniformly
and independently of everything. Folding puts the cell at

    (b + v) / f,   v = u, or on every second branch 1 - u.

The old column is a function of the new one, and what the new one holds besides, the branch, is
independent of all other columns: the mutual information of X and Y stays as it is, exactly, of
symbols too. Seen against Y, a monotone relation becomes a sawtooth or a zigzag.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mistdata.estimator.prepare import rank

COLUMNS = 8  # most columns of X and Y together in which folds can be found again
BRANCHES = 8  # most branches of a fold
ROWS = 16  # fewest rows for each of them
AGAIN = 1 / 3  # share of the datasets of which another column, or the same, is folded too


def foldable(n: int, columns: int) -> bool:
    """Whether a sample of this shape can show two branches."""
    return columns <= COLUMNS and n >= 2 * ROWS


def folded(values: Tensor, rng: np.random.Generator) -> Tensor:
    """Fold a random column of every dataset, and of some a second one.

    Args:
        values: (batch, n, columns), with n ≥ 32; not changed.
        rng: decides columns, branches and directions.

    Returns:
        (batch, n, columns); a folded column lies in (0, 1).
    """
    once = _fold(values, rng)
    again = torch.from_numpy(rng.random(len(values)) < AGAIN).to(values.device)
    return torch.where(again[:, None, None], _fold(once, rng), once)


def _fold(values: Tensor, rng: np.random.Generator) -> Tensor:
    """Fold one column of every dataset."""
    batch, n, columns = values.shape
    column = rng.integers(columns, size=(batch, 1, 1))
    count = rng.integers(2, min(BRANCHES, n // ROWS) + 1, size=(batch, 1, 1))
    branch = np.floor(rng.random((batch, n, 1)) * count)
    turned = (rng.random((batch, 1, 1)) < 0.5) & (branch % 2 == 1)
    place = torch.from_numpy(column).to(values.device).expand(-1, n, -1)
    level = (rank(values.gather(2, place)).doubled.cpu().numpy() + 1) / (2 * n)
    cells = (branch + np.where(turned, 1 - level, level)) / count
    return values.scatter(2, place, torch.from_numpy(cells).to(values))
