"""What other tools read of an export is what is in the store."""

import io
import json
import re
import resource
import tarfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

import mistdata
from mistdata.cli import cli
from mistdata.errors import MistdataError
from mistdata.export import FORMATS, KINDS, export
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.run import InProcess, generate
from tests.in_process import refuses
from tests.test_readme import blocks


@pytest.fixture(scope="module")
def dataset(small_store):
    return mistdata.open(small_store)


def read_npz(files):
    found = {}
    for path in files:
        with np.load(path, allow_pickle=False) as arrays:
            for each in arrays["dataset_id"].tolist():
                found[each] = arrays[f"x_{each}"], arrays[f"y_{each}"]
            labels = zip(arrays["dataset_id"].tolist(), arrays["mi"].tolist(), strict=True)
            found |= {each: (*found[each], mi) for each, mi in labels}
    return found


def read_parquet(files):
    found = {}
    for row in pd.concat(map(pd.read_parquet, files)).itertuples():
        x, y = (np.asarray(side).reshape(row.n, -1) for side in (row.x, row.y))
        found[row.dataset_id] = x, y, row.mi
    return found


def read_webdataset(files):
    members = {}
    for path in files:
        with tarfile.open(path) as tar:
            members |= {each.name: tar.extractfile(each).read() for each in tar}
    found = {}
    for name in [name for name in members if name.endswith(".json")]:
        key = name.removesuffix(".json")
        sides = [np.load(io.BytesIO(members[f"{key}.{side}.npy"])) for side in "xy"]
        found[int(key)] = *sides, json.loads(members[name])["mi"]
    return found


READERS = {"npz": read_npz, "parquet": read_parquet, "hf": read_parquet,
           "webdataset": read_webdataset}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_dataset_comes_through_unchanged(tmp_path, small_store, dataset, kind):
    files = export(small_store, tmp_path / "out", kind)
    found = READERS[kind]([path for path in files if path.suffix != ".md"])
    assert sorted(found) == dataset.column("dataset_id").tolist()
    for one in dataset:
        x, y, mi = found[one.dataset_id]
        np.testing.assert_array_equal(x, one.x)
        np.testing.assert_array_equal(y, one.y)
        assert x.dtype == np.float32
        assert mi == one.mi


def test_a_selection_is_what_the_condition_says(tmp_path, small_store, dataset):
    files = export(small_store, tmp_path / "out", "parquet", where="n >= 100 and mi > 0.5")
    expected = dataset.where("n >= 100 and mi > 0.5").column("dataset_id").tolist()
    assert sorted(read_parquet(files[:-1])) == expected


@pytest.fixture(scope="module")
def dashed(tmp_path_factory, small_recipe):
    """A store in which the name of a split begins with that of another, and has a dash."""
    (text,) = re.findall(r"(.*\n)\[split.validation\]", small_recipe.read_text(), re.DOTALL)
    _, split = text.split("[split.train]")
    store = tmp_path_factory.mktemp("stores") / "dashed"
    text += "[split.train-more]" + split.replace("split.train.", "split.train-more.")
    generate(make_plan(parse_recipe(text, "dashed.toml"), 6), store, InProcess())
    return store


def test_the_card_of_the_hub_names_files_that_are_there(tmp_path, dashed):
    files = export(dashed, tmp_path / "out", "hf")
    front = yaml.safe_load(files[-1].read_text().split("---\n", 2)[1])
    named = {each["split"]: sorted((tmp_path / "out").glob(each["path"]))
             for each in front["configs"][0]["data_files"]}  # fmt: skip
    assert named == {"train": files[:1], "train_more": files[1:-1]}
    assert pq.read_schema(files[0]).field("component").type == "string"


def datasets_by(snippet, folder, monkeypatch):
    """Every (x, y, mi) that a snippet comes by."""
    monkeypatch.chdir(folder)
    (folder / "FOLDER").symlink_to(folder / "out")
    found: list[object] = []
    exec(f"{snippet}        found.append((x, y, mi))\n", {"found": found})
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_snippet_of_the_card_reads_what_was_selected(
    tmp_path, small_store, dataset, kind, monkeypatch
):
    where = "n >= 100 and mi > 0.5"
    files = export(small_store, tmp_path / "out", kind, where=where)
    (snippet,) = re.findall(r"```python\n(.*?)```", files[-1].read_text(), re.DOTALL)
    chosen = dataset.where(where)
    for found, one in zip(datasets_by(snippet, tmp_path, monkeypatch), chosen, strict=True):
        np.testing.assert_array_equal(found[0], one.x)
        np.testing.assert_array_equal(found[1], one.y)
        assert found[0].dtype == found[1].dtype == np.float32
        assert found[2] == one.mi


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_of_an_export_is_about_the_export(tmp_path, small_store, dataset, kind):
    where = "family = 'student-dense'\n  and n > 99"
    text = export(small_store, tmp_path / "out", kind, where=where)[-1].read_text()
    count = len(dataset.where(where))
    assert f"{count} samples" in text and f"| student-dense | {count} |" in text
    assert "license: cc-by-4.0" in text and dataset.digest in text
    assert "    family = 'student-dense'\n      and n > 99\n" in text
    for word in ("mistdata.open", "mistdata verify", "Zarr", "zarr", "catalog.parquet", "STORE"):
        assert word not in text
    described = re.findall(r"^\| (\w+) \| ", text.split("## How")[0].split("## Read")[1], re.M)
    assert described == ["column", *FORMATS[kind].columns]


