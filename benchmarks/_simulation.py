"""A run on a thousand workers that nobody here has, from costs that were measured.

The scheduler serves one event at a time. A worker holds one task, and asks for the next when it
is done; a task costs the scheduler a fixed time, and the worker that of a shard and its requests.
What grows with the plan, on every worker and at the seal, is added from its cost per dataset.
"""

from __future__ import annotations

import heapq
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Costs:
    """Seconds, and bytes, of everything.

    Attributes:
        task: of the scheduler's and the client's time, for one task.
        shard: of a worker's time, to generate a shard and to make it durable.
        requests: of a worker's time, to bring a shard and its receipt to a bucket.
        plan: of every process's time, for one dataset of the plan.
        seal: of the sealing process's time, for one dataset.
        memory: bytes of every process, for one dataset of the plan.
        sealing: bytes of the sealing process, for one dataset.
        per_shard: datasets in a shard.
    """

    task: float
    shard: float
    requests: float
    plan: float
    seal: float
    memory: float
    sealing: float
    per_shard: float


def simulate(datasets: int, workers: int, costs: Costs) -> dict[str, Any]:
    """Play a run.

    Args:
        datasets: of the store.
        workers: one shard at a time each.
        costs: measured.

    Returns:
        Seconds of each part, gigabytes per process, how busy scheduler and workers are, and the
        largest number of workers that the scheduler can keep busy.
    """
    shards = round(datasets / costs.per_shard)
    each = costs.shard + costs.requests
    free, done = 0.0, 0.0
    asking = [0.0] * min(workers, shards)
    for _ in range(shards):
        free = max(free, heapq.heappop(asking)) + costs.task
        done = max(done, free + each)
        heapq.heappush(asking, free + each)
    planning, sealing = datasets * costs.plan, datasets * costs.seal
    return {
        "datasets": datasets,
        "workers": workers,
        "shards": shards,
        "plan_s": planning,
        "fill_s": done,
        "seal_s": sealing,
        "whole_s": planning + done + sealing,
        "scheduler_busy": shards * costs.task / done,
        "workers_busy": shards * each / (done * min(workers, shards)),
        "most_workers": each / costs.task,
        "worker_gb": datasets * costs.memory / 1e9,
        "sealing_gb": datasets * costs.sealing / 1e9,
        "costs": asdict(costs),
    }
