"""One row per dataset, whatever happens: resumed, refused, failed, chosen, resampled."""

import json
import math
import sys
import textwrap

import numpy as np
import pyarrow.parquet as pq
import pytest

from mistdata.benchmark import Selection, Spec, benchmark, read_result
from mistdata.benchmark.results import parts_folder, parts_of
from mistdata.benchmark.run import default_name, parse_options, select
from mistdata.errors import MistdataError, NotAStore, OtherResult
from mistdata.pipeline.executors import InProcess, LocalWorkers
from mistdata.store.dataset import open_store

VALIDATION = Selection(splits=("validation",))


def run(estimator, store, out, executor=None, **options):
    spec = estimator if isinstance(estimator, Spec) else Spec(estimator)
    options = {"selection": VALIDATION} | options
    return benchmark(spec, store, out, executor or InProcess(), **options)


def rows_of(out):
    return pq.read_table(out).to_pylist()


def without_time(out):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows_of(out)]


def half(x, y):
    return 0.5


def test_every_dataset_has_a_row_and_the_file_says_whose(tmp_path, small_store):
    out = tmp_path / "out.parquet"
    ids = run("cca", small_store, out)
    store = open_store(small_store)
    assert ids.tolist() == store.where("split = 'validation'").column("dataset_id").tolist()
    rows = rows_of(out)
    assert [row["dataset_id"] for row in rows] == ids.tolist()
    assert all(row["failure"] is None and row["seconds"] > 0 for row in rows)
    assert all(row["levels"] is None and row["lower"] is None for row in rows)
    said = json.loads(pq.read_schema(out).metadata[b"mistdata benchmark"])
    assert said["identity"]["digest"] == store.digest
    assert said["identity"]["estimator"] == said["name"] == "cca"
    assert said["store"] == "small version 1"
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_workers_do_not_change_a_number(tmp_path, small_store):
    run("ksg", small_store, tmp_path / "one.parquet")
    run("ksg", small_store, tmp_path / "two.parquet", LocalWorkers(2))
    assert without_time(tmp_path / "one.parquet") == without_time(tmp_path / "two.parquet")


def test_a_larger_selection_goes_on_and_does_nothing_twice(tmp_path, small_store):
    out, called = tmp_path / "out.parquet", []

    def estimate(x, y, row):
        called.append(row["dataset_id"])
        return 0.5

    run(estimate, small_store, out, selection=Selection(("validation",), limit=10))
    before = rows_of(out)
    everything = run(estimate, small_store, out)
    assert called == everything.tolist()
    assert rows_of(out)[:10] == before
    written = out.stat().st_mtime_ns
    run(estimate, small_store, out, selection=Selection(("validation",), "n = 50", 3))
    assert called == everything.tolist()
    assert out.stat().st_mtime_ns == written


def test_a_run_that_stops_keeps_what_it_had(tmp_path, small_store):
    out, called = tmp_path / "out.parquet", []

    def estimate(x, y):
        called.append(len(x))
        if len(called) == 20:
            raise KeyboardInterrupt
        return 0.5

    with pytest.raises(KeyboardInterrupt):
        run(estimate, small_store, out)
    assert len(read_result(out)) == 19
    assert not out.exists()
    run(estimate, small_store, out)
    assert len(read_result(out)) == 60
    assert len(called) == 61
    assert not parts_of(out).exists()


def test_another_estimator_version_options_or_store_is_refused(tmp_path, small_store):
    out = tmp_path / "out.parquet"
    run("ksg", small_store, out, selection=Selection(("validation",), limit=2))
    before = out.read_bytes()
    for spec, bootstrap, part in (
        (Spec("cca"), 0, "estimator 'ksg' and not 'cca'"),
        (Spec("ksg", {"k": 5}), 0, r"options \{\} and not \{'k': 5\}"),
        (Spec("ksg"), 2, "bootstrap 0 and not 2"),
    ):
        with pytest.raises(OtherResult, match=part):
            run(spec, small_store, out, bootstrap=bootstrap)
    assert out.read_bytes() == before
    assert not parts_of(out).exists()


def test_a_file_of_other_things_is_refused(tmp_path, small_store):
    out = tmp_path / "thesis.parquet"
    out.write_text("years of work")
    with pytest.raises(MistdataError, match="not a result of mistdata benchmark"):
        run("cca", small_store, out)
    assert out.read_text() == "years of work"
    with pytest.raises(MistdataError, match="other columns"):
        run("cca", small_store, small_store / "catalog.parquet")


def test_two_runs_at_once_are_refused(tmp_path, small_store):
    out = tmp_path / "out.parquet"
    with parts_folder(out), pytest.raises(MistdataError, match="another process is at work"):
        run("cca", small_store, out)
    run("cca", small_store, out)


def test_failures_are_rows_too(tmp_path, small_store):
    def estimate(x, y, row):
        match row["dataset_id"] % 4:
            case 0:
                raise ZeroDivisionError("too\nbad")
            case 1:
                return math.nan
            case 2:
                return None
        return 1.0

    out = tmp_path / "out.parquet"
    run(estimate, small_store, out)
    failures = {row["dataset_id"] % 4: row["failure"] for row in rows_of(out)}
    assert failures == {
        0: "ZeroDivisionError: too bad",
        1: "ValueError: the estimate must be finite, got nan",
        2: "TypeError: an estimate must be one number, got None",
        3: None,
    }
    assert all((row["estimate"] is None) == (row["failure"] is not None) for row in rows_of(out))


