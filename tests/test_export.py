"""What other tools read of an export is what is in the store."""

import io
import json
import resource
import tarfile
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

import mistdata
from mistdata.cli import cli
from mistdata.errors import MistdataError
from mistdata.export import KINDS, export
from tests.in_process import refuses


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
    assert sorted(read_parquet(files)) == expected


def test_the_card_of_the_hub_names_files_that_are_there(tmp_path, small_store):
    files = export(small_store, tmp_path / "out", "hf")
    front = yaml.safe_load(files[-1].read_text().split("---\n", 2)[1])
    named = {path for each in front["configs"][0]["data_files"]
             for path in (tmp_path / "out").glob(each["path"])}  # fmt: skip
    assert named == set(files[:-1])
    assert pq.read_schema(files[0]).field("component").type == "string"


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
