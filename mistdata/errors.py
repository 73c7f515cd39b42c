"""Failures a user can act on; each carries the exit code of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MistdataError(Exception):
    """A failure whose message is one line: where, what must hold, what was found."""

    exit_code = 2


class RecipeError(MistdataError):
    """A recipe that cannot be read or planned."""


class NotAStore(MistdataError):
    """A path that holds no store, or one that this version cannot read."""


class BadCondition(MistdataError, ValueError):
    """A SQL condition over a catalog that DuckDB refuses, or that no dataset meets."""


class GenerationError(MistdataError):
    """A family produced a value that cannot be stored; running again gives the same."""


class Incomplete(MistdataError):
    """Not every shard is durable; the same command again resumes."""

    exit_code = 3


class Unreachable(MistdataError):
    """A server does not answer, or refuses; the same command again resumes."""

    exit_code = 3


class OtherPlan(MistdataError):
    """The store belongs to another plan."""

    exit_code = 4


class OtherResult(MistdataError):
    """The result of a benchmark belongs to another store or estimator."""

    exit_code = 4


class VerificationFailed(MistdataError):
    """The bytes of a store are not what its manifest, plan or receipts say."""

    exit_code = 5


class NumericMismatch(MistdataError):
    """This machine would compute other bytes than the one that planned the store."""

    exit_code = 6


class MissingExtra(MistdataError, ImportError):
    """A library is not installed that an extra of the package brings."""


NEEDS_MATPLOTLIB = "pictures need Matplotlib: pip install 'mistdata[report]'"


def did_you_mean(word: str, legal: Iterable[str]) -> str:
    """Write the nearest legal name as a suffix of a message, or nothing when none is near."""
    near = get_close_matches(word, list(legal), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
