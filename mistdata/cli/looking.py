"""Commands that look: families, transforms, sample, inspect, report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from mistdata.cli.console import (
    OutputFile,
    bytes_text,
    certificates_text,
    command,
    counted,
    json_option,
    offering,
    print_json,
    report,
    store_path,
)
from mistdata.errors import did_you_mean

_LISTED = 40  # components that are listed one by one
_PICTURE = OutputFile(".png")
_SAMPLE = "sample.png"  # drawn where neither a picture nor a table is asked for


def _families() -> Iterable[str]:
    from mistdata.distributions.families import FAMILIES

    return FAMILIES


def _transforms() -> Iterable[str]:
    from mistdata.distributions.transforms import TRANSFORMS

    return TRANSFORMS


@command()
@click.argument("name", required=False, shell_complete=offering(_families))
@click.option("--gallery", type=OutputFile(".png"), help="Draw every family: a PNG.")
@click.option("--markdown", is_flag=True, help="Print the page docs/families.md.")
@json_option
def families(name: str | None, gallery: Path | None, markdown: bool, as_json: bool) -> None:
    """List the families of joint distributions, or describe one.

    Example: mistdata families gaussian-lvm
    """
    from mistdata.distributions import describe

    chosen = [gallery is not None, markdown, as_json]
    if sum(chosen) > 1:
        raise click.UsageError("choose one of --gallery, --markdown and --json")
    if name is not None and (gallery is not None or markdown):
        raise click.UsageError("--gallery and --markdown show every family; leave out NAME")
    table = _one_of(describe.describe_families(), name, "family")
    if gallery is not None:
        from mistdata.pictures import draw_gallery

        draw_gallery(gallery)
        click.echo(f"{gallery}: {len(table)} families")
    elif markdown:
        click.echo(describe.markdown(), nl=False)
    elif as_json:
        print_json(table)
    elif name is None:
        _list_families(table)
    else:
        entry = table[name]
        click.echo(click.style(name, bold=True) + f"  {entry['summary']}")
        click.echo(f"    I(X;Y) = {entry['formula']}  [nats], {describe.method_of(name)}")
        click.echo(f"    dim_x × dim_y: {entry['dims']}; X {entry['x_kind']}, Y {entry['y_kind']}")
        click.echo(f"    {entry['source']}")
        _list_parameters(entry)


@command()
@click.argument("name", required=False, shell_complete=offering(_transforms))
@json_option
def transforms(name: str | None, as_json: bool) -> None:
    """List the maps of one side that leave the information as it is, or describe one.

    Example: mistdata transforms rotation
    """
    from mistdata.distributions.describe import describe_transforms

    table = _one_of(describe_transforms(), name, "map")
    if as_json:
        print_json(table)
        return
    for key, entry in table.items():
        least = f" From {entry['least_dim']} columns." if entry["least_dim"] > 1 else ""
        click.echo(click.style(f"{key:<14}", bold=True) + f"{entry['summary']}{least}")
        if name is not None:
            click.echo(f"    {entry['formula']}")
            _list_parameters(entry)


def _one_of(table: dict[str, Any], name: str | None, what: str) -> dict[str, Any]:
    if name is None:
        return table
    if name not in table:
        raise click.UsageError(f"no {what} {name!r}{did_you_mean(name, table)}")
    return {name: table[name]}


def _list_families(table: dict[str, Any]) -> None:
    group = ""
    for key, entry in table.items():
        if entry["group"] != group:
            group = entry["group"]
            click.echo(click.style(f"\n{group}", bold=True))
        click.echo(f"  {key:<24}{entry['dims']:<14}{entry['summary']}")
    click.echo(f"\n{len(table)} families; `mistdata families NAME` shows one")


def _list_parameters(entry: dict[str, Any]) -> None:
    for parameter, about in entry["parameters"].items():
        each = ", one per coordinate" if about["per_coordinate"] else ""
        click.echo(
            f"    {parameter}: {about['meaning']}{each}; domain {about['domain']},"
            f" published {about['prior']}"
        )
        if about["reason"]:
            click.echo(f"        {about['reason']}")


@command()
@click.argument("recipe", type=click.Path(path_type=Path), required=False)
@click.option("--component", help="The component of RECIPE to draw.  [default: its first]")
@click.option(
    "--family",
    shell_complete=offering(_families),
    help="Draw a member of this family instead, from its published ranges.",
)
@click.option(
    "--dim-x", type=click.IntRange(min=1), help="Dimension of X.  [default: drawn, or least]"
)
@click.option(
    "--dim-y", type=click.IntRange(min=1), help="Dimension of Y.  [default: drawn, or least]"
)
@click.option("--n", type=click.IntRange(min=2), help="Number of rows.  [default: drawn, or 500]")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the draw."
)
@click.option(
    "--png", type=_PICTURE, help=f"Where to draw it.  [default: {_SAMPLE}; with --csv, nowhere]"
)
@click.option("--csv", type=OutputFile(), help="Write its rows here; a picture only with --png.")
@json_option
def sample(
    recipe: Path | None,
    component: str | None,
    family: str | None,
    dim_x: int | None,
    dim_y: int | None,
    n: int | None,
    seed: int,
    png: Path | None,
    csv: Path | None,
    as_json: bool,
) -> None:
    """Draw one dataset, of a RECIPE's component or of a family; plot it, or write its rows.

    Example: mistdata sample --family copula-clayton --png clayton.png
    """
    from dataclasses import asdict

    from mistdata.pipeline.recipe import read_recipe
    from mistdata.pipeline.single import sample_component, sample_family, write_csv

    if (recipe is None) == (family is None):
        raise click.UsageError("give either a RECIPE or --family")
    if png is None and csv is None:
        png = _PICTURE.convert(_SAMPLE, None, None)
    note = ""
    if family is not None:
        if component is not None:
            raise click.UsageError("--component names a line of a RECIPE, not of a family")
        one = sample_family(family, dim_x, dim_y, n, seed)
    else:
        assert recipe is not None
        read = read_recipe(recipe)
        one = sample_component(read, component, dim_x, dim_y, n, seed)
        if read.flow is not None:
            note = ", before the flows"
    label = one.label
    title = f"{one.name}  {len(one.x)} rows, {one.member.dim_x} × {one.member.dim_y}{note}"
    if png is not None:
        from mistdata.pictures import draw_sample

        draw_sample(png, one.member, one.x, one.y, f"{title}, I = {label.mi:.3f} nats")
    if csv is not None:
        write_csv(csv, one)
    check = "no density" if label.mi_check is None else f"Monte Carlo {label.mi_check:.4f} nats"
    text = (
        f"{title}\nI(X;Y) = {label.mi:.6g} nats ± {label.mi_error:.1g}"
        f" ({label.mi_method}, {label.mi_error_kind}); {check}\n{label.params}"
    )
    files = {key: path and str(path) for key, path in (("png", png), ("csv", csv))}
    text += "".join(f"\n{path}" for path in files.values() if path)
    report({"name": one.name, "n": len(one.x), **asdict(label), **files}, as_json, text)


@command()
@click.argument("store", type=store_path)
@click.option("--against", type=store_path, help="Another store: what do the two have in common?")
@json_option
def inspect(store: Path, against: Path | None, as_json: bool) -> None:
    """Show what a STORE holds: totals, splits, sizes, MI by component in nats.

    Example: mistdata inspect STORE
    """
    from mistdata.inspect import inspect as inspect_store

    summary = inspect_store(store, against)
    if as_json:
        print_json(summary)
        return
    state = "sealed" if summary["sealed"] else "not sealed"
    click.echo(f"{summary['name']} version {summary['version']}, {state}, in {store}")
    click.echo(f"plan   {summary['plan']}")
    if summary["sealed"]:
        click.echo(f"digest {summary['digest']}")
    else:
        done = summary["planned_shards"] - summary["missing_shards"]
        click.echo(f"filled {done} of {summary['planned_shards']} shards; rerun to resume")
    click.echo(
        f"{summary['datasets']:,} datasets of {summary['unique_distributions']:,} unique"
        f" distributions, {bytes_text(summary['values_bytes'])} of values"
    )
    for name, split in summary["splits"].items():
        _print_split(name, split)
    _print_overlap(summary)
    if summary["certificates"] is not None:
        click.echo(certificates_text(summary["certificates"], summary["datasets"]))
    click.echo("")
    _print_contents(summary)


def _print_split(name: str, split: dict[str, Any]) -> None:
    ranges = ", ".join(
        f"{key} {split[key][0]}..{split[key][1]}" for key in ("n", "dim_x", "dim_y")
    )
    mi = split["mi_nats"]
    click.echo(
        f"{name}: {split['datasets']:,} datasets of {split['distributions']:,} distributions"
        f" ({split['unique_distributions']:,} unique) in {counted(split['shards'], 'shard')};"
        f" {ranges};"
        f" MI median {mi['0.5']:.2f}, 5-95 % {mi['0.05']:.3f}..{mi['0.95']:.2f},"
        f" max {mi['1']:.2f} nats, exactly 0 in {split['independent']:,}"
    )


def _print_overlap(summary: dict[str, Any]) -> None:
    overlap = summary["overlap"]
    if len(summary["splits"]) > 1:
        click.echo(f"the splits share {_shared(overlap)}")
    if "against" in summary:
        other = summary["against"]
        click.echo(
            f"with {other['store']} it shares {_shared(other)} (seeds {other['seeds'][0]} and"
            f" {other['seeds'][1]}), {len(other['shared_families'])} families"
        )


def _shared(found: dict[str, Any]) -> str:
    counts = (found["shared_distributions"], found["shared_streams"])
    distributions, streams = (f"{count:,}" if count else "no" for count in counts)
    return f"{distributions} distributions and {streams} random streams"


def _print_contents(summary: dict[str, Any]) -> None:
    """List the components, or the families where that would be too long a list."""
    many = len(summary["components"]) > _LISTED
    key = "family" if many else "component"
    rows = summary["families" if many else "components"]
    wide = max(24, *(len(row[key]) for row in rows))
    click.echo(
        f"{key:<{wide}}{'datasets':>10}{'share':>8}{'MI least':>10}{'median':>9}{'most':>9}  nats"
    )
    for row in rows:
        click.echo(
            f"{row[key]:<{wide}}{row['datasets']:>10,}{row['share']:>8.2%}"
            f"{row['mi_min_nats']:>10.3f}{row['mi_median_nats']:>9.3f}{row['mi_max_nats']:>9.2f}"
        )
    if many:
        click.echo(f"{len(summary['components'])} components in all (--json lists them)")


def _evidence(audit: Path) -> dict[str, Any]:
    try:
        found = json.loads(audit.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.UsageError(
            f"{audit}: must be what `mistdata verify STORE --deep --json` printed"
        )
    return found


@command("report")
@click.argument("store", type=store_path)
@click.argument("out", type=OutputFile(), metavar="OUT.html")
@click.option(
    "--audit", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Show this, which `mistdata verify STORE --deep --json` printed.",
)  # fmt: skip
@click.option("--png", type=OutputFile(".png"), help="A picture, too.")
@json_option
def report_page(
    store: Path, out: Path, audit: Path | None, png: Path | None, as_json: bool
) -> None:
    """Describe a STORE on one page, which needs nothing else: OUT.html.

    Example: mistdata report STORE report.html
    """
    from mistdata import report as reporting

    try:
        facts = reporting.collect(store, None if audit is None else _evidence(audit))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    reporting.write_page(out, facts)
    datasets, size = facts["totals"]["datasets"], out.stat().st_size
    text = f"{out}: {datasets:,} datasets, {bytes_text(size)}"
    if png is not None:
        reporting.draw(png, facts)
        text += f"\n{png}: histograms"
    done = {"out": str(out), "datasets": datasets, "bytes": size, "png": png and str(png)}
    report(done, as_json, text)
