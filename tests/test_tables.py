"""Tables of users are read by column, and what is wrong with them is said in one line."""

import datetime
import decimal
import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mistdata.estimator.columns import read_columns
from mistdata.tables import TableError, listing, read_table, select, write_csv

TEXT = """id,age,sex,born,smokes,note
1,31.5,f,1990-01-02,true,
2,,m,1991-03-04,false,
3,44,NA,,true,
"""


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_columns_have_their_types_and_gaps(tmp_path):
    columns = read_table(write(tmp_path / "a.csv", TEXT))
    assert list(columns) == ["id", "age", "sex", "born", "smokes", "note"]
    assert columns["id"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(columns["age"], [31.5, np.nan, 44])
    assert columns["sex"].tolist() == ["f", "m", None]
    assert columns["born"].astype("datetime64[D]").tolist() == [
        datetime.date(1990, 1, 2),
        datetime.date(1991, 3, 4),
        None,
    ]
    assert columns["smokes"].tolist() == [1, 0, 1]
    assert np.isnan(columns["note"]).all()


def test_tabs_and_compression_follow_from_the_name(tmp_path):
    expected = read_table(write(tmp_path / "a.csv", TEXT))
    tabs = read_table(write(tmp_path / "a.tsv", TEXT.replace(",", "\t")))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    for found in (tabs, read_table(tmp_path / "a.csv.gz")):
        assert list(found) == list(expected)
        np.testing.assert_array_equal(found["age"], expected["age"])


def test_parquet_keeps_what_has_an_order(tmp_path):
    ordered = pa.DictionaryArray.from_arrays([1, 0, None], ["low", "high"], ordered=True)
    table = pa.table(
        {
            "ordered": ordered,
            "words": pa.array(["a", "b", None]).dictionary_encode(),
            "price": [decimal.Decimal("1.5"), None, decimal.Decimal("2.5")],
            "flag": [True, None, False],
            "big": [2**62, 2**62 + 1, 2**62 + 2],
            "when": pa.array([3, None, 1], pa.timestamp("ns")),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    columns = read_table(tmp_path / "a.parquet")
    np.testing.assert_array_equal(columns["ordered"], [1, 0, np.nan])
    assert columns["words"].tolist() == ["a", "b", None]
    np.testing.assert_array_equal(columns["price"], [1.5, np.nan, 2.5])
    np.testing.assert_array_equal(columns["flag"], [1, np.nan, 0])
    read = {column.name: column for column in read_columns(columns, "x")}
    assert read["big"].values.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(read["when"].values, [2, np.nan, 0])
    assert [name for name, column in read.items() if column.unordered] == ["words"]


def test_arrays_are_called_by_number(tmp_path):
    values = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "a.npy", values)
    columns = read_table(tmp_path / "a.npy")
    assert list(columns) == ["0", "1", "2"]
    np.testing.assert_array_equal(columns["1"], values[:, 1])
    np.save(tmp_path / "b.npy", np.array([(1, 2.0)], dtype=[("i", int), ("f", float)]))
    assert list(read_table(tmp_path / "b.npy")) == ["i", "f"]
    np.savez(tmp_path / "c.npz", x=values, t=values[:, 0])
    assert list(read_table(tmp_path / "c.npz")) == ["x:0", "x:1", "x:2", "t"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", ["x:0", "x:1", "x:2"]),
        ("x:1-2, t", ["x:1", "x:2", "t"]),
        ("0-1,3", ["0", "1", "3"]),
        ("a,b", ["a,b"]),
        ('t, "a,b",0', ["t", "a,b", "0"]),
        ("4-5", ["4-5"]),
    ],
)
def test_columns_are_meant_by_name_range_and_array(tmp_path, text, expected):
    names = ["x:0", "x:1", "x:2", "t", "0", "1", "2", "3", "a,b", "4-5"]
    assert select(names, text, path=tmp_path, option="--x") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aeg", "--x: f has no column 'aeg'; did you mean 'age'"),
        ("0-9", "--x: f has no column '0-9'"),
        ("zzz", "has no column 'zzz'; there are age, sex, 0"),
        ("age,age", "must be named once, found 'age' twice"),
        ("", "has no column ''"),
    ],
)
def test_columns_that_are_not_there_are_refused(text, message):
    with pytest.raises(TableError, match=message):
        select(["age", "sex", "0"], text, path="f", option="--x")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"", r"must end in \.csv, \.tsv, \.parquet, \.npy, \.npz, got '\.xlsx'"),
        ("data", b"", "got 'data'"),
        ("a.csv", b"", "not a table of text, Empty CSV file"),
        ("a.csv", b"a,b\n1,2,3\n", "not a table of text, CSV parse error"),
        (
            "a.csv",
            b"a;b\n1;2\n",
            "separated by ';'; write it with commas and decimal points",
        ),
        ("a.csv", b"a;b\n1,5;2,1\n", "the columns seem to be separated by ';'"),
        (
            "a.csv.gz",
            gzip.compress(b"a;b\n1,5;2,1\n", mtime=0),
            "the columns seem to be separated by ';'",
        ),
        ("a.csv", b"a\tb\n1,5\t2,1\n", r"separated by '\\t'; name it \.tsv"),
        (
            "a.csv",
            "größe,b\n1,2\n".encode("latin-1"),
            "not UTF-8, .* byte 0xf6 in line 1; save",
        ),
        ("a.csv", "a,b\n1,2\n2,é\n".encode("latin-1"), "not UTF-8, .* byte 0xe9 in line 3; save"),
        ("a.tsv", "a\tb\né\t2\n".encode("latin-1"), "not UTF-8, found the byte 0xe9 in line 2"),
        (
            "a.csv.gz",
            gzip.compress(b"a,b\n\xe9,2\n", mtime=0),
            "not UTF-8, found the byte 0xe9 in line 2",
        ),
        ("a.csv", b"a,b\n" + b"xx,2\n" * 400_000 + b"\xe9,2\n", "byte 0xe9 in line 400002"),
        (
            "a.csv",
            "a,b\n1,2\n".encode("utf-16"),
            "not UTF-8, .* byte 0xff in line 1; save it",
        ),
        ("a.csv", b"1.5,2\n3,4\n", "the first line must name the columns, found 1.5, 2"),
        ("a.csv", b"a,a\n3,4\n", "every column must have its own name, found 'a' twice"),
        ("a.parquet", b"a,b\n", "not a Parquet file"),
        ("a.npy", b"a,b\n", "not an array that NumPy wrote, or one of Python objects"),
        ("a.npz", b"a,b\n", "not an array that NumPy wrote"),
        ("a.npz", b"PK\x03\x04", "not an array that NumPy wrote"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message) as refusal:
        read_table(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TableError, match="there is no such file"):
        read_table(tmp_path / "a.csv")


def test_arrays_of_more_axes_and_pickles_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 2)))
    np.save(tmp_path / "b.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "c.npz", x=np.array([{}], dtype=object))
    with pytest.raises(TableError, match=r"arrays must be .*, found \(2, 2, 2\)"):
        read_table(tmp_path / "a.npy")
    for name in ("b.npy", "c.npz"):
        with pytest.raises(TableError, match="not an array that NumPy wrote"):
            read_table(tmp_path / name)


def test_columns_counted_from_zero_are_names(tmp_path):
    assert list(read_table(write(tmp_path / "a.csv", "0,1\n3,4\n"))) == ["0", "1"]


def test_long_lists_are_cut():
    assert listing(["a", "b"]) == "a, b"
    assert listing([str(i) for i in range(20)]).endswith("10, 11, and 8 more")


def test_records_are_written_as_csv(tmp_path):
    write_csv(tmp_path / "a.csv", [{"x": "a,b", "median": 0.5}, {"x": "c", "median": None}])
    assert (tmp_path / "a.csv").read_text() == 'x,median\n"a,b",0.5\nc,\n'
