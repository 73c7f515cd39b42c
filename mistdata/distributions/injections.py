"""Injective maps that bring one side of a member to normal scores, by the member's own law.

An injection maps rows of X alone (or of Y alone) to latents, so that mutual information stays what
it is. It is *exact* where the member's rows become N(0, I): whitening of a normal law, a radial
map of an elliptical one, the normal score of a single column. Else every column becomes a normal
score, or nearly one, and the columns may depend on each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import betainc, betaincc, betaincinv, chdtr, chdtrc, chdtri, gammaincinv, ndtri

from mistdata.distributions.priors import Array

_KNOTS = 257
_REACH = 3.2  # normal score of the outermost knots


class Injection(ABC):
    """An injective map of rows of one side.

    Attributes:
        exact: whether the member's rows become N(0, I).
        dim: number of latent columns.
    """

    exact: bool = True
    dim: int

    @abstractmethod
    def forward(self, values: Array) -> Array:
        """Map rows of the member to latents, float64."""

    @abstractmethod
    def inverse(self, latents: Array) -> Array:
        """Undo `forward`."""


class Unchanged(Injection):
    """z = x: columns that are N(0, I) already."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, values: Array) -> Array:
        """Return the values."""
        return values

    def inverse(self, latents: Array) -> Array:
        """Return the latents."""
        return latents


class Whitening(Injection):
    """z = L⁻¹ x for x ~ N(0, L Lᵀ).

    Args:
        factor: L, lower triangular.
    """

    def __init__(self, factor: Array) -> None:
        self.factor, self.dim = factor, len(factor)

    def forward(self, values: Array) -> Array:
        """Whiten."""
        return np.ascontiguousarray(solve_triangular(self.factor, values.T, lower=True).T)

    def inverse(self, latents: Array) -> Array:
        """Give the covariance back."""
        return latents @ self.factor.T


class RadialLaw(ABC):
    """The law of the squared radius s = |w|² of a spherical vector w."""

    @abstractmethod
    def tails(self, square: Array) -> tuple[Array, Array]:
        """Return P(s ≤ square) and P(s > square), each exact near its own zero."""

    @abstractmethod
    def quantile(self, lower: Array, upper: Array) -> Array:
        """Undo `tails`."""


class BetaPrime(RadialLaw):
    """s = ν χ²_m / χ²_ν: a Student vector of m columns and ν degrees of freedom."""

    def __init__(self, m: int, nu: float) -> None:
        self.a, self.b, self.nu = 0.5 * m, 0.5 * nu, nu

    def tails(self, square: Array) -> tuple[Array, Array]:
        """By s/(ν+s) ~ Beta(m/2, ν/2)."""
        total = self.nu + square
        return betainc(self.a, self.b, square / total), betainc(self.b, self.a, self.nu / total)

    def quantile(self, lower: Array, upper: Array) -> Array:
        """By the quantiles of Beta(m/2, ν/2) and of Beta(ν/2, m/2)."""
        near = betaincinv(self.a, self.b, np.minimum(lower, 0.5))
        far = betaincinv(self.b, self.a, np.minimum(upper, 0.5))
        square = np.where(lower < 0.5, near / (1.0 - near), 1.0 / far - 1.0)
        return np.asarray(self.nu * square)


class Beta(RadialLaw):
    """s ~ Beta(a, b): a block of a vector that is spherical within the unit ball."""

    def __init__(self, a: float, b: float) -> None:
        self.a, self.b = a, b

    def tails(self, square: Array) -> tuple[Array, Array]:
        """By the incomplete beta function; rounding out of the ball counts as its edge."""
        square = np.minimum(square, 1.0 - 1e-12)
        return betainc(self.a, self.b, square), betaincc(self.a, self.b, square)

    def quantile(self, lower: Array, upper: Array) -> Array:
        """By its inverse."""
        near = betaincinv(self.a, self.b, np.minimum(lower, 0.5))
        far = betaincinv(self.b, self.a, np.minimum(upper, 0.5))
        return np.asarray(np.where(lower < 0.5, near, 1.0 - far))


class Radial(Injection):
    """z = w r(|w|²)/|w|, w = L⁻¹ x spherical, r² the quantile of χ²_d at the law of |w|².

    Args:
        law: of |w|².
        factor: L; None for I.
        dim: d.
    """

    def __init__(self, law: RadialLaw, dim: int, factor: Array | None = None) -> None:
        self.law, self.dim = law, dim
        self.white = Unchanged(dim) if factor is None else Whitening(factor)

    def forward(self, values: Array) -> Array:
        """Give the radius of a normal vector."""
        rows = self.white.forward(values)
        square = np.einsum("ij,ij->i", rows, rows)
        lower, upper = self.law.tails(square)
        near = 2.0 * gammaincinv(0.5 * self.dim, np.minimum(lower, 0.5))
        far = chdtri(self.dim, np.minimum(upper, 0.5))
        return _rescaled(rows, square, np.where(lower < 0.5, near, far))

    def inverse(self, latents: Array) -> Array:
        """Give the member's radius back."""
        square = np.einsum("ij,ij->i", latents, latents)
        own = self.law.quantile(chdtr(self.dim, square), chdtrc(self.dim, square))
        return self.white.inverse(_rescaled(latents, square, own))


