"""What a family of joint distributions must provide.

A family is a subclass of `JointDistribution`; an instance is a member, with its dimensions and
parameters fixed. The subclass writes the mathematics (`_sample`, `_mutual_information`,
`_pointwise`), the base class writes the checks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from jaxtyping import Float

from mistdata.distributions.injections import Injection, Tabulated
from mistdata.distributions.parameters import (
    Parametrised,
    Range,
    Value,
    check_theta,
    draw_theta,
)
from mistdata.distributions.priors import Array

Kind = Literal["continuous", "discrete", "mixed"]
Method = Literal["closed_form", "series", "quadrature", "rqmc", "monte_carlo"]
ErrorKind = Literal["exact", "special_function", "quad_halving", "series_tail", "rqmc_se", "mc_se"]
# typing.Self says the same, but the run-time shape checker of the tests does not read it
Member = TypeVar("Member", bound="JointDistribution")
ROUNDING = 1e-12
_TABULATED = 4096  # rows of the sample that stands for an unknown distribution function


@dataclass(frozen=True, slots=True)
class MI:
    """A mutual information in nats, with what is known of its error.

    Attributes:
        value: I(X;Y) in nats.
        error: bound on |value - I(X;Y)|, or a standard error where `error_kind` ends in "_se".
        method: how the value was obtained.
        error_kind: what `error` is: rounding of an elementary ("exact") or special function, the
            change when the step of a quadrature is halved, the tail of a series, or a standard
            error of randomised quasi-Monte Carlo or of Monte Carlo.
        pmi_std: standard deviation of ln p(x,y)/(p(x)p(y)) over the distribution, where the
            method yields it; `pmi_std`/√n is what even an oracle that knows the density errs by.
    """

    value: float
    error: float
    method: Method
    error_kind: ErrorKind = "exact"
    pmi_std: float | None = None

    @classmethod
    def closed_form(
        cls, value: float, pmi_std: float | None = None, *, special: bool = False
    ) -> MI:
        """Wrap a closed form evaluated in float64: its error is rounding, below 1e-12 (1 + I).

        Args:
            value: I(X;Y) in nats.
            pmi_std: standard deviation of the pointwise MI, where it is known in closed form.
            special: whether special functions beyond exp and log take part.
        """
        kind: ErrorKind = "special_function" if special else "exact"
        return cls(value, ROUNDING * (1.0 + abs(value)), "closed_form", kind, pmi_std)


@dataclass(frozen=True, slots=True)
class Precision:
    """How exact a label must be: for which sample size, and whether for a test split.

    Attributes:
        n: rows of the sample that will carry the label.
        strict: ten times tighter, for test splits.
    """

    n: int = 1000
    strict: bool = False

    def allowed(self, mi: float, pmi_std: float | None) -> float:
        """Return the largest error that a label may have.

        That is 5 % of the oracle's standard error `pmi_std`/√n, and at most 1e-3 (1 + I); a
        tenth of it when strict. Rounding, 1e-11 (1 + I), is always allowed.
        """
        bound = 1e-3 * (1.0 + mi)
        if pmi_std is not None:
            bound = min(bound, 0.05 * pmi_std / math.sqrt(self.n))
        return max(bound * (0.1 if self.strict else 1.0), 10.0 * ROUNDING * (1.0 + mi))


@dataclass(frozen=True, slots=True)
class Shape:
    """Which (dim_x, dim_y) a family has members of.

    Attributes:
        x, y: least and greatest dimension of a side; None for no limit.
        equal: whether dim_x = dim_y.
    """

    x: tuple[int, int | None] = (1, None)
    y: tuple[int, int | None] = (1, None)
    equal: bool = False

    def allows(self, dim_x: int, dim_y: int) -> bool:
        """Tell whether there are members of these dimensions."""
        return (dim_x, dim_y) == self.nearest(dim_x, dim_y)

    def nearest(self, dim_x: int, dim_y: int) -> tuple[int, int]:
        """Return dimensions near these that have members."""
        if self.equal:
            dim_x = dim_y = min(dim_x, dim_y)
        return _clamp(dim_x, *self.x), _clamp(dim_y, *self.y)

    def __str__(self) -> str:
        if self.equal:
            return f"d × d, d {_limits(*self.x)}" if self.x != (1, None) else "d × d"
        side_x, side_y = (_side(*side) for side in (self.x, self.y))
        return "any" if side_x == side_y == "any" else f"{side_x} × {side_y}"


ONE_BY_ONE = Shape((1, 1), (1, 1))


class JointDistribution(Parametrised, ABC):
    """A joint distribution of X in R^dim_x and Y in R^dim_y with known mutual information.

    Args:
        dim_x: dimension of X.
        dim_y: dimension of Y.
        **theta: a value for every entry of `parameters`; each becomes an attribute.

    Raises:
        TypeError: a parameter is missing, unknown or not a number.
        ValueError: unsupported dimensions, or a value outside its domain.
    """

    shape: ClassVar[Shape] = Shape()
    x_kind: ClassVar[Kind] = "continuous"
    y_kind: ClassVar[Kind] = "continuous"
    formula: ClassVar[str]
    source: ClassVar[str]
    theta: Mapping[str, Any]

    def __init__(self, dim_x: int, dim_y: int, **theta: Value) -> None:
        if not self.supports(dim_x, dim_y):
            raise ValueError(f"{self.name}: unsupported dimensions dim_x={dim_x}, dim_y={dim_y}")
        self.dim_x = dim_x
        self.dim_y = dim_y
        self.theta = check_theta(type(self), (dim_x, dim_y), theta)
        for key, value in self.theta.items():
            setattr(self, key, value)
        self._prepare()

    @classmethod
    def supports(cls, dim_x: int, dim_y: int) -> bool:
        """Tell whether the family has members of these dimensions."""
        return cls.shape.allows(dim_x, dim_y)

    @classmethod
    def draw(
        cls: type[Member],
        dim_x: int,
        dim_y: int,
        rng: np.random.Generator,
        **ranges: Range,
    ) -> Member:
        """Draw a member: every parameter from its range, or from its published prior.

        Args:
            dim_x: dimension of X.
            dim_y: dimension of Y.
            rng: source of randomness.
            **ranges: a prior, or a fixed value, for any of `parameters`.

        Raises:
            TypeError: a range for a parameter that the family does not have.
            ValueError: a drawn value lies outside the parameter's domain.
        """
        return cls(dim_x, dim_y, **draw_theta(cls, (dim_x, dim_y), rng, ranges))

    def sample(
        self, n: int, rng: np.random.Generator
    ) -> tuple[Float[Array, "n dim_x"], Float[Array, "n dim_y"]]:
        """Draw n independent rows.

        Args:
            n: number of rows, at least 1.
            rng: source of randomness.

        Returns:
            x of shape (n, dim_x) and y of shape (n, dim_y), float64 and finite.

        Raises:
            ValueError: n < 1.
            FloatingPointError: the sampler produced a NaN or an infinity.
        """
        if n < 1:
            raise ValueError(f"{self.name}: n must be at least 1, got {n}")
        x, y = self._sample(n, rng)
        assert x.shape == (n, self.dim_x)
        assert y.shape == (n, self.dim_y)
        if not _all_finite(x, y):
            raise FloatingPointError(f"{self!r}: the sample holds a NaN or an infinity")
        return x, y

    def mutual_information(self, precision: Precision | None = None) -> MI:
        """Return I(X;Y) in nats with its error and method.

        Args:
            precision: how exact the value must be; only members without a closed form look at
                it, and spend more work for more of it.

        Raises:
            FloatingPointError: the value is not a finite number >= 0.
        """
        mi = self._information_to(precision or Precision())
        if not (math.isfinite(mi.value) and mi.value >= 0.0):
            raise FloatingPointError(f"{self!r}: mutual information is {mi.value}")
        return mi

    @property
    def has_density(self) -> bool:
        """Whether `pointwise_mutual_information` is there."""
        return type(self)._pointwise is not JointDistribution._pointwise

    def pointwise_mutual_information(
        self, x: Float[Array, "n dim_x"], y: Float[Array, "n dim_y"]
    ) -> Float[Array, " n"]:
        """Return ln p(x,y) - ln p(x) - ln p(y) for every row, in nats; its mean is I(X;Y).

        Where a side is discrete, p are probabilities. A point that rounding to single precision
        has carried out of the support counts as one on its edge.

        Raises:
            NotImplementedError: the family has no tractable density.
            ValueError: x and y do not have the member's dimensions or differ in length.
        """
        if x.shape[1] != self.dim_x or y.shape[1] != self.dim_y or len(x) != len(y):
            raise ValueError(
                f"{self.name}: expected x (n, {self.dim_x}) and y (n, {self.dim_y}), got"
                f" {x.shape} and {y.shape}"
            )
        pointwise = self._pointwise(np.asarray(x, np.float64), np.asarray(y, np.float64))
        assert pointwise.shape == (len(x),)
        return pointwise

    def injection(self, side: Literal["x", "y"]) -> Injection:
        """Return an injective map of one side to normal scores, by the member's own law.

        Args:
            side: "x" or "y".

        Raises:
            ValueError: the side is not continuous: no such map exists.
        """
        kind = self.x_kind if side == "x" else self.y_kind
        if kind != "continuous":
            raise ValueError(
                f"{self.name}: {side.upper()} is {kind}; only a continuous side can be brought to"
                " normal scores"
            )
        return self._injection(side)

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        """Return the injection of a continuous side; by a sample, unless a family knows better."""
        x, y = self.sample(_TABULATED, np.random.default_rng(0))
        return Tabulated(x if side == "x" else y)

    def _prepare(self) -> None:
        """Compute what sampling and information share, once the parameters are set."""

    @abstractmethod
    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw x (n, dim_x) and y (n, dim_y) in float64."""

    @abstractmethod
    def _mutual_information(self) -> MI:
        """Compute I(X;Y)."""

    def _information_to(self, precision: Precision) -> MI:
        """Compute I(X;Y) as exactly as asked for; most members know it exactly anyway."""
        return self._mutual_information()

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Compute the pointwise mutual information of float64 rows."""
        raise NotImplementedError(f"{self.name}: no pointwise mutual information")

    def __repr__(self) -> str:
        theta = ", ".join(f"{key}={value!r}" for key, value in self.theta.items())
        comma = ", " if theta else ""
        return f"{type(self).__name__}(dim_x={self.dim_x}, dim_y={self.dim_y}{comma}{theta})"


def _all_finite(x: Array, y: Array) -> bool:
    """Tell whether both sides are free of NaN and infinity."""
    block = x.base
    # views of one finite contiguous block are finite, and one contiguous pass is faster than two
    if block is not None and block is y.base and block.size == x.size + y.size:
        return bool(np.isfinite(block).all())
    return bool(np.isfinite(x).all() and np.isfinite(y).all())


def _clamp(value: int, low: int, high: int | None) -> int:
    return max(low, value if high is None else min(value, high))


def _limits(low: int, high: int | None) -> str:
    if high is None:
        return f"≥ {low}"
    return f"= {low}" if low == high else f"= {low}..{high}"


def _side(low: int, high: int | None) -> str:
    if (low, high) == (1, None):
        return "any"
    return str(low) if low == high else _limits(low, high).replace("= ", "")
