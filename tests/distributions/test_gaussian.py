"""Normal families: the drawn matrices, rebuilt from their seeds, and what must follow from them.

Families without a structure of their own are compared with their determinants and densities in
`test_agreement`; here are their limits and how they contain each other. Statistical tests have
fixed seeds; p > 1e-4 has a false-alarm rate of 1e-4 each, |z| < 5 one of 6e-7.
"""

import math
import re

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mistdata.distributions import FAMILIES
from mistdata.distributions.families._random_gaussian import LEAST_EIGENVALUE, _haar
from tests.distributions import covariances_by_hand as by_hand

DENSE = FAMILIES["gaussian-dense"]
SPARSE = FAMILIES["gaussian-sparse"]
TWO_PAIR = FAMILIES["gaussian-2pair"]
LATENT = FAMILIES["gaussian-lvm"]
BIVARIATE = FAMILIES["gaussian-bivariate"]
GENERAL = FAMILIES["gaussian-general"]
CANONICAL = FAMILIES["gaussian-canonical"]
CHANNEL = FAMILIES["gaussian-channel"]
few = settings(max_examples=12)
dims = st.tuples(st.integers(1, 5), st.integers(1, 5))
seeds = st.integers(0, 2**32 - 1)


def value(member):
    return member.mutual_information().value


def generator(seed):
    """The member's own source of randomness, as it is published."""
    return np.random.Generator(np.random.Philox(seed))


def wishart_by_bartlett(member):
    """TTᵀ, T with normals below its diagonal and roots of χ² of ν - i degrees on it."""
    rng, d = generator(member.structure), member.dim_x + member.dim_y
    below = rng.standard_normal((d, d))
    squares = rng.chisquare([1.0 + member.concentration * d - i for i in range(d)])
    t = mp.matrix(d, d)
    for i in range(d):
        t[i, i] = mp.sqrt(mp.mpf(squares[i]))
        for j in range(i):
            t[i, j] = mp.mpf(below[i, j])
    return t * t.T


def gram_schmidt(rows):
    """Orthonormal columns, each from the columns up to it, without turning one around."""
    columns = []
    for column in mp.matrix(rows.tolist()).T.tolist():
        rest = mp.matrix(column)
        for each in columns:
            rest -= (each.T * rest)[0] * each
        columns.append(rest / mp.norm(rest))
    return mp.matrix([list(each) for each in columns]).T


def canonical_by_hand(member):
    """Ones on the diagonal, and Uᵀ diag(r) V between the sides."""
    rng, m, n = generator(member.structure), member.dim_x, member.dim_y
    shares = rng.dirichlet([1.0] * member.rank)
    u, v = (gram_schmidt(rng.standard_normal((d, d))) for d in (m, n))
    sigma = mp.eye(m + n)
    for i in range(m):
        for j in range(n):
            sigma[i, m + j] = sigma[m + j, i] = mp.fsum(
                mp.sqrt(-mp.expm1(-2 * mp.mpf(member.information) * share)) * u[k, i] * v[k, j]
                for k, share in enumerate(map(mp.mpf, shares))
            )
    return sigma


def channel_by_hand(member):
    """The covariance of X and HX + σε, σ² = m/snr."""
    m, n = member.dim_x, member.dim_y
    h = mp.matrix(generator(member.structure).standard_normal((n, m)).tolist())
    sigma = mp.eye(m + n)
    sigma[m:, :m], sigma[:m, m:] = h, h.T
    sigma[m:, m:] = h * h.T + mp.eye(n) * mp.mpf(m) / mp.mpf(member.snr)
    return sigma


BY_HAND = {
    "gaussian-general": wishart_by_bartlett,
    "gaussian-canonical": canonical_by_hand,
    "gaussian-channel": channel_by_hand,
}
names = st.sampled_from(sorted(BY_HAND))
every_name = pytest.mark.parametrize("name", sorted(BY_HAND))


def drawn(name, shape, seed):
    return FAMILIES[name].draw(*shape, np.random.default_rng(seed))


def covariance_by_hand(member):
    with mp.workdps(by_hand.DIGITS):
        return BY_HAND[member.name](member)


