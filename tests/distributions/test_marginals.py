"""Marginal laws: against scipy and mpmath, there and back in both tails."""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from mistdata.distributions.marginals import (
    GREATEST,
    LEAST,
    MARGINALS,
    column,
    flipped,
    margin_of,
    open_interval,
)

every_marginal = pytest.mark.parametrize("name", sorted(MARGINALS))
TAILS = 10.0 ** -np.arange(1.0, 16.0)
UNIFORMS = np.concatenate((TAILS[::-1], np.linspace(0.11, 0.89, 500), 1.0 - TAILS))
MIXTURES = {"bimodal": ((0.5, -1), (0.5, 3)), "bimodal-uneven": ((0.3, 0), (0.7, 5))}
LAWS = {
    "normal": stats.norm,
    "student": stats.t(3),
    "exponential": stats.expon,
    "uniform": stats.uniform,
}


def mixture_cdf(name, x):
    weights = [(mp.mpf(str(weight)), mean) for weight, mean in MIXTURES[name]]
    return sum(weight * mp.ncdf(mp.mpf(x) - mean) for weight, mean in weights)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_quantiles_agree_with_scipy(name):
    x = MARGINALS[name].quantile(UNIFORMS)
    expected = LAWS[name].ppf(UNIFORMS)
    # near 1 scipy may lose what 1 - u has lost, and a uniform keeps below 1 in single precision
    np.testing.assert_allclose(x, expected, rtol=1e-12, atol=6e-8 if name == "uniform" else 1e-15)


@pytest.mark.parametrize("name", sorted(MIXTURES))
def test_bimodal_quantiles_invert_the_mixture_to_rounding(name):
    u = np.concatenate((10.0 ** -np.arange(1.0, 17.0), np.linspace(0.01, 0.99, 197)))
    x = MARGINALS[name].quantile(u)
    with mp.workdps(40):
        for each, at in zip(u, x, strict=True):
            density = sum(
                weight * float(mp.npdf(float(at) - mean)) for weight, mean in MIXTURES[name]
            )
            excess = float(mixture_cdf(name, float(at)) - mp.mpf(float(each)))
            assert abs(excess) < 1e-13 * max(density, each)


@every_marginal
def test_the_way_back_is_exact_in_both_tails(name):
    marginal = MARGINALS[name]
    margin = marginal.margin(marginal.quantile(UNIFORMS))
    keeps = UNIFORMS < 1.0 - 1e-7 if name == "uniform" else slice(None)
    low = np.maximum(1e-12 * UNIFORMS, 3e-16)
    high = np.maximum(1e-12 * (1.0 - UNIFORMS), 3e-16)
    assert (np.abs(margin.u - UNIFORMS) < low)[keeps].all()
    assert (np.abs(margin.s - (1.0 - UNIFORMS)) < high)[keeps].all()
    np.testing.assert_allclose(margin.score[keeps], stats.norm.ppf(margin.u)[keeps], rtol=1e-2)
    np.testing.assert_allclose(np.exp(margin.log_u), margin.u, rtol=1e-12)
    np.testing.assert_allclose(np.exp(margin.log_s), margin.s, rtol=1e-12)


@pytest.mark.parametrize("name", ["normal", "exponential", "bimodal", "bimodal-uneven"])
def test_far_tails_keep_their_relative_accuracy(name):
    law = LAWS.get(name)
    for x in (-12.0, 20.0):
        margin = MARGINALS[name].margin(np.array([x]))
        with mp.workdps(60):
            if law is None:
                low = float(mixture_cdf(name, x))
                parts = [(mp.mpf(str(weight)), mean) for weight, mean in MIXTURES[name]]
                high = float(sum(weight * mp.ncdf(mean - mp.mpf(x)) for weight, mean in parts))
            else:
                low, high = law.cdf(x), law.sf(x)
        if low > 0.0:
            np.testing.assert_allclose((margin.u[0], margin.s[0]), (low, high), rtol=1e-12)


@every_marginal
def test_quantiles_increase_strictly_and_are_finite_at_the_ends(name):
    x = MARGINALS[name].quantile(np.sort(np.random.default_rng(0).random(20_000)) * 0.9999)
    assert (np.diff(x) > 0.0).all()
    ends = MARGINALS[name].quantile(open_interval(np.array([0.0, 1.0])))
    assert np.isfinite(ends).all()
    assert np.isfinite(ends.astype(np.float32)).all()


@every_marginal
def test_samples_have_the_law(name):
    x = MARGINALS[name].quantile(np.random.default_rng(1).random(20_000))
    if name in LAWS:
        cdf = LAWS[name].cdf
    else:

        def cdf(x):
            return sum(weight * stats.norm.cdf(x - mean) for weight, mean in MIXTURES[name])

    assert stats.kstest(x, cdf).pvalue > 1e-4


def test_a_uniform_stays_below_one_in_single_precision_and_off_support_means_the_edge():
    x = MARGINALS["uniform"].quantile(np.array([GREATEST])).astype(np.float32)
    assert x[0] < 1.0
    margin = MARGINALS["uniform"].margin(np.array([-1e-7, 0.0, 1.0, 1.0 + 1e-7]))
    assert np.isfinite((margin.score, margin.log_u, margin.log_s)).all()
    assert np.isfinite(MARGINALS["exponential"].margin(np.array([-1e-7])).log_u).all()


def test_margins_flip_and_have_columns():
    u = np.array([[LEAST, 0.25], [0.5, 0.9]])
    margin = margin_of(u, 1.0 - u)
    turned = flipped(margin)
    np.testing.assert_array_equal(turned.u, margin.s)
    np.testing.assert_array_equal(turned.score, -margin.score)
    np.testing.assert_array_equal(column(margin, 1).log_s, margin.log_s[:, 1])
