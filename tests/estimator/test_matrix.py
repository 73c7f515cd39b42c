"""Every pair of columns, or everything against a target, with what has no answer left blank."""

from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mistdata import matrix
from mistdata.estimator import Estimator
from mistdata.estimator.heatmap import similar_first
from mistdata.estimator.matrix import QUERIES
from mistdata.estimator.sample import join, read_sides
from tests.tiny import tiny_estimator

ESTIMATOR = tiny_estimator()
NAMES = ("a", "b", "c", "d")


def table(n=60):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 4))
    values[:, 2] += values[:, 0]
    return pd.DataFrame(values, columns=list(NAMES))


def ask(frame, **options):
    return matrix(frame, model=ESTIMATOR, **options)


def test_every_pair_gets_what_it_would_get_alone():
    frame = table()
    found = ask(frame)
    assert [(pair.x, pair.y) for pair in found.pairs] == list(combinations(NAMES, 2))
    assert len(frame) < QUERIES  # then the row stream compares all rows here, too
    for pair in found.pairs:
        alone = ESTIMATOR(frame[pair.x], frame[pair.y])
        np.testing.assert_allclose(pair.estimate.quantiles, alone.quantiles, rtol=1e-4, atol=1e-6)


def test_a_polars_frame_is_read_as_the_pandas_frame_is():
    frame = table().assign(word=["b", "a", None] * 20)
    found = ask(pl.from_pandas(frame), target="word")
    assert found.records() == ask(frame, target="word").records()


