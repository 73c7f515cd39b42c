"""What every command shares: JSON, progress for people, sizes with units."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from mistdata.errors import NEEDS_MATPLOTLIB, MissingExtra


class StorePath(click.Path):
    """A folder, a URL, or name and version of a published store."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the place that is meant."""
        if ":" in str(value):
            from mistdata.store.place import place

            found = place(value)
            if not isinstance(found, Path):
                return found
        if "@" in str(value):
            from mistdata.store import published

            if published.is_published_name(value):
                return published.place_of(published.find(value))
        return super().convert(value, param, ctx)


store_path = StorePath()
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


class OutputFile(click.Path):
    """A file to write, refused before the work begins rather than after it.

    Args:
        suffix: that its name must have, as '.png'; none for any.
    """

    def __init__(self, suffix: str = "") -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self._suffix = suffix

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Read the path; fail if it has another suffix, its folder or Matplotlib is not there."""
        path = Path(str(super().convert(value, param, ctx)))
        if self._suffix and path.suffix.lower() != self._suffix:
            self.fail(f"the name must end in {self._suffix}, got {str(path)!r}", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"there is no folder {str(path.parent)!r}", param, ctx)
        if self._suffix == ".png" and find_spec("matplotlib") is None:
            raise MissingExtra(NEEDS_MATPLOTLIB)
        return path


class Bar:
    """A progress bar on standard error that only a person sees."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: Any = None

    def start(self, done: int, total: int) -> None:
        """Show the bar; `done` of `total` were there before."""
        from tqdm import tqdm

        self._bar = tqdm(
            total=total, initial=done, unit=f" {self._unit}", disable=None, smoothing=0.05
        )

    def advance(self, count: int) -> None:
        """Move the bar forward."""
        self._bar.update(count)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


@contextmanager
def progress(unit: str) -> Iterator[Bar]:
    """Show a progress bar, if a person watches, while the block runs."""
    bar = Bar(unit)
    try:
        yield bar
    finally:
        bar.close()


def report(document: dict[str, Any], as_json: bool, text: str) -> None:
    """Print a result, for people or for machines."""
    if as_json:
        print_json(document)
    else:
        click.echo(text)


def print_json(document: Any) -> None:
    """Print JSON; it has no NaN and no infinity, so these become null."""
    click.echo(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(document: Any) -> Any:
    match document:
        case dict():
            return {key: _finite(value) for key, value in document.items()}
        case list() | tuple():
            return [_finite(value) for value in document]
        case float() if not math.isfinite(document):
            return None
    return document


def counted(count: int, one: str) -> str:
    """Write a number of things, as '1 problem' or '2,000 problems'."""
    return f"{count:,} {one}" + ("" if count == 1 else "s")


def bytes_text(count: float) -> str:
    """Write a size with its unit."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.4g} {unit}"
        count /= 1000
    return f"{count:,.4g} GB"
