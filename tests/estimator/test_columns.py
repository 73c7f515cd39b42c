"""What users hold becomes columns of numbers, or one error that names the column."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from mistdata.estimator.columns import MAX_CATEGORIES, encode, read_columns
from mistdata.estimator.sample import read_sides

NUMBERS = [3.0, 1.0, 2.0, 1.0]
WORDS = ["b", "a", "c", "a"]


def values(data, kind="auto"):
    (column,) = read_columns(data, "x", kind)
    return column.values.tolist()


@pytest.mark.parametrize(
    "data",
    [
        NUMBERS,
        tuple(NUMBERS),
        np.array(NUMBERS),
        np.array(NUMBERS, dtype=np.float32)[:, None],
        np.array(NUMBERS, dtype=object),
        np.array([decimal.Decimal(3), 1, 2.0, np.float32(1)], dtype=object),
        torch.tensor(NUMBERS, requires_grad=True),
        torch.tensor(NUMBERS, dtype=torch.bfloat16),
        pd.Series(NUMBERS),
        pd.Series(NUMBERS, dtype="Float64"),
        pd.DataFrame({"a": NUMBERS}),
        pl.Series(NUMBERS),
        pl.DataFrame({"a": NUMBERS}),
        pa.array(NUMBERS),
        pa.chunked_array([NUMBERS[:1], NUMBERS[1:]]),
        pa.table({"a": NUMBERS}),
        {"a": pl.Series(NUMBERS)},
        {"a": NUMBERS},
    ],
)
def test_numbers_are_read_from_every_container(data):
    assert values(data) == NUMBERS


@pytest.mark.parametrize(
    "data",
    [
        np.array([2, 0, 1, 0], dtype=np.int8),
        torch.tensor([2, 0, 1, 0]),
        pd.Series([5, 3, 4, 3], dtype="Int64"),
        pd.Categorical(WORDS, ["a", "c", "b"], ordered=True),
        np.array(["2020-01-03", "2020-01-01", "2020-01-02", "2020-01-01"], dtype="datetime64[D]"),
        pd.to_datetime(["2020-01-03", "2020-01-01", "2020-01-02", "2020-01-01"], utc=True),
        [datetime.date(2020, 1, day) for day in (3, 1, 2, 1)],
        pd.to_timedelta([3, 1, 2, 1], unit="s"),
        np.array([2**63 + 7, 2**63 + 5, 2**63 + 6, 2**63 + 5], dtype=np.uint64),
        np.array([-(2**62) + 2, -(2**62), -(2**62) + 1, -(2**62)]),
        pl.Series([2**62 + 2, 2**62, 2**62 + 1, 2**62]),
    ],
)
def test_what_has_an_order_keeps_it_to_the_last_digit(data):
    kept = isinstance(data, np.ndarray | torch.Tensor | list | pl.Series)
    column = data if kept else pd.Series(data)
    assert np.unique(values(column), return_inverse=True)[1].tolist() == [2, 0, 1, 0]


def test_whole_numbers_beside_a_missing_one_keep_their_digits():
    numbers = [2**62 + 1, None, 2**62]
    nullable = pd.Series(numbers, dtype="Int64")
    for data in (pl.Series(numbers), pl.DataFrame({"a": numbers}), nullable):
        np.testing.assert_array_equal(values(data), [1, np.nan, 0])


@pytest.mark.parametrize("made", [pl.DataFrame, lambda columns: pl.DataFrame(columns).to_arrow()])
def test_a_frame_of_many_types_is_read_column_by_column(made):
    days = [datetime.date(2020, 1, day) for day in (3, 1, 2)]
    frame = made({"number": [1.5, None, 2], "word": ["b", None, "a"], "day": days})
    found = read_columns(frame, "x")
    assert [column.name for column in found] == ["number", "word", "day"]
    assert [column.unordered for column in found] == [False, True, False]
    np.testing.assert_array_equal(found[2].values, [2, 0, 1])


def test_a_column_of_lists_in_a_polars_frame_is_named():
    with pytest.raises(ValueError, match="x column 'b' must hold numbers or text, found list"):
        read_columns(pl.DataFrame({"a": [1, 2], "b": [[1], [2]]}), "x")


@pytest.mark.parametrize(("name", "called"), [("a", "a"), ("", "x")])
def test_a_polars_series_is_called_by_its_name(name, called):
    assert read_columns(pl.Series(name, NUMBERS), "x")[0].name == called


def test_a_category_outside_a_series_keeps_its_order():
    bare = pd.Categorical(["low", "high", None, "mid"], ["low", "mid", "high"], ordered=True)
    for data in (bare, {"a": bare}, pd.CategoricalIndex(bare), pd.Series(bare)):
        np.testing.assert_array_equal(values(data), [0, 2, np.nan, 1])
        assert not read_columns(data, "x")[0].unordered


def test_truth_values_are_numbers():
    assert values(np.array([True, False])) == [1, 0]
    assert values(pd.Series([True, None, False], dtype="boolean"))[::2] == [1, 0]


@pytest.mark.parametrize(
    "data",
    [
        [1.0, None, 2.0],
        np.array([1.0, np.nan, 2.0]),
        np.array([1, None, 2], dtype=object),
        pd.Series([1, None, 2], dtype="Int64"),
        pd.Series([1, pd.NA, 2], dtype=object),
        np.array(["2020-01-01", "NaT", "2020-01-02"], dtype="datetime64[s]"),
        pd.Series(["2020-01-01", None, "2020-01-02"], dtype="datetime64[ns]"),
        [datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 2)],
        pl.Series([1, None, 2]),
        pl.Series([True, None, False]),
        pl.Series(["a", None, "b"], dtype=pl.Categorical),
        pa.chunked_array([["a", None], ["b"]]),
        ["a", None, "b"],
        pd.Series(["a", None, "b"]),
        pd.Series(["a", None, "b"], dtype="category"),
        pd.Series(["a", np.nan, "b"], dtype=object),
    ],
)
def test_missing_values_are_nan(data):
    assert np.isnan(values(data)).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "data",
    [
        WORDS,
        np.array(WORDS),
        np.array(WORDS, dtype=object),
        pd.Series(WORDS),
        pd.Series(WORDS, dtype="string"),
        pd.Series(WORDS, dtype="category"),
        pl.Series(WORDS),
        pl.DataFrame({"a": WORDS}, schema={"a": pl.Categorical}),
        pa.table({"a": pa.array(WORDS).dictionary_encode()}),
    ],
)
def test_words_are_categories_without_an_order(data):
    (column,) = read_columns(data, "x")
    assert column.unordered
    indicators = encode(column, None)
    # 'a' is the most frequent and needs no column of its own
    assert indicators.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]


def test_two_categories_are_one_column_and_one_is_refused():
    (column,) = read_columns(["m", "f", "f", "f"], "x")
    assert encode(column, None).tolist() == [[1], [0], [0], [0]]
    with pytest.raises(ValueError, match="x must vary, found one value in all 3 rows"):
        encode(column, np.array([False, True, True, True]))


def test_categories_do_not_depend_on_their_names():
    codes = np.random.default_rng(0).integers(5, size=60)
    one, other = (
        encode(read_columns(data, "x", "category")[0], None) for data in (codes, (3 * codes) % 5)
    )
    assert sorted(one.T.tolist()) == sorted(other.T.tolist())
    assert one.shape == (60, 4)


def test_numbers_can_be_declared_categories():
    (column,) = read_columns([4, 2, 9, 2], "x", "category")
    assert column.unordered
    assert column.values.tolist() == [1, 0, 2, 0]


def test_columns_carry_the_names_of_their_owner():
    frame = pd.DataFrame({"age": NUMBERS, 7: NUMBERS})
    assert [c.label for c in read_columns(frame, "x")] == ["x column 'age'", "x column 7"]
    assert [c.name for c in read_columns(frame, "x")] == ["age", "7"]
    assert [c.label for c in read_columns(frame["age"], "y")] == ["y 'age'"]
    assert [c.label for c in read_columns(np.ones((3, 2)), "y")] == ["y column 0", "y column 1"]
    assert [c.label for c in read_columns(np.ones(3), "y")] == ["y"]


def test_columns_of_one_name_are_read_apart():
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["a", "a"])
    assert [column.values.tolist() for column in read_columns(frame, "x")] == [[1, 3], [2, 4]]


MANY = [f"w{i}" for i in range(MAX_CATEGORIES + 1)]


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ({"a": [1, np.inf, 2]}, "auto", "x column 'a' must be finite, found inf in 1 of 3 rows, "),
        ({"a": [1, [2], 3]}, "auto", "x column 'a' must have rows of equal length"),
        ({"a": [1, "b", 3]}, "auto", "x column 'a' must hold numbers or text, found int and str"),
        ({"a": [{}, {}]}, "auto", "x column 'a' must hold numbers or text, found dict"),
        (
            {"a": [datetime.date.min, 1]},
            "auto",
            "x column 'a' must hold numbers or times, found b",
        ),
        ({"a": np.ones(3, dtype=complex)}, "auto", "x column 'a' must hold .*, found complex128"),
        ({"a": MANY}, "auto", r"at most 32 categories, found 33, as 'w0', 'w1', 'w10'; merge the"),
        ({"a": [*map(str, range(40)), "n/a"]}, "auto", "; most are numbers, but 'n/a' is none"),
        (
            {"a": [*map(str, range(40))]},
            "auto",
            "40, as .*; they are numbers stored as text: ",
        ),
        (["3", "7"], "numeric", "as '3', '7'; they are numbers stored as text: convert them"),
        (["1,5", "2,1"], "auto", r"decimal comma, as '1,5': .* pandas\.read_csv\(.*decimal=','\)"),
        (["1,5", "2", "3", "n.a."], "auto", "with a decimal comma, as '1,5'"),
        (["1,234", "987", "12,500"], "auto", "between thousands, or .* thousands=',' or decimal="),
        (
            ["1,234,567", "2,000,000.5", "n.a."],
            "auto",
            "commas between thousands.* as '1,234,567'",
        ),
        (["1,234", "0,5"], "auto", r"with a decimal comma, .*\(\.\.\., decimal=','\)"),
        (["1.234,5", "-2,1"], "numeric", "with a decimal comma, as '-2,1'"),
        ({"a": WORDS}, "numeric", "x column 'a' must hold numbers, found text .*, as 'a', 'b'"),
        ({"a": NUMBERS, "b": [1, 2]}, "auto", "x column 'b' must have 4 rows like x column 'a'"),
        ({"a": [{}], "b": MANY, "c": [1j]}, "auto", "found dict; nor can be read: 'b', 'c'"),
        ({}, "auto", "x must have at least one column"),
        (np.ones((2, 2, 2)), "auto", r"x must be \(n,\) or \(n, columns\), got \(2, 2, 2\)"),
        ([[1, 2], [3]], "auto", "x must have rows of equal length"),
        (NUMBERS, "ordinal", "x: kind must be one of auto, numeric, category, got 'ordinal'"),
    ],
)
def test_what_cannot_be_read_is_one_error_that_names_the_column(data, kind, message):
    with pytest.raises(ValueError, match=message):
        read_columns(data, "x", kind)


def test_a_stray_word_among_numbers_is_told():
    words = ["1", "2", "3", "n.a."] * 5
    (column,) = read_columns(words, "x")
    assert column.note == "x was taken as 4 categories; most are numbers, but 'n.a.' is none"
    for silent in (read_columns(words, "x", "category"), read_columns(["a", "b"], "x")):
        assert silent[0].note == ""


def test_numbers_stored_as_text_are_told():
    (column,) = read_columns(["3", "7", "5"] * 5, "x")
    said = "x was taken as 3 categories; they are numbers stored as text: convert them"
    assert column.note == said
    for silent in (
        read_columns(["0", "1"], "x"),
        read_columns(["3", "7", "5"], "x", "category"),
        read_columns(["1,5", "2,1"], "x", "category"),
        read_columns(["a,5", "b,1"], "x"),
        read_columns(np.array([b"1,5", b"2,1"]), "x"),
        read_columns(pd.Series(["3", "7", "5"], dtype="category"), "x"),
    ):
        assert silent[0].note == ""
        assert silent[0].unordered


def test_series_of_other_indices_are_not_paired_by_position():
    one, other = pd.Series(NUMBERS), pd.Series(NUMBERS)[::-1]
    message = "x column 'a' and x column 'b' must have the same index"
    with pytest.raises(ValueError, match=message):
        read_columns({"a": one, "b": other}, "x")
    for x, y in (({"a": one}, other), ({"a": one, "b": NUMBERS}, {"c": other})):
        with pytest.raises(ValueError, match=r"x column 'a' and y.* must have the same index"):
            read_sides(x, y)
    assert len(read_columns({"a": one, "b": one + 1, "c": NUMBERS}, "x")) == 3
    read_sides({"a": one}, NUMBERS)
