"""Commands about published stores: publish, catalogs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mistdata.cli.console import (
    OutputFile,
    bytes_text,
    command,
    complete_title,
    counted,
    good,
    json_option,
    print_json,
    report,
    store_path,
)

if TYPE_CHECKING:
    from mistdata.store.published import Entry


@command()
@click.argument("store", type=store_path)
@click.argument("entry", type=OutputFile(".json"), metavar="NAME-VERSION.json")
@click.option("--url", help="Where the store will be read.  [default: everybody makes it]")
@click.option(
    "--licence",
    help="Of the data, by its SPDX name.  [default: CC-BY-4.0; to be named for what was imported]",
)
@json_option
def publish(store: Path, entry: Path, url: str | None, licence: str | None, as_json: bool) -> None:
    """Write the entry of a sealed STORE for a catalog; an entry is never edited.

    Example: mistdata publish STORE small-1.json --url https://host/small
    """
    from mistdata.store.published import publish as write_entry

    written = write_entry(store, entry, url=url, licence=licence)
    text = f"{entry}: {good('written')}, {written.title}, digest {written.digest}"
    report(asdict(written), as_json, text)


@command()
@click.argument("title", required=False, metavar="[NAME@VERSION]", shell_complete=complete_title)
@click.option("--recipe", is_flag=True, help="Print its recipe.")
@json_option
def catalogs(title: str | None, recipe: bool, as_json: bool) -> None:
    """List the published stores, or show one.

    Example: mistdata catalogs small@1
    """
    from mistdata.store import published

    if recipe and as_json:
        raise click.UsageError("choose one of --recipe and --json, which holds the recipe")
    if recipe and title is None:
        raise click.UsageError(
            "--recipe: name a store, as in `mistdata catalogs small@1 --recipe`"
        )
    found = list(published.entries()) if title is None else [published.find(title)]
    if recipe:
        click.echo(found[0].recipe, nl=False)
    elif as_json:
        stores = {entry.title: asdict(entry) for entry in found}
        print_json({"stores": stores} if title is None else stores[title])
    elif title is None:
        _list(found)
    else:
        _show(found[0])


def _list(found: list[Entry]) -> None:
    from mistdata.store.published import STORES

    for entry in found:
        click.echo(_line(entry))
    number = counted(len(found), "published store")
    click.echo(f"{number}; `mistdata.open(NAME@VERSION)` opens one")
    for title in [entry.title for entry in found if entry.url is None]:
        click.echo(
            f"{title} has no address: make it from its recipe and set {STORES}, as `mistdata"
            f" catalogs {title}` shows"
        )


def _show(entry: Entry) -> None:
    from mistdata.store.published import to_make

    for name, value in asdict(entry).items():
        if name != "recipe" and value is not None:
            parts = value.items() if isinstance(value, dict) else ()
            text = ", ".join(f"{key} {each}" for key, each in parts) if parts else value
            click.echo(f"{name:<14}{text}")
    if entry.url is None:
        click.echo(f"{'to make it':<14}{to_make(entry)}")


def _line(entry: Entry) -> str:
    count = sum(entry.datasets.values())
    where = entry.url or "to be made: no address"
    size = bytes_text(entry.bytes)
    return f"{entry.title:<24}{count:>10,} datasets{size:>12}  {entry.licence:<12}{where}"
