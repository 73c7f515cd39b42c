"""Markov chains and D-vines of pair copulas, against Gaussian laws and one another."""

import math
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from mistdata.distributions import integrate
from mistdata.distributions.families.vines import PAIRS, CopulaMarkov, CopulaVine
from mistdata.distributions.marginals import MARGINALS, margin_of
from tests.distributions.copulas_by_hand import BY_HAND, POINTS, margins

every_pair = pytest.mark.parametrize("name", sorted(PAIRS))
NORMAL = {"marginal_x": "normal", "marginal_y": "normal"}
GRID = np.array(
    [(u, q) for u in (1e-9, 0.03, 0.5, 0.8, 1 - 1e-6) for q in (1e-6, 0.2, 0.5, 0.999)]
)


@every_pair
@pytest.mark.parametrize("tau", [0.0, 1e-6, 0.2, 0.5, 0.9, 0.95])
def test_the_conditional_law_inverts_its_quantile(name, tau):
    pair = PAIRS[name].of_tau(tau)
    u, q = GRID.T
    v = pair.quantile(q, u)
    usable = (v > 1e-14) & (v < 1 - 1e-9)  # elsewhere v itself is rounded too far
    found = pair.conditional(margin_of(v, 1.0 - v), margin_of(u, 1.0 - u))
    assert usable.sum() >= 8
    np.testing.assert_allclose(found.u[usable], q[usable], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.u + found.s, 1.0, rtol=1e-12)


@pytest.mark.parametrize("name", ["clayton", "frank", "gumbel"])
@pytest.mark.parametrize("tau", [0.05, 0.5, 0.8])
def test_the_conditional_law_is_the_partial_derivative(name, tau):
    pair, function = PAIRS[name].of_tau(tau), BY_HAND[name][0]
    with mp.workdps(40):
        for u, v in POINTS:
            exact = mp.diff(lambda w, v=v: function(w, mp.mpf(v), mp.mpf(pair.theta)), mp.mpf(u))
            found = pair.conditional(margins(u, v)[1], margins(u, v)[0])
            assert abs(found.u[0] / float(exact) - 1.0) < 1e-10
            assert abs(found.s[0] / float(1 - exact) - 1.0) < 1e-10


def test_the_gaussian_conditional_law_is_normal():
    pair = PAIRS["gaussian"].of_tau(0.4)
    u, v = np.array(POINTS).T
    a, b = stats.norm.ppf(u), stats.norm.ppf(v)
    expected = stats.norm.cdf((b - pair.rho * a) / math.sqrt(1.0 - pair.rho**2))
    found = pair.conditional(margins(u, v)[1], margins(u, v)[0])
    np.testing.assert_allclose(found.u, expected, rtol=1e-10)


@every_pair
@pytest.mark.parametrize("tau", [0.03, 0.3, 0.7])
def test_kendall_s_rank_correlation_is_what_was_asked_for(name, tau):
    pair = PAIRS[name].of_tau(tau)
    u, v = pair.draw(8000, np.random.default_rng(1))
    # the standard error is below 2/3/sqrt(n) = 0.0075
    assert abs(stats.kendalltau(u, v).statistic - tau) < 0.035
    if name == "gaussian":
        return
    function, t = BY_HAND[name][0], mp.mpf(pair.theta)
    # τ = 1 - 4 ∫∫ ∂C/∂u ∂C/∂v du dv
    node, weight = np.polynomial.legendre.leggauss(60)
    grid = 0.5 + 0.5 * node
    u, v = (each.ravel() for each in np.meshgrid(grid, grid))
    first, second = margins(u, v)
    product = pair.conditional(second, first).u * pair.conditional(first, second).u
    exact = 1.0 - float((product * 0.25 * np.outer(weight, weight).ravel()).sum()) * 4.0
    assert abs(exact - tau) < 2e-3
    assert function(mp.mpf("0.5"), mp.mpf("0.5"), t) > 0.25  # positive dependence


@pytest.mark.parametrize("tau", [1e-8, 1e-3, 0.111, 0.112, 0.6, 0.95])
def test_frank_s_strength_solves_kendall_s_equation(tau):
    theta = PAIRS["frank"].of_tau(tau).theta
    with mp.workdps(40):
        t = mp.mpf(theta)
        debye = mp.quad(lambda x: x / mp.expm1(x) if x else mp.mpf(1), [0, t / 4, t]) / t
        assert abs(float(1 - 4 * (1 - debye) / t) / tau - 1.0) < 1e-9


