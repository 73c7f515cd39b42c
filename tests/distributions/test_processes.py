"""Gaussian Markov processes: covariances of times, the Markov property, limits in time.

No test here is statistical: the covariance of a sampler is read off its map of normals.
"""

import math
import re

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistdata.distributions import FAMILIES
from tests.distributions import covariances_by_hand as by_hand

AR1 = FAMILIES["gaussian-ar1"]
OU = FAMILIES["gaussian-ou"]
BROWNIAN = FAMILIES["gaussian-brownian"]
BIVARIATE = FAMILIES["gaussian-bivariate"]
few = settings(max_examples=15)
dims = st.tuples(st.integers(1, 5), st.integers(1, 5))
seeds = st.integers(0, 2**32)
PROCESSES = ["gaussian-ar1", "gaussian-brownian", "gaussian-ou"]
names = st.sampled_from(PROCESSES)


def value(member):
    return member.mutual_information().value


def covariance_by_hand(member):
    """The covariance of the model from the times of every column, with 40 digits."""
    m, d, theta = member.dim_x, member.dim_x + member.dim_y, member.theta
    sigma = mp.matrix(d, d)
    with mp.workdps(by_hand.DIGITS):
        for i in range(d):
            for j in range(d):
                if member.name == "gaussian-ar1":
                    times = [k + 1 if k < m else k + theta["gap"] for k in (i, j)]
                    sigma[i, j] = mp.mpf(theta["rho"]) ** abs(times[0] - times[1])
                elif member.name == "gaussian-ou":
                    lag = mp.mpf(theta["kappa_tau"]) * ((i < m) != (j < m))
                    sigma[i, j] = mp.exp(-lag) * (i % m == j % m)
                else:
                    sigma[i, j] = min(mp.mpf(theta["ratio"]) if k < m else 1 for k in (i, j))
    return sigma


def drawn(name, shape, seed):
    family = FAMILIES[name]
    return family.draw(*family.shape.nearest(*shape), np.random.default_rng(seed))


@given(names, dims, seeds)
def test_the_information_is_that_of_the_determinants_of_the_model(name, shape, seed):
    member = drawn(name, shape, seed)
    found = member.mutual_information()
    sigma = covariance_by_hand(member)
    assert abs(found.value - by_hand.information(sigma, member.dim_x)) <= found.error
    omega = by_hand.correlations(sigma)
    squares = by_hand.squared_canonical_correlations(omega, member.dim_x)
    assert found.pmi_std**2 == pytest.approx(squares.sum(), abs=1e-13 * np.linalg.cond(omega))
    np.testing.assert_allclose(member.correlation_matrix(), omega, rtol=0, atol=1e-14)


@few
@given(names, dims, seeds)
def test_the_pointwise_information_is_that_of_the_written_out_densities(name, shape, seed):
    member = drawn(name, shape, seed)
    rng = np.random.default_rng(seed)
    x, y = (2.0 * rng.standard_normal((8, d)) for d in (member.dim_x, member.dim_y))
    sigma = np.array(covariance_by_hand(member).tolist(), dtype=float)
    np.testing.assert_allclose(
        member.pointwise_mutual_information(x, y),
        by_hand.pointwise(x, y, sigma),
        rtol=0,
        atol=1e-11 * np.linalg.cond(sigma),
    )


@few
@given(names, dims, seeds)
def test_the_sampler_maps_its_normals_to_the_covariance_of_the_model(name, shape, seed):
    member = drawn(name, shape, seed)
    sigma = np.array(covariance_by_hand(member).tolist(), dtype=float)
    found = by_hand.of_the_sampler(member, seed)
    np.testing.assert_allclose(found, sigma, rtol=0, atol=1e-11)


def test_the_information_across_a_gap_does_not_depend_on_the_length_of_the_blocks():
    expected = -0.5 * math.log1p(-(0.7**6))
    for shape in ((1, 1), (1, 30), (30, 1), (17, 40)):
        assert value(AR1(*shape, rho=0.7, gap=3)) == pytest.approx(expected, rel=1e-14)