@given(names, dims, seeds)
def test_the_information_is_that_of_the_determinants_of_the_rebuilt_matrices(name, shape, seed):
    member = drawn(name, shape, seed)
    sigma = covariance_by_hand(member)
    found = member.mutual_information()
    omega = by_hand.correlations(sigma)
    condition = np.linalg.cond(omega)
    allowed = found.error + 1e-16 * condition
    assert abs(found.value - by_hand.information(sigma, shape[0])) <= allowed
    np.testing.assert_allclose(member.correlation_matrix(), omega, rtol=0, atol=1e-13)
    squares = by_hand.squared_canonical_correlations(omega, shape[0])[: min(shape)]
    assert found.pmi_std**2 == pytest.approx(squares.sum(), abs=1e-13 * condition)


@few
@given(names, dims, seeds)
def test_the_pointwise_information_is_that_of_the_written_out_densities(name, shape, seed):
    member = drawn(name, shape, seed)
    rng = np.random.default_rng(seed)
    x, y = (2.0 * rng.standard_normal((8, d)) for d in shape)
    omega = by_hand.correlations(covariance_by_hand(member))
    scale = np.linalg.cond(omega)
    np.testing.assert_allclose(
        member.pointwise_mutual_information(x, y),
        by_hand.pointwise(x, y, omega),
        rtol=0,
        atol=1e-11 * scale,
    )


@few
@given(names, dims, seeds)
def test_the_sampler_maps_its_normals_to_the_rebuilt_covariance(name, shape, seed):
    member = drawn(name, shape, seed)
    omega = by_hand.correlations(covariance_by_hand(member))
    np.testing.assert_allclose(by_hand.of_the_sampler(member, seed), omega, rtol=0, atol=1e-10)


@every_name
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (30, 24)])
def test_the_information_holds_at_extreme_dimensions(name, shape):
    member, m = drawn(name, shape, 5), shape[0]
    omega = member.correlation_matrix()
    logdet = [np.linalg.slogdet(part)[1] for part in (omega[:m, :m], omega[m:, m:], omega)]
    expected = 0.5 * (logdet[0] + logdet[1] - logdet[2])
    assert value(member) == pytest.approx(expected, abs=1e-10)


@every_name
def test_the_structure_alone_decides_the_matrices(name):
    theta = dict(drawn(name, (3, 2), 6).theta)
    one, same = (FAMILIES[name](3, 2, **theta) for _ in range(2))
    other = FAMILIES[name](3, 2, **{**theta, "structure": theta["structure"] - 1})
    assert one.correlation_matrix().tobytes() == same.correlation_matrix().tobytes()
    assert np.abs(one.correlation_matrix() - other.correlation_matrix()).max() > 1e-3
    rows, again = (np.hstack(each.sample(9, np.random.default_rng(7))) for each in (one, same))
    assert rows.tobytes() == again.tobytes()


def test_the_canonical_correlations_come_back_from_a_sample():
    n = 20_000
    member = CANONICAL(4, 3, structure=8, information=1.5, rank=2)
    sigma = by_hand.correlations(covariance_by_hand(member))
    expected = np.sqrt(by_hand.squared_canonical_correlations(sigma, 4)[:2])
    rows = np.hstack(member.sample(n, np.random.default_rng(9)))
    squares = by_hand.squared_canonical_correlations(rows.T @ rows / n, 4)
    # of a sample's canonical correlation, by the theory of large samples
    error = (1.0 - expected**2) / math.sqrt(n)
    assert (np.abs(np.sqrt(squares[:2]) - expected) < 5.0 * error).all()
    # the last is zero: n r² is about χ² with 2 degrees of freedom
    assert n * squares[2] < stats.chi2(2).isf(1e-6)


def test_both_sides_of_a_canonical_member_are_white():
    omega = CANONICAL(4, 3, structure=1, information=5.0, rank=3).correlation_matrix()
    np.testing.assert_array_equal(omega[:4, :4], np.eye(4))
    np.testing.assert_array_equal(omega[4:, 4:], np.eye(3))


def test_the_structure_of_a_canonical_member_leaves_its_information():
    for seed in range(20):
        member = CANONICAL(3, 4, structure=seed, information=2.5, rank=3)
        assert value(member) == pytest.approx(2.5, abs=1e-14)


