"""What is read off quantiles: median, mean, intervals, units."""

import math

import numpy as np
import pytest

from mistdata.estimator.result import Estimate

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))


def uniform(level=0.9, units="nats", **said):
    """Quantiles of the uniform law on (0, 10)."""
    nats = [10 * each for each in LEVELS]
    return Estimate.of_quantiles(LEVELS, nats, level=level, units=units, n=100, **said)


def test_median_mean_and_interval_of_a_uniform_law():
    found = uniform()
    assert found.median == 5
    assert found.mean == pytest.approx(5)
    assert found.interval == (found.lower, found.upper) == pytest.approx((0.5, 9.5))


def test_an_interval_between_the_levels_is_interpolated():
    assert uniform(0.85).interval == pytest.approx((0.75, 9.25))
    assert uniform().within(0.5) == pytest.approx((2.5, 7.5))
    assert uniform().within(0.01) == pytest.approx((4.95, 5.05))


def test_the_mean_takes_the_tails_as_constant():
    # 0.25 · 1 + 0.25 · (1 + 2) / 2 + 0.25 · (2 + 4) / 2 + 0.25 · 4
    levels, nats = (0.25, 0.5, 0.75), (1.0, 2.0, 4.0)
    found = Estimate.of_quantiles(levels, nats, level=0.5, units="nats", n=9)
    assert found.mean == pytest.approx(2.375)


def test_the_mean_of_a_fine_grid_is_the_mean_of_the_law():
    levels = np.arange(1, 2000) / 2000
    nats = -np.log(1 - levels)  # exponential, mean 1
    found = Estimate.of_quantiles(levels.tolist(), nats, level=0.9, units="nats", n=9)
    assert found.mean == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("level", [0.91, 1.0, 0.0, -0.5, math.nan, "0.9", None])
def test_a_level_beyond_the_quantiles_says_what_is_possible(level):
    message = r"level must lie in \(0, 0\.9\].* from 0\.05 to 0\.95; got"
    with pytest.raises(ValueError, match=message):
        uniform(level)
    with pytest.raises(ValueError, match=message):
        uniform().within(level)


def test_a_bit_is_the_logarithm_of_two_in_nats():
    nats, bits = uniform(), uniform(units="bits")
    for name in ("median", "mean", "interval", "quantiles"):
        ratio = np.divide(getattr(nats, name), getattr(bits, name))
        np.testing.assert_allclose(ratio, math.log(2))
    assert nats.levels == bits.levels


def test_unknown_units_are_refused():
    with pytest.raises(ValueError, match="units must be one of nats, bits, got 'bans'"):
        uniform(units="bans")


def test_an_answer_reads_as_a_sentence_and_its_warnings():
    text = str(uniform(units="bits", dropped=7, warnings=["one", "two"]))
    assert text == (
        "7.213 bits, 90 % interval 0.721 to 13.706 (100 rows, 7 dropped)\n"
        "warning: one\nwarning: two"
    )
    assert str(uniform()) == "5.000 nats, 90 % interval 0.500 to 9.500 (100 rows)"
    assert "quantiles" not in repr(uniform())
