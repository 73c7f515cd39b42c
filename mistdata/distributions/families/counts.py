"""Families of counts: Poisson, binomial and multinomial laws with a common or a random rate.

Where one side is a rate and the other a count, the rate has its conjugate law: given the count,
its posterior is of the same kind, so that mean and variance of the pointwise mutual information
are known for every count and only a sum over the counts is left.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from scipy.special import digamma, gammaln, logsumexp, xlogy

from mistdata.distributions import integrate
from mistdata.distributions.base import MI, ONE_BY_ONE, ROUNDING, JointDistribution
from mistdata.distributions.families._counts import (
    deviation,
    exponential_poisson,
    gamma_poisson,
    log_poisson,
    masses,
    mixed,
    moments_of_zeros,
    rounding,
    series,
    shifted,
    trigamma,
    window,
    with_moments,
)
from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Uniform

GAO = "Gao et al. 2017, arXiv:1709.06212"
JOHNSON = "Johnson, Kotz & Balakrishnan 1997, ISBN 978-0-471-12844-1"


class MultinomialSplit(JointDistribution):
    """The counts of a multinomial law: some categories are X, some are Y, one is neither.

    Model: (X, Y, rest) ~ Multinomial(N, (π_x w, π_y v, c)), with X having dim_x and Y dim_y
    categories, π_x = (1-c) s, π_y = (1-c)(1-s); w and v are uniform on their simplices.
    Mutual information: that of the totals A = Σ X, B = Σ Y, which are trinomial:
    Σ_ab P(a,b) ln P(a,b)/(P(a)P(b)); exact.

    Parameters:
        trials: N in {1, ..., 1000}; count.
        left_over: c in [0, 1), probability of the category that is on neither side; pure number.
        share: s in (0, 1), share of X in the others; pure number.
        structure: seed of the generator that draws w and v, of which I does not depend; count.

    References:
        Discrete Multivariate Distributions (Johnson, Kotz, Balakrishnan, 1997), chapter 35;
        https://www.wiley.com/en-us/9780471128441

    Example:
        >>> member = MultinomialSplit(2, 2, trials=12, left_over=0.3, share=0.5, structure=0)
        >>> round(member.mutual_information().value, 6)
        0.182511
    """

    name = "multinomial-split"
    formula = "Σ_ab P(a,b) ln P(a,b)/(P(a)P(b)), (a, b) trinomial(N; (1-c)s, (1-c)(1-s))"
    source = JOHNSON
    x_kind = "discrete"
    y_kind = "discrete"
    parameters: ClassVar = {
        "trials": Parameter(
            "N, number of trials",
            low=1,
            high=1000,
            closed="both",
            integer=True,
            prior=LogUniform(2, 100),
        ),
        "left_over": Parameter(
            "c, probability of the category that is on neither side",
            low=0.0,
            high=1.0,
            closed="low",
            prior=LogUniform(0.01, 0.7),
            reason="at c = 1 both sides are zero",
        ),
        "share": Parameter(
            "s, share of X in the other categories",
            low=0.0,
            high=1.0,
            prior=Uniform(0.1, 0.9),
            reason="at the ends one side is zero",
        ),
        "structure": STRUCTURE,
    }
    trials: int
    left_over: float
    share: float
    structure: int

    def _prepare(self) -> None:
        self._total_x = (1.0 - self.left_over) * self.share
        self._total_y = (1.0 - self.left_over) * (1.0 - self.share)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        own = structure_rng(self.structure)
        x = self._total_x * own.dirichlet(np.ones(self.dim_x))
        y = self._total_y * own.dirichlet(np.ones(self.dim_y))
        counts = rng.multinomial(self.trials, np.concatenate((x, y, [self.left_over])), n)
        block = counts[:, :-1].astype(np.float64)
        return block[:, : self.dim_x], block[:, self.dim_x :]

    def _mutual_information(self) -> MI:
        a, b = np.nonzero(np.add.outer(*[np.arange(self.trials + 1)] * 2) <= self.trials)
        factorial = gammaln(np.arange(1.0, self.trials + 2.0))
        rest = self.trials - a - b
        log_p = factorial[-1] - factorial[a] - factorial[b] - factorial[rest]
        log_p += a * math.log(self._total_x) + b * math.log(self._total_y)
        log_p += xlogy(rest, self.left_over)
        weight = np.exp(log_p)
        return integrate.expectation(weight / weight.sum(), self._of_totals(a, b, factorial))

    def _pointwise(self, x: Array, y: Array) -> Array:
        a, b = (np.rint(side).sum(axis=1).astype(np.intp) for side in (x, y))
        return self._of_totals(a, b, gammaln(np.arange(1.0, self.trials + 2.0)))

    def _of_totals(self, a: Array, b: Array, factorial: Array) -> Array:
        """Return ln P(a,b)/(P(a)P(b)); `factorial` holds ln k! for k = 0, ..., N."""
        rest, not_a, not_b = self.trials - a - b, self.trials - a, self.trials - b
        pmi = factorial[not_a] + factorial[not_b] - factorial[-1] - factorial[rest]
        pmi += xlogy(rest, self.left_over)
        pmi -= not_a * math.log(self.left_over + self._total_y)
        pmi -= not_b * math.log(self.left_over + self._total_x)
        return np.asarray(pmi, np.float64)


class PoissonBivariate(JointDistribution):
    """Two Poisson counts that share a third: the bivariate Poisson law.

    Model: X = Z_0 + Z_1, Y = Z_0 + Z_2, independent Z_i ~ Poisson(λ_i).
    Mutual information: Σ_xy P(x,y) ln P(x,y)/(P(x)P(y)),
    P(x,y) = Σ_k p(k; λ_0) p(x-k; λ_1) p(y-k; λ_2), p(k; λ) = e^-λ λ^k/k!; a series.

    Parameters:
        common: λ_0 in [0, 1000], mean of the shared count; count.
        only_x: λ_1 in (0, 1000], mean of what X alone has; count.
        only_y: λ_2 in (0, 1000], mean of what Y alone has; count.

    References:
        Discrete Multivariate Distributions (Johnson, Kotz, Balakrishnan, 1997), §37.2;
        https://www.wiley.com/en-us/9780471128441

    Example:
        >>> member = PoissonBivariate(dim_x=1, dim_y=1, common=2.0, only_x=1.0, only_y=3.0)
        >>> round(member.mutual_information().value, 6)
        0.154175
    """

    name = "poisson-bivariate"
    formula = "Σ_xy P(x,y) ln P(x,y)/(P(x)P(y)), P(x,y) = Σ_k p(k;λ₀) p(x-k;λ₁) p(y-k;λ₂)"
    source = JOHNSON
    shape = ONE_BY_ONE
    x_kind = "discrete"
    y_kind = "discrete"
    parameters: ClassVar = {
        "common": Parameter(
            "λ_0, mean of the shared count",
            low=0.0,
            high=1000.0,
            closed="both",
            prior=LogUniform(0.3, 30.0),
            unit="count",
        ),
        "only_x": Parameter(
            "λ_1, mean of what X alone has",
            low=0.0,
            high=1000.0,
            closed="high",
            prior=LogUniform(0.1, 10.0),
            unit="count",
        ),
        "only_y": Parameter(
            "λ_2, mean of what Y alone has",
            low=0.0,
            high=1000.0,
            closed="high",
            prior=LogUniform(0.1, 10.0),
            unit="count",
        ),
    }
    common: float
    only_x: float
    only_y: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        block = rng.poisson((self.only_x, self.only_y), (n, 2)).astype(np.float64)
        block += rng.poisson(self.common, n)[:, None]
        return block[:, :1], block[:, 1:]

    def _mutual_information(self) -> MI:
        """Multiply p(x-k) p(k) p(y-k) as matrices: all terms are positive, nothing cancels."""
        mean_x, mean_y = self.common + self.only_x, self.common + self.only_y
        shared, x, y = window(self.common), window(mean_x), window(mean_y)
        given_x = shifted(x, shared, self.only_x) * masses(shared, self.common)
        weight = given_x @ shifted(y, shared, self.only_y).T
        with np.errstate(divide="ignore"):
            pmi = np.log(weight) - log_poisson(x, mean_x)[:, None] - log_poisson(y, mean_y)
        return series(integrate.expectation(weight, pmi), mean_x + mean_y)

    def _pointwise(self, x: Array, y: Array) -> Array:
        i, j = (np.rint(side[:, 0]).astype(np.intp) for side in (x, y))
        base = int(j.max()) + 1
        pairs, where = np.unique(i * base + j, return_inverse=True)
        i, j = np.divmod(pairs, base)
        k = np.arange(np.minimum(i, j).max() + 1)
        terms = log_poisson(np.subtract.outer(i, k), self.only_x)
        terms += log_poisson(np.subtract.outer(j, k), self.only_y)
        pmi = logsumexp(terms + log_poisson(k, self.common), axis=1)
        pmi -= log_poisson(i, self.common + self.only_x)
        pmi -= log_poisson(j, self.common + self.only_y)
        return np.asarray(pmi[where], np.float64)


class PoissonAdditive(JointDistribution):
    """A Poisson count seen through additive Poisson noise.

    Model: X ~ Poisson(λ_x), Y = X + N, N ~ Poisson(λ_n) independent.
    Mutual information: H(λ_x + λ_n) - H(λ_n), H(λ) the entropy of the Poisson law; a series.

    Parameters:
        signal: λ_x in (0, 1e4], mean of X; count.
        noise: λ_n in (0, 1e4], mean of the noise; count.

    References:
        Sharp Bounds on the Entropy of the Poisson Law and Related Quantities (Adell, Lekuona, Yu,
        2010), for H(λ); https://arxiv.org/abs/1001.2897

    Example:
        >>> member = PoissonAdditive(dim_x=1, dim_y=1, signal=4.0, noise=1.0)
        >>> round(member.mutual_information().value, 6)
        0.899553
    """

    name = "poisson-additive"
    formula = "H(λ_x + λ_n) - H(λ_n), H(λ) the entropy of Poisson(λ)"
    source = "Adell et al. 2010, arXiv:1001.2897"
    shape = ONE_BY_ONE
    x_kind = "discrete"
    y_kind = "discrete"
    parameters: ClassVar = {
        "signal": Parameter(
            "λ_x, mean of X",
            low=0.0,
            high=1e4,
            closed="high",
            prior=LogUniform(0.3, 100.0),
            unit="count",
        ),
        "noise": Parameter(
            "λ_n, mean of the noise",
            low=0.0,
            high=1e4,
            closed="high",
            prior=LogUniform(0.1, 10.0),
            unit="count",
        ),
    }
    signal: float
    noise: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.poisson(self.signal, (n, 1)).astype(np.float64)
        return x, x + rng.poisson(self.noise, (n, 1))

    def _mutual_information(self) -> MI:
        total = self.signal + self.noise
        x, noise = window(self.signal), window(self.noise)
        log_noise = log_poisson(noise, self.noise)
        y = np.arange(x[0] + noise[0], x[-1] + noise[-1] + 1.0)
        place = np.add.outer(np.arange(len(x)), np.arange(len(noise)))
        weight = np.outer(masses(x, self.signal), np.exp(log_noise))
        return series(
            integrate.expectation(weight, log_noise - log_poisson(y, total)[place]), total
        )

    def _pointwise(self, x: Array, y: Array) -> Array:
        i, j = np.rint(x[:, 0]), np.rint(y[:, 0])
        return log_poisson(j - i, self.noise) - log_poisson(j, self.signal + self.noise)


class _RandomRate(JointDistribution):
    """X ~ Gamma(k, θ) is the rate of a Poisson count Y, which some mechanism may inflate."""

    shape = ONE_BY_ONE
    y_kind = "discrete"
    k: float
    scale: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = self.scale * rng.standard_gamma(self.k, (n, 1))
        return x, self._inflate(rng.poisson(x).astype(np.float64), rng)

    def _inflate(self, y: Array, rng: np.random.Generator) -> Array:
        return y

    def _mutual_information(self) -> MI:
        return gamma_poisson(self.k, self.scale)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Return ln p(y|x) - ln p(y), p(y) negative binomial; y! cancels."""
        k, scale = self.k, self.scale
        # single precision may carry a rate to zero
        rate, count = np.maximum(x[:, 0], 1e-300), np.maximum(np.rint(y[:, 0]), 0.0)
        marginal = gammaln(k + count) - math.lgamma(k) - k * math.log1p(scale)
        marginal -= count * math.log1p(1.0 / scale)
        return np.asarray(count * np.log(rate) - rate - marginal, np.float64)


