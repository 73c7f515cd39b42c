"""Gaussian, t, Farlie-Gumbel-Morgenstern and Plackett copulas against scipy and mpmath."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from mistdata.distributions import integrate
from mistdata.distributions.families import _pair_copulas as pairs
from mistdata.distributions.families.copulas import (
    CopulaFgm,
    CopulaGaussian,
    CopulaPlackett,
    CopulaT,
)
from mistdata.distributions.marginals import MARGINALS
from tests.distributions.copulas_by_hand import (
    POINTS,
    check_conditional_quantile,
    check_density,
    check_sampler,
    label,
    margins,
    members,
)

CASES = members("fgm", "plackett")
every_case = pytest.mark.parametrize("case", CASES, ids=map(label, CASES))
NORMAL = {"marginal_x": "normal", "marginal_y": "normal"}
STUDENTS = [(0.0, 1.0), (0.7, 2.5), (-0.9, 8.0)]


@every_case
def test_the_density_is_the_mixed_derivative(case):
    check_density(*case)


@every_case
def test_the_conditional_quantile_inverts_the_partial_derivative(case):
    check_conditional_quantile(*case)


@every_case
def test_the_sampler_follows_the_distribution_function(case):
    check_sampler(*case)


@pytest.mark.parametrize(
    "pair",
    [case[1] for case in CASES]
    + [pairs.Gaussian(rho) for rho in (-0.95, 1e-3, 0.5)]
    + [pairs.Student(*each) for each in STUDENTS],
    ids=str,
)
def test_quadrature_over_the_square_gives_the_same_information(pair):
    by_quadrature, stated = integrate.copula(pair.log_density, 1e-9), pair.information()
    assert abs(by_quadrature.value - stated.value) < 1e-9
    if stated.pmi_std is not None:
        assert abs(by_quadrature.pmi_std - stated.pmi_std) < 1e-7


@pytest.mark.parametrize("rho", [-0.99, 0.0, 0.3, 0.999])
def test_the_gaussian_density_is_that_of_scipy(rho):
    u, v = np.array(POINTS).T
    a, b = stats.norm.ppf(u), stats.norm.ppf(v)
    joint = stats.multivariate_normal(cov=[[1, rho], [rho, 1]]).logpdf(np.stack((a, b), axis=1))
    expected = joint - stats.norm.logpdf(a) - stats.norm.logpdf(b)
    found = pairs.Gaussian(rho).log_density(*margins(u, v))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("rho", "nu"), [*STUDENTS, (0.98, 0.5), (0.2, 1e4)])
def test_the_t_density_is_that_of_scipy(rho, nu):
    u, v = np.array(POINTS).T
    a, b = stats.t(nu).ppf(u), stats.t(nu).ppf(v)
    law = stats.multivariate_t(shape=[[1, rho], [rho, 1]], df=nu)
    expected = law.logpdf(np.stack((a, b), axis=1)) - stats.t(nu).logpdf(a) - stats.t(nu).logpdf(b)
    found = pairs.Student(rho, nu).log_density(*margins(u, v))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "pair", [pairs.Gaussian(0.6), pairs.Gaussian(-0.95), *(pairs.Student(*s) for s in STUDENTS)]
)
def test_elliptical_samples_have_uniform_margins_and_greiner_s_rank_correlation(pair):
    u, v = pair.draw(8000, np.random.default_rng(0))
    for side in (u, v):
        assert stats.kstest(side, "uniform").pvalue > 1e-4
    tau = 2.0 / math.pi * math.asin(pair.rho)
    assert abs(stats.kendalltau(u, v).statistic - tau) < 0.04  # the standard error is below 0.008


def test_the_two_ways_to_draw_a_gaussian_pair_agree():
    pair, rng = pairs.Gaussian(0.8), np.random.default_rng(1)
    u, q = rng.random((2, 8000))
    a, b = stats.norm.ppf(u), stats.norm.ppf(pair.quantile(q, u))
    assert abs(np.corrcoef(a, b)[0, 1] - 0.8) < 0.02
    assert stats.kstest(b, "norm").pvalue > 1e-4


@pytest.mark.parametrize("theta", [1e-5, 0.1, 0.499, 0.5, 0.77, 1.0])
def test_fgm_agrees_with_its_series_in_mpmath(theta):
    with mp.workdps(30):
        t = mp.mpf(theta)
        n = [mp.polylog(2, t), mp.polylog(2, -t)]
        chi = (n[0] - n[1]) / 2
        atanh_terms = (1 + t) * (3 + t) * mp.log1p(t)
        if theta < 1.0:
            atanh_terms -= (1 - t) * (3 - t) * mp.log1p(-t)
        by_parts = float(atanh_terms / (8 * t) - mp.mpf(5) / 4 + chi / (2 * t))
    j = np.arange(1, 200_001, dtype=float)
    by_sum = float((theta ** (2 * j) / (2 * j * (2 * j - 1) * (2 * j + 1) ** 2)).sum())
    found = pairs.fgm_information(theta)
    assert abs(found - by_sum) < 1e-15 + 1e-12 * by_sum
    if theta > 0.01:
        assert abs(found - by_parts) < 1e-14


@pytest.mark.parametrize("theta", [3.0, 0.05])
def test_plackett_agrees_with_gauss_legendre_on_the_square(theta):
    node, weight = np.polynomial.legendre.leggauss(300)
    node, weight = 0.5 * (node + 1.0), 0.5 * weight
    u, v = node[:, None], node[None]
    eta = theta - 1.0
    root = (1.0 + eta * (u + v)) ** 2 - 4.0 * u * v * theta * eta
    c = theta * (1.0 + eta * (u + v - 2.0 * u * v)) / root**1.5
    expected = float(weight @ (c * np.log(c)) @ weight)
    mi = CopulaPlackett(1, 1, odds_ratio=theta, **NORMAL).mutual_information()
    assert abs(mi.value - expected) < 1e-9


def test_plackett_s_table_holds_what_it_claims():
    for t in np.linspace(pairs.PLACKETT._low, pairs.PLACKETT._high, 15):
        direct, tabulated = pairs.plackett_information(float(t)), pairs.PLACKETT(float(t))
        assert abs(tabulated.value - direct.value) <= tabulated.error < 1e-10
        assert abs(tabulated.pmi_std - direct.pmi_std) < 1e-9


@pytest.mark.parametrize("theta", [2.0, 300.0, 1e6])
def test_plackett_of_the_reciprocal_is_the_reflection(theta):
    up, down = (CopulaPlackett(1, 1, odds_ratio=each, **NORMAL) for each in (theta, 1.0 / theta))
    assert math.isclose(
        up.mutual_information().value, down.mutual_information().value, abs_tol=1e-12
    )
    x, y = up.sample(300, np.random.default_rng(4))
    np.testing.assert_allclose(
        up.pointwise_mutual_information(x, y),
        down.pointwise_mutual_information(x, -y),
        atol=1e-7,
    )


def test_plackett_and_fgm_follow_their_leading_terms():
    weak = CopulaPlackett(1, 1, odds_ratio=math.exp(1e-2), **NORMAL).mutual_information().value
    assert abs(weak / (1e-4 / 18.0) - 1.0) < 1e-4
    weak = CopulaFgm(1, 1, strength=-1e-3, **NORMAL).mutual_information().value
    assert abs(weak / (1e-6 / 18.0) - 1.0) < 1e-5


def test_a_t_copula_of_many_degrees_of_freedom_is_gaussian_and_of_few_is_not():
    t = {nu: CopulaT(1, 1, rho=0.5, nu=nu, **NORMAL) for nu in (1.0, 1e4)}
    gaussian = CopulaGaussian(1, 1, rho=0.5, **NORMAL)
    expected = gaussian.mutual_information().value
    assert 0.0 < t[1e4].mutual_information().value - expected < 1e-8
    assert t[1.0].mutual_information().value - expected > 0.2
    x, y = gaussian.sample(500, np.random.default_rng(6))
    np.testing.assert_allclose(
        t[1e4].pointwise_mutual_information(x, y),
        gaussian.pointwise_mutual_information(x, y),
        atol=0.02,
    )


def test_the_bimodal_task_of_beyond_normal_is_a_member():
    member = CopulaGaussian(1, 1, rho=0.75, marginal_x="bimodal-uneven", marginal_y="bimodal")
    x, y = member.sample(20_000, np.random.default_rng(7))

    def cdf(x, parts):
        return sum(weight * stats.norm.cdf(x - mean) for weight, mean in parts)

    a = stats.norm.ppf(cdf(x[:, 0], ((0.3, 0.0), (0.7, 5.0))))
    b = stats.norm.ppf(cdf(y[:, 0], ((0.5, -1.0), (0.5, 3.0))))
    assert stats.kstest(a, "norm").pvalue > 1e-4
    assert stats.kstest(b, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(a, b)[0, 1] - 0.75) < 0.02
    assert member.mutual_information().value == -0.5 * math.log1p(-(0.75**2))


@pytest.mark.parametrize("name", MARGINALS)
def test_marginals_change_neither_information_nor_its_density(name):
    for family, theta in (
        (CopulaGaussian, {"rho": -0.8}),
        (CopulaT, {"rho": 0.5, "nu": 2.0}),
        (CopulaFgm, {"strength": 1.0}),
        (CopulaPlackett, {"odds_ratio": 30.0}),
    ):
        here = family(1, 1, **theta, marginal_x="normal", marginal_y=name)
        plain = family(1, 1, **theta, **NORMAL)
        assert here.mutual_information() == plain.mutual_information()
        found, expected = (
            member.pointwise_mutual_information(*member.sample(300, np.random.default_rng(8)))
            for member in (here, plain)
        )
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("family", [CopulaGaussian, CopulaT], ids=lambda family: family.name)
@pytest.mark.parametrize("rho", [-1.0, 1.0])
def test_functional_dependence_is_refused(family, rho):
    theta = {"nu": 3.0} if family is CopulaT else {}
    with pytest.raises(ValueError, match=r"rho must lie in .*infinite"):
        family(1, 1, rho=rho, **theta, **NORMAL)
