"""Families in which Y is X times independent noise: on the logarithmic scale, X plus noise.

Where X and the noise are positive, I(X;Y) = h(ln Y) - h(ln noise). Where signs are symmetric and
independent they carry no information, and the same holds for the absolute values.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from scipy.special import betaln, digamma, kve

from mistdata.distributions import integrate
from mistdata.distributions.base import MI
from mistdata.distributions.families._convolution import grid, information_under_noise
from mistdata.distributions.families._coordinatewise import (
    SINGLE,
    Coordinatewise,
    gaussian_ratio,
    least_information,
    most_information,
)
from mistdata.distributions.families.special import trigamma
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, LogUniform

ENTROPIES = "Cover & Thomas 2006, doi:10.1002/047174882X"


class ProductUniform(Coordinatewise):
    """Powers of uniform coordinates, multiplied.

    Model: X_i = U_i^a, Y_i = X_i V_i^b, U_i, V_i ~ U(0, 1), all independent; dim_x = dim_y = d.
    Only ρ = a/b matters to the information, and the greater exponent is 1: a = min(1, ρ),
    b = min(1, 1/ρ). ρ = 1 is the product of two uniforms, I = γ.
    Mutual information: d (γ + ln|1-ρ| + ψ(max(1,ρ)/|1-ρ|)), the difference of the entropies of a
    hypoexponential law (-ln Y_i) and of an exponential one; dγ at ρ = 1; exact.

    Parameters:
        ratio: ρ in (0, 10⁵), E[ln X]/E[ln(Y/X)]; pure number.

    References:
        Estimating mutual information (Kraskov, Stögbauer, Grassberger, 2004), appendix, the
        ordered Weinman exponential law, a sum of the same kind;
        https://arxiv.org/abs/cond-mat/0305641

    Example:
        >>> member = ProductUniform(dim_x=1, dim_y=1, ratio=1.0)
        >>> round(member.mutual_information().value, 6)
        0.577216
    """

    name = "product-uniform"
    formula = "d (γ + ln|1-ρ| + ψ(max(1,ρ)/|1-ρ|))"
    source = "Kraskov et al. 2004, arXiv:cond-mat/0305641"
    parameters: ClassVar = {
        "ratio": Parameter(
            "ρ, E[ln X] over E[ln(Y/X)]",
            low=0.0,
            high=1e5,
            # below 0.03 so many X lie near 1 that single precision begins to repeat numbers
            prior=lambda dim, _: LogUniform(
                min(0.03, 0.3 * math.expm1(most_information(dim))),
                math.expm1(most_information(dim)),
            ),
            reason="X is constant at 0; beyond 1e5 single precision blurs the noise",
        )
    }
    ratio: float

    def _prepare(self) -> None:
        self._a, self._b = min(1.0, self.ratio), min(1.0, 1.0 / self.ratio)
        self._lesser = min(self._a, self._b)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.standard_exponential((n, self.dim_x))
        y = rng.standard_exponential((n, self.dim_y))
        x *= -self._a
        y *= -self._b
        y += x
        return np.exp(x), np.exp(y)

    def _pair_information(self) -> MI:
        gap = 1.0 - self._lesser
        larger = max(1.0, self.ratio)
        if gap < 0.05:
            value = np.euler_gamma + math.log(larger) + _digamma_minus_log(gap)
        else:
            value = np.euler_gamma + math.log(larger * gap) + float(digamma(1.0 / gap))
        return MI.closed_form(max(value, 0.0), self._deviation(gap), special=True)

    def _deviation(self, gap: float) -> float:
        """Return the standard deviation of t/b + ln p(s), s = -ln y, t = ln(x/y).

        W = e^(-ks) ~ Beta(1/k, 2) with k = 1/min(a, b) - 1, and E[t|s] is that of an exponential
        cut off at s: q = 1/k - sW/(1-W), or s - q where the noise has the greater mean.
        """
        if gap < 1e-4:
            return math.sqrt(math.pi**2 / 6.0 - 1.0)
        alpha = self._lesser / gap
        first, top, second = (trigamma(each) for each in (alpha, alpha + 2.0, 2.0))
        # variances and covariance of s = -α ln W and of ln(1-W); ln p(s) = -s + ln(1-W) + const
        s_s = alpha * alpha * (first - top)
        s_l, l_l = alpha * top, second - top
        p_p = s_s - 2.0 * s_l + l_l
        mean_s = alpha * float(digamma(alpha + 2.0) - digamma(alpha))
        mean_l = float(digamma(2.0) - digamma(alpha + 2.0))
        # E[f sW/(1-W)] = α E[f s] over W ~ Beta(α+1, 1)
        at = alpha + 1.0
        logs = float(digamma(at + 1.0)) + np.euler_gamma
        product = logs / at - trigamma(at + 1.0)  # E[ln W ln(1-W)]
        cut = alpha * (-2.0 * alpha**2 / at**2 - alpha * product)
        mean_q = alpha - alpha * alpha / at
        q_p = alpha * (mean_l - mean_s) - cut - mean_q * (mean_l - mean_s)
        t_p = q_p if self._b < self._a else s_l - s_s - q_p
        return math.sqrt(max(1.0 + 2.0 * t_p / self._b + p_p, 0.0))

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return the log-density of t = ln(x/y), -t/b - ln b, less that of s = -ln y.

        p(s) = e^(-s) (1 - e^(-ks))/(1 - c), c = min(a, b) and k = 1/c - 1: the other is 1.
        """
        s = np.maximum(-np.log(y), 0.25 * SINGLE)
        t = np.maximum(np.log(x / y), 0.0)
        gap = 1.0 - self._lesser
        hypo = -np.expm1(-s * (gap / self._lesser)) / gap if gap > 0.0 else s
        pointwise = s - np.log(hypo) - t / self._b - math.log(self._b)
        return np.where(y > x * (1.0 + SINGLE), -np.inf, pointwise)


