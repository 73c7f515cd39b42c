"""What labels cost: generating a mixed recipe beside sampling it without labels.

    python -m benchmarks.labels [--recipe pipelines/mistdata-train.toml] [--datasets 4000]

Both draw the same members and samples, shard by shard, in turns, in one process and without
writing; one of them also computes MI, its error, the second opinion and the JSON of parameters.
Tables that a process makes once are made before, on the same recipe under another seed; every
member that is timed is new, so that nothing kept from an earlier label helps.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean

import click

from benchmarks._measure import (
    ROOT,
    median_ratio,
    plan_slice,
    report,
    seconds,
    take_turns,
    verdict,
)
from mistdata.distributions.combine import family_of
from mistdata.pipeline.generate import (
    generate_shard,
    label_of,
    latent_of,
    member_of,
    sample_of,
)
from mistdata.pipeline.plan import Plan, make_plan
from mistdata.pipeline.streams import Streams
from mistdata.store.commit import page_aligned
from mistdata.store.ledger import Shard

TARGET = 1.5


def sample_shard(plan: Plan, shard: Shard) -> None:
    """Do what `generate_shard` does, without labels."""
    values = page_aligned(plan.shard_length)
    streams = Streams(plan.recipe.seed)
    for planned in plan.datasets(shard.start, shard.stop):
        x, y = sample_of(planned, member_of(planned, streams), streams)
        table = values[planned.span].reshape(planned.n, -1)
        table[:, : planned.dim_x] = x
        table[:, planned.dim_x :] = y


def reseeded(plan: Plan, k: int) -> Plan:
    """Return the plan of the same recipe under another seed."""
    recipe = replace(plan.recipe, seed=plan.recipe.seed + 1000 * k)
    return make_plan(recipe, plan.limit)


def cost_by_family(plan: Plan) -> dict[str, tuple[int, float, float]]:
    """Return datasets, microseconds per sample and per label of every family."""
    took: dict[str, list[tuple[float, float]]] = defaultdict(list)
    streams = Streams(plan.recipe.seed)
    for shard in plan.shards:
        for planned in plan.datasets(shard.start, shard.stop):
            member = member_of(planned, streams)
            strict = plan.recipe.splits[planned.split].strict
            rows = latent_of(planned, member, streams)
            sampling = seconds(partial(sample_of, planned, member, streams))
            labelling = seconds(partial(label_of, planned, member, strict, streams, rows))
            took[family_of(member)].append((sampling, labelling))
    return {
        name: (len(rows), 1e6 * mean(r[0] for r in rows), 1e6 * mean(r[1] for r in rows))
        for name, rows in took.items()
    }


@click.command()
@click.option(
    "--recipe",
    default=ROOT / "pipelines" / "mistdata-train.toml",
    type=click.Path(path_type=Path, exists=True),
    show_default="pipelines/mistdata-train.toml",
)
@click.option("--datasets", default=4000, show_default=True, type=click.IntRange(min=200))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def main(recipe: Path, datasets: int, as_json: bool) -> None:
    """Measure the share of labels in generation."""
    plan, other, warm = (reseeded(plan_slice(datasets, recipe), k) for k in range(3))
    cost_by_family(warm)
    took: dict[str, list[float]] = {"generate": [], "sample": []}
    for shard in plan.shards:
        actions = {
            "generate": partial(seconds, partial(generate_shard, plan, shard)),
            "sample": partial(seconds, partial(sample_shard, plan, shard)),
        }
        for name, each in take_turns(actions, 1).items():
            took[name] += each
    costs = cost_by_family(other)
    whole = sum(took["generate"]) / sum(took["sample"])
    document = {
        "recipe": plan.recipe.name,
        "datasets": len(plan),
        "ratio": whole,
        "median_ratio_of_shards": median_ratio(took["generate"], took["sample"]),
        "families": costs,
    }
    lines = [
        f"{plan.recipe.name}, {len(plan):,} datasets in {len(plan.shards)} shards",
        f"  generating / sampling alone {whole:.2f} ({verdict(whole, TARGET, at_most=True)})",
        f"  {'family':<26}{'datasets':>9}{'sample µs':>11}{'label µs':>10}{'share':>7}",
    ]
    total = sum(count * label for count, _, label in costs.values())
    for name, (count, sampling, label) in sorted(costs.items(), key=lambda e: -e[1][0] * e[1][2]):
        share = count * label / total
        lines.append(f"  {name:<26}{count:>9,}{sampling:>11,.0f}{label:>10,.0f}{share:>7.1%}")
    report(document, lines, as_json)


if __name__ == "__main__":
    main()
