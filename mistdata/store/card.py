"""What a store says of itself to people and other tools: README.md, croissant.json, CITATION.cff.

Written at the seal, from the plan and the catalog alone, so that their bytes are a function of
the plan like all others. README.md is a data card in the manner of Hugging Face, croissant.json
follows Croissant 1.1 (https://docs.mlcommons.org/croissant), CITATION.cff the Citation File
Format 1.2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mistdata.distributions.priors import Array
from mistdata.store import catalog, layout

README = "README.md"
CROISSANT = "croissant.json"
CITATION = "CITATION.cff"
NAMES = (README, CROISSANT, CITATION)
LICENCE = "CC-BY-4.0"
LICENCE_URL = "https://creativecommons.org/licenses/by/4.0/"
_SIZES = (10**3, 10**4, 10**5, 10**6, 10**7)
_MOST_FAMILIES = 200
_THEIRS = "as what it was imported from"
_AUTHORS = "Authors of the files that plan.json names"

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


@dataclass(frozen=True)
class Facts:
    """What a card is about.

    Attributes:
        name: of the recipe.
        version: of the recipe.
        plan: hash of the plan.
        digest: of the content.
        mistdata: version that planned the store.
        catalog: size in bytes and sha256 of catalog.parquet.
    """

    name: str
    version: int
    plan: str
    digest: str
    mistdata: str
    catalog: tuple[int, str]

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name}, version {self.version}"


def cards(facts: Facts, table: catalog.Table) -> dict[str, bytes]:
    """Return the files that describe a store, by name.

    Args:
        facts: what identifies it.
        table: its catalog.
    """
    imported = _is_imported(table)
    return {
        README: _readme(facts, table, imported).encode(),
        CROISSANT: (json.dumps(_croissant(facts, table, imported), indent=2) + "\n").encode(),
        CITATION: _citation(facts, imported).encode(),
    }


def _readme(facts: Facts, table: catalog.Table, imported: bool) -> str:
    families = _families(table)
    shown = "\n".join(f"| {name} | {count:,} |" for name, count in families[:_MOST_FAMILIES])
    return f"""---
license: {"other" if imported else LICENCE.lower()}
pretty_name: {facts.title}
tags: [mutual-information, synthetic, zarr, mistdata]
size_categories: [{_size_category(len(table))}]
configs:
- config_name: catalog
  data_files:
  - split: catalog
    path: catalog.parquet
---

# {facts.title}

{_about(table)} For estimators of mutual information: to train them, and to judge them.

| split | datasets | distributions | n | dim_x | dim_y | MI in nats: 5 %, half, 95 % |
|---|---:|---:|---|---|---|---|
{_splits(table)}

## Reading it

```python
import mistdata

ds = mistdata.open("STORE")        # this folder
one = ds[0]
one.x, one.y, one.mi               # arrays (n, dim_x) and (n, dim_y), nats
ds.where("family = '{families[0][0]}' and n >= 100")
```

Without mistdata: `catalog.parquet` has one row per dataset, and `<split>/values` is a Zarr v3
array of float32; a dataset is `n * (dim_x + dim_y)` values from `offset`, row after row, x before
y.

| column | |
|---|---|
{chr(10).join(f"| {name} | {COLUMNS[name]} |" for name in table.column_names)}

## How the labels are known

| mi_method | datasets |
|---|---:|
{chr(10).join(f"| {name} | {count:,} |" for name, count in _counted(table, "mi_method"))}

`mistdata verify STORE` reads every byte; `mistdata verify STORE --deep` holds the labels against
the data.

## What is in it

| family | datasets |
|---|---:|
{shown}

## Where it comes from

{_origin(facts, imported)}
"""


def _is_imported(table: catalog.Table) -> bool:
    """Tell whether data and labels came from elsewhere, so that neither is ours to license."""
    return catalog.IMPORTED in catalog.positions(table["mi_method"])[0]


def _origin(facts: Facts, imported: bool) -> str:
    identity = f"Plan `{facts.plan}`, content digest `{facts.digest}`."
    if imported:
        return (
            f"Put together by mistdata {facts.mistdata} from what `plan.json` names, all or some"
            f" of it\nimported. {identity}\nLicensed as what it was imported from; cite that too."
        )
    return (
        f"Made by mistdata {facts.mistdata} from the recipe in `plan.json`; the same recipe gives"
        f" the same\nbytes. {identity} All rows are random numbers: no\npersons, nothing measured."
        f" Licence: [{LICENCE}]({LICENCE_URL})."
    )


def _about(table: catalog.Table) -> str:
    text = (
        f"{len(table):,} samples of joint distributions (X, Y) whose mutual information is known."
    )
    if any(table[name].null_count < len(table) for name in ("flow_x", "flow_y")):
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


def _croissant(facts: Facts, table: catalog.Table, imported: bool) -> dict[str, Any]:
    size, sha256 = facts.catalog
    splits, _ = catalog.positions(table["split"])
    distribution: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": "catalog.parquet",
            "name": "catalog.parquet",
            "description": "One row per dataset, in the order of the store.",
            "contentUrl": "catalog.parquet",
            "contentSize": f"{size} B",
            "encodingFormat": "application/x-parquet",
            "sha256": sha256,
        }
    ]
    distribution += [
        {
            "@type": "cr:FileSet",
            "@id": f"{split}-values",
            "name": f"{split}-values",
            "description": f"Shards of the Zarr v3 array of the split {split}.",
            "encodingFormat": "application/octet-stream",
            "includes": f"{layout.values_folder(split)}/c/*",
        }
        for split in splits
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": facts.name,
        "description": _about(table),
        "version": f"{facts.version}.0.0",
        "license": _THEIRS if imported else LICENCE_URL,
        "keywords": ["mutual information", "synthetic data", "meta-learning"],
        "creator": {
            "@type": "sc:Organization",
            "name": _AUTHORS if imported else "mistdata",
        },
        "citeAs": f"mistdata: {facts.title}, digest {facts.digest}",
        "identifier": facts.digest,
        "isLiveDataset": False,
        "distribution": distribution,
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "datasets",
                "name": "datasets",
                "description": "The catalog.",
                "key": {"@id": "datasets/dataset_id"},
                "field": [_field(field) for field in table.schema],
            }
        ],
    }


def _field(field: Any) -> dict[str, Any]:
    listed = pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type)
    described: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"datasets/{field.name}",
        "name": field.name,
        "description": COLUMNS[field.name],
        "dataType": _data_type(field.type.value_type if listed else field.type),
        "source": {
            "fileObject": {"@id": "catalog.parquet"},
            "extract": {"column": field.name},
        },
    }
    if listed:
        described |= {"isArray": True, "arrayShape": str(field.type.list_size)}
    return described


def _data_type(kind: Any) -> str:
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"


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


# The context that Croissant 1.1 prescribes.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract",
            "field", "fileProperty", "fileObject", "fileSet", "format", "includes", "isArray",
            "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet",
            "references", "regex", "repeated", "replace", "samplingRate", "separator", "source",
            "subField", "transform",
        )
    },
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}  # fmt: skip