def _digamma_minus_log(inverse: float) -> float:
    """Return ψ(z) - ln z for z = 1/inverse ≥ 20 by its asymptotic series."""
    square = inverse * inverse
    series = 1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0))
    return -0.5 * inverse - square * series


class ProductBeta(Coordinatewise):
    """A beta coordinate times a beta variable that makes the product beta again.

    Model: X_i ~ Beta(a, b), N_i ~ Beta(a+b, c), Y_i = X_i N_i ~ Beta(a, b+c), all independent;
    dim_x = dim_y = d. With (D_1, D_2, D_3) ~ Dirichlet(a, b, c), Y_i is D_1 and X_i is
    D_1/(D_1+D_2).
    Mutual information: d (h(ln Beta(a, b+c)) - h(ln Beta(a+b, c))), with h(ln Beta(p, q)) =
    ln B(p,q) - p(ψ(p) - ψ(p+q)) - (q-1)(ψ(q) - ψ(p+q)); exact.

    Parameters:
        a: a > 0, first shape of X and of Y; pure number.
        b: b > 0, second shape of X; pure number.
        c: c > 0, second shape of the noise; pure number.

    References:
        The Distribution of Products of Beta, Gamma and Gaussian Random Variables (Springer,
        Thompson, 1970); https://doi.org/10.1137/0118065

    Example:
        >>> member = ProductBeta(dim_x=1, dim_y=1, a=2.0, b=1.5, c=0.8)
        >>> round(member.mutual_information().value, 6)
        1.229586
    """

    name = "product-beta"
    formula = "d (h(ln Beta(a, b+c)) - h(ln Beta(a+b, c)))"
    source = "Springer & Thompson 1970, doi:10.1137/0118065"
    parameters: ClassVar = {
        "a": Parameter(
            "a, first shape of X and of Y",
            low=0.0,
            high=math.inf,
            # I ≈ ½ ln(1 + b(a+b+c)/(ac)) per coordinate
            prior=lambda dim, _: LogUniform(0.5 * dim, 20.0 * dim),
            reason="at 0 X is 0",
        ),
        "b": Parameter(
            "b, second shape of X",
            low=0.0,
            high=math.inf,
            prior=LogUniform(1.0, 5.0),  # less piles X up at 1
            reason="at 0 X is 1",
        ),
        "c": Parameter(
            "c, second shape of the noise",
            low=0.0,
            high=math.inf,
            prior=lambda dim, _: LogUniform(0.8 * dim, 20.0 * dim),
            reason="at 0 Y is X and I(X;Y) is infinite",
        ),
    }
    a: float
    b: float
    c: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.beta(self.a, self.b, (n, self.dim_x))
        y = rng.beta(self.a + self.b, self.c, (n, self.dim_y))
        y *= x
        return x, y

    def _pair_information(self) -> MI:
        a, b, c = self.a, self.b, self.c
        value = _log_beta_entropy(a, b + c) - _log_beta_entropy(a + b, c)
        return MI.closed_form(max(value, 0.0), special=True)

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return ln(n f(n)) for the noise n = y/x less ln(y g(y)) for the product."""
        a, b, c = self.a, self.b, self.c
        rest_n = np.maximum((x - y) / x, 0.25 * SINGLE)
        rest_y = np.maximum(1.0 - y, 0.25 * SINGLE)
        noise = (a + b) * np.log(y / x) + (c - 1.0) * np.log(rest_n) - betaln(a + b, c)
        product = a * np.log(y) + (b + c - 1.0) * np.log(rest_y) - betaln(a, b + c)
        return np.where(y > x * (1.0 + SINGLE), -np.inf, noise - product)


def _log_beta_entropy(p: float, q: float) -> float:
    """Return h(ln V) for V ~ Beta(p, q), in nats."""
    both = float(digamma(p + q))
    return math.fsum(
        (
            float(betaln(p, q)),
            -p * (float(digamma(p)) - both),
            -(q - 1.0) * (float(digamma(q)) - both),
        )
    )


class ProductLognormal(Coordinatewise):
    """Log-normal coordinates seen through log-normal multiplicative noise.

    Model: Y_i = X_i N_i, ln X_i ~ N(0, σ²r²/(1+r²)), ln N_i ~ N(0, σ²/(1+r²)), all independent;
    dim_x = dim_y = d. On the logarithmic scale a Gaussian pair, σ being the spread of ln Y_i.
    Mutual information: (d/2) ln(1 + r²); exact.

    Parameters:
        ratio: r in (0, 1000], standard deviation of ln X over that of ln N; pure number.
        spread: σ in (0, 8], standard deviation of ln Y; pure number.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), chapter 9;
        https://doi.org/10.1002/047174882X

    Example:
        >>> member = ProductLognormal(dim_x=1, dim_y=1, ratio=2.0, spread=1.0)
        >>> round(member.mutual_information().value, 6)
        0.804719
    """

    name = "product-lognormal"
    formula = "(d/2) ln(1 + r²)"
    source = ENTROPIES
    parameters: ClassVar = {
        "ratio": Parameter(
            "r, standard deviation of ln X over that of ln N",
            low=0.0,
            high=1e3,
            closed="high",
            prior=lambda dim, _: LogUniform(
                gaussian_ratio(least_information(dim)), gaussian_ratio(most_information(dim))
            ),
            reason="X is constant at 0; beyond 1e3 single precision blurs the noise",
        ),
        "spread": Parameter(
            "σ, standard deviation of ln Y",
            low=0.0,
            high=8.0,
            closed="high",
            prior=LogUniform(0.1, 2.0),
            reason="at 0 everything is constant; beyond 8 Y leaves the range of single precision",
        ),
    }
    ratio: float
    spread: float

    def _prepare(self) -> None:
        self._noise = self.spread / math.hypot(1.0, self.ratio)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.standard_normal((n, self.dim_x))
        y = rng.standard_normal((n, self.dim_y))
        x *= self.ratio * self._noise
        y *= self._noise
        y += x
        return np.exp(x), np.exp(y)

    def _pair_information(self) -> MI:
        r = self.ratio
        return MI.closed_form(0.5 * math.log1p(r * r), r / math.hypot(1.0, r))

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return ln N(ln y; ln x, σ_n²) - ln N(ln y; 0, σ²)."""
        noise, product = np.log(y / x) / self._noise, np.log(y) / self.spread
        pointwise: Array = 0.5 * (product**2 - noise**2) + 0.5 * math.log1p(self.ratio**2)
        return pointwise


