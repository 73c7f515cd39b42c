"""What the site adds to docs/: pages that live beside what they speak of, and the command line.

`README.md` of train/ and benchmarks/, and CHANGELOG.md, become pages; links between them and docs/
are turned to follow. Links to files that the site does not have become plain text; a link to a
file that the repository does not have either stops the build. Formulas of families become MathML.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from formulas import mathml
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ADOPTED = {
    "train/README.md": "fitting.md",
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    ".github/CONTRIBUTING.md": "contributing.md",
}
_MANNERS = """Every command that reports takes `--json` and then prints one JSON object on standard
output, nothing else. If it fails, standard error has one line, or with `--json` one object,
`{"error": "...", "code": 3}`, whose code is the exit code; `verify` prints what it found as well.
Commands that take long show a bar with rate and time left, if standard error is a terminal, unless
`--quiet` is given. Colours appear only on a terminal, and never where `NO_COLOR` is set to
something or `TERM` is `dumb`. `mistdata completion bash` (or `zsh`, `fish`) prints a script that
completes commands, options and names; its last line says how to install it."""
_FORMULA = ("I(X;Y)", "formula")  # headings of columns that hold formulas
_CELL = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the adopted pages and the page of commands."""
    for source, page in ADOPTED.items():
        text = _turned((ROOT / source).read_text(), source)
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "reference/commands.md", content=_commands()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page of docs/ that lead out of it."""
    source = page.file.src_uri
    if source == "families.md":
        markdown = "\n".join(_set(markdown.split("\n")))
    return markdown if source in ADOPTED.values() else _turned(markdown, f"docs/{source}")


def _set(lines: list[str]) -> Iterator[str]:
    """Set the formulas in tables, in columns with the headings of `_FORMULA`."""
    place = None
    for line in lines:
        cells = _CELL.split(line) if line.startswith("|") else []
        head = next((k for k, cell in enumerate(cells) if cell.strip() in _FORMULA), None)
        if head is not None or not cells:
            place = head
        elif place is not None and not line.startswith("|---"):
            cells[place] = mathml(cells[place].strip().replace("\\|", "|"))
            line = "|".join(cells)
        yield line


def _turned(text: str, source: str) -> str:
    """Turn links of a file of the repository into links of the site."""
    page = ADOPTED.get(source, source.removeprefix("docs/"))

    def turn(match: re.Match[str]) -> str:
        mark, words, link = match.groups()
        if "://" in link or link.startswith("#"):
            return match.group()
        path, hash_, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        inside = ADOPTED.get(target, target.removeprefix("docs/"))
        known = target in ADOPTED or (target.startswith("docs/") and (ROOT / target).is_file())
        if not known:
            if not (ROOT / target).exists():
                raise PluginError(f"{source}: the link to {link} leads nowhere")
            return words
        there = posixpath.relpath(inside, posixpath.dirname(page) or ".")
        return f"{mark}[{words}]({there}{hash_}{anchor})"

    return _LINK.sub(turn, text)


def _commands() -> str:
    """Write down every command's help, as it is printed."""
    from mistdata.cli import cli

    lines = ["# Command line", "", f"{cli.help}", "", cli.epilog or "", "", _MANNERS, ""]
    for heading, names in cli.headings.items():
        lines += [f"## {heading}", ""]
        for name in names:
            command = cli.commands[name]
            context = click.Context(
                command, info_name=f"mistdata {name}", terminal_width=96,
                help_option_names=cli.context_settings["help_option_names"],
            )  # fmt: skip
            lines += [f"### {name}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(lines)
