"""What a store says of itself to people and other tools: README.md, croissant.json, CITATION.cff.

Written at the seal, from the plan and the catalog alone, so that their bytes are a function of
the plan like all others. README.md is a data card in the manner of Hugging Face, CITATION.cff
follows the Citation File Format 1.2. An export has a card too, which says what it holds instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mistdata.distributions.priors import Array
from mistdata.store import catalog, croissant
from mistdata.store.origin import LICENCE, LICENCE_URL, Facts, in_full, in_short, quoted, rights

README = "README.md"
CROISSANT = "croissant.json"
CITATION = "CITATION.cff"
NAMES = (README, CROISSANT, CITATION)
_SIZES = (10**3, 10**4, 10**5, 10**6, 10**7)
_MOST_FAMILIES = 200
_PLACES = ("shard", "offset", "crc32c")  # what these say is of no use away from the store
_CHECKED_BY_RECIPE = """
`mistdata verify STORE` reads every byte; `mistdata verify STORE --deep` holds the labels against
the data.
"""
_CHECKED_BYTES = """
`mistdata verify STORE` reads every byte.
"""
_CHECKED_ELSEWHERE = """
`mistdata verify STORE --deep`, which holds labels against data, goes by a recipe: it is for the
generated stores that this one comes from.
"""
_UNCHECKED = """
Labels whose `mi_method` is `imported` are those of the files; nothing was held against the data.
"""
THEIRS = "as what it was imported from"
_AUTHORS = "Authors of the files that it was imported from"

COLUMNS = {
    "dataset_id": "row number; the order of the store",
    "split": "train, test, ...",
    "distribution_id": "number of the joint distribution within its split",
    "replicate": "which of the samples of that distribution",
    "component": "line of the recipe: family and maps",
    "family": "family of joint distributions",
    "transform_x": "map of X, joined by + from the left",
    "transform_y": "map of Y",
    "flow_x": "identity of the flow that carries X to a modality; null for none",
    "flow_y": "identity of the flow of Y",
    "x_kind": "continuous, discrete or mixed",
    "y_kind": "continuous, discrete or mixed",
    "dim_x": "columns of X",
    "dim_y": "columns of Y",
    "n": "rows of the sample",
    "mi": "mutual information I(X;Y) of the distribution, in nats",
    "mi_error": "bound or standard error of mi, in nats",
    "mi_error_kind": "what mi_error is",
    "mi_method": "how mi is known: closed form, quadrature, ...",
    "mi_check": "a second opinion of mi, in nats; null where none was asked for",
    "pmi_std": "standard deviation of the pointwise mutual information, in nats",
    "oracle_se": "pmi_std / sqrt(n): error of an estimate that knows the density, in nats",
    "params": "parameters of the distribution, JSON",
    "seed_key": "key of the random stream of the sample",
    "shard": "number of the shard within the split",
    "offset": "first float32 value within the split",
    "crc32c": "checksum of the values",
    "mi_loss_bound": "nats that a flow and rounding may have lost; null without a flow",
    "roundtrip_max": "largest error of a latent recovered from what is stored",
    "flags": "1: carried by a flow and not certified; else 0",
}
# Where they mean something else than in a store that was generated.
_OF_SOURCE = {
    "component": "line of the source's recipe: family and maps",
    "seed_key": "key of the random stream of the sample, under the seed of the source",
}
_OF_FILE = {
    "distribution_id": "number within the split; every dataset has its own",
    "component": "name of the distribution in the file",
    "family": "that name up to its last dash",
    "transform_x": "that name from its last dash on",
    "transform_y": "the same",
    "x_kind": "taken to be continuous",
    "y_kind": "taken to be continuous",
    "mi": "mutual information as the file says, in nats",
    "mi_error": "null, since the file says none",
    "params": "the file, and the place in it, JSON",
    "seed_key": "-1, split, number: the file does not say of which random stream it is",
}


@dataclass(frozen=True)
class Export:
    """What the card of an export says besides that of its store.

    Attributes:
        kind: as `mistdata export --to` has it.
        mistdata: version that exports.
        where: SQL condition that its datasets meet; None for all of the store.
        contents: what its files hold, in Markdown.
        snippet: Python that reads them.
        columns: of the catalog, those that it has.
        files: for every split the files of it, for tools that read the front matter; or none.
    """

    kind: str
    mistdata: str
    where: str | None
    contents: str
    snippet: str
    columns: Sequence[str]
    files: Mapping[str, str]


@dataclass(frozen=True)
class _Parts:
    """What differs between the card of a store and that of an export."""

    title: str
    tag: str
    configs: str
    reading: str
    columns: Mapping[str, str]
    checks: str
    origin: str


def cards(facts: Facts, table: catalog.Table, listed: tuple[int, str]) -> dict[str, bytes]:
    """Return the files that describe a store, by name.

    Args:
        facts: what identifies it.
        table: its catalog.
        listed: size in bytes and sha256 of catalog.parquet.
    """
    imported, carried = is_imported(table), is_carried(table)
    columns = _columns(facts, imported)
    about = {
        "name": facts.name,
        "description": _about(facts, table),
        "version": f"{facts.version}.0.0",
        "license": THEIRS if imported else LICENCE_URL,
        "keywords": ["mutual information", "synthetic data", "meta-learning"],
        "creator": {
            "@type": "sc:Organization",
            "name": _AUTHORS if imported else "mistdata",
        },
        "citeAs": f"mistdata: {facts.title}, digest {facts.digest}",
        "identifier": facts.digest,
    }
    document = croissant.document(about, table, columns, listed)
    parts = _Parts(
        title=facts.title,
        tag="zarr",
        configs=_configs("catalog", {"catalog": "catalog.parquet"}),
        reading=_opening(_families(table)[0][0]),
        columns=columns,
        checks=_checks(facts, imported),
        origin=f"{in_full(facts, carried)} {rights(imported, carried)}",
    )
    return {
        README: _page(facts, table, parts).encode(),
        CROISSANT: (json.dumps(document, indent=2) + "\n").encode(),
        CITATION: _citation(facts, imported).encode(),
    }


def export_card(facts: Facts, table: catalog.Table, export: Export) -> bytes:
    """Return the README.md of an export.

    Args:
        facts: what identifies the store.
        table: the rows of its catalog that are exported.
        export: what they were exported to.
    """
    imported, carried = is_imported(table), is_carried(table)
    columns = _columns(facts, imported)
    columns |= {name: f"in the store, {columns[name]}" for name in _PLACES}
    title, some = facts.title, "."
    if export.where is not None:
        title, some = f"{title}, in part", f": the datasets that meet\n\n{quoted(export.where)}"
    by = f"`mistdata export --to {export.kind}`, version {export.mistdata}"
    parts = _Parts(
        title=title,
        tag="parquet" if export.kind == "hf" else export.kind,
        configs=_configs("default", export.files) if export.files else "",
        reading=f"{export.contents}\n\n```python\n{export.snippet}```",
        columns={name: columns[name] for name in export.columns},
        checks=_UNCHECKED if imported else "",
        origin=f"Written by {by}, from the store {facts.title}{some}\n\n"
        f"{rights(imported, carried)}\n\n### The store\n\n{in_full(facts, carried)}",
    )
    return _page(facts, table, parts).encode()


def _page(facts: Facts, table: catalog.Table, parts: _Parts) -> str:
    shown = "\n".join(
        f"| {name} | {count:,} |" for name, count in _families(table)[:_MOST_FAMILIES]
    )
    return f"""---
