"""A store whose datasets flows carry to a modality: the same plan, receipts and seal.

The rows of a dataset are recomputed in double precision from its seed, exactly as `generate` would
store them but for rounding, and carried on; so generating and adapting is one pass, any process
computes the same bytes, and an interrupted run resumes. What is stored is brought back and
certified before it is written. Copies of the flows lie in the folder `flows` of the store.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mistdata.distributions.base import JointDistribution
from mistdata.distributions.priors import Array
from mistdata.errors import GenerationError, MistdataError, NotAStore, RecipeError
from mistdata.flows.carry import Carrier, from_modality, to_modality
from mistdata.flows.certificate import Certificate, certify
from mistdata.flows.flow import DESCRIPTION, TENSORS, Flow, describe_flow, load_flow
from mistdata.flows.preparation import Logit
from mistdata.pipeline.fill import Filled, fill_shard, init_store, load_plan
from mistdata.pipeline.generate import label_of, member_of, require_finite, sample_of, where
from mistdata.pipeline.label import Label
from mistdata.pipeline.plan import Plan, Planned, make_plan, repacked
from mistdata.pipeline.recipe import FlowLines, Recipe, parse_recipe
from mistdata.pipeline.run import Executor, generate
from mistdata.pipeline.streams import Streams
from mistdata.store import catalog, ledger
from mistdata.store.commit import make_folder, page_aligned, write_durably
from mistdata.store.ledger import Manifest, Shard
from mistdata.threads import one_thread

Side = Literal["x", "y"]
SIDES: tuple[Side, Side] = ("x", "y")


@dataclass(frozen=True)
class Folders:
    """Where the flows of a store are.

    Attributes:
        x: folder of the flow of X; None to leave X as it is.
        y: of Y.
    """

    x: Path | None
    y: Path | None

    @property
    def sides(self) -> tuple[Path | None, Path | None]:
        """X, then Y."""
        return self.x, self.y


def folders_of(lines: FlowLines | None, base: Path) -> Folders:
    """Find the folders that a recipe names, relative to its own.

    Args:
        lines: the table `[flow]`.
        base: folder of the recipe.
    """
    names = (None, None) if lines is None else (lines.x, lines.y)
    return Folders(*(None if name is None else base / name for name in names))


def plan_adapted(recipe: Recipe, limit: int | None, folders: Folders) -> Plan:
    """Decide every dataset of a recipe whose sides flows carry.

    Args:
        recipe: whose table `[flow]` names the sides that are carried.
        limit: the first datasets of each split.
        folders: of the flows.

    Raises:
        MistdataError: a flow cannot be read, a side is not continuous or too wide for its flow,
            or a dataset does not fit a shard.
    """
    named = folders_of(recipe.flow, Path()).sides
    if [name is None for name in named] != [folder is None for folder in folders.sides]:
        raise RecipeError(
            f"{recipe.source}: the table [flow] must name the sides that are carried"
        )
    plan = make_plan(recipe, limit)
    dims: list[Array] = []
    identities: list[str | None] = []
    images = False
    for side, folder in zip(SIDES, folders.sides, strict=True):
        own = plan.columns[f"dim_{side}"].astype(np.int64)
        if folder is None:
            dims.append(own)
            identities.append(None)
            continue
        description = describe_flow(folder)
        images |= any(step["name"] == "logit" for step in description["steps"])
        _require_fits(plan, side, int(np.prod(description["architecture"]["shape"])))
        dims.append(np.full(len(plan), int(np.prod(description["shape"]))))
        identities.append(description["identity"])
    if recipe.flow is not None and recipe.flow.grey_levels and not images:
        raise RecipeError(f"{recipe.source}: grey_levels: no side is carried by a flow of images")
    try:
        return repacked(plan, dims[0], dims[1], (identities[0], identities[1]))
    except ValueError as error:
        raise RecipeError(f"{recipe.source}: {error}") from None


def _require_fits(plan: Plan, side: Side, dim: int) -> None:
    """Refuse sides that no flow can carry, and those that this one cannot."""
    for split in plan.recipe.splits:
        for component in split.mixture:
            kind = component.kind(getattr(component.family, f"{side}_kind"))
            if kind != "continuous":
                raise RecipeError(
                    f"{plan.recipe.source}: {component.name}: {side.upper()} is {kind}, and a flow"
                    " needs a continuous side; carry the other side, or a store that was generated"
                    " without this component"
                )
    widest = int(plan.columns[f"dim_{side}"].max())
    if widest > dim:
        raise RecipeError(
            f"{plan.recipe.source}: dim_{side} goes up to {widest}, the flow of"
            f" {side.upper()} has {dim} latents; fit a larger flow, or carry a store that was"
            f" generated with dim_{side} <= {dim}"
        )


def adapted_recipe(
    store: Path, folders: Folders, *, keep_uncertified: bool = False, grey_levels: bool = False
) -> Recipe:
    """Return the recipe of a sealed store with flows for its sides.

    Args:
        store: its folder.
        folders: of the flows.
        keep_uncertified: see `FlowLines`.
        grey_levels: likewise.

    Raises:
        MistdataError: the store is not sealed, or flows carry it already; or this version plans
            its recipe differently.
    """
    record = ledger.read_record(store)
    if not ledger.is_sealed(store):
        raise NotAStore(f"{store}: not sealed yet; finish it with `mistdata generate`")
    if parse_recipe(record.recipe, str(store / ledger.RECORD)).flow is not None:
        raise MistdataError(f"{store}: flows carry it already; adapt the store that it came from")
    load_plan(store)
    lines = ["", "[flow]"]
    lines += [f"{side} = {json.dumps(str(folder.resolve()))}"
              for side, folder in zip(SIDES, folders.sides, strict=True) if folder]  # fmt: skip
    lines += ["keep_uncertified = true"] if keep_uncertified else []
    lines += ["grey_levels = true"] if grey_levels else []
    return parse_recipe(record.recipe + "\n".join(lines) + "\n", str(store / ledger.RECORD))


def load_adapted(store: Path) -> Plan:
    """Recompute the plan of a store that flows carried.

    Raises:
        MistdataError: see `plan_adapted` and `mistdata.pipeline.fill.load_plan`.
    """

    def planner(recipe: Recipe, limit: int | None) -> Plan:
        return plan_adapted(recipe, limit, own_folders(recipe.flow, store))

    return load_plan(store, planner)


def own_folders(lines: FlowLines | None, store: Path) -> Folders:
    """Where a store keeps copies of its flows.

    Args:
        lines: the table `[flow]` of its recipe.
        store: its folder.
    """
    given = folders_of(lines, store).sides
    own = (None if folder is None else store / ledger.FLOWS / side
           for side, folder in zip(SIDES, given, strict=True))  # fmt: skip
    return Folders(*own)


def prepare(store: Path, plan: Plan, folders: Folders) -> None:
    """Claim the folder of a store and copy the flows into it.

    Raises:
        MistdataError: see `init_store`; or the store holds another flow.
    """
    for given in filter(None, folders.sides):
        load_flow(given)  # a damaged one is named before it is copied
    init_store(store, plan)
    for side, folder in zip(SIDES, folders.sides, strict=True):
        if folder is None:
            continue
        own = store / ledger.FLOWS / side
        make_folder(own.parent)
        make_folder(own)
        for name in (TENSORS, DESCRIPTION):
            if not (own / name).exists():
                write_durably(own / name, [(folder / name).read_bytes()])


def fill_adapted(store: Path, index: int) -> Filled:
    """Make one shard durable, unless it already is; see `fill_shard`."""
    return fill_shard(store, index, load=load_adapted, make=partial(make_shard, store))


def carry(
    plan: Plan, store: Path, folders: Folders, executor: Executor, **options: Any
) -> Manifest | None:
    """Fill the store of a plan from `plan_adapted` and seal it; the same call again resumes.

    Args:
        plan: what to build.
        store: its folder.
        folders: of the flows.
        executor: who computes.
        **options: of `mistdata.pipeline.run.generate`.

    Returns:
        The manifest; None when only some shards were asked for.

    Raises:
        MistdataError: see `generate` and `prepare`.
    """
    prepare(store, plan, folders)
    return generate(plan, store, executor, task=fill_adapted, **options)


@lru_cache(maxsize=4)
def _flow(folder: Path, _changed: int) -> Flow:
    return load_flow(folder)


def flows_of(store: Path, plan: Plan) -> tuple[Flow | None, Flow | None]:
    """Open the flows of a store.

    Raises:
        FlowError: one is missing or altered.
    """
    sides = own_folders(plan.recipe.flow, store).sides
    x, y = (None if folder is None else _flow(folder, (folder / DESCRIPTION).stat().st_mtime_ns)
            for folder in sides)  # fmt: skip
    return x, y


@dataclass
class _Row:
    """One dataset on its way to a modality.

    Attributes:
        planned, member: which dataset, of which distribution.
        given: rows of X and of Y of the member.
        carriers: of each side; None for a side that stays as it is.
        latents: what the flow of each side is given; the rows themselves where there is none.
    """

    planned: Planned
    member: JointDistribution
    given: tuple[Array, Array]
    carriers: list[Carrier | None]
    latents: list[Array]


def _row(planned: Planned, flows: tuple[Flow | None, Flow | None], streams: Streams) -> _Row:
    """Draw a dataset and its latents."""
    member = member_of(planned, streams)
    given = sample_of(planned, member, streams)
    rng = streams.of_nuisance(planned.split, planned.distribution, planned.replicate)
    carriers = [
        None if flow is None else Carrier(member.injection(side), flow)
        for side, flow in zip(SIDES, flows, strict=True)
    ]
    latents = [
        values if carrier is None else carrier.latents(values, rng)
        for carrier, values in zip(carriers, given, strict=True)
    ]
    return _Row(planned, member, given, carriers, latents)


def make_shard(store: Path, plan: Plan, shard: Shard) -> tuple[Array, list[Label]]:
    """Compute one shard of a store that flows carry; see `generate_shard`.

    Raises:
        GenerationError: a family failed, or a dataset has no certificate.
    """
    flows, streams = flows_of(store, plan), Streams(plan.recipe.seed)
    levels = tuple(_levels(plan.recipe, flow) for flow in flows)
    rounded = any(levels)
    rows, labels = [], []
    for planned in plan.datasets(shard.start, shard.stop):
        try:
            rows.append(_row(planned, flows, streams))
            strict = plan.recipe.splits[planned.split].strict
            labels.append(label_of(planned, rows[-1].member, strict, streams, None))
        except (ValueError, ArithmeticError, MistdataError) as error:
            raise GenerationError(f"{where(plan, shard, planned)}: {error}") from error
    with one_thread():
        carried = [
            _carried(flow, [row.latents[side] for row in rows], levels[side])
            for side, flow in enumerate(flows)
        ]
    values = _stored(plan, shard, rows, carried)
    keep = plan.recipe.flow is not None and plan.recipe.flow.keep_uncertified
    for position, row in enumerate(rows):
        found = _certify(row, [side[position] for side in carried], levels)
        label = labels[position]
        holds = certified_loss(found) is not None if rounded else found.holds(label.mi)
        if not keep and not holds:
            reason = _refusal(found, label.mi)
            raise GenerationError(f"{where(plan, shard, row.planned)}: {reason}")
        labels[position] = _labelled(label, row.planned, found, rounded=rounded)
    return values, labels


def _levels(recipe: Recipe, flow: Flow | None) -> int | None:
    """Grey levels that the images of a flow are rounded to; None where rows stay as they are."""
    if flow is None or recipe.flow is None or not recipe.flow.grey_levels:
        return None
    return next((step.levels for step in flow.steps if isinstance(step, Logit)), None)


def certified_loss(found: Certificate) -> float | None:
    """Return the nats that may have been lost; None where nothing finite is known."""
    bound = found.mi_loss_bound
    if bound is None or not np.isfinite(bound) or found.nonfinite or found.ties:
        return None
    return bound


def _stored(
    plan: Plan, shard: Shard, rows: list[_Row], carried: list[list[tuple[Array, Array]]]
) -> Array:
    """Lay the datasets out in their shard."""
    values = page_aligned(plan.shard_length)
    for row, (x, _), (y, _) in zip(rows, *carried, strict=True):
        table = values[row.planned.span].reshape(row.planned.n, -1)
        table[:, : row.planned.dim_x] = x
        table[:, row.planned.dim_x :] = y
    values[rows[-1].planned.span.stop :] = np.nan
    require_finite(plan, shard, [row.planned for row in rows], values)
    values.flags.writeable = False
    return values


def recertify(
    store: Path, plan: Plan, planned: Planned, table: Array
) -> tuple[tuple[Array, Array], Certificate]:
    """Derive the certificate of a dataset again, from the stored bytes and the flows.

    Args:
        store: its folder.
        plan: from `load_adapted`.
        planned: the dataset.
        table: (n, dim_x + dim_y) as stored.

    Returns:
        The rows of the member that are recovered from what is stored, and the certificate.

    Raises:
        FlowError: a flow is missing or altered.
    """
    flows = flows_of(store, plan)
    row = _row(planned, flows, Streams(plan.recipe.seed))
    stored = np.split(table, [planned.dim_x], axis=1)
    carried, errors = [], []
    for flow, side in zip(flows, stored, strict=True):
        back = side.astype(np.float64)
        if flow is not None:
            back, error = flow.recover(back.reshape(len(back), *flow.shape))
            errors.append(error)
        carried.append((side, back))
    levels = tuple(_levels(plan.recipe, flow) for flow in flows)
    found = replace(_certify(row, carried, levels), log_det_error=max(errors))
    return _recovered(row, carried), found


def _carried(
    flow: Flow | None, latents: list[Array], levels: int | None
) -> list[tuple[Array, Array]]:
    """Return what is stored of one side of every dataset, and what is recovered from it.

    Where there is no flow, `latents` are the rows of the member, and so is what is recovered.
    Images are rounded to whole `levels`, if there are any.
    """
    if flow is None:
        with np.errstate(over="ignore"):
            plain = [values.astype(np.float32) for values in latents]
        return [(values, values.astype(np.float64)) for values in plain]
    cuts = np.cumsum([len(each) for each in latents])[:-1]
    stored = to_modality(flow, np.concatenate(latents))
    if levels is not None:
        stored = np.clip(np.rint(stored), 0, levels - 1) + np.float32(0.0)  # -0 becomes 0
    recovered = from_modality(flow, stored)
    return list(zip(np.split(stored, cuts), np.split(recovered, cuts), strict=True))


def _recovered(row: _Row, carried: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Bring what was recovered of both sides back to rows of the member."""
    x, y = (
        back if carrier is None else carrier.values(back)
        for carrier, (_, back) in zip(row.carriers, carried, strict=True)
    )
    return x, y


