"""Gaussian mixtures: their densities, and their mutual information by integrating each component.

A mixture has no quadrature rule of its own: one grid over all of it is too coarse for its narrow
components and wasted between them. So I = Σ_k w_k E_k[pmi] is integrated component by component,
each by the trapezoid rule in the coordinates that make it a standard normal. References:
The Exponentially Convergent Trapezoidal Rule (Trefethen, Weideman, 2014), §5;
https://doi.org/10.1137/130932132
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, product

import numpy as np
from jaxtyping import Float

from mistdata.distributions.base import MI, Precision
from mistdata.distributions.integrate import NotConverged
from mistdata.distributions.priors import Array

TOLERANCE = 1e-11
_FIRST, _HALVINGS = 0.5, 6


class Marginal:
    """The densities of all components in some of the columns.

    Args:
        weights: (k,) probabilities of the components.
        means: (k, d) their means.
        covariances: (k, d, d) their covariances.
    """

    def __init__(self, weights: Array, means: Array, covariances: Array) -> None:
        inverses = np.linalg.inv(np.linalg.cholesky(covariances))
        # (coordinate of the whitened row, column, component): one product per coordinate
        self._whiten = np.ascontiguousarray(inverses.transpose(1, 2, 0))
        self._shift = np.einsum("kij,kj->ik", inverses, means)
        diagonal = np.diagonal(inverses, axis1=1, axis2=2)
        with np.errstate(divide="ignore"):
            self._constant = np.log(weights) + np.log(diagonal).sum(axis=1)
        self._constant -= 0.5 * means.shape[1] * math.log(2.0 * math.pi)

    def log_terms(self, rows: Float[Array, "n d"]) -> Float[Array, "n k"]:
        """Return ln w_k + ln p_k(row) for every row and component."""
        squares = np.zeros((len(rows), len(self._constant)))
        for whiten, shift in zip(self._whiten, self._shift, strict=True):
            score = rows @ whiten
            score -= shift
            score *= score
            squares += score
        squares *= -0.5
        squares += self._constant
        return squares


class GaussianMixture:
    """A mixture of normal laws of (X, Y).

    Args:
        weights: (k,) probabilities of the components; they add to one.
        means: (k, dim_x + dim_y) their means, x columns first.
        covariances: (k, d, d) their covariances, d = dim_x + dim_y.
        dim_x: dimension of X.
    """

    def __init__(self, weights: Array, means: Array, covariances: Array, dim_x: int) -> None:
        self.weights, self.means, self.dim_x = weights, means, dim_x
        self.factors = np.linalg.cholesky(covariances)
        x, y = slice(None, dim_x), slice(dim_x, None)
        self._joint = Marginal(weights, means, covariances)
        self._x = Marginal(weights, means[:, x], covariances[:, x, x])
        self._y = Marginal(weights, means[:, y], covariances[:, y, y])

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw n rows of X and of Y."""
        label = rng.choice(len(self.weights), n, p=self.weights)
        z = rng.standard_normal((n, self.means.shape[1]))
        rows = np.einsum("nij,nj->ni", self.factors[label], z)
        rows += self.means[label]
        return rows[:, : self.dim_x], rows[:, self.dim_x :]

    def pointwise(self, x: Float[Array, "n dim_x"], y: Float[Array, "n dim_y"]) -> Array:
        """Return ln p(x,y)/(p(x)p(y)) of every row."""
        joint = log_sum_exp(self._joint.log_terms(np.concatenate((x, y), axis=1)))
        return joint - log_sum_exp(self._x.log_terms(x)) - log_sum_exp(self._y.log_terms(y))

    def moments(self, rows: Float[Array, "n d"], weight: Float[Array, " n"]) -> Array:
        """Sum pmi, pmi², and the posterior of every component given (x,y), x and y, over rows."""
        x, y = rows[:, : self.dim_x], rows[:, self.dim_x :]
        joint, given_joint = _evidence(self._joint.log_terms(rows), weight)
        at_x, given_x = _evidence(self._x.log_terms(x), weight)
        at_y, given_y = _evidence(self._y.log_terms(y), weight)
        pmi = joint - at_x - at_y
        first = weight * pmi
        return np.concatenate(([first.sum(), first @ pmi], given_joint, given_x, given_y))


