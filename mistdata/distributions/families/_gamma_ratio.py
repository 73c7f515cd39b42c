"""What the families of gamma ratios share: their shapes, their density and their information."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np

from mistdata.distributions.base import MI, JointDistribution
from mistdata.distributions.families.special import f_combination, f_deviation
from mistdata.distributions.priors import Array

VANISHING = "at 0 the common gamma variable is 0, and I(X;Y) is infinite"
TINY = 1e-300  # keeps a logarithm finite where a coordinate has underflowed to zero
EDGE = 2.0**-26  # what is left of 1 after single precision has rounded up to it


class GammaBlocks(JointDistribution):
    """Independent gamma variables, some for X, some for Y, and one common to both."""

    @abstractmethod
    def _shapes(self) -> tuple[float, float, float]:
        """Return the total gamma shapes of X and of Y, and that of the common variable."""

    def _gammas(self, n: int, rng: np.random.Generator, x: float, y: float) -> Array:
        """Draw gamma variables of shape x for the coordinates of X and of shape y for Y."""
        block = np.empty((n, self.dim_x + self.dim_y))
        block[:, : self.dim_x] = rng.standard_gamma(x, (n, self.dim_x))
        block[:, self.dim_x :] = rng.standard_gamma(y, (n, self.dim_y))
        return block

    def _split(self, block: Array) -> tuple[Array, Array]:
        return block[:, : self.dim_x], block[:, self.dim_x :]


class ThreeShapes(GammaBlocks):
    """The same shape α for every coordinate of X, β for every one of Y, and c in common."""

    alpha: float
    beta: float
    c: float

    def _shapes(self) -> tuple[float, float, float]:
        return self.dim_x * self.alpha, self.dim_y * self.beta, self.c


class GammaRatio(GammaBlocks):
    """Monotone images of the ratios U_i of the gamma variables to the common one."""

    @abstractmethod
    def _log_ratios(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return ln U for every coordinate of X and of Y."""

    def _mutual_information(self) -> MI:
        shapes = self._shapes()
        return MI.closed_form(f_combination(*shapes), f_deviation(*shapes), special=True)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Compare inverted Dirichlet densities, which see a side through s = Σ U_i alone.

        p(u) ∝ Π u_i^(α_i-1) (1+s)^-(c+Σα_i), for X, for Y and for both together.
        """
        a, b, c = self._shapes()
        log_s, log_t = (np.logaddexp.reduce(u, axis=1) for u in self._log_ratios(x, y))
        only_s, only_t = np.logaddexp(0.0, log_s), np.logaddexp(0.0, log_t)
        both = np.logaddexp(only_s, log_t)
        constant = math.lgamma(a + b + c) + math.lgamma(c)
        constant -= math.lgamma(a + c) + math.lgamma(b + c)
        pointwise: Array = constant + c * np.logaddexp(0.0, log_s + log_t - both)
        pointwise -= a * np.logaddexp(0.0, log_t - only_s)
        pointwise -= b * np.logaddexp(0.0, log_s - only_t)
        return pointwise


def divide(block: Array, by: Array) -> None:
    """Divide in place; a denominator that underflowed is left to the check of the base class."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        block /= by


def safe_log(values: Array) -> Array:
    """Return ln of coordinates that may have underflowed to zero."""
    logarithm: Array = np.log(np.maximum(values, TINY))
    return logarithm


def log_rest(rest: Array) -> Array:
    """Return ln of what proportions leave of 1; of half a rounding where nothing is left."""
    logarithm: Array = np.log(np.where(rest > 0.0, rest, EDGE))
    return logarithm
