"""Commands that check and mend: verify, repair."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mistdata.cli.computing import Computing, computing_options, portable_option
from mistdata.cli.console import (
    bad,
    command,
    counted,
    good,
    json_option,
    progress,
    quiet_option,
    report,
    store_path,
    written_store_path,
)
from mistdata.errors import Incomplete, MistdataError, VerificationFailed

if TYPE_CHECKING:
    from mistdata.verify import Report

_SHOWN = 20


@command()
@click.argument("store", type=store_path)
@click.option(
    "--deep",
    is_flag=True,
    help="Then compute every label again and hold it against the data: the pointwise mutual"
    " information, averaged over the stored rows, in nats.",
)
@quiet_option
@json_option
def verify(store: Path, deep: bool, as_json: bool) -> None:
    """Read every byte of a STORE and hold it against plan, receipts, manifest.

    Example: mistdata verify STORE --deep
    """
    from mistdata.verify import verify as verify_store

    with progress("datasets") as bar:
        found = verify_store(
            store,
            threads=len(os.sched_getaffinity(0)),
            on_start=lambda total: bar.start(0, total),
            on_checked=bar.advance,
        )
    document = _document(found)
    if deep and found.ok and found.sealed:
        from mistdata.store.ledger import read_manifest

        evidence = _audit(store)
        document["digest"], document["audit"] = read_manifest(store).digest, evidence
    _print(found, document, as_json)
    _require_intact(store, found)
    if deep:
        _require_borne_out(store, document["audit"])


@command()
@click.argument("store", type=written_store_path)
@click.option(
    "--recipe", type=click.Path(path_type=Path),
    help="Recipe of the store; needed where plan.json, which alone holds it, is damaged.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=1), help="The --limit that the store was generated with."
)
@computing_options
@portable_option
@quiet_option
@json_option
def repair(
    store: Path,
    recipe: Path | None,
    limit: int | None,
    computing: Computing,
    as_json: bool,
) -> None:
    """Make again, byte for byte, what is damaged in a STORE, and nothing else.

    What is damaged is made beside the store, held against its manifest, and then put in place.

    Example: mistdata repair STORE --in-process
    """
    from mistdata.pipeline.recipe import read_recipe
    from mistdata.repair import repair as repair_store

    if limit is not None and recipe is None:
        raise click.UsageError("--limit goes with --recipe")
    with progress("datasets") as bar:
        done = repair_store(
            store,
            computing.executor(),
            recipe=None if recipe is None else read_recipe(recipe),
            limit=limit,
            threads=len(os.sched_getaffinity(0)),
            on_start=bar.start,
            on_filled=lambda filled: bar.advance(filled.datasets),
        )
    made = "\n".join(f"  {name}" for name in done.made)
    text = f"{store}: {good('nothing to repair')}"
    if done.made:
        text = f"{store}: {good(counted(len(done.made), 'file') + ' made again')}:\n{made}"
    document = {"made": list(done.made), "before": _document(done.before)}
    report(document | {"after": _document(done.after)}, as_json, text)
    _require_mended(store, done.after)


def _require_mended(store: Path, found: Report) -> None:
    if not found.ok:
        left = "; ".join(str(problem) for problem in found.problems[:3])
        raise VerificationFailed(
            f"{store}: {counted(len(found.problems), 'problem')} left, which no plan can mend:"
            f" {left}"
        )


def _document(found: Report) -> dict[str, Any]:
    return {
        "store": found.store,
        "sealed": found.sealed,
        "ok": found.ok,
        "missing_shards": found.missing,
        "checked": dict(found.checked),
        "problems": [
            {"path": p.path, "message": p.message, "datasets": list(p.datasets)}
            for p in found.problems
        ],
    }


def _print(found: Report, document: dict[str, Any], as_json: bool) -> None:
    checked = ", ".join(counted(count, what[:-1]) for what, count in found.checked.items())
    verdict = good("intact" if found.sealed else "intact so far, not sealed")
    if not found.ok:
        problems = "\n".join(f"  {problem}" for problem in found.problems)
        verdict = f"{bad(counted(len(found.problems), 'problem'))}\n{problems}"
    text = f"{found.store}: {verdict}\nchecked {checked}"
    if "audit" in document:
        text += "\n" + _audit_text(document["audit"])
    report(document, as_json, text)


def _as_begun(store: Path) -> str:
    """The option that a store was begun with, if its plan can be read."""
    from mistdata.store.ledger import read_record

    try:
        portable = read_record(store).fingerprint.get("portable") == "yes"
    except (MistdataError, OSError):
        return ""
    return " --portable" if portable else ""


def _require_intact(store: Path, found: Report) -> None:
    from mistdata.store.ledger import FLOWS
    from mistdata.verify import FOREIGN

    if not found.ok:
        foreign = all(problem.message == FOREIGN for problem in found.problems)
        advice = f"`mistdata repair {store}{_as_begun(store)}` makes what is damaged again"
        if any(problem.path.startswith(f"{FLOWS}/") for problem in found.problems):
            advice = (
                f"copy the flow back to {store / FLOWS}, as nothing makes it again; then {advice}"
            )
        raise VerificationFailed(
            f"{store}: {counted(len(found.problems), 'problem')} found; "
            + ("delete or move what is not part of the store" if foreign else advice)
        )
    if found.missing:
        raise Incomplete(f"{store}: {found.missing} shards missing; rerun to resume")
    if not found.sealed:
        raise Incomplete(f"{store}: not sealed yet; run `mistdata seal`")


def _audit(store: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from mistdata.audit import audit

    with progress("labels") as bar:
        found = audit(
            store,
            workers=len(os.sched_getaffinity(0)),
            on_start=lambda total: bar.start(0, total),
            on_checked=bar.advance,
        )
    worst = [asdict(row) | {"z": row.z} for row in found.worst]
    return asdict(found) | {"ok": found.ok, "worst": worst}


def _audit_text(found: dict[str, Any]) -> str:
    lines = [
        f"audited {counted(found['datasets'], 'label')}; {_z_text(found)}",
        *([] if found["certificates"] is None else [_certificates_text(found["certificates"])]),
    ]
    if found["components"]:
        lines.append(f"{'component':<48}{'datasets':>9}{'rows':>12}{'data - label':>14}{'Z':>12}")
    lines += [
        f"{c['component']:<48}{c['datasets']:>9,}{c['rows']:>12,}{c['difference']:>+14.5f}"
        f" nats{c['z']:>+7.2f}"
        for c in found["components"][:_SHOWN]
    ]
    hidden = len(found["components"]) - _SHOWN
    if hidden > 0:
        lines.append(f"and {hidden} more components, all nearer (--json shows them)")
    lines += [
        f"worst: dataset {row['dataset_id']} ({row['component']}), n = {row['n']}, label"
        f" {row['mi']:.4f}, data {row['mean']:.4f} nats, z {row['z']:+.2f}"
        for row in found["worst"][:3]
    ]
    return "\n".join([*lines, *(f"  {problem}" for problem in found["problems"])])


def _z_text(found: dict[str, Any]) -> str:
    if not found["weighed"]:
        return "no z: none has a density, 100 rows or more, and rows that were not rounded away"
    return (
        f"z of {counted(found['weighed'], 'dataset')} of 100 rows or more: mean"
        f" {found['z_mean']:+.3f}, std {found['z_std']:.3f}, beyond 3: {found['z_above_3']:.2%}"
    )


def _certificates_text(found: dict[str, Any]) -> str:
    return (
        f"derived {counted(found['datasets'], 'certificate')} again: {found['holding']:,} hold;"
        f" at most {found['mi_loss_bound']:.2g} nats lost, latents recovered within"
        f" {found['roundtrip_max']:.2g}, log-determinants within {found['log_det_error']:.2g},"
        f" {counted(found['ties'], 'equal row')}, {found['nonfinite']:,} not finite"
    )


def _require_borne_out(store: Path, found: dict[str, Any]) -> None:
    if not found["ok"]:
        count = len(found["problems"])
        raise VerificationFailed(f"{store}: the data contradict the labels, {count} times")
