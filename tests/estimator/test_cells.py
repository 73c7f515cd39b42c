"""Cells of every make become float64: gaps are gaps, digits stay, and the rest is refused."""

import datetime
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from mistdata.estimator.columns import read_columns

MASK = [False, True, False, False]
EAST = datetime.timezone(datetime.timedelta(hours=5))


def values(data, kind="auto"):
    (column,) = read_columns(data, "x", kind)
    return column.values


def masked(held):
    return np.ma.masked_array(held, MASK)


@pytest.mark.parametrize(
    "held",
    [
        [1.0, 9.0, 3.0, 2.0],
        np.array([1, 9, 3, 2], dtype=np.float32),
        [1, 9, 3, 2],
        np.array([1, 9, 3, 2], dtype=np.uint8),
        np.array([0, 9, 5, 3], dtype="datetime64[ns]"),
        np.array([0, 9, 5, 3], dtype="timedelta64[D]"),
        ["a", "d", "c", "b"],
        np.array(["a", "d", "c", "b"], dtype=object),
    ],
)
def test_masked_cells_are_missing(held):
    for data in (masked(held), {"a": masked(held)}, masked(held)[:, None]):
        found = values(data)
        assert np.isnan(found).tolist() == MASK
        assert np.argsort(found).tolist() == [0, 3, 2, 1]


def test_a_column_without_rows_is_read():
    for data in (np.array([], dtype=object), [], pd.Series([], dtype=object)):
        assert values(data).shape == (0,)


def test_a_mask_is_kept_where_a_list_holds_it():
    assert np.isnan(values([1.0, np.ma.masked, 3.0, 2.0])).tolist() == MASK
    columns = read_columns([masked([1, 2, 3, 4]), masked([5, 6, 7, 8])], "x")
    assert [np.isnan(column.values).all() for column in columns] == MASK
    assert values(np.ma.masked_array([1, 2])).tolist() == [0, 1]


@pytest.mark.parametrize(
    "data",
    [
        [1.5, pd.NA, 2.0],
        ["a", pd.NA, "b"],
        {"a": [1, pd.NA, 2]},
        np.array([1, pd.NA, 2], dtype=object),
        pd.array([1, None, 2], dtype="Int64"),
        [[1], [pd.NA], [2]],
        [datetime.date(2020, 1, 1), pd.NA, datetime.date(2020, 1, 2)],
    ],
)
def test_the_na_of_pandas_is_missing_everywhere(data):
    assert np.isnan(values(data)).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "data",
    [
        pd.Series([2**60 + 1, 2**60, 2**60 + 2], dtype="Int64"),
        pd.Series([2**60 + 1, 2**60, 2**60 + 2, None], dtype="Int64"),
        pd.Series([2**63 + 1, 2**63, 2**63 + 2], dtype="UInt64"),
        [2**60 + 1, 2**60, 2**60 + 2, None],
        [2**60 + 1, 2**60, 2**60 + 2, float("nan")],
        [2**70 + 1, 2**70, 2**70 + 2],
        [0, -1, 1],
        np.ma.masked_array([2**60 + 1, 2**60, 2**60 + 2, 5], [0, 0, 0, 1]),
        [pd.Timestamp(10**18 + each) for each in (1, 0, 2)],
        [pd.Timedelta(10**17 + each) for each in (1, 0, 2)],
    ],
)
def test_whole_numbers_and_times_keep_all_their_digits(data):
    assert values(data)[:3].tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    "data",
    [
        [datetime.timedelta(seconds=each) for each in (3, 1, 2)],
        [datetime.timedelta(seconds=3), None, datetime.timedelta(seconds=2)],
        [np.timedelta64(3, "s"), np.timedelta64(1, "ms"), np.timedelta64(2, "s"), None],
        [np.datetime64("2023"), np.datetime64("2021-01-01"), np.datetime64("2022"), None],
        pd.Series([pd.Timedelta(each, "s") for each in (3, 1, 2)], dtype=object),
    ],
)
def test_lengths_of_time_and_times_of_numpy_are_read_from_lists(data):
    found = values(data)
    assert found[0] > found[2]
    assert np.isnan(found[1]) or found[1] < found[2]


def test_times_with_a_zone_are_instants_and_warn_of_nothing():
    noon = datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.UTC)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = values([noon, noon.replace(tzinfo=EAST), None, pd.Timestamp(noon)])
    assert found[0] - found[1] == found[3] - found[1] > 0
    assert np.isnan(found[2])
    with pytest.raises(ValueError, match="times with a time zone or without, found both"):
        values([noon, noon.replace(tzinfo=None)])


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (3.0, "auto", "x must be an array, a list or a pandas object that has rows, got float"),
        (None, "auto", "x must .* that has rows, got NoneType"),
        ("data.csv", "auto", "x must .* that has rows, got str"),
        ({1, 2}, "auto", "x must .* that has rows, got set"),
        ((each for each in (1, 2)), "auto", "x must .* that has rows, got generator"),
        ({"a": None}, "auto", "x column 'a' must .* that has rows, got NoneType"),
        (
            {"a": pd.DataFrame({"b": [1]})},
            "auto",
            r"x column 'a' must be one column, got \(1, 1\)",
        ),
        (pd.Series([np.ones(2), None]), "auto", "x must hold one value in every cell, found arr"),
        (sparse.eye(3), "auto", r"x must be dense, got dia_matrix: take its \.toarray\(\)"),
        (torch.eye(3).to_sparse(), "auto", r"x must be dense, got a sparse tensor: .*to_dense"),
        ([10**400, 1], "auto", "x must hold numbers that float64 can, found larger"),
        ([10**400, 1.5], "auto", "x must hold numbers that float64 can, found larger"),
        ([10**400, 1, None], "auto", "x must hold numbers that float64 can, found larger"),
        ([datetime.timedelta(1), 2], "auto", "x must hold numbers or times, found both"),
        (
            [datetime.date(2020, 1, 1), 1, 2],
            "category",
            "x must hold categories of one kind, found date and int",
        ),
        (
            pd.Series(pd.period_range("2020", periods=3)),
            "auto",
            r"must hold numbers or text, found Period; \.to_timestamp\(\) makes times",
        ),
        (
            list(pd.interval_range(0, 3)),
            "auto",
            r"must hold numbers or text, found Interval; take their \.mid",
        ),
    ],
)
def test_what_holds_no_column_says_what_it_is(data, kind, message):
    with pytest.raises(ValueError, match=message):
        read_columns(data, "x", kind)