@pytest.mark.parametrize("marginal", sorted(MARGINALS))
@every_pair
def test_neighbours_of_a_chain_have_the_rank_correlation_and_columns_the_marginals(name, marginal):
    member = CopulaMarkov(3, 2, pair=name, tau=0.5, marginal_x=marginal, marginal_y="uniform")
    x, y = member.sample(2000, np.random.default_rng(2))
    chain = [x[:, 2], x[:, 1], x[:, 0], y[:, 0], y[:, 1]]
    for before, after in pairwise(chain):
        assert abs(stats.kendalltau(before, after).statistic - 0.5) < 0.07
    for column in MARGINALS[marginal].margin(x).u.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    for column in y.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4


def gaussian_ratio(rows, omega, m):
    """Ln p(x,y)/(p(x)p(y)) of N(0, Ω), and the information from determinants."""

    def law(part):
        return stats.multivariate_normal(cov=omega[part][:, part])

    whole, left, right = slice(None), slice(None, m), slice(m, None)
    ratio = law(whole).logpdf(rows) - law(left).logpdf(rows[:, left])
    ratio -= law(right).logpdf(rows[:, right])
    logs = [np.linalg.slogdet(omega[part][:, part])[1] for part in (left, right, whole)]
    return ratio, 0.5 * (logs[0] + logs[1] - logs[2])


def test_a_gaussian_chain_is_an_autoregression():
    member = CopulaMarkov(3, 2, pair="gaussian", tau=0.4, **NORMAL)
    rho = math.sin(0.2 * math.pi)
    place = np.array([-1, -2, -3, 0, 1])  # X_1, X_2, X_3, Y_1, Y_2 along the chain
    omega = rho ** np.abs(place[:, None] - place)
    x, y = member.sample(4000, np.random.default_rng(3))
    rows = np.concatenate((x, y), axis=1)
    np.testing.assert_allclose(np.cov(rows.T), omega, atol=0.1)
    ratio, information = gaussian_ratio(rows, omega, 3)
    np.testing.assert_allclose(member.pointwise_mutual_information(x, y), ratio, atol=1e-9)
    assert abs(member.mutual_information().value - information) < 1e-12


def gaussian_vine_correlation(rho_x, rho_y):
    """Correlations of X_1, ..., X_m, Y: Y = Σ_k r_k W_k + noise, X an autoregression of the W."""
    m = len(rho_y)
    loadings = np.zeros((m + 1, m + 1))
    loadings[0, 0] = 1.0
    for k in range(1, m):
        loadings[k] = rho_x * loadings[k - 1]
        loadings[k, k] = math.sqrt(1.0 - rho_x**2)
    left = 1.0
    for k, partial in enumerate(rho_y):
        loadings[m, k] = partial * left
        left *= math.sqrt(1.0 - partial**2)
    loadings[m, m] = left
    return loadings @ loadings.T


def test_a_gaussian_vine_is_a_gaussian_law_of_these_partial_correlations():
    tau_y = (0.3, 0.5, 0.1, 0.4)
    member = CopulaVine(
        4, 1, pair_x="gaussian", tau_x=0.6, pair_y="gaussian", tau_y=tau_y, **NORMAL
    )
    rho_y = [math.sin(0.5 * math.pi * tau) for tau in tau_y]
    omega = gaussian_vine_correlation(math.sin(0.3 * math.pi), rho_y)
    x, y = member.sample(4000, np.random.default_rng(4))
    rows = np.concatenate((x, y), axis=1)
    np.testing.assert_allclose(np.cov(rows.T), omega, atol=0.1)
    ratio, information = gaussian_ratio(rows, omega, 4)
    np.testing.assert_allclose(member.pointwise_mutual_information(x, y), ratio, atol=1e-8)
    assert abs(member.mutual_information().value - information) < 1e-12