@few
@given(st.floats(-0.99, 0.99), st.integers(1, 30), seeds)
def test_the_past_and_the_future_meet_in_their_nearest_values_only(rho, gap, seed):
    member, rng = AR1(4, 3, rho=rho, gap=gap), np.random.default_rng(seed)
    x, y = rng.standard_normal((6, 4)), rng.standard_normal((6, 3))
    found = member.pointwise_mutual_information(x, y)
    pair = BIVARIATE(1, 1, rho=rho**gap).pointwise_mutual_information(x[:, -1:], y[:, :1])
    np.testing.assert_allclose(found, pair, rtol=1e-9, atol=1e-9)
    x[:, :-1], y[:, 1:] = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    np.testing.assert_allclose(
        member.pointwise_mutual_information(x, y), found, rtol=1e-9, atol=1e-9
    )


@few
@given(st.floats(-0.99, 0.99), st.integers(1, 5), dims, seeds)
def test_a_stationary_series_is_the_same_backwards(rho, gap, shape, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal((5, d)) for d in shape)
    there = AR1(*shape, rho=rho, gap=gap).pointwise_mutual_information(x, y)
    back = AR1(*shape[::-1], rho=rho, gap=gap).pointwise_mutual_information(y[:, ::-1], x[:, ::-1])
    np.testing.assert_allclose(back, there, rtol=1e-9, atol=1e-9)


@few
@given(st.floats(-0.999, 0.999), st.integers(1, 40))
def test_a_gap_is_one_step_of_a_process_that_forgets_faster(rho, gap):
    one = value(AR1(2, 3, rho=rho**gap, gap=1))
    assert value(AR1(2, 3, rho=rho, gap=gap)) == pytest.approx(one, rel=1e-10, abs=1e-300)
    assert value(AR1(2, 3, rho=-rho, gap=gap)) == value(AR1(2, 3, rho=rho, gap=gap))


@few
@given(st.floats(1e-6, 30.0), st.integers(1, 9))
def test_regular_observations_of_an_ornstein_uhlenbeck_process_are_autoregressive(lag, steps):
    series = value(AR1(3, 2, rho=math.exp(-lag), gap=steps))
    assert value(OU(1, 1, kappa_tau=lag * steps)) == pytest.approx(series, rel=1e-9)


def test_the_components_of_an_ornstein_uhlenbeck_process_add_up():
    one, seven = (OU(d, d, kappa_tau=0.3).mutual_information() for d in (1, 7))
    assert seven.value == pytest.approx(7.0 * one.value, rel=1e-14)
    assert seven.pmi_std == pytest.approx(math.sqrt(7.0) * one.pmi_std, rel=1e-14)


@few
@given(st.floats(1e-6, 0.999999))
def test_brownian_motion_is_a_bivariate_normal_whose_correlation_is_the_root_of_the_ratio(ratio):
    pair = BIVARIATE(1, 1, rho=math.sqrt(ratio))
    assert value(BROWNIAN(1, 1, ratio=ratio)) == pytest.approx(value(pair), rel=1e-9)


@few
@given(st.floats(1e-4, 0.9999), st.floats(1e-3, 0.999))
def test_an_ornstein_uhlenbeck_process_is_brownian_motion_in_logarithmic_time(ratio, other):
    # B(s)/√s and B(t)/√t have the correlation √(s/t) = e^(-κτ), κτ = ½ ln(t/s)
    expected = value(OU(1, 1, kappa_tau=-0.5 * math.log(ratio)))
    assert value(BROWNIAN(1, 1, ratio=ratio)) == pytest.approx(expected, rel=1e-9)
    assert value(BROWNIAN(1, 1, ratio=ratio * other)) < value(BROWNIAN(1, 1, ratio=ratio))


@pytest.mark.parametrize("rho", [1e-200, 1e-9, 0.5, 1.0 - 1e-9, 1.0 - 1e-15, -(1.0 - 2.0**-53)])
@pytest.mark.parametrize("gap", [1, 2, 1000])
def test_an_autoregressive_process_keeps_its_digits(rho, gap):
    found = AR1(2, 2, rho=rho, gap=gap).mutual_information().value
    with mp.workdps(900):
        power = abs(mp.mpf(rho)) ** (2 * gap)
        expected = float(-mp.log1p(-power) / 2)
    assert found == pytest.approx(expected, rel=2e-13, abs=1e-300)