def test_the_shares_of_the_information_are_uniform_on_their_simplex():
    shares = []
    for seed in range(600):
        omega = CANONICAL(2, 2, structure=seed, information=2.0, rank=2).correlation_matrix()
        squares = by_hand.squared_canonical_correlations(omega, 2)
        shares.append(-0.25 * math.log1p(-squares[0]))  # of the greater correlation
    assert stats.kstest(shares, stats.uniform(0.5, 0.5).cdf).pvalue > 1e-4


def test_the_turns_are_haar():
    d, count = 3, 4000
    rng = np.random.default_rng(10)
    q = np.stack([_haar(d, rng) for _ in range(count)])
    np.testing.assert_allclose(
        q @ q.transpose(0, 2, 1), np.tile(np.eye(d), (count, 1, 1)), atol=1e-14
    )
    trace = np.trace(q, axis1=1, axis2=2)
    moments = [
        (np.linalg.det(q), 0.0),
        *((q[:, i, j], 0.0) for i in range(d) for j in range(d)),
        *((q[:, i, j] ** 2, 1 / d) for i in range(d) for j in range(d)),
        (q[:, 0, 0] ** 4, 3 / (d * (d + 2))),
        (q[:, 0, 0] ** 2 * q[:, 1, 1] ** 2, (d + 1) / (d * (d - 1) * (d + 2))),
        (q[:, 0, 0] * q[:, 1, 1] * q[:, 0, 1] * q[:, 1, 0], -1 / (d * (d - 1) * (d + 2))),
        (trace, 0.0),
        (trace**2, 1.0),
        (trace**4, 3.0),
    ]
    for found, expected in moments:
        assert abs(found.mean() - expected) < 5.0 * found.std() / math.sqrt(count)


def test_the_only_canonical_direction_is_uniform_on_either_sphere():
    m, n = 3, 4
    cross = np.stack(
        [
            CANONICAL(m, n, structure=seed, information=0.5, rank=1).correlation_matrix()[:m, m:]
            for seed in range(1000)
        ]
    )
    square = -math.expm1(-1.0)  # r²
    np.testing.assert_allclose((cross**2).sum(axis=(1, 2)), square, rtol=1e-12)
    for axis, d in ((2, m), (1, n)):
        parts = (cross**2).sum(axis=axis) / square
        assert stats.kstest(parts[:, 0], stats.beta(0.5, 0.5 * (d - 1)).cdf).pvalue > 1e-4
        assert stats.kstest(parts[:, -1], stats.beta(0.5, 0.5 * (d - 1)).cdf).pvalue > 1e-4
    error = math.sqrt(square / (m * n) / 1000)
    assert (np.abs(cross.mean(axis=0)) < 5.0 * error).all()


def test_the_correlations_of_a_general_member_are_those_of_a_wishart_sample():
    d, c = 5, 2.0
    freedom = 1.0 + c * d
    members = [GENERAL(1, 4, structure=seed, concentration=c) for seed in range(1000)]
    omega = np.stack([each.correlation_matrix() for each in members])
    law = stats.beta(0.5, 0.5 * (freedom - 1.0))  # of a squared correlation
    for i, j in ((0, 1), (0, 4), (2, 3)):
        assert stats.kstest(omega[:, i, j] ** 2, law.cdf).pvalue > 1e-4
        assert abs(np.sign(omega[:, i, j]).mean()) < 5.0 / math.sqrt(1000)
    # Wilks' Λ = e^(-2I), with X alone on its side
    wilks = [math.exp(-2.0 * value(each)) for each in members]
    assert stats.kstest(wilks, stats.beta(0.5 * (freedom - 4), 2.0).cdf).pvalue > 1e-4


def test_a_concentrated_wishart_law_leaves_independence():
    m, n, c = 3, 2, 1e8
    values = [value(GENERAL(m, n, structure=seed, concentration=c)) for seed in range(400)]
    # 2νI is about χ² with mn degrees of freedom
    assert stats.kstest(2.0 * c * (m + n) * np.array(values), stats.chi2(m * n).cdf).pvalue > 1e-4
    assert min(values) > 0.0 and max(values) < 1e-7


