"""Counts: sums over conjugate posteriors and windows against brute-force tables and quadrature."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from scipy import integrate, special, stats

from mistdata.distributions.families._counts import TAIL, trigamma, window
from mistdata.distributions.families.counts import (
    BetaBinomial,
    MultinomialSplit,
    PoissonAdditive,
    PoissonBivariate,
    PoissonErased,
    PoissonExponential,
    PoissonGamma,
    PoissonZeroInflated,
)
from mistdata.distributions.parameters import structure_rng


def information(family, *dims, **theta):
    return family(*(dims or (1, 1)), **theta).mutual_information().value


def entropy(p):
    return float(special.entr(p).sum())


def table_information(joint):
    joint = np.asarray(joint)
    return entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1)) - entropy(joint)


def poisson_entropy(mean):
    if mean > 300.0:  # the next term of the expansion is 1e-10
        series = -1.0 / 12.0 - (1.0 / 24.0 + 19.0 / (360.0 * mean)) / mean
        return 0.5 * math.log(2.0 * math.pi * math.e * mean) + series / mean
    return entropy(stats.poisson.pmf(np.arange(40 + 3 * math.ceil(mean + 4)), mean))


def expected(function, law, tolerance=1e-11):
    """Integrate a function of X over its quantiles' scale, piece by piece."""
    edges = law.ppf([1e-16, 1e-8, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-4, 1 - 1e-8])
    edges = [0.0, *edges, law.isf(1e-15)]
    return math.fsum(
        integrate.quad(lambda x: function(x) * law.pdf(x), low, high, epsabs=tolerance)[0]
        for low, high in pairwise(edges)
    )


def require_same_law(sample, pmf):
    """A chi-square test of counts against their law, rare ones joined."""
    observed = np.bincount(sample.ravel().astype(int), minlength=len(pmf)).astype(float)
    expectation = pmf * sample.size
    common = expectation >= 10.0
    observed = np.append(
        observed[: len(pmf)][common], observed.sum() - observed[: len(pmf)][common].sum()
    )
    expectation = np.append(expectation[common], sample.size - expectation[common].sum())
    if expectation[-1] < 1.0:
        observed, expectation = observed[:-1], expectation[:-1]
    expectation *= observed.sum() / expectation.sum()
    assert stats.chisquare(observed, expectation).pvalue > 1e-4


def test_a_multinomial_split_has_the_information_of_all_its_counts():
    trials, left_over, share, structure = 3, 0.3, 0.4, 11
    own = structure_rng(structure)
    p = np.concatenate((0.28 * own.dirichlet([1, 1]), 0.42 * own.dirichlet([1, 1]), [left_over]))
    joint = np.zeros((trials + 1,) * 4)
    for counts in product(range(trials + 1), repeat=4):
        if sum(counts) <= trials:
            joint[counts] = stats.multinomial.pmf([*counts, trials - sum(counts)], trials, p)
    found = information(
        MultinomialSplit,
        2,
        2,
        trials=trials,
        left_over=left_over,
        share=share,
        structure=structure,
    )
    assert found == pytest.approx(table_information(joint.reshape(16, 16)), abs=1e-13)


@pytest.mark.parametrize("trials", [1, 2, 30])
@pytest.mark.parametrize("left_over", [0.0, 1e-6, 0.2, 0.999])
def test_the_totals_of_a_multinomial_are_trinomial(trials, left_over):
    share = 0.2
    p = (1.0 - left_over) * np.array([share, 1.0 - share])
    joint = np.zeros((trials + 1,) * 2)
    for a, b in product(range(trials + 1), repeat=2):
        if a + b <= trials:
            joint[a, b] = stats.multinomial.pmf([a, b, trials - a - b], trials, [*p, left_over])
    found = information(
        MultinomialSplit,
        3,
        1,
        trials=trials,
        left_over=left_over,
        share=share,
        structure=1,
    )
    assert found == pytest.approx(table_information(joint), abs=1e-11)


def test_without_a_left_over_category_one_total_gives_the_other():
    found = information(MultinomialSplit, 1, 1, trials=50, left_over=0.0, share=0.3, structure=0)
    assert found == pytest.approx(entropy(stats.binom.pmf(np.arange(51), 50, 0.3)), abs=1e-11)


def test_the_columns_of_a_multinomial_are_binomial():
    member = MultinomialSplit(2, 1, trials=20, left_over=0.4, share=0.5, structure=3)
    x, y = member.sample(20_000, np.random.default_rng(0))
    p = 0.3 * structure_rng(3).dirichlet([1.0, 1.0])
    for column, probability in ((x[:, 0], p[0]), (x[:, 1], p[1]), (y[:, 0], 0.3)):
        require_same_law(column, stats.binom.pmf(np.arange(21), 20, probability))


