"""Repair: make again, byte for byte, what `verify` finds damaged.

Everything in a store is a function of its plan, and the plan of the recipe in plan.json. What is
damaged is made again in a folder beside the store (of a store under a URL: beside the cache), held
against the manifest, and only then put in its place; an interrupted repair goes on from that
folder. Flows that carry a store are not made again: they are what it was made from.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistdata.errors import MistdataError, NotAStore, OtherPlan, VerificationFailed
from mistdata.pipeline.fill import Filled, init_store, load_plan, require_same_numerics
from mistdata.pipeline.plan import Plan, make_plan
from mistdata.pipeline.recipe import Recipe, parse_recipe
from mistdata.pipeline.run import Executor, generate
from mistdata.store import card, layout, ledger
from mistdata.store.cache import Cache
from mistdata.store.commit import make_folder, sha256_of, write_durably
from mistdata.store.ledger import Manifest, Shard
from mistdata.store.place import Remote
from mistdata.store.seal import restore_described, seal
from mistdata.verify import Report, verify

SEALED = {ledger.CATALOG, ledger.MANIFEST, *card.NAMES}  # what a seal writes, from receipts


@dataclass(frozen=True)
class Repaired:
    """What a repair did.

    Attributes:
        before: what was found.
        made: paths that were made again.
        after: what is found now; files that are not part of the store are left to their owner.
    """

    before: Report
    made: tuple[str, ...]
    after: Report


def repair(
    store: Path,
    executor: Executor,
    *,
    recipe: Recipe | None = None,
    limit: int | None = None,
    threads: int = 1,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_filled: Callable[[Filled], None] = lambda filled: None,
) -> Repaired:
    """Make again what is damaged in a store, sealed or not.

    Args:
        store: its folder.
        executor: who computes.
        recipe: of the store; needed where plan.json is damaged, which alone holds it.
        limit: that the store was generated with; goes with `recipe`.
        threads: how many shards to hash at a time.
        on_start: see `mistdata.pipeline.run.generate`.
        on_filled: likewise.

    Raises:
        NotAStore: plan.json is missing or damaged and no recipe was given.
        OtherPlan: the recipe is not that of the store.
        NumericMismatch: this version or machine would make other bytes.
        VerificationFailed: a flow is damaged, or what was made again is not what the manifest
            names.
        Incomplete: shards could not be made; the same call again goes on.
    """
    bench = _Bench(store, _plan_of(store, recipe, limit))
    if not _readable_record(store):
        bench.lay_out()
        bench.put(ledger.RECORD)
    require_same_numerics(store, ledger.read_record(store))
    before = verify(store, threads=threads)
    problems = {problem.path for problem in before.problems}
    if ledger.PLANNED in problems:  # then nothing else was looked at
        bench.lay_out()
        bench.put(ledger.PLANNED)
        before.problems += verify(store, threads=threads).problems
        problems = {problem.path for problem in before.problems}
    shards = _shards_to_make(store, bench.plan, problems)
    _require_flows(store, problems)
    bench.make(shards, executor, on_start=on_start, on_filled=on_filled)
    for name in _files_to_put(problems, bench.plan, shards, bench.has_receipts):
        bench.put(name)
    bench.seal_again(problems)
    after = verify(store, threads=threads) if bench.made else before
    bench.clear()
    return Repaired(before, tuple(bench.made), after)


class _Bench:
    """The folder where damaged parts are made again.

    Args:
        store: the damaged store.
        plan: of it.
    """

    def __init__(self, store: Path, plan: Plan) -> None:
        self.store, self.plan = store, plan
        self.folder = _folder(store)
        self.manifest = _readable_manifest(store)
        self.has_receipts = (store / ledger.RECEIPTS).exists()
        self.made: list[str] = []
        if self.manifest is not None and self.manifest.plan != plan.hash:
            raise OtherPlan(
                f"{store}: the manifest belongs to the plan {self.manifest.plan[:12]}, the recipe"
                f" makes the plan {plan.hash[:12]}"
            )

    def lay_out(self) -> None:
        """Write what surrounds the shards."""
        init_store(self.folder, self.plan)

    def make(self, shards: Sequence[Shard], executor: Executor, **calls: Any) -> None:
        """Make shards again, with their receipts."""
        numbers = [shard.index for shard in shards]
        if self.plan.recipe.flow is None:
            generate(self.plan, self.folder, executor, shards=numbers, **calls)
        else:
            from mistdata.flows.adapt import carry, own_folders

            folders = own_folders(self.plan.recipe.flow, self.store)
            carry(self.plan, self.folder, folders, executor, shards=numbers, **calls)

    def put(self, name: str) -> None:
        """Put a file that was made again in its place, if it is the one of the manifest."""
        listed = self.manifest.files.get(name, {}).get("sha256") if self.manifest else None
        if listed is not None and sha256_of(self.folder / name) != listed:
            raise VerificationFailed(
                f"{self.store / name}: made again, and the sha256 is still not the one in the"
                " manifest; the store was not changed"
            )
        content, path = (self.folder / name).read_bytes(), self.store / name
        if path.is_file() and path.read_bytes() == content:
            return
        make_folder(path.parent)
        write_durably(path, [content])
        self.made.append(name)

    def seal_again(self, problems: set[str]) -> None:
        """Write again what a seal writes, where it is damaged."""
        damaged = problems & SEALED
        if not damaged:
            return
        if not self.has_receipts:  # then every shard was made again
            seal(self.folder)
            for name in sorted(damaged):
                self.put(name)
            return
        if self.manifest is None:
            (self.store / ledger.MANIFEST).unlink(missing_ok=True)
            seal(self.store)
        else:
            restore_described(self.store, self.manifest, sorted(damaged))
        self.made += sorted(damaged)

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _folder(store: Path) -> Path:
    if isinstance(store, Remote):
        called = hashlib.sha256(store.url.encode()).hexdigest()[:16]
        return Cache.of_user().folder.with_name("mistdata-repair") / called
    return store.with_name(f".{store.name}.repair")


def _plan_of(store: Path, recipe: Recipe | None, limit: int | None) -> Plan:
    """The plan of a store, from its own plan.json, or else from the recipe that is given."""
    if _readable_record(store):
        record = ledger.read_record(store)
        plain = recipe is not None and recipe.flow is None
        if recipe is not None and plain and make_plan(recipe, limit).hash != record.plan:
            raise OtherPlan(f"{store}: not made from {recipe.source}, or with another --limit")
        if parse_recipe(record.recipe, str(store / ledger.RECORD)).flow is None:
            return load_plan(store)
        from mistdata.flows.adapt import load_adapted

        return load_adapted(store)
    if not store.is_dir():
        raise NotAStore(f"{store}: not a mistdata store (not a folder)")
    if recipe is None:
        raise NotAStore(
            f"{store / ledger.RECORD}: missing or damaged, and it alone holds the recipe; give"
            " --recipe, and --limit if the store was made with one"
        )
    if recipe.flow is None:
        return make_plan(recipe, limit)
    from mistdata.flows.adapt import own_folders, plan_adapted

    return plan_adapted(recipe, limit, own_folders(recipe.flow, store))


def _readable_record(store: Path) -> bool:
    try:
        ledger.read_record(store)
    except MistdataError:
        return False
    return True


def _readable_manifest(store: Path) -> Manifest | None:
    try:
        return ledger.read_manifest(store)
    except MistdataError:
        return None


def _require_flows(store: Path, problems: set[str]) -> None:
    """Refuse to work with damaged flows."""
    damaged = sorted(name for name in problems if name.startswith(f"{ledger.FLOWS}/"))
    if damaged:
        raise VerificationFailed(
            f"{store / damaged[0]}: damaged, and a flow cannot be made again; copy it back from"
            " where it came, then repair"
        )


def _shards_to_make(store: Path, plan: Plan, problems: set[str]) -> list[Shard]:
    """The shards whose values or receipts are damaged; all, if only they can tell the labels."""
    if problems & SEALED and not (store / ledger.RECEIPTS).exists():
        return list(plan.shards)
    return [shard for shard in plan.shards if problems & {shard.file, shard.receipt}]


def _files_to_put(
    problems: set[str], plan: Plan, shards: Sequence[Shard], receipts: bool
) -> list[str]:
    """The files to put in place, a shard's values before its receipt."""
    files = []
    for shard in shards:
        files.append(shard.file)  # also where only its receipt is known to be damaged
        if receipts:
            files.append(shard.receipt)
    metadata = layout.metadata_files(ledger.count_shards(plan.shards))
    return sorted(problems & set(metadata)) + files
