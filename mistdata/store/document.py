"""JSON documents that carry their own checksum: plan.json, receipts, manifest.json.

The last entry of the object is the sha256 of every byte before it, so a change of any byte of the
file is found when it is read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from mistdata.errors import VerificationFailed
from mistdata.store.layout import FORMAT

_MARK = b',\n"checksum": "'
_END = b'"\n}\n'


class DamagedDocument(VerificationFailed):
    """A file that is not, byte for byte, what mistdata wrote."""


def encode(document: Mapping[str, Any], indent: int | None = None) -> bytes:
    """Encode a document with its checksum."""
    text = json.dumps({"format": FORMAT, **document}, indent=indent)
    body = text.removesuffix("}").rstrip().encode()
    return body + _MARK + _checksum(body) + _END


def read(path: Path) -> dict[str, Any]:
    """Read a document.

    Raises:
        DamagedDocument: the bytes are not those that were written, or of another format.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    body, mark, end = content.rpartition(_MARK)
    if not mark or end != _checksum(body) + _END:
        raise DamagedDocument(f"{path}: the checksum is not that of the content")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise DamagedDocument(f"{path}: not JSON, though its checksum is right") from None
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise DamagedDocument(f"{path}: written in another format than {FORMAT}")
    document.pop("checksum", None)
    return document


def finite(value: Any, digits: int | None = None) -> Any:
    """Return a value as JSON has it, without NaN and infinities: these become null.

    Args:
        value: of mappings, lists, tuples and what they hold.
        digits: significant ones that floats keep; all where None.
    """
    match value:
        case float() if not math.isfinite(value):
            return None
        case float() if digits is not None:
            return float(f"{value:.{digits}g}")
        case Mapping():
            return {key: finite(each, digits) for key, each in value.items()}
        case list() | tuple():
            return [finite(each, digits) for each in value]
    return value


def has_type(value: Any, hint: Any) -> bool:
    """Tell whether a JSON value is what an annotation of str, int, None, list and dict says."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is dict:
        return type(value) is dict and all(has_type(each, inner[1]) for each in value.values())
    if origin is list:
        return type(value) is list and all(has_type(each, inner[0]) for each in value)
    if origin is UnionType:
        return any(has_type(value, each) for each in inner)
    return type(value) is hint or (value is None and hint is NoneType)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
