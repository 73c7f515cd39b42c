"""Laws of scalar quantities."""

import math

import numpy as np
import pytest
from scipy import stats

from mistdata.distributions import Choice, LogUniform, Uniform

PRIORS = [Uniform(2.0, 9.0), LogUniform(2.0, 9.0), Choice((2, 5, 9))]


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
@pytest.mark.parametrize("integer", [False, True])
def test_draws_lie_in_the_support_with_the_asked_shape_and_type(prior, integer):
    rng = np.random.default_rng(1)
    values = prior.draw(rng, 1000, integer)
    low, high = prior.support(integer)
    assert values.shape == (1000,)
    assert values.dtype == (np.int64 if integer else np.float64)
    assert low <= values.min() and values.max() <= high
    assert type(prior.draw(rng, None, integer)) is (int if integer else float)
    assert (
        prior.draw(np.random.default_rng(2), 5) == prior.draw(np.random.default_rng(2), 5)
    ).all()


def test_uniform_integers_include_both_ends_evenly():
    values = Uniform(1, 4).draw(np.random.default_rng(3), 8000, integer=True)
    counts = np.bincount(values, minlength=5)[1:]
    assert stats.chisquare(counts).pvalue > 1e-6


def test_uniform_and_log_uniform_have_the_stated_laws():
    rng = np.random.default_rng(4)
    uniform = (Uniform(2.0, 9.0).draw(rng, 5000) - 2.0) / 7.0
    logarithmic = np.log(LogUniform(2.0, 9.0).draw(rng, 5000) / 2.0) / math.log(4.5)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-6
    assert stats.kstest(logarithmic, "uniform").pvalue > 1e-6


def test_log_uniform_integers_are_floors_of_a_log_uniform():
    values = LogUniform(1, 3).draw(np.random.default_rng(5), 8000, integer=True)
    expected = 8000 * np.log(np.array([2 / 1, 3 / 2, 4 / 3])) / math.log(4)
    assert stats.chisquare(np.bincount(values, minlength=4)[1:], expected).pvalue > 1e-6


@pytest.mark.parametrize("prior", [Uniform(1.5, 4), LogUniform(1.5, 4), Choice((1, 2.5))])
def test_an_integer_quantity_needs_whole_numbers(prior):
    with pytest.raises(ValueError, match="needs whole numbers"):
        prior.draw(np.random.default_rng(0), 3, integer=True)


@pytest.mark.parametrize("law", [Uniform, LogUniform])
@pytest.mark.parametrize("ends", [(3.0, 2.0), (1.0, math.inf), (math.nan, 1.0)])
def test_a_range_needs_finite_ordered_ends(law, ends):
    with pytest.raises(ValueError, match="a range needs finite low <= high"):
        law(*ends)


def test_log_uniform_needs_a_positive_range_and_choice_a_value():
    with pytest.raises(ValueError, match="log_uniform needs 0 < low, got 0"):
        LogUniform(0, 1)
    with pytest.raises(ValueError, match="values must not be empty"):
        Choice(())
