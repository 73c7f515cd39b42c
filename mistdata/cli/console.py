"""What every command shares: help, stores, JSON, colours, progress for people, units."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from mistdata.errors import NEEDS_MATPLOTLIB, MissingExtra, did_you_mean

_EXAMPLE = "Example: "
_QUIET = "mistdata.quiet"
_WARNING = re.compile(r"^warning:", re.MULTILINE)
_BAR = "{percentage:3.0f} %|{bar}| {n_fmt} of {total_fmt}{unit}, {rate_fmt}, {remaining} left"


class Command(click.Command):
    """A command whose help ends with the example that ends its docstring."""

    @property
    def example(self) -> str:
        """The command line of the example."""
        return " ".join((self.help or "").partition(_EXAMPLE)[2].split())

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring up to the example."""
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(cleandoc(self.help or "").partition(_EXAMPLE)[0].strip())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, on one line, so that it can be copied."""
        formatter.write(f"\n{_EXAMPLE}{self.example}\n")


command = partial(click.command, cls=Command)


class StorePath(click.Path):
    """A folder, a URL, or name and version of a published store.

    Args:
        written: whether the command writes there, which no web server allows.
    """

    def __init__(self, written: bool = False) -> None:
        super().__init__(path_type=Path)
        self._written = written

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the place that is meant; while a line is being completed, ask no server."""
        if ctx is not None and ctx.resilient_parsing:
            return value
        if ":" in str(value):
            from mistdata.store.place import place

            found = place(value)
            if not isinstance(found, Path):
                if self._written and found.is_web:
                    self.fail(f"{value}: a web server is only read; write to a bucket", param, ctx)
                return found
        if "@" in str(value):
            from mistdata.store import published

            if published.is_published_name(value):
                return published.place_of(published.find(value))[0]
        return super().convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer folders and, once something is typed that could be one, published names."""
        names = [] if self._written or not incomplete else complete_title(ctx, param, incomplete)
        return [CompletionItem(incomplete, type="dir"), *names]


def offering(
    names: Callable[[], Iterable[str]], files: bool = False
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return what completes a word.

    Args:
        names: of what may be meant; called when a word is completed.
        files: whether a file or folder may be meant as well.
    """

    def complete(
        _context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in names() if name.startswith(incomplete)]
        return [*([CompletionItem(incomplete, type="file")] if files else []), *found]

    return complete


def _titles() -> list[str]:
    from mistdata.store import published

    return [entry.title for entry in published.entries()]


complete_title = offering(_titles)


store_path = StorePath()
written_store_path = StorePath(written=True)


def where_option(required: bool = False) -> Callable[..., Any]:
    """Return the option that selects datasets."""
    return click.option(
        "--where", metavar="SQL", required=required,
        help="Only datasets for which this holds: SQL over the catalog's columns, as family, n,"
        " dim_x, dim_y, mi (in nats); docs/store-format.md lists them.",
    )  # fmt: skip


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


class Choice(click.Choice[str]):
    """One of a few words; to a misspelt one the nearest is suggested."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Write what was given, what is legal, and what may have been meant."""
        said = super().get_invalid_choice_message(value, ctx).rstrip(".")
        return said + did_you_mean(str(value), self.choices)


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


def _hush(context: click.Context, _parameter: click.Parameter, quiet: bool) -> None:
    context.meta[_QUIET] = quiet


quiet_option = click.option(
    "--quiet", "-q", is_flag=True, expose_value=False, callback=_hush, help="Show no progress."
)


def is_watched() -> bool:
    """Tell whether a person follows standard error and has not asked for quiet."""
    return sys.stderr.isatty() and not click.get_current_context().meta.get(_QUIET)


class Bar:
    """A progress bar on standard error that only a person sees."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: Any = None

    def start(self, done: int, total: int) -> None:
        """Show the bar; `done` of `total` were there before."""
        from tqdm import tqdm

        self._bar = tqdm(
            total=total, initial=done, unit=f" {self._unit}", disable=not is_watched(),
            smoothing=0.3, bar_format=_BAR, dynamic_ncols=True,
        )  # fmt: skip

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
        click.echo(_WARNING.sub(click.style(r"\g<0>", fg="yellow"), text))


def print_json(document: Any) -> None:
    """Print JSON; it has no NaN and no infinity, so these become null."""
    from mistdata.store.document import finite

    click.echo(json.dumps(finite(document), indent=2, allow_nan=False))


def complain(message: str, code: int, as_json: bool) -> None:
    """Say on standard error why a command failed: one line, or one JSON object."""
    if as_json:
        text = json.dumps({"error": message, "code": code})
    else:
        text = f"{click.style('mistdata:', fg='red')} {message}"
    click.echo(text, err=True, color=coloured())


def coloured() -> bool | None:
    """Return False where no colour is wanted; None where click asks whether it is a terminal."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if plain else None


def good(word: str) -> str:
    """Write what is done and well in green."""
    return click.style(word, fg="green")


def bad(word: str) -> str:
    """Write what is wrong in red."""
    return click.style(word, fg="red")


def counted(count: int, one: str) -> str:
    """Write a number of things, as '1 problem' or '2,000 problems'."""
    return f"{count:,} {one}" + ("" if count == 1 else "s")


_LOOKS = {"table": "rows of a table", "image": "images", "embedding": "embeddings"}


def certificates_text(found: dict[str, Any], datasets: int) -> str:
    """Write what a store that flows carry looks like, and what is certified of it."""
    lines = [
        f"{side.upper()} looks like {_LOOKS[each['kind']]}, {' × '.join(map(str, each['shape']))}"
        for side, each in found["modalities"].items()
        if each is not None and "kind" in each
    ]
    held = f"certificates: {datasets - found['flagged']:,} of {datasets:,} datasets hold"
    if found["mi_loss_bound"]:
        loss, errors = found["mi_loss_bound"], found["roundtrip_max"]
        held += (
            f"; half may have lost {loss[2]:.2g} nats or less, the most {loss[-1]:.2g}; latents"
            f" come back within {errors[-1]:.2g}"
        )
    lines.append(held)
    if found["vacuous"]:
        lines.append(
            f"{counted(found['vacuous'], 'dataset')} may have lost all information: mi_error is mi"
        )
    return "\n".join(lines)


def bytes_text(count: float) -> str:
    """Write a size with its unit."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.4g} {unit}"
        count /= 1000
    return f"{count:,.4g} GB"