class ProductNormal(Coordinatewise):
    """Gaussian coordinates multiplied by signed fading amplitudes; the Hadamard product.

    Model: Y_i = X_i N_i, N_i ~ N(0, 1), X_i = ±√(G_i/m), G_i ~ Gamma(m), fair independent signs,
    all independent; dim_x = dim_y = d. |X_i| is Nakagami-m with E[X_i²] = 1, and m = ½ makes
    X_i ~ N(0, 1): the product of two normals. X = 0 has no mass.
    Mutual information: d (h(ln|Y_1|) - h(ln|N_1|)), by trapezoidal sums, tabulated over ln m, to
    1e-11. The product of two normals alone would be a single point, 0.420341 per coordinate; for
    large m, where |X_i| is nearly constant, ≈ 1/(4m).

    Parameters:
        m: m in [0.1, 50], shape of the Nakagami law of |X|; pure number.

    References:
        The m-distribution: a general formula of intensity distribution of rapid fading (Nakagami,
        1960); https://doi.org/10.1016/B978-0-08-009306-2.50005-4

    Example:
        >>> member = ProductNormal(dim_x=1, dim_y=1, m=0.5)
        >>> round(member.mutual_information().value, 6)
        0.420341
    """

    name = "product-normal"
    formula = "d (h(ln|X_1| + ln|N_1|) - h(ln|N_1|)), N ~ N(0,1), |X| ~ Nakagami-m"
    source = "Nakagami 1960, doi:10.1016/B978-0-08-009306-2.50005-4"
    parameters: ClassVar = {
        "m": Parameter(
            "m, shape of the Nakagami law of |X|; ½ for a normal X",
            low=0.1,
            high=50.0,
            closed="both",
            prior=lambda dim, _: LogUniform(0.15 * math.sqrt(dim), min(12.0 * dim, 50.0)),
            reason="below, X leaves the range of single precision; above, I(X;Y) vanishes",
        )
    }
    m: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = np.sqrt(rng.standard_gamma(self.m, (n, self.dim_x)) / self.m)
        x *= rng.choice((-1.0, 1.0), x.shape)
        y = rng.standard_normal((n, self.dim_y))
        y *= x
        return x, y

    def _pair_information(self) -> MI:
        return _NORMAL_TIMES_NAKAGAMI(math.log(self.m))

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return ln φ(y/x)/|x| - ln p(y).

        p(y) = 2 (m/2)^((m+½)/2) |y|^(m-½) K_{m-½}(|y|√(2m)) / (Γ(m)√π).
        """
        m, size = self.m, np.abs(y)
        log_conditional = -0.5 * (y / x) ** 2 - np.log(np.abs(x)) - 0.5 * math.log(2.0 * math.pi)
        constant = 0.5 * (m + 0.5) * math.log(0.5 * m) - math.lgamma(m) - 0.5 * math.log(math.pi)
        log_bessel = _log_bessel_k(abs(m - 0.5), size * math.sqrt(2.0 * m))
        pointwise: Array = (
            log_conditional - constant - math.log(2.0) - (m - 0.5) * np.log(size) - log_bessel
        )
        return pointwise


def _log_bessel_k(order: float, z: Array) -> Array:
    """Return ln K_order(z); where K overflows, by its leading term, which is exact there."""
    with np.errstate(over="ignore"):
        log_k = np.log(kve(order, z)) - z
    leading = math.lgamma(order) if order > 0.0 else 0.0
    return np.where(np.isfinite(log_k), log_k, leading - math.log(2.0) - order * np.log(0.5 * z))


class Heteroscedastic(Coordinatewise):
    """Gaussian noise whose variance is all that depends on X: no correlation, but information.

    Model: X_i ~ N(0, 1), Y_i = e^(bX_i) N_i, N_i ~ N(0, 1), all independent; dim_x = dim_y = d.
    Mutual information: d (h(bX_1 + ln|N_1|) - h(ln|N_1|)), by trapezoidal sums, tabulated over
    ln b, to 1e-11; ≈ db² for small b.

    Parameters:
        b: b in (0, 8], standard deviation of the logarithm of the noise's scale; pure number.

    References:
        Multivariate Stochastic Variance Models (Harvey, Ruiz, Shephard, 1994), eq. (2), the same
        logarithms; https://doi.org/10.2307/2297980

    Example:
        >>> member = Heteroscedastic(dim_x=1, dim_y=1, b=0.5)
        >>> round(member.mutual_information().value, 6)
        0.169698
    """

    name = "heteroscedastic"
    formula = "d (h(bX_1 + ln|N_1|) - h(ln|N_1|)), X, N ~ N(0,1)"
    source = "Harvey, Ruiz & Shephard 1994, doi:10.2307/2297980"
    parameters: ClassVar = {
        "b": Parameter(
            "b, standard deviation of the logarithm of the noise's scale",
            low=0.0,
            high=8.0,
            closed="high",
            prior=lambda dim, _: LogUniform(0.14 / math.sqrt(dim), 4.0 / math.sqrt(dim)),
            reason="at 0 X and Y are independent; beyond 8 Y leaves the range of single precision",
        )
    }
    b: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x = rng.standard_normal((n, self.dim_x))
        y = rng.standard_normal((n, self.dim_y))
        y *= np.exp(self.b * x)
        return x, y

    def _pair_information(self) -> MI:
        return _NORMAL_TIMES_LOGNORMAL(math.log(self.b))

    def _pair_pointwise(self, x: Array, y: Array) -> Array:
        """Return ln φ(ye^(-bx)) - bx less the logarithm of its mean over x ~ N(0, 1)."""
        log_conditional = -0.5 * (y * np.exp(-self.b * x)) ** 2 - self.b * x
        pointwise: Array = log_conditional - self._log_margin(y.ravel()).reshape(y.shape)
        return pointwise

    def _log_margin(self, y: Array) -> Array:
        """Return ln E[e^(-bX) exp(-(ye^(-bX))²/2)] by the trapezoid over X, to 1e-10."""
        step = min(0.4, 0.2 / self.b)
        x = grid((-9.0 - self.b, 9.0), step)
        log_weight = -0.5 * x * x - self.b * x + math.log(step / math.sqrt(2.0 * math.pi))
        squares = np.exp(-2.0 * self.b * x)
        log_margin = np.empty(len(y))
        at_once = -(-100_000 // len(x))  # what fits a cache
        for start in range(0, len(y), at_once):
            part = y[start : start + at_once]
            terms = log_weight - np.outer(0.5 * part * part, squares)
            top = terms.max(axis=1)
            terms -= top[:, None]
            np.exp(np.maximum(terms, -60.0, out=terms), out=terms)  # underflow is slow
            log_margin[start : start + at_once] = np.log(terms.sum(axis=1)) + top
        return log_margin


def _normal_times_nakagami(log_m: float) -> MI:
    m = math.exp(log_m)
    constant = math.log(2.0) + m * log_m - math.lgamma(m)
    # m (e^(2u) - 1 - 2u) > 45 outside
    above = min(math.sqrt(90.0 / m), math.log1p(60.0 / m) + 1.0)
    span = (-0.5 - 22.5 / m, 0.5 * above)

    def log_density(u: Array) -> Array:
        return constant + 2.0 * m * u - m * np.exp(2.0 * u)

    return information_under_noise(log_density, span, min(0.1, 0.35 / math.sqrt(m)))


def _normal_times_lognormal(log_b: float) -> MI:
    b = math.exp(log_b)

    def log_density(u: Array) -> Array:
        return -0.5 * (u / b) ** 2 - 0.5 * math.log(2.0 * math.pi) - log_b

    return information_under_noise(log_density, (-9.0 * b, 9.0 * b), min(0.1, 0.7 * b))


_NORMAL_TIMES_NAKAGAMI = integrate.Table(
    _normal_times_nakagami, math.log(0.1), math.log(50.0), degree=96
)
_NORMAL_TIMES_LOGNORMAL = integrate.Table(_normal_times_lognormal, math.log(0.01), math.log(8.0))

FAMILIES = (ProductUniform, ProductBeta, ProductLognormal, ProductNormal, Heteroscedastic)
