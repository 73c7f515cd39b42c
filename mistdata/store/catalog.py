"""The Parquet tables of a store: plan and catalog; and queries over the catalog.

The only file that knows DuckDB and, but for the results of benchmarks, Arrow. Every table
carries `{"format", "plan", "mistdata"}` in its metadata; nothing in it depends on time or host.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mistdata.distributions.priors import Array
from mistdata.errors import BadCondition, VerificationFailed, did_you_mean
from mistdata.store.layout import FORMAT
from mistdata.store.place import Remote

_ROW_GROUP = 65_536
_KEY = b"mistdata"
Table = pa.Table
_WORD = pa.dictionary(pa.int32(), pa.string())

LABELS = pa.schema(
    [
        ("dataset_id", pa.int64()),
        ("mi", pa.float64()),
        ("mi_error", pa.float64()),
        ("mi_error_kind", pa.string()),
        ("mi_method", pa.string()),
        ("mi_check", pa.float64()),
        ("pmi_std", pa.float64()),
        ("params", pa.string()),
        ("crc32c", pa.uint32()),
        ("mi_loss_bound", pa.float64()),
        ("roundtrip_max", pa.float64()),
    ]
)
# Of datasets that a flow carried to a modality; older receipts do not have them.
LATER_LABELS = {"mi_loss_bound", "roundtrip_max"}

CATALOG = pa.schema(
    [
        ("dataset_id", pa.int64()),
        ("split", _WORD),
        ("distribution_id", pa.int64()),
        ("replicate", pa.int32()),
        ("component", _WORD),
        ("family", _WORD),
        ("transform_x", _WORD),
        ("transform_y", _WORD),
        ("flow_x", _WORD),
        ("flow_y", _WORD),
        ("x_kind", _WORD),
        ("y_kind", _WORD),
        ("dim_x", pa.int32()),
        ("dim_y", pa.int32()),
        ("n", pa.int32()),
        ("mi", pa.float64()),
        ("mi_error", pa.float64()),
        ("mi_error_kind", _WORD),
        ("mi_method", _WORD),
        ("mi_check", pa.float64()),
        ("pmi_std", pa.float64()),
        ("oracle_se", pa.float64()),
        ("params", pa.string()),
        ("seed_key", pa.list_(pa.int64(), 3)),
        ("shard", pa.int32()),
        ("offset", pa.int64()),
        ("crc32c", pa.uint32()),
        ("mi_loss_bound", pa.float64()),
        ("roundtrip_max", pa.float64()),
        ("flags", pa.int32()),
    ]
)

_WORDS = [field.name for field in CATALOG if pa.types.is_dictionary(field.type)]
_LABEL_NAMES = set(LABELS.names) - {"dataset_id"}
_DERIVED = {"flags", "oracle_se"}
PLANNED = pa.schema([f for f in CATALOG if f.name not in _LABEL_NAMES | _DERIVED])
# Catalogs written before these columns existed are read with nulls in them.
_OPTIONAL = {"flow_x", "flow_y"}  # of what is planned: null where no flow carries the side
_ALWAYS = [*(set(PLANNED.names) - _OPTIONAL), "mi", "mi_method", "params", "crc32c"]
_LEAST = {"n": 1, "dim_x": 1, "dim_y": 1, "shard": 0, "offset": 0}
_LATER = {"mi_error_kind", "mi_check", "pmi_std", "oracle_se", *LATER_LABELS}
ALLOWED_LOSS = 1e-3  # of 1 + I: what a certified dataset may have lost to its flow and rounding
UNCERTIFIED = 1  # in `flags`: carried by a flow without a certificate that it lost no more
IMPORTED = "imported"  # mi_method of labels that came with the data: nobody checked them here
UNCERTIFIED_LOSS = "uncertified_loss"  # the same of datasets in `flags`
ROUNDED = "certified_loss"  # mi_error_kind of images in grey levels: I is in [mi - mi_error, mi]


class DamagedTable(VerificationFailed):
    """A Parquet file that cannot be read, or is not the table it should be."""


def encode_planned(planned: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """Encode what is planned of every dataset; columns as in `PLANNED`."""
    return _encode(planned, metadata)


def planned_table(columns: Mapping[str, Any]) -> pa.Table:
    """Build the table of what is planned; columns as in `PLANNED`, flows may be left out."""
    rows = len(columns["n"])
    filled = {"flow_x": pa.nulls(rows, pa.string()), "flow_y": pa.nulls(rows, pa.string())}
    filled |= columns
    arrays = [_column(filled[field.name], field.type) for field in PLANNED]
    return pa.Table.from_arrays(arrays, schema=PLANNED)


def read_planned(path: Path) -> pa.Table:
    """Read what is planned of every dataset.

    Raises:
        DamagedTable: the file is not such a table.
    """
    return _read_as(path, PLANNED)


def label_table(labels: Iterable[Mapping[str, Sequence[Any]]]) -> pa.Table:
    """Join the labels of several shards; columns as in `LABELS`.

    Raises:
        DamagedTable: they are not labels.
    """
    try:
        tables = [pa.table(_with_later(each), schema=LABELS) for each in labels]
    except (pa.ArrowException, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise DamagedTable(f"a receipt holds no labels: {reason}") from None
    return pa.concat_tables(tables) if tables else LABELS.empty_table()


def _with_later(labels: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    missing = LATER_LABELS - labels.keys()
    return dict(labels) | {name: [None] * len(labels["mi"]) for name in missing}


def build_catalog(planned: pa.Table, labels: pa.Table) -> pa.Table:
    """Join what was planned with the labels of the same datasets, in the same order.

    Raises:
        DamagedTable: they are of other datasets.
    """
    if not planned["dataset_id"].equals(labels["dataset_id"]):
        raise DamagedTable("receipts and plan are of other datasets")
    columns = {name: planned[name] for name in PLANNED.names}
    columns |= {name: labels[name] for name in LABELS.names}
    columns |= _derived(planned, labels)
    arrays = [_column(columns[field.name], field.type) for field in CATALOG]
    return pa.Table.from_arrays(arrays, schema=CATALOG)


def _derived(planned: pa.Table, labels: pa.Table) -> dict[str, Any]:
    """Return the columns that follow from others."""
    roots = pc.sqrt(planned["n"].cast(pa.float64()))
    return {
        "flags": pa.chunked_array([_flags(planned, labels)]),
        "oracle_se": pc.divide(labels["pmi_std"], roots),
    }


def underived(table: pa.Table) -> list[str]:
    """Name the columns of a catalog that do not follow from those that they derive from.

    A column of nulls is none: the catalog was written before there was one.
    """
    known = {
        name: values
        for name, values in _derived(table, table).items()
        if table[name].null_count < len(table)
    }
    return [name for name, values in known.items() if not _same_numbers(table[name], values)]


def _same_numbers(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    first, second = (to_numpy(each.cast(pa.float64())) for each in (one, other))
    return np.array_equal(first, second, equal_nan=True)


def _flags(planned: pa.Table, labels: pa.Table) -> pa.Array:
    """Flag what a flow carried without a certificate."""
    carried = pc.or_(*(pc.is_valid(_plain(planned[name])) for name in ("flow_x", "flow_y")))
    loss = to_numpy(labels["mi_loss_bound"].cast(pa.float64())).astype(np.float64)
    allowed = ALLOWED_LOSS * (1.0 + to_numpy(labels["mi"]))
    with np.errstate(invalid="ignore"):
        allowed = np.where(to_numpy(labels["mi_error_kind"]) == ROUNDED, np.inf, allowed)
        uncertified = np.asarray(carried) & ~(loss <= allowed)
    return pa.array(np.where(uncertified, UNCERTIFIED, 0).astype(np.int32))


def encode_catalog(catalog: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """Encode a catalog."""
    return _encode(catalog, metadata)


def encode_with_values(table: pa.Table, x: Sequence[Array], y: Sequence[Array]) -> bytes:
    """Encode rows of a catalog as Parquet for other tools: plain words, and the values.

    Args:
        table: rows of a catalog.
        x: of every row, float32 values.
        y: of every row, float32 values.
    """
    columns = {name: _plain(table[name]) for name in table.column_names}
    for name, values in (("x", x), ("y", y)):
        columns[name] = pa.array(values, pa.large_list(pa.float32()))
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", use_dictionary=_WORDS)
    return buffer.getvalue()


def read_catalog(path: Path) -> pa.Table:
    """Read a catalog.

    Raises:
        DamagedTable: the file is not a catalog.
    """
    return _read_as(path, CATALOG)


def whole(values: Array) -> pa.Array:
    """Return whole numbers as a column."""
    return pa.array(values.astype(np.int64))


def typed(columns: Mapping[str, Any]) -> pa.Table:
    """Return columns as a catalog: those of `CATALOG`, in its order and types.

    Args:
        columns: by name; columns of a catalog, or such from `whole`.
    """
    found = [columns[field.name] for field in CATALOG]
    chunked = [pa.chunked_array([c]) if isinstance(c, pa.Array) else c for c in found]
    kinds = [field.type for field in CATALOG]
    arrays = [_column(_plain(c), kind) for c, kind in zip(chunked, kinds, strict=True)]
    return pa.Table.from_arrays(arrays, schema=CATALOG)


def of_rows(rows: list[dict[str, Any]]) -> pa.Table:
    """Return dictionaries as a catalog; columns that they lack are null."""
    return pa.Table.from_pylist(rows, schema=CATALOG)


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Put catalogs one after another."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def same_columns(one: pa.Table, other: pa.Table, names: Iterable[str]) -> bool:
    """Tell whether two tables agree in these columns, however the words are encoded."""
    return all(_plain(one[name]).equals(_plain(other[name])) for name in names)


def words(values: Sequence[str], positions: Array) -> pa.DictionaryArray:
    """Return values[positions] as a dictionary column.

    Repeated values become one word: Parquet does not encode a dictionary that repeats itself the
    same way twice.
    """
    distinct = list(dict.fromkeys(values))
    code = np.array([distinct.index(value) for value in values], np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(code[positions]), pa.array(distinct))


def seed_keys(*parts: Array) -> pa.FixedSizeListArray:
    """Return the column of stream keys."""
    flat = np.stack(parts, axis=1).astype(np.int64).ravel()
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), len(parts))


def select(catalog: pa.Table, condition: str) -> Array:
    """Return the dataset_id of every row that meets a SQL condition, in order.

    Raises:
        BadCondition: DuckDB refuses the condition.
    """
    sql = f"SELECT dataset_id FROM catalog WHERE ({condition}\n) ORDER BY dataset_id"
    try:
        found = query(sql, catalog=catalog)["dataset_id"]
    except ValueError as error:
        reason = _refusal(str(error), condition)
        raise BadCondition(f"where {condition!r}: {reason}") from None
    return np.asarray(found, dtype=np.int64)


def why_none(catalog: pa.Table, condition: str) -> str:
    """Say why no row meets a condition: a word that its columns do not hold, where there is one.

    Args:
        catalog: a catalog.
        condition: that `select` found to hold of no row.
    """
    named = [name for name in _WORDS if re.search(rf"\b{name}\b", condition, re.IGNORECASE)]
    known = {word for name in named for word in catalog[name].unique().to_pylist() if word}
    words = [word for word in re.findall("'([^']*)'", condition) if "%" not in word]
    unknown = next((word for word in words if named and word not in known), None)
    none = f"no dataset meets {condition!r}"
    if unknown is None:
        return none
    return f"{none}: no {' or '.join(named)} is {unknown!r}{did_you_mean(unknown, sorted(known))}"


def _refusal(error: str, condition: str) -> str:
    """Say of the condition alone, not of the question around it, what DuckDB refuses."""
    unknown = re.search('Referenced column "(.+?)" not found', error)
    if unknown is not None:
        hint = did_you_mean(unknown[1], CATALOG.names) or "; words take single quotes, as 'train'"
        return f"no column {unknown[1]!r}{hint}"
    near = re.search('at or near "(.+?)"', error)
    if not condition.strip() or (near is not None and near[1] not in condition):
        return "it ends too early"
    return error.partition("Error: ")[2] or error


def query(sql: str, **tables: pa.Table) -> dict[str, Array]:
    """Ask the named tables a question in SQL; return the columns of the answer.

    Raises:
        ValueError: DuckDB refuses the question.
    """
    import duckdb

    options: dict[str, Any] = {"enable_external_access": "false", "threads": "1"}
    with duckdb.connect(":memory:", config=options) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        try:
            found: dict[str, Any] = connection.execute(sql).fetchnumpy()
        except duckdb.Error as error:
            raise ValueError(str(error).partition("\n")[0]) from None
    return found


def query_rows(sql: str, **tables: pa.Table) -> list[dict[str, Any]]:
    """Ask the named tables a question in SQL; return the rows of the answer, as Python values.

    Raises:
        ValueError: DuckDB refuses the question.
    """
    found = query(sql, **tables)
    rows = zip(*(values.tolist() for values in found.values()), strict=True)
    return [dict(zip(found, row, strict=True)) for row in rows]


def positions(column: pa.ChunkedArray) -> tuple[list[str], Array]:
    """Return the distinct words of a column, in order of appearance, and each row's position."""
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def sizes(table: pa.Table) -> Array:
    """Return the number of float32 values of every dataset, n (dim_x + dim_y)."""
    n, dim_x, dim_y = (to_numpy(table[name]).astype(np.int64) for name in ("n", "dim_x", "dim_y"))
    return np.asarray(n * (dim_x + dim_y))


