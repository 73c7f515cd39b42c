"""Maps of every column by itself, all strictly monotone."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Uniform
from mistdata.distributions.transforms.base import (
    GREATEST_SINGLE,
    LEAST_SINGLE,
    Side,
    Transform,
)


class Identity(Transform):
    """The identity.

    Example:
        >>> Identity(2, "x").forward(np.array([[1.0, 2.0]]))
        array([[1., 2.]])
    """

    name = "identity"
    formula = "x"

    def _forward(self, values: Array) -> Array:
        return values

    def _inverse(self, values: Array) -> Array:
        return values


class Asinh(Transform):
    """The inverse hyperbolic sine, which tames heavy tails.

    Example:
        >>> Asinh(2, "x").forward(np.array([[0.0, np.sinh(2.0)]]))
        array([[0., 2.]])
    """

    name = "asinh"
    formula = "asinh x"

    def _forward(self, values: Array) -> Array:
        result: Array = np.arcsinh(values)
        return result

    def _inverse(self, values: Array) -> Array:
        return np.sinh(values)


class HalfCube(Transform):
    """The signed power 3/2, which stretches tails.

    Example:
        >>> HalfCube(3, "x").forward(np.array([[-4.0, 0.0, 9.0]]))
        array([[-8.,  0., 27.]])
    """

    name = "half-cube"
    formula = "x √|x|"

    def _forward(self, values: Array) -> Array:
        result = np.abs(values)
        np.sqrt(result, out=result)
        with np.errstate(over="ignore"):
            result *= values
        if not np.isfinite(result).all():
            raise ValueError("half-cube: x √|x| needs |x| < 3e205 to stay finite")
        return result

    def _inverse(self, values: Array) -> Array:
        root = np.cbrt(values)
        root *= np.abs(root)
        return root


class Power(Transform):
    """A signed power: exponents above 1 stretch tails, those below 1 split the middle.

    Formula: sign(x) |x|^p.

    Parameters:
        exponent: p in [1/5, 5]; pure number.

    Example:
        >>> Power(3, "x", exponent=2.0).forward(np.array([[-4.0, 0.0, 3.0]]))
        array([[-16.,   0.,   9.]])
    """

    name = "power"
    formula = "sign(x) |x|^p"
    parameters: ClassVar = {
        "exponent": Parameter(
            "p, exponent of |x|",
            low=0.2,
            high=5.0,
            closed="both",
            prior=LogUniform(1.0 / 3.0, 3.0),
            reason="steeper or flatter powers soon leave single precision",
        )
    }
    exponent: float

    def _forward(self, values: Array) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            result = np.abs(values) ** self.exponent
        vanished = np.count_nonzero(result < LEAST_SINGLE) - np.count_nonzero(values == 0.0)
        if vanished or not result.max(initial=0.0) <= GREATEST_SINGLE:
            raise ValueError(
                "power: |x|^p must be 0 or lie within [1.2e-38, 3.4e38], the range of single"
                f" precision, which takes |x| outside it to the power {self.exponent:g}"
            )
        np.copysign(result, values, out=result)
        return result

    def _inverse(self, values: Array) -> Array:
        result: Array = np.abs(values) ** (1.0 / self.exponent)
        np.copysign(result, values, out=result)
        return result


class Exp(Transform):
    """The exponential, which makes normal columns log-normal.

    Formula: e^(λx).

    Parameters:
        rate: λ in [0.01, 10], logarithm of the growth per unit of x; per unit of x.

    Example:
        >>> Exp(2, "x", rate=1.0).forward(np.array([[0.0, np.log(2.0)]]))
        array([[1., 2.]])
    """

    name = "exp"
    formula = "e^(λx)"
    parameters: ClassVar = {
        "rate": Parameter(
            "λ, logarithm of the growth per unit of x",
            low=0.01,
            high=10.0,
            closed="both",
            prior=LogUniform(0.2, 2.0),
            unit="1/x",
            reason="slower growth leaves too few digits of x in single precision",
        )
    }
    rate: float

    def _forward(self, values: Array) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            result: Array = np.exp(self.rate * values)
        least, greatest = result.min(initial=1.0), result.max(initial=1.0)
        if not (least >= LEAST_SINGLE and greatest <= GREATEST_SINGLE):
            raise ValueError(
                f"exp: needs |x| < {87.3 / self.rate:.3g}, else e^(λx) leaves the range of single"
                f" precision, got x in [{values.min():g}, {values.max():g}]"
            )
        return result

    def _inverse(self, values: Array) -> Array:
        if not values.min(initial=1.0) > 0.0:
            raise ValueError("exp: the inverse needs values > 0")
        result: Array = np.log(values)
        result /= self.rate
        return result


class Wiggly(Transform):
    """The identity plus three sines, different on the two sides.

    The slope lies above 1 - .4 - .34 - .099 = .161 for X and 1 - .16 - .221 - .086 = .533 for Y,
    so both maps are bijections. The inverse is found by Newton's method, which converges from
    everywhere: a test walks over the common period 20π of the sines.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), "wiggly" maps; https://arxiv.org/abs/2306.11078

    Example:
        >>> x, wiggly = np.array([[-1.0, 0.0, 2.0]]), Wiggly(3, "x")
        >>> np.abs(wiggly.inverse(wiggly.forward(x)) - x).max() < 1e-14
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

    def _forward(self, values: Array) -> Array:
        # sin a = 2t/(1+t²) with t = tan(a/2): NumPy vectorises tan in float64 but not sin
        result = values.copy()
        tangent, square = np.empty_like(values), np.empty_like(values)
        for amplitude, frequency, phase in self.sines[self.side]:
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

    def _slope(self, values: Array) -> Array:
        slope = np.ones_like(values)
        for amplitude, frequency, phase in self.sines[self.side]:
            slope += amplitude * frequency * np.cos(frequency * values + phase)
        return slope

    def _inverse(self, values: Array) -> Array:
        guess = values
        for _ in range(20):  # 10 suffice over the common period 20π of the sines
            step = (self._forward(guess) - values) / self._slope(guess)
            guess = guess - step
            if (np.abs(step) <= 1e-14 * (1.0 + np.abs(guess))).all():
                return guess
        raise FloatingPointError("wiggly: the inverse did not converge, are all values finite?")


