"""The commands that estimate: what they print, write and refuse."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from mistdata.estimator import Estimator
from mistdata.estimator.checkpoint import save_weights
from mistdata.estimator.matrix import QUERIES
from mistdata.estimator.network import QUERIES as MOST
from tests.in_process import mistdata, refuses
from tests.tiny import tiny_estimator

ROWS = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model and one table in every format."""
    path = tmp_path_factory.mktemp("estimating")
    (path / "model").mkdir()
    tiny = tiny_estimator()
    save_weights(path / "model", tiny.network.config, tiny.network.state_dict(), tiny.training)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(ROWS, 4))
    np.save(path / "data.npy", values)
    np.savez(path / "data.npz", x=values[:, :2], y=values[:, 2:])
    lines = ["age,weight,dose,site,code"]
    for i, (age, weight, dose, _) in enumerate(values):
        shown = "" if i in (3, 4) else f"{dose:.17g}"
        lines.append(f"{age:.17g},{weight:.17g},{shown},{['oslo', 'rome'][i % 2]},{i % 3}")
    (path / "data.csv").write_text("\n".join(lines) + "\n")
    return path


def ask(folder, *arguments, model="model"):
    finished = mistdata(*arguments, "--model", folder / model)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return finished.stdout


def test_an_estimate_is_one_line_and_its_warnings(folder):
    text = ask(folder, "estimate", folder / "data.csv", "--x", "age,weight", "--y", "dose")
    first, warning = text.splitlines()
    assert first.startswith("I(age, weight; dose) = ")
    assert " nats, 90 % interval " in first
    assert first.endswith("(58 rows, 2 dropped)")
    assert warning == "warning: 2 of 60 rows have a missing value and were left out"


def test_an_estimate_is_that_of_the_library(folder):
    options = ("--x", "0-1", "--y", "3", "--level", 0.5, "--units", "bits", "--json")
    found = json.loads(ask(folder, "estimate", folder / "data.npy", *options))
    values = np.load(folder / "data.npy")
    estimator = Estimator.load(folder / "model")
    expected = estimator(values[:, :2], values[:, 3], level=0.5, units="bits")
    assert found["median"] == pytest.approx(expected.median)
    assert found["interval"] == pytest.approx(expected.interval)
    assert (found["x"], found["y"]) == (["0", "1"], ["3"])
    assert (found["n"], found["units"], found["level"]) == (ROWS, "bits", 0.5)


def test_arrays_of_an_archive_are_sides(folder):
    text = ask(folder, "estimate", folder / "data.npz", "--x", "x", "--y", "y")
    assert text.startswith("I(x:0, x:1; y:0, y:1) = ")


def test_codes_can_be_categories(folder):
    arguments = ("estimate", folder / "data.csv", "--x", "code", "--y", "age", "--json")
    plain = json.loads(ask(folder, *arguments))
    marked = json.loads(ask(folder, *arguments, "--categories", "code"))
    assert plain["quantiles"] != marked["quantiles"]
    assert not [said for said in marked["warnings"] if "code" in said]


def test_a_matrix_is_listed_written_and_drawn(folder, tmp_path):
    picture, pairs = tmp_path / "a.png", tmp_path / "a.csv"
    arguments = ("matrix", folder / "data.csv", "--png", picture, "--csv", pairs)
    lines = ask(folder, *arguments).splitlines()
    assert lines[0] == f"{folder / 'data.csv'}: information in nats, with 90 % intervals"
    assert len([line for line in lines if line.endswith("rows)")]) == 10
    assert lines[-1].endswith("were left out (age and dose, and 3 more pairs)")
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pairs.open() as file:
        records = list(csv.DictReader(file))
    assert len(records) == 10
    medians = [float(record["median"]) for record in records]
    assert medians == sorted(medians, reverse=True)


def test_a_matrix_says_where_it_may_differ_from_an_estimate(folder, tmp_path):
    said = f"\n{QUERIES} rows of a pair are compared with all; `mistdata estimate` compares up to"
    for n in (QUERIES, QUERIES + 1):
        np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(n, 2)))
        text = ask(folder, "matrix", tmp_path / "a.npy")
        assert (f"{said} {MOST:,}, and may differ a little" in text) == (n > QUERIES)
    about = " ".join(mistdata("matrix", "--help").stdout.split())
    assert f"Only {QUERIES} rows of a pair" in about and f"up to {MOST:,}:" in about


def test_groups_are_variables(folder):
    options = ("--target", "dose", "--group", "body=age,weight", "--group", "where=site", "--json")
    found = json.loads(ask(folder, "matrix", folder / "data.csv", *options))
    assert found["names"] == ["body", "where"]
    both = json.loads(
        ask(folder, "matrix", folder / "data.csv", *options[2:], "--group", "amount=dose",
            "--target", "amount")
    )  # fmt: skip
    assert [pair["median"] for pair in both["pairs"]] == [p["median"] for p in found["pairs"]]


