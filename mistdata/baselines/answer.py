"""What an estimator answers: a number, and an interval or quantiles if it has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mistdata.distributions.priors import Array

LOWER, UPPER = 0.05, 0.95  # the ends of the 90 % interval
# Levels at which a baseline that has a whole distribution gives its quantiles.
LEVELS = (0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975)
_POINT = ("estimate", "median", "mi")  # what an answer may call its number


@dataclass(frozen=True, slots=True)
class Answer:
    """An estimate of one mutual information, in nats.

    Args:
        estimate: the number.
        lower, upper: ends of the 90 % interval; both or neither. Where they are left out and the
            quantiles reach from 5 to 95 %, they are read off these.
        levels: increasing, within (0, 1).
        quantiles: one per level.

    Raises:
        ValueError: a value is not finite, or the parts do not fit each other.
    """

    estimate: float
    lower: float | None = None
    upper: float | None = None
    levels: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _require_finite("estimate", self.estimate)
        _require_levels(self.levels, self.quantiles)
        if (self.lower is None) != (self.upper is None):
            raise ValueError("lower and upper must be given both or neither")
        if self.lower is None and self.levels:
            for name, level in (("lower", LOWER), ("upper", UPPER)):
                object.__setattr__(self, name, quantile_at(level, self.levels, self.quantiles))
        if self.lower is not None and self.upper is not None:
            _require_finite("lower", self.lower)
            _require_finite("upper", self.upper)


def quantile_at(level: float, levels: Sequence[float], quantiles: Sequence[float]) -> float | None:
    """Interpolate quantiles linearly between levels; None outside of them."""
    if not levels[0] - 1e-9 <= level <= levels[-1] + 1e-9:
        return None
    return float(np.interp(level, levels, quantiles))


def distribution_answer(estimate: float, draws: Array) -> Answer:
    """Answer with the quantiles of some draws, at `LEVELS`.

    Args:
        estimate: the number.
        draws: one-dimensional, nats.
    """
    return Answer(estimate, levels=LEVELS, quantiles=_floats(np.quantile(draws, LEVELS)))


def as_answer(returned: Any) -> Answer:
    """Read what an estimator returned.

    Args:
        returned: a number; a tuple (estimate, lower, upper), the 90 % interval; or an object with
            `estimate`, `median` or `mi`, and perhaps `levels` and `quantiles`, or `lower` and
            `upper`.

    Raises:
        TypeError: it is none of these.
        ValueError: see `Answer`.
    """
    if isinstance(returned, Answer):
        return returned
    if isinstance(returned, tuple) and not hasattr(returned, "_fields"):
        return _of_tuple([_number(each) for each in returned])
    for name in _POINT:
        if hasattr(returned, name):
            return _of_object(_number(getattr(returned, name)), returned)
    return Answer(_number(returned))


def mean_answer(answers: Sequence[Answer]) -> Answer:
    """Average answers, part by part; intervals and quantiles only where every answer has them.

    Raises:
        ValueError: answers at different levels.
    """
    levels = answers[0].levels
    if any(each.levels != levels for each in answers):
        raise ValueError("quantiles must be at the same levels from call to call")
    ends = [[e.lower, e.upper] for e in answers if e.lower is not None and e.upper is not None]
    lower, upper = _floats(np.mean(ends, axis=0)) if len(ends) == len(answers) else (None, None)
    quantiles = _floats(np.mean([each.quantiles for each in answers], axis=0)) if levels else ()
    return Answer(
        float(np.mean([each.estimate for each in answers])), lower, upper, levels, quantiles
    )


def _of_tuple(numbers: list[float]) -> Answer:
    if len(numbers) != 3:
        raise TypeError(f"expected (estimate, lower, upper), got {len(numbers)} numbers")
    return Answer(numbers[0], numbers[1], numbers[2])


def _of_object(estimate: float, returned: Any) -> Answer:
    levels = _floats(getattr(returned, "levels", ()))
    if levels:
        return Answer(estimate, levels=levels, quantiles=_floats(returned.quantiles))
    lower, upper = (getattr(returned, name, None) for name in ("lower", "upper"))
    if lower is None or upper is None:
        return Answer(estimate)
    return Answer(estimate, _number(lower), _number(upper))


def _number(value: Any) -> float:
    try:
        return float(np.asarray(value).item())  # not as float64: that makes None a NaN
    except (TypeError, ValueError):
        raise TypeError(f"an estimate must be one number, got {value!r:.80}") from None


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(np.asarray(values, dtype=np.float64).tolist())


def _require_finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"the {name} must be finite, got {value}")


def _require_levels(levels: tuple[float, ...], quantiles: tuple[float, ...]) -> None:
    if len(levels) != len(quantiles):
        raise ValueError(f"{len(levels)} levels, but {len(quantiles)} quantiles")
    if not all(0.0 < level < 1.0 for level in levels) or any(np.diff(levels) <= 0.0):
        raise ValueError(f"levels must increase within (0, 1), got {levels}")
    for value in quantiles:
        _require_finite("quantiles", value)