def test_beyond_128_rows_a_matrix_differs_from_estimates_by_what_the_docs_say():
    """docs/estimating.md; with as many queries as `estimate` takes, they agree at any size."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal(1000)
    share = np.array([0.2, 0.4, 0.6, 0.8, 0.9, 0.97])
    noise = rng.standard_normal((1000, 10))
    bent = [z**2, np.sin(3 * z), np.exp(z), z**3]
    frame = np.column_stack(
        [
            share * z[:, None] + np.sqrt(1 - share**2) * noise[:, :6],
            np.stack(bent, 1) + noise[:, 6:] / 2,
        ]
    )
    few, all_rows = matrix(frame), matrix(frame, queries=1024)
    upper = np.triu_indices(10, 1)
    apart = np.abs(few.array() - all_rows.array())[upper]
    assert 0 < np.median(apart) <= 0.0035
    assert 0.05 < apart.max() <= 0.12
    widest = (all_rows.array("upper") - all_rows.array("lower"))[upper][apart.argmax()]
    assert widest == pytest.approx(0.42, abs=0.05)
    pair = join(*read_sides(frame[:, 0], frame[:, 9]))
    (alone,) = Estimator.load("small").answers([pair], level=0.9, units="nats")
    assert all_rows.array()[0, 9] == pytest.approx(alone.median, abs=1e-6)


def test_the_array_is_symmetric_and_blank_on_the_diagonal():
    found = ask(table())
    for what in ("median", "mean", "lower", "upper", "n", "dropped"):
        values = found.array(what)
        np.testing.assert_array_equal(values, values.T)
        assert np.isnan(values.diagonal()).all()
        assert np.isfinite(values).sum() == 12
    pair = found.pairs[4]
    assert (pair.x, pair.y) == ("b", "d")
    assert found.array()[1, 3] == pair.estimate.median


def test_arrays_and_mappings_are_frames_too():
    frame = table()
    for other in (frame.to_numpy(), {name: frame[name].to_numpy() for name in NAMES}):
        np.testing.assert_array_equal(ask(other).array(), ask(frame).array())
    assert ask(frame.to_numpy()).names == ("0", "1", "2", "3")


def test_pairs_use_the_rows_that_are_complete_in_them():
    frame = table()
    frame.loc[:4, "a"] = np.nan
    frame.loc[3:9, "b"] = np.nan
    found = ask(frame)
    assert found.array("n")[0].tolist()[1:] == [50, 55, 55]
    assert found.array("dropped")[1].tolist()[2:] == [7, 7]
    alone = ESTIMATOR(frame["a"], frame["b"])
    assert found.pairs[0].estimate.median == pytest.approx(alone.median, rel=1e-4, abs=1e-6)
    assert found.warnings == (
        "10 of 60 rows have a missing value and were left out (a and b)",
        "5 of 60 rows have a missing value and were left out (a and c, and 1 more pairs)",
        "7 of 60 rows have a missing value and were left out (b and c, and 1 more pairs)",
    )


def test_a_pair_without_an_answer_is_blank_and_says_why():
    frame = table().assign(d=1.0)
    frame.loc[5:, "b"] = np.nan
    found = ask(frame)
    blank = {(p.x, p.y): p.reason for p in found.pairs if p.estimate is None}
    assert set(blank) == {("a", "b"), ("b", "c"), ("b", "d"), ("a", "d"), ("c", "d")}
    assert blank["a", "b"] == "there must be at least 8 rows without a missing value, got 5"
    assert blank["a", "d"] == "frame column 'd' must vary, found one value in all 60 rows"
    assert np.isnan(found.array()[0, 1])
    assert found.ranked()[0].estimate is not None
    assert found.records()[-1]["median"] is None
    assert any("must vary" in sentence for sentence in found.warnings)


def test_a_target_is_held_against_every_other_column():
    found = ask(table(), target="c")
    assert found.names == ("a", "b", "d")
    assert [(pair.x, pair.y) for pair in found.pairs] == [("a", "c"), ("b", "c"), ("d", "c")]
    assert found.array().shape == (3,)
    np.testing.assert_allclose(found.array(), ask(table()).array()[2, [0, 1, 3]], rtol=1e-4)


def test_groups_are_variables_of_several_columns():
    frame = table()
    found = ask(frame, groups={"one": ["a", "b"], "other": ["d"]}, target="c")
    assert found.names == ("one", "other")
    alone = ESTIMATOR(frame[["a", "b"]], frame["c"])
    assert found.array()[0] == pytest.approx(alone.median, rel=1e-4, abs=1e-6)
    found = ask(frame, groups={"one": ["a", "b"], "other": ["c", "d"]})
    assert [(pair.x, pair.y) for pair in found.pairs] == [("one", "other")]
    found = ask(frame, groups={"one": ["a", "b"], "two": ["b", "d"], "out": ["c"]}, target="out")
    assert found.names == ("one", "two")


def test_categories_stand_beside_numbers():
    frame = table().assign(site=np.tile(["oslo", "rome", "bern"], 20))
    found = ask(frame, target="site")
    alone = ESTIMATOR(frame["a"], frame["site"])
    assert found.array()[0] == pytest.approx(alone.median, rel=1e-4, abs=1e-6)


def test_a_frame_of_answers_has_one_row_for_every_pair():
    found = ask(table(), units="bits", level=0.5).to_pandas()
    assert len(found) == 6
    assert (found["lower"] <= found["median"]).all()
    assert (found["median"] <= found["upper"]).all()
    assert found["median"].is_monotonic_decreasing
    nats = ask(table()).to_pandas()
    np.testing.assert_allclose(found["median"] * np.log(2), nats["median"])


def test_progress_counts_the_pairs_that_have_an_answer():
    frame = table().assign(d=1.0)
    told, done = [], []
    ask(frame, on_start=told.append, on_done=done.append)
    assert told == [3]
    assert sum(done) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "dd"}, "target: no column 'dd'; did you mean 'd'"),
        ({"groups": {"g": ["a", "bb"]}}, "group 'g': no column 'bb'; did you mean 'b'"),
        ({"groups": {"g": "ab"}}, "group 'g' must list its columns, got 'ab'"),
        ({"groups": {"g": [], "h": ["a"]}}, r"group 'g' must list its columns, got \[\]"),
        ({"groups": {"g": ["a", "b"], "h": ["b"]}}, "found 'b' in 'g' and in 'h'"),
        ({"groups": {"g": ["a", "b"]}, "target": "b"}, "target 'b' must not be part of 'g'"),
        ({"groups": {"g": ["a"]}}, "at least two variables, got 1"),
        (
            {"groups": {"g": ["a", "a"], "h": ["b"]}},
            "group 'g' must name a column once",
        ),
        ({"groups": {"g": 3, "h": ["b"]}}, "group 'g' must list its columns, got 3"),
        ({"target": ["a"]}, r"target must name one column or group, got \['a'\]"),
        ({"target": 2}, "target: no column '2'"),
        ({"categories": "a"}, "categories must list columns, got 'a'"),
        ({"queries": 0}, "queries must be a whole number of at least 1, got 0"),
        ({"queries": 1.5}, r"queries must be .*, got 1\.5"),
        ({"level": "0.9"}, "level must lie in .*; got '0.9'"),
        ({"level": 2}, "level must lie in"),
        ({"units": "hartleys"}, "units must be one of"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ask(table(), **options)


def test_names_that_are_no_text_are_taken_as_the_frame_has_them():
    frame = table().set_axis(range(4), axis=1)
    expected = ask(table(), target="c", groups={"one": ["a", "b"], "other": ["d"]}).array()
    for target in (2, np.int64(2), "2"):
        found = ask(frame, target=target, groups={"one": [0, 1], "other": ["3"]})
        np.testing.assert_array_equal(found.array(), expected)
        assert found.target == "2"
    codes = pd.DataFrame({0: frame[0], 1: np.tile([0, 1, 2], 20), 2: frame[2]})
    declared, plain = ask(codes, categories=[1]).array(), ask(codes).array()
    assert declared[0, 1] != plain[0, 1]
    assert declared[0, 2] == pytest.approx(plain[0, 2])


def test_an_array_of_something_else_is_refused():
    with pytest.raises(ValueError, match=r"what must be one of median, mean, .*, got 'med'"):
        ask(table()).array("med")


def test_frames_that_cannot_be_read_are_refused():
    with pytest.raises(ValueError, match="found two called 'a'"):
        ask(table().set_axis(["a", "a", "b", "c"], axis=1))
    with pytest.raises(ValueError, match=r"column 'b' must be finite.*; nor can be read: 'c'"):
        ask(table().assign(b=np.inf, c=[{}] * 60)[["a", "b", "c"]])
    with pytest.raises(ValueError, match="'b' must be finite"):
        ask(table().assign(b=np.inf), target="b")


def test_a_column_that_cannot_be_read_is_blank_and_says_why():
    frame = table()
    found = ask(frame.assign(name=[f"n{i}" for i in range(60)]), groups={
        "one": ["a"], "two": ["b", "name"], "three": ["c"]})  # fmt: skip
    assert [pair.estimate is None for pair in found.pairs] == [True, False, True]
    assert "'name' must have at most 32 categories, found 60" in found.pairs[0].reason
    assert found.array()[0, 2] == ask(frame).array()[0, 2]


def test_numbers_may_be_declared_categories():
    codes = np.random.default_rng(1).integers(0, 3, 60)
    words = np.array(["oslo", "rome", "bern"])[codes]
    declared = ask(table().assign(site=codes), target="site", categories=["site"])
    np.testing.assert_allclose(
        declared.array(), ask(table().assign(site=words), target="site").array(), rtol=1e-4
    )
    assert not np.allclose(
        declared.array(), ask(table().assign(site=codes), target="site").array()
    )
    with pytest.raises(ValueError, match="categories: no column 'sites'; did you mean 'site'"):
        ask(table().assign(site=codes), categories=["sites"])


def test_pictures_are_drawn(tmp_path):
    frame = table().assign(e=1.0, **{"a name that is far too long for a label": range(60)})
    for name, options in (("square", {}), ("target", {"target": "c"})):
        path = tmp_path / f"{name}.png"
        ask(frame, **options).heatmap(path)
        assert path.read_bytes().startswith(b"\x89PNG")
    names = {f"{i}": np.random.default_rng(i).normal(size=20) for i in range(20)}
    ask(names).heatmap(tmp_path / "many.png")


def test_a_picture_is_a_png(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.png, got .*a\.pdf"):
        ask(table()).heatmap(tmp_path / "a.pdf")


def test_variables_that_tell_much_of_each_other_stand_together():
    groups = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    values = np.where(groups[:, None] == groups, 1.0, 0.01)
    np.fill_diagonal(values, np.nan)
    assert (np.diff(groups[similar_first(values)]) != 0).sum() == 2
    values[0] = values[:, 0] = np.nan
    assert sorted(similar_first(values)) == list(range(9))
    assert similar_first(np.full((2, 2), np.nan)) == [0, 1]


def test_a_group_is_not_called_like_a_column_outside_it():
    frame = dict(zip("abc", np.random.default_rng(1).standard_normal((3, 50)), strict=True))
    with pytest.raises(ValueError, match="group 'a' has the name of a column"):
        matrix(frame, target="a", groups={"g": ["b"], "a": ["c"]})
    assert len(matrix(frame, target="a", groups={"b": ["b"], "g": ["c"]}).pairs) == 2


def test_columns_with_atoms_are_weighed_here_too():
    rng = np.random.default_rng(6)
    zero = rng.random(1000) < 0.5
    rain, flood = (np.where(zero, 0.0, rng.exponential(size=1000)) for _ in range(2))
    found = matrix({"rain": rain, "flood": flood, "other": rng.standard_normal(1000)})
    asked = {frozenset((pair.x, pair.y)): pair.estimate for pair in found.pairs}
    wet = asked[frozenset(("rain", "flood"))]
    assert wet.by == "both" and wet.median == pytest.approx(np.log(2), abs=0.1)
    assert asked[frozenset(("rain", "other"))].median < 0.03