license: {"other" if is_imported(table) else LICENCE.lower()}
pretty_name: {parts.title}
tags: [mutual-information, synthetic, {parts.tag}, mistdata]
size_categories: [{_size_category(len(table))}]
{parts.configs}---

# {parts.title}

{_about(facts, table)} For estimators of mutual information: to train them, and to judge them.

| split | datasets | distributions | n | dim_x | dim_y | MI in nats: 5 %, half, 95 % |
|---|---:|---:|---|---|---|---|
{_splits(table)}

## Reading it

{parts.reading}

| column | |
|---|---|
{chr(10).join(f"| {name} | {text} |" for name, text in parts.columns.items())}

## How the labels are known

| mi_method | datasets |
|---|---:|
{chr(10).join(f"| {name} | {count:,} |" for name, count in _counted(table, "mi_method"))}
{parts.checks}
## What is in it

| family | datasets |
|---|---:|
{shown}

## Where it comes from

{parts.origin}
"""


def _configs(name: str, files: Mapping[str, str]) -> str:
    """Front matter that tells the hub of Hugging Face which files there are."""
    lines = [f"  - split: {split}\n    path: {path}\n" for split, path in files.items()]
    return f"configs:\n- config_name: {name}\n  data_files:\n{''.join(lines)}"


def _opening(family: str) -> str:
    return f"""```python
import mistdata

ds = mistdata.open("STORE")        # this folder
one = ds[0]
one.x, one.y, one.mi               # arrays (n, dim_x) and (n, dim_y), nats
ds.where("family = '{family}' and n >= 100")
```

