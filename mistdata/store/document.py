"""JSON documents that carry their own checksum: plan.json, receipts, manifest.json.

The last entry of the object is the sha256 of every byte before it, so a change of any byte of the
file is found when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mistdata.store.layout import FORMAT

_MARK = b',\n"checksum": "'
_END = b'"\n}\n'


class DamagedDocument(ValueError):
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
    document: dict[str, Any] = json.loads(content)
    if document.pop("format") != FORMAT:
        raise DamagedDocument(f"{path}: written in another format than {FORMAT}")
    del document["checksum"]
    return document


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
