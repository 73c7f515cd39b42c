"""The label of a dataset: its mutual information, how exact that is, and a second opinion.

The second opinion is the mean of the pointwise mutual information over draws of the member: 1,024
fresh ones in a strict split; elsewhere 64, the sample's own where it has as many, for every 16th
distribution and wherever only the draws yield `pmi_std`. One such value says little; the tens of
thousands of a large store, in `mi_check`, leave no room for a wrong constant.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mistdata.distributions.base import JointDistribution, Precision
from mistdata.distributions.combine import describe, latent
from mistdata.distributions.priors import Array

Rows = tuple[Array, Array]
DRAWS, STRICT_DRAWS = 64, 1024
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
        mi_loss_bound: nats that a flow and rounding may have lost, see
            `mistdata.flows.certificate`; None where no flow was applied, or nothing is known.
        roundtrip_max: largest error of a latent that is recovered from what is stored.
    """

    mi: float
    mi_error: float
    mi_error_kind: str
    mi_method: str
    mi_check: float | None
    pmi_std: float | None
    params: str
    mi_loss_bound: float | None = None
    roundtrip_max: float | None = None


def make_label(
    member: JointDistribution,
    precision: Precision,
    draws: Callable[[int], Rows],
    *,
    checked: bool,
) -> Label:
    """Compute the label of a sample.

    Args:
        member: the distribution.
        precision: how exact the label must be.
        draws: gives so many rows of the member behind its maps, for the second opinion.
        checked: whether to take a second opinion also where nothing else needs it.

    Raises:
        ArithmeticError: the information cannot be had as exactly as a label must be.
    """
    seen = latent(member)
    mi = seen.mutual_information(precision)
    check, deviation = None, mi.pmi_std
    if (checked or deviation is None) and seen.has_density:
        rows = draws(STRICT_DRAWS if precision.strict else DRAWS)
        check, seen_deviation = _second_opinion(seen, *rows)
        deviation = seen_deviation if deviation is None else deviation
    allowed = precision.allowed(mi.value, deviation)
    if mi.error > allowed:
        hint = "; strict = false in its split allows ten times as much" if precision.strict else ""
        raise ArithmeticError(
            f"the mutual information {mi.value:.6g} of {member!r} has the error {mi.error:.2g}"
            f" ({mi.error_kind}), at most {allowed:.2g} is allowed{hint}"
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


def _second_opinion(member: JointDistribution, x: Array, y: Array) -> tuple[float, float]:
    """Return mean and standard deviation of the pointwise MI over draws."""
    pointwise = member.pointwise_mutual_information(x, y)
    if not np.isfinite(pointwise).all():
        raise ArithmeticError(f"{member!r}: draws outside the support of its own density")
    mean = float(pointwise.sum()) / len(pointwise)
    return mean, math.sqrt(float(((pointwise - mean) ** 2).sum()) / (len(pointwise) - 1))
