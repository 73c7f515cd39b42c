"""Every quantity by several methods that share no code: the test is that they agree.

Statistical tests have fixed seeds; |z| < 5 has a false-alarm rate of 6e-7 each.
"""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.linalg import solve_triangular

from mistdata.distributions import FAMILIES
from mistdata.distributions.families.student import student_correction

GAUSSIAN = ["gaussian-2pair", "gaussian-dense", "gaussian-lvm", "gaussian-sparse"]
STUDENT = ["student-2pair", "student-dense", "student-identity", "student-sparse"]
CORRELATED = GAUSSIAN + STUDENT
seeds = st.integers(0, 2**32)
dims = st.tuples(st.integers(2, 12), st.integers(2, 12))


def model_correlations(member):
    """The correlation matrix of (X, Y), from the loadings of every coordinate on its factors."""
    m, n = member.dim_x, member.dim_y
    d, theta = m + n, member.theta
    if "rho" in theta:
        return np.array([[1.0 if i == j else theta["rho"] for j in range(d)] for i in range(d)])
    strength, pairs = theta.get("strength", 0.0), theta.get("pairs", 2)
    loadings = [[1.0 if i == j else 0.0 for j in range(d)] for i in range(d)]  # unit noise
    everything, side = theta.get("alpha", 0.0), theta.get("beta", 0.0)
    for i, row in enumerate(loadings):
        k = i if i < m else i - m
        row += [everything, side if i < m else 0.0, side if i >= m else 0.0]
        row += [strength if k == pair else 0.0 for pair in range(pairs)]
        row += [theta.get("eta", 0.0) if i == j and k >= pairs else 0.0 for j in range(d)]
    covariance = np.array(loadings) @ np.array(loadings).T
    deviation = np.sqrt(np.diag(covariance))
    return covariance / np.outer(deviation, deviation)


def information_by_determinants(sigma, m):
    logdet = [np.linalg.slogdet(part)[1] for part in (sigma[:m, :m], sigma[m:, m:], sigma)]
    return 0.5 * (logdet[0] + logdet[1] - logdet[2])


def information_by_canonical_correlations(sigma, m):
    left = solve_triangular(np.linalg.cholesky(sigma[:m, :m]), sigma[:m, m:], lower=True)
    whitened = solve_triangular(np.linalg.cholesky(sigma[m:, m:]), left.T, lower=True)
    return -0.5 * np.log1p(-(np.linalg.svd(whitened, compute_uv=False) ** 2)).sum()


def correction_by_mpmath(m, n, nu):
    with mpmath.workdps(60):
        a, b, c = mpmath.mpf(m) / 2, mpmath.mpf(n) / 2, mpmath.mpf(nu) / 2

        def f(x):
            return mpmath.loggamma(x) - x * mpmath.digamma(x)

        return float(f(c) + f(c + a + b) - f(c + a) - f(c + b))


def correction_of(member):
    if "nu" not in member.theta:
        return 0.0
    return correction_by_mpmath(member.dim_x, member.dim_y, member.theta["nu"])


@given(st.sampled_from(CORRELATED), dims, seeds)
def test_the_closed_form_equals_log_determinants_and_canonical_correlations(name, shape, seed):
    member = FAMILIES[name].draw(*shape, np.random.default_rng(seed))
    sigma = model_correlations(member)
    found, correction = member.mutual_information().value, correction_of(member)
    condition = np.linalg.cond(sigma)
    allowed = 1e-12 + 1e-15 * condition
    for method in (information_by_determinants, information_by_canonical_correlations):
        assert abs(found - correction - method(sigma, shape[0])) <= allowed * (1.0 + found)
    np.testing.assert_allclose(member.correlation_matrix(), sigma, rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (32, 32), (3, 40)])
@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_closed_form_holds_at_extreme_dimensions(name, shape):
    if not FAMILIES[name].supports(*shape):
        return
    member = FAMILIES[name].draw(*shape, np.random.default_rng(5))
    sigma, found = model_correlations(member), member.mutual_information().value
    assert found == pytest.approx(information_by_determinants(sigma, shape[0]), abs=1e-11)


