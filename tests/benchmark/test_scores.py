"""Every figure against a computation by hand, and strata that lose no dataset."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from mistdata.benchmark.scores import METRICS, Joined, quantile_scores, score
from mistdata.benchmark.strata import strata
from mistdata.benchmark.tables import figures_table, listed, table

NONE = [f"{end}_{c}" for c in (50, 80, 90, 95) for end in ("low", "high")]


def joined(estimate, mi, **columns):
    """Join results of datasets that differ in nothing but what is given."""
    count = len(mi)
    usual = {
        "dataset_id": np.arange(count),
        "split": np.full(count, "test", object),
        "family": np.full(count, "gaussian-dense", object),
        "component": np.full(count, "gaussian-dense/identity", object),
        "distribution_id": np.arange(count),
        "n": np.full(count, 100),
        "dim_x": np.full(count, 2, np.int32),
        "dim_y": np.full(count, 2, np.int32),
        "x_kind": np.full(count, "continuous", object),
        "y_kind": np.full(count, "continuous", object),
        "oracle_se": np.full(count, 0.1),
        "seconds": np.full(count, 2.0),
        "failed": np.isnan(estimate),
        **{name: np.full(count, math.nan) for name in ("pinball", "crps", *NONE)},
    }
    return Joined(
        usual
        | {"estimate": np.array(estimate), "mi": np.array(mi)}
        | {name: np.array(column) for name, column in columns.items()}
    )


def test_point_figures_by_hand():
    found = score(joined([1.0, 2.5, math.nan, 2.0], [1.0, 2.0, 7.0, 3.0]))
    assert (found["datasets"], found["failures"]) == (4, 1)
    assert found["mse"] == pytest.approx((0.25 + 1.0) / 3)
    assert found["mse_se"] == pytest.approx(np.std([0, 0.25, 1.0], ddof=1) / math.sqrt(3))
    assert found["bias"] == pytest.approx(-0.5 / 3)
    assert found["mae"] == pytest.approx(0.5)
    assert found["r2"] == pytest.approx(1.0 - 1.25 / 2.0)
    assert found["rmse_oracle"] == pytest.approx(math.sqrt(1.25 / 0.03))
    assert found["seconds"] == 2.0
    assert all(found[name] is None for name in ("crps", "cover_90", "width", "bias2"))


def test_the_oracle_counts_where_it_is_known_and_errs():
    found = score(joined([1.0, 2.0, 3.0], [0.0, 0.0, 2.0], oracle_se=[0.5, 0.0, math.nan]))
    assert found["rmse_oracle"] == pytest.approx(2.0)


def test_figures_that_are_not_defined_are_none():
    failed = score(joined([math.nan], [1.0]))
    assert failed["failures"] == 1
    assert all(failed[name] is None for name in METRICS)
    one = score(joined([1.5], [1.0], oracle_se=[0.0]))
    assert (one["r2"], one["mse_se"], one["rmse_oracle"]) == (None, None, None)


def test_intervals_by_hand():
    found = score(
        joined([1.0, 1.0, 1.0], [1.0, 2.0, 0.5], low_90=[0.5, 0.5, 0.6], high_90=[1.0, 1.5, 1.6])
    )
    assert found["cover_90"] == pytest.approx(1 / 3)
    assert found["width"] == pytest.approx((0.5 + 1.0 + 1.0) / 3)
    assert found["interval_score"] == pytest.approx((0.5 + 1.0 + 20 * 0.5 + 1.0 + 20 * 0.1) / 3)
    assert found["cover_50"] is None


def test_quantile_scores_by_hand():
    levels, quantiles = np.array([0.1, 0.5, 0.9]), np.array([[1.0, 2.0, 4.0]])
    found = quantile_scores(levels, quantiles, np.array([3.0]))
    losses = [0.1 * 2.0, 0.5 * 1.0, 0.1 * 1.0]
    assert found["pinball"][0] == pytest.approx(np.mean(losses))
    assert found["crps"][0] == pytest.approx(2 * np.dot(losses, [0.3, 0.4, 0.3]))
    assert (found["low_50"][0], found["high_50"][0]) == (pytest.approx(1.375), pytest.approx(3.25))
    assert (found["low_80"][0], found["high_80"][0]) == (pytest.approx(1.0), pytest.approx(4.0))
    assert "low_90" not in found


def test_crps_approaches_that_of_a_normal():
    """CRPS of N(0, 1) at y = 0 is (√2 - 1)/√π (Gneiting and Raftery, 2007, eq. 21)."""
    levels = (np.arange(2000) + 0.5) / 2000
    found = quantile_scores(levels, ndtri(levels)[None], np.array([0.0]))
    assert found["crps"][0] == pytest.approx((math.sqrt(2) - 1) / math.sqrt(math.pi), abs=1e-4)
    assert found["pinball"][0] == pytest.approx(found["crps"][0] / 2, abs=1e-6)
    assert found["high_95"][0] == pytest.approx(1.959964, abs=1e-3)


def test_replicates_tell_bias_from_variance():
    """10,000 distributions of 4 samples, errors N(0.3, 0.5²): z < 5, false alarm 6e-7."""
    rng, groups = np.random.default_rng(0), 10_000
    mi = np.repeat(rng.uniform(0, 3, groups), 4)
    estimate = mi + 0.3 + 0.5 * rng.standard_normal(4 * groups)
    found = score(joined(estimate, mi, distribution_id=np.repeat(np.arange(groups), 4)))
    assert found["bias2"] == pytest.approx(0.09, abs=5 * 0.5 * 0.3 / math.sqrt(groups))
    assert found["variance"] == pytest.approx(0.25, abs=5 * 0.25 * math.sqrt(2 / 3 / groups))
    assert found["bias2"] + found["variance"] == pytest.approx(found["mse"], abs=1e-9)


def test_samples_of_other_sizes_or_splits_are_no_replicates():
    same = {"distribution_id": [1, 1], "n": [100, 100]}
    assert score(joined([1.0, 2.0], [1.0, 1.0], **same))["variance"] == pytest.approx(0.5)
    assert score(joined([1.0, 2.0], [1.0, 1.0], **same | {"n": [100, 90]}))["variance"] is None
    other = {"split": np.array(["a", "b"], object)}
    assert score(joined([1.0, 2.0], [1.0, 1.0], **same | other))["variance"] is None


def many(**columns):
    rng = np.random.default_rng(0)
    mi = np.concatenate([np.zeros(50), rng.exponential(2.0, 450)])
    usual = {
        "n": rng.integers(10, 501, 500),
        "dim_x": rng.integers(1, 65, 500).astype(np.int32),
        "dim_y": rng.integers(1, 65, 500).astype(np.int32),
        "split": np.array(["imd", "oomd"] * 250, object),
    }
    return joined(mi + 0.1, mi, **usual | columns)


@pytest.mark.parametrize("n", [10_000, 500, 8])
def test_strata_of_one_kind_hold_every_dataset_once(n):
    rows = many(n=np.random.default_rng(1).integers(8, n + 1, 500))
    kinds = {}
    for stratum in strata(rows):
        kinds.setdefault(stratum.by, []).extend(stratum.rows.tolist())
    assert kinds.keys() == {
        "all", "split", "n", "split, n", "dims", "sides", "kinds", "mi", "family", "component",
    }  # fmt: skip
    assert all(sorted(members) == list(range(500)) for members in kinds.values())


def test_the_published_bins_of_n():
    names = [each.name for each in strata(many()) if each.by == "n"]
    assert names == ["n in [10, 100)", "n in [100, 300)", "n in [300, 500]"]
    by_name = {
        each.name: each.rows for each in strata(many(n=np.array([99, 100, 299, 300, 500] * 100)))
    }
    assert by_name["n = 500"].tolist() == list(range(4, 500, 5))
    assert "MI = 0" in by_name


def test_strata_of_sides_and_of_kinds():
    kinds = [np.array(words * 125, object) for words in (
        ["discrete", "continuous", "mixed", "continuous"],
        ["continuous", "discrete", "mixed", "continuous"],
    )]  # fmt: skip
    dims = {"dim_x": np.full(500, 2), "dim_y": np.array([2, 3] * 250)}
    rows = many(x_kind=kinds[0], y_kind=kinds[1], **dims)
    found = {each.name: each.rows.tolist() for each in strata(rows)}
    assert found["continuous and discrete"] == sorted([*range(0, 500, 4), *range(1, 500, 4)])
    assert found["both mixed"] == list(range(2, 500, 4))
    assert found["both continuous"] == list(range(3, 500, 4))
    assert found["dim_x = dim_y"] == list(range(0, 500, 2))
    assert found["dim_x ≠ dim_y"] == list(range(1, 500, 2))


def test_tables_are_aligned_or_markdown():
    rows = [[["a", "1"], ["bb", "22"]], [["c", "3"]]]
    assert table(["", "n"], rows, markdown=False).splitlines() == [
        "     n", "a    1", "bb  22", "", "c    3",
    ]  # fmt: skip
    assert table(["", "n"], rows, markdown=True).splitlines() == [
        "|  | n |", "| --- | ---: |", "| a | 1 |", "| bb | 22 |", "| c | 3 |",
    ]  # fmt: skip


def test_strata_that_repeat_others_are_not_listed():
    rows = joined([1.0, 2.0], [1.0, 1.0])
    entries = [{"by": e.by, "name": e.name, **score(rows.take(e.rows))} for e in strata(rows)]
    assert [entry["name"] for entry in listed(entries)] == ["all"]
    assert figures_table(listed(entries), ["mse"], markdown=False).splitlines()[1].split() == [
        "all", "2", "0", "0.5",
    ]  # fmt: skip
