"""Published pickles become stores, and nothing in them is ever run."""

import codecs
import io
import os
import pickle
import pickletools
import struct

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import mistdata
from mistdata.audit import audit
from mistdata.cli import cli
from mistdata.errors import MistdataError, OtherPlan, RecipeError
from mistdata.importing import import_pickles
from mistdata.pickles import read_pickle
from mistdata.pipeline.run import InProcess
from mistdata.repair import repair
from mistdata.verify import verify
from tests.damage import flip

NAMES = ("multi_normal-dense-base", "multi_student-sparse-asinh", "binormal-wigglify")


def entry(i, *, rows=40, dim=2, **changed):
    """A dataset as mist-statinf 0.1.1 writes it."""
    rng = np.random.default_rng(i)
    return {
        "id": i,
        "n_row": rows,
        "distribution": NAMES[i % 3],
        "dimension": dim,
        "target": np.array([0.25 * i]),
        "source": rng.normal(size=(rows, 2 * dim)).astype(np.float32),
    } | changed


def entries(count=12):
    return [entry(i, rows=20 + 5 * i, dim=1 + i % 3) for i in range(count)]


def written(path, held, protocol=4):
    path.write_bytes(pickle.dumps(held, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_every_dataset_comes_back_to_the_bit(protocol, tmp_path):
    first = written(tmp_path / "meta_dataset_part1.pkl", entries(), protocol)
    second = written(tmp_path / "meta_dataset_part2.pkl", entries(3), protocol)
    test = written(tmp_path / "test.pkl", entries(5), protocol)
    files = [("test", test), ("train", first), ("train", second)]
    manifest, left_out = import_pickles(files, tmp_path / "out", name="mist", shard_mib=1)
    assert (manifest.datasets, left_out) == ({"test": 5, "train": 15}, 0)
    assert verify(tmp_path / "out").ok
    ds = mistdata.open(tmp_path / "out", verify="crc")
    for made, held in zip(ds, [*entries(5), *entries(), *entries(3)], strict=True):
        np.testing.assert_array_equal(np.hstack([made.x, made.y]), held["source"])
        assert made.x.shape[1] == held["dimension"]
        assert made.mi == held["target"][0]
        assert f"{made.family}-{made.transform_x}" == held["distribution"] == made.component
    assert set(ds.column("mi_method")) == {"imported"}
    assert ds.catalog["mi_error"].null_count == len(ds)
    recipe = mistdata.store.ledger.read_record(tmp_path / "out").recipe
    assert 'by = "import"' in recipe and 'file = "meta_dataset_part2.pkl"' in recipe


def test_arrays_of_every_order_and_kind_are_read(tmp_path):
    arrays = [np.arange(6, dtype=kind).reshape(2, 3) for kind in ("<f8", ">f4", "i2", "u1", "=f2")]
    arrays += [
        np.array([[True, False]]),
        np.asfortranarray(arrays[0]),
        np.array(3.5),
        np.zeros((0, 2)),
        arrays[0].T,
    ]
    for protocol in range(6):
        found = read_pickle(written(tmp_path / "arrays.pkl", arrays, protocol))
        for each, held in zip(found, arrays, strict=True):
            np.testing.assert_array_equal(each, held)
            assert each.dtype == held.dtype
    numbers = {"a": np.float64(2.5), "b": [1, None, True, b"x", ("y", 1 << 70)]}
    assert read_pickle(written(tmp_path / "numbers.pkl", numbers)) == {
        "a": 2.5, "b": [1, None, True, b"x", ["y", 1 << 70]]
    }  # fmt: skip


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def opcodes(*parts):
    return b"\x80\x04" + b"".join(parts) + b"."


def word(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


ATTACKS = {
    "system": lambda mark: pickle.dumps([entry(0), Call(os.system, f"touch {mark}")]),
    "eval": lambda mark: pickle.dumps(Call(eval, f"open({str(mark)!r}, 'w')")),
    "exec in a source": lambda mark: pickle.dumps(
        [entry(0, source=Call(exec, f"open({str(mark)!r}, 'w')"))]),
    "open": lambda mark: pickle.dumps(Call(io.open, str(mark), "w")),
    "dotted name": lambda mark: opcodes(
        word("numpy"), word("ndarray.__class__.__base__.__subclasses__"), b"\x93"),
    "getattr": lambda mark: opcodes(word("builtins"), word("getattr"), b"\x93"),
    "numpy.load": lambda mark: pickle.dumps(Call(np.load, str(mark))),
    "ctypes": lambda mark: opcodes(word("numpy.ctypeslib"), word("load_library"), b"\x93"),
    "a foreign codec": lambda mark: pickle.dumps(Call(codecs.encode, "abc", "rot13")),
    "an extension by number": lambda mark: opcodes(b"\x82\x01"),
    "an object outside": lambda mark: opcodes(word("x"), b"Q"),
    "an array of objects": lambda mark: pickle.dumps([np.array([Call(eval, "1"), None])]),
    "a state for a class": lambda mark: opcodes(
        word("numpy"), word("ndarray"), b"\x93", b"N", b"}", word("shape"), b"K\x01s", b"\x86b"),
    "a memo of two billion": lambda mark: opcodes(
        b"N", b"r" + struct.pack("<I", 2**31 - 1), word("x"), word("y"), b"\x93"),
    "bytes without end": lambda mark: opcodes(b"\x8e" + struct.pack("<Q", 2**60)),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_of_a_hostile_pickle_runs(name, tmp_path):
    mark = tmp_path / "ran"
    path = tmp_path / "hostile.pkl"
    path.write_bytes(ATTACKS[name](mark))
    with pytest.raises(MistdataError, match="not a pickle of plain data") as refused:
        read_pickle(path)
    assert not mark.exists()
    assert len(str(refused.value).splitlines()) == 1


def test_a_list_of_itself_and_a_list_that_doubles_end(tmp_path):
    loop = []
    loop.append(loop)
    with pytest.raises(MistdataError, match="not a pickle of plain data"):
        read_pickle(written(tmp_path / "loop.pkl", loop))
    double = []
    for _ in range(60):
        double = [double, double]
    assert len(read_pickle(written(tmp_path / "double.pkl", double))) == 2


@given(st.data())
def test_damaged_pickles_are_refused_or_read(tmp_path_factory, data):
    content = bytearray(
        pickle.dumps([entry(0, rows=3), entry(1, rows=2)], protocol=data.draw(st.integers(0, 5)))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read_pickle(path)
    except MistdataError as error:
        assert len(str(error).splitlines()) == 1


BAD = {
    "not finite": {"source": np.array([[1.0, np.nan], [0.0, 1.0]])},
    "too large for single precision": {"source": np.array([[1e300, 0.0], [0.0, 1.0]])},
    "one row": {"source": np.zeros((1, 4), np.float32)},
    "a vector": {"source": np.zeros(4, np.float32)},
    "an infinite label": {"target": np.array([np.inf])},
    "a negative label": {"target": np.array([-0.1])},
    "two labels": {"target": np.array([0.1, 0.2])},
    "all columns X": {"dimension": 4},
    "an odd number of columns": {"dimension": None, "source": np.zeros((5, 3), np.float32)},
    "a word": {"source": "abc"},
}


@pytest.mark.parametrize("name", BAD)
def test_a_dataset_that_cannot_be_used_is_named_or_left_out(name, tmp_path):
    path = written(tmp_path / "meta_dataset.pkl", [entry(1), entry(2, **BAD[name]), entry(3)])
    with pytest.raises(MistdataError, match="dataset 1: "):
        import_pickles([("train", path)], tmp_path / "out", name="mist")
    assert not (tmp_path / "out").exists()
    manifest, left_out = import_pickles(
        [("train", path)], tmp_path / "out", name="mist", skip_bad=True
    )
    assert (manifest.datasets, left_out) == ({"train": 2}, 1)
    assert mistdata.open(tmp_path / "out").column("mi").tolist() == [0.25, 0.75]


def test_an_interrupted_import_resumes(tmp_path, monkeypatch):
    path = written(tmp_path / "meta_dataset.pkl", [entry(i, rows=20_000, dim=4) for i in range(6)])
    import_pickles([("train", path)], tmp_path / "whole", name="mist", shard_mib=1)

    def stop(datasets):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_pickles(
            [("train", path)], tmp_path / "out", name="mist", shard_mib=1, on_written=stop
        )
    started = []
    import_pickles(
        [("train", path)], tmp_path / "out", name="mist", shard_mib=1,
        on_start=lambda done, total: started.append((done, total)),
    )  # fmt: skip
    assert started == [(1, 6)]
    assert mistdata.open(tmp_path / "out").digest == mistdata.open(tmp_path / "whole").digest
    written(path, [entry(9)])
    with pytest.raises(OtherPlan):
        import_pickles([("train", path)], tmp_path / "out", name="mist", shard_mib=1)


def test_an_imported_store_is_used_like_any_other(tmp_path):
    path = written(tmp_path / "meta_dataset.pkl", entries(30))
    run = CliRunner().invoke
    store, test = str(tmp_path / "out"), f"test={path}"
    done = run(cli, ["import", str(path), test, store, "--name", "mist", "--json"])
    assert done.exit_code == 0, done.output
    for command in (
        ["verify", store], ["inspect", store], ["report", store, str(tmp_path / "report.html")],
        ["export", store, str(tmp_path / "npz"), "--to", "npz"],
        ["select", store, str(tmp_path / "some"), "--where", "n > 50", "--name", "some"],
        ["benchmark", "gaussian-copula", store, str(tmp_path / "r.parquet"), "--in-process"],
    ):  # fmt: skip
        done = run(cli, command)
        assert done.exit_code == 0, (command, done.output, done.exception)
    assert run(cli, ["import", f"logs={path}", store, "--name", "mist"]).exit_code != 0
    assert run(cli, ["import", str(path), store + "2", "--name", "No Name"]).exit_code != 0


def test_what_is_damaged_must_be_imported_again(tmp_path):
    path = written(tmp_path / "meta_dataset.pkl", entries())
    store = tmp_path / "out"
    import_pickles([("train", path)], store, name="mist")
    with pytest.raises(RecipeError, match="selected, merged or imported has no recipe"):
        audit(store)
    flip(store / "train/values/c/0", 100)
    assert not verify(store).ok
    with pytest.raises(RecipeError, match="imported has no recipe"):
        repair(store, InProcess())


def test_protocols_write_what_the_test_says():
    """The reader meets BINBYTES, protocol 5 buffers and text of protocol 0."""
    names = {op.name for protocol in range(6)
             for op, _, _ in pickletools.genops(pickle.dumps(entries(2), protocol))}  # fmt: skip
    assert {"GLOBAL", "STACK_GLOBAL", "BINBYTES", "REDUCE", "BUILD"} <= names
