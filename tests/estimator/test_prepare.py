"""Preparations agree with independent computations and keep what they promise."""

import numpy as np
import pytest
import torch
from scipy.stats import norm, rankdata

from mistdata.estimator.prepare import (
    chosen_rows,
    prepared,
    rank,
    scores_of_ranks,
    soft_uniform,
)


@pytest.mark.parametrize("ties", [False, True])
def test_ranks_and_their_order_are_those_of_scipy(ties):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 5, size=(4, 30, 3)) if ties else rng.normal(size=(4, 30, 3))
    found = rank(torch.from_numpy(values))
    expected = 2 * (rankdata(values, method="average", axis=1) - 1)
    assert np.array_equal(found.doubled.numpy(), expected)
    ordered = np.take_along_axis(values, found.order.numpy(), axis=1)
    assert np.array_equal(ordered, np.sort(values, axis=1))
    assert (found.ties is not None) == ties
    if found.ties is not None:
        least, most = (rankdata(values, method=how, axis=1) - 1 for how in ("min", "max"))
        expected = np.stack([least, most], axis=-1)
        order = np.repeat(found.order.numpy()[..., None], 2, axis=-1)
        assert np.array_equal(found.ties.numpy(), np.take_along_axis(expected, order, axis=1))


def test_rank_scores_are_standardised_quantiles_of_the_normal():
    column = torch.tensor([[3.0], [1.0], [2.0], [4.0]]).unsqueeze(0)
    expected = norm.ppf((np.array([2, 0, 1, 3]) + 0.5) / 4)
    scores = scores_of_ranks(rank(column).doubled, torch.float64)[0, :, 0].numpy()
    np.testing.assert_allclose(scores, expected / expected.std(), rtol=1e-5)


@pytest.mark.parametrize("n", [100, 4000])
def test_soft_ranks_are_close_to_ranks_and_increase(n):
    rng = np.random.default_rng(1)
    values = torch.from_numpy(np.exp(rng.normal(size=(1, n, 2))))
    soft, doubled = soft_uniform(values), rank(values).doubled
    ranks = (doubled + 1) / (2 * n)
    assert (soft - ranks).abs().max() < 0.15
    order = values[0, :, 0].argsort()
    assert (soft[0, order, 0].diff() >= 0).all()
    assert soft.min() > 0 and soft.max() < 1


def test_the_soft_rank_of_many_rows_is_that_of_all_rows(monkeypatch):
    rng = np.random.default_rng(2)
    values = torch.from_numpy(rng.standard_t(2, size=(1, 3000, 1)))
    cut = soft_uniform(values)
    monkeypatch.setattr("mistdata.estimator.prepare.SOFT_POINTS", 3000)
    assert (cut - soft_uniform(values)).abs().max() < 2e-3


@pytest.mark.parametrize("prep", ["soft", "affine"])
@pytest.mark.parametrize("units", [(3.0, 0.2), (1e-9, 1e9)])
def test_units_of_a_column_do_not_matter(prep, units):
    values = torch.randn(1, 50, 2, dtype=torch.float64)
    moved = values * torch.tensor(units) + torch.tensor([-7.0, 1.0]) * torch.tensor(units)
    before, after = (prepared(each, None, prep, torch.float64) for each in (values, moved))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-5)


@pytest.mark.parametrize("prep", ["rank", "soft", "affine"])
def test_scores_have_mean_zero_and_unit_variance_whatever_the_tails(prep):
    values = torch.from_numpy(np.random.default_rng(3).standard_cauchy(size=(2, 500, 3)))
    scores = prepared(values, rank(values).doubled, prep, torch.float64)
    assert scores.isfinite().all()
    assert scores.mean(dim=1).abs().max() < 1e-8
    assert (scores.square().mean(dim=1) - 1).abs().max() < 1e-3


def test_rows_are_chosen_by_their_content_alone():
    values = torch.randn(2, 300, 5, dtype=torch.float64)
    doubled = rank(values).doubled
    chosen = chosen_rows(doubled, 40)
    assert chosen.shape == (2, 40)
    shuffle = torch.randperm(300)
    again = chosen_rows(doubled[:, shuffle][:, :, [3, 4, 1, 0, 2]], 40)
    assert torch.equal(shuffle[again], chosen)
    assert chosen_rows(doubled, 300) is None


def test_chosen_rows_are_spread_over_the_sample():
    """The mean score of 512 of 4,096 rows lies within 4 of its standard errors."""
    values = torch.randn(1, 4096, 2, dtype=torch.float64)
    chosen = chosen_rows(rank(values).doubled, 512)[0]
    assert values[0, chosen].mean(dim=0).abs().max() < 4 / 512**0.5


def test_of_equal_rows_a_share_is_chosen():
    """Symbols: of every value of a row as many are chosen as belong to it, within one."""
    values = torch.randint(0, 3, (1, 5000, 2)).double()
    kept = values[0, chosen_rows(rank(values).doubled, 500)[0]]
    for cell in values[0].unique(dim=0):
        share, whole = ((rows == cell).all(dim=1).double().mean() for rows in (kept, values[0]))
        assert abs(share - whole) <= 1 / 500


def test_the_order_of_columns_and_sides_does_not_choose_among_symbols():
    values = torch.randint(0, 3, (1, 3003, 4)).double()
    shuffle = torch.randperm(3003)
    for columns in ([1, 0, 2, 3], [2, 3, 0, 1], [3, 1, 0, 2]):
        kept = values[0, chosen_rows(rank(values).doubled, 2048)[0]]
        moved = values[:, shuffle][:, :, columns]
        again = moved[0, chosen_rows(rank(moved).doubled, 2048)[0]]
        assert torch.equal(again, kept[:, columns])


def test_unequal_rows_of_equal_hash_are_chosen_alike_in_any_order():
    """(0, 1) and (1, 0), in turns: a hash in which columns count alike does not part them."""
    first = (torch.arange(4096) % 2).double()
    values = torch.stack([first, 1 - first], dim=1)[None]
    for rows in (torch.arange(4096), torch.randperm(4096)):
        chosen = chosen_rows(rank(values[:, rows]).doubled, 2048)[0]
        assert values[0, rows[chosen]].mean(dim=0).tolist() == [0.5, 0.5]
