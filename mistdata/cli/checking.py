"""Commands that check: verify."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mistdata.cli.console import json_option, progress, report, store_path
from mistdata.errors import Incomplete, VerificationFailed

if TYPE_CHECKING:
    from mistdata.verify import Report

_SHOWN = 20


@click.command()
@click.argument("store", type=store_path)
@click.option(
    "--deep",
    is_flag=True,
    help="Then compute every label again and hold it against the data: the pointwise mutual"
    " information, averaged over the stored rows.",
)
@json_option
def verify(store: Path, deep: bool, as_json: bool) -> None:
    """Read every byte of a STORE and hold it against plan, receipts, manifest.

    Example: mistdata verify /tmp/quickstart
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
        evidence = _audit(store)
        document["audit"] = evidence
    _print(found, document, as_json)
    _require_intact(store, found)
    if deep:
        _require_borne_out(store, document["audit"])


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
    checked = ", ".join(f"{count:,} {what}" for what, count in found.checked.items())
    verdict = "intact" if found.sealed else "intact so far, not sealed"
    if not found.ok:
        problems = "\n".join(f"  {problem}" for problem in found.problems)
        verdict = f"{len(found.problems)} problems\n{problems}"
    text = f"{found.store}: {verdict}\nchecked {checked}"
    if "audit" in document:
        text += "\n" + _audit_text(document["audit"])
    report(document, as_json, text)


def _require_intact(store: Path, found: Report) -> None:
    if not found.ok:
        raise VerificationFailed(
            f"{store}: {len(found.problems)} problems found; delete the shards named (for a"
            " catalog, it and manifest.json) and `mistdata generate` makes them again"
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
        f"audited {found['datasets']:,} labels; z of datasets of 100 rows or more: mean"
        f" {found['z_mean']:+.3f}, std {found['z_std']:.3f}, beyond 3: {found['z_above_3']:.2%}",
        f"{'component':<48}{'datasets':>9}{'rows':>12}{'data - label':>14}{'Z':>7}",
    ]
    lines += [
        f"{c['component']:<48}{c['datasets']:>9,}{c['rows']:>12,}{c['difference']:>+14.5f}"
        f"{c['z']:>+7.2f}"
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


def _require_borne_out(store: Path, found: dict[str, Any]) -> None:
    if not found["ok"]:
        count = len(found["problems"])
        raise VerificationFailed(f"{store}: the data contradict the labels, {count} times")