class Distribution(Transform):
    """A distribution function, onto (0, 1).

    Single precision, in which datasets are stored, rounds values next to 0 or 1 to 0 or 1. Such
    points could no longer be told apart, so that the mutual information of what is stored would
    be lower than its label: they are refused.
    """

    accepted: ClassVar[str]
    least: ClassVar[float] = 2.0**-150  # rounds to 0 in single precision
    greatest: ClassVar[float] = 1.0 - 2.0**-25  # rounds to 1 in single precision

    def _forward(self, values: Array) -> Array:
        result = self._distribution(values)
        if result.size and not (result.min() > self.least and result.max() < self.greatest):
            raise ValueError(
                f"{self.name}: needs {self.accepted}, else {self.formula} is 0 or 1 in single"
                " precision and the mutual information is lost, got x in"
                f" [{values.min():g}, {values.max():g}]"
            )
        return result

    def _inverse(self, values: Array) -> Array:
        if values.size and not (values.min() > 0.0 and values.max() < 1.0):
            raise ValueError(f"{self.name}: the inverse needs values in (0, 1)")
        return self._quantile(values)

    @abstractmethod
    def _distribution(self, values: Array) -> Array:
        """Evaluate the distribution function."""

    @abstractmethod
    def _quantile(self, values: Array) -> Array:
        """Evaluate the quantile function."""


class NormalCdf(Distribution):
    """The standard normal distribution function Φ, onto (0, 1).

    Single precision rounds Φ(z) to 1 from z = 5.42 on and to 0 below z = -14.2; both are refused.

    Example:
        >>> NormalCdf(1, "x").forward(np.array([[0.0]]))
        array([[0.5]])
    """

    name = "normal-cdf"
    formula = "Φ(x)"
    accepted = "-14.2 < x < 5.42"

    def _distribution(self, values: Array) -> Array:
        result: Array = ndtr(values)
        return result

    def _quantile(self, values: Array) -> Array:
        result: Array = ndtri(values)
        return result


class Logistic(Distribution):
    """The logistic distribution function, onto (0, 1), which has longer tails than Φ.

    Single precision rounds it to 1 from x = 17.3 on and to 0 below x = -103.9; both are refused.

    Example:
        >>> Logistic(1, "x").forward(np.array([[0.0]]))
        array([[0.5]])
    """

    name = "logistic"
    formula = "1/(1+e^-x)"
    accepted = "-103.9 < x < 17.3"

    def _distribution(self, values: Array) -> Array:
        result: Array = expit(values)
        return result

    def _quantile(self, values: Array) -> Array:
        result: Array = logit(values)
        return result


