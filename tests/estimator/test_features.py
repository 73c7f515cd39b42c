"""Ranks and moments agree with independent computations."""

import numpy as np
import torch
from scipy.stats import norm, rankdata

from mistdata.estimator.features import gaussian_copula, mid_ranks, normal_scores


def test_mid_ranks_are_those_of_scipy():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(4, 30, 3)), rng.integers(0, 5, size=(4, 30, 3))):
        expected = rankdata(values, method="average", axis=1) - 1
        assert np.array_equal(mid_ranks(torch.from_numpy(values)).numpy(), expected)


def test_normal_scores_are_standardised_quantiles_of_the_normal():
    column = torch.tensor([[3.0], [1.0], [2.0], [4.0]]).unsqueeze(0)
    expected = norm.ppf((np.array([2, 0, 1, 3]) + 0.5) / 4)
    scores = normal_scores(column, torch.float64)[0, :, 0].numpy()
    np.testing.assert_allclose(scores, expected / expected.std(), rtol=1e-5)


def test_gaussian_copula_information_is_the_log_determinant_after_shrinking():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(2, 5, 9))
    covariance = root @ root.swapaxes(1, 2)
    scale = np.sqrt(np.einsum("bjj->bj", covariance))
    correlation = covariance / scale[:, :, None] / scale[:, None, :]
    _, nats = gaussian_copula(torch.from_numpy(correlation), 2, n=10**12, shrinkage=0.01)
    correlation = (1 - 1e-5) * correlation + 1e-5 * np.eye(5)
    sides = [correlation[:, :2, :2], correlation[:, 2:, 2:], correlation]
    log_det = [np.linalg.slogdet(block)[1] for block in sides]
    expected = (log_det[0] + log_det[1] - log_det[2]) / 2
    np.testing.assert_allclose(nats.numpy(), expected, rtol=1e-9)