def test_a_wishart_law_without_enough_freedom_is_refused_with_the_reason():
    reason = re.escape(GENERAL.parameters["concentration"].reason)
    with pytest.raises(ValueError, match=rf"concentration must lie in \(0.6, inf\).*{reason}"):
        GENERAL(3, 2, structure=0, concentration=0.6)


def test_a_matrix_too_near_a_singular_one_is_refused_or_its_eigenvalues_are_large_enough():
    refused = 0
    for seed in range(200):
        try:
            member = GENERAL(8, 8, structure=seed, concentration=0.876)
        except ValueError as error:
            assert f"structure={seed}" in str(error)
            assert "needed 1e-06" in str(error)
            refused += 1
        else:
            least = np.linalg.eigvalsh(member.correlation_matrix())[0]
            assert least >= LEAST_EIGENVALUE * (1.0 - 1e-9)
    assert 0 < refused < 200


@pytest.mark.parametrize("m", [1, 4])
def test_the_gain_of_a_channel_is_a_sum_of_squared_normals(m):
    snr = 3.0
    values = [value(CHANNEL(m, 1, structure=seed, snr=snr)) for seed in range(1000)]
    gain = np.expm1(2.0 * np.array(values)) * m / snr  # |h|², h the row of H
    assert stats.kstest(gain, stats.chi2(m).cdf).pvalue > 1e-4


def test_a_channel_has_its_limits_of_weak_and_strong_signals():
    m, n = 4, 3
    h = generator(11).standard_normal((n, m))
    assert value(CHANNEL(m, n, structure=11, snr=0.0)) == 0.0
    weak = value(CHANNEL(m, n, structure=11, snr=1e-10))
    assert weak == pytest.approx(0.5e-10 / m * (h**2).sum(), rel=1e-8)
    strong = [value(CHANNEL(m, n, structure=11, snr=snr)) for snr in (1e5, 1e6)]
    assert strong[1] - strong[0] == pytest.approx(0.5 * n * math.log(10.0), rel=1e-3)


def test_a_channel_scales_its_outputs_to_unit_variance():
    omega = CHANNEL(2, 3, structure=12, snr=50.0).correlation_matrix()
    np.testing.assert_allclose(np.diag(omega), 1.0, rtol=1e-14)


def test_without_signal_the_drawn_families_are_independent():
    member = CANONICAL(3, 2, structure=13, information=0.0, rank=2)
    np.testing.assert_array_equal(member.correlation_matrix(), np.eye(5))
    found = member.mutual_information()
    assert (found.value, found.pmi_std) == (0.0, 0.0)
    silent = CHANNEL(3, 2, structure=13, snr=0.0)
    np.testing.assert_array_equal(silent.correlation_matrix(), np.eye(5))
    rows = np.ones((4, 3)), np.ones((4, 2))
    np.testing.assert_allclose(silent.pointwise_mutual_information(*rows), 0.0, atol=1e-15)


def test_ten_nats_in_a_single_pair_are_exact_and_more_are_refused():
    for seed in range(5):
        member = CANONICAL(2, 2, structure=seed, information=10.0, rank=1)
        assert value(member) == pytest.approx(10.0, abs=1e-13)
    with pytest.raises(ValueError, match=r"information must lie in \[0, 10\], got 10.5"):
        CANONICAL(2, 2, structure=0, information=10.5, rank=1)
    with pytest.raises(ValueError, match=r"rank must lie in \{1, ..., 2\}, got 3"):
        CANONICAL(4, 2, structure=0, information=1.0, rank=3)
    with pytest.raises(ValueError, match=r"snr must lie in \[0, 1e\+06\], got 2000000"):
        CHANNEL(4, 2, structure=0, snr=2e6)


@pytest.mark.parametrize("rank", [1, 2])
def test_tiny_information_keeps_its_digits(rank):
    found = CANONICAL(3, 2, structure=14, information=1e-12, rank=rank).mutual_information()
    assert found.value == pytest.approx(1e-12, rel=1e-12)
    assert found.pmi_std == pytest.approx(math.sqrt(2e-12), rel=1e-9)  # Σ r² ≈ 2I


