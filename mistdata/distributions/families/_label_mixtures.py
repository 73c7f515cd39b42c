"""Mixtures in which X and Y share a label and nothing else: X and Y are independent given it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar

import numpy as np

from mistdata.distributions.base import MI, JointDistribution, Shape
from mistdata.distributions.families._mixture_integrals import (
    concentric_information,
    independent_given_label,
)
from mistdata.distributions.integrate import Table, expectation
from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Uniform
from mistdata.distributions.stratified import log_sum_exp

SOURCE = "Czyż et al. 2025, arXiv:2310.10240"


class MixtureGalaxy(JointDistribution):
    """Two balls whose X is wound into a spiral.

    Model: A a fair sign, U = A(d/2, d/2) + Z ∈ R², Y = Ad/2 + Z', noise standard normal;
    X is U turned by the angle v|U|².
    Mutual information: that of (U_1 + U_2)/√2 and Y, as the spiral is a bijection and the other
    coordinate is noise; by the trapezoid rule in two dimensions, tabulated over d. Equals
    C(d/√2) + C(d/2) - C(d√3/2) with the capacity C(a) of binary signals ±a in unit Gaussian noise.

    Parameters:
        speed: v, angle of the spiral at unit radius; radian.
        distance: d > 0, distance of the balls' centres along each coordinate; standard deviation
            of the noise.

    References:
        On the Properties and Estimation of Pointwise Mutual Information Profiles (Czyż, Grabowski,
        Vogt, Beerenwinkel, Marx, 2025), TMLR, "Galaxy" distribution;
        https://arxiv.org/abs/2310.10240

    Example:
        >>> member = MixtureGalaxy(dim_x=2, dim_y=1, speed=0.5, distance=3.0)
        >>> round(member.mutual_information().value, 6)
        0.494298
    """

    name = "mixture-galaxy"
    formula = "C(d/√2) + C(d/2) - C(d√3/2), C(a) = ln 2 - E[ln(1 + exp(-2a² - 2aZ))]"
    source = SOURCE
    shape = Shape((2, 2), (1, 1))
    parameters: ClassVar = {
        "speed": Parameter(
            "v, angle of the spiral at unit radius",
            low=-10.0,
            high=10.0,
            closed="both",
            prior=Uniform(0.1, 1.0),
            unit="rad",
        ),
        "distance": Parameter(
            "d, distance of the balls' centres along each coordinate",
            low=0.0,
            high=50.0,
            closed="both",
            prior=Uniform(0.5, 6.0),
            unit="standard deviation of the noise",
            reason="beyond, single precision loses the angle of the spiral",
        ),
    }
    speed: float
    distance: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        z = rng.standard_normal((n, 3))
        z += np.where(rng.random((n, 1)) < 0.5, 0.5, -0.5) * self.distance
        return _turned(z[:, :2], self.speed), z[:, 2:]

    def _mutual_information(self) -> MI:
        return _GALAXY(self.distance)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Return ln cosh(a + b) - ln cosh(a) - ln cosh(b), a = d(u_1 + u_2)/2 and b = dy/2."""
        a = 0.5 * self.distance * _turned(x, -self.speed).sum(axis=1)
        b = 0.5 * self.distance * y[:, 0]
        return _log_cosh(a + b) - _log_cosh(a) - _log_cosh(b)


def _galaxy(distance: float) -> MI:
    sign = np.array([-1.0, 1.0])
    return independent_given_label(
        np.full(2, 0.5), sign * distance / math.sqrt(2.0), sign * 0.5 * distance
    )


_GALAXY = Table(_galaxy, 0.0, 15.0, degree=64)


def _turned(u: Array, speed: float) -> Array:
    """Turn every row u ∈ R² by the angle speed·|u|²."""
    angle = speed * np.einsum("ij,ij->i", u, u)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack((cos * u[:, 0] - sin * u[:, 1], sin * u[:, 0] + cos * u[:, 1]), axis=1)


def _log_cosh(u: Array) -> Array:
    size = np.abs(u)
    return np.asarray(size + np.log1p(np.exp(-2.0 * size)) - math.log(2.0))


