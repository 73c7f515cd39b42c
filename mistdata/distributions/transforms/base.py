"""What an injective map of one side must provide.

I(f(X); g(Y)) = I(X;Y) for injective f and g, also where they add columns: no density is needed.
In the numbers that are stored the information stays only as long as single precision keeps the
mapped values apart, so that a map refuses what it would overflow or saturate.

A map is a subclass of `Transform`; an instance has its number of columns, its side and its
parameters fixed. The subclass writes the mathematics (`_forward`, `_inverse`), the base class
writes the checks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from jaxtyping import Float

from mistdata.distributions.parameters import (
    Parametrised,
    Range,
    Value,
    check_theta,
    draw_theta,
)
from mistdata.distributions.priors import Array, Prior

Side = Literal["x", "y"]
# typing.Self says the same, but the run-time shape checker of the tests does not read it
Map = TypeVar("Map", bound="Transform")
GREATEST_SINGLE = float(np.finfo(np.float32).max)
LEAST_SINGLE = float(np.finfo(np.float32).tiny)  # below, single precision loses digits


class Transform(Parametrised, ABC):
    """An injective map of X alone or of Y alone, which leaves I(X;Y) unchanged.

    Args:
        dim_out: number of columns that the map returns, at least `least_dim`.
        side: the side it is applied to, "x" or "y"; some maps differ between them.
        **theta: a value for every entry of `parameters`; each becomes an attribute.

    Raises:
        TypeError: a parameter is missing, unknown or not a number.
        ValueError: an unknown side, too few columns, or a value outside its domain.
    """

    formula: ClassVar[str]
    least_dim: ClassVar[int] = 1
    theta: Mapping[str, Any]

    def __init__(self, dim_out: int, side: Side, **theta: Value) -> None:
        if side not in ("x", "y"):
            raise ValueError(f"{self.name}: side must be 'x' or 'y', got {side!r}")
        self._require_columns(dim_out)
        self.dim_out = dim_out
        self.side = side
        self.theta = check_theta(type(self), (dim_out, dim_out), theta)
        for key, value in self.theta.items():
            setattr(self, key, value)
        self._prepare()

    @classmethod
    def draw(
        cls: type[Map], dim_out: int, side: Side, rng: np.random.Generator, **ranges: Range
    ) -> Map:
        """Draw a map: every parameter from its range, or from its published prior.

        Args:
            dim_out: number of columns that the map returns.
            side: the side it is applied to.
            rng: source of randomness.
            **ranges: a prior, or a fixed value, for any of `parameters`.

        Raises:
            TypeError: a range for a parameter that the map does not have.
            ValueError: too few columns, or a drawn value outside the parameter's domain.
        """
        cls._require_columns(dim_out)
        return cls(dim_out, side, **draw_theta(cls, (dim_out, dim_out), rng, ranges))

    @classmethod
    def dims_in(cls, dim_out: int, ranges: Mapping[str, Prior]) -> tuple[int, int]:
        """Return the fewest and the most columns that a map drawn from these ranges takes."""
        return dim_out, dim_out

    @property
    def dim_in(self) -> int:
        """Number of columns that the map takes."""
        return self.dim_out

    def forward(self, values: Float[Array, "n dim_in"]) -> Float[Array, "n dim_out"]:
        """Map rows of one side, which are left as they are; the result is float64.

        Raises:
            ValueError: another number of columns, or values that the map, followed by rounding
                to single precision, could not keep apart.
        """
        return self._forward(self._checked(values, self.dim_in))

    def inverse(self, values: Float[Array, "n dim_out"]) -> Float[Array, "n dim_in"]:
        """Undo `forward`, also after rounding to single precision; the rows are left as they are.

        Raises:
            ValueError: another number of columns, or values outside the map's range.
        """
        return self._inverse(self._checked(values, self.dim_out))

    @classmethod
    def _require_columns(cls, dim_out: int) -> None:
        if dim_out < cls.least_dim:
            raise ValueError(
                f"{cls.name}: needs dim_out of at least {cls.least_dim}, got {dim_out}"
            )

    def _checked(self, values: Array, columns: int) -> Array:
        # contiguous: vectorised functions may differ in the last bit on strided rows
        values = np.ascontiguousarray(values, np.float64)
        if values.ndim != 2 or values.shape[1] != columns:
            raise ValueError(f"{self.name}: expected values (n, {columns}), got {values.shape}")
        return values

    def _within_single(self, result: Array) -> Array:
        """Return a result, once it is known to stay finite in single precision."""
        if not np.abs(result).max(initial=0.0) <= GREATEST_SINGLE:
            raise ValueError(f"{self.name}: the result must stay finite in single precision")
        return result

    def _prepare(self) -> None:
        """Compute what `_forward` and `_inverse` share, once the parameters are set."""

    @abstractmethod
    def _forward(self, values: Array) -> Array:
        """Map contiguous float64 rows, without writing into them."""

    @abstractmethod
    def _inverse(self, values: Array) -> Array:
        """Undo `_forward`, without writing into the values."""

    def __repr__(self) -> str:
        theta = "".join(f", {key}={value!r}" for key, value in self.theta.items())
        return f"{type(self).__name__}(dim_out={self.dim_out}, side={self.side!r}{theta})"
