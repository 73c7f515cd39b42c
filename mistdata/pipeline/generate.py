"""One shard, computed: pure functions from a plan to values and labels.

No input or output, no clock, no globals: the same plan and shard give the same bytes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from mistdata.distributions.base import JointDistribution, Precision
from mistdata.distributions.combine import latent, see
from mistdata.distributions.priors import Array
from mistdata.errors import GenerationError
from mistdata.pipeline.label import CHECKED_EVERY, Label, Rows, make_label
from mistdata.pipeline.plan import Plan, Planned
from mistdata.pipeline.streams import Streams
from mistdata.store.commit import page_aligned
from mistdata.store.ledger import Shard


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
    values = page_aligned(plan.shard_length)
    streams = Streams(plan.recipe.seed)
    datasets = plan.datasets(shard.start, shard.stop)
    labels = []
    with np.errstate(over="ignore"):  # an overflow is reported, with its place, as an infinity
        for planned in datasets:
            try:
                labels.append(_fill_dataset(plan, planned, streams, values[planned.span]))
            except (ValueError, ArithmeticError) as error:
                raise GenerationError(f"{where(plan, shard, planned)}: {error}") from error
    values[datasets[-1].span.stop :] = np.nan
    require_finite(plan, shard, datasets, values)
    values.flags.writeable = False
    return values, labels


def member_of(planned: Planned, streams: Streams) -> JointDistribution:
    """Rebuild the member that a dataset is a sample of, as it is seen through its transforms."""
    rng = streams.of_parameters(planned.split, planned.distribution)
    return planned.component.draw(planned.member_x, planned.member_y, rng)


def sample_of(
    planned: Planned, member: JointDistribution, streams: Streams
) -> tuple[Float[Array, "n dim_x"], Float[Array, "n dim_y"]]:
    """Rebuild a dataset, in float64: a sample of its member."""
    return see(member, *latent_of(planned, member, streams))


def latent_of(planned: Planned, member: JointDistribution, streams: Streams) -> Rows:
    """Rebuild the rows of a dataset as they are before any maps."""
    rng = streams.of_sample(planned.split, planned.distribution, planned.replicate)
    return latent(member).sample(planned.n, rng)


def label_of(
    planned: Planned, member: JointDistribution, strict: bool, streams: Streams, rows: Rows | None
) -> Label:
    """Compute what is true of a dataset; `rows` are its own, before any maps, or drawn again.

    The second opinion is drawn afresh for test splits and for samples smaller than it; else the
    first rows of the sample serve.
    """

    def draws(count: int) -> Rows:
        if not strict and planned.n >= count:
            x, y = latent_of(planned, member, streams) if rows is None else rows
            return x[:count], y[:count]
        rng = streams.of_label(planned.split, planned.distribution)
        return latent(member).sample(count, rng)

    checked = strict or planned.distribution % CHECKED_EVERY == 0
    return make_label(member, Precision(planned.n, strict), draws, checked=checked)


def _fill_dataset(plan: Plan, planned: Planned, streams: Streams, out: Array) -> Label:
    member = member_of(planned, streams)
    rows = latent_of(planned, member, streams)
    x, y = see(member, *rows)
    table = out.reshape(planned.n, planned.dim_x + planned.dim_y)
    table[:, : planned.dim_x] = x
    table[:, planned.dim_x :] = y
    return label_of(planned, member, plan.recipe.splits[planned.split].strict, streams, rows)


def require_finite(plan: Plan, shard: Shard, datasets: list[Planned], values: Array) -> None:
    """Refuse a shard that holds a NaN or an infinity, naming the dataset.

    Raises:
        GenerationError: it does.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values[: datasets[-1].span.stop].sum()):
            return  # a NaN or an infinity would show in the sum
    for planned in datasets:
        if not np.isfinite(values[planned.span]).all():
            raise GenerationError(
                f"{where(plan, shard, planned)}: the float32 values hold a NaN or an infinity"
            )


def where(plan: Plan, shard: Shard, planned: Planned) -> str:
    """Name a dataset in messages."""
    return (
        f"{plan.recipe.name}: shard {shard.split}/{shard.number}, dataset {planned.dataset_id}"
        f" ({planned.component.name})"
    )