@pytest.mark.parametrize("lag", [1e-300, 1e-12, 1e-3, 1.0, 30.0, 5e3])
def test_an_ornstein_uhlenbeck_process_keeps_its_digits(lag):
    with mp.workdps(4500):
        expected = float(-mp.log1p(-mp.exp(-2 * mp.mpf(lag))) / 2)
    found = OU(1, 1, kappa_tau=lag).mutual_information().value
    assert found == pytest.approx(expected, rel=1e-13, abs=1e-300)


@pytest.mark.parametrize("ratio", [1e-300, 1e-12, 0.5, 1.0 - 1e-9, 1.0 - 2.0**-53])
def test_brownian_motion_keeps_its_digits(ratio):
    with mp.workdps(400):
        expected = float(-mp.log1p(-mp.mpf(ratio)) / 2)
    found = BROWNIAN(1, 1, ratio=ratio).mutual_information().value
    assert found == pytest.approx(expected, rel=1e-14)


def test_what_is_forgotten_carries_no_information():
    assert value(AR1(3, 2, rho=0.0, gap=1)) == 0.0
    assert value(AR1(3, 2, rho=0.1, gap=1000)) == 0.0
    assert value(OU(2, 2, kappa_tau=1e3)) == 0.0
    assert value(OU(1, 1, kappa_tau=9.0)) == pytest.approx(0.5 * math.exp(-18.0), rel=1e-7)
    x, y = np.ones((2, 3)), np.ones((2, 2))
    found = AR1(3, 2, rho=0.0, gap=1).pointwise_mutual_information(x, y)
    np.testing.assert_array_equal(found, 0.0)


@pytest.mark.parametrize(
    ("family", "key", "grid", "fixed"),
    [
        (AR1, "rho", np.linspace(0.99, 0.01, 40), {"gap": 2}),
        (AR1, "gap", range(1, 40), {"rho": -0.9}),
        (OU, "kappa_tau", np.geomspace(1e-6, 10.0, 40), {}),
        (BROWNIAN, "ratio", np.linspace(0.99, 0.01, 40), {}),
    ],
)
def test_information_is_lost_with_time(family, key, grid, fixed):
    values = [value(family(1, 1, **{key: each}, **fixed)) for each in grid]
    assert (np.diff(values) < 0.0).all()


@pytest.mark.parametrize("d", [1, 3, 4, 16, 64, 2000])
def test_the_prior_of_the_lag_asks_for_at_most_three_nats_a_component_and_ten_in_all(d):
    low, _ = OU.parameters["kappa_tau"].published_prior(d, d).support()
    most = value(OU(d, d, kappa_tau=low))
    assert most <= min(3.0 * d, 10.0) * (1.0 + 1e-12)
    assert most > min(2.5 * d, 9.9)


@pytest.mark.parametrize(
    ("family", "key", "end", "fixed"),
    [
        (AR1, "rho", 1.0, {"gap": 1}),
        (AR1, "rho", -1.0, {"gap": 1}),
        (OU, "kappa_tau", 0.0, {}),
        (BROWNIAN, "ratio", 0.0, {}),
        (BROWNIAN, "ratio", 1.0, {}),
    ],
)
def test_times_that_coincide_are_refused_with_the_reason(family, key, end, fixed):
    reason = re.escape(family.parameters[key].reason)
    with pytest.raises(ValueError, match=f"^{family.name}: {key} must lie in .*{reason}$"):
        family(1, 1, **{key: end}, **fixed)


def test_both_times_of_an_ornstein_uhlenbeck_process_have_the_same_dimension():
    with pytest.raises(ValueError, match="unsupported dimensions dim_x=2, dim_y=3"):
        OU(2, 3, kappa_tau=1.0)
    with pytest.raises(ValueError, match="unsupported dimensions dim_x=2, dim_y=2"):
        BROWNIAN(2, 2, ratio=0.5)