class MixtureWaves(JointDistribution):
    """Balls in a row, whose X is bent into waves and whose Y repeats with period four.

    Model: k uniform on 0, ..., K-1; U = 1.5k + E, V ~ N(0, 1), Y = 1.5(k mod 4) + E', E and E'
    normal of variance 0.1; X = (0.1(U + a sin(fV)) - 0.8, 0.5V).
    Mutual information: that of U and Y, as the wave is a bijection and V noise; by the trapezoid
    rule in two dimensions.

    Parameters:
        components: K in {2, ..., 64}, number of balls; count.
        amplitude: a, height of the waves; unit of U.
        frequency: f, angular frequency of the waves; radian per unit of V.

    References:
        On the Properties and Estimation of Pointwise Mutual Information Profiles (Czyż, Grabowski,
        Vogt, Beerenwinkel, Marx, 2025), TMLR, "Waves" distribution;
        https://arxiv.org/abs/2310.10240

    Example:
        >>> member = MixtureWaves(2, 1, components=12, amplitude=5.0, frequency=3.0)
        >>> round(member.mutual_information().value, 6)
        1.307017
    """

    name = "mixture-waves"
    formula = "E[ln Σ_k K r_k(U) r_k(Y)], r_k the posterior probabilities of k"
    source = SOURCE
    shape = Shape((2, 2), (1, 1))
    parameters: ClassVar = {
        "components": Parameter(
            "K, number of balls",
            low=2,
            high=64,
            closed="both",
            integer=True,
            prior=Uniform(2, 16),
            unit="count",
        ),
        "amplitude": Parameter(
            "a, height of the waves",
            low=0.0,
            high=100.0,
            closed="both",
            prior=Uniform(1.0, 8.0),
            unit="unit of U",
        ),
        "frequency": Parameter(
            "f, angular frequency of the waves",
            low=0.0,
            high=100.0,
            closed="both",
            prior=Uniform(0.5, 5.0),
            unit="rad per unit of V",
        ),
    }
    components: int
    amplitude: float
    frequency: float

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        k = rng.integers(self.components, size=n)
        z = rng.standard_normal((n, 3))
        u = 1.5 * k + math.sqrt(0.1) * z[:, 0]
        y = 1.5 * (k % 4) + math.sqrt(0.1) * z[:, 1]
        wave = self.amplitude * np.sin(self.frequency * z[:, 2])
        return np.stack((0.1 * (u + wave) - 0.8, 0.5 * z[:, 2]), axis=1), y[:, None]

    def _mutual_information(self) -> MI:
        return _waves(self.components)

    def _pointwise(self, x: Array, y: Array) -> Array:
        wave = self.amplitude * np.sin(self.frequency * (2.0 * x[:, 1:]))
        u = 10.0 * (x[:, :1] + 0.8) - wave
        k = np.arange(self.components)
        at_u = -5.0 * (u - 1.5 * k) ** 2
        at_y = -5.0 * (y - 1.5 * (k % 4)) ** 2
        pmi = log_sum_exp(at_u + at_y) - log_sum_exp(at_u) - log_sum_exp(at_y)
        return pmi + math.log(self.components)


@lru_cache(maxsize=64)
def _waves(components: int) -> MI:
    k, unit = np.arange(components), 1.5 / math.sqrt(0.1)
    return independent_given_label(np.full(components, 1.0 / components), unit * k, unit * (k % 4))


class MixtureConcentric(JointDistribution):
    """Concentric normal laws of growing width; Y tells which.

    Model: k uniform on 1, ..., K; X ~ N(0, k² I), Y ~ N(k, 0.01²).
    Mutual information: I(X;k) = ln K + E[ln r_k(X)], r_k(x) ∝ k^(-dim_x) exp(-|x|²/2k²), as Y
    gives k away (two values of k overlap with probability below 1e-500); an integral over |X|.

    Parameters:
        components: K in {2, ..., 64}, number of normal laws; count.

    References:
        On the Properties and Estimation of Pointwise Mutual Information Profiles (Czyż, Grabowski,
        Vogt, Beerenwinkel, Marx, 2025), TMLR, "Concentric" distribution;
        https://arxiv.org/abs/2310.10240

    Example:
        >>> member = MixtureConcentric(dim_x=5, dim_y=1, components=3)
        >>> round(member.mutual_information().value, 6)
        0.494253
    """

    name = "mixture-concentric"
    formula = "ln K + E[ln r_k(X)], r_k(x) ∝ k^(-dim_x) exp(-|x|²/2k²)"
    source = SOURCE
    shape = Shape((1, None), (1, 1))
    parameters: ClassVar = {
        "components": Parameter(
            "K, number of normal laws",
            low=2,
            high=64,
            closed="both",
            integer=True,
            prior=Uniform(2, 10),
            unit="count",
        )
    }
    components: int

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        k = rng.integers(1, self.components, size=(n, 1), endpoint=True)
        return k * rng.standard_normal((n, self.dim_x)), k + 0.01 * rng.standard_normal((n, 1))

    def _mutual_information(self) -> MI:
        return concentric_information(self.dim_x, self.components)

    def _pointwise(self, x: Array, y: Array) -> Array:
        k = np.arange(1.0, self.components + 1.0)
        squares = np.einsum("ij,ij->i", x, x)[:, None]
        at_x = -0.5 * squares / (k * k) - self.dim_x * np.log(k)
        at_y = -0.5 * ((y - k) / 0.01) ** 2
        pmi = log_sum_exp(at_x + at_y) - log_sum_exp(at_x) - log_sum_exp(at_y)
        return pmi + math.log(self.components)


