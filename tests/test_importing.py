"""Published pickles become stores, and nothing in them is ever run."""

import codecs
import io
import os
import pickle
import pickletools
import resource
import struct
from contextlib import suppress

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import mistdata
from mistdata.audit import audit
from mistdata.cli import cli
from mistdata.errors import MistdataError, OtherPlan, RecipeError
from mistdata.importing import import_pickles, point_of
from mistdata.inspect import inspect
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
        "n_row": np.int64(rows),  # as its grids have it
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
    done = import_pickles(files, tmp_path / "out", name="mist", shard_mib=1)
    assert (done.manifest.datasets, *done[1:]) == ({"test": 5, "train": 15}, 0, 0, 0)
    assert verify(tmp_path / "out").ok
    ds = mistdata.open(tmp_path / "out", verify="crc")
    for made, held in zip(ds, [*entries(5), *entries(), *entries(3)], strict=True):
        np.testing.assert_array_equal(np.hstack([made.x, made.y]), held["source"])
        assert made.x.shape[1] == held["dimension"]
        assert made.mi == held["target"][0]
        assert f"{made.family}-{made.transform_x}" == held["distribution"] == made.component
    assert set(ds.column("mi_method")) == {"imported"}
    assert ds.catalog["mi_error"].null_count == len(ds)
    keys = ds.catalog["seed_key"].to_pylist()
    assert keys == [[-1, 0, k] for k in range(5)] + [[-1, 1, k] for k in range(15)]
    recipe = mistdata.store.ledger.read_record(tmp_path / "out").recipe
    assert 'by = "import"' in recipe and 'file = "meta_dataset_part2.pkl"' in recipe


def test_small_files_make_small_shards(tmp_path):
    small = written(tmp_path / "small.pkl", entries())
    large = written(tmp_path / "large.pkl", [entry(i, rows=20_000, dim=5) for i in range(3)])
    sizes = [import_pickles([("train", f)], tmp_path / f.stem, name="x") for f in (small, large)]
    shards = [
        [path.stat().st_size for path in (tmp_path / f.stem).rglob("c/*")] for f in (small, large)
    ]
    assert [max(each) >> 20 for each in shards] == [1, 3], sizes


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


def doubling():
    """A small pickle of 2⁶⁰ lists."""
    double = []
    for _ in range(60):
        double = [double, double]
    return double


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
    "more after the end": lambda mark: pickle.dumps([entry(0)]) + b"N.",
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
    assert len(read_pickle(written(tmp_path / "double.pkl", doubling()))) == 2


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
        held = read_pickle(path)
    except MistdataError as error:
        assert len(str(error).splitlines()) == 1
        return
    for each in held if isinstance(held, list) else []:
        with suppress(ValueError):
            point_of(each)


SOUND = entry(2)["source"]
BAD = {
    "not finite": ("not finite", {"source": np.where(SOUND[3, 1] == SOUND, np.nan, SOUND)}),
    "infinite": ("not finite", {"source": np.where(SOUND[3, 1] == SOUND, np.inf, SOUND)}),
    "too large for single precision": ("not finite", {"source": np.full((40, 4), 1e300)}),
    "seven rows": ("n ≥ 8 rows, got 7", {"source": SOUND[:7], "n_row": 7}),
    "a vector": ("an array .n, columns.", {"source": np.zeros(4, np.float32)}),
    "an infinite label": ("finite and not negative", {"target": np.array([np.inf])}),
    "a negative label": ("finite and not negative", {"target": np.array([-0.1])}),
    "two labels": ("target: expected one number", {"target": np.array([0.1, 0.2])}),
    "fewer columns than it says": ("dimension: 4 a side", {"dimension": 4}),
    "an odd number of columns": ("told apart", {"dimension": None, "source": SOUND[:, :3]}),
    "a word": ("an array .n, columns.", {"source": "abc"}),
    "fewer rows than it says": ("n_row: 41 of 40 rows", {"n_row": 41}),
    "rows that are no padding": ("40 x 4 values, where .* say 39 x 4", {"n_row": 39}),
    "columns that are no padding": ("40 x 4 values, where .* say 40 x 2", {"dimension": 1}),
    "a dimension without end": ("dimension: expected one", {"dimension": float("inf")}),
    "a fraction of a dimension": ("dimension: expected one", {"dimension": 1.5}),
    "no distribution": ("distribution: expected a word", {"distribution": None}),
    "a word that is none": ("distribution: expected a word", {"distribution": "a\ud800"}),
    "a distribution that is a list": ("distribution: expected", {"distribution": doubling()}),
    "a source that is a list": ("an array .n, columns.", {"source": doubling()}),
}