class PoissonGamma(_RandomRate):
    """A gamma-distributed rate and the Poisson count that it yields.

    Model: X ~ Gamma(k, scale θ), Y | X ~ Poisson(X); Y is negative binomial.
    Mutual information: kθ (ψ(k+1) - 1) + k (1+θ) ln(1+θ) + lnΓ(k) - E lnΓ(k+Y); a series.

    Parameters:
        k: k in [0.1, 1000], shape of the rate; pure number.
        scale: θ in (0, 1000], scale of the rate; count.

    References:
        Mutual Information and Conditional Mean Estimation in Poisson Channels (Guo, Shamai, Verdú,
        2008); https://doi.org/10.1109/TIT.2008.920206

    Example:
        >>> member = PoissonGamma(dim_x=1, dim_y=1, k=0.5, scale=10.0)
        >>> round(member.mutual_information().value, 6)
        0.97734
    """

    name = "poisson-gamma"
    formula = "kθ(ψ(k+1) - 1) + k(1+θ) ln(1+θ) + lnΓ(k) - E lnΓ(k+Y), Y ~ NB(k, 1/(1+θ))"
    source = "Guo et al. 2008, doi:10.1109/TIT.2008.920206"
    parameters: ClassVar = {
        "k": Parameter(
            "k, shape of the rate",
            low=0.1,  # below, many rates lie under the least number of single precision
            high=1000.0,
            closed="both",
            prior=LogUniform(0.3, 10.0),
        ),
        "scale": Parameter(
            "θ, scale of the rate",
            low=0.0,
            high=1000.0,
            closed="high",
            prior=LogUniform(0.05, 30.0),
            unit="count",
        ),
    }


