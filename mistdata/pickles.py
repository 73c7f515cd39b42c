"""Read pickles of lists, dictionaries, numbers, words and NumPy arrays, executing nothing.

A pickle is a program: it names functions and calls them. The names that a pickled array needs
stand here for inert classes of this module that only keep what they are given; every other name is
refused. Of NumPy nothing is built before its bytes were checked.

References:
    https://docs.python.org/3/library/pickle.html#restricting-globals
"""

from __future__ import annotations

import math

# The only module that may: its reader resolves no name outside of `_KNOWN`.
import pickle
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mistdata.errors import MistdataError

_PROGRAM_ERRORS = (
    pickle.UnpicklingError, ArithmeticError, AssertionError, AttributeError, EOFError, LookupError,
    MemoryError, RecursionError, TypeError, ValueError, struct.error,
)  # fmt: skip


class _Inert:
    """What a name of a pickle stands for; a state that it does not expect is refused."""

    def __init__(self, *_: Any) -> None:
        """Keep nothing."""

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a state where none belongs")


class _Dtype(_Inert):
    """A pickled dtype of plain numbers."""

    def __init__(self, code: str, *_: Any) -> None:
        if not (isinstance(code, str) and code[:1] in "fiub" and code[1:].isdigit()):
            raise pickle.UnpicklingError(f"arrays of {code!r:.40} are not read")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "="):
            return  # of single bytes there is no order
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(_Inert):
    """A pickled array; its values come with its state."""

    values: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, columns_first, content = state
        self.values = _checked(content, dtype, shape, "F" if columns_first else "C")


class _Whole(_Array):
    """An array whose values come at once: of protocol 5."""

    def __init__(self, content: Any, dtype: Any, shape: Any, order: Any) -> None:
        self.values = _checked(content, dtype, shape, order)


class _Scalar(_Whole):
    """A NumPy number."""

    def __init__(self, dtype: Any, content: Any) -> None:
        super().__init__(content, dtype, (), "C")


class _Bytes(_Inert):
    """Bytes that protocols before 3 write as text."""

    def __init__(self, text: str = "", encoding: str = "latin1") -> None:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"text in {encoding!r:.40}")
        self.content = text.encode("latin1")


_KNOWN = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Inert,
    ("_codecs", "encode"): _Bytes,
    ("__builtin__", "bytes"): _Bytes,  # of no length
} | {
    (f"numpy.{core}.{module}", name): stands
    for core in ("core", "_core")
    for module, name, stands in (
        ("multiarray", "_reconstruct", _Array),
        ("multiarray", "scalar", _Scalar),
        ("numeric", "_frombuffer", _Whole),
    )
}


class _Reader(pickle._Unpickler):
    """The reader in Python: that in C takes memory for whatever number a memo is given."""

    read: Any  # of the base class, once it loads
    append: Any

    def load_bytearray8(self) -> None:
        """Read bytes as bytes: the base class fills memory of whatever size a file claims."""
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(self.read(size))

    dispatch: ClassVar[Any] = pickle._Unpickler.dispatch | {pickle.BYTEARRAY8[0]: load_bytearray8}

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for, or refuse it."""
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}"[:120])
        return _KNOWN[module, name]

    def get_extension(self, code: int) -> None:
        """Refuse names that copyreg knows by number."""
        raise pickle.UnpicklingError(f"it asks for extension {code}")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse what lies outside of the file."""
        raise pickle.UnpicklingError("it asks for an object outside of the file")


def read_pickle(path: Path) -> Any:
    """Read a pickle without executing anything.

    Args:
        path: of a file.

    Returns:
        What it holds; arrays and NumPy numbers as `numpy.ndarray`.

    Raises:
        MistdataError: it is not a pickle, or holds anything but lists, tuples, dictionaries,
            words, numbers and arrays of numbers; nothing of it was run.
    """
    try:
        with path.open("rb") as file:
            held = _plain(_Reader(file).load(), {})
            if file.read(1):
                raise pickle.UnpicklingError("the file goes on after its end")
            return held
    except OSError as error:
        raise MistdataError(f"{path}: {error.strerror or error}") from None
    except _PROGRAM_ERRORS as error:
        said = isinstance(error, pickle.UnpicklingError)
        reason = " ".join(str(error).split()) if said else "damaged, or another kind of file"
        raise MistdataError(f"{path}: not a pickle of plain data: {reason:.160}") from None


def _plain(held: Any, seen: dict[int, Any]) -> Any:
    """Take the arrays out of what stands for them; what occurs twice is looked at once."""
    if id(held) not in seen:
        seen[id(held)] = _unwrapped(held, seen)
    return seen[id(held)]


def _unwrapped(held: Any, seen: dict[int, Any]) -> Any:
    match held:
        case list() | tuple():
            return [_plain(each, seen) for each in held]
        case dict():
            return {_plain(key, seen): _plain(value, seen) for key, value in held.items()}
        case _Array() if held.values is not None:
            return held.values
        case str() | int() | float() | bytes() | None:
            return held
    raise pickle.UnpicklingError(f"it holds a {type(held).__name__.strip('_').lower()}")


def _checked(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """Build an array of bytes, if there are as many as its shape says."""
    if isinstance(content, _Bytes):
        content = content.content
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray):
        raise pickle.UnpicklingError("an array without numbers")
    if not all(type(each) is int and each >= 0 for each in shape) or order not in ("C", "F"):
        raise pickle.UnpicklingError("an array without a shape")
    if len(content) != math.prod(shape) * dtype.dtype.itemsize:
        raise pickle.UnpicklingError("an array that was cut")
    return np.frombuffer(content, dtype.dtype).reshape(shape, order=order)
