"""The audit of labels: does the stored data bear out the mutual information it is labelled with?

For every dataset the member is rebuilt from the plan, its label computed again, and its pointwise
mutual information averaged over the rows as they are stored. That average has the mean I(X;Y) and
the standard error s/√n, whatever the family, so that

    z = (mean - mi) / (s/√n)

is standard normal for large n, and over a component the rows together give one sharp

    Z = Σ_i n_i (mean_i - mi_i) / √(Σ_i n_i s_i²).

A wrong constant, a sampler that does not follow its density and a map that loses information all
shift Z; a row with another's label differs from the label computed again.

s is the deviation of the stored rows or the one that the label's method knows, whichever is
larger: where rare rows carry much of the information, a sample without them looks sharper than it
is, and one with them must not be held against the known deviation alone.
"""

from __future__ import annotations

import math
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mistdata.distributions.base import JointDistribution, Precision
from mistdata.distributions.priors import Array
from mistdata.pipeline.fill import load_plan
from mistdata.pipeline.generate import member_of
from mistdata.pipeline.plan import Plan, Planned
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.streams import Streams
from mistdata.store import catalog
from mistdata.store.dataset import MetaDataset, open_store
from mistdata.store.ledger import read_record
from mistdata.threads import one_thread

if TYPE_CHECKING:
    from mistdata.flows.certificate import Certificate

Z_COMPONENT = 5.0  # a false alarm once in 1.7 million components
Z_DATASET = 8.0
LOG_DET_ERROR = 1e-6  # a column, of a flow there and back in double precision
ROWS_FOR_Z = 100  # fewer rows are not yet normal enough to accuse a dataset by itself
WORST = 10


@dataclass(frozen=True, slots=True)
class Audited:
    """What was found of one dataset.

    Attributes:
        dataset_id, component, n, mi: from the catalog.
        recomputed: the label computed again, nats.
        mean, variance: of the pointwise mutual information over the stored rows, the variance at
            least the known one; NaN where the family has no density.
        problem: what contradicts the label, or nothing.
        certificate: derived again, where flows carried the dataset.
    """

    dataset_id: int
    component: str
    n: int
    mi: float
    recomputed: float
    mean: float
    variance: float
    problem: str
    certificate: Certificate | None = None

    @property
    def z(self) -> float:
        """(mean - mi) / (s/√n)."""
        return _ratio(self.mean - self.mi, math.sqrt(self.variance / self.n))


@dataclass
class ComponentAudit:
    """One component's evidence.

    Attributes:
        component: its name.
        datasets, rows: how many carry a density.
        difference: mean over all rows of pointwise minus labelled MI, nats.
        z: the difference in standard errors.
    """

    component: str
    datasets: int
    rows: int
    difference: float
    z: float


