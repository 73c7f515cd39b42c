"""The certificate: stored rows keep their mutual information, shown on the rows themselves.

Let (x, y) be the rows of the member, u and v what is stored of them, r(u) and s(v) what the
inverse maps recover in float64, and i(x, y) the known pointwise mutual information. From above,
I(u; v) ≤ I(x; y), by data processing. From below, by the bound of Barber and Agakov with the
unnormalised critic exp i(r(u), s(v)),

    I(u; v) ≥ I(x; y) + E[Δ] - ln E[e^D],
    Δ = i(r(u), s(v)) - i(x, y),    D = i(r(u), s(v)) - i(x, s(v)),

as E[exp i(x, y')] over the law of X is 1 for every y'. Both corrections are of the order of the
round trip's error, so the bound has no ceiling of ln n. The expectation of e^D, over X given the
recovered Y, is taken over the paired rows; three standard errors are added to the loss, as the
means are over the rows that there are.

References:
    The IM algorithm (Barber and Agakov, 2003), NeurIPS 16.
    On variational bounds of mutual information (Poole et al., 2019), arXiv 1905.06922.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mistdata.distributions.base import JointDistribution
from mistdata.distributions.priors import Array
from mistdata.store.catalog import ALLOWED_LOSS

_ERRORS = 3.0  # standard errors that are added to the loss


@dataclass(frozen=True)
class Certificate:
    """What is known of a dataset's loss of mutual information.

    Attributes:
        nonfinite: stored values that are NaN or infinite.
        ties: stored rows of a side that are equal to another one of it, where it was not rounded.
        roundtrip_max: largest |recovered - given| latent, of both sides.
        mi_loss_bound: nats that may have been lost, -E[Δ] + ln E[e^D], at least 0, and three
            standard errors; infinite where the recovered rows are not finite; None where the
            member has no density.
        log_det_error: largest difference of a flow's log-determinants there and back; None where
            it was not asked for.
    """

    nonfinite: int
    ties: int
    roundtrip_max: float
    mi_loss_bound: float | None
    log_det_error: float | None = None

    def holds(self, mi: float) -> bool:
        """Tell whether the label may stand: everything finite, no ties, a loss within bounds.

        Args:
            mi: the label in nats.
        """
        if self.nonfinite or self.ties or self.mi_loss_bound is None:
            return False
        return self.mi_loss_bound <= ALLOWED_LOSS * (1.0 + mi)


def loss_bound(
    member: JointDistribution, given: tuple[Array, Array], recovered: tuple[Array, Array]
) -> float | None:
    """Bound the mutual information that was lost, in nats.

    Args:
        member: of the rows.
        given: x and y.
        recovered: r(u) and s(v).

    Returns:
        -E[Δ] + ln E[e^D], at least 0, and three standard errors; infinite where recovered rows or
        pointwise informations are not finite; None where the member has no density.
    """
    if not member.has_density:
        return None
    if not all(np.isfinite(side).all() for side in recovered):
        return math.inf
    try:
        with np.errstate(all="ignore"):
            kept = member.pointwise_mutual_information(*recovered)
            true = member.pointwise_mutual_information(*given)
            mixed = member.pointwise_mutual_information(given[0], recovered[1])
            delta, excess = kept - true, kept - mixed
            top = float(excess.max())
            weight = np.exp(excess - top)
            loss = top + math.log(float(weight.mean())) - float(delta.mean())
            # The influence of a row on the logarithm of a mean is its share of it.
            influence = weight / weight.mean() - delta
            error = float(influence.std()) / math.sqrt(len(delta))
            bound = max(loss, 0.0) + _ERRORS * error
    except (ValueError, ArithmeticError):
        return math.inf  # a recovered row outside of the support
    return bound if math.isfinite(bound) else math.inf


def certify(
    member: JointDistribution,
    given: tuple[Array, Array],
    recovered: tuple[Array, Array],
    stored: tuple[Array, Array],
    latents: tuple[tuple[Array, Array] | None, ...],
    rounded: tuple[bool, ...] = (False, False),
) -> Certificate:
    """Certify one dataset.

    Args:
        member: whose rows were carried.
        given: x and y of the member.
        recovered: what comes back from what is stored.
        stored: both sides as they are stored.
        latents: of every side, those given and those recovered; None for one that was not
            carried, whose rows may well be equal.
        rounded: whether a side holds whole grey levels, of which rows may well be equal too.
    """
    errors = [float(np.abs(each[1] - each[0]).max()) for each in latents if each is not None]
    exact = [
        side
        for side, each, coarse in zip(stored, latents, rounded, strict=True)
        if each is not None and not coarse
    ]
    return Certificate(
        nonfinite=int(sum((~np.isfinite(side)).sum() for side in stored)),
        ties=sum(len(side) - len(np.unique(side, axis=0)) for side in exact),
        roundtrip_max=max(errors, default=0.0),
        mi_loss_bound=loss_bound(member, given, recovered),
    )
