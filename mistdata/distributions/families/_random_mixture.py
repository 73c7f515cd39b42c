"""Mixtures of normal laws drawn at random, in any dimension."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from scipy.special import entr, ndtri

from mistdata.distributions.base import MI, JointDistribution, Precision
from mistdata.distributions.integrate import sobol
from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Uniform
from mistdata.distributions.stratified import GaussianMixture, stratified

_RANK = 2  # directions in which a component departs from a sphere
_SCRAMBLES, _FIRST, _LAST = 16, 9, 18
_CACHED = 4 << _FIRST  # points of a scramble that are kept: most labels need no more
_CHUNK = 32_768  # terms, rows times components, that stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The components on one side: spheres, stretched in a few directions.

    Component k is μ_k + s_k (z + Σ_i (t_ki - 1) u_ki u_kiᵀ z), z standard normal.

    Attributes:
        means: (k, d) μ_k.
        scales: (k,) s_k.
        directions: (k, d, r) orthonormal u_ki.
        stretches: (k, r) t_ki.
    """

    means: Array
    scales: Array
    directions: Array
    stretches: Array

    @classmethod
    def draw(cls, k: int, dim: int, rank: int, spread: float, rng: np.random.Generator) -> Side:
        """Draw the components of one side of dimension `dim`."""
        means = rng.standard_normal((k, dim)) * (spread / math.sqrt(dim))
        scales = np.exp(0.3 * rng.standard_normal(k))
        directions = np.linalg.qr(rng.standard_normal((k, dim, rank)))[0]
        return cls(means, scales, directions, np.exp(0.4 * rng.standard_normal((k, rank))))

    def place(self, label: Array, z: Array, along: Array, score: Array) -> Array:
        """Return the points of the labelled components, with `score` for `along` = Uᵀz."""
        shift = self.stretches[label] * score - along
        points = z + np.einsum("ndr,nr->nd", self.directions[label], shift)
        return np.asarray(points * self.scales[label, None] + self.means[label])

    def log_terms(self, rows: Float[Array, "n d"]) -> tuple[Array, list[Array]]:
        """Return ln p_k(row), (n, k), and the standardised scores along each direction."""
        dim = rows.shape[1]
        squares = np.einsum("ij,ij->i", rows, rows)[:, None] - 2.0 * (rows @ self.means.T)
        squares += np.einsum("ij,ij->i", self.means, self.means)
        squares /= self.scales**2
        scores = []
        for u, t in zip(self.directions.transpose(2, 0, 1), self.stretches.T, strict=True):
            score = rows @ u.T
            score -= np.einsum("kd,kd->k", self.means, u)
            score /= self.scales * t
            squares -= (t * t - 1.0) * (score * score)
            scores.append(score)
        squares *= -0.5
        squares -= dim * np.log(self.scales) + np.log(self.stretches).sum(axis=1)
        squares -= 0.5 * dim * math.log(2.0 * math.pi)
        return squares, scores

    def covariances(self) -> Float[Array, "k d d"]:
        """Return s_k² (1 + Σ_i (t_ki² - 1) u_ki u_kiᵀ)."""
        excess = self.stretches**2 - 1.0
        outer = np.einsum("kir,kr,kjr->kij", self.directions, excess, self.directions)
        return np.asarray(self.scales[:, None, None] ** 2 * (np.eye(outer.shape[1]) + outer))


