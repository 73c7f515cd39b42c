"""The page of a report: one file, no request to anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from mistdata.store.commit import write_whole
from mistdata.store.document import finite

_PLACE = "/*DATA*/null"
_DIGITS = 6  # it shows fewer


def write_page(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        facts: from `collect`.
    """
    template = files("mistdata.report").joinpath("page.html").read_text()
    # Within a script element only `</` and `<!--` could end it; JSON may write < as an escape.
    data = json.dumps(finite(facts, _DIGITS), separators=(",", ":"), allow_nan=False)
    write_whole(path, template.replace(_PLACE, data.replace("<", "\\u003c")).encode())
