"""The report says what is in the store, and needs nothing but itself."""

import json
import pickle
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits

import mistdata
from mistdata.cli import cli
from mistdata.flows.fit import divide
from mistdata.report import collect, write_page
from mistdata.report.bins import mi_edges, whole_edges
from mistdata.verify import verify


@pytest.fixture(scope="module")
def facts(small_store):
    return collect(small_store)


@pytest.fixture(scope="module")
def page(facts, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(path, facts)
    return path


def test_counts_by_bin_are_those_of_the_catalog(small_store, facts):
    dataset = mistdata.open(small_store)
    bins = facts["bins"]
    for name in ("mi", "n", "dim_x", "dim_y"):
        assert np.sum(bins["counts"][name]) == len(dataset)
        assert len(bins["edges"][name]) == len(bins["counts"][name][0]) + 1
    split, family, transform = bins["groups"][0]
    mask = (dataset.column("split") == split) & (dataset.column("family") == family)
    mask &= (dataset.column("transform_x") == transform) & (
        dataset.column("transform_y") == transform
    )
    assert sum(bins["counts"]["n"][0]) == mask.sum()
    found, _ = np.histogram(dataset.column("n")[mask], bins["edges"]["n"])
    assert found.tolist() == bins["counts"]["n"][0]


def test_bins_hold_every_value_and_whole_numbers_have_whole_edges():
    for values in ([0.0], [0.3, 1.39], [0.01], [0.0, 68.2], [1.0], [5.0, 10.0], [2e-9, 0.5]):
        edges = mi_edges(np.array(values))
        assert edges[0] <= min(values) and max(values) < edges[-1]
        assert (np.diff(edges) > 0).all()
    for values in ([3], [1, 10], [1, 64], [10, 9999], [50, 200], [1, 20], [2, 41]):
        edges = whole_edges(np.array(values))
        assert edges.dtype.kind == "i"
        assert edges[0] <= min(values) and max(values) < edges[-1]
        assert (np.diff(edges) > 0).all() and edges[-2] <= max(values)


def test_maps_of_two_sides_are_named_as_components_are(small_store):
    found = {tuple(group[1:]) for group in collect(small_store)["bins"]["groups"]}
    names = set(mistdata.open(small_store).column("component").tolist())
    assert {f"{family}/{transform}" for family, transform in found} == names


@pytest.mark.parametrize("sealed", [True, False])
def test_how_to_open_is_true(tmp_path, monkeypatch, store, sealed):
    monkeypatch.chdir(tmp_path)
    store.rename("STORE")
    if not sealed:
        Path("STORE/manifest.json").unlink()
    lines = collect(Path("STORE"))["opening"]
    scope = {}
    exec(lines["python"], scope)
    said = [
        int(count.replace(",", "")) for count in re.findall(r"# ([\d,]+) dataset", lines["python"])
    ]
    assert said == [len(scope["ds"]), len(scope["some"])] and said[1] > 0
    assert f"{scope['one'].x.shape}, one.y {scope['one'].y.shape}" in lines["python"]
    for line in lines["shell"].splitlines():
        done = CliRunner().invoke(cli, shlex.split(line, comments=True)[1:])
        assert done.exit_code == 0, done.output
    assert Path("FOLDER").exists() == sealed


def test_what_is_imported_claims_no_licence_and_no_seed(tmp_path):
    rng = np.random.default_rng(0)
    entry = {
        "source": rng.standard_normal((20, 2)).astype(np.float32),
        "target": np.zeros(1, np.float32),
        "distribution": "multi_normal-base",
        "n_row": 20,
        "dimension": 1,
    }
    Path(tmp_path / "held.pkl").write_bytes(pickle.dumps([entry]))
    command = ["import", str(tmp_path / "held.pkl"), str(tmp_path / "out"), "--name", "theirs"]
    assert CliRunner().invoke(cli, command).exit_code == 0
    found = collect(tmp_path / "out")
    assert found["licence"] == "as what it was imported from"
    assert found["derived"] is True
    assert found["families"][0]["formula"] == "–"
    assert found["checks"]["z"] is None


def test_components_and_methods_cover_every_dataset(small_store, facts):
    dataset = mistdata.open(small_store)
    assert sum(each["datasets"] for each in facts["components"]) == len(dataset)
    assert sum(each["datasets"] for each in facts["methods"]) == len(dataset)
    assert facts["totals"]["digest"] == dataset.digest
    assert facts["certificates"] is None


def test_second_opinions_are_scored_by_their_draws(small_store, facts):
    rows = mistdata.open(small_store).catalog.to_pandas()
    rows = rows[rows.mi_check.notna() & (rows.pmi_std > 1e-9)]
    rows = rows.drop_duplicates(["split", "distribution_id", "mi_check"])
    draws = np.where(rows.split == "train", 64, 1024)  # as docs/labels.md has it
    z = (rows.mi_check - rows.mi) / rows.pmi_std * np.sqrt(draws)
    found = facts["checks"]["z"]
    assert found["count"] == len(z) > 50
    assert found["mean"] == pytest.approx(z.mean()) and found["beyond_5"] == (abs(z) > 5).mean()
    assert found["deviation"] == pytest.approx(z.std(ddof=0)) == pytest.approx(1, abs=0.3)
    assert found["within_1"] == pytest.approx((abs(z) <= 1).mean())
    assert found["largest"] == pytest.approx(abs(z).max())


def test_samples_lie_on_their_panels(facts):
    assert len(facts["samples"]) > 3
    for sample in facts["samples"]:
        places = [v for v in [*sample["x"], *sample["y"]] if v is not None]
        assert places and min(places) >= 0 and max(places) <= 1
        assert len(sample["x"]) == len(sample["y"])


def test_the_page_holds_its_data_and_asks_for_nothing(page, facts):
    text = page.read_text()
    held = json.loads(re.search(r"const facts = (.*);\n", text)[1])
    assert held["totals"] == facts["totals"]
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text)
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text.replace(json.dumps(held), "")))
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_a_recipe_cannot_end_the_script(tmp_path, facts):
    path = tmp_path / "report.html"
    write_page(path, {**facts, "recipe": "# </script><script>alert(1)</script>"})
    assert path.read_text().count("</script>") == 1


