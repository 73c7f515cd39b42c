"""Data that a flow learns to look like: tables, images, embeddings, read from files.

Every row must be continuous in every column, or an image, whose grey levels are made continuous
by noise of one level's width. What a flow cannot learn is refused with its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from scipy.linalg import qr

from mistdata.distributions.priors import Array
from mistdata.errors import MissingExtra, MistdataError
from mistdata.tables import TableError, read_table, select

Kind = Literal["table", "image", "embedding"]
KINDS: tuple[str, ...] = get_args(Kind)
FEWEST_ROWS = 32
FEW_VALUES = 32  # so few distinct values in a column of more than twice as many rows: discrete
_DEPENDENT = 1e-9  # of what is left of a column by the others, over the largest
WIDE = 64  # columns beyond which an array of numbers counts as an embedding
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp"}


class ModalityError(MistdataError):
    """Data that a flow cannot be fitted to."""


@dataclass(frozen=True)
class Modality:
    """Rows to look like.

    Attributes:
        values: float64 (n, *shape), as they were read; images in units of one grey level.
        kind: 'table', 'image' or 'embedding'.
        names: of the columns of a table.
        levels: grey levels of an image, from 0.
    """

    values: Array
    kind: Kind
    names: tuple[str, ...] = ()
    levels: int | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.values.shape[1:]

    @property
    def sha256(self) -> str:
        """Identity of the values."""
        return hashlib.sha256(self.values.tobytes()).hexdigest()

    @property
    def channels_last(self) -> bool:
        """Whether an image has its channels on the last axis."""
        return self.kind == "image" and len(self.shape) == 3 and self.shape[0] not in (1, 3)

    @property
    def planes(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        assert self.kind == "image"
        channels, height, width = (1, *self.shape)[-3:]
        return (width, channels, height) if self.channels_last else (channels, height, width)


def read_modality(
    path: Path | str, kind: str | None = None, columns: str | None = None
) -> Modality:
    """Read a modality.

    Args:
        path: of a .npy or .npz file of an array (n, ...), a table (.csv, .tsv, .parquet), a Zarr
            array, or a folder of images of one size.
        kind: 'table', 'image' or 'embedding'; else guessed: images are pictures or arrays of
            whole numbers with two or three axes a row; embeddings have more than 64 columns.
        columns: of a table, as `mistdata.tables.select` takes them; of an .npz file the array.

    Raises:
        ModalityError: no such file, or the data cannot be learned; names the column or the file.
    """
    path = Path(path)
    if kind is not None and kind not in KINDS:
        raise ModalityError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if not path.exists():
        raise ModalityError(f"{path}: there is no such file")
    names: tuple[str, ...] = ()
    if columns is not None and (path.is_dir() or path.suffix == ".npy"):
        raise ModalityError(f"{path}: an array has no columns to choose; select them beforehand")
    if (path / ".zarray").exists() or (path / ".zgroup").exists():
        raise ModalityError(f"{path}: Zarr of version 2; save the array with Zarr 3, or as .npy")
    if path.is_dir() and not (path / "zarr.json").exists():
        values = _read_pictures(path)
    elif path.is_dir():
        values = _read_zarr(path)
    elif path.suffix in (".npy", ".npz"):
        values = _read_array(path, columns)
    else:
        values, names = _read_columns(path, columns)
    return modality_of(values, kind, names, where=str(path))


def modality_of(
    values: Array, kind: str | None = None, names: Sequence[str] = (), where: str = "data"
) -> Modality:
    """Check an array (n, ...) and say what it is.

    Args:
        values: numbers.
        kind: as for `read_modality`.
        names: of the columns of a table.
        where: named in messages.

    Raises:
        ModalityError: the data cannot be learned.
    """
    if values.dtype.kind not in "buif":
        raise ModalityError(f"{where}: values must be numbers, got {values.dtype}")
    if values.ndim < 1 or len(values) < FEWEST_ROWS:
        raise ModalityError(f"{where}: at least {FEWEST_ROWS} rows are needed, got {values.shape}")
    values = values[:, None] if values.ndim == 1 else values
    if not np.isfinite(values).all():
        raise ModalityError(f"{where}: values must be finite, found NaN or infinity")
    kind = kind or _guess(values)
    if kind == "image":
        return _image(values, where)
    rows = values.reshape(len(values), -1)
    hint = "leave it out (--columns)" if names else "leave it out of the array"
    if values.ndim in (3, 4):
        hint += "; pixels of images from 0 to 1 become whole levels by (255 * pixels).round()"
    names = tuple(names) or tuple(str(column) for column in range(rows.shape[1]))
    _require_continuous(rows, names, where, hint)
    continuous = values.astype(np.float64)
    return Modality(continuous, "table" if kind == "table" else "embedding", names)


def _guess(values: Array) -> str:
    whole = values.dtype.kind in "bui" or bool((values == np.round(values)).all())
    if values.ndim in (3, 4) and whole:
        return "image"
    return "embedding" if values[0].size > WIDE else "table"


def _require_continuous(rows: Array, names: Sequence[str], where: str, hint: str) -> None:
    for column, name in zip(rows.T, names, strict=True):
        distinct = len(np.unique(column))
        if distinct == 1:
            raise ModalityError(f"{where}: column {name!r} is constant; {hint}")
        if distinct <= FEW_VALUES and len(column) > 2 * distinct:
            raise ModalityError(
                f"{where}: column {name!r} is discrete, {distinct} distinct values in"
                f" {len(column)} rows; a flow needs continuous columns, {hint}"
            )


def require_independent(rows: Array, names: Sequence[str]) -> None:
    """Refuse columns that are linear combinations of others: they have no density together.

    Args:
        rows: (n, columns), none constant.
        names: of the columns.

    Raises:
        ModalityError: naming one of them.
    """
    units = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    triangle, order = qr(units, mode="r", pivoting=True)
    left = np.abs(np.diagonal(triangle))
    rank = int((left > _DEPENDENT * left[0]).sum())
    if rank < rows.shape[1]:
        raise ModalityError(
            f"column {names[order[rank]]!r} follows linearly from the others; leave it out, or"
            " learn a code of what varies with --max-dim"
        )


def _image(values: Array, where: str) -> Modality:
    if values.ndim not in (3, 4):
        raise ModalityError(
            f"{where}: images must be (n, height, width) or (n, height, width, channels), got"
            f" {values.shape}"
        )
    grey = values.astype(np.float64)
    if (grey != np.round(grey)).any() or grey.min() < 0:
        raise ModalityError(
            f"{where}: images must hold grey levels 0, 1, 2, ...; pixels from 0 to 1 become"
            " such by (255 * pixels).round()"
        )
    if grey.max() == grey.min():
        raise ModalityError(f"{where}: all pixels are the same")
    return Modality(grey, "image", levels=_depth(int(grey.max())))


def _depth(most: int) -> int:
    """How many levels images have: of 8 bits or more a power of two, below just those seen."""
    return most + 1 if most <= 127 else 1 << max(8, most.bit_length())


def _read_array(path: Path, name: str | None) -> Array:
    try:
        loaded: Any = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise ModalityError(
            f"{path}: not an array that NumPy wrote, or one of Python's objects"
        ) from None
    if isinstance(loaded, np.ndarray):
        return loaded
    if name is None and len(loaded.files) != 1:
        raise ModalityError(f"{path}: --columns must name one of {', '.join(loaded.files)}")
    name = name or loaded.files[0]
    if name not in loaded.files:
        raise ModalityError(f"{path}: no array {name!r}; there are {', '.join(loaded.files)}")
    return np.asarray(loaded[name])


def _read_columns(path: Path, chosen: str | None) -> tuple[Array, tuple[str, ...]]:
    try:
        table = read_table(path)
        names = list(table)
        if chosen is not None:
            names = select(names, chosen, path=path, option="--columns")
    except TableError as error:
        raise ModalityError(str(error)) from None
    words = next((name for name in names if table[name].dtype.kind not in "buif"), None)
    if words is not None:
        raise ModalityError(f"{path}: column {words!r} holds no numbers; choose with --columns")
    missing = next((name for name in names if not np.isfinite(table[name]).all()), None)
    if missing is not None:
        raise ModalityError(f"{path}: column {missing!r} has missing or infinite values")
    return np.stack([table[name] for name in names], axis=1), tuple(names)


def _read_zarr(path: Path) -> Array:
    from mistdata.store.layout import open_array

    try:
        return np.asarray(open_array(path))
    except (ValueError, KeyError, TypeError) as error:
        raise ModalityError(f"{path}: not a Zarr array, {error}") from None


def _levels_of(picture: Any, path: Path) -> Array:
    """Return all levels that an opened picture has, grey or of three colours."""
    if picture.mode == "F":
        raise ModalityError(f"{path}: pixels are not whole levels; save the pictures as .npy")
    if picture.mode.startswith("I"):  # 16 bits and more
        return np.asarray(picture)
    return np.asarray(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))


def _read_pictures(folder: Path) -> Array:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not files:
        raise ModalityError(f"{folder}: no pictures there ({', '.join(sorted(PICTURES))})")
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingExtra("pictures need Pillow: pip install 'mistdata[flows]'") from error
    pictures = []
    for path in files:
        with Image.open(path) as opened:
            pictures.append(_levels_of(opened, path))
        if pictures[-1].shape != pictures[0].shape:
            raise ModalityError(
                f"{path}: all pictures must be of one size, {files[0].name} is"
                f" {pictures[0].shape}, this is {pictures[-1].shape}"
            )
    return np.stack(pictures)