def test_an_estimator_that_cannot_work_stops_the_run(tmp_path, small_store):
    def estimate(x, y):
        raise MistdataError("no such environment")

    with pytest.raises(MistdataError, match="no such environment"):
        run(estimate, small_store, tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == []


def test_quantiles_and_intervals_are_kept(tmp_path, small_store):
    spec = Spec("ksg-bootstrap", {"resamples": 10})
    run(spec, small_store, tmp_path / "out.parquet", selection=Selection(("validation",), limit=3))
    for row in rows_of(tmp_path / "out.parquet"):
        assert len(row["levels"]) == len(row["quantiles"]) == 15
        assert row["lower"] == pytest.approx(row["quantiles"][1])
        assert row["upper"] == pytest.approx(row["quantiles"][13])


def test_the_bootstrap_averages_resamples_seeded_per_dataset(tmp_path, small_store):
    def mean_of_x(x, y):
        return float(x[:, 0].mean())

    outs = [tmp_path / name for name in ("a.parquet", "b.parquet", "c.parquet")]
    run(mean_of_x, small_store, outs[0], bootstrap=200)
    few = Selection(("validation",), where="dataset_id % 2 = 1")
    run(mean_of_x, small_store, outs[1], bootstrap=200, selection=few)
    run(mean_of_x, small_store, outs[2])
    first, odd, plain = (without_time(out) for out in outs)
    assert [row for row in first if row["dataset_id"] % 2] == odd
    gaps = np.array([a["estimate"] - b["estimate"] for a, b in zip(first, plain, strict=True)])
    assert (gaps != 0.0).all()
    assert np.abs(gaps).max() < 0.2


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of a user's own, in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "their_estimators", raising=False)  # of the test before
    (tmp_path / "their_estimators.py").write_text(
        textwrap.dedent("""
        def estimate(x, y, shift=0.0):
            return float(x.mean()) + shift

        class Estimator:
            def __init__(self, scale=1.0):
                self.scale = scale

            def estimate(self, x, y):
                return self.scale

        made = Estimator(3.0)
        number = 4
        """)
    )
    return "their_estimators"


@pytest.mark.parametrize(
    ("attribute", "options", "expected"),
    [
        ("made", {}, 3.0),
        ("made.estimate", {}, 3.0),
        ("Estimator", {"scale": 2.0}, 2.0),
        ("estimate", {"shift": 1e6}, 1e6),
    ],
)
def test_functions_objects_and_classes_of_a_module(
    tmp_path, module, small_store, attribute, options, expected
):
    out = tmp_path / "out.parquet"
    few = Selection(("validation",), limit=1)
    run(Spec(f"{module}:{attribute}", options), small_store, out, selection=few)
    assert rows_of(out)[0]["estimate"] == pytest.approx(expected, rel=1e-4)
    assert read_result(out).header.identity.version.startswith("source ")


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        (Spec("kgs"), "did you mean 'ksg'"),
        (Spec("ksg", {"j": 3}), "unexpected keyword argument 'j'; its options are k"),
        (Spec("ksg", {"k": 0}), "ksg: k must be a whole number >= 1, got 0"),
        (Spec("cca", {"k": 3}), "it has no options"),
        (Spec("mean"), "mean: give either value=NATS or store=STORE"),
        (Spec("mean", {"store": "/nonexistent"}), "not a mistdata store"),
        (Spec("no_such_module:f"), "no_such_module cannot be imported"),
        (Spec("their_estimators:estimat"), "has no 'estimat'; did you mean 'estimate'"),
        (Spec("their_estimators:number"), "expected a callable"),
        (Spec("their_estimators:estimate", {"k": 3}), "its options are shift"),
    ],
)
def test_what_is_no_estimator_is_refused(tmp_path, module, small_store, spec, part):
    with pytest.raises(MistdataError, match=part):
        run(spec, small_store, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_an_empty_folder_is_no_checkpoint(tmp_path, small_store):
    with pytest.raises(MistdataError, match="no weights there"):
        run(str(tmp_path), small_store, tmp_path / "out.parquet")


def test_selections(small_store):
    store = open_store(small_store)
    split = store.column("split")

    def chosen(*arguments):
        return split[select(store, Selection(*arguments))].tolist()

    assert chosen(("train", "validation"), None, 3) == ["train"] * 3 + ["validation"] * 3
    assert set(chosen(("train",), "family = 'gaussian-lvm'")) == {"train"}
    for arguments, part in (
        ((), "no test split; choose of train, validation: --splits"),
        ((("trian",),), "no split 'trian'; the store has train, validation; did you mean 'train'"),
        ((("train",), "n > 1e6"), "no dataset meets 'n > 1e6'"),
        ((("train",), "size > 3"), "where 'size > 3'"),
    ):
        with pytest.raises(MistdataError, match=part):
            chosen(*arguments)


def test_options_are_numbers_words_and_switches():
    texts = ["k=3", "rate=1e-3", "fast=true", "store=/a=b"]
    expected = {"k": 3, "rate": 1e-3, "fast": True, "store": "/a=b"}
    assert parse_options(texts) == expected
    assert default_name(Spec("ksg", {"k": 3}), 50) == "ksg k=3 bootstrap 50"
    for wrong in ("k", "=3", "a b=3"):
        with pytest.raises(MistdataError, match="NAME=VALUE"):
            parse_options([wrong])


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(NotAStore):
        run("cca", tmp_path, tmp_path / "out.parquet")
