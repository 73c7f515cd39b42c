"""Honest quantiles give a flat histogram, dishonest ones do not, atoms spread their mass."""

import numpy as np
import pytest
from scipy.special import ndtri

from mistdata.benchmark.pit import pit_histogram, pit_interval

LEVELS = np.array([0.1, 0.5, 0.9])


@pytest.mark.parametrize(
    ("quantiles", "mi", "expected"),
    [
        ([1.0, 2.0, 4.0], 3.0, (0.7, 0.7)),  # between
        ([1.0, 2.0, 4.0], 0.5, (0.0, 0.1)),  # below all
        ([1.0, 2.0, 4.0], 5.0, (0.9, 1.0)),  # above all
        ([1.0, 2.0, 4.0], 2.0, (0.5, 0.5)),  # on one
        ([0.0, 0.0, 4.0], 0.0, (0.0, 0.5)),  # an atom at 0
        ([0.0, 0.0, 0.0], 0.0, (0.0, 1.0)),  # certain of 0
        ([1.0, 2.0, 2.0], 2.0, (0.5, 1.0)),
    ],
)
def test_the_transform_by_hand(quantiles, mi, expected):
    low, high = pit_interval(LEVELS, np.array([quantiles]), np.array([mi]))
    assert (low[0], high[0]) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_histogram_is_flat_where_quantiles_are_honest_and_only_there(scale):
    """50,000 labels; 6 standard errors of a bin: a false alarm in 10^7."""
    levels = np.array([0.01, 0.025, *np.arange(0.05, 0.96, 0.05), 0.975, 0.99])
    mi = np.random.default_rng(0).normal(size=50_000)
    quantiles = np.broadcast_to(scale * ndtri(levels), (len(mi), len(levels)))
    shares = np.array(pit_histogram(*pit_interval(levels, quantiles, mi)))
    assert shares.sum() == pytest.approx(1)
    flat = abs(shares - 0.05).max() < 6 * (0.05 * 0.95 / len(mi)) ** 0.5
    assert flat == (scale == 1)


def test_the_mass_of_an_interval_is_spread_over_its_bins():
    shares = pit_histogram(np.array([0.0, 0.95]), np.array([0.5, 0.95]), bins=4)
    assert shares == pytest.approx([0.25, 0.25, 0, 0.5])


def test_there_is_no_histogram_without_quantiles():
    assert pit_histogram(np.array([np.nan]), np.array([np.nan])) is None