def _certify(
    row: _Row, carried: list[tuple[Array, Array]], levels: tuple[int | None, ...]
) -> Certificate:
    (stored_x, back_x), (stored_y, back_y) = carried
    latents = zip(row.carriers, row.latents, (back_x, back_y), strict=True)
    return certify(
        row.member,
        row.given,
        _recovered(row, carried),
        (stored_x, stored_y),
        tuple(None if carrier is None else (given, back) for carrier, given, back in latents),
        tuple(each is not None for each in levels),
    )


def _labelled(label: Label, planned: Planned, found: Certificate, *, rounded: bool) -> Label:
    """Write the certificate into the label.

    What rounded images lost is the label's error, as is what an uncertified dataset may have lost:
    I lies in [mi - mi_error, mi], and is not negative.
    """
    dims = {"member_dims": [planned.member_x, planned.member_y]}
    loss = certified_loss(found)
    certified = rounded and loss is not None
    if certified or not found.holds(label.mi):
        lost = label.mi if loss is None else loss
        label = replace(
            label,
            mi_error=min(label.mi_error + lost, label.mi),
            mi_error_kind=catalog.ROUNDED if certified else catalog.UNCERTIFIED_LOSS,
        )
    return replace(
        label,
        params=json.dumps(json.loads(label.params) | dims),
        mi_loss_bound=loss,
        roundtrip_max=found.roundtrip_max if np.isfinite(found.roundtrip_max) else None,
    )


def _refusal(found: Certificate, mi: float) -> str:
    if found.mi_loss_bound is None:
        what = "the member has no density, so that nothing certifies what is stored"
    elif found.ties:
        what = f"{found.ties} stored rows equal another one"
    else:
        what = f"up to {found.mi_loss_bound:.3g} of {mi:.4g} nats may be lost"
    return (
        f"{what}; leave it out, or keep it, flagged, with --keep-uncertified (in a recipe"
        " keep_uncertified = true) in another folder"
    )
