"""Maps that bend space: they act through the length |x| of a row."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Uniform
from mistdata.distributions.transforms.base import Transform
from mistdata.distributions.transforms.mixing import haar

SCALE = Parameter(
    "s, where along |x|/√d the bend lies",
    low=1e-3,
    high=1e3,
    closed="both",
    prior=LogUniform(0.3, 3.0),
    unit="x",
)


def mean_square(values: Array) -> Array:
    """Return |x|²/d of every row."""
    result: Array = np.einsum("ij,ij->i", values, values)
    result /= values.shape[1]
    return result


class Twist(Transform):
    """x → exp(θJ) x with J³ = -J and an angle θ that depends on |x| alone.

    Rotations keep |x|, so that the inverse turns back by the same angle.
    """

    least_dim = 2

    @abstractmethod
    def _angle(self, square: Array) -> Array:
        """Compute θ from |x|²/d."""

    @abstractmethod
    def _turn(self, values: Array, angle: Array) -> Array:
        """Compute exp(θJ) x."""

    def _forward(self, values: Array) -> Array:
        return self._turn(values, self._angle(mean_square(values)))

    def _inverse(self, values: Array) -> Array:
        return self._turn(values, -self._angle(mean_square(values)))


class Spiral(Twist):
    """A rotation of one coordinate plane by an angle that grows with |x|².

    Formula: y = exp(θA) x, θ = v |x|²/d, A the generator of rotations of the columns p and p+1
    (counted from 0, the last one followed by the first): y_p = x_p cos θ - x_(p+1) sin θ and
    y_(p+1) = x_p sin θ + x_(p+1) cos θ. The tasks "Spiral @ ..." of the benchmark have v = 1,
    p = 0 for X and p = 1 for Y.

    Rounding to single precision changes |x|² by about 1e-7 of itself, and so the angle by about
    1e-7 θ. Rows with θ > 1e5 are refused: use `Swirl`, or tame their tails first.

    Parameters:
        speed: v in (0, 1000], angle per |x|²/d; radians per squared unit of x.
        plane: p in {0, ..., d-1}, first column of the plane; pure number.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), "spiral" diffeomorphism; https://arxiv.org/abs/2306.11078

    Example:
        >>> spiral = Spiral(2, "x", speed=np.pi, plane=0)
        >>> np.abs(spiral.forward(np.array([[1.0, 0.0]])) - [0.0, 1.0]).max() < 1e-15
        np.True_
    """

    name = "spiral"
    formula = "exp(v |x|²/d A) x, A the generator of one coordinate plane"
    parameters: ClassVar = {
        "speed": Parameter(
            "v, angle per |x|²/d",
            low=0.0,
            high=1e3,
            closed="high",
            prior=LogUniform(0.2, 3.0),
            unit="rad/x²",
            reason="at 0 the map is the identity",
        ),
        "plane": Parameter(
            "p, first column of the plane that is turned; the other is the next one",
            low=0,
            high=lambda dim_out, _: dim_out - 1,
            closed="both",
            integer=True,
            prior=lambda dim_out, _: Uniform(0, dim_out - 1),
        ),
    }
    speed: float
    plane: int
    greatest: ClassVar[float] = 1e5

    def _forward(self, values: Array) -> Array:
        angle = self._angle(mean_square(values))
        if not angle.max(initial=0.0) <= self.greatest:
            raise ValueError(
                f"spiral: needs v |x|²/d <= {self.greatest:g}, else rounding to single precision"
                f" loses the angle, got {angle.max():g} with v = {self.speed:g}"
            )
        return self._turn(values, angle)

    def _angle(self, square: Array) -> Array:
        return self.speed * square

    def _turn(self, values: Array, angle: Array) -> Array:
        first, second = self.plane, (self.plane + 1) % self.dim_out
        cos, sin = np.cos(angle), np.sin(angle)
        result = values.copy()
        result[:, first] = values[:, first] * cos - values[:, second] * sin
        result[:, second] = values[:, first] * sin + values[:, second] * cos
        return result


class Swirl(Twist):
    """A rotation of random planes by a bounded angle, which grows from the centre outwards.

    Formula: y = exp(θJ) x, θ = a tanh(|x|²/(d s²)), J = Σ_k (w_k v_kᵀ - v_k w_kᵀ) over ⌊d/2⌋
    planes that together are Haar-distributed. As J³ = -J, exp(θJ) = I + sin θ J + (1 - cos θ) J².

    Parameters:
        angle: a in (0, 1000], greatest angle; radians.
        scale: s in [1e-3, 1e3], where along |x|/√d the angle grows; in units of x.
        structure: seed of the map's own generator.

    Example:
        >>> swirl = Swirl(3, "x", angle=3.0, scale=1.0, structure=0)
        >>> x = np.array([[1.0, 2.0, 2.0]])
        >>> float(np.round(np.linalg.norm(swirl.forward(x)), 12))
        3.0
    """

    name = "swirl"
    formula = "exp(a tanh(|x|²/(d s²)) J) x, J random planes"
    parameters: ClassVar = {
        "angle": Parameter(
            "a, greatest angle",
            low=0.0,
            high=1e3,
            closed="high",
            prior=LogUniform(0.5, 10.0),
            unit="rad",
            reason="at 0 the map is the identity",
        ),
        "scale": SCALE,
        "structure": STRUCTURE,
    }
    angle: float
    scale: float
    structure: int

    def _prepare(self) -> None:
        d = self.dim_out
        basis = haar(d, structure_rng(self.structure))
        v, w = basis[:, 0 : d - 1 : 2], basis[:, 1::2]
        generator = w @ v.T - v @ w.T
        self.generator = generator
        # both act on rows from the right
        self._powers = np.concatenate((generator.T, (generator @ generator).T), axis=1)

    def _angle(self, square: Array) -> Array:
        return self.angle * np.tanh(square / (self.scale * self.scale))

    def _turn(self, values: Array, angle: Array) -> Array:
        d = self.dim_out
        turned = values @ self._powers
        half = np.sin(0.5 * angle)
        result: Array = turned[:, d:] * (2.0 * half * half)[:, None]
        result += turned[:, :d] * np.sin(angle)[:, None]
        result += values
        return result


class Radial(Transform):
    """A stretch of the middle, or of all but the middle, along the rays from the origin.

    Formula: y = x ρ/r, r = |x|/√d, ρ = s asinh(k sinh(r/s)). The slope dρ/dr runs from k at the
    origin to 1 far out, where ρ = r + s ln k. The inverse is the same map with 1/k.

    Parameters:
        stretch: k in [0.01, 100], slope at the origin; pure number.
        scale: s in [1e-3, 1e3], where along |x|/√d the slope changes; in units of x.

    Example:
        >>> radial = Radial(2, "x", stretch=3.0, scale=1.0)
        >>> np.round(radial.inverse(radial.forward(np.array([[1.0, 2.0]]))), 12)
        array([[1., 2.]])
    """

    name = "radial"
    formula = "x ρ/r, ρ = s asinh(k sinh(r/s)), r = |x|/√d"
    parameters: ClassVar = {
        "stretch": Parameter(
            "k, slope at the origin",
            low=0.01,
            high=100.0,
            closed="both",
            prior=LogUniform(0.2, 5.0),
        ),
        "scale": SCALE,
    }
    stretch: float
    scale: float
    far: ClassVar[float] = 30.0  # e^(-2 far) is below the rounding of float64, even over k²

    def _forward(self, values: Array) -> Array:
        return self._within_single(self._stretched(values, self.stretch))

    def _inverse(self, values: Array) -> Array:
        return self._stretched(values, 1.0 / self.stretch)

    def _stretched(self, values: Array, stretch: float) -> Array:
        radius = np.sqrt(mean_square(values)) / self.scale
        near = np.minimum(radius, self.far)
        stretched = np.arcsinh(stretch * np.sinh(near))
        beyond = radius > self.far
        stretched[beyond] = radius[beyond] + math.log(stretch)
        factor = np.full_like(radius, stretch)
        np.divide(stretched, radius, out=factor, where=radius > 0.0)
        return values * factor[:, None]


TRANSFORMS = (Spiral, Swirl, Radial)
