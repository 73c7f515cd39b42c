"""The page of a report: one file, no request to anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from mistdata.store.commit import write_whole

_PLACE = "/*DATA*/null"


def write_page(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        facts: from `collect`.
    """
    template = files("mistdata.report").joinpath("page.html").read_text()
    # Within a script element only `</` and `<!--` could end it; JSON may write < as an escape.
    data = json.dumps(_finite(facts), separators=(",", ":"), allow_nan=False)
    write_whole(path, template.replace(_PLACE, data.replace("<", "\\u003c")).encode())


def _finite(value: Any) -> Any:
    """JSON has no NaN; floats are shown with a few digits anyway."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if abs(value) < float("inf") else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