class PoissonExponential(_RandomRate):
    """An exponential rate and the Poisson count that it yields.

    Model: X ~ Exp(1), Y | X ~ Poisson(X); P(y) = 2^-(y+1).
    Mutual information: 2 ln 2 - γ - S, S = Σ_k 2^-k ln k, γ the Euler constant; exact.

    References:
        Estimating Mutual Information for Discrete-Continuous Mixtures (Gao, Kannan, Oh, Viswanath,
        2017), §5, Experiment III at p = 0; https://arxiv.org/abs/1709.06212

    Example:
        >>> member = PoissonExponential(dim_x=1, dim_y=1)
        >>> round(member.mutual_information().value, 6)
        0.301245
    """

    name = "poisson-exponential"
    formula = "2 ln 2 - γ - Σ_k 2^-k ln k"
    source = GAO
    k = 1.0
    scale = 1.0

    def _mutual_information(self) -> MI:
        value, square = exponential_poisson()
        return with_moments(value, square)


class PoissonZeroInflated(PoissonExponential):
    """A Poisson count with an exponential rate, replaced by an ordinary zero now and then.

    Model: X ~ Exp(1); Y = 0 with probability p, else Y | X ~ Poisson(X).
    Mutual information: (1-p)(I_0 - ½ ln 2 + ¼) - (1+p)/4 - p² ln p/(2(1-p)) - ((1+p)/2)
    ln((1+p)/2), I_0 = 2 ln 2 - γ - Σ_k 2^-k ln k; exact.

    A zero may be inflation or a count. Gao et al. state (1-p) I_0, which counts on knowing which
    of the two it is: that is the value of `PoissonErased`, and too large for every p in (0, 1).
    The zeros add ∫ e^-x P(0|x) ln P(0|x)/P(0) dx with P(0|x) = p + (1-p) e^-x, which is linear
    in e^-x, hence the closed form; the other counts add what they do without inflation, times
    1-p.

    Parameters:
        p: p in [0, 1), probability of inflation; pure number.

    References:
        Estimating Mutual Information for Discrete-Continuous Mixtures (Gao, Kannan, Oh, Viswanath,
        2017), §5, Experiment III, for the model; https://arxiv.org/abs/1709.06212

    Example:
        >>> member = PoissonZeroInflated(dim_x=1, dim_y=1, p=0.15)
        >>> round(member.mutual_information().value, 6)
        0.229776
    """

    name = "poisson-zero-inflated"
    formula = "(1-p)(I₀ - ½ ln 2 + ¼) - (1+p)/4 - p² ln p/(2(1-p)) - ½(1+p) ln(½(1+p))"
    source = GAO
    parameters: ClassVar = {
        "p": Parameter(
            "p, probability of inflation",
            low=0.0,
            high=1.0,
            closed="low",
            prior=Uniform(0.0, 0.9),
            reason="at p = 1 Y is zero",
        )
    }
    p: float

    def _inflate(self, y: Array, rng: np.random.Generator) -> Array:
        return np.where(rng.random(y.shape) < self.p, 0.0, y)

    def _mutual_information(self) -> MI:
        value, square = exponential_poisson()
        # of the zeros without inflation: ∫ v ln^j(2v) dv over 0 < v < 1, j = 1, 2
        ln2 = math.log(2.0)
        value -= 0.5 * ln2 - 0.25
        square -= 0.5 * ln2 * ln2 - 0.5 * ln2 + 0.25
        first, second = moments_of_zeros(self.p)
        return with_moments((1.0 - self.p) * value + first, (1.0 - self.p) * square + second)

    def _pointwise(self, x: Array, y: Array) -> Array:
        zero = np.log(self.p + (1.0 - self.p) * np.exp(-x[:, 0])) - math.log(0.5 * (1.0 + self.p))
        return np.where(np.rint(y[:, 0]) == 0.0, zero, super()._pointwise(x, y))