@dataclass
class Audit:
    """The evidence over a store.

    Attributes:
        store: its folder.
        datasets: how many labels were computed again.
        weighed: how many are behind `z_mean`, `z_std` and `z_above_3`.
        components: one entry per component, the most suspicious first.
        z_mean, z_std, z_above_3: of the z of the datasets with 100 rows or more; of a sound store
            about 0, 1 and 0.0027.
        worst: the datasets with the largest |z|.
        problems: what contradicts the labels, one line each.
        certificates: what was derived again of datasets that flows carried, over all of them.
    """

    store: str
    datasets: int = 0
    weighed: int = 0
    components: list[ComponentAudit] = field(default_factory=list)
    z_mean: float = 0.0
    z_std: float = 0.0
    z_above_3: float = 0.0
    worst: list[Audited] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    certificates: dict[str, float] | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing contradicts the labels."""
        return not self.problems


def audit(
    store: Path,
    *,
    workers: int = 1,
    on_start: Callable[[int], None] = lambda datasets: None,
    on_checked: Callable[[int], None] = lambda datasets: None,
) -> Audit:
    """Hold every label of a sealed store against its data.

    Args:
        store: the folder.
        workers: processes; 1 works in this one.
        on_start: called with the number of datasets to audit.
        on_checked: called with the number audited since the last call.

    Raises:
        NotAStore: there is no sealed store, or this version plans it differently.
        VerificationFailed: a file has the wrong size.
    """
    count = len(_plan(store).shards)
    on_start(len(open_store(store)))
    found: list[Audited] = []
    for rows in _map(store, range(count), workers):
        found += rows
        on_checked(len(rows))
    return summarise(store, found)


def summarise(store: Path, found: Iterable[Audited]) -> Audit:
    """Weigh the evidence of all datasets together."""
    rows = list(found)
    result = Audit(str(store), len(rows), certificates=_certificates(rows))
    with_density = [row for row in rows if math.isfinite(row.variance)]
    groups: dict[str, list[Audited]] = defaultdict(list)
    for row in with_density:
        groups[row.component].append(row)
    components = [_component(name, members) for name, members in groups.items()]
    result.components = sorted(components, key=lambda each: (-abs(each.z), each.component))
    large = [row for row in with_density if row.n >= ROWS_FOR_Z]
    result.weighed = len(large)
    if large:
        z = np.array([row.z for row in large])
        with np.errstate(invalid="ignore"):  # an infinite z has no deviation
            result.z_mean, result.z_std = float(z.mean()), float(z.std())
        result.z_above_3 = float((np.abs(z) > 3.0).mean())
    result.worst = sorted(large, key=lambda row: -abs(row.z))[:WORST]
    result.problems = [
        f"dataset {row.dataset_id} ({row.component}): {row.problem}" for row in rows if row.problem
    ]
    result.problems += [
        f"component {each.component}: the stored data say {each.difference:+.4g} nats more than"
        f" the labels, {each.z:+.1f} standard errors over {each.rows:,} rows"
        for each in result.components
        if not abs(each.z) <= Z_COMPONENT
    ]
    return result


def _certificates(rows: list[Audited]) -> dict[str, float] | None:
    """Join the certificates; None where there are none."""
    found = [(row.certificate, row.mi) for row in rows if row.certificate is not None]
    if not found:
        return None
    each = [certificate for certificate, _ in found]
    losses = [one.mi_loss_bound for one in each if one.mi_loss_bound is not None]
    return {
        "datasets": len(each),
        "holding": sum(certificate.holds(mi) for certificate, mi in found),
        "nonfinite": sum(one.nonfinite for one in each),
        "ties": sum(one.ties for one in each),
        "mi_loss_bound": max(losses, default=math.nan),
        "roundtrip_max": max(one.roundtrip_max for one in each),
        "log_det_error": max(one.log_det_error or 0.0 for one in each),
    }


def _component(name: str, rows: list[Audited]) -> ComponentAudit:
    total = sum(row.n for row in rows)
    excess = math.fsum(row.n * (row.mean - row.mi) for row in rows)
    spread = math.sqrt(math.fsum(row.n * row.variance for row in rows))
    return ComponentAudit(name, len(rows), total, excess / total, _ratio(excess, spread))


def _ratio(excess: float, spread: float) -> float:
    """Divide, where rounding alone counts as nothing: at MI = 0 both are zero."""
    if abs(excess) <= 1e-9:
        return 0.0
    return excess / spread if spread > 0.0 else math.copysign(math.inf, excess)


def _map(store: Path, shards: Iterable[int], workers: int) -> Iterator[list[Audited]]:
    if workers == 1:
        yield from (audit_shard(store, shard) for shard in shards)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(audit_shard, *zip(*((store, shard) for shard in shards), strict=True))


def audit_shard(store: Path, index: int) -> list[Audited]:
    """Audit the datasets of one shard."""
    plan, dataset = _open(store)
    shard = plan.shards[index]
    streams = Streams(plan.recipe.seed)
    rows = dataset.catalog.slice(shard.start, shard.stop - shard.start)
    labels = {name: catalog.to_numpy(rows[name]).tolist() for name in ("mi", "mi_error")}
    datasets = plan.datasets(shard.start, shard.stop)
    with one_thread():
        return [
            _audit_dataset(plan, dataset, planned, mi, error, streams)
            for planned, mi, error in zip(datasets, labels["mi"], labels["mi_error"], strict=True)
        ]


@lru_cache(maxsize=1)
def _open(store: Path) -> tuple[Plan, MetaDataset]:
    return _plan(store), open_store(store)


def _plan(store: Path) -> Plan:
    """Recompute the plan of a store, whether flows carry it or not."""
    record = read_record(store)
    if parse_recipe(record.recipe, str(store)).flow is None:
        return load_plan(store)
    from mistdata.flows.adapt import load_adapted

    return load_adapted(store)


def _rows_as_stored(plan: Plan, dataset: MetaDataset, planned: Planned) -> tuple[Array, Array]:
    table = dataset.read([planned.dataset_id]).values.reshape(planned.n, -1)
    return table[:, : planned.dim_x], table[:, planned.dim_x :]


def _rows_behind_flows(
    plan: Plan, dataset: MetaDataset, planned: Planned
) -> tuple[tuple[Array, Array], Certificate]:
    """Recover the rows of the member, and derive the certificate again."""
    from mistdata.flows.adapt import certified_loss, recertify

    assert plan.recipe.flow is not None
    table = dataset.read([planned.dataset_id]).values.reshape(planned.n, -1)
    rows, found = recertify(dataset.path, plan, planned, table)
    noted = catalog.row(dataset.catalog, planned.dataset_id)["mi_loss_bound"]
    bound = certified_loss(found)
    if (bound is None) != (noted is None) or (bound or 0.0) > (noted or 0.0) + 1e-6:
        raise ValueError(f"certified to lose {noted} nats, the stored bytes say {bound}")
    if not (found.log_det_error or 0.0) <= LOG_DET_ERROR * table.shape[1]:
        raise ValueError(f"the log-determinants of its flows differ by {found.log_det_error:.2g}")
    return rows, found


def _audit_dataset(
    plan: Plan, dataset: MetaDataset, planned: Planned, mi: float, error: float, streams: Streams
) -> Audited:
    member = member_of(planned, streams)
    precision = Precision(planned.n, plan.recipe.splits[planned.split].strict)
    again = member.mutual_information(precision)
    problem = ""
    if abs(again.value - mi) > max(error, again.error) + 1e-9 * (1.0 + mi):
        problem = f"labelled {mi:.6g} nats, its distribution has {again.value:.6g}"
    mean, variance, rows, certificate = math.nan, math.nan, None, None
    try:
        if plan.recipe.flow is not None:
            rows, certificate = _rows_behind_flows(plan, dataset, planned)
        elif member.has_density:
            rows = _rows_as_stored(plan, dataset, planned)
        if rows is not None and member.has_density and _is_faithful(plan, certificate, mi):
            mean, variance = _moments(member, *rows)
            variance = max(variance, (again.pmi_std or 0.0) ** 2)
    except ValueError as failure:
        problem = problem or f"not a sample of its distribution: {failure}"
    audited = Audited(
        planned.dataset_id, planned.component.name, planned.n, mi, again.value, mean, variance,
        "", certificate,
    )  # fmt: skip
    weighed = math.isfinite(mean) and planned.n >= ROWS_FOR_Z
    if not problem and weighed and abs(audited.z) > Z_DATASET:
        problem = f"the stored rows say {mean:.4g} nats, the label {mi:.4g}: z = {audited.z:+.1f}"
    return replace(audited, problem=problem)


def _is_faithful(plan: Plan, certificate: Certificate | None, mi: float) -> bool:
    """Whether the rows that are recovered may be weighed: not where flows or grey levels lost."""
    if certificate is None or plan.recipe.flow is None:
        return True
    return certificate.holds(mi) and not plan.recipe.flow.grey_levels


def _moments(member: JointDistribution, x: Array, y: Array) -> tuple[float, float]:
    """Return mean and variance of the pointwise mutual information over stored rows."""
    with np.errstate(divide="ignore", invalid="ignore"):  # outside the support, reported below
        pointwise = member.pointwise_mutual_information(x, y)
    if not np.isfinite(pointwise).all():
        outside = int((~np.isfinite(pointwise)).sum())
        raise ValueError(f"{outside} of {len(pointwise)} rows lie outside its support")
    mean = float(pointwise.mean())
    return mean, float(((pointwise - mean) ** 2).sum() / max(len(pointwise) - 1, 1))