@pytest.mark.parametrize("name", BAD)
def test_a_dataset_that_cannot_be_used_is_named_or_left_out(name, tmp_path):
    reason, changed = BAD[name]
    path = written(tmp_path / "meta_dataset.pkl", [entry(1), entry(2) | changed, entry(3)])
    with pytest.raises(MistdataError, match=f"dataset 1: .*{reason}"):
        import_pickles([("train", path)], tmp_path / "out", name="mist")
    assert not (tmp_path / "out").exists()
    done = import_pickles([("train", path)], tmp_path / "out", name="mist", skip_bad=True)
    assert (done.manifest.datasets, done.left_out) == ({"train": 2}, 1)
    assert mistdata.open(tmp_path / "out").column("mi").tolist() == [0.25, 0.75]


def test_padding_is_taken_off_and_counted(tmp_path):
    plain, source = entry(1), entry(1)["source"]
    wide, tall, gaps = np.zeros((3, 50, 64), np.float32)
    wide[:40, :4] = source
    tall[:40, :4], tall[40:] = source, np.nan
    gaps[5:45, :4], gaps[:5, :4], gaps[45:] = source, np.nan, np.nan
    held = [plain, plain | {"source": wide}, plain | {"source": tall},
            plain | {"source": gaps, "n_row": 45}]  # fmt: skip
    path = written(tmp_path / "meta_dataset.pkl", held)
    done = import_pickles([("test", path)], tmp_path / "out", name="mist")
    assert done[1:] == (0, 30, 180)
    for one in mistdata.open(tmp_path / "out"):
        np.testing.assert_array_equal(np.hstack([one.x, one.y]), source)


def test_one_array_is_not_many_datasets_and_one_file_not_two(tmp_path):
    one = entry(1, rows=500)
    path = written(tmp_path / "shared.pkl", [one | {"id": i} for i in range(100)])
    with pytest.raises(MistdataError, match="datasets that share them"):
        import_pickles([("train", path)], tmp_path / "out", name="mist")
    path = written(tmp_path / "once.pkl", [one])
    with pytest.raises(MistdataError, match="a file was named twice"):
        import_pickles([("train", path), ("test", path)], tmp_path / "out", name="mist")
    assert not (tmp_path / "out").exists()


def test_a_size_that_a_file_claims_takes_no_memory(tmp_path):
    path = tmp_path / "claims.pkl"
    for code in (b"\x96", b"\x8e", b"\x95"):
        path.write_bytes(opcodes(code + struct.pack("<Q", 1 << 28)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(MistdataError):
            read_pickle(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 17  # KiB


def test_the_card_claims_neither_licence_nor_authorship(tmp_path):
    path = written(tmp_path / "meta_dataset.pkl", entries())
    import_pickles([("train", path)], tmp_path / "out", name="mist")
    for name in ("README.md", "croissant.json", "CITATION.cff"):
        text = (tmp_path / "out" / name).read_text()
        assert "CC-BY" not in text and "licenses/by" not in text, name
        assert "The mistdata authors" not in text and "the same recipe" not in text, name


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
    other = written(tmp_path / "other.pkl", entries(20))
    run = CliRunner().invoke
    store, test = str(tmp_path / "out"), f"test={other}"
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


@pytest.mark.parametrize(
    ("split", "name", "said"),
    [
        ("train", "No Name", "name: expected"),
        ("a/b", "mist", "the split 'a/b' should be"),
        ("", "mist", "the split '' should be"),
        ("flows", "mist", "the split 'flows' should be"),
        ("t" * 101, "mist", "should be a name of at most 100"),
    ],
)
def test_names_are_checked_before_any_file_is_read(tmp_path, split, name, said):
    path = tmp_path / "no.pkl"
    path.write_bytes(b"this is no pickle")
    with pytest.raises(MistdataError, match=said):
        import_pickles([(split, path)], tmp_path / "out", name=name)


def test_imported_datasets_share_no_stream(tmp_path):
    first = written(tmp_path / "first.pkl", entries(4))
    second = written(tmp_path / "second.pkl", [entry(99)])
    for path in (first, second):
        import_pickles([("train", path)], tmp_path / path.stem, name=path.stem)
    found = inspect(tmp_path / "first", tmp_path / "second")
    assert found["overlap"]["shared_streams"] == found["against"]["shared_streams"] == 0


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