def _rescaled(rows: Array, square: Array, wanted: Array) -> Array:
    """Give rows of squared radius `square` another one; a row of 0 stays."""
    factor = np.sqrt(wanted / np.where(square > 0.0, square, 1.0))
    return np.asarray(rows * factor[:, None])


class Columns(Injection):
    """z_j = Φ⁻¹(F(x_j)), column by column; exact for one column.

    Args:
        dim: number of columns.
        score: maps values to normal scores, elementwise.
        value: undoes it.
    """

    def __init__(
        self, dim: int, score: Callable[[Array], Array], value: Callable[[Array], Array]
    ) -> None:
        self.dim, self.exact = dim, dim == 1
        self._score, self._value = score, value

    def forward(self, values: Array) -> Array:
        """Take normal scores."""
        return self._score(values)

    def inverse(self, latents: Array) -> Array:
        """Take quantiles."""
        return self._value(latents)


class Tabulated(Injection):
    """Nearly normal scores, column by column, for laws whose distribution functions are not known.

    z is piecewise linear in t = asinh((x - median) / quartile range), through quantiles of a
    sample at 257 normal scores, and linear beyond, with the mean slope of the outer quarter:
    strictly increasing, so nothing is lost, whatever the sample.

    Args:
        sample: rows of the side, at least 1,000.
    """

    exact = False

    def __init__(self, sample: Array) -> None:
        self.dim = sample.shape[1]
        low, self._middle, high = np.quantile(sample, [0.25, 0.5, 0.75], axis=0)
        self._spread = high - low
        ordered = np.sort(self._unit(sample), axis=0)
        self._scores = np.linspace(-_REACH, _REACH, _KNOTS)
        places = ndtri((np.arange(len(ordered)) + 0.5) / len(ordered))
        self._knots = [
            _increasing(np.interp(self._scores, places, column)) for column in ordered.T
        ]

    def _unit(self, values: Array) -> Array:
        return np.asarray(np.arcsinh((values - self._middle) / self._spread))

    def forward(self, values: Array) -> Array:
        """Take nearly normal scores."""
        unit = self._unit(values)
        columns = [
            _through(column, knots, self._scores)
            for column, knots in zip(unit.T, self._knots, strict=True)
        ]
        return np.stack(columns, axis=1)

    def inverse(self, latents: Array) -> Array:
        """Go back along the same pieces."""
        columns = [
            _through(column, self._scores, knots)
            for column, knots in zip(latents.T, self._knots, strict=True)
        ]
        return np.asarray(np.sinh(np.stack(columns, axis=1)) * self._spread + self._middle)


def _increasing(knots: Array) -> Array:
    """Keep knots apart where quantiles of a sample coincide."""
    step = 1e-6 * (knots[-1] - knots[0]) / len(knots)
    return np.asarray(np.maximum.accumulate(knots) + step * np.arange(len(knots)))


def _through(values: Array, knots: Array, heights: Array) -> Array:
    """Piecewise linear through (knots, heights), continued beyond the ends.

    The outermost pieces hold few rows of a sample, and their slopes are noise.
    """
    outer = len(knots) // 8
    inside = np.interp(values, knots, heights)
    slope = (heights[[outer, -1]] - heights[[0, -1 - outer]]) / (
        knots[[outer, -1]] - knots[[0, -1 - outer]]
    )
    below, above = np.minimum(values - knots[0], 0.0), np.maximum(values - knots[-1], 0.0)
    return np.asarray(inside + slope[0] * below + slope[1] * above)


class Blocks(Injection):
    """Injections of consecutive groups of columns.

    Args:
        parts: with the number of columns that each takes.
    """

    def __init__(self, parts: Sequence[tuple[Injection, int]]) -> None:
        self.parts = tuple(parts)
        self.dim = sum(part.dim for part, _ in parts)
        self.exact = all(part.exact for part, _ in parts)

    def forward(self, values: Array) -> Array:
        """Map every group."""
        widths = np.cumsum([width for _, width in self.parts])[:-1]
        groups = np.split(values, widths, axis=1)
        mapped = [part.forward(group) for (part, _), group in zip(self.parts, groups, strict=True)]
        return np.concatenate(mapped, axis=1)

    def inverse(self, latents: Array) -> Array:
        """Map every group back."""
        groups = np.split(latents, np.cumsum([part.dim for part, _ in self.parts])[:-1], axis=1)
        mapped = [part.inverse(group) for (part, _), group in zip(self.parts, groups, strict=True)]
        return np.concatenate(mapped, axis=1)


class Through(Injection):
    """An injection behind maps that the values were seen through.

    Args:
        behind: of the member behind the maps.
        forwards: the maps, in the order in which they were applied.
        inverses: what undoes each.
    """

    def __init__(
        self,
        behind: Injection,
        forwards: Sequence[Callable[[Array], Array]],
        inverses: Sequence[Callable[[Array], Array]],
    ) -> None:
        self.behind, self.dim, self.exact = behind, behind.dim, behind.exact
        self._forwards, self._inverses = tuple(forwards), tuple(inverses)

    def forward(self, values: Array) -> Array:
        """Undo the maps from the last to the first, then inject."""
        for undo in reversed(self._inverses):
            values = undo(values)
        return self.behind.forward(values)

    def inverse(self, latents: Array) -> Array:
        """Go back, then through the maps."""
        values = self.behind.inverse(latents)
        for apply in self._forwards:
            values = apply(values)
        return values