class MixtureLabels(JointDistribution):
    """Clusters that do not touch, of X and of Y, paired by a label.

    Model: P(k) = w_k; X uniform in a ball about c_k, Y uniform in a ball about c'_k, independent
    given k. The radii lie in [0.3, 1]; in some direction, the centres are at least 3 apart. Drawn
    from `structure`: w ~ Dirichlet(α, ..., α), centres and radii.
    Mutual information: H(w) = -Σ_k w_k ln w_k, as k is a function of X and of Y; exact.

    Parameters:
        components: K in {2, ..., 64}, number of labels; count.
        evenness: α in [0.1, 1000], parameter of the Dirichlet law of w; pure number.
        structure: seed of the member's own generator; pure number.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), eq. 2.39 and 2.119: the information
        that two functions of one label share.

    Example:
        >>> member = MixtureLabels(3, 2, components=4, evenness=2.0, structure=1)
        >>> round(member.mutual_information().value, 6)
        1.347496
    """

    name = "mixture-labels"
    formula = "-Σ_k w_k ln w_k"
    source = "Cover & Thomas 2006, Elements of Information Theory"
    parameters: ClassVar = {
        "components": Parameter(
            "K, number of labels",
            low=2,
            high=64,
            closed="both",
            integer=True,
            prior=LogUniform(2, 30),
            unit="count",
        ),
        "evenness": Parameter(
            "α, parameter of the Dirichlet law of the labels' probabilities",
            low=0.1,
            high=1000.0,
            closed="both",
            prior=LogUniform(0.3, 10.0),
        ),
        "structure": STRUCTURE,
    }
    components: int
    evenness: float
    structure: int

    def _prepare(self) -> None:
        rng = structure_rng(self.structure)
        self._weights = rng.dirichlet(np.full(self.components, self.evenness))
        self._x, self._y = (self._balls(dim, rng) for dim in (self.dim_x, self.dim_y))

    def _balls(self, dim: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw centres (K, dim), at least 3 apart along some direction, and radii (K, 1)."""
        direction = rng.standard_normal(dim)
        direction /= np.linalg.norm(direction)
        place = np.cumsum(3.0 + rng.exponential(size=self.components))
        place = rng.permutation(place - place.mean())
        across = 2.0 * rng.standard_normal((self.components, dim))
        across -= np.outer(across @ direction, direction)
        radii = rng.uniform(0.3, 1.0, (self.components, 1))
        return across + np.outer(place, direction), radii

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        label = rng.choice(self.components, n, p=self._weights)
        sides = []
        for centres, radii in (self._x, self._y):
            dim = centres.shape[1]
            z = rng.standard_normal((n, dim))
            z /= np.linalg.norm(z, axis=1, keepdims=True)
            z *= radii[label] * rng.random((n, 1)) ** (1.0 / dim)
            sides.append(centres[label] + z)
        return sides[0], sides[1]

    def _mutual_information(self) -> MI:
        return expectation(self._weights, self._surprise())

    def _surprise(self) -> Array:
        with np.errstate(divide="ignore"):
            return -np.log(self._weights)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Return -ln w_k where x and y lie in the balls of one label, -inf elsewhere."""
        label = _nearest(x, self._x[0])
        same = label == _nearest(y, self._y[0])
        return np.where(same, self._surprise()[label], -np.inf)


def _nearest(rows: Array, centres: Array) -> Array:
    """Return the index of the nearest centre to every row."""
    squares = np.einsum("ij,ij->i", centres, centres) - 2.0 * (rows @ centres.T)
    return np.asarray(squares.argmin(axis=1))