class Scale(Transform):
    """A random unit, origin and sign for every column.

    Formula: s_j (x_j + t_j), ln|s_j| uniform on ±ln S, either sign, t_j uniform on ±T.

    Parameters:
        spread: S in [1, 1e6], greatest factor; pure number.
        shift: T in [0, 100], greatest shift; in units of x.
        structure: seed of the map's own generator.

    Example:
        >>> scale = Scale(3, "x", spread=10.0, shift=1.0, structure=0)
        >>> np.round(scale.inverse(scale.forward(np.array([[1.0, 2.0, 3.0]]))), 12)
        array([[1., 2., 3.]])
    """

    name = "scale"
    formula = "s_j (x_j + t_j)"
    parameters: ClassVar = {
        "spread": Parameter(
            "S, greatest factor; the least is 1/S",
            low=1.0,
            high=1e6,
            closed="both",
            prior=LogUniform(1.0, 100.0),
        ),
        "shift": Parameter(
            "T, greatest shift before scaling",
            low=0.0,
            high=100.0,
            closed="both",
            prior=Uniform(0.0, 3.0),
            unit="x",
        ),
        "structure": STRUCTURE,
    }
    spread: float
    shift: float
    structure: int

    def _prepare(self) -> None:
        rng = structure_rng(self.structure)
        exponents, shifts = rng.uniform(-1.0, 1.0, (2, self.dim_out))
        signs = 1.0 - 2.0 * rng.integers(0, 2, self.dim_out)
        self.factors = signs * self.spread**exponents
        self.shifts = self.shift * shifts

    def _forward(self, values: Array) -> Array:
        result: Array = values + self.shifts
        result *= self.factors
        return self._within_single(result)

    def _inverse(self, values: Array) -> Array:
        result: Array = values / self.factors
        result -= self.shifts
        return result


class Spline(Transform):
    """A random increasing quadratic spline for every column, with linear tails.

    Formula: f_j(x) = ∫_0^x f_j', with slopes f_j' that run linearly between knots at -3, -2.5,
    ..., 3 and are constant beyond; at the knots ln f_j' is uniform on ±ln S. So every slope lies
    in [1/S, S], f_j is once continuously differentiable, and the inverse solves a quadratic.

    Parameters:
        slope: S in [1, 100], greatest slope; pure number.
        structure: seed of the map's own generator.

    References:
        Neural Importance Sampling (Müller, McWilliams, Rousselle, Gross, Novák, 2019),
        piecewise-quadratic coupling; https://arxiv.org/abs/1808.03856

    Example:
        >>> spline = Spline(2, "x", slope=4.0, structure=0)
        >>> np.round(spline.inverse(spline.forward(np.array([[-7.0, 0.3]]))), 12)
        array([[-7. ,  0.3]])
    """

    name = "spline"
    formula = "∫_0^x f', f' > 0 piecewise linear"
    parameters: ClassVar = {
        "slope": Parameter(
            "S, greatest slope; the least is 1/S",
            low=1.0,
            high=100.0,
            closed="both",
            prior=LogUniform(1.5, 5.0),
        ),
        "structure": STRUCTURE,
    }
    slope: float
    structure: int
    pieces: ClassVar[int] = 12
    width: ClassVar[float] = 0.5

    def _prepare(self) -> None:
        """Tabulate the pieces of every column, the tails first and last: anchor, value, slopes."""
        half = self.pieces // 2
        knots = self.width * (np.arange(self.pieces + 1.0) - half)
        exponents = structure_rng(self.structure).uniform(-1.0, 1.0, (self.dim_out, len(knots)))
        slopes = np.exp(math.log(self.slope) * exponents)
        areas = 0.5 * self.width * (slopes[:, 1:] + slopes[:, :-1])
        heights = np.zeros_like(slopes)
        np.cumsum(areas[:, half:], axis=1, out=heights[:, half + 1 :])
        heights[:, :half] = -np.cumsum(areas[:, half - 1 :: -1], axis=1)[:, ::-1]
        bends = np.zeros((self.dim_out, self.pieces + 2))
        bends[:, 1:-1] = np.diff(slopes, axis=1) / (2.0 * self.width)
        self.heights = heights
        self._anchors = np.append(knots[0], knots)
        self._values = np.append(heights[:, :1], heights, axis=1).ravel()
        self._slopes = np.append(slopes[:, :1], slopes, axis=1).ravel()
        self._bends = bends.ravel()
        self._columns = (self.pieces + 2) * np.arange(self.dim_out)

    def _forward(self, values: Array) -> Array:
        position = np.floor(values / self.width)
        position += self.pieces // 2 + 1
        np.clip(position, 0, self.pieces + 1, out=position)
        piece = position.astype(np.intp)
        step = values - self._anchors.take(piece)
        piece += self._columns
        result = self._bends.take(piece)
        result *= step
        result += self._slopes.take(piece)
        result *= step
        result += self._values.take(piece)
        return self._within_single(result)

    def _inverse(self, values: Array) -> Array:
        piece = np.zeros(values.shape, np.intp)
        for heights in self.heights.T:
            piece += values >= heights
        place = piece + self._columns
        rise, slope = values - self._values.take(place), self._slopes.take(place)
        # the root of b s² + a s = rise without cancellation; the left tail has b = 0 and rise < 0
        root = np.sqrt(np.maximum(slope * slope + 4.0 * self._bends.take(place) * rise, 0.0))
        result: Array = self._anchors.take(piece) + 2.0 * rise / (slope + root)
        return result


TRANSFORMS = (
    Identity,
    Asinh,
    HalfCube,
    Wiggly,
    NormalCdf,
    Logistic,
    Exp,
    Power,
    Scale,
    Spline,
)