def log_sum_exp(terms: Float[Array, "n k"]) -> Float[Array, " n"]:
    """Return ln Σ_k exp(terms_k)."""
    largest = terms.max(axis=1)
    total: Array = largest + np.log(np.exp(terms - largest[:, None]).sum(axis=1))
    return total


def _evidence(terms: Array, weight: Array) -> tuple[Array, Array]:
    """Return ln Σ_k exp(terms_k) of every row, and the sum over rows of exp(terms_k)/Σ."""
    largest = terms.max(axis=1)
    terms -= largest[:, None]
    np.exp(terms, out=terms)
    total = terms.sum(axis=1)
    return largest + np.log(total), (weight / total) @ terms


def stratified(
    mixture: GaussianMixture, precision: Precision | None = None, *, symmetric: bool = False
) -> MI:
    """Integrate the pointwise MI of a mixture of few dimensions, component by component.

    The lattice of the trapezoid rule is refined until nothing changes. That every component's
    posterior probability integrates to its weight, given (x,y), x and y, certifies the lattice:
    it fails where a narrow component falls between the points of a wide one.

    Args:
        mixture: of dim_x + dim_y ≤ 3; two are cheap.
        precision: how exact the value must be; 1e-11 (1 + I) without it.
        symmetric: whether some symmetry of the mixture maps the first component to any other and
            leaves I as it is: then the first is integrated alone, without the certificate.

    Returns:
        I in nats, its error, and the standard deviation of the pointwise MI.

    Raises:
        NotConverged: the finest lattice does not resolve the mixture.
    """

    def allowed(value: float, deviation: float) -> float:
        if precision is None:
            return TOLERANCE * (1.0 + value)
        return 0.5 * precision.allowed(max(value, 0.0), deviation)

    before, missing, weights = math.nan, 0.0, mixture.weights
    radius = math.sqrt(2.0 * math.log(1e3 / allowed(0.0, 0.1)))  # the mass beyond is negligible
    for sums in _refinements(mixture, radius, 1 if symmetric else len(weights)):
        sums /= sums[2 : 2 + len(weights)].sum()  # the mass within the radius
        value, square = float(sums[0]), float(sums[1])
        change = abs(value - before)
        if not symmetric:
            missing = float(np.abs(sums[2:].reshape(3, -1) - weights).max())
        deviation = math.sqrt(max(square - value * value, 0.0))
        if max(change, missing) <= allowed(value, deviation):
            error = max(change, missing)
            return MI(max(value, 0.0), error, "quadrature", "quad_halving", deviation)
        before = value
    raise NotConverged(
        f"mixture: the last halving changed I by {change:.2g}, a weight by {missing:.2g}"
    )


def _refinements(mixture: GaussianMixture, radius: float, strata: int) -> Iterator[Array]:
    """Yield the integrals of `moments`, halving the step of the lattice each time."""
    dim, step = mixture.means.shape[1], _FIRST
    corner, *others = product((0.0, 0.5), repeat=dim)
    total = _component_sums(mixture, _lattice(dim, step, corner, radius), strata)
    yield total * step**dim
    for _ in range(_HALVINGS):
        for shift in others:
            total += _component_sums(mixture, _lattice(dim, step, shift, radius), strata)
        step *= 0.5
        yield total * step**dim


def _component_sums(mixture: GaussianMixture, lattice: tuple[Array, Array], strata: int) -> Array:
    """Sum `moments` over the lattice in the coordinates of the first so many components."""
    z, weight = lattice
    parts = zip(mixture.weights, mixture.means, mixture.factors, strict=True)
    sums = [
        mixture.moments(mean + z @ factor.T, w * weight)
        for w, mean, factor in islice(parts, strata)
    ]
    return np.asarray(np.sum(sums, axis=0))


@lru_cache(maxsize=32)
def _lattice(
    dim: int, step: float, shift: tuple[float, ...], radius: float
) -> tuple[Array, Array]:
    """Return the points of a shifted cubic lattice in a ball, and the normal density there."""
    count = math.ceil(radius / step) + 1
    axes = [step * (np.arange(-count, count + 1) + each) for each in shift]
    z = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, dim)
    squares = np.einsum("ij,ij->i", z, z)
    inside = squares <= radius * radius
    density = np.exp(-0.5 * squares[inside]) * (2.0 * math.pi) ** (-0.5 * dim)
    return z[inside], density
