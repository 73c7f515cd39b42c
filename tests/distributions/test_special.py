"""The special functions behind the closed forms, against 60 digits and written-out integrals."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mistdata.distributions.families import special
from mistdata.distributions.families._directions import cosine, moments, unit
from tests.distributions import densities_by_hand

some = settings(max_examples=60)
shapes = st.floats(-3.0, 3.0).map(lambda e: 10.0**e)
wide = st.one_of(
    st.floats(-6.0, 12.0).map(lambda e: 10.0**e),
    st.sampled_from([special.ASYMPTOTIC, math.nextafter(special.ASYMPTOTIC, 0.0)]),
)


def f(x):
    return mp.loggamma(x) - x * mp.digamma(x)


def g(x):
    return mp.loggamma(x) - (x - 1) * mp.digamma(x)


def combination(function, a, b, c):
    with mp.workdps(60):
        a, b, c = map(mp.mpf, (a, b, c))
        return float(function(c) + function(c + a + b) - function(c + a) - function(c + b))


@some
@given(shapes, shapes, wide)
def test_the_combination_of_f_is_that_of_60_digits(a, b, c):
    expected = combination(f, a, b, c)
    found = special.f_combination(a, b, c)
    assert abs(found - expected) <= 1e-12 * (1.0 + expected)
    if c >= special.ASYMPTOTIC:
        assert found == pytest.approx(expected, rel=1e-11)


@some
@given(shapes, shapes, wide)
def test_the_combination_of_g_is_that_of_60_digits(a, b, c):
    expected = -combination(g, a, b, c)
    found = special.g_combination(a, b, c)
    assert abs(found - expected) <= 1e-12 * (1.0 + expected)
    if c >= special.ASYMPTOTIC:
        assert found == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("function", [special.f_combination, special.g_combination])
def test_a_large_common_part_leaves_the_leading_term(function):
    for c in (1e5, 1e9, 1e100):
        assert function(2.5, 0.7, c) == pytest.approx(0.5 * 2.5 * 0.7 / c / c, rel=1e2 / c + 1e-14)


@pytest.mark.parametrize("function", [special.f_combination, special.g_combination])
def test_the_series_takes_over_without_a_step(function):
    # the slope of the logarithm is about -2/c
    for a, b in ((0.5, 0.5), (3.0, 40.0), (500.0, 0.01)):
        below, above = (
            function(a, b, special.ASYMPTOTIC * (1.0 + sign * 1e-13)) for sign in (-1, 1)
        )
        assert below == pytest.approx(above, rel=1e-9, abs=2e-14 * (1.0 + a + b))


@pytest.mark.parametrize("function", [special.f_combination, special.g_combination])
@some
@given(shapes, shapes, shapes)
def test_the_two_shapes_can_be_exchanged(function, a, b, c):
    assert function(a, b, c) == pytest.approx(function(b, a, c), rel=1e-12, abs=1e-12)


@some
@given(st.floats(1e-3, 1e3))
def test_two_unit_shapes_have_elementary_combinations(c):
    # the Pareto pair, and the uniform triangle's family
    theta = 1.0 / c
    pareto = math.log1p(theta) - theta / (1.0 + theta)
    assert special.f_combination(1.0, 1.0, c) == pytest.approx(pareto, abs=2e-12)
    # G(c+1) - G(c) = ln c + ψ(c) - c(ψ(c) + 1/c) + (c-1)ψ(c) = ln c - 1
    assert special.g_combination(1.0, 1.0, c) == pytest.approx(
        math.log(c) - math.log1p(c) + 1.0 / c, abs=2e-12 * (1.0 + theta)
    )


def test_a_vanishing_common_part_has_the_divergence_of_one_over_c():
    for c in (1e-6, 1e-10, 1e-14):
        assert c * special.g_combination(0.5, 1.5, c) == pytest.approx(1.0, abs=100.0 * c**0.9)


@some
@given(shapes, wide)
def test_the_limits_of_a_certain_second_shape_are_those_of_60_digits(a, c):
    with mp.workdps(60):
        a_, c_ = mp.mpf(a), mp.mpf(c)
        at_f = float(f(c_) - f(c_ + a_) - a_)
        at_g = float(a_ + g(c_ + a_) - g(c_))
    assert abs(special.f_limit(a, c) - at_f) <= 1e-12 * (1.0 + at_f)
    assert abs(special.g_limit(a, c) - at_g) <= 1e-12 * (1.0 + at_g)


@pytest.mark.parametrize(("a", "c"), [(0.3, 0.2), (2.0, 5.0), (7.0, 40.0)])
def test_the_combinations_reach_their_limits(a, c):
    for combined, limit in (
        (special.f_combination, special.f_limit),
        (special.g_combination, special.g_limit),
    ):
        gap = [abs(combined(a, b, c) - limit(a, c)) for b in (1e3, 1e4, 1e9)]
        assert gap[0] > 5.0 * gap[1]
        assert gap[2] < 1e-8


@some
@given(wide)
def test_the_digamma_and_trigamma_functions_are_those_of_60_digits(x):
    with mp.workdps(60):
        digamma = float(mp.digamma(mp.mpf(x)) - mp.log(mp.mpf(x)))
        trigamma = float(mp.polygamma(1, mp.mpf(x)))
    found = special.digamma_less_log(x)
    if x < special.ASYMPTOTIC:
        assert found == pytest.approx(digamma, rel=1e-13, abs=1e-14)
    else:
        assert found == pytest.approx(digamma, rel=1e-14)
    assert special.trigamma(x) == pytest.approx(trigamma, rel=1e-13)


def test_the_digamma_function_is_the_logarithm_at_infinity():
    assert special.digamma_less_log(math.inf) == 0.0


def logarithms_by_hand(a, b, c):
    """Covariance of ln C, ln(C+S), ln(C+T), ln(C+S+T) on a grid of the three logarithms."""
    axes = [densities_by_hand.axis(-30.0 / each - 1.0, 4.2, 0.25) for each in (c, a, b)]
    points, log_volume = densities_by_hand.mesh(*axes)
    common, first, second = np.exp(points.T)
    log_weight = log_volume + sum(
        stats.gamma(shape).logpdf(each) + np.log(each)
        for shape, each in zip((c, a, b), (common, first, second), strict=True)
    )
    logs = np.log([common, common + first, common + second, common + first + second])
    return log_weight, logs


@pytest.mark.parametrize(("a", "b", "c"), [(2.0, 3.0, 2.0), (2.5, 2.0, 3.0), (3.5, 4.0, 2.5)])
def test_the_deviations_are_those_of_written_out_integrals(a, b, c):
    log_weight, logs = logarithms_by_hand(a, b, c)
    for function, weights in (
        (special.f_deviation, (-c, c + a, c + b, -(c + a + b))),
        (special.g_deviation, (c - 1.0, 1.0 - c - a, 1.0 - c - b, c + a + b - 1.0)),
    ):
        mass, _, deviation = densities_by_hand.moments(log_weight, np.asarray(weights) @ logs)
        assert mass == pytest.approx(1.0, abs=1e-10)
        assert function(a, b, c) == pytest.approx(deviation, rel=1e-7)


def covariance_by_conditioning(a, b, c):
    """Cov(E[ln(C+S)|C], E[ln(C+T)|C]): given C the two are independent."""
    log_c = np.arange(-36.0 / c, 6.0 + math.log(c + 1.0), 0.05)

    def law(shape, t):
        weight = np.exp(stats.gamma(shape).logpdf(np.exp(t)) + t) * (t[1] - t[0])
        return weight / weight.sum()

    def mean(shape):
        t = np.arange(-36.0 / shape, 6.0 + math.log(shape + 1.0), 0.05)
        return np.logaddexp(log_c[:, None], t) @ law(shape, t)

    weight, first, second = law(c, log_c), mean(a), mean(b)
    return weight @ (first * second) - (weight @ first) * (weight @ second)


@pytest.mark.parametrize(
    ("a", "b", "c"), [(0.5, 0.5, 0.5), (3.0, 0.6, 0.4), (20.0, 5.0, 2.0), (2.0, 3.0, 30.0)]
)
def test_overlapping_sums_have_the_covariance_of_their_common_part(a, b, c):
    assert special._overlap(a, b, c) == pytest.approx(
        covariance_by_conditioning(a, b, c), rel=1e-6
    )


@pytest.mark.parametrize("dim", [2, 3, 10, 200])
@pytest.mark.parametrize("kappa", [1e-3, 0.7, 12.0, 300.0])
def test_the_moments_of_the_cosine_are_derivatives_of_a_hypergeometric_logarithm(dim, kappa):
    with mp.workdps(60):
        half, k = mp.mpf(dim) / 2, mp.mpf(kappa)
        expected = [
            float(mp.diff(lambda t: mp.log(mp.hyp0f1(half, t * t / 4)), k, order))
            for order in range(3)
        ]
    np.testing.assert_allclose(moments(kappa, dim), expected, rtol=1e-10, atol=1e-15)


def test_a_cosine_and_its_sine_are_a_point_of_the_circle_up_to_the_pole():
    for kappa, dim in ((0.0, 2), (5.0, 3), (1e9, 3), (50.0, 100)):
        along, across = cosine(kappa, dim, 2000, np.random.default_rng(1))
        np.testing.assert_allclose(along**2 + across**2, 1.0, rtol=1e-14)
        assert (across >= 0.0).all()
    # 2κ(1-w) is about χ² with dim - 1 degrees of freedom, and 1-w ≈ sine²/2
    _, across = cosine(1e9, 3, 5000, np.random.default_rng(2))
    assert stats.kstest(1e9 * across**2, stats.chi2(2).cdf).pvalue > 1e-4


def test_unit_rows_keep_their_direction():
    rows = np.array([[3.0, 4.0], [-1e-100, 0.0], [0.0, 1e100]])
    np.testing.assert_allclose(unit(rows), [[0.6, 0.8], [-1.0, 0.0], [0.0, 1.0]], rtol=1e-15)


@pytest.mark.parametrize("deviation", [special.f_deviation, special.g_deviation])
@pytest.mark.parametrize(("a", "b"), [(1.0, 3.0), (10.0, 20.0), (64.0, 64.0)])
def test_deviations_stay_smooth_where_their_terms_cancel(deviation, a, b):
    below, above, far = (deviation(a, b, c) * c / math.sqrt(a * b) for c in (1.99e4, 2.01e4, 1e9))
    assert below == pytest.approx(above, rel=5e-3)
    assert far == 1.0
