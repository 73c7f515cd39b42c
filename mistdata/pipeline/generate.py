"""One shard, computed: pure functions from a plan to values and labels.

No input or output, no clock, no globals: the same plan and shard give the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from mistdata.distributions.base import MI, JointDistribution
from mistdata.distributions.priors import Array
from mistdata.distributions.transforms import TRANSFORMS
from mistdata.errors import GenerationError
from mistdata.pipeline.plan import Plan, seed_key
from mistdata.pipeline.streams import Streams
from mistdata.store.ledger import Shard


@dataclass(frozen=True, slots=True)
class Label:
    """What is true of one dataset: its MI and the parameters of its member as JSON."""

    mi: MI
    params: str


def generate_shard(plan: Plan, shard: Shard) -> tuple[Float32[Array, " length"], list[Label]]:
    """Compute one shard.

    Returns:
        values: float32 of the shard's whole length; each dataset is row-major (n, dim_x + dim_y),
            row i is x_i then y_i; what no dataset fills is NaN.
        labels: one per dataset, in order.

    Raises:
        GenerationError: a family failed or produced a NaN or an infinity; names the recipe, the
            shard and the dataset.
    """
    values = np.empty(plan.shard_length, dtype="<f4")
    streams = Streams(plan.recipe.seed)
    labels = []
    for row in range(shard.start, shard.stop):
        span = span_in_shard(plan, row)
        try:
            labels.append(_fill_dataset(plan, streams, row, values[span]))
        except (ValueError, ArithmeticError) as error:
            raise GenerationError(f"{_where(plan, shard, row)}: {error}") from error
    values[span.stop :] = np.nan
    _require_finite(plan, shard, values[: span.stop])
    values.flags.writeable = False
    return values, labels


def member_of(plan: Plan, streams: Streams, row: int) -> JointDistribution:
    """Rebuild the member that a dataset is a sample of."""
    split, distribution, _ = seed_key(plan.columns, row)
    component = plan.component(row)
    dim_x, dim_y = int(plan.columns["dim_x"][row]), int(plan.columns["dim_y"][row])
    rng = streams.of_parameters(split, distribution)
    return component.family.draw(dim_x, dim_y, rng, **component.parameters)


def span_in_shard(plan: Plan, row: int) -> slice:
    """Return where a dataset lies in its shard, in float32 values."""
    start = int(plan.columns["offset"][row]) % plan.shard_length
    return slice(start, start + int(plan.sizes[row]))


def _fill_dataset(plan: Plan, streams: Streams, row: int, out: Array) -> Label:
    member = member_of(plan, streams, row)
    component = plan.component(row)
    rng = streams.of_sample(*seed_key(plan.columns, row))
    x, y = member.sample(int(plan.columns["n"][row]), rng)
    for name in component.transform_x:
        x = TRANSFORMS[name].forward(x, "x")
    for name in component.transform_y:
        y = TRANSFORMS[name].forward(y, "y")
    table = out.reshape(len(x), member.dim_x + member.dim_y)
    with np.errstate(over="ignore"):  # an overflow is reported, with its place, as an infinity
        table[:, : member.dim_x] = x
        table[:, member.dim_x :] = y
    return Label(member.mutual_information(), json.dumps(member.theta))


def _require_finite(plan: Plan, shard: Shard, values: Array) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # a NaN or an infinity would show in the sum
            return
    for row in range(shard.start, shard.stop):
        if not np.isfinite(values[span_in_shard(plan, row)]).all():
            raise GenerationError(
                f"{_where(plan, shard, row)}: the float32 values hold a NaN or an infinity"
            )


def _where(plan: Plan, shard: Shard, row: int) -> str:
    return (
        f"{plan.recipe.name}: shard {shard.split}/{shard.number}, dataset {row}"
        f" ({plan.component(row).name})"
    )
