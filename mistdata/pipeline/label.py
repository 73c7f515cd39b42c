"""The label of a dataset: its mutual information, how exact that is, and a second opinion.

The second opinion is the mean of the pointwise mutual information over fresh draws of the member,
64 of them (4,096 in a strict split), from a stream of their own. One such value says little; a
million of them, in `mi_check`, leave no room for a wrong constant.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np

from mistdata.distributions.base import JointDistribution, Precision
from mistdata.distributions.combine import Transformed, describe

DRAWS = 64
STRICT_DRAWS = 4096


@dataclass(frozen=True, slots=True)
class Label:
    """What is true of one dataset; the columns of the catalog of the same names.

    Attributes:
        mi: I(X;Y) in nats.
        mi_error: bound on its error, or standard error; see `mi_error_kind`.
        mi_error_kind, mi_method: what the error is; how the value was obtained.
        mi_check: Monte Carlo estimate of I(X;Y), None where there is no density.
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


def make_label(member: JointDistribution, n: int, strict: bool, rng: np.random.Generator) -> Label:
    """Compute the label of a sample of n rows.

    Raises:
        ArithmeticError: the information cannot be had as exactly as a label must be.
    """
    seen = member.parts[0] if isinstance(member, Transformed) else member
    precision = Precision(n, strict)
    mi = seen.mutual_information(precision)
    check, deviation = _second_opinion(seen, STRICT_DRAWS if strict else DRAWS, rng)
    deviation = deviation if mi.pmi_std is None else mi.pmi_std
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
) -> tuple[float | None, float | None]:
    """Return mean and standard deviation of the pointwise MI over fresh draws."""
    if not member.has_density:
        return None, None
    pointwise = member.pointwise_mutual_information(*member.sample(draws, rng))
    if not np.isfinite(pointwise).all():
        raise ArithmeticError(f"{member!r}: draws outside the support of its own density")
    mean = float(pointwise.sum()) / draws
    return mean, math.sqrt(float(((pointwise - mean) ** 2).sum()) / (draws - 1))
