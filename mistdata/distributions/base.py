"""What a family of joint distributions must provide.

A family is a subclass of `JointDistribution`; an instance is a member, with its dimensions and
parameters fixed. The subclass writes the mathematics (`_sample`, `_mutual_information`), the base
class writes the checks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

import numpy as np
from jaxtyping import Float

from mistdata.distributions.priors import Array, Choice, Number, Prior

Kind = Literal["continuous", "discrete", "mixed"]
Method = Literal["closed_form", "quadrature", "monte_carlo"]
Bound = Number | Callable[[int, int], Number]
Value = Number | tuple[Number, ...]
# typing.Self says the same, but the run-time shape checker of the tests does not read it
Member = TypeVar("Member", bound="JointDistribution")


@dataclass(frozen=True, slots=True)
class MI:
    """A mutual information in nats, with what is known of its error.

    Attributes:
        value: I(X;Y) in nats.
        error: bound on |value - I(X;Y)| (closed form, quadrature) or standard error (Monte Carlo).
        method: how the value was obtained.
    """

    value: float
    error: float
    method: Method

    @classmethod
    def closed_form(cls, value: float) -> MI:
        """Wrap a closed form evaluated in float64: its error is rounding, below 1e-12 (1 + I)."""
        return cls(value, 1e-12 * (1.0 + abs(value)), "closed_form")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a family, declared as data.

    Attributes:
        meaning: what it is, in the field's words.
        low, high: ends of the domain; a number or a function of (dim_x, dim_y).
        prior: the published law it is drawn from; a prior or a function of (dim_x, dim_y).
        closed: which ends belong to the domain: "", "low", "high" or "both".
        integer: whether it takes whole numbers only.
        per_coordinate: whether it is a tuple of dim_x values rather than one.
        unit: its unit; "1" for a pure number.
    """

    meaning: str
    low: Bound
    high: Bound
    prior: Prior | Callable[[int, int], Prior]
    closed: Literal["", "low", "high", "both"] = ""
    integer: bool = False
    per_coordinate: bool = False
    unit: str = "1"

    def domain(self, dim_x: int, dim_y: int) -> tuple[Number, Number]:
        """Return the ends of the domain at these dimensions."""
        low = self.low(dim_x, dim_y) if callable(self.low) else self.low
        high = self.high(dim_x, dim_y) if callable(self.high) else self.high
        return low, high

    def published_prior(self, dim_x: int, dim_y: int) -> Prior:
        """Return the published prior at these dimensions."""
        return self.prior(dim_x, dim_y) if callable(self.prior) else self.prior

    def contains(self, value: Number, dim_x: int, dim_y: int) -> bool:
        """Tell whether a value lies in the domain at these dimensions."""
        low, high = self.domain(dim_x, dim_y)
        above = value >= low if self.closed in {"low", "both"} else value > low
        below = value <= high if self.closed in {"high", "both"} else value < high
        return above and below and not (self.integer and value != int(value))

    def describe_domain(self, dim_x: int, dim_y: int) -> str:
        """Write the domain as an interval, e.g. ``(0, 1)`` or ``{1, ..., 5}``."""
        low, high = self.domain(dim_x, dim_y)
        if self.integer:
            return f"{{{low:g}, ..., {high:g}}}"
        left = "[" if self.closed in {"low", "both"} else "("
        right = "]" if self.closed in {"high", "both"} else ")"
        return f"{left}{low:g}, {high:g}{right}"


class JointDistribution(ABC):
    """A joint distribution of X in R^dim_x and Y in R^dim_y with known mutual information.

    Args:
        dim_x: dimension of X.
        dim_y: dimension of Y.
        **theta: a value for every entry of `parameters`; each becomes an attribute.

    Raises:
        TypeError: a parameter is missing, unknown or not a number.
        ValueError: unsupported dimensions, or a value outside its domain.
    """

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, Parameter]]
    x_kind: ClassVar[Kind] = "continuous"
    y_kind: ClassVar[Kind] = "continuous"
    formula: ClassVar[str]
    source: ClassVar[str]

    def __init__(self, dim_x: int, dim_y: int, **theta: Value) -> None:
        if not self.supports(dim_x, dim_y):
            raise ValueError(f"{self.name}: unsupported dimensions dim_x={dim_x}, dim_y={dim_y}")
        if theta.keys() != self.parameters.keys():
            raise TypeError(
                f"{self.name}: needs the parameters {sorted(self.parameters)}, got {sorted(theta)}"
            )
        self.dim_x = dim_x
        self.dim_y = dim_y
        self.theta = {key: self._checked(key, value) for key, value in theta.items()}
        for key, value in self.theta.items():
            setattr(self, key, value)

    @classmethod
    def supports(cls, dim_x: int, dim_y: int) -> bool:
        """Tell whether the family has members of these dimensions."""
        return dim_x >= 1 and dim_y >= 1

    @classmethod
    def draw(
        cls: type[Member],
        dim_x: int,
        dim_y: int,
        rng: np.random.Generator,
        **ranges: Prior | Number,
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
        unknown = ranges.keys() - cls.parameters.keys()
        if unknown:
            raise TypeError(f"{cls.name}: has no parameter {sorted(unknown)[0]}")
        theta: dict[str, Value] = {}
        for key, parameter in cls.parameters.items():
            prior = ranges.get(key)
            if prior is None:
                prior = parameter.published_prior(dim_x, dim_y)
            elif isinstance(prior, (int, float)):
                prior = Choice((prior,))
            drawn = prior.draw(rng, dim_x if parameter.per_coordinate else None, parameter.integer)
            theta[key] = tuple(drawn.tolist()) if parameter.per_coordinate else drawn
        return cls(dim_x, dim_y, **theta)

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

    def mutual_information(self) -> MI:
        """Return I(X;Y) in nats with its error and method.

        Raises:
            FloatingPointError: the value is not a finite number >= 0.
        """
        mi = self._mutual_information()
        if not (math.isfinite(mi.value) and mi.value >= 0.0):
            raise FloatingPointError(f"{self!r}: mutual information is {mi.value}")
        return mi

    def pointwise_mutual_information(
        self, x: Float[Array, "n dim_x"], y: Float[Array, "n dim_y"]
    ) -> Float[Array, " n"]:
        """Return ln p(x,y) - ln p(x) - ln p(y) for every row, in nats; its mean is I(X;Y).

        Raises:
            NotImplementedError: the family has no tractable density.
        """
        raise NotImplementedError(f"{self.name}: no pointwise mutual information")

    @abstractmethod
    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw x (n, dim_x) and y (n, dim_y) in float64."""

    @abstractmethod
    def _mutual_information(self) -> MI:
        """Compute I(X;Y)."""

    def _checked(self, key: str, value: Value) -> Value:
        parameter = self.parameters[key]
        if not parameter.per_coordinate:
            return self._checked_scalar(key, parameter, value)
        if not isinstance(value, tuple) or len(value) != self.dim_x:
            raise TypeError(f"{self.name}: {key} must be a tuple of {self.dim_x} numbers")
        return tuple(self._checked_scalar(key, parameter, each) for each in value)

    def _checked_scalar(self, key: str, parameter: Parameter, value: Value) -> Number:
        if isinstance(value, (bool, tuple)) or not isinstance(value, (int, float, np.number)):
            raise TypeError(f"{self.name}: {key} must be a number, got {value!r}")
        if not parameter.contains(value, self.dim_x, self.dim_y):
            domain = parameter.describe_domain(self.dim_x, self.dim_y)
            raise ValueError(f"{self.name}: {key} must lie in {domain}, got {value}")
        return int(value) if parameter.integer else float(value)

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
