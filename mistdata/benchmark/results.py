"""A result on disk: one row per dataset, in one Parquet file and, until it is whole, in parts.

`OUT` holds the rows of finished runs, `OUT.parts/` those of a run that is under way or was killed;
both count. Every file names the store's digest and the estimator it belongs to. Beside
`store/catalog.py` the only file that knows Arrow.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mistdata.distributions.priors import Array
from mistdata.errors import MistdataError, OtherResult
from mistdata.store.commit import is_leftover, make_folder, remove_leftovers, write_durably

FORMAT = 1
_KEY = b"mistdata benchmark"
_LISTS = pa.list_(pa.float64())

RESULT = pa.schema(
    [
        ("dataset_id", pa.int64()),
        ("estimate", pa.float64()),
        ("lower", pa.float64()),
        ("upper", pa.float64()),
        ("levels", _LISTS),
        ("quantiles", _LISTS),
        ("seconds", pa.float64()),
        ("failure", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one dataset.

    Attributes:
        dataset_id: which.
        estimate: nats; None for a failure.
        lower, upper: the 90 % interval, nats; None if there is none.
        levels, quantiles: None if there are none.
        seconds: wall time of the estimate.
        failure: what went wrong, in one line; None for a success.
    """

    dataset_id: int
    estimate: float | None
    lower: float | None
    upper: float | None
    levels: tuple[float, ...] | None
    quantiles: tuple[float, ...] | None
    seconds: float
    failure: str | None


@dataclass(frozen=True)
class Identity:
    """What a result belongs to; a run goes on only with results of the same.

    Attributes:
        digest: of the store's content.
        estimator: what names it.
        version: of the estimator.
        options: its parameters.
        bootstrap: resamples whose estimates are averaged; 0 for one estimate of the rows as they
            are.
    """

    digest: str
    estimator: str
    version: str
    options: dict[str, Any] = field(default_factory=dict)
    bootstrap: int = 0

    def differences(self, other: Self) -> list[str]:
        """Say in what another identity differs, one phrase each."""
        pairs = [
            (each.name, getattr(self, each.name), getattr(other, each.name))
            for each in fields(self)
        ]
        return [
            f"{name} {mine!r} and not {theirs!r}" for name, mine, theirs in pairs if mine != theirs
        ]


@dataclass(frozen=True)
class Header:
    """What every file of a result says of itself.

    Attributes:
        identity: see there.
        name: what tables call the estimator.
        store: name and version of the store.
        mistdata: the version that wrote the file.
    """

    identity: Identity
    name: str
    store: str
    mistdata: str


@dataclass(frozen=True)
class Result:
    """The rows of a result, in dataset order.

    Attributes:
        header: see there.
        columns: per column of `RESULT` one array; levels and quantiles as lists of tuples or None.
    """

    header: Header
    columns: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.columns["dataset_id"])


def parts_of(out: Path) -> Path:
    """Name the folder of a result's parts."""
    return out.with_name(f"{out.name}.parts")


def write_part(parts: Path, header: Header, rows: Sequence[Row]) -> None:
    """Make some rows durable, as a part of their own."""
    path = parts / f"{rows[0].dataset_id:08d}-{secrets.token_hex(4)}.parquet"
    columns = {name: [getattr(row, name) for row in rows] for name in RESULT.names}
    write_durably(path, [_encode(pa.table(columns, schema=RESULT), header)])


def done(out: Path, identity: Identity) -> Array:
    """Return the dataset_id of every dataset that a result holds, in order.

    Raises:
        OtherResult: it belongs to another store or estimator.
        MistdataError: a file is not a result.
    """
    found = _files(out)
    for path in found:
        differ = _read_header(path).identity.differences(identity)
        if differ:
            raise OtherResult(f"{path}: belongs to {'; '.join(differ)}; choose another OUT")
    ids = [_read_table(path)["dataset_id"].to_numpy() for path in found]
    return np.unique(np.concatenate([np.empty(0, np.int64), *ids]))


@contextmanager
def parts_folder(out: Path) -> Iterator[Path]:
    """Have the folder of a result's parts to oneself; a kill gives it free.

    Raises:
        MistdataError: another process has it.
    """
    parts = parts_of(out)
    make_folder(parts)
    descriptor = os.open(parts, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MistdataError(f"{out}: another process is at work on it") from None
        yield parts
    finally:
        with suppress(OSError):  # not empty: a later run goes on with it
            parts.rmdir()
        os.close(descriptor)


def merge(out: Path, header: Header) -> None:
    """Move the rows of all parts into the one file; killed in between, nothing is lost."""
    parts = _part_files(out)
    if parts:
        table = _distinct([_read_table(path) for path in _files(out)])
        write_durably(out, [_encode(table, header)])
    for path in parts:
        path.unlink(missing_ok=True)
    remove_leftovers(parts_of(out))


def read_result(out: Path) -> Result:
    """Read a result, whole or not.

    Raises:
        MistdataError: there is none, a file is not a result, or parts are of different runs.
    """
    files = _files(out)
    if not files:
        raise MistdataError(f"{out}: there is no such file; `mistdata benchmark` writes results")
    headers = [_read_header(path) for path in files]
    for path, header in zip(files, headers, strict=True):
        if header.identity != headers[0].identity:
            raise MistdataError(f"{path}: belongs to another run than {files[0]}")
    table = _distinct([_read_table(path) for path in files])
    columns: dict[str, Any] = {
        name: table[name].to_numpy()
        for name in ("dataset_id", "estimate", "lower", "upper", "seconds")
    }
    columns |= {name: _tuples(table[name]) for name in ("levels", "quantiles")}
    return Result(headers[0], columns | {"failure": table["failure"].to_pylist()})


def _tuples(column: pa.ChunkedArray) -> list[tuple[float, ...] | None]:
    return [None if each is None else tuple(each) for each in column.to_pylist()]


def _files(out: Path) -> list[Path]:
    return ([out] if out.exists() else []) + _part_files(out)


def _part_files(out: Path) -> list[Path]:
    return sorted(path for path in parts_of(out).glob("*.parquet") if not is_leftover(path))


def _distinct(tables: Iterable[pa.Table]) -> pa.Table:
    """Join tables, in dataset order; of a dataset that two runs did at once, one row stays."""
    table = pa.concat_tables(tables)
    _, first = np.unique(table["dataset_id"].to_numpy(), return_index=True)
    return table.take(first)


def _encode(table: pa.Table, header: Header) -> bytes:
    text = json.dumps({"format": FORMAT, **asdict(header)}, sort_keys=True)
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({_KEY: text.encode()}), buffer, compression="zstd"
    )
    return buffer.getvalue()


def _read_header(path: Path) -> Header:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _not_a_result(path, str(error)) from None
    text = (schema.metadata or {}).get(_KEY)
    if text is None or schema.remove_metadata() != RESULT:
        raise _not_a_result(path, "other columns")
    document = json.loads(text)
    if document.pop("format") != FORMAT:
        raise _not_a_result(path, f"expected format {FORMAT}")
    return Header(**document | {"identity": Identity(**document["identity"])})


def _read_table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, partitioning=None).replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as error:
        raise _not_a_result(path, str(error)) from None


def _not_a_result(path: Path, why: str) -> MistdataError:
    reason = " ".join(why.split())[:200]
    return MistdataError(f"{path}: not a result of mistdata benchmark: {reason}")