@pytest.mark.parametrize(
    ("common", "only_x", "only_y"), [(2.0, 1.0, 3.0), (0.01, 0.3, 5.0), (20.0, 1e-3, 4.0)]
)
def test_the_bivariate_poisson_law_has_the_information_of_its_table(common, only_x, only_y):
    k = np.arange(90)
    shared = stats.poisson.pmf(k, common)
    joint = sum(
        np.multiply.outer(
            p * stats.poisson.pmf(k - each, only_x), stats.poisson.pmf(k - each, only_y)
        )
        for each, p in enumerate(shared)
    )
    found = information(PoissonBivariate, common=common, only_x=only_x, only_y=only_y)
    assert found == pytest.approx(table_information(joint), abs=1e-11)


def test_the_bivariate_poisson_law_is_symmetric_and_has_its_limits():
    theta = {"common": 3.0, "only_x": 0.7, "only_y": 4.0}
    swapped = {"common": 3.0, "only_x": 4.0, "only_y": 0.7}
    assert information(PoissonBivariate, **theta) == pytest.approx(
        information(PoissonBivariate, **swapped), abs=1e-13
    )
    independent = information(PoissonBivariate, common=0.0, only_x=3.0, only_y=4.0)
    assert independent == pytest.approx(0.0, abs=1e-13)
    shared = information(PoissonBivariate, common=3.0, only_x=1e-14, only_y=1e-14)
    assert shared == pytest.approx(poisson_entropy(3.0), abs=1e-11)
    # X is common to both sides, and Y is X plus noise
    assert information(PoissonBivariate, common=4.0, only_x=1e-14, only_y=1.0) == pytest.approx(
        information(PoissonAdditive, signal=4.0, noise=1.0), abs=1e-11
    )


def test_the_marginals_and_the_covariance_of_the_bivariate_poisson_law():
    member = PoissonBivariate(1, 1, common=2.0, only_x=1.0, only_y=3.0)
    x, y = member.sample(40_000, np.random.default_rng(0))
    require_same_law(x, stats.poisson.pmf(np.arange(40), 3.0))
    require_same_law(y, stats.poisson.pmf(np.arange(40), 5.0))
    # Var of the product of deviations is below 2 Var X Var Y here
    assert np.cov(x.T, y.T)[0, 1] == pytest.approx(2.0, abs=5 * math.sqrt(2 * 15 / 40_000))


@pytest.mark.parametrize("signal", [1e-3, 1.0, 60.0, 2000.0])
@pytest.mark.parametrize("noise", [1e-3, 2.0, 100.0])
def test_additive_poisson_noise_leaves_the_difference_of_two_entropies(signal, noise):
    expectation = poisson_entropy(signal + noise) - poisson_entropy(noise)
    member = PoissonAdditive(1, 1, signal=signal, noise=noise)
    mi = member.mutual_information()
    assert abs(mi.value - expectation) < mi.error + 1e-11


def test_the_samples_of_additive_poisson_noise_are_poisson():
    x, y = PoissonAdditive(1, 1, signal=4.0, noise=1.5).sample(40_000, np.random.default_rng(0))
    require_same_law(x, stats.poisson.pmf(np.arange(40), 4.0))
    require_same_law(y - x, stats.poisson.pmf(np.arange(40), 1.5))


@pytest.mark.parametrize(
    ("k", "scale"), [(0.1, 1000.0), (1.0, 1e-4), (3.0, 0.5), (0.4, 20.0), (12.0, 8.0), (300, 2.0)]
)
def test_a_gamma_rate_has_the_information_of_the_entropies(k, scale):
    counts = np.arange(math.ceil(60 * scale * (1 + k / 10)) + 40)
    marginal = entropy(stats.nbinom.pmf(counts, k, 1.0 / (1.0 + scale)))
    conditional = expected(poisson_entropy, stats.gamma(k, scale=scale))
    assert information(PoissonGamma, k=k, scale=scale) == pytest.approx(
        marginal - conditional, abs=1e-8
    )


def test_the_samples_of_a_gamma_rate_have_their_marginals():
    x, y = PoissonGamma(1, 1, k=0.7, scale=3.0).sample(20_000, np.random.default_rng(0))
    assert stats.kstest(x[:, 0], stats.gamma(0.7, scale=3.0).cdf).pvalue > 1e-4
    require_same_law(y, stats.nbinom.pmf(np.arange(100), 0.7, 0.25))


def test_an_exponential_rate_is_a_gamma_rate_of_shape_one():
    exponential = PoissonExponential(1, 1).mutual_information()
    gamma = PoissonGamma(1, 1, k=1.0, scale=1.0).mutual_information()
    assert exponential.value == pytest.approx(gamma.value, abs=1e-14)
    assert exponential.pmi_std == pytest.approx(gamma.pmi_std, abs=1e-14)


