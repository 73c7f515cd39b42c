"""The file croissant.json of a store: Croissant 1.1, https://docs.mlcommons.org/croissant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from mistdata.store import catalog, layout


def document(
    about: dict[str, Any],
    table: catalog.Table,
    columns: Mapping[str, str],
    listed: tuple[int, str],
) -> dict[str, Any]:
    """Describe a store.

    Args:
        about: name, description, licence and the like of it, as schema.org calls them.
        table: its catalog.
        columns: what every column means.
        listed: size in bytes and sha256 of catalog.parquet.
    """
    size, sha256 = listed
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
        **about,
        "isLiveDataset": False,
        "distribution": distribution,
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "datasets",
                "name": "datasets",
                "description": "The catalog.",
                "key": {"@id": "datasets/dataset_id"},
                "field": [_field(field, columns) for field in table.schema],
            }
        ],
    }


def _field(field: Any, columns: Mapping[str, str]) -> dict[str, Any]:
    listed = pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type)
    described: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"datasets/{field.name}",
        "name": field.name,
        "description": columns[field.name],
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
