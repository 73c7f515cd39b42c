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
from mistdata.estimator.matrix import QUERIES
from mistdata.estimator.result import Estimate
from mistdata.estimator.sample import join, read_sides


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
        (features,) medians; 0 for a feature that never varies.

    Raises:
        ValueError: as in `estimate`.

    Warns:
        UserWarning: once for everything that `estimate` would say in the warnings of its answers.

    Example:
        >>> from sklearn.feature_selection import SelectKBest                # doctest: +SKIP
        >>> SelectKBest(mistdata.mutual_information, k=5).fit(X, y)          # doctest: +SKIP
    """
    chosen = open_model(model)
    features, target = read_sides(X, y, X_kind, y_kind, "Xy")
    varying = [index for index, feature in enumerate(features) if _varies(feature)]
    samples = [join([features[index]], target) for index in varying]
    answers = chosen.answers(samples, level=0.5, units="nats", queries=queries)
    scores = np.zeros(len(features))
    scores[varying] = [answer.median for answer in answers]
    _warn(answers)
    return scores


def _varies(column: Column) -> bool:
    values = column.values[~np.isnan(column.values)]
    return not len(values) or bool((values != values[0]).any())


def _warn(answers: Sequence[Estimate]) -> None:
    """Say once what is true of the features, most frequent first."""
    said = Counter(sentence for answer in answers for sentence in answer.warnings)
    if said:
        text = "; ".join(
            f"{sentence} ({count} of {len(answers)} features)"
            for sentence, count in said.most_common(5)
        )
        warnings.warn(text, UserWarning, stacklevel=3)