@pytest.mark.parametrize("p", [0.0, 1e-9, 0.15, 0.5, 0.9, 0.999])
def test_an_inflated_count_has_the_information_of_the_entropies(p):
    law = stats.expon()
    counts = np.arange(120)

    def inflated(pmf):
        return np.append(p + (1.0 - p) * pmf[0], (1.0 - p) * pmf[1:])

    marginal = entropy(inflated(0.5 ** (counts + 1.0)))
    conditional = expected(lambda x: entropy(inflated(stats.poisson.pmf(counts, x))), law)
    assert information(PoissonZeroInflated, p=p) == pytest.approx(marginal - conditional, abs=1e-9)


def test_an_ordinary_zero_says_less_than_a_marked_erasure():
    ordinary, marked = PoissonZeroInflated, PoissonErased
    clean = information(PoissonExponential)
    assert information(ordinary, p=0.0) == pytest.approx(clean, abs=1e-14)
    assert information(marked, p=0.0) == pytest.approx(clean, abs=1e-14)
    for p in (0.01, 0.15, 0.5, 0.9, 0.999):
        assert information(marked, p=p) == pytest.approx((1.0 - p) * clean, abs=1e-14)
        assert 0.0 < information(ordinary, p=p) < (1.0 - p) * clean


def test_inflation_and_erasure_happen_as_often_as_stated():
    counts = np.arange(40)
    mixed = 0.3 * (counts == 0) + 0.7 * 0.5 ** (counts + 1.0)
    x, y = PoissonZeroInflated(1, 1, p=0.3).sample(20_000, np.random.default_rng(0))
    assert stats.kstest(x[:, 0], stats.expon.cdf).pvalue > 1e-4
    require_same_law(y, mixed)
    erased = PoissonErased(1, 1, p=0.3).sample(20_000, np.random.default_rng(0))[1]
    require_same_law(erased + 1.0, np.append(0.3, 0.7 * 0.5 ** (counts + 1.0)))


@pytest.mark.parametrize(
    ("a", "b", "trials"), [(1.0, 1.0, 1), (1.0, 1.0, 10), (0.5, 0.5, 60), (8.0, 0.6, 25)]
)
def test_a_beta_probability_has_the_information_of_the_entropies(a, b, trials):
    counts = np.arange(trials + 1)
    marginal = entropy(stats.betabinom.pmf(counts, trials, a, b))
    angle = np.pi * (np.arange(20_000) + 0.5) / 20_000
    # x = sin²(t/2) takes the square roots out of the density at both ends
    x = np.sin(0.5 * angle) ** 2
    weight = stats.beta.pdf(x, a, b) * np.sin(angle) * (0.5 * np.pi / 20_000)
    conditional = special.entr(stats.binom.pmf(counts[:, None], trials, x)).sum(axis=0)
    assert weight.sum() == pytest.approx(1.0, abs=1e-5)
    assert information(BetaBinomial, a=a, b=b, trials=trials) == pytest.approx(
        marginal - weight @ conditional, abs=2e-5
    )


def test_one_trial_of_a_uniform_probability_has_ln_2_minus_one_half():
    assert information(BetaBinomial, a=1.0, b=1.0, trials=1) == pytest.approx(
        math.log(2.0) - 0.5, abs=1e-14
    )


def test_the_beta_binomial_law_is_symmetric_monotone_and_fades_with_a_sharp_beta():
    assert information(BetaBinomial, a=0.7, b=3.0, trials=9) == pytest.approx(
        information(BetaBinomial, a=3.0, b=0.7, trials=9), abs=1e-13
    )
    values = [information(BetaBinomial, a=2.0, b=3.0, trials=n) for n in (1, 2, 5, 50, 5000)]
    assert values == sorted(values)
    # χ²-approximation: N Var X/(2 x(1-x)) with Var X = 1/(4 (2e4+1))
    weak = information(BetaBinomial, a=1e4, b=1e4, trials=3)
    assert weak == pytest.approx(3.0 / (2.0 * 20_001.0), rel=1e-3)


def test_the_samples_of_a_beta_probability_have_their_marginals():
    x, y = BetaBinomial(1, 1, a=0.6, b=2.0, trials=12).sample(20_000, np.random.default_rng(0))
    assert stats.kstest(x[:, 0], stats.beta(0.6, 2.0).cdf).pvalue > 1e-4
    require_same_law(y, stats.betabinom.pmf(np.arange(13), 12, 0.6, 2.0))


def test_the_trigamma_function_is_scipys():
    z = np.geomspace(0.1, 1e6, 200)
    assert np.allclose(trigamma(z), special.polygamma(1, z), rtol=2e-12, atol=0.0)


def test_windows_leave_out_less_than_they_say():
    for mean in (0.0, 1e-3, 0.5, 3.0, 50.0, 1e3, 1e6):
        counts = window(mean)
        outside = stats.poisson.sf(counts[-1], mean)
        outside += stats.poisson.cdf(counts[0] - 1.0, mean)
        assert outside < TAIL


def test_certain_inflation_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"^poisson-zero-inflated: p must .*at p = 1 Y is zero$"):
        PoissonZeroInflated(1, 1, p=1.0)