@given(st.floats(-0.9999999, 0.9999999), dims)
def test_negative_correlations_keep_the_closed_form(fraction, shape):
    d = sum(shape)
    rho = fraction if fraction > 0 else -fraction * -1.0 / (d - 1)
    found = FAMILIES["gaussian-dense"](*shape, rho=rho).mutual_information().value
    with mpmath.workdps(50):
        r, (m, n) = mpmath.mpf(rho), shape
        terms = [(1 + (m - 1) * r), (1 + (n - 1) * r), 1 / (1 + (m + n - 1) * r), 1 / (1 - r)]
        exact = sum(map(mpmath.log, terms)) / 2
        assert abs(found - exact) <= 1e-12 * (1 + exact)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.one_of(st.floats(1e-6, 200.0), st.floats(1.0, 12.0).map(lambda e: 10.0**e)),
)
def test_the_student_correction_is_that_of_60_digits(m, n, nu):
    expected = correction_by_mpmath(m, n, nu)
    found = student_correction(m, n, nu)
    assert found > 0.0
    assert abs(found - expected) <= 1e-12 * max(1.0, expected)
    if nu >= 32.0:  # from here on the relative accuracy is kept too
        assert found == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.floats(0.05, 5.0), min_size=1, max_size=4))
def test_additive_uniform_equals_the_entropy_quadrature(epsilon):
    found = FAMILIES["additive-uniform"](len(epsilon), len(epsilon), epsilon=tuple(epsilon))
    expected = 0.0
    for e in epsilon:

        def density(y, e=e):
            return max(0.0, min(1.0, y + e) - max(0.0, y - e)) / (2.0 * e)

        knots = sorted({-e, e, 1.0 - e, 1.0 + e})
        entropy = sum(
            quad(lambda y, p=density: -p(y) * math.log(p(y) or 1.0), low, high)[0]
            for low, high in itertools.pairwise(knots)
        )
        expected += entropy - math.log(2.0 * e)
    assert found.mutual_information().value == pytest.approx(expected, abs=1e-7)


def joint_and_marginal_log_densities(member, x, y):
    """The three log-densities of a correlated member, by scipy.stats."""
    sigma, m = model_correlations(member), member.dim_x
    both = np.hstack((x, y))
    for rows, part in ((both, sigma), (x, sigma[:m, :m]), (y, sigma[m:, m:])):
        if "nu" in member.theta:
            yield stats.multivariate_t(shape=part, df=member.theta["nu"]).logpdf(rows)
        else:
            yield stats.multivariate_normal(cov=part).logpdf(rows)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5)])
@pytest.mark.parametrize("name", CORRELATED)
def test_the_sampler_agrees_with_the_density_and_with_the_information(name, shape):
    member = FAMILIES[name].draw(*shape, np.random.default_rng(11))
    x, y = member.sample(20_000, np.random.default_rng(12))
    joint, p_x, p_y = joint_and_marginal_log_densities(member, x, y)
    pointwise = joint - p_x - p_y
    np.testing.assert_allclose(
        member.pointwise_mutual_information(x, y), pointwise, rtol=1e-9, atol=1e-9
    )
    error = pointwise.std() / math.sqrt(pointwise.size)
    assert abs(pointwise.mean() - member.mutual_information().value) < 5.0 * error
    assert error < 0.02
    # the entropy catches a sampler that is wrong in one side only, which the ratio cannot see
    for values, entropy in zip((joint, p_x, p_y), entropies(member), strict=True):
        assert abs(-values.mean() - entropy) < 5.0 * values.std() / math.sqrt(values.size)


