"""Numerical integration: right values, errors that hold, and refusals instead of wrong values."""

import math

import numpy as np
import pytest
from scipy import stats

from mistdata.distributions import FAMILIES, integrate
from mistdata.distributions.base import MI, Precision


def gaussian_copula(rho):
    def log_density(x, y):
        a, b = x.score, y.score
        cross = rho * (rho * (a * a + b * b) - 2.0 * a * b) / (2.0 * (1.0 - rho * rho))
        return -0.5 * math.log1p(-rho * rho) - cross

    return log_density


def test_integrals_with_singular_ends_on_the_unit_interval():
    found = integrate.unit(lambda w, rest: np.stack([-np.log(w) / np.sqrt(rest), w**-0.5]))
    np.testing.assert_allclose(found.value, [4.0 - 4.0 * math.log(2.0), 2.0], atol=1e-12)
    # the complement is exact near one, where 1 - w would be rounded to zero
    assert integrate.unit(lambda w, rest: -np.log(rest)).value == pytest.approx(1.0, abs=1e-12)


def test_integrals_over_the_half_line_and_the_line():
    gamma = integrate.half_line(lambda w: np.stack([np.exp(-w) * np.log(w), np.exp(-w)]))
    np.testing.assert_allclose(gamma.value, [-np.euler_gamma, 1.0], atol=1e-12)
    normal = integrate.line(
        lambda w: np.exp(-0.5 * ((w - 5.0) / 0.01) ** 2), center=5.0, scale=0.01
    )
    assert normal.value == pytest.approx(0.01 * math.sqrt(2.0 * math.pi), rel=1e-12)
    cauchy = integrate.line(lambda w: 1.0 / (math.pi * (1.0 + w * w)))
    assert cauchy.value == pytest.approx(1.0, abs=1e-12)


def test_an_integral_that_does_not_settle_is_refused():
    with pytest.raises(integrate.NotConverged, match="the last halving changed the value by"):
        integrate.unit(lambda w, rest: (w < 1.0 / 3.0) * 1.0)


@pytest.mark.parametrize("rho", [0.0, 0.1, -0.75, 0.95, 0.99])
def test_a_copula_has_the_information_and_deviation_of_the_normal(rho):
    mi = integrate.copula(gaussian_copula(rho))
    assert mi.value == pytest.approx(-0.5 * math.log1p(-rho * rho), abs=1e-11)
    assert abs(mi.value + 0.5 * math.log1p(-rho * rho)) <= mi.error + 1e-13
    assert mi.pmi_std == pytest.approx(abs(rho), abs=1e-7)
    assert (mi.method, mi.error_kind) == ("quadrature", "quad_halving")


def test_a_copula_sharper_than_the_finest_grid_is_refused():
    with pytest.raises(integrate.NotConverged, match="mass"):
        integrate.copula(gaussian_copula(0.999999))


def test_a_density_without_unit_mass_is_refused():
    with pytest.raises(integrate.NotConverged, match=r"mass 1\.1"):
        integrate.copula(lambda x, y: np.full((x.score.size, y.score.size), math.log(1.1)))


def test_a_finite_table_is_summed_exactly():
    weight = np.array([[0.4, 0.1], [0.1, 0.4], [0.0, 0.0]])
    with np.errstate(divide="ignore"):
        pmi = np.log(weight / 0.25)
    mi = integrate.expectation(weight, pmi)
    assert mi.value == pytest.approx(math.log(2.0) - stats.entropy([0.8, 0.2]), abs=1e-15)
    assert mi.pmi_std == pytest.approx(0.4 * math.log(4.0), abs=1e-15)


def pair_through_uniforms(rho):
    def pmi(u):
        z = stats.norm.ppf(u)
        y = rho * z[:, 0] + math.sqrt(1.0 - rho * rho) * z[:, 1]
        joint = stats.multivariate_normal(cov=[[1.0, rho], [rho, 1.0]])
        x = z[:, 0]
        return joint.logpdf(np.stack([x, y], axis=1)) - stats.norm.logpdf(x) - stats.norm.logpdf(y)

    return pmi


def test_randomised_qmc_stops_when_the_label_allows_it_and_its_interval_holds():
    rho, exact = 0.8, -0.5 * math.log1p(-0.64)
    loose = integrate.rqmc(pair_through_uniforms(rho), 2, Precision(n=10))
    tight = integrate.rqmc(pair_through_uniforms(rho), 2, Precision(n=10_000))
    assert tight.error < loose.error
    for mi, n in ((loose, 10), (tight, 10_000)):
        assert mi.error <= Precision(n=n).allowed(mi.value, mi.pmi_std)
        low, high = integrate.t_interval(mi, level=0.9999)
        assert low < exact < high
        assert mi.pmi_std == pytest.approx(rho, rel=0.1)
        assert mi.error_kind == "rqmc_se"
    assert integrate.rqmc(pair_through_uniforms(rho), 2, Precision(n=10)) == loose


def test_the_error_of_randomised_qmc_is_far_below_that_of_monte_carlo():
    mi = integrate.rqmc(pair_through_uniforms(0.8), 2, Precision(n=10**9), last=11)
    points = 16 * 2**11
    assert mi.error < 0.2 * mi.pmi_std / math.sqrt(points)


def test_monte_carlo_of_a_member_has_its_information():
    member = FAMILIES["gaussian-sparse"](3, 3, strength=1.0, pairs=2)
    mi = integrate.monte_carlo(member, Precision(n=100), most=2_000_000)
    assert abs(mi.value - member.mutual_information().value) < 5.0 * mi.error
    assert mi.error <= Precision(n=100).allowed(mi.value, mi.pmi_std)
    assert mi.error_kind == "mc_se"


def test_a_table_interpolates_within_its_error_and_falls_back_outside():
    asked = []

    def exact(rho):
        asked.append(rho)
        return MI(-0.5 * math.log1p(-rho * rho), 1e-14, "quadrature", "quad_halving", abs(rho))

    table = integrate.Table(exact, 0.0, 0.9, degree=48)
    assert asked == []
    for rho in np.linspace(0.0, 0.9, 301):
        found = table(float(rho))
        assert abs(found.value + 0.5 * math.log1p(-rho * rho)) <= found.error < 1e-9
        assert found.pmi_std == pytest.approx(rho, abs=1e-9)
    assert len(asked) == 49
    assert table(0.95) == exact(0.95)


def test_a_table_too_coarse_for_its_function_says_so_in_its_error():
    def wild(t):
        return MI(1.0 + math.sin(60.0 * t), 0.0, "quadrature", "quad_halving", 1.0)

    table = integrate.Table(wild, 0.0, 1.0, degree=8)
    worst = max(abs(table(t).value - wild(t).value) for t in np.linspace(0, 1, 200))
    assert worst > 0.1
    assert table(0.5).error > 0.1


def test_what_a_label_may_err_by():
    assert Precision(n=100).allowed(1.0, 1.0) == pytest.approx(2e-3)
    assert Precision(n=400).allowed(1.0, 0.1) == pytest.approx(0.05 * 0.1 / 20.0)
    assert Precision(n=400, strict=True).allowed(1.0, 0.1) == pytest.approx(0.005 * 0.1 / 20.0)
    assert Precision(n=10).allowed(3.0, None) == pytest.approx(4e-3)
    assert Precision(n=10).allowed(1.0, 0.0) == pytest.approx(2e-11)  # rounding