Without mistdata: `catalog.parquet` has one row per dataset, and `<split>/values` is a Zarr v3
array of float32; a dataset is `n * (dim_x + dim_y)` values from `offset`, row after row, x before
y."""


def _checks(facts: Facts, imported: bool) -> str:
    """What of a store can be held against what."""
    if facts.derived is None:
        return _CHECKED_BY_RECIPE
    return _CHECKED_BYTES + (_UNCHECKED if imported else _CHECKED_ELSEWHERE)


def _columns(facts: Facts, imported: bool) -> dict[str, str]:
    """What every column of the catalog means in a store."""
    if facts.derived is None:
        return dict(COLUMNS)
    if facts.derived["by"] == "import":
        return COLUMNS | _OF_FILE
    columns = COLUMNS | _OF_SOURCE
    theirs = {name: f"{columns[name]}; where imported: {text}" for name, text in _OF_FILE.items()}
    return columns | theirs if imported else columns


def is_imported(table: catalog.Table) -> bool:
    """Tell whether data and labels came from elsewhere, so that neither is ours to license."""
    return catalog.IMPORTED in catalog.positions(table["mi_method"])[0]


def is_carried(table: catalog.Table) -> bool:
    """Tell whether flows carried a side of any dataset."""
    return any(table[name].null_count < len(table) for name in ("flow_x", "flow_y"))


def _about(facts: Facts, table: catalog.Table) -> str:
    text = (
        f"{len(table):,} samples of joint distributions (X, Y) whose mutual information is known."
        f"{in_short(facts)}"
    )
    if is_carried(table):
        text += " Normalizing flows carry them to a modality; the information is certified."
    return text


def _splits(table: catalog.Table) -> str:
    names, position = catalog.positions(table["split"])
    rows = []
    for number, name in enumerate(names):
        part = table.filter(pa.array(position == number))
        spans = [_span(part, column) for column in ("n", "dim_x", "dim_y")]
        quantiles = np.quantile(catalog.to_numpy(part["mi"]), [0.05, 0.5, 0.95])
        distributions = len(np.unique(catalog.to_numpy(part["distribution_id"])))
        cells = [name, f"{len(part):,}", f"{distributions:,}", *spans]
        rows.append(f"| {' | '.join(cells)} | {', '.join(f'{q:.3g}' for q in quantiles)} |")
    return "\n".join(rows)


def _span(table: catalog.Table, column: str) -> str:
    values: Array = catalog.to_numpy(table[column])
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _counted(table: catalog.Table, column: str) -> list[tuple[str, int]]:
    """The words of a column, the most frequent first."""
    words, position = catalog.positions(table[column])
    counts = np.bincount(position, minlength=len(words)).tolist()
    return sorted(zip(words, counts, strict=True), key=lambda pair: (-pair[1], pair[0]))


def _families(table: catalog.Table) -> list[tuple[str, int]]:
    return _counted(table, "family")


def _size_category(count: int) -> str:
    """The bin of Hugging Face, like 10K<n<100K."""
    names = ("1K", "10K", "100K", "1M", "10M")
    above = sum(count > size for size in _SIZES)
    if above == 0:
        return "n<1K"
    return f"n>{names[-1]}" if above == len(names) else f"{names[above - 1]}<n<{names[above]}"


def _citation(facts: Facts, imported: bool) -> str:
    licence = "" if imported else f"license: {LICENCE}\n"
    return f"""cff-version: 1.2.0
message: If you use this dataset, please cite it.
type: dataset
title: "{facts.title}: samples of joint distributions with known mutual information"
authors:
  - name: {_AUTHORS if imported else "The mistdata authors"}
version: "{facts.version}"
{licence}identifiers:
  - type: other
    value: "sha256:{facts.digest}"
    description: content digest
"""