def entropies(member):
    """The entropies of (X, Y), X and Y by scipy.stats, from the model's correlations."""
    sigma, m = model_correlations(member), member.dim_x
    for part in (sigma, sigma[:m, :m], sigma[m:, m:]):
        if "nu" in member.theta:
            yield stats.multivariate_t(shape=part, df=member.theta["nu"]).entropy()
        else:
            yield stats.multivariate_normal(cov=part).entropy()


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_samples_have_the_models_correlations(name):
    member = FAMILIES[name].draw(4, 3, np.random.default_rng(21))
    n = 20_000
    z = np.hstack(member.sample(n, np.random.default_rng(22)))
    sigma = model_correlations(member)
    error = np.sqrt((1.0 + sigma**2) / n)  # of an entry of the second moment matrix
    assert (np.abs(z.T @ z / n - sigma) < 5.0 * error).all()
    assert (np.abs(z.mean(axis=0)) < 5.0 / math.sqrt(n)).all()


@given(st.sampled_from(CORRELATED), dims, seeds)
def test_the_sampler_is_the_linear_map_of_its_normals_that_the_model_asks_for(name, shape, seed):
    member = FAMILIES[name].draw(*shape, np.random.default_rng(seed))
    n, d = 60, sum(shape)
    z = np.hstack(member.sample(n, np.random.default_rng(seed)))
    rng = np.random.default_rng(seed)  # the same numbers again, as the sampler draws them
    normals = rng.standard_normal((n, d))
    if "nu" in member.theta:
        z = z * np.sqrt(rng.chisquare(member.theta["nu"], (n, 1)) / member.theta["nu"])
    elif name == "gaussian-lvm":
        normals = np.hstack((normals, rng.standard_normal((3, n)).T))
    loadings = np.linalg.lstsq(normals, z)[0]
    np.testing.assert_allclose(normals @ loadings, z, rtol=0, atol=1e-11)
    np.testing.assert_allclose(loadings.T @ loadings, model_correlations(member), atol=1e-11)


def test_negatively_equicorrelated_samples_have_the_models_correlations():
    member = FAMILIES["gaussian-dense"](3, 2, rho=-0.2)
    z = np.hstack(member.sample(20_000, np.random.default_rng(23)))
    assert np.abs(z.T @ z / 20_000 - model_correlations(member)).max() < 5.0 * math.sqrt(
        2 / 20_000
    )


@pytest.mark.parametrize("nu", [0.7, 3.0])
def test_both_sides_of_a_student_sample_share_one_radius(nu):
    member = FAMILIES["student-identity"](400, 400, nu=nu)
    x, y = member.sample(300, np.random.default_rng(31))
    inverse = nu / np.array([(x**2).mean(axis=1), (y**2).mean(axis=1)])
    # a mean of 400 squares has a relative standard deviation of √(2/400), a ratio of two 0.1
    assert np.abs(np.log(inverse[0] / inverse[1])).max() < 5.0 * 0.1
    assert stats.kstest(inverse[0], stats.chi2(nu).cdf).pvalue > 1e-4


def test_additive_uniform_samples_agree_with_density_and_information():
    epsilon = (0.2, 0.5, 1.4)
    member = FAMILIES["additive-uniform"](3, 3, epsilon=epsilon)
    x, y = member.sample(20_000, np.random.default_rng(41))
    pointwise = np.zeros(20_000)
    for i, e in enumerate(epsilon):
        noise = stats.uniform(-e, 2 * e)
        p_y = (noise.cdf(y[:, i]) - noise.cdf(y[:, i] - 1.0)) / 1.0
        pointwise += noise.logpdf(y[:, i] - x[:, i]) - np.log(p_y)
        assert stats.kstest(x[:, i], "uniform").pvalue > 1e-6
        assert stats.kstest(y[:, i] - x[:, i], noise.cdf).pvalue > 1e-6
    np.testing.assert_allclose(member.pointwise_mutual_information(x, y), pointwise, atol=1e-9)
    error = pointwise.std() / math.sqrt(pointwise.size)
    assert abs(pointwise.mean() - member.mutual_information().value) < 5.0 * error


def test_additive_uniform_has_no_density_beyond_the_noise():
    member = FAMILIES["additive-uniform"](1, 1, epsilon=(0.2,))
    x, y = np.array([[0.5], [0.5]]), np.array([[0.69], [0.71]])
    pointwise = member.pointwise_mutual_information(x, y)
    assert pointwise[0] == pytest.approx(-math.log(0.4))
    assert pointwise[1] == -math.inf


