"""Strata: the datasets of a result by split, n, dimensions, kinds, MI, family and component."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mistdata.benchmark.scores import Joined
from mistdata.distributions.priors import Array

_PUBLISHED_N = (10, 100, 300, 500)  # the bins of the published tables; the last one is closed
_DECADES_N = (1, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
_DIMS = (2, 3, 5, 9, 17, 33, 65, 129)
_MI = (0.0, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
_FEW, _MANY = 8, 10  # so few values of n, with so many datasets each, are listed one by one


@dataclass(frozen=True)
class Stratum:
    """Some datasets.

    Attributes:
        by: what the strata differ in: all, split, n, "split, n", dims, sides, kinds, mi, family,
            component, "component, n".
        name: which of them.
        rows: positions.
    """

    by: str
    name: str
    rows: Array


def strata(rows: Joined) -> list[Stratum]:
    """Cut datasets into strata, each way anew; empty strata are left out."""
    split, n = _words(rows["split"]), list(_by_n(rows["n"]))
    found = [Stratum("all", "all", np.arange(len(rows))), *_named("split", split)]
    found += _named("n", n)
    if len(split) > 1:
        both = [(f"{s}, {label}", np.intersect1d(a, b)) for s, a in split for label, b in n]
        found += _named("split, n", both)
    found += _named("dims", _by_dims(rows["dim_x"].astype(np.int64) + rows["dim_y"]))
    unequal = rows["dim_x"] != rows["dim_y"]
    found += _named("sides", [("dim_x = dim_y", np.flatnonzero(~unequal)),
                              ("dim_x ≠ dim_y", np.flatnonzero(unequal))])  # fmt: skip
    found += _named("kinds", _by_kinds(rows["x_kind"], rows["y_kind"]))
    found += _named("mi", _by_mi(rows["mi"]))
    found += _named("family", _words(rows["family"]))
    component = _words(rows["component"])
    found += _named("component", component)
    if len(n) > 1 and len(np.unique(rows["n"])) == len(n):
        both = [(f"{c}, {label}", np.intersect1d(a, b)) for c, a in component for label, b in n]
        found += _named("component, n", both)
    return found


def _named(by: str, parts: Iterable[tuple[str, Array]]) -> list[Stratum]:
    return [Stratum(by, name, rows) for name, rows in parts if len(rows)]


def _words(column: Array) -> list[tuple[str, Array]]:
    return [(str(word), np.flatnonzero(column == word)) for word in np.unique(column)]


def _by_n(n: Array) -> Iterator[tuple[str, Array]]:
    values = np.unique(n)
    if len(values) <= _FEW and len(n) >= _MANY * len(values):
        yield from ((f"n = {value}", np.flatnonzero(n == value)) for value in values)
        return
    published = values[0] >= _PUBLISHED_N[0] and values[-1] <= _PUBLISHED_N[-1]
    edges = _PUBLISHED_N if published else _DECADES_N
    last = len(edges) - 2
    for index, (low, high) in enumerate(pairwise(edges)):
        closed = published and index == last
        inside = (n >= low) & ((n <= high) if closed else (n < high))
        yield f"n in [{low:,}, {high:,}{']' if closed else ')'}", np.flatnonzero(inside)
    if not published:
        yield f"n >= {edges[-1]:,}", np.flatnonzero(n >= edges[-1])


def _by_dims(dims: Array) -> Iterator[tuple[str, Array]]:
    for low, high in pairwise(_DIMS):
        label = f"{low}" if high - low == 1 else f"{low}..{high - 1}"
        yield f"dim_x + dim_y = {label}", np.flatnonzero((dims >= low) & (dims < high))
    yield f"dim_x + dim_y >= {_DIMS[-1]}", np.flatnonzero(dims >= _DIMS[-1])


def _by_kinds(x: Array, y: Array) -> list[tuple[str, Array]]:
    """By what the sides are: both alike, or one of each of two kinds."""
    pairs = [sorted(pair) for pair in zip(x.tolist(), y.tolist(), strict=True)]
    return _words(np.array([f"both {a}" if a == b else f"{a} and {b}" for a, b in pairs]))


def _by_mi(mi: Array) -> Iterator[tuple[str, Array]]:
    yield "MI = 0", np.flatnonzero(mi == 0.0)
    for low, high in pairwise(_MI):
        left = "(" if low == 0.0 else "["
        inside = (mi > 0.0) & (mi >= low) & (mi < high)
        yield f"MI in {left}{low:g}, {high:g})", np.flatnonzero(inside)
    yield f"MI >= {_MI[-1]:g}", np.flatnonzero(mi >= _MI[-1])