def row(table: pa.Table, position: int) -> dict[str, Any]:
    """Return one row as a mapping from column to Python value; `params` is decoded.

    Raises:
        DamagedTable: its parameters are not JSON.
    """
    found: dict[str, Any] = table.slice(position, 1).to_pylist()[0]
    try:
        return found | {"params": json.loads(found["params"])}
    except (ValueError, RecursionError):
        raise DamagedTable(f"dataset {found['dataset_id']}: params is not JSON") from None


def to_numpy(column: pa.ChunkedArray) -> Array:
    """Return a column as one NumPy array; words become an array of str objects."""
    return np.asarray(_plain(column).to_numpy())


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _column(values: Any, kind: pa.DataType) -> Any:
    if isinstance(values, pa.DictionaryArray | pa.FixedSizeListArray):
        return values
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    if pa.types.is_dictionary(kind):
        combined = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        encoded = combined.dictionary_encode()
        return encoded.cast(kind)
    return array.cast(kind)


def _encode(table: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    text = json.dumps({"format": FORMAT, **metadata}, sort_keys=True).encode()
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({_KEY: text}),
        buffer,
        row_group_size=_ROW_GROUP,
        compression="zstd",
    )
    return buffer.getvalue()


def _read_as(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        source = pa.BufferReader(path.read_bytes()) if isinstance(path, Remote) else path
        table = pq.read_table(source, memory_map=False, partitioning=None)
        table.validate(full=True)  # an index may point outside its dictionary
        _require_format(table.schema)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedTable(f"{path}: {_one_line(error)}") from None
    for field in schema:
        if field.name not in table.column_names and field.name in _LATER:
            table = table.append_column(field, pa.nulls(len(table), field.type))
        elif field.name not in table.column_names:
            raise DamagedTable(f"{path}: the column {field.name} is missing")
        elif table.schema.field(field.name).type != field.type:
            raise DamagedTable(f"{path}: the column {field.name} is not of type {field.type}")
    _require_sound(path, table)
    return table


def _require_sound(path: Path, table: pa.Table) -> None:
    """Refuse what no reader could make sense of: no rows, gaps, no size."""
    if not len(table):
        raise DamagedTable(f"{path}: it has no rows")
    for name in table.column_names:
        if name in _ALWAYS and table[name].null_count:
            raise DamagedTable(f"{path}: the column {name} has gaps")
        if name in _LEAST and pc.min(table[name]).as_py() < _LEAST[name]:
            raise DamagedTable(f"{path}: the column {name} has a value below {_LEAST[name]}")


def _require_format(schema: pa.Schema) -> None:
    text = (schema.metadata or {}).get(_KEY)
    if text is None:
        raise ValueError("not a table of mistdata")
    found = json.loads(text)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"expected format {FORMAT}")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