@pytest.mark.parametrize("name", STUDENT)
def test_many_degrees_of_freedom_give_the_gaussian_family(name):
    member = FAMILIES[name].draw(4, 3, np.random.default_rng(51))
    theta = {**member.theta, "nu": 1e9}
    limit = type(member)(4, 3, **theta).mutual_information().value
    del theta["nu"]
    gaussian = FAMILIES.get(name.replace("student", "gaussian"))
    expected = gaussian(4, 3, **theta).mutual_information().value if gaussian else 0.0
    assert limit == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["gaussian-sparse", "gaussian-2pair", "gaussian-lvm"])
def test_without_signal_a_gaussian_family_has_no_information(name):
    rng = np.random.default_rng(61)
    ranges = {"alpha": 0.0} if name == "gaussian-lvm" else {}
    assert FAMILIES[name].draw(4, 3, rng, strength=0.0, **ranges).mutual_information().value == 0.0


@pytest.mark.parametrize("name", ["student-sparse", "student-2pair"])
def test_without_signal_a_student_family_keeps_its_correction(name):
    member = FAMILIES[name].draw(4, 3, np.random.default_rng(62), strength=0.0)
    expected = correction_by_mpmath(4, 3, member.theta["nu"])
    assert member.mutual_information().value == pytest.approx(expected, abs=1e-13)


@given(st.sampled_from(CORRELATED), dims, seeds)
def test_information_is_symmetric(name, shape, seed):
    member = FAMILIES[name].draw(*shape, np.random.default_rng(seed))
    swapped = type(member)(*reversed(shape), **member.theta)
    found, expected = swapped.mutual_information().value, member.mutual_information().value
    assert found == pytest.approx(expected, rel=1e-13)


@given(st.sampled_from(CORRELATED), dims, seeds)
def test_one_more_coordinate_never_lowers_the_information(name, shape, seed):
    member = FAMILIES[name].draw(*shape, np.random.default_rng(seed))
    wider = type(member)(shape[0] + 1, shape[1], **member.theta)
    found, expected = wider.mutual_information().value, member.mutual_information().value
    assert found >= expected * (1.0 - 1e-13)


@pytest.mark.parametrize("strength", [1e-6, 1e-3, 1.0, 1e3])
def test_weak_and_strong_pairs_keep_their_digits(strength):
    found = FAMILIES["gaussian-sparse"](3, 3, strength=strength, pairs=2).mutual_information()
    with mpmath.workdps(60):
        rho = mpmath.mpf(strength) ** 2 / (1 + mpmath.mpf(strength) ** 2)
        assert found.value == pytest.approx(float(-mpmath.log(1 - rho**2)), rel=1e-13)


@given(dims, seeds, st.floats(-3, 3), st.floats(-3, 3))
def test_the_latent_model_keeps_its_digits_at_any_scale(shape, seed, log_alpha, log_strength):
    ranges = {"alpha": 10.0**log_alpha, "strength": 10.0**log_strength}
    member = FAMILIES["gaussian-lvm"].draw(*shape, np.random.default_rng(seed), **ranges)
    found, m = member.mutual_information().value, shape[0]
    with mpmath.workdps(60):
        t = {key: mpmath.mpf(value) for key, value in member.theta.items()}
        sigma = mpmath.zeros(sum(shape))
        for i in range(sum(shape)):
            for j in range(sum(shape)):
                k = i if i < m else i - m
                pair = k == (j if j < m else j - m) and k < t["pairs"]
                sigma[i, j] = t["alpha"] ** 2 + t["beta"] ** 2 * ((i < m) == (j < m))
                sigma[i, j] += t["strength"] ** 2 * pair
                sigma[i, j] += (1 + t["eta"] ** 2 * (not pair)) * (i == j)
        ratio = mpmath.det(sigma[:m, :m]) * mpmath.det(sigma[m:, m:]) / mpmath.det(sigma)
        assert found == pytest.approx(float(mpmath.log(ratio) / 2), rel=1e-12)