def test_a_target_is_held_against_the_rest(folder, tmp_path):
    options = ("--target", "dose", "--without", "site,code", "--json", "--png", tmp_path / "a.png")
    found = json.loads(ask(folder, "matrix", folder / "data.csv", *options))
    assert found["names"] == ["age", "weight"]
    assert [pair["y"] for pair in found["pairs"]] == ["dose", "dose"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_long_matrices_are_cut_and_blanks_say_why(folder, tmp_path):
    values = np.random.default_rng(0).normal(size=(30, 8))
    values[:, 7] = 1
    np.save(tmp_path / "a.npy", values)
    text = ask(folder, "matrix", tmp_path / "a.npy")
    assert "and 8 more pairs, all weaker (--csv writes them)" in text
    short = ask(folder, "matrix", tmp_path / "a.npy", "--without", "3-6")
    assert "-  frame column '7' must vary, found one value in all 30 rows" in short


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("estimate data.csv", "--x and --y must name columns of data.csv: age, weight, dose"),
        ("estimate data.csv --x age", "--x and --y must name columns"),
        ("estimate data.csv --x aeg --y dose", "--x: data.csv has no column 'aeg'; did you mean"),
        ("estimate data.csv --x age --y dose,age", "must not share columns, found 'age' in both"),
        ("estimate none.csv --x a --y b", "none.csv: there is no such file"),
        ("estimate data.csv --x age --y dose --level 0.99", "level must lie in (0, 0.98]"),
        ("estimate data.csv --x age --y dose --model nowhere", "nowhere: no weights there"),
        ("estimate data.csv --x age --y dose --model smal", "did you mean 'small'?"),
        ("estimate data.csv --x age --y dose --units bans", "'bans' is not one of 'nats', 'bits'"),
        ("estimate data.csv --x age --y dose --categories cod", "did you mean 'code'"),
        ("estimate flat.csv --x a --y b", "flat.csv: x column 'a' must vary, found one value"),
        ("matrix data.csv --target ages", "--target: data.csv has no column 'ages'; did you"),
        ("matrix data.npz --target x", "--target must name one column, got x:0, x:1"),
        ("matrix data.csv --without ag", "--without: data.csv has no column 'ag'; did you mean"),
        ("matrix names.csv", "names.csv: frame column 'a' must have at most 32 categories"),
        ("matrix data.csv --png no/where.png", "there is no folder 'no'"),
        ("matrix data.csv --png a.pdf", "the name must end in .png, got 'a.pdf'"),
        ("matrix data.csv --group age", "--group must be NAME=COLS, each name once, got 'age'"),
        ("matrix data.csv --group a=age --group b=wait", "--group: data.csv has no column 'wait'"),
        (
            "matrix few.csv",
            "no pair has an answer: there must be at least 8 rows, got",
        ),
        (
            "matrix flat.csv --target a",
            "no pair has an answer: frame column 'a' must vary",
        ),
        (
            "matrix latin.csv",
            "latin.csv: not UTF-8, found the byte 0xe9 in line 2; save it",
        ),
        ("estimate latin.csv --x a --y b", "latin.csv: not UTF-8"),
        (
            "estimate comma.csv --x a --y b",
            "x column 'a' must hold numbers or categories, found",
        ),
        ("matrix data.csv --without age,weight,dose,site", "at least two variables, got 1"),
    ],
)
def test_misuse_is_exit_2_and_one_line(folder, monkeypatch, arguments, part):
    monkeypatch.chdir(folder)
    (folder / "flat.csv").write_text("a,b\n" + "1,2\n1,3\n" * 5)
    (folder / "names.csv").write_text("a,b\n" + "".join(f"n{i},{i}\n" for i in range(40)))
    (folder / "few.csv").write_text("a,b\n1,2\n2,4\n")
    (folder / "latin.csv").write_bytes(b"a,b\n\xe9,2\n")
    (folder / "comma.csv").write_text("a,b\n" + '"1,5",2\n"2,1",3\n' * 5)
    words = arguments.split()
    if "--model" not in words:
        words += ["--model", "model"]
    assert part in refuses(2, *words)


def test_without_torch_the_extra_is_named_in_one_line(folder):
    code = "import sys; sys.modules['torch'] = None; from mistdata.cli import main; main()"
    arguments = ["estimate", str(folder / "data.csv"), "--x", "age", "--y", "dose"]
    finished = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert finished.stderr == (
        "mistdata: the estimator needs torch and safetensors: pip install 'mistdata[estimator]'\n"
    )
