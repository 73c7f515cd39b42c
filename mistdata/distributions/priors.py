"""Laws of scalar quantities: sample sizes, dimensions and parameters.

A prior says how often each value of a scalar occurs in a meta-dataset. It is data, not code: it
can be read from a recipe, compared, hashed and drawn from in bulk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Number = float | int
Drawn = Any  # one number for size=None, else an array


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform on [low, high]; for an integer quantity both ends are included."""

    low: Number
    high: Number

    def __post_init__(self) -> None:
        _require_ordered(self.low, self.high)

    def draw(
        self, rng: np.random.Generator, size: int | None = None, integer: bool = False
    ) -> Drawn:
        """Draw `size` values (one Python number for `None`)."""
        if integer:
            low, high = _whole(self.low), _whole(self.high)
            drawn = rng.integers(low, high, size=size, endpoint=True)
            return int(drawn) if size is None else drawn
        return self.low + (self.high - self.low) * rng.random(size)

    def support(self, integer: bool = False) -> tuple[Number, Number]:
        """Return the least and the greatest value that can be drawn."""
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Uniform in ln(value) on [low, high], 0 < low; integers are rounded down from [low, high+1).

    Density ∝ 1/value.
    """

    low: Number
    high: Number

    def __post_init__(self) -> None:
        _require_ordered(self.low, self.high)
        if self.low <= 0:
            raise ValueError(f"log_uniform needs 0 < low, got {self.low}")

    def draw(
        self, rng: np.random.Generator, size: int | None = None, integer: bool = False
    ) -> Drawn:
        """Draw `size` values (one Python number for `None`)."""
        low, high = (_whole(self.low), _whole(self.high) + 1) if integer else (self.low, self.high)
        log_low, log_high = math.log(low), math.log(high)
        # exp(log(.)) may round to just outside the range
        values = np.exp(log_low + (log_high - log_low) * rng.random(size))
        values = np.clip(values, self.low, self.high)
        if integer:
            values = np.floor(values).astype(np.int64)
        return values.item() if size is None else values

    def support(self, integer: bool = False) -> tuple[Number, Number]:
        """Return the least and the greatest value that can be drawn."""
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the listed values, numbers or words, each with the same probability."""

    values: tuple[Number | str, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("values must not be empty")

    def draw(
        self, rng: np.random.Generator, size: int | None = None, integer: bool = False
    ) -> Drawn:
        """Draw `size` values (one Python number for `None`)."""
        picked = rng.integers(len(self.values), size=size)
        if integer:
            values = np.array([_whole(float(value)) for value in self.values], dtype=np.int64)
        elif isinstance(self.values[0], str):
            values = np.array(self.values)
        else:
            values = np.array(self.values, dtype=np.float64)
        return values[picked].item() if size is None else values[picked]

    def support(self, integer: bool = False) -> tuple[Any, Any]:
        """Return the least and the greatest value that can be drawn."""
        return min(self.values), max(self.values)


Prior = Uniform | LogUniform | Choice


def _whole(value: Number) -> int:
    if value != int(value):
        raise ValueError(f"an integer quantity needs whole numbers, got {value}")
    return int(value)


def _require_ordered(low: Number, high: Number) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"a range needs finite low <= high, got [{low}, {high}]")