@every_pair
def test_a_vine_of_one_column_is_its_pair_and_a_chain_of_two(name):
    vine = CopulaVine(1, 1, pair_x="frank", tau_x=0.9, pair_y=name, tau_y=(0.4,), **NORMAL)
    chain = CopulaMarkov(1, 1, pair=name, tau=0.4, **NORMAL)
    assert vine.mutual_information().value == chain.mutual_information().value
    assert vine.mutual_information().pmi_std == chain.mutual_information().pmi_std
    x, y = vine.sample(200, np.random.default_rng(5))
    np.testing.assert_allclose(
        vine.pointwise_mutual_information(x, y), chain.pointwise_mutual_information(x, y)
    )


@every_pair
def test_the_columns_of_a_vine_are_uniform_and_its_first_tree_has_the_rank_correlations(name):
    member = CopulaVine(
        3, 1, pair_x=name, tau_x=0.6, pair_y=name, tau_y=(0.5, 0.3, 0.2),
        marginal_x="uniform", marginal_y="uniform",
    )  # fmt: skip
    x, y = member.sample(4000, np.random.default_rng(6))
    for column in (*x.T, y[:, 0]):
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    for (first, second), tau in (
        ((x[:, 0], x[:, 1]), 0.6),
        ((x[:, 1], x[:, 2]), 0.6),
        ((x[:, 0], y[:, 0]), 0.5),
    ):
        assert abs(stats.kendalltau(first, second).statistic - tau) < 0.05


def test_a_vine_of_two_columns_has_the_density_of_its_construction():
    """p(y|x1,x2)/p(y) by numerical differentiation of P(Y ≤ y | x1, x2), written in mpmath."""
    member = CopulaVine(
        2, 1, pair_x="clayton", tau_x=0.5, pair_y="frank", tau_y=(0.4, 0.3),
        marginal_x="uniform", marginal_y="uniform",
    )  # fmt: skip
    chain, edges = BY_HAND["clayton"][0], BY_HAND["frank"][0]
    first, second = (mp.mpf(edge.theta) for edge in member._edges)
    x, y = member.sample(4, np.random.default_rng(7))
    found = member.pointwise_mutual_information(x, y)
    with mp.workdps(40):
        for (x1, x2), (y1,), each in zip(x.tolist(), y.tolist(), found, strict=True):
            w = mp.diff(lambda u, x2=x2: chain(u, mp.mpf(x2), mp.mpf(2)), mp.mpf(x1))

            def below(v, w=w, x1=x1):
                z = mp.diff(lambda u: edges(u, v, first), mp.mpf(x1))
                return mp.diff(lambda u: edges(u, z, second), w)

            exact = mp.log(mp.diff(below, mp.mpf(y1), h=mp.mpf("1e-8")))
            assert abs(float(exact) - each) < 1e-6


@every_pair
def test_informations_add_over_the_edges_and_nothing_else_matters(name):
    tau_y = (0.5, 0.0, 0.25)
    alone = [integrate.copula(PAIRS[name].of_tau(tau).log_density, 1e-9).value for tau in tau_y]
    for pair_x, tau_x in (("gumbel", 0.0), ("clayton", 0.9)):
        member = CopulaVine(3, 1, pair_x=pair_x, tau_x=tau_x, pair_y=name, tau_y=tau_y, **NORMAL)
        assert abs(member.mutual_information().value - math.fsum(alone)) < 3e-9
    chains = [CopulaMarkov(m, n, pair=name, tau=0.5, **NORMAL) for m, n in ((1, 1), (6, 2))]
    assert chains[0].mutual_information() == chains[1].mutual_information()


@every_pair
def test_strong_long_vines_stay_finite_in_single_precision(name):
    member = CopulaVine(12, 1, pair_x=name, tau_x=0.95, pair_y=name, tau_y=(0.95,) * 12, **NORMAL)
    x, y = member.sample(2000, np.random.default_rng(8))
    stored = member.pointwise_mutual_information(x.astype(np.float32), y.astype(np.float32))
    assert np.isfinite(stored).all()
    assert np.isfinite(member.pointwise_mutual_information(x, y)).all()


def test_functional_dependence_is_refused():
    with pytest.raises(ValueError, match=r"^copula-markov: tau must lie in"):
        CopulaMarkov(2, 2, pair="clayton", tau=1.0, **NORMAL)
    with pytest.raises(ValueError, match=r"^copula-vine: tau_y must lie in"):
        CopulaVine(2, 1, pair_x="frank", tau_x=0.5, pair_y="frank", tau_y=(0.5, 0.99), **NORMAL)
