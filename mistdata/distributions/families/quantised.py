"""Families with a discrete and a continuous side, or with quantised Gaussian sides.

A symbol seen through noise, or a Gaussian variable of which only a bin, a sign or a label is
left. Either the conditional probabilities are piecewise constant and the information is a finite
sum, or they are analytic functions of one Gaussian variable, over which the trapezoid rule sums
to rounding with a few hundred points.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from scipy.special import expit, log_ndtr, logsumexp, ndtr

from mistdata.distributions import integrate
from mistdata.distributions.base import MI, ONE_BY_ONE, JointDistribution
from mistdata.distributions.families._quantised import (
    cell_probabilities,
    correlated,
    edges,
    over_normal,
    quantile_bin,
    remainder_of,
)
from mistdata.distributions.families.channels import FiniteAlphabet
from mistdata.distributions.injections import Injection, Unchanged
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform, Uniform

GAO = "Gao et al. 2017, arXiv:1709.06212"
SYMBOLS = Parameter(
    "m, number of symbols",
    low=2,
    high=10_000,  # beyond, single precision has too few values between two symbols
    closed="both",
    integer=True,
    prior=LogUniform(2, 50),
)
CORRELATION = Parameter(
    "ρ, correlation before quantisation",
    low=-0.9999,
    high=0.9999,
    closed="both",
    prior=Uniform(-0.99, 0.99),
    reason="at -1 and 1 the bin is a function of the other side",
)
BINS = Parameter(
    "k, number of equally probable bins",
    low=2,
    high=64,
    closed="both",
    integer=True,
    prior=LogUniform(2, 16),
)
LEAST = 1e-300  # in place of probabilities that underflow


class _Smoothed(JointDistribution):
    """X uniform on {0, ..., m-1}, Y ~ U(X, X + w): ln p(x,y)/(p(x)p(y)) = ln(m/c(y)).

    c(y) is the number of symbols x with x ≤ y ≤ x + w, and p(y) = c(y)/(m w).
    """

    shape = ONE_BY_ONE
    x_kind = "discrete"
    m: int
    width: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.integers(self.m, size=(n, 1)).astype(np.float64)
        return x, x + self.width * rng.random((n, 1))

    def _mutual_information(self) -> MI:
        """Sum over the pieces on which c is constant: [j, j+f] and [j+f, j+1], f = w - ⌊w⌋."""
        whole = math.floor(self.width)
        part = self.width - whole
        first = np.arange(self.m + whole)
        last = np.minimum(first, self.m - 1)
        wide = last - np.maximum(first - whole, 0) + 1
        narrow = last - np.maximum(first - whole + 1, 0) + 1
        count = np.concatenate((wide, narrow))
        length = np.repeat((part, 1.0 - part), len(first))
        with np.errstate(divide="ignore"):
            pmi = np.log(self.m / count)
        return integrate.expectation(count * length / (self.m * self.width), pmi)

    def _pointwise(self, x: Array, y: Array) -> Array:
        symbol, place = np.rint(x[:, 0]), y[:, 0]
        slack = 1e-6 * (1.0 + np.abs(place))
        outside = (place < symbol - slack) | (place > symbol + self.width + slack)
        last = np.clip(np.floor(place), 0, self.m - 1)
        count = last - np.clip(np.ceil(place - self.width), 0, self.m - 1) + 1
        return np.where(outside, -np.inf, math.log(self.m) - np.log(np.maximum(count, 1.0)))


class GaoUniform(_Smoothed):
    """A symbol seen through uniform noise that reaches two symbols.

    Model: X uniform on {0, ..., m-1}, Y | X ~ U(X, X + 2).
    Mutual information: ln m - ((m-1)/m) ln 2; exact.

    Parameters:
        m: m in {2, ..., 10000}, number of symbols; count.

    References:
        Estimating Mutual Information for Discrete-Continuous Mixtures (Gao, Kannan, Oh, Viswanath,
        2017), §5, Experiment II; https://arxiv.org/abs/1709.06212

    Example:
        >>> member = GaoUniform(dim_x=1, dim_y=1, m=5)
        >>> round(member.mutual_information().value, 6)
        1.05492
    """

    name = "gao-uniform"
    formula = "ln m - ((m-1)/m) ln 2"
    source = GAO
    parameters: ClassVar = {"m": SYMBOLS}
    width = 2.0

    def _mutual_information(self) -> MI:
        m, ln2 = self.m, math.log(2.0)
        return MI.closed_form(math.log(m) - (m - 1) / m * ln2, ln2 * math.sqrt(m - 1) / m)


class DiscreteSmoothed(_Smoothed):
    """A symbol seen through uniform noise of any width.

    Model: X uniform on {0, ..., m-1}, Y = X + w U, U ~ U(0, 1).
    Mutual information: ln m - E ln c(Y), c(y) the number of symbols x with x ≤ y ≤ x + w, which
    is ln m for w ≤ 1; exact.

    Parameters:
        m: m in {2, ..., 10000}, number of symbols; count.
        width: w in [0.01, 1e4], width of the noise; distance of two symbols.

    References:
        mutinfo, a library of tests for mutual information estimators (Butakov et al.), smoothed
        discrete uniform distribution; https://github.com/VanessB/mutinfo

    Example:
        >>> member = DiscreteSmoothed(dim_x=1, dim_y=1, m=5, width=1.6)
        >>> round(member.mutual_information().value, 6)
        1.19355
    """

    name = "discrete-smoothed"
    formula = "ln m - E ln c(Y), c(y) = #{x in {0, ..., m-1}: x ≤ y ≤ x + w}"
    source = "mutinfo, https://github.com/VanessB/mutinfo"
    parameters: ClassVar = {
        "m": SYMBOLS,
        "width": Parameter(
            "w, width of the noise",
            low=0.01,  # below, single precision has too few values within the noise
            high=1e4,
            closed="both",
            prior=LogUniform(0.5, 30.0),
            unit="distance of two symbols",
            reason="below, symbols are read without error and I is their entropy",
        ),
    }


class PamGaussian(JointDistribution):
    """Pulse-amplitude modulation: one of M equidistant levels in Gaussian noise.

    Model: X uniform on {-(M-1), -(M-3), ..., M-1}, Y = X + σZ, Z ~ N(0, 1); M = 2 is BPSK.
    Mutual information: ln M - (1/M) Σ_x E ln Σ_x' exp(-(x-x')Z/σ - (x-x')²/(2σ²)); by
    quadrature over Z.

    Parameters:
        levels: M in {2, ..., 64}, number of levels; count.
        noise: σ in [0.01, 1000], standard deviation of the noise; half the distance of two levels.

    References:
        Channel Coding with Multilevel/Phase Signals (Ungerboeck, 1982), eq. (5);
        https://doi.org/10.1109/TIT.1982.1056454

    Example:
        >>> member = PamGaussian(dim_x=1, dim_y=1, levels=2, noise=1.0)
        >>> round(member.mutual_information().value, 6)
        0.336831
    """

    name = "pam-gaussian"
    formula = "ln M - (1/M) Σ_x E ln Σ_x' exp(-(x-x')Z/σ - (x-x')²/(2σ²))"
    source = "Ungerboeck 1982, doi:10.1109/TIT.1982.1056454"
    shape = ONE_BY_ONE
    x_kind = "discrete"
    parameters: ClassVar = {
        "levels": Parameter(
            "M, number of levels",
            low=2,
            high=64,
            closed="both",
            integer=True,
            prior=LogUniform(2, 16),
        ),
        "noise": Parameter(
            "σ, standard deviation of the noise",
            low=0.01,
            high=1000.0,
            closed="both",
            prior=LogUniform(0.35, 6.0),
            unit="half the distance of two levels",
            reason="below, symbols are read without error and I is their entropy",
        ),
    }
    levels: int
    noise: float

    def _prepare(self) -> None:
        self._amplitudes = 2.0 * np.arange(self.levels) - (self.levels - 1)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = self._amplitudes[rng.integers(self.levels, size=(n, 1))]
        return x, x + self.noise * rng.standard_normal((n, 1))

    def _mutual_information(self) -> MI:
        # by symmetry the nonpositive levels suffice; the middle one counts once
        used = self._amplitudes[: (self.levels + 1) // 2]
        weight = np.where(used < 0.0, 2.0, 1.0)[:, None] / self.levels
        distance = np.subtract.outer(used, self._amplitudes)[:, :, None] / self.noise

        def moments(z: Array) -> tuple[Array, Array]:
            # x' = x contributes 1, so the sum cannot underflow; it overflows only where φ(z) = 0
            others = np.exp(-distance * (z + 0.5 * distance)).sum(axis=1)
            return weight, math.log(self.levels) - np.log(others)

        return over_normal(moments, 0.1)

    def _pointwise(self, x: Array, y: Array) -> Array:
        exponents = -0.5 * np.square((y - self._amplitudes) / self.noise)
        own = -0.5 * np.square((y[:, 0] - np.rint(x[:, 0])) / self.noise)
        return np.asarray(own - logsumexp(exponents, axis=1) + math.log(self.levels), np.float64)


class _Binned(JointDistribution):
    """(X, W) bivariate normal with correlation ρ, and the quantile bin of W, one of k."""

    shape = ONE_BY_ONE
    y_kind = "discrete"
    rho: float
    bins: int

    def _code(self, q: Array) -> Array:
        """Write bins as values of Y."""
        return q

    def _decode(self, y: Array) -> Array:
        """Read bins off values of Y."""
        return np.clip(np.rint(y), 0, self.bins - 1)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, w = correlated(n, self.rho, rng)
        return x, self._code(quantile_bin(w, self.bins))

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        return Unchanged(1)

    def _mutual_information(self) -> MI:
        remainder = remainder_of(self.rho)
        thresholds = edges(self.bins)[1:-1, None]

        def moments(z: Array) -> tuple[Array, Array]:
            below = np.zeros((self.bins + 1, len(z)))
            below[1:-1] = ndtr((thresholds - self.rho * z) / remainder)
            below[-1] = 1.0
            probability = np.maximum(np.diff(below, axis=0), LEAST)
            return probability, np.log(self.bins * probability)

        width = remainder / abs(self.rho) if self.rho else math.inf
        return over_normal(moments, min(0.2, 0.4 * width))

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Return ln k P(q | x), from logarithms of normal tails."""
        q = self._decode(y[:, 0]).astype(np.intp)
        limits, shift, remainder = edges(self.bins), self.rho * x[:, 0], remainder_of(self.rho)
        low, high = (limits[q] - shift) / remainder, (limits[q + 1] - shift) / remainder
        # in the upper tail count from above, where nothing cancels
        low, high = np.where(low > 0.0, -high, low), np.where(low > 0.0, -low, high)
        log_high = log_ndtr(high)
        inside = log_high + np.log(-np.expm1(log_ndtr(low) - log_high))
        return np.asarray(inside + math.log(self.bins), np.float64)


class GaussianSign(_Binned):
    """A Gaussian variable and the sign of a correlated one.

    Model: (X, W) ~ N(0, [[1, ρ], [ρ, 1]]), Y = sign W, one of -1 and 1.
    Mutual information: ln 2 - E h(Φ(ρX/√(1-ρ²))), h(t) = -t ln t - (1-t) ln(1-t); by quadrature.

    Parameters:
        rho: ρ in [-0.9999, 0.9999], correlation of X and W; pure number.

    References:
        Mutual Information between Discrete and Continuous Data Sets (Ross, 2014), for pairs of a
        symbol and a number; https://doi.org/10.1371/journal.pone.0087357

    Example:
        >>> member = GaussianSign(dim_x=1, dim_y=1, rho=0.75)
        >>> round(member.mutual_information().value, 6)
        0.224304
    """

    name = "gaussian-sign"
    formula = "ln 2 - E h(Φ(ρX/√(1-ρ²))), h(t) = -t ln t - (1-t) ln(1-t)"
    source = "Ross 2014, doi:10.1371/journal.pone.0087357"
    parameters: ClassVar = {"rho": CORRELATION}
    bins = 2

    def _code(self, q: Array) -> Array:
        return 2.0 * q - 1.0

    def _decode(self, y: Array) -> Array:
        return np.where(y > 0.0, 1.0, 0.0)


class GaussianQuantised(_Binned):
    """A Gaussian variable and the quantile bin of a correlated one.

    Model: (X, W) ~ N(0, [[1, ρ], [ρ, 1]]), Y = ⌊k Φ(W)⌋, one of 0, ..., k-1.
    Mutual information: ln k - E H(P(·|X)),
    P(q|x) = Φ((t_q+1 - ρx)/√(1-ρ²)) - Φ((t_q - ρx)/√(1-ρ²)), t_q = Φ⁻¹(q/k); by quadrature.

    Parameters:
        rho: ρ in [-0.9999, 0.9999], correlation of X and W; pure number.
        bins: k in {2, ..., 64}, number of equally probable bins; count.

    References:
        Quantizing for Maximum Output Entropy (Messerschmitt, 1971), for equally probable bins;
        https://doi.org/10.1109/TIT.1971.1054681

    Example:
        >>> member = GaussianQuantised(dim_x=1, dim_y=1, rho=0.75, bins=4)
        >>> round(member.mutual_information().value, 6)
        0.334844
    """

    name = "gaussian-quantised"
    formula = "ln k - E H(P(·|X)), P(q|x) the normal probability of bin q given x"
    source = "Messerschmitt 1971, doi:10.1109/TIT.1971.1054681"
    parameters: ClassVar = {"rho": CORRELATION, "bins": BINS}


class GaussianSignSign(JointDistribution):
    """The signs of two correlated Gaussian variables.

    Model: (V, W) ~ N(0, [[1, ρ], [ρ, 1]]), X = sign V, Y = sign W, each one of -1 and 1.
    Mutual information: ln 2 - h(½ + arcsin(ρ)/π), h(t) = -t ln t - (1-t) ln(1-t); exact.

    Parameters:
        rho: ρ in [-1, 1], correlation of V and W; pure number.

    References:
        On the Application of the Theory of Error to Cases of Normal Distribution and Normal
        Correlation (Sheppard, 1899), for P(X = Y); https://doi.org/10.1098/rsta.1899.0003

    Example:
        >>> member = GaussianSignSign(dim_x=1, dim_y=1, rho=0.75)
        >>> round(member.mutual_information().value, 6)
        0.153806
    """

    name = "gaussian-sign-sign"
    formula = "ln 2 - h(½ + arcsin(ρ)/π), h(t) = -t ln t - (1-t) ln(1-t)"
    source = "Sheppard 1899, doi:10.1098/rsta.1899.0003"
    shape = ONE_BY_ONE
    x_kind = "discrete"
    y_kind = "discrete"
    parameters: ClassVar = {
        "rho": Parameter(
            "ρ, correlation before quantisation",
            low=-1.0,
            high=1.0,
            closed="both",
            prior=Uniform(-0.99, 0.99),
        )
    }
    rho: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        v, w = correlated(n, self.rho, rng)
        return 2.0 * (v > 0.0) - 1.0, 2.0 * (w > 0.0) - 1.0

    def _mutual_information(self) -> MI:
        weight = self._probabilities()
        with np.errstate(divide="ignore"):
            return integrate.expectation(weight, np.log(2.0 * weight))

    def _pointwise(self, x: Array, y: Array) -> Array:
        with np.errstate(divide="ignore"):
            pmi = np.log(2.0 * self._probabilities())
        return np.asarray(pmi[(x[:, 0] * y[:, 0] > 0.0).astype(np.intp)], np.float64)

    def _probabilities(self) -> Array:
        """Return P(X ≠ Y) and P(X = Y)."""
        return np.array((math.acos(self.rho), math.acos(-self.rho))) / math.pi


class GaussianQuantisedBoth(FiniteAlphabet):
    """The quantile bins of two correlated Gaussian variables.

    Model: (V, W) ~ N(0, [[1, ρ], [ρ, 1]]), X = ⌊k Φ(V)⌋, Y = ⌊k Φ(W)⌋, each one of 0, ..., k-1.
    Mutual information: ln k² + Σ_ij P_ij ln P_ij, P_ij the bivariate normal probabilities of the
    cells; exact but for the quadrature of P.

    Parameters:
        rho: ρ in [-0.9999, 0.9999], correlation of V and W; pure number.
        bins: k in {2, ..., 64}, number of equally probable bins; count.

    References:
        A Reduction Formula for Normal Multivariate Integrals (Plackett, 1954), eq. (3), for P;
        https://doi.org/10.1093/biomet/41.3-4.351

    Example:
        >>> member = GaussianQuantisedBoth(dim_x=1, dim_y=1, rho=0.75, bins=4)
        >>> round(member.mutual_information().value, 6)
        0.289486
    """

    name = "gaussian-quantised-both"
    formula = "ln k² + Σ_ij P_ij ln P_ij, P_ij the bivariate normal probabilities of the cells"
    source = "Plackett 1954, doi:10.1093/biomet/41.3-4.351"
    parameters: ClassVar = {"rho": CORRELATION, "bins": BINS}
    rho: float
    bins: int

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        v, w = correlated(n, self.rho, rng)
        return quantile_bin(v, self.bins), quantile_bin(w, self.bins)

    def _joint(self) -> Array:
        return cell_probabilities(self.rho, self.bins)

    def _mutual_information(self) -> MI:
        return replace(super()._mutual_information(), error_kind="special_function")


class GaussianLogistic(JointDistribution):
    """A Gaussian variable and a label drawn by logistic regression on it.

    Model: X ~ N(0, 1), P(Y = 1 | X) = 1/(1 + e^-βX), Y one of 0 and 1.
    Mutual information: ln 2 - E h(1/(1 + e^-βX)), h(t) = -t ln t - (1-t) ln(1-t); by quadrature.

    Parameters:
        beta: β in [0, 1000], slope of the log-odds; pure number.

    References:
        Mutual Information between Discrete and Continuous Data Sets (Ross, 2014), for pairs of a
        symbol and a number; https://doi.org/10.1371/journal.pone.0087357

    Example:
        >>> member = GaussianLogistic(dim_x=1, dim_y=1, beta=4.0)
        >>> round(member.mutual_information().value, 6)
        0.402295
    """

    name = "gaussian-logistic"
    formula = "ln 2 - E h(1/(1 + e^-βX)), h(t) = -t ln t - (1-t) ln(1-t)"
    source = "Ross 2014, doi:10.1371/journal.pone.0087357"
    shape = ONE_BY_ONE
    y_kind = "discrete"
    parameters: ClassVar = {
        "beta": Parameter(
            "β, slope of the log-odds",
            low=0.0,
            high=1000.0,
            closed="both",
            prior=LogUniform(0.3, 20.0),
        )
    }
    beta: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.standard_normal((n, 1))
        return x, (rng.random((n, 1)) < expit(self.beta * x)).astype(np.float64)

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        return Unchanged(1)

    def _mutual_information(self) -> MI:
        def moments(z: Array) -> tuple[Array, Array]:
            # by symmetry both labels contribute the same
            likely = expit(self.beta * z)
            return 2.0 * likely[None], self._log_ratio(self.beta * z)[None]

        return over_normal(moments, min(0.2, 0.3 / self.beta) if self.beta else 0.2)

    def _log_ratio(self, log_odds: Array) -> Array:
        """Return ln 2P, P the probability of the label with these log-odds."""
        return np.asarray(math.log(2.0) - np.logaddexp(0.0, -log_odds), np.float64)

    def _pointwise(self, x: Array, y: Array) -> Array:
        sign = np.where(np.rint(y[:, 0]) > 0.0, 1.0, -1.0)
        return self._log_ratio(sign * self.beta * x[:, 0])


FAMILIES = (
    GaoUniform,
    DiscreteSmoothed,
    PamGaussian,
    GaussianSign,
    GaussianSignSign,
    GaussianQuantised,
    GaussianQuantisedBoth,
    GaussianLogistic,
)
