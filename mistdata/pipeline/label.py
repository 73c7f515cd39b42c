"""The label of a dataset: its mutual information, how exact that is, and a second opinion.

The second opinion is the mean of the pointwise mutual information over fresh draws of the member,
from a stream of their own: 4,096 in a strict split; elsewhere 64, for every 16th distribution
and wherever only the draws yield `pmi_std`. One such value says little; the tens of thousands of a
large store, in `mi_check`, leave no room for a wrong constant.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mistdata.distributions.base import JointDistribution, Precision
from mistdata.distributions.combine import Transformed, describe

DRAWS, STRICT_DRAWS = 64, 4096
CHECKED_EVERY = 16


@dataclass(frozen=True, slots=True)
class Label:
    """What is true of one dataset; the columns of the catalog of the same names.

    Attributes:
        mi: I(X;Y) in nats.
        mi_error: bound on its error, or standard error; see `mi_error_kind`.
        mi_error_kind, mi_method: what the error is; how the value was obtained.
        mi_check: Monte Carlo estimate of I(X;Y), None where there is none.
        pmi_std: standard deviation of the pointwise mutual information: by the method itself, or
            from the draws; None where there is no density.
        params: the member's parameters as JSON.
    """

    mi: float
    mi_error: float
    mi_error_kind: str
    mi_method: str
    mi_check: float | None
    pmi_std: float | None
    params: str


def make_label(
    member: JointDistribution,
    n: int,
    strict: bool,
    checked: bool,
    stream: Callable[[], np.random.Generator],
) -> Label:
    """Compute the label of a sample of n rows.

    Args:
        member: the distribution.
        n: rows of the sample.
        strict: whether it is for a test split, ten times as exact.
        checked: whether to draw a second opinion also where nothing else needs it.
        stream: opens the random stream of the second opinion.

    Raises:
        ArithmeticError: the information cannot be had as exactly as a label must be.
    """
    seen = member.parts[0] if isinstance(member, Transformed) else member
    precision = Precision(n, strict)
    mi = seen.mutual_information(precision)
    check, deviation = None, mi.pmi_std
    if (strict or checked or deviation is None) and seen.has_density:
        check, seen_deviation = _second_opinion(seen, STRICT_DRAWS if strict else DRAWS, stream())
        deviation = seen_deviation if deviation is None else deviation
    allowed = precision.allowed(mi.value, deviation)
    if mi.error > allowed:
        raise ArithmeticError(
            f"the mutual information {mi.value:.6g} of {member!r} has the error {mi.error:.2g}"
            f" ({mi.error_kind}), at most {allowed:.2g} is allowed"
        )
    return Label(
        mi.value,
        mi.error,
        mi.error_kind,
        mi.method,
        check,
        deviation,
        json.dumps(describe(member)),
    )


def _second_opinion(
    member: JointDistribution, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return mean and standard deviation of the pointwise MI over fresh draws."""
    pointwise = member.pointwise_mutual_information(*member.sample(draws, rng))
    if not np.isfinite(pointwise).all():
        raise ArithmeticError(f"{member!r}: draws outside the support of its own density")
    mean = float(pointwise.sum()) / draws
    return mean, math.sqrt(float(((pointwise - mean) ** 2).sum()) / (draws - 1))
