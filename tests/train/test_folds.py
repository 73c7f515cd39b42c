"""Folding: the label stays, and what showed in correlations does not show there any more."""

import math

import numpy as np
import pytest
import torch
from sklearn.feature_selection import mutual_info_regression

from train import folds
from train.folds import foldable, folded

N = 4000


def normal_pairs(batch, n, rho, seed):
    rng = np.random.default_rng(seed)
    x, e = rng.normal(size=(2, batch, n))
    y = rho * x + math.sqrt(1 - rho * rho) * e
    return torch.tensor(np.stack([x, y], axis=2), dtype=torch.float32)


def changed(before, after):
    """(batch, columns): which columns differ."""
    return (before != after).any(dim=1).numpy()


@pytest.fixture
def once(monkeypatch):
    monkeypatch.setattr(folds, "AGAIN", 0)


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("symbols", [None, 2, 5])
def test_the_old_column_is_a_function_of_the_new_and_the_branch_is_independent(symbols):
    before = normal_pairs(40, N, 0.9, seed=1)
    if symbols:
        before = (torch.special.ndtr(before) * symbols).floor()
    after = folded(before, np.random.default_rng(2))
    for number, column in np.argwhere(changed(before, after)):
        cells = after[number, :, column].double()
        level = torch.as_tensor(before[number, :, column]).double()
        count = {
            f for f in range(2, folds.BRANCHES + 1)
            if _unfolds(cells, f, level)
        }  # fmt: skip
        assert count, "no number of branches gives the old order back"
        branch = (cells * min(count)).floor()
        assert branch.unique().numel() == min(count)
        assert abs(np.corrcoef(branch, before[number, :, 1 - column])[0, 1]) < 4 / math.sqrt(N)
    assert changed(before, after).sum(axis=1).tolist() == [1] * len(before)


def _unfolds(cells, count, level):
    """Whether cells are `level` folded `count` times, straight or in a zigzag."""
    branch, rest = (cells * count).floor(), (cells * count).frac()
    zigzag = torch.where(branch % 2 == 1, 1 - rest, rest)
    return any(_increasing(level, each) for each in (rest, zigzag))


def _increasing(level, cells):
    """Whether cells grow with level, and are equal where it is, within rounding."""
    order = level.argsort(stable=True)
    steps, moves = level[order].diff(), cells[order].diff()
    return bool((moves[steps == 0].abs() < 1e-5).all() and (moves[steps > 0] > 1e-6).all())


def test_neighbours_find_the_same_information_where_correlation_finds_none():
    before = normal_pairs(20, N, 0.95, seed=3)
    after = folded(before, np.random.default_rng(4))
    truth = -0.5 * math.log1p(-(0.95**2))
    found = []
    for each in after.numpy():
        # neighbours measure distance in steps of the branches: ranks of both sides, finely
        ranks = each.argsort(axis=0).argsort(axis=0) / N
        found += list(mutual_info_regression(ranks[:, :1], ranks[:, 1], random_state=0))
    assert np.mean(found) == pytest.approx(truth, abs=0.12)
    correlations = [abs(np.corrcoef(each.numpy().T)[0, 1]) for each in after]
    assert np.median(correlations) < 0.5


def test_independent_columns_stay_independent():
    after = folded(normal_pairs(20, N, 0.0, seed=5), np.random.default_rng(6))
    found = [mutual_info_regression(s[:, :1], s[:, 1], random_state=0)[0] for s in after.numpy()]
    assert np.mean(found) < 0.03


def test_some_datasets_are_folded_twice_and_the_sample_itself_is_left_alone():
    before = normal_pairs(300, 64, 0.5, seed=7)
    copy = before.clone()
    after = folded(before, np.random.default_rng(8))
    assert torch.equal(before, copy)
    both = changed(before, after).all(axis=1).mean()
    assert both == pytest.approx(folds.AGAIN / 2, abs=0.07)
    assert torch.equal(after, folded(before, np.random.default_rng(8)))


def test_branches_have_rows_enough():
    cells = folded(normal_pairs(200, 48, 0.5, seed=9), np.random.default_rng(10))
    assert cells.isfinite().all()
    assert foldable(32, 8) and not foldable(31, 8) and not foldable(32, 9)