class MixtureGaussian(JointDistribution):
    """A mixture of normal laws with random weights, means, covariances and correlations.

    Model: with probability w_k, (X, Y) is normal with means (μ_k, ν_k); X has the covariance
    s_k² (I + Σ_i (t_ki² - 1) u_ki u_kiᵀ) with orthonormal directions u_k1, ..., u_kr,
    r = min(dim_x, dim_y, 2), Y likewise, and uᵀ_ki X and vᵀ_ki Y have the correlation ρ_ki. Drawn
    from `structure`: w ~ Dirichlet(2, ..., 2); μ_k, ν_k normal, of root mean square length
    `spread`; s_k and t_ki lognormal about one; ρ_ki uniform within ±`correlation`.
    Mutual information: I = Σ_k w_k I_k + H(w) + E[H(k|x,y) - H(k|x) - H(k|y)], I_k that of
    component k and H the entropies of the posterior probabilities of k; the expectation by
    randomised quasi-Monte Carlo. In two dimensions with few components, I = Σ_k w_k E_k[pmi] by
    quadrature.

    Parameters:
        components: K in {2, ..., 64}, number of normal laws; count.
        spread: > 0, root mean square distance of a mean from the origin, on each side; about one
            standard deviation of a component.
        correlation: in [0, 1), greatest correlation of two coordinates within a component; pure
            number.
        structure: seed of the member's own generator; pure number.

    References:
        On the Properties and Estimation of Pointwise Mutual Information Profiles (Czyż, Grabowski,
        Vogt, Beerenwinkel, Marx, 2025), TMLR, Bend and Mix Models;
        https://arxiv.org/abs/2310.10240
        Monte Carlo theory, methods and examples (Owen, 2013), chapter 17.

    Example:
        >>> member = MixtureGaussian(2, 2, components=5, spread=3.0, correlation=0.9, structure=1)
        >>> member.mutual_information().method
        'rqmc'
    """

    name = "mixture-gaussian"
    formula = "Σ_k w_k I_k + H(w) + E[H(k|x,y) - H(k|x) - H(k|y)]"
    source = "Czyż et al. 2025, arXiv:2310.10240"
    parameters: ClassVar = {
        "components": Parameter(
            "K, number of normal laws",
            low=2,
            high=64,
            closed="both",
            integer=True,
            prior=LogUniform(2, 60),
            unit="count",
        ),
        "spread": Parameter(
            "root mean square distance of a component's mean from the origin, on each side",
            low=0.0,
            high=100.0,
            closed="high",
            prior=LogUniform(0.5, 10.0),
            unit="about one standard deviation of a component",
        ),
        "correlation": Parameter(
            "greatest correlation of two coordinates within a component",
            low=0.0,
            high=1.0,
            closed="low",
            prior=Uniform(0.0, 0.95),
            reason="at 1 a coordinate of Y may be a function of X and I(X;Y) infinite",
        ),
        "structure": STRUCTURE,
    }
    components: int
    spread: float
    correlation: float
    structure: int

    def _prepare(self) -> None:
        rng = structure_rng(self.structure)
        k, rank = self.components, min(self.dim_x, self.dim_y, _RANK)
        self._weights = rng.dirichlet(np.full(k, 2.0))
        self._x = Side.draw(k, self.dim_x, rank, self.spread, rng)
        self._y = Side.draw(k, self.dim_y, rank, self.spread, rng)
        self._rho = self.correlation * rng.uniform(-1.0, 1.0, (k, rank))

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        label = rng.choice(self.components, n, p=self._weights)
        return self._place(label, rng.standard_normal((n, self.dim_x + self.dim_y)))

    def _place(self, label: Array, z: Array) -> tuple[Array, Array]:
        """Turn standard normal rows into rows of the labelled components."""
        z_x, z_y = z[:, : self.dim_x], z[:, self.dim_x :]
        a = np.einsum("ndr,nd->nr", self._x.directions[label], z_x)
        b = np.einsum("ndr,nd->nr", self._y.directions[label], z_y)
        rho = self._rho[label]
        coupled = rho * a + np.sqrt(1.0 - rho * rho) * b
        return self._x.place(label, z_x, a, a), self._y.place(label, z_y, b, coupled)

    def _log_terms(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """Return ln w_k p_k, (n, k), at (x,y), at x and at y."""
        at_x, scores_x = self._x.log_terms(x)
        at_y, scores_y = self._y.log_terms(y)
        joint = at_x + at_y
        residual = 1.0 - self._rho * self._rho
        for a, b, rho, rest in zip(scores_x, scores_y, self._rho.T, residual.T, strict=True):
            joint -= (rho / rest) * (0.5 * rho * (a * a + b * b) - a * b)
        joint -= 0.5 * np.log(residual).sum(axis=1)
        log_weights = np.log(self._weights)
        return joint + log_weights, at_x + log_weights, at_y + log_weights

    def _pointwise(self, x: Array, y: Array) -> Array:
        joint, at_x, at_y = (_evidence(each)[0] for each in self._log_terms(x, y))
        return joint - at_x - at_y

    def _information_to(self, precision: Precision) -> MI:
        return _information(
            type(self), self.dim_x, self.dim_y, tuple(self.theta.items()), precision
        )

    def _mutual_information(self) -> MI:
        return self._information_to(Precision())

    def gaussian_mixture(self) -> GaussianMixture:
        """Return the mixture with dense covariances."""
        cross = np.einsum(
            "kir,kr,kjr->kij",
            self._x.directions * (self._x.scales[:, None] * self._x.stretches)[:, None],
            self._rho,
            self._y.directions * (self._y.scales[:, None] * self._y.stretches)[:, None],
        )
        rows_x = np.concatenate((self._x.covariances(), cross), axis=2)
        rows_y = np.concatenate((cross.transpose(0, 2, 1), self._y.covariances()), axis=2)
        means = np.concatenate((self._x.means, self._y.means), axis=1)
        return GaussianMixture(
            self._weights, means, np.concatenate((rows_x, rows_y), axis=1), self.dim_x
        )

    def integrate(self, precision: Precision) -> MI:
        """Compute I, by quadrature where that is cheap."""
        few = 32 if precision.strict else 8
        if self.dim_x + self.dim_y == 2 and self.components <= few:
            return stratified(self.gaussian_mixture(), precision)
        return self._by_rqmc(precision)

    def _by_rqmc(self, precision: Precision) -> MI:
        """Average over scrambled Sobol' points, with pmi as the control variate.

        The entropies and the pointwise MI have the same mean, up to a constant that is known;
        their difference, of mean zero, takes part of the error away. Where the last doubling
        still misses what is allowed, the error says so.
        """
        known = float(self._weights @ (-0.5 * np.log1p(-(self._rho**2)).sum(axis=1)))
        known += float(entr(self._weights).sum())
        count, sums, products = 0, np.zeros((_SCRAMBLES, 2)), np.zeros((2, 2))
        for log_count in (_FIRST, *range(_FIRST, _LAST)):
            skipped, count = count, count + (1 << log_count)
            for total, blocks in zip(sums, self._points(skipped, count), strict=True):
                for points in blocks:
                    values = self._entropies(points, known)
                    total += values.sum(axis=1)
                    products += values @ values.T
            centre = sums.mean(axis=0) / count
            spread = products / (_SCRAMBLES * count) - np.outer(centre, centre)
            share = spread[0, 1] / spread[1, 1] if spread[1, 1] > 0.0 else 0.0
            means = known + sums @ (1.0, -share) / count
            value, error = float(means.mean()), float(means.std(ddof=1)) / math.sqrt(_SCRAMBLES)
            deviation = math.sqrt(max(float(spread.sum()), 0.0))
            if error <= precision.allowed(max(value, 0.0), deviation):
                break
        return MI(max(value, 0.0), error, "rqmc", "rqmc_se", deviation)

    def _points(self, start: int, stop: int) -> Iterator[Iterator[Array]]:
        """Yield, for every scramble, its points start..stop in blocks that fit the cache."""
        width = 1 + self.dim_x + self.dim_y
        padded = 1 + (1 << (width - 2).bit_length())  # members of near dimensions share points
        rows = max(1, min(_CHUNK // self.components, 4 * _CHUNK // padded))
        for scramble in range(_SCRAMBLES):
            blocks = _scrambled(scramble, padded, start, stop, rows)
            yield (block[:, :width] for block in blocks)

    def _entropies(self, points: Array, known: float) -> Float[Array, "2 n"]:
        """Return e = H(k|x,y) - H(k|x) - H(k|y) and pmi - known - e at the points."""
        label = np.searchsorted(np.cumsum(self._weights)[:-1], points[:, 0], side="right")
        x, y = self._place(label, points[:, 1:])
        found = [_evidence(terms) for terms in self._log_terms(x, y)]
        pmi, entropy = (joint - at_x - at_y for joint, at_x, at_y in zip(*found, strict=True))
        return np.stack((entropy, pmi - known - entropy))


def _evidence(terms: Float[Array, "n k"]) -> tuple[Array, Array]:
    """Return ln Σ_k exp(terms_k) and the entropy of the probabilities exp(terms_k)/Σ."""
    largest = terms.max(axis=1)
    terms -= largest[:, None]
    weight = np.exp(terms)
    total = weight.sum(axis=1)
    log_total = np.log(total)
    return largest + log_total, log_total - np.einsum("nk,nk->n", weight, terms) / total


@lru_cache(maxsize=4096)
def _information(
    family: type[MixtureGaussian],
    dim_x: int,
    dim_y: int,
    theta: tuple[tuple[str, Any], ...],
    precision: Precision,
) -> MI:
    return family(dim_x, dim_y, **dict(theta)).integrate(precision)


def _scrambled(
    scramble: int, width: int, start: int, stop: int, rows: int
) -> Iterator[Float[Array, "n width"]]:
    """Yield points start..stop of a scramble in blocks: a uniform, then width - 1 normals."""
    if stop <= _CACHED:
        points = _first_points(scramble, width)[start:stop]
        yield from (points[k : k + rows] for k in range(0, len(points), rows))
        return
    engine = sobol(width, scramble)
    engine.fast_forward(start)
    for k in range(start, stop, rows):
        yield _normal(engine.random(min(rows, stop - k)))


@lru_cache(maxsize=16 * _SCRAMBLES)
def _first_points(scramble: int, width: int) -> Float[Array, "n width"]:
    engine = sobol(width, scramble)
    return _normal(engine.random(_CACHED))


def _normal(points: Float[Array, "n width"]) -> Float[Array, "n width"]:
    """Turn all columns but the first into normal scores, in place."""
    points += 2.0**-31  # to the middle of the cells of Sobol' points of 30 bits: never 0 nor 1
    ndtri(points[:, 1:], out=points[:, 1:])
    return points