class PoissonErased(PoissonExponential):
    """A Poisson count with an exponential rate, erased now and then; erasures are coded as -1.

    Model: X ~ Exp(1); Y = -1 with probability p, else Y | X ~ Poisson(X).
    Mutual information: (1-p)(2 ln 2 - γ - S), S = Σ_k 2^-k ln k, γ the Euler constant; exact.

    Parameters:
        p: p in [0, 1), probability of an erasure; pure number.

    References:
        Estimating Mutual Information for Discrete-Continuous Mixtures (Gao, Kannan, Oh, Viswanath,
        2017), §5, Experiment III, for the formula; https://arxiv.org/abs/1709.06212

    Example:
        >>> member = PoissonErased(dim_x=1, dim_y=1, p=0.15)
        >>> round(member.mutual_information().value, 6)
        0.256058
    """

    name = "poisson-erased"
    formula = "(1-p)(2 ln 2 - γ - Σ_k 2^-k ln k)"
    source = GAO
    parameters: ClassVar = {
        "p": Parameter(
            "p, probability of an erasure",
            low=0.0,
            high=1.0,
            closed="low",
            prior=Uniform(0.0, 0.95),
            reason="at p = 1 Y is constant",
        )
    }
    p: float

    def _inflate(self, y: Array, rng: np.random.Generator) -> Array:
        return np.where(rng.random(y.shape) < self.p, -1.0, y)

    def _mutual_information(self) -> MI:
        value, square = exponential_poisson()
        return with_moments((1.0 - self.p) * value, (1.0 - self.p) * square)

    def _pointwise(self, x: Array, y: Array) -> Array:
        return np.where(np.rint(y[:, 0]) < 0.0, 0.0, super()._pointwise(x, y))


