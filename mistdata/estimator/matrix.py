"""Every pair of the columns of a frame, or everything against one target, in batched passes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.errors import did_you_mean
from mistdata.estimator.columns import Array, Column, read_each, require_readable
from mistdata.estimator.estimate import Estimator, open_model
from mistdata.estimator.result import Estimate, Units, check_level, check_units
from mistdata.estimator.sample import Sample, join

QUERIES = 128  # of the row stream, for each pair: an eighth of the work of 1,000
_NUMBERS = ("median", "mean", "lower", "upper", "n", "dropped")
Variables = Mapping[str, Sequence[Column]]


@dataclass(frozen=True)
class Pair:
    """Two variables and what they tell of each other.

    Args:
        x: name of one.
        y: name of the other; the target, where there is one.
        estimate: None where the data have no answer.
        reason: why there is none.
    """

    x: str
    y: str
    estimate: Estimate | None
    reason: str = ""


@dataclass(frozen=True)
class Matrix:
    """Mutual information of pairs of variables: columns, or groups of columns.

    Args:
        names: of the variables, in the order of the frame; without the target.
        target: what all are held against, or None for every pair of `names`.
        pairs: one for every x with the target, or every two names.
        level: of the intervals.
        units: 'nats' or 'bits'.
    """

    names: tuple[str, ...]
    target: str | None
    pairs: tuple[Pair, ...]
    level: float
    units: Units

    def array(self, what: str = "median") -> Array:
        """Return one number of every pair as an array; NaN where there is no answer.

        Args:
            what: 'median', 'mean', 'lower', 'upper', 'n' or 'dropped'.

        Returns:
            (names,) against a target, else (names, names), symmetric with NaN on the diagonal.

        Raises:
            ValueError: another word.
        """
        if what not in _NUMBERS:
            raise ValueError(f"what must be one of {', '.join(_NUMBERS)}, got {what!r}")
        values = [np.nan if p.estimate is None else getattr(p.estimate, what) for p in self.pairs]
        if self.target is not None:
            return np.array(values, dtype=np.float64)
        square = np.full((len(self.names),) * 2, np.nan)
        upper = np.triu_indices(len(self.names), 1)  # in the order of `combinations`
        square[upper] = values
        square.T[upper] = values
        return square

    def ranked(self) -> list[Pair]:
        """Return the pairs by falling median; those without an answer come last."""
        return sorted(self.pairs, key=lambda p: -1.0 if p.estimate is None else p.estimate.median,
                      reverse=True)  # fmt: skip

    @property
    def warnings(self) -> tuple[str, ...]:
        """What holds of some pairs and their numbers do not say, with how many they are."""
        found: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            for sentence in (pair.reason,) if pair.estimate is None else pair.estimate.warnings:
                found.setdefault(sentence, []).append(pair)
        return tuple(
            f"{sentence} ({pairs[0].x} and {pairs[0].y}"
            + (f", and {len(pairs) - 1} more pairs)" if len(pairs) > 1 else ")")
            for sentence, pairs in found.items()
        )

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record for every pair, strongest first, as a table has it."""
        return [_record(pair) for pair in self.ranked()]

    def to_pandas(self) -> Any:
        """Return `records` as a pandas DataFrame.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "a DataFrame needs pandas: pip install pandas; records() needs nothing"
            ) from None
        return pd.DataFrame(self.records())

    def heatmap(self, path: Path | str) -> None:
        """Draw all pairs as a PNG: a heatmap, or intervals against a target.

        Args:
            path: of the picture.

        Raises:
            ValueError: the path does not end in .png.
            MissingExtra: Matplotlib is missing.
        """
        if Path(path).suffix.lower() != ".png":
            raise ValueError(f"path must end in .png, got {str(path)!r}")
        from mistdata.estimator.heatmap import draw_intervals, draw_square

        if self.target is None:
            draw_square(Path(path), self.names, self.array(), self.units)
        else:
            ends = (self.array(what) for what in ("lower", "median", "upper"))
            title = f"information about {self.target}, with {100 * self.level:g} % intervals"
            draw_intervals(Path(path), self.names, *ends, title=title, units=self.units)


def matrix(
    frame: Any,
    *,
    target: Hashable = None,
    groups: Mapping[str, Collection[Hashable]] | None = None,
    categories: Collection[Hashable] = (),
    level: float = 0.9,
    units: Units = "nats",
    model: Estimator | Path | str = "small",
    queries: int = QUERIES,
    on_start: Callable[[int], None] | None = None,
    on_done: Callable[[int], None] | None = None,
) -> Matrix:
    """Estimate the mutual information of every pair of columns, or of all with a target.

    Every pair uses the rows that are complete in it. A pair without an answer stays blank and says
    why: a column that cannot be read, fewer than 8 such rows, or a column that does not vary in
    them.

    Args:
        frame: (n, columns): DataFrame of pandas or Polars, Arrow table, mapping of names to
            columns, or array, whose columns are called '0', '1', ..., or 0, 1, ...; a name that is
            no text may be given either as it is or as text. Text and unordered categories count
            as categories.
        target: a column or a group that everything else is held against; None for every pair.
        groups: names of groups and their columns; columns of no group are left out. Each group is
            one variable of several columns.
        categories: columns of numbers that stand for categories without an order.
        level: of the intervals.
        units: 'nats' or 'bits'.
        model: 'small', 'base', a path, or an `Estimator`.
        queries: most rows of a pair that the row stream compares with all rows; `estimate` takes
            1,024, is slower and may differ a little.
        on_start: is told how many pairs there are.
        on_done: is told how many more are done.

    Returns:
        A `Matrix`: every pair with its estimate in `units`, or why there is none.

    Raises:
        ValueError: a target that cannot be read, fewer than two variables, a name that is not
            there, a column named twice, groups that are empty, share columns or hold the target,
            or a level, units, queries or model that are not possible.

    Example:
        >>> table = mistdata.matrix(frame, target="outcome")       # doctest: +SKIP
        >>> table.to_pandas(); table.heatmap("outcome.png")        # doctest: +SKIP
    """
    chosen = open_model(model)
    check_level(level, chosen.network.config.levels)
    check_units(units)
    check_queries(queries)
    against = _target(target)
    variables = _variables(read_frame(frame, categories), groups, against)
    names = [name for name in variables if name != against]
    wanted = list(_wanted(names, against))
    joined = [_join(variables[x], variables[y]) for x, y in wanted]
    samples = [sample for sample in joined if isinstance(sample, Sample)]
    if on_start is not None:
        on_start(len(samples))
    answers = iter(
        chosen.answers(samples, level=level, units=units, queries=queries, advance=on_done)
    )
    pairs = tuple(
        Pair(x, y, next(answers)) if isinstance(sample, Sample) else Pair(x, y, None, sample)
        for (x, y), sample in zip(wanted, joined, strict=True)
    )
    return Matrix(tuple(names), against, pairs, level, units)


def check_queries(queries: int) -> None:
    """Refuse a number of query rows that is none.

    Raises:
        ValueError: it is no whole number, or below 1.
    """
    if not isinstance(queries, Integral) or queries < 1:
        raise ValueError(f"queries must be a whole number of at least 1, got {queries!r}")


def read_frame(frame: Any, categories: Collection[Hashable] = ()) -> dict[str, Column]:
    """Read the columns of a frame by name.

    Args:
        frame: as in `matrix`.
        categories: likewise.

    Raises:
        ValueError: two columns of one name, columns of which at most one can be read, or a name
            that is not there.
    """
    if isinstance(categories, str):
        raise ValueError(f"categories must list columns, got {categories!r}")
    declared = list(map(str, categories))
    columns = read_each(frame, "frame", categories=declared)
    if sum(not column.refused for column in columns) < 2:
        require_readable(columns)
    named = {column.name: column for column in columns}
    if len(named) < len(columns):
        names = [column.name for column in columns]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"frame must have one column of each name, found two called {twice!r}")
    for name in declared:
        _require(name, named, "categories")
    return named


def _variables(
    columns: Mapping[str, Column],
    groups: Mapping[str, Collection[Hashable]] | None,
    target: str | None,
) -> Variables:
    """Collect the columns of every variable, the target among them."""
    found: dict[str, Sequence[Column]] = {name: [column] for name, column in columns.items()}
    if groups is not None:
        found = {str(name): _group(name, members, columns) for name, members in groups.items()}
        _check_names(found, columns)
    if target is None:
        _check_apart(found)
    elif target not in found:
        found[target] = [columns[_require(target, {**columns, **found}, "target")]]
    for name, members in found.items():
        if name != target and target is not None and _shared(members, found[target]):
            raise ValueError(f"target {target!r} must not be part of {name!r}")
    if target is not None:
        require_readable(found[target])
    if len(found) < 2:
        raise ValueError(f"there must be at least two variables, got {len(found)}")
    return found


def _target(name: Hashable) -> str | None:
    """Call the target as columns are called inside; None where there is none."""
    if not isinstance(name, Hashable):
        raise ValueError(f"target must name one column or group, got {name!r}")
    return None if name is None else str(name)


def _group(
    name: str, members: Collection[Hashable], columns: Mapping[str, Column]
) -> list[Column]:
    listed = isinstance(members, Collection) and not isinstance(members, str)
    if not listed or not len(members):
        raise ValueError(f"group {name!r} must list its columns, got {members!r}")
    chosen = [columns[_require(str(each), columns, f"group {name!r}")] for each in members]
    names = [column.name for column in chosen]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise ValueError(f"group {name!r} must name a column once, found {twice!r} twice")
    return chosen


def _check_names(groups: Variables, columns: Mapping[str, Column]) -> None:
    """Refuse a group that is called like a column that is not its only one."""
    for name, members in groups.items():
        if name in columns and [member.name for member in members] != [columns[name].name]:
            raise ValueError(f"group {name!r} has the name of a column: call it otherwise")


def _require(name: str, known: Mapping[str, Any], where: str) -> str:
    if name not in known:
        raise ValueError(f"{where}: no column {name!r}{did_you_mean(name, known)}")
    return name


def _check_apart(variables: Variables) -> None:
    """Refuse groups that share a column, which tells everything about itself."""
    for one, other in combinations(variables, 2):
        if shared := _shared(variables[one], variables[other]):
            raise ValueError(
                f"groups must not share columns, found {shared[0]!r} in {one!r} and in {other!r}"
            )


def _shared(one: Sequence[Column], other: Sequence[Column]) -> list[str]:
    names = {column.name for column in other}
    return [column.name for column in one if column.name in names]


def _wanted(names: Sequence[str], target: str | None) -> Iterator[tuple[str, str]]:
    if target is None:
        yield from combinations(names, 2)
    else:
        yield from ((name, target) for name in names)


def _join(x: Sequence[Column], y: Sequence[Column]) -> Sample | str:
    """Bring a pair together, or say why it has no answer."""
    try:
        return join(x, y)
    except ValueError as error:
        return str(error)


def _record(pair: Pair) -> dict[str, Any]:
    one = pair.estimate
    return {
        "x": pair.x,
        "y": pair.y,
        "median": None if one is None else one.median,
        "lower": None if one is None else one.lower,
        "upper": None if one is None else one.upper,
        "mean": None if one is None else one.mean,
        "n": None if one is None else one.n,
        "dropped": None if one is None else one.dropped,
        "by": None if one is None else one.by,
        "warnings": pair.reason if one is None else "; ".join(one.warnings),
    }
