"""The picture of a report, for papers: MI, n and dimensions of a store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mistdata.pictures import load_pyplot

_NAMES = {"mi": "I(X;Y) [nats]", "n": "rows n", "dim_x": "columns of X", "dim_y": "columns of Y"}
_INK = "#1f5f8b"


def draw(path: Path, facts: Mapping[str, Any]) -> None:
    """Draw histograms of MI, n and dimensions.

    Args:
        path: of the PNG.
        facts: from `collect`.

    Raises:
        MissingExtra: Matplotlib is missing.
    """
    plot = load_pyplot()
    bins = facts["bins"]
    figure, axes = plot.subplots(1, 4, figsize=(11, 2.6), layout="constrained")
    for axis, (name, label) in zip(axes, _NAMES.items(), strict=True):
        edges = np.asarray(bins["edges"][name])
        counts = np.sum(bins["counts"][name], axis=0)
        axis.stairs(counts, edges, fill=True, color=_INK)
        axis.set_xlabel(label)
        if name != "mi" and len(edges) > 2 and edges[-1] - edges[-2] > edges[1] - edges[0]:
            axis.set_xscale("log")
    axes[0].set_ylabel("datasets")
    totals = facts["totals"]
    title = f"{totals['name']} {totals['version']}: {totals['datasets']:,} datasets"
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=160, format="png")
    plot.close(figure)
