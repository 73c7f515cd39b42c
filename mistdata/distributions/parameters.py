"""Parameters declared as data, and what owns them: families of distributions and maps.

A parameter says its meaning, its domain and the law it is drawn from; the owner checks every
value against it. Nothing is written twice: recipes, tests and documentation read the declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from mistdata.distributions.priors import Choice, Number, Prior, Uniform

Bound = Number | Callable[[int, int], Number]
Value = Number | str | tuple[Number, ...]
Range = Prior | Number | str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, declared as data.

    Attributes:
        meaning: what it is, in the field's words.
        low, high: ends of the domain; a number or a function of (dim_x, dim_y).
        prior: the law it is drawn from unless a recipe says otherwise; a prior or a function of
            (dim_x, dim_y).
        closed: which ends belong to the domain: "", "low", "high" or "both".
        integer: whether it takes whole numbers only.
        per: "" for one value, "x" for a tuple of dim_x values, "y" for one of dim_y.
        unit: its unit; "1" for a pure number.
        names: the words it chooses from, when it is not a number.
        reason: why the ends that do not belong to the domain are left out.
    """

    meaning: str
    low: Bound
    high: Bound
    prior: Prior | Callable[[int, int], Prior]
    closed: Literal["", "low", "high", "both"] = ""
    integer: bool = False
    per: Literal["", "x", "y"] = ""
    unit: str = "1"
    names: tuple[str, ...] = ()
    reason: str = ""

    @classmethod
    def named(cls, meaning: str, names: tuple[str, ...]) -> Parameter:
        """Declare a choice between words, each as likely as the others."""
        return cls(meaning, 0, len(names) - 1, Choice(names), closed="both", names=names)

    def domain(self, dim_x: int, dim_y: int) -> tuple[Number, Number]:
        """Return the ends of the domain at these dimensions."""
        low = self.low(dim_x, dim_y) if callable(self.low) else self.low
        high = self.high(dim_x, dim_y) if callable(self.high) else self.high
        return low, high

    def published_prior(self, dim_x: int, dim_y: int) -> Prior:
        """Return the prior at these dimensions."""
        return self.prior(dim_x, dim_y) if callable(self.prior) else self.prior

    def contains(self, value: Any, dim_x: int, dim_y: int) -> bool:
        """Tell whether a value lies in the domain at these dimensions."""
        if self.names or isinstance(value, str):
            return value in self.names
        low, high = self.domain(dim_x, dim_y)
        above = value >= low if self.closed in {"low", "both"} else value > low
        below = value <= high if self.closed in {"high", "both"} else value < high
        return bool(above and below and not (self.integer and value != int(value)))

    def describe_domain(self, dim_x: int, dim_y: int) -> str:
        """Write the domain as an interval, e.g. ``(0, 1)``, ``{1, ..., 5}`` or ``{a, b}``."""
        if self.names:
            return f"{{{', '.join(self.names)}}}"
        low, high = self.domain(dim_x, dim_y)
        if self.integer:
            return f"{{{low:.10g}, ..., {high:.10g}}}"
        left = "[" if self.closed in {"low", "both"} else "("
        right = "]" if self.closed in {"high", "both"} else ")"
        return f"{left}{low:g}, {high:g}{right}"

    def count(self, dim_x: int, dim_y: int) -> int | None:
        """Return how many values it takes; None for a single one."""
        return {"": None, "x": dim_x, "y": dim_y}[self.per]


STRUCTURE = Parameter(
    "seed of the member's own generator, which draws its matrices",
    low=0,
    high=2**32 - 1,
    closed="both",
    integer=True,
    prior=Uniform(0, 2**32 - 1),
)


def structure_rng(structure: int) -> np.random.Generator:
    """Open the member's own generator: the same seed gives the same matrices."""
    return np.random.Generator(np.random.Philox(structure))


class Parametrised:
    """What has parameters: a name, and a declaration of each."""

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, Parameter]] = {}


def check_theta(
    owner: type[Parametrised], dims: tuple[int, int], theta: Mapping[str, Any]
) -> dict[str, Any]:
    """Check a value for every parameter of an owner at these dimensions.

    Raises:
        TypeError: a parameter is missing, unknown or of the wrong type.
        ValueError: a value outside its domain.
    """
    declared = owner.parameters
    if theta.keys() != declared.keys():
        raise TypeError(
            f"{owner.name}: needs the parameters {sorted(declared)}, got {sorted(theta)}"
        )
    return {key: _checked(owner.name, key, declared[key], dims, theta[key]) for key in declared}


def draw_theta(
    owner: type[Parametrised],
    dims: tuple[int, int],
    rng: np.random.Generator,
    ranges: Mapping[str, Range],
) -> dict[str, Any]:
    """Draw every parameter of an owner from its range, or from its published prior.

    Raises:
        TypeError: a range for a parameter that the owner does not have.
    """
    unknown = ranges.keys() - owner.parameters.keys()
    if unknown:
        raise TypeError(f"{owner.name}: has no parameter {sorted(unknown)[0]}")
    theta: dict[str, Any] = {}
    for key, parameter in owner.parameters.items():
        given = ranges.get(key)
        if given is None:
            prior = parameter.published_prior(*dims)
        else:
            prior = Choice((given,)) if isinstance(given, int | float | str) else given
        count = parameter.count(*dims)
        drawn = prior.draw(rng, count, parameter.integer)
        theta[key] = drawn if count is None else tuple(drawn.tolist())
    return theta


def _checked(name: str, key: str, parameter: Parameter, dims: tuple[int, int], value: Any) -> Any:
    count = parameter.count(*dims)
    if count is None:
        return _checked_one(name, key, parameter, dims, value)
    if not isinstance(value, tuple) or len(value) != count:
        raise TypeError(f"{name}: {key} must be a tuple of {count} numbers")
    return tuple(_checked_one(name, key, parameter, dims, each) for each in value)


def _checked_one(
    name: str, key: str, parameter: Parameter, dims: tuple[int, int], value: Any
) -> Any:
    legal = (str,) if parameter.names else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, legal):
        noun = "word" if parameter.names else "number"
        raise TypeError(f"{name}: {key} must be a {noun}, got {value!r}")
    if not parameter.contains(value, *dims):
        domain = parameter.describe_domain(*dims)
        reason = f"; {parameter.reason}" if parameter.reason else ""
        raise ValueError(f"{name}: {key} must lie in {domain}, got {value}{reason}")
    if parameter.names:
        return value
    return int(value) if parameter.integer else float(value)
