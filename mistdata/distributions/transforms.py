"""Coordinate-wise bijections of X alone or of Y alone: they leave I(X;Y) unchanged.

A map keeps the mutual information as long as it stays invertible in the numbers that are stored.
`NormalCdf` therefore refuses values that single precision would round to 0 or 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from mistdata.distributions.priors import Array

Side = Literal["x", "y"]


class Transform(ABC):
    """A strictly increasing map of the real line, applied to every coordinate of one side."""

    name: ClassVar[str]
    formula: ClassVar[str]

    def forward(self, values: Float[Array, "*shape"], side: Side) -> Float[Array, "*shape"]:
        """Map values of one side, which are left as they are.

        Raises:
            ValueError: an unknown side, or values that the map cannot keep apart.
        """
        return self._forward(values, self._checked(side))

    def inverse(self, values: Float[Array, "*shape"], side: Side) -> Float[Array, "*shape"]:
        """Undo `forward`; the argument is left as it is.

        Raises:
            ValueError: an unknown side, or values outside the map's range.
        """
        return self._inverse(values, self._checked(side))

    def _checked(self, side: Side) -> Side:
        if side not in ("x", "y"):
            raise ValueError(f"{self.name}: side must be 'x' or 'y', got {side!r}")
        return side

    @abstractmethod
    def _forward(self, values: Array, side: Side) -> Array:
        """Map values of one side."""

    @abstractmethod
    def _inverse(self, values: Array, side: Side) -> Array:
        """Undo `_forward`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Identity(Transform):
    """The identity.

    Example:
        >>> Identity().forward(np.array([1.0, 2.0]), "x")
        array([1., 2.])
    """

    name = "identity"
    formula = "x"

    def _forward(self, values: Array, side: Side) -> Array:
        return values

    def _inverse(self, values: Array, side: Side) -> Array:
        return values


class Asinh(Transform):
    """The inverse hyperbolic sine, which tames heavy tails.

    Example:
        >>> Asinh().forward(np.array([0.0, np.sinh(2.0)]), "x")
        array([0., 2.])
    """

    name = "asinh"
    formula = "asinh x"

    def _forward(self, values: Array, side: Side) -> Array:
        result: Array = np.arcsinh(np.ascontiguousarray(values))
        return result

    def _inverse(self, values: Array, side: Side) -> Array:
        return np.sinh(values)


class HalfCube(Transform):
    """The signed power 3/2, which stretches tails.

    Example:
        >>> HalfCube().forward(np.array([-4.0, 0.0, 9.0]), "x")
        array([-8.,  0., 27.])
    """

    name = "half-cube"
    formula = "x √|x|"

    def _forward(self, values: Array, side: Side) -> Array:
        values = np.ascontiguousarray(values)
        result = np.abs(values)
        np.sqrt(result, out=result)
        with np.errstate(over="ignore"):
            result *= values
        if not np.isfinite(result).all():
            raise ValueError("half-cube: x √|x| needs |x| < 3e205 to stay finite")
        return result

    def _inverse(self, values: Array, side: Side) -> Array:
        root = np.cbrt(values)
        root *= np.abs(root)
        return root


class Wiggly(Transform):
    """The identity plus three sines, different on the two sides.

    The slope lies above 1 - .4 - .34 - .099 = .161 for X and 1 - .16 - .221 - .086 = .533 for Y,
    so both maps are bijections. The inverse is found by Newton's method, which converges from
    everywhere: a test walks over the common period 20π of the sines.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), "wiggly" maps; https://arxiv.org/abs/2306.11078

    Example:
        >>> x = np.array([-1.0, 0.0, 2.0])
        >>> np.abs(Wiggly().inverse(Wiggly().forward(x, "x"), "x") - x).max() < 1e-14
        np.True_
    """

    name = "wiggly"
    formula = (
        "x + .4 sin x + .2 sin(1.7x + 1) + .03 sin(3.3x - 2.5) | "
        "y - .4 sin .4y + .17 sin(1.3y + 3.5) + .02 sin(4.3y - 2.5)"
    )
    # (amplitude, frequency, phase) of every sine
    sines: ClassVar[dict[Side, tuple[tuple[float, float, float], ...]]] = {
        "x": ((0.4, 1.0, 0.0), (0.2, 1.7, 1.0), (0.03, 3.3, -2.5)),
        "y": ((-0.4, 0.4, 0.0), (0.17, 1.3, 3.5), (0.02, 4.3, -2.5)),
    }

    def _forward(self, values: Array, side: Side) -> Array:
        # sin a = 2t/(1+t²) with t = tan(a/2): NumPy vectorises tan in float64 but not sin
        values = np.ascontiguousarray(values)
        result = values.copy()
        tangent, square = np.empty_like(values), np.empty_like(values)
        for amplitude, frequency, phase in self.sines[side]:
            np.multiply(values, 0.5 * frequency, out=tangent)
            if phase:
                tangent += 0.5 * phase
            np.tan(tangent, out=tangent)
            np.multiply(tangent, tangent, out=square)
            square += 1.0
            tangent *= 2.0 * amplitude
            tangent /= square
            result += tangent
        return result

    def _slope(self, values: Array, side: Side) -> Array:
        slope = np.ones_like(values)
        for amplitude, frequency, phase in self.sines[side]:
            slope += amplitude * frequency * np.cos(frequency * values + phase)
        return slope

    def _inverse(self, values: Array, side: Side) -> Array:
        guess = values
        for _ in range(20):  # 10 suffice over the common period 20π of the sines
            step = (self._forward(guess, side) - values) / self._slope(guess, side)
            guess = guess - step
            if (np.abs(step) <= 1e-14 * (1.0 + np.abs(guess))).all():
                return guess
        raise FloatingPointError("wiggly: the inverse did not converge, are all values finite?")


class NormalCdf(Transform):
    """The standard normal distribution function Φ, onto (0, 1).

    Single precision, in which datasets are stored, rounds Φ(z) to 1 from z = 5.42 on and to 0
    below z = -14.2. Such points could no longer be told apart, so that the mutual information of
    what is stored would be lower than its label: they are refused.

    Example:
        >>> NormalCdf().forward(np.array([0.0]), "x")
        array([0.5])
    """

    name = "normal-cdf"
    formula = "Φ(x)"
    least: ClassVar[float] = 2.0**-150  # rounds to 0 in single precision
    greatest: ClassVar[float] = 1.0 - 2.0**-25  # rounds to 1 in single precision

    def _forward(self, values: Array, side: Side) -> Array:
        result: Array = ndtr(values)
        if result.size and not (result.min() > self.least and result.max() < self.greatest):
            raise ValueError(
                "normal-cdf: needs -14.2 < x < 5.42, else Φ(x) is 0 or 1 in single precision and "
                f"the mutual information is lost, got x in [{values.min():g}, {values.max():g}]"
            )
        return result

    def _inverse(self, values: Array, side: Side) -> Array:
        if values.size and not (values.min() > 0.0 and values.max() < 1.0):
            raise ValueError("normal-cdf: the inverse needs values in (0, 1)")
        result: Array = ndtri(values)
        return result


TRANSFORMS: dict[str, Transform] = {
    transform.name: transform
    for transform in (Identity(), Asinh(), HalfCube(), Wiggly(), NormalCdf())
}