def test_arrays_and_columns_are_those_that_the_card_lists(tmp_path, small_store, dataset):
    files = {kind: export(small_store, tmp_path / kind, kind)[0] for kind in KINDS}
    ids = dataset.column("dataset_id")[dataset.column("split") == "train"].tolist()
    with np.load(files["npz"]) as arrays:
        values = {f"{side}_{each}" for side in "xy" for each in ids}
        own = {name: arrays[name].dtype for name in arrays if name[:2] not in ("x_", "y_")}
        assert own.keys() == set(FORMATS["npz"].columns)
        assert {name for name in arrays if name[:2] in ("x_", "y_")} <= values
    assert own["mi"] == own["mi_error"] == np.float64 and own["component"].kind == "U"
    assert own["dataset_id"] == own["distribution_id"] == np.int64
    assert own["n"] == own["dim_x"] == own["dim_y"] == np.int32
    for kind in ("parquet", "hf"):
        schema = pq.read_schema(files[kind])
        assert schema.names == [*FORMATS[kind].columns, "x", "y"]
        types = {name: set() for name in map(str, schema.types)}
        for field in schema:
            types[str(field.type)].add(field.name)
        assert types.pop("double") == {
            "mi", "mi_error", "mi_check", "pmi_std", "oracle_se", "mi_loss_bound", "roundtrip_max"
        }  # fmt: skip
        assert types.pop("int64") == {"dataset_id", "distribution_id", "offset"}
        assert types.pop("fixed_size_list<element: int64>[3]") == {"seed_key"}
        assert types.pop("uint32") == {"crc32c"}
        assert types.pop("large_list<element: float>") == {"x", "y"}
        assert types.pop("int32") == {"replicate", "dim_x", "dim_y", "n", "shard", "flags"}
        assert list(types) == ["string"]
    with tarfile.open(files["webdataset"]) as tar:
        assert tar.getnames()[:3] == [f"{0:09d}.{end}" for end in ("x.npy", "y.npy", "json")]
        row = json.load(tar.extractfile(tar.getnames()[2]))
    assert list(row) == list(FORMATS["webdataset"].columns)


def test_the_page_on_other_tools_says_what_the_cards_say():
    page = (Path(__file__).parents[1] / "docs" / "other-tools.md").read_text()
    for kind, form in FORMATS.items():
        assert [line for line in form.contents.splitlines() if line not in page] == [], kind
        assert form.snippet in blocks("docs/other-tools.md", "python"), kind


def test_the_help_has_a_line_for_every_format():
    shown = CliRunner().invoke(cli, ["export", "--help"]).output
    assert tuple(re.findall(rf"^  ({'|'.join(KINDS)}) +\w", shown, re.M)) == KINDS


def test_the_same_export_is_the_same_bytes(tmp_path, small_store):
    for kind in KINDS:
        one, other = (export(small_store, tmp_path / f"{kind}{k}", kind) for k in (0, 1))
        if kind != "npz":  # a zip holds the time
            assert [a.read_bytes() for a in one] == [b.read_bytes() for b in other]


@contextmanager
def files_of_at_most(size):
    """Let the system refuse to write more to any file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_nothing_is_left_of_an_export_for_which_there_is_no_room(tmp_path, small_store):
    def ask(folder):
        return export(small_store, folder, "webdataset", where="dataset_id >= 40")

    sizes = [path.stat().st_size for path in ask(tmp_path / "all")]
    assert sizes[0] < max(sizes), "the first file fits"
    out, own = tmp_path / "new" / "out", tmp_path / "own"
    own.mkdir()
    with files_of_at_most(max(sizes) - 1):
        for folder in (out, own):
            with pytest.raises(OSError, match="File too large"):
                ask(folder)
    assert not out.parent.exists()
    assert list(own.iterdir()) == [], "a folder that was there stays, empty as it was"
    assert len(ask(out)) == len(sizes)


def test_misuse_is_one_line(tmp_path, small_store):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(MistdataError, match="new or empty folder"):
        export(small_store, tmp_path / "full", "npz")
    with pytest.raises(MistdataError, match="no dataset meets 'n < 0'"):
        export(small_store, tmp_path / "out", "npz", where="n < 0")
    arguments = ["export", str(small_store), str(tmp_path / "out"), "--to", "npz"]
    assert "where 'n >': it ends too early" in refuses(2, *arguments, "--where", "n >")
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0 and "files" in result.output