@pytest.mark.parametrize("rho", [1e-160, 1e-8, 0.3, 0.999, 1.0 - 1e-9, 1.0 - 2.0**-53])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_bivariate_normal_keeps_its_digits(rho, sign):
    found = BIVARIATE(1, 1, rho=sign * rho).mutual_information()
    with mp.workdps(400):
        assert found.value == pytest.approx(float(-mp.log1p(-(mp.mpf(rho) ** 2)) / 2), rel=1e-15)
    assert found.pmi_std == pytest.approx(rho, rel=1e-12)


@few
@given(st.floats(-0.999, 0.999), seeds)
def test_the_bivariate_normal_has_the_written_out_density_and_covariance(rho, seed):
    member, sigma = BIVARIATE(1, 1, rho=rho), np.array([[1.0, rho], [rho, 1.0]])
    np.testing.assert_allclose(by_hand.of_the_sampler(member, seed), sigma, rtol=0, atol=1e-11)
    x, y = 2.0 * np.random.default_rng(seed).standard_normal((2, 9, 1))
    found = member.pointwise_mutual_information(x, y)
    np.testing.assert_allclose(found, by_hand.pointwise(x, y, sigma), rtol=1e-9, atol=1e-9)
    mirrored = BIVARIATE(1, 1, rho=-rho).pointwise_mutual_information(x, -y)
    np.testing.assert_allclose(mirrored, found, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(member.pointwise_mutual_information(y, x), found, atol=1e-9)


@pytest.mark.parametrize("rho", [-1.0, 1.0])
def test_a_bivariate_normal_on_a_line_is_refused_with_the_reason(rho):
    reason = re.escape(BIVARIATE.parameters["rho"].reason)
    with pytest.raises(ValueError, match=rf"^gaussian-bivariate: rho must lie in .*{reason}$"):
        BIVARIATE(1, 1, rho=rho)


@few
@given(st.floats(0.01, 8.0))
def test_one_pair_is_the_same_in_every_family(strength):
    rho = strength**2 / (1.0 + strength**2)
    latent = {"alpha": 0.0, "beta": 0.0, "eta": 2.0, "pairs": 1}
    expected = value(BIVARIATE(1, 1, rho=rho))
    for member in (
        DENSE(1, 1, rho=rho),
        SPARSE(1, 1, strength=strength, pairs=1),
        SPARSE(3, 2, strength=strength, pairs=1),
        LATENT(3, 2, strength=strength, **latent),
        CANONICAL(3, 2, structure=0, information=expected, rank=1),
    ):
        assert value(member) == pytest.approx(expected, rel=1e-11)
    two = SPARSE(3, 2, strength=strength, pairs=2), TWO_PAIR(3, 2, strength=strength)
    assert value(two[0]) == value(two[1]) == pytest.approx(2.0 * expected, rel=1e-11)


@few
@given(dims, st.floats(0.01, 5.0))
def test_a_latent_model_of_the_common_factor_alone_is_dense(shape, alpha):
    theta = {"strength": 0.0, "beta": 0.0, "eta": 0.0, "pairs": 1}
    latent = LATENT(*shape, alpha=alpha, **theta)
    dense = DENSE(*shape, rho=alpha**2 / (1.0 + alpha**2))
    assert value(latent) == pytest.approx(value(dense), rel=1e-11)
    np.testing.assert_allclose(latent.correlation_matrix(), dense.correlation_matrix(), atol=1e-14)


def test_private_signals_hide_the_common_factor():
    theta = {"alpha": 1.0, "strength": 0.0, "pairs": 1}
    for shape in ((3, 2), (2, 4)):
        clear, noisy, buried = (
            value(LATENT(*shape, beta=beta, eta=eta, **theta))
            for beta, eta in ((0.0, 0.0), (0.0, 3.0), (1e4, 0.0))
        )
        assert clear > noisy > value(DENSE(1, 1, rho=0.5)) * (1.0 - 1e-12)
        assert buried == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("family", "theta"),
    [
        (SPARSE, {"strength": 1e3 * 1.001, "pairs": 1}),
        (TWO_PAIR, {"strength": 1e3 * 1.001}),
        (DENSE, {"rho": 1.0}),
        (DENSE, {"rho": -1.0 / 3.0}),
    ],
)
def test_members_of_infinite_or_unrepresentable_information_are_refused(family, theta):
    key = next(iter(theta))
    with pytest.raises(ValueError, match=f"^{family.name}: {key} must lie in "):
        family(2, 2, **theta)
