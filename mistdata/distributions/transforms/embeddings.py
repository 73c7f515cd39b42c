"""Maps into more columns, which are injective without being onto.

Their inverse is defined on the range and, so that it accepts what single precision has rounded,
in a neighbourhood of it: the result must map back to the argument within 1e-5 of its row.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Prior, Uniform
from mistdata.distributions.transforms.base import Transform
from mistdata.distributions.transforms.mixing import haar
from mistdata.distributions.transforms.networks import Network

EXTRA = Parameter(
    "number of columns that are added",
    low=1,
    high=lambda dim_out, _: dim_out - 1,
    closed="both",
    integer=True,
    prior=lambda dim_out, _: Uniform(1, max(1, dim_out // 2)),
)


class Embedding(Transform):
    """A map that adds `extra` columns."""

    least_dim = 2
    extra: int = 1
    tolerance: ClassVar[float] = 1e-5

    @classmethod
    def dims_in(cls, dim_out: int, ranges: Mapping[str, Prior]) -> tuple[int, int]:
        """Return the fewest and the most columns that a map drawn from these ranges takes."""
        if "extra" not in cls.parameters:
            return dim_out - cls.extra, dim_out - cls.extra
        published = cls.parameters["extra"].published_prior(dim_out, dim_out)
        least, most = ranges.get("extra", published).support(integer=True)
        return dim_out - int(most), dim_out - int(least)

    @property
    def dim_in(self) -> int:
        """Number of columns that the map takes."""
        return self.dim_out - self.extra

    @abstractmethod
    def _embed(self, values: Array) -> Array:
        """Map rows that the map accepts."""

    @abstractmethod
    def _project(self, values: Array) -> Array:
        """Find the rows that map next to the given ones."""

    def _forward(self, values: Array) -> Array:
        return self._within_single(self._embed(values))

    def _inverse(self, values: Array) -> Array:
        result = self._project(values)
        off = np.abs(self._embed(result) - values).max(axis=1, initial=0.0)
        if not (off <= self.tolerance * np.abs(values).max(axis=1, initial=0.0)).all():
            raise ValueError(f"{self.name}: the inverse needs rows in the range of the map")
        return result


class Curve(Embedding):
    """An embedding that lays the first column along a plane curve; the others follow it."""

    @abstractmethod
    def _point(self, first: Array) -> tuple[Array, Array]:
        """Compute both coordinates on the curve."""

    @abstractmethod
    def _place(self, a: Array, b: Array) -> Array:
        """Find the value whose point is (a, b), or near it."""

    def _embed(self, values: Array) -> Array:
        result = np.empty((len(values), self.dim_out))
        result[:, 0], result[:, 1] = self._point(values[:, 0])
        result[:, 2:] = values[:, 1:]
        return result

    def _project(self, values: Array) -> Array:
        result = np.empty((len(values), self.dim_in))
        result[:, 0] = self._place(values[:, 0], values[:, 1])
        result[:, 1:] = values[:, 2:]
        return result


class SwissRoll(Curve):
    """The Swiss roll of a first column in (0, 1).

    Formula: u → (t cos t, t sin t)/21, t = 3π/2 (1 + 2u); the other columns follow unchanged.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), "Swiss roll" embedding; https://arxiv.org/abs/2306.11078

    Example:
        >>> np.round(SwissRoll(2, "x").forward(np.array([[0.25]])), 6)
        array([[0.238012, 0.238012]])
    """

    name = "swiss-roll"
    formula = "u → (t cos t, t sin t)/21, t = 3π/2 (1 + 2u), 0 < u < 1"
    size: ClassVar[float] = 21.0
    margin: ClassVar[float] = 2.0**-30  # where points next to an end, but outside, are put

    def _forward(self, values: Array) -> Array:
        first = values[:, 0]
        if first.size and not (first.min() > 0.0 and first.max() < 1.0):
            raise ValueError(
                "swiss-roll: needs a first column in (0, 1), got values in"
                f" [{first.min():g}, {first.max():g}]"
            )
        return super()._forward(values)

    def _point(self, first: Array) -> tuple[Array, Array]:
        t = 1.5 * np.pi * (1.0 + 2.0 * first)
        return t * np.cos(t) / self.size, t * np.sin(t) / self.size

    def _place(self, a: Array, b: Array) -> Array:
        # the angle is known more exactly than the radius, which says which turn it is
        angle = np.arctan2(b, a)
        turns = np.round((self.size * np.hypot(a, b) - angle) / (2.0 * np.pi))
        first = ((angle + 2.0 * np.pi * turns) / (1.5 * np.pi) - 1.0) / 2.0
        first = np.where(first > 0.0, first, self.margin)
        return np.where(first < 1.0, first, 1.0 - self.margin)


class Roll(Curve):
    """A roll for a first column without bounds, safe for heavy tails on either side.

    Formula: x → r (cos t, sin t), r = e^asinh(x/w), t = π q x/√(x² + w²); the other columns
    follow unchanged. The radius alone tells x: it grows like 2x/w to the right and vanishes like
    w/(2|x|) to the left, where single precision still resolves it; the angle stays within ±πq.

    Parameters:
        turns: q in (0, 10], turns from one tail to the other; pure number.
        width: w in [0.01, 100], length over which the roll opens; in units of x.

    Example:
        >>> Roll(2, "x", turns=1.0, width=2.0).forward(np.array([[0.0]]))
        array([[1., 0.]])
    """

    name = "roll"
    formula = "x → r (cos t, sin t), r = e^asinh(x/w), t = πq x/√(x² + w²)"
    parameters: ClassVar = {
        "turns": Parameter(
            "q, turns from one tail to the other",
            low=0.0,
            high=10.0,
            closed="high",
            prior=Uniform(0.5, 3.0),
            reason="there the image is a straight line",
        ),
        "width": Parameter(
            "w, length over which the roll opens",
            low=0.01,
            high=100.0,
            closed="both",
            prior=LogUniform(1.0, 4.0),
            unit="x",
        ),
    }
    turns: float
    width: float
    farthest: ClassVar[float] = 4e37  # in widths; there the radius leaves single precision

    def _forward(self, values: Array) -> Array:
        first, limit = values[:, 0], self.farthest * self.width
        if first.size and not np.abs(first).max() <= limit:
            raise ValueError(
                f"roll: needs |x| <= {limit:.4g} in the first column, else the radius leaves the"
                f" range of single precision, got values in [{first.min():g}, {first.max():g}]"
            )
        return super()._forward(values)

    def _point(self, first: Array) -> tuple[Array, Array]:
        slope = first / self.width
        length = np.hypot(slope, 1.0)
        radius = np.exp(np.arcsinh(slope))
        angle = math.pi * self.turns * (slope / length)
        return radius * np.cos(angle), radius * np.sin(angle)

    def _place(self, a: Array, b: Array) -> Array:
        radius = np.hypot(a, b)
        if not radius.min(initial=1.0) > 0.0:
            raise ValueError("roll: the inverse needs rows in the range of the map")
        result: Array = self.width * np.sinh(np.log(radius))
        return result


class Arc(Curve):
    """A first column bent into an arc of the unit circle.

    Formula: x → (cos φ, sin φ), φ = a x/√(1 + x²); the other columns follow unchanged.

    Single precision resolves φ to about 6e-8, which is x to about 6e-8 |x|³/a. Where that exceeds
    1 % of x, for |x| > 400 √a, values are refused: tame heavy tails first, or use `Roll`.

    Parameters:
        angle: a in (0, π), half the angle that the arc spans; radians.

    Example:
        >>> np.round(Arc(2, "x", angle=2.0).forward(np.array([[0.0], [1.0]])), 6)
        array([[1.      , 0.      ],
               [0.155944, 0.987766]])
    """

    name = "arc"
    formula = "x → (cos φ, sin φ), φ = a x/√(1 + x²)"
    parameters: ClassVar = {
        "angle": Parameter(
            "a, half the angle that the arc spans",
            low=0.0,
            high=math.pi,
            prior=Uniform(0.5, 3.0),
            unit="rad",
            reason="at 0 the image is a point, at π the ends of the arc meet",
        )
    }
    angle: float

    def _forward(self, values: Array) -> Array:
        first, limit = values[:, 0], 400.0 * math.sqrt(self.angle)
        if first.size and not np.abs(first).max() <= limit:
            raise ValueError(
                f"arc: needs |x| <= {limit:.4g} in the first column, else single precision loses"
                f" x along the arc, got values in [{first.min():g}, {first.max():g}]"
            )
        return super()._forward(values)

    def _point(self, first: Array) -> tuple[Array, Array]:
        phi = self.angle * (first / np.hypot(first, 1.0))
        return np.cos(phi), np.sin(phi)

    def _place(self, a: Array, b: Array) -> Array:
        share = np.arctan2(b, a) / self.angle
        # rounding keeps the share of accepted values further from ±1 than this
        np.clip(share, -1.0 + 2.0**-23, 1.0 - 2.0**-23, out=share)
        result: Array = share / np.sqrt((1.0 - share) * (1.0 + share))
        return result


class Duplicate(Embedding):
    """A repetition of some columns.

    Formula: x → (x, x_J), J a random set of `extra` columns in random order.

    Parameters:
        extra: number of columns that are repeated, in {1, ..., ⌊dim_out/2⌋}; pure number.
        structure: seed of the map's own generator.

    Example:
        >>> Duplicate(2, "x", extra=1, structure=0).forward(np.array([[3.0]]))
        array([[3., 3.]])
    """

    name = "duplicate"
    formula = "x → (x, x_J)"
    parameters: ClassVar = {
        "extra": Parameter(
            "number of columns that are repeated",
            low=1,
            high=lambda dim_out, _: dim_out // 2,
            closed="both",
            integer=True,
            prior=lambda dim_out, _: Uniform(1, dim_out // 2),
        ),
        "structure": STRUCTURE,
    }
    structure: int

    def _prepare(self) -> None:
        repeated = structure_rng(self.structure).permutation(self.dim_in)[: self.extra]
        self._columns = np.append(np.arange(self.dim_in), repeated)

    def _embed(self, values: Array) -> Array:
        return values.take(self._columns, axis=1)

    def _project(self, values: Array) -> Array:
        return values[:, : self.dim_in].copy()


class Graph(Embedding):
    """The graph of a smooth random function: its values stand beside its arguments.

    Formula: x → (x, h(x)), h(x) = C σ(A x + b) with 16 random units, σ(t) = t/√(1 + t²). Where
    `Rotation` follows, no column is a coordinate of x any more.

    Parameters:
        extra: number of columns of h, in {1, ..., dim_out - 1}; pure number.
        gain: typical length of the rows of A, how fast h varies; per unit of x.
        structure: seed of the map's own generator.

    Example:
        >>> graph = Graph(3, "x", extra=1, gain=1.0, structure=0)
        >>> graph.forward(np.array([[1.0, 2.0]]))[:, :2]
        array([[1., 2.]])
    """

    name = "graph"
    formula = "x → (x, h(x)), h(x) = C σ(A x + b)"
    parameters: ClassVar = {
        "extra": EXTRA,
        "gain": Parameter(
            "typical length of the rows of A, how fast h varies",
            low=0.0,
            high=100.0,
            closed="high",
            prior=LogUniform(0.5, 4.0),
            unit="1/x",
            reason="there h is constant",
        ),
        "structure": STRUCTURE,
    }
    gain: float
    structure: int

    def _prepare(self) -> None:
        rng = structure_rng(self.structure)
        self._network = Network.draw(self.dim_in, self.extra, self.gain, rng)

    def _embed(self, values: Array) -> Array:
        return np.concatenate((values, self._network(values)), axis=1)

    def _project(self, values: Array) -> Array:
        return values[:, : self.dim_in].copy()


class Lift(Embedding):
    """A random isometry into a space of more dimensions.

    Formula: x → Q x, Q of shape (dim_out, dim_in) with orthonormal columns, Haar-distributed.

    Parameters:
        extra: dim_out - dim_in, in {1, ..., dim_out - 1}; pure number.
        structure: seed of the map's own generator.

    Example:
        >>> lift = Lift(3, "x", extra=1, structure=0)
        >>> float(np.round(np.linalg.norm(lift.forward(np.array([[3.0, 4.0]]))), 12))
        5.0
    """

    name = "lift"
    formula = "x → Q x, QᵀQ = I"
    parameters: ClassVar = {"extra": EXTRA, "structure": STRUCTURE}
    structure: int

    def _prepare(self) -> None:
        basis = haar(self.dim_out, structure_rng(self.structure))
        self.matrix = basis[:, : self.dim_in]

    def _embed(self, values: Array) -> Array:
        result: Array = values @ self.matrix.T
        return result

    def _project(self, values: Array) -> Array:
        result: Array = values @ self.matrix
        return result


TRANSFORMS = (SwissRoll, Roll, Arc, Duplicate, Graph, Lift)
