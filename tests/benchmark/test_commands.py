"""The commands benchmark and compare: tables, JSON, Markdown, refusals, and a real kill."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mistdata.baselines import BASELINES
from mistdata.benchmark import read_result
from mistdata.benchmark.results import parts_of
from mistdata.benchmark.scores import METRICS
from tests.in_process import mistdata, refuses

DOCS = Path(__file__).parents[2] / "docs" / "benchmark.md"
PATIENCE = 60

SLOW = """
import time

def estimate(x, y, row):
    time.sleep(0.01)
    with open("called.txt", "a") as file:
        file.write(f"{row['dataset_id']}\\n")
    return 0.5
"""


def done(*arguments):
    finished = mistdata(*arguments)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return finished.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory, small_store):
    """Results of three estimators over both splits of the small store."""
    folder = tmp_path_factory.mktemp("results")
    for name, options in {
        "cca": [],
        "ksg-bootstrap": ["--options", "resamples=10"],
        "oracle": ["--name", "truth"],
    }.items():
        arguments = ["--splits", "train,validation", "--in-process", "--limit", 60, *options]
        done("benchmark", name, small_store, folder / f"{name}.parquet", *arguments)
    return folder


def test_tables_for_people(small_store, results):
    text = done(
        "benchmark", "ksg-bootstrap", small_store, results / "ksg-bootstrap.parquet",
        "--options", "resamples=10", "--splits", "train,validation", "--limit", 60, "--in-process",
    )  # fmt: skip
    assert text.startswith("ksg-bootstrap resamples=10 (")
    assert "on 120 datasets of small version 1" in text
    assert "no dataset failed" in text
    for heading in ("MSE", "RMSE/oracle", "R²", "CRPS", "in 95 %", "score 90"):
        assert heading in text
    for stratum in ("train", "validation, n", "MI in [0.1, 0.5)", "student-sparse/asinh"):
        assert stratum in text


def test_several_samples_of_a_distribution_tell_bias_from_variance(tmp_path, small_store):
    arguments = ["--splits", "train", "--in-process"]
    text = done("benchmark", "oracle", small_store, tmp_path / "out.parquet", *arguments)
    *_, replicates = text.split("\n\n                ")
    assert "bias²" in replicates
    assert "variance" in replicates


def test_json_for_machines(small_store, results):
    out = results / "cca.parquet"
    arguments = ["--splits", "validation", "--in-process", "--where", "n = 50", "--json"]
    found = json.loads(done("benchmark", "cca", small_store, out, *arguments))
    assert found["datasets"] == 30
    assert found["failures"] == 0
    (whole,) = [entry for entry in found["strata"] if entry["by"] == "all"]
    assert whole.keys() == {"by", "name", "datasets", "failures", *METRICS}
    assert whole["mse"] > 0 > whole["r2"] or whole["r2"] > 0
    assert whole["crps"] is None


def test_failures_are_counted_with_their_reasons(tmp_path, small_store):
    arguments = ["--splits", "validation", "--in-process", "--options", "k=60"]
    text = done("benchmark", "ksg", small_store, tmp_path / "out.parquet", *arguments)
    assert "30 of 60 datasets failed; all figures are over the other 30" in text
    assert "30 × ValueError: n must exceed k = #, got # rows" in text


def test_the_result_has_a_name_of_its_own_by_default(tmp_path, monkeypatch, small_store):
    monkeypatch.chdir(tmp_path)
    arguments = ["--splits", "validation", "--limit", 2, "--in-process", "--options", "k=4"]
    done("benchmark", "ksg", small_store, *arguments, "--bootstrap", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["small-ksg-k-4-bootstrap-2.parquet"]


def test_side_by_side_on_the_same_datasets(tmp_path, small_store, results):
    paths = [results / f"{name}.parquet" for name in ("cca", "ksg-bootstrap", "oracle")]
    found = json.loads(done("compare", small_store, *paths, "--json"))
    assert [each["name"] for each in found["estimators"]] == [
        "cca", "ksg-bootstrap resamples=10", "truth",
    ]  # fmt: skip
    whole = found["strata"][0]
    assert found["datasets"] == found["common"] == whole["datasets"] == 120
    scores = whole["scores"]
    assert scores["truth"]["mse"] < min(scores[name]["mse"] for name in scores if name != "truth")
    assert scores["truth"]["rmse_oracle"] == pytest.approx(1.0, abs=0.25)
    text = done("compare", small_store, *paths)
    assert "CRPS" in text
    assert re.search(r"^all +120 ", text, re.MULTILINE)


def test_a_failure_of_one_leaves_the_dataset_out_for_all(tmp_path, small_store, results):
    arguments = ["--splits", "validation", "--in-process", "--options", "k=60"]
    done("benchmark", "ksg", small_store, tmp_path / "ksg.parquet", *arguments)
    paths = [results / "cca.parquet", tmp_path / "ksg.parquet"]
    text = done("compare", small_store, *paths, "--metric", "mae", "--markdown")
    assert "30 datasets that every estimator answered, of 60 that all results hold" in text
    assert "ksg k=60 (0" in text
    assert ": 30 failed" in text
    assert "| all | 30 |" in text
    assert "**MAE**: mean of |e|, nats" in text
    assert "MSE" not in text


def test_results_of_one_name_are_told_apart(small_store, results, tmp_path):
    copy = tmp_path / "again.parquet"
    copy.write_bytes((results / "cca.parquet").read_bytes())
    text = done("compare", small_store, results / "cca.parquet", copy)
    assert "cca (cca)" in text
    assert "cca (again)" in text


def test_misuse_is_one_line(tmp_path, small_store, results):
    out, cca = tmp_path / "out.parquet", results / "cca.parquet"
    benchmark = ("benchmark", "cca", small_store)
    assert "no test split" in refuses(2, *benchmark, out)
    assert "NAME=VALUE" in refuses(2, *benchmark, out, "--options", "k")
    assert "choose one of" in refuses(2, *benchmark, out, "--in-process", "--workers", 2)
    assert "belongs to estimator 'cca'" in refuses(
        4, "benchmark", "ksg", small_store, cca, "--splits", "train", "--in-process"
    )
    assert "did you mean 'mse'" in refuses(2, "compare", small_store, cca, "--metric", "mseh")
    assert "there is no such file" in refuses(2, "compare", small_store, out)
    assert "RESULT" in refuses(2, "compare", small_store)


def test_a_result_of_another_store_is_refused(tmp_path, small_recipe, results):
    other = tmp_path / "other"
    done("generate", small_recipe, other, "--limit", 5, "--in-process")
    assert "a result of small version 1" in refuses(4, "compare", other, results / "cca.parquet")


def test_help_and_documentation_name_everything():
    text = re.sub(r"\s+", " ", done("benchmark", "--help"))
    assert ", ".join(BASELINES) in text
    page = DOCS.read_text()
    for name in BASELINES:
        assert f"`{name}`" in page
    for name in METRICS:
        assert f"`{name}`" in page


@pytest.mark.slow
def test_a_killed_run_goes_on_and_does_nothing_durable_twice(tmp_path, small_store):
    (tmp_path / "slow.py").write_text(SLOW)
    out = tmp_path / "out.parquet"
    command = [sys.executable, "-m", "mistdata", "benchmark", "slow:estimate", small_store, out]
    command = [*map(str, command), "--splits", "train,validation", "--workers"]
    process = subprocess.Popen(
        [*command, "2"], cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while len(list(parts_of(out).glob("*.parquet"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    durable = set(read_result(out).columns["dataset_id"].tolist())
    assert 0 < len(durable) < 260
    assert not out.exists()
    (tmp_path / "called.txt").unlink()
    command[-1:] = ["--in-process"]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    called = [int(line) for line in (tmp_path / "called.txt").read_text().split()]
    assert len(read_result(out)) == 260
    assert sorted(called) == sorted(set(range(260)) - durable)
    assert not parts_of(out).exists()