def test_a_store_being_filled_and_an_empty_one(tmp_path, small_store):
    store = tmp_path / "store"
    shutil.copytree(small_store, store)
    (store / "manifest.json").unlink()
    assert collect(store)["totals"]["sealed"] is False
    shutil.rmtree(store / "_receipts")
    with pytest.raises(ValueError, match="no dataset is durable"):
        collect(store)


def test_the_command_writes_page_and_picture(tmp_path, small_store):
    page, png = tmp_path / "r.html", tmp_path / "r.png"
    run = CliRunner().invoke(cli, ["report", str(small_store), str(page), "--png", str(png)])
    assert run.exit_code == 0, run.output
    assert "260 datasets" in run.output
    assert png.read_bytes().startswith(b"\x89PNG")
    assert verify(small_store).ok
    audit = tmp_path / "audit.json"
    audit.write_text("{}")
    run = CliRunner().invoke(cli, ["report", str(small_store), str(page), "--audit", str(audit)])
    assert run.exit_code == 2
    assert "verify STORE --deep --json" in run.output
    audit.write_text('{"digest": "of another", "audit": {}}')
    run = CliRunner().invoke(cli, ["report", str(small_store), str(page), "--audit", str(audit)])
    assert run.exit_code == 2
    assert "the audit is of another store" in run.output


def test_a_carried_store_shows_real_rows_beside_adapted_ones(tmp_path, carried_store):
    digits = load_digits()
    found = collect(carried_store)["images"]
    assert [(each["side"], each["what"]) for each in found] == [
        ("x", "real"), ("x", "adapted"), ("y", "real"), ("y", "adapted")
    ]  # fmt: skip
    assert [each["shape"] for each in found] == [[8, 8], [8, 8], [1, 13], [1, 13]]
    assert [len(each["pixels"]) for each in found] == [16 * 64, 16 * 64, 5 * 13, 5 * 13]
    held_out = divide(len(digits.images), 0.1, 0)[1][:16]
    shown = np.array(found[0]["pixels"]).reshape(-1, 8, 8)
    np.testing.assert_array_equal(shown, (255 * digits.images[held_out] / 16).astype(np.uint8))
    assert np.std(found[1]["pixels"]) > 40  # digits, not noise around grey
    write_page(tmp_path / "page.html", collect(carried_store))
