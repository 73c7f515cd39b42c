"""Tasks that cost nothing but what surrounds a shard, for benchmarks of what does.

They stand in a module that workers import: a function of `__main__` would travel with every task.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from mistdata.pipeline.fill import Filled, load_plan
from mistdata.pipeline.generate import Label
from mistdata.store import layout, ledger
from mistdata.store.commit import write_whole
from mistdata.store.ledger import Receipt

_plans: dict[Path, Any] = {}


def pretend(store: Path, index: int) -> Filled:
    """Leave what a filled shard leaves, but its values: a sparse file and a receipt."""
    plan = _plans.get(store) or _plans.setdefault(store, load_plan(store))
    shard = plan.shards[index]
    size, count = layout.shard_file_size(plan.shard_length), shard.stop - shard.start
    with (store / shard.file).open("wb") as file:
        file.seek(4 * plan.shard_length)
        file.write(layout.shard_index(plan.shard_length))
    blank = {"mi_method": "none", "mi_error_kind": "none", "params": "{}"}
    labels = {key.name: [blank.get(key.name, 0.0)] * count for key in fields(Label)}
    labels |= {"dataset_id": list(range(shard.start, shard.stop)), "crc32c": [0] * count}
    receipt = Receipt(plan.hash, shard.split, shard.number, size, "0" * 64, labels)
    write_whole(store / shard.receipt, ledger.encode_receipt(receipt))
    return Filled(index, count, size, 0.0)


def nothing(_store: Path, index: int) -> Filled:
    """Do nothing: what is left is Dask."""
    return Filled(index, 0, 0, 0.0)
