"""Features scored by what each tells about a target, in the manner of scikit-learn."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.estimator.columns import Array, Column, Kind
from mistdata.estimator.estimate import Estimator, open_model
from mistdata.estimator.matrix import QUERIES, check_queries
from mistdata.estimator.prepare import MIN_ROWS
from mistdata.estimator.sample import Sample, complete_rows, join, read_sides

_SHOWN = 5
_FLAT = "the feature or the target does not vary in the rows complete in both: scored 0"


def mutual_information(
    X: Any,
    y: Any,
    *,
    model: Estimator | Path | str = "small",
    X_kind: Kind = "auto",
    y_kind: Kind = "auto",
    queries: int = QUERIES,
) -> Array:
    """Return the mutual information of every feature with the target, in nats.

    It can stand as the score function of scikit-learn's selectors, and needs no scikit-learn.

    Args:
        X: (n, features), as `estimate` reads it.
        y: (n,), or (n, targets), which are taken together. Whole numbers count as ordered: give
            `y_kind='category'` for the numbers of classes without an order.
        model: as in `estimate`.
        X_kind: as in `estimate`.
        y_kind: as in `estimate`.
        queries: as in `matrix`.

    Returns:
        (features,) medians; 0 where the feature or the target does not vary in the rows that are
        complete in both.

    Raises:
        ValueError: as in `estimate`, naming the feature; fewer than 8 such rows among them.

    Warns:
        UserWarning: once for everything that `estimate` would say in the warnings of its answers,
            and for a feature that varies, but only where the target is missing, or the reverse.

    Example:
        >>> from sklearn.feature_selection import SelectKBest                # doctest: +SKIP
        >>> SelectKBest(mistdata.mutual_information, k=5).fit(X, y)          # doctest: +SKIP
    """
    check_queries(queries)
    chosen = open_model(model)
    features, target = read_sides(X, y, X_kind, y_kind, "Xy")
    for column in target:
        _check_varies(column)
    samples = [_sample(feature, target) for feature in features]
    varying = [index for index, sample in enumerate(samples) if sample is not None]
    asked = [sample for sample in samples if sample is not None]
    answers = chosen.answers(asked, level=0.5, units="nats", queries=queries)
    scores = np.zeros(len(features))
    scores[varying] = [answer.median for answer in answers]
    said = Counter(sentence for answer in answers for sentence in answer.warnings)
    said[_FLAT] += sum(
        _varies(feature.values)
        for feature, sample in zip(features, samples, strict=True)
        if sample is None
    )
    _warn(said, len(features))
    return scores


def _sample(feature: Column, target: Sequence[Column]) -> Sample | None:
    """Bring a feature and the target together; None where one of them does not vary in their rows.

    Raises:
        ValueError: naming the feature.
    """
    rows = complete_rows([feature], target)
    varies = _varies(feature.values[rows]) and any(_varies(each.values[rows]) for each in target)
    if rows.sum() >= MIN_ROWS and not varies:
        return None
    try:
        return join([feature], target)
    except ValueError as error:
        raise ValueError(f"{feature.label}: {error}") from None


def _check_varies(column: Column) -> None:
    present = column.values[~np.isnan(column.values)]
    if len(present) and not _varies(present):
        raise ValueError(f"{column.label} must vary, found one value in all {len(present)} rows")


def _varies(values: Array) -> bool:
    """Tell whether there are two values, leaving out missing ones."""
    present = values[~np.isnan(values)]
    return bool((present != present[:1]).any())


def _warn(said: Counter[str], features: int) -> None:
    """Say once what is true of the features, most frequent first."""
    found = [(sentence, count) for sentence, count in said.most_common() if count]
    if found:
        text = "; ".join(
            f"{sentence} ({count} of {features} features)" for sentence, count in found[:_SHOWN]
        )
        hidden = len(found) - _SHOWN
        more = f"; and {hidden} more of such sentences" if hidden > 0 else ""
        warnings.warn(text + more, UserWarning, stacklevel=3)