class BetaBinomial(JointDistribution):
    """A beta-distributed probability and the binomial count that it yields.

    Model: X ~ Beta(a, b), Y | X ~ Binomial(N, X).
    Mutual information: Σ_y P(y) [y ψ(a+y) + (N-y) ψ(b+N-y) - N ψ(a+b+N)
    - ln B(a+y, b+N-y)/B(a,b)], P beta-binomial; exact.

    Parameters:
        a: a in [0.5, 1e4], first shape of X; pure number.
        b: b in [0.5, 1e4], second shape of X; pure number.
        trials: N in {1, ..., 1e5}; count.

    References:
        A Probability Distribution Derived from the Binomial Distribution by Regarding the
        Probability of Success as Variable between the Sets of Trials (Skellam, 1948), for P;
        https://doi.org/10.1111/j.2517-6161.1948.tb00014.x

    Example:
        >>> member = BetaBinomial(dim_x=1, dim_y=1, a=1.0, b=1.0, trials=10)
        >>> round(member.mutual_information().value, 6)
        0.853997
    """

    name = "beta-binomial"
    formula = "Σ_y P(y) [y ψ(a+y) + (N-y) ψ(b+N-y) - N ψ(a+b+N) - ln B(a+y,b+N-y)/B(a,b)]"
    source = "Skellam 1948, doi:10.1111/j.2517-6161.1948.tb00014.x"
    shape = ONE_BY_ONE
    y_kind = "discrete"
    parameters: ClassVar = {
        "a": Parameter(
            "a, first shape of X",
            low=0.5,
            high=1e4,
            closed="both",
            prior=LogUniform(0.5, 10.0),
            reason="below, single precision rounds many X to 0",
        ),
        "b": Parameter(
            "b, second shape of X",
            low=0.5,
            high=1e4,
            closed="both",
            prior=LogUniform(0.5, 10.0),
            reason="below, single precision rounds many X to 1",
        ),
        "trials": Parameter(
            "N, number of trials",
            low=1,
            high=100_000,
            closed="both",
            integer=True,
            prior=LogUniform(1, 200),
        ),
    }
    a: float
    b: float
    trials: int

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.beta(self.a, self.b, (n, 1))
        return x, rng.binomial(self.trials, x).astype(np.float64)

    def _mutual_information(self) -> MI:
        y = np.arange(self.trials + 1.0)
        rest = y[::-1]
        after_a, after_b, total = self.a + y, self.b + rest, self.a + self.b + self.trials
        ratio = self._log_ratio(y)
        log_p = ratio + (math.lgamma(self.trials + 1.0) - gammaln(y + 1.0) - gammaln(rest + 1.0))
        mean = y * digamma(after_a) + rest * digamma(after_b)
        mean -= self.trials * float(digamma(total)) + ratio
        variance = y * y * trigamma(after_a) + rest * rest * trigamma(after_b)
        variance -= self.trials**2 * trigamma(np.array([total]))
        value, square = mixed(np.exp(log_p), mean, variance)
        error = ROUNDING * (1.0 + value) + rounding(total)
        return MI(value, error, "closed_form", "special_function", deviation(value, square))

    def _log_ratio(self, y: Array) -> Array:
        """Return ln B(a+y, b+N-y)/B(a,b)."""
        a, b, rest = self.a, self.b, self.trials - y
        ratio = gammaln(a + y) + gammaln(b + rest) - math.lgamma(a) - math.lgamma(b)
        ratio += math.lgamma(a + b) - math.lgamma(a + b + self.trials)
        return np.asarray(ratio, np.float64)

    def _pointwise(self, x: Array, y: Array) -> Array:
        # single precision may carry x to an end of the interval, but no farther than 2^-25
        success = np.clip(x[:, 0], 1e-300, 1.0 - 2.0**-26)
        count = np.rint(y[:, 0])
        conditional = count * np.log(success) + (self.trials - count) * np.log1p(-success)
        return np.asarray(conditional - self._log_ratio(count), np.float64)


FAMILIES = (
    MultinomialSplit,
    PoissonBivariate,
    PoissonAdditive,
    PoissonExponential,
    PoissonGamma,
    PoissonZeroInflated,
    PoissonErased,
    BetaBinomial,
)
