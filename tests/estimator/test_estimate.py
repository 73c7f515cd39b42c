"""One number, an honest interval, and a word where the sample is beyond the training."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import mistdata
from mistdata.estimator import Estimator
from mistdata.estimator.checkpoint import save_weights
from tests.tiny import tiny_estimator

ESTIMATOR = tiny_estimator()
LEVELS = ESTIMATOR.network.config.levels


def sample(n=100, dim_x=2, dim_y=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, dim_x)), rng.normal(size=(n, dim_y))


def estimate(x, y, **options):
    return mistdata.estimate(x, y, model=ESTIMATOR, **options)


def test_an_estimate_is_a_number_with_an_interval():
    found = estimate(*sample())
    assert 0 <= found.lower <= found.median <= found.upper
    assert found.quantiles[LEVELS.index(0.5)] == found.median
    assert found.interval == (found.quantiles[LEVELS.index(0.05)], found.within(0.9)[1])
    assert (found.n, found.dropped, found.warnings) == (100, 0, ())


def test_level_and_units_are_those_asked_for():
    x, y = sample()
    found = estimate(x, y, level=0.5, units="bits")
    assert found.units == "bits"
    assert found.median == pytest.approx(estimate(x, y).median / np.log(2))
    assert found.interval == (
        found.quantiles[LEVELS.index(0.25)],
        found.quantiles[LEVELS.index(0.75)],
    )


def test_one_dimensional_arrays_are_single_columns():
    x, y = sample(dim_x=1, dim_y=1)
    assert estimate(x[:, 0], y[:, 0]) == estimate(x, y) == ESTIMATOR(x, y)


def test_what_leaves_the_information_leaves_the_estimate():
    x, y = sample()
    found = estimate(x, y).quantiles
    order = np.random.default_rng(1).permutation(len(x))
    for other in (
        estimate(np.exp(x), y**3),
        estimate(x[:, ::-1], y),
        estimate(x[order], y[order]),
        estimate(y, x),
    ):
        np.testing.assert_allclose(other.quantiles, found, rtol=1e-4, atol=1e-5)


def test_counts_and_ordered_categories_are_their_ranks():
    rng = np.random.default_rng(0)
    counts, y = rng.poisson(2, size=80), rng.normal(size=80)
    found = estimate(counts, y)
    assert estimate(counts**2 * 1000, y) == found
    words = pd.Categorical(counts.astype(str), sorted(set(counts.astype(str)), key=int), True)
    assert estimate(pd.Series(words), y) == found


def test_names_of_categories_do_not_matter():
    rng = np.random.default_rng(0)
    codes, y = rng.choice(4, 80, p=[0.4, 0.3, 0.2, 0.1]), rng.normal(size=80)
    words = np.array(["blue", "red", "green", "black"])[codes]
    one, other = estimate(words, y), estimate(codes, y, x_kind="category")
    np.testing.assert_allclose(one.quantiles, other.quantiles, rtol=1e-4, atol=1e-6)
    assert estimate(y, words).median == pytest.approx(one.median, rel=1e-4, abs=1e-6)
    assert estimate(codes, y).quantiles != other.quantiles


def test_rows_with_a_missing_value_are_left_out_and_counted():
    x, y = sample()
    gaps_x, gaps_y = x.copy(), y.copy()
    gaps_x[3, 0] = gaps_y[3, 2] = gaps_y[7, 1] = np.nan
    found = estimate(gaps_x, gaps_y)
    assert (found.n, found.dropped) == (98, 2)
    assert found.warnings == ("2 of 100 rows have a missing value and were left out",)
    kept = np.delete(np.arange(100), [3, 7])
    assert found.quantiles == estimate(x[kept], y[kept]).quantiles
    with pytest.raises(ValueError, match="x column 0 must have no missing value"):
        estimate(gaps_x, gaps_y, missing="raise")


def test_beyond_the_training_every_way_is_said():
    estimator = tiny_estimator(n=(200, 500), mi=(0.0, 0.01))
    assert estimator(*sample(n=30, dim_x=5, dim_y=6), units="bits").warnings == (
        "n = 30 lies outside the trained range 200..500",
        "dim_x = 5 lies outside the trained range 1..4",
        "dim_y = 6 lies outside the trained range 1..4",
        "the highest quantile is beyond the largest trained value for these columns, 0.01 bits:"
        " take the answer as a lower bound",
    )


def test_information_beyond_what_so_few_columns_had_in_training_is_said():
    estimator = tiny_estimator(n=(20, 500), mi=(0.0, 99.0), rate=(0.0, 0.005))
    (said,) = estimator(*sample(n=100, dim_x=2, dim_y=3)).warnings
    assert "largest trained value for these columns, 0.01 nats" in said


def test_more_rows_than_trained_are_averaged_over_parts():
    x, y = sample(n=1250)
    found = estimate(x, y)
    parts = [estimate(x[start::3], y[start::3]) for start in range(3)]
    assert found.n == 1250
    assert found.median == pytest.approx(np.mean([part.median for part in parts]), rel=1e-4)
    assert found.warnings == (
        "n = 1250 is more than the 500 rows trained on: averaged over 3 interleaved parts; the"
        " interval is that of one part of 416 rows, so rather too wide",
    )
    assert estimate(x, y) == found


def test_a_category_that_a_part_lacks_is_no_failure():
    rare = np.where(np.arange(1200) == 5, "rare", np.where(np.arange(1200) % 2, "a", "b"))
    assert estimate(rare, np.arange(1200.0)).n == 1200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y[:99]), "the same number of rows, got 100 and 99"),
        (lambda x, y: (x[:7], y[:7]), "at least 8 rows, got 7"),
        (lambda x, y: (np.where(x > -9, np.nan, x), y), "8 rows without a missing value, got 0"),
        (lambda x, y: (x * [1, 0], y), "x column 1 must vary, found one value in all 100 rows"),
        (lambda x, y: (x, np.where(y > 2, np.inf, y)), "y column 1 must be finite, found inf in"),
        (lambda x, y: (x[None], y), r"x must be \(n,\) or \(n, columns\), got \(1, 100, 2\)"),
        (lambda x, y: (pd.DataFrame(x)[::-1], pd.DataFrame(y)), "must have the same index"),
    ],
)
def test_samples_without_an_answer_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        estimate(*change(*sample()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 0.99}, r"level must lie in \(0, 0\.98\]"),
        ({"units": "bytes"}, "units must be one of"),
        ({"missing": "fill"}, "missing must be one of drop, raise, got 'fill'"),
        ({"y_kind": "ordinal"}, "y: kind must be one of"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        estimate(*sample(), **options)


def test_a_saved_network_is_opened_by_its_path(tmp_path):
    save_weights(
        tmp_path, ESTIMATOR.network.config, ESTIMATOR.network.state_dict(), ESTIMATOR.training
    )
    x, y = sample()
    found = mistdata.estimate(x, y, model=tmp_path)
    assert found == Estimator.load(str(tmp_path))(x, y) == estimate(x, y)
    with pytest.raises(ValueError, match="no weights there"):
        mistdata.estimate(x, y, model=tmp_path / "nowhere")


def test_the_interface_of_bmi_is_a_number():
    x, y = sample()
    found = ESTIMATOR.estimate(x, y)
    assert isinstance(found, float)
    assert found == ESTIMATOR(x, y).median


def test_tensors_give_quantiles_alone_or_in_batches():
    x, y = (torch.from_numpy(side) for side in sample())
    alone = ESTIMATOR.quantiles(x, y)
    np.testing.assert_allclose(alone, ESTIMATOR(x, y).quantiles, rtol=1e-6)
    batch = ESTIMATOR.quantiles(torch.stack([x, x + 1, -x]), y.expand(3, -1, -1))
    assert batch.shape == (3, len(LEVELS))
    torch.testing.assert_close(batch[0], alone)
    torch.testing.assert_close(batch[1], alone)
    assert ESTIMATOR.quantiles(x[:, 0], y[:, 0]).shape == (len(LEVELS),)


@pytest.mark.parametrize("prep", ["soft", "affine"])
def test_gradients_reach_the_inputs(prep):
    x, y = (torch.from_numpy(side).requires_grad_() for side in sample(40, 1, 1))
    ESTIMATOR.quantiles(x, y, prep=prep).sum().backward()
    for side in (x, y):
        assert side.grad.isfinite().all()
        assert side.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("x", "y"), [((2, 9, 1), (9, 1)), ((9, 1), (8, 1)), ((2, 9, 1), (3, 9, 1)), ((9,), (1, 9, 1))]
)
def test_tensors_that_do_not_belong_together_are_refused(x, y):
    with pytest.raises(ValueError, match="x and y must agree in batch and rows"):
        ESTIMATOR.quantiles(torch.randn(x), torch.randn(y))
    with pytest.raises(ValueError, match=r"x must be \(n,\), \(n, columns\) or"):
        ESTIMATOR.quantiles(torch.randn(1, 1, 9, 1), torch.randn(y))


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_importing_the_package_imports_no_library():
    code = (
        "import sys, mistdata\n"
        "assert {'estimate', 'matrix', 'mutual_information'} <= set(dir(mistdata))\n"
        "assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)\n"
    )
    finished = run(code)
    assert finished.returncode == 0, finished.stderr


def test_without_torch_the_extra_is_named():
    finished = run("import sys; sys.modules['torch'] = None; from mistdata import estimate")
    assert finished.stderr.splitlines()[-1].endswith(
        "the estimator needs torch and safetensors: pip install 'mistdata[estimator]'"
    )


def test_quantiles_of_what_is_no_tensor_or_no_sample_are_refused_by_name():
    rows = torch.randn(20, 2)
    with pytest.raises(ValueError, match="y must be a torch tensor"):
        ESTIMATOR.quantiles(rows, rows.numpy())
    with pytest.raises(ValueError, match="at least one sample, got an empty batch"):
        ESTIMATOR.quantiles(torch.empty(0, 20, 1), torch.empty(0, 20, 1))


@pytest.mark.filterwarnings("error")
def test_half_precision_is_read_without_a_word():
    x = np.random.default_rng(0).normal(size=100)
    half = mistdata.estimate(x.astype(np.float16), (x + 1).astype(np.float16))
    listed = mistdata.estimate(list(x.astype(np.float16)), list((x + 1).astype(np.float16)))
    assert half.quantiles == listed.quantiles


def test_bare_numbers_and_quantiles_warn_outside_the_trained_range():
    estimator = tiny_estimator(n=(200, 500))
    x, y = sample(n=30, dim_x=5, dim_y=1)
    with pytest.warns(
        UserWarning, match=r"n = 30 lies outside .*; dim_x = 5 lies outside"
    ) as told:
        median = estimator.estimate(x, y)
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match=r"n = 30 lies outside .*; dim_x = 5 lies outside"):
        estimator.quantiles(torch.from_numpy(x), torch.from_numpy(y))
    assert median == estimator(x, y).median


@pytest.mark.parametrize("model", ["small", "base"])
def test_two_values_are_two_values_however_they_are_written(model):
    """0 and 1, the other way round, truth values, words, numbers declared as categories."""
    rng = np.random.default_rng(11)
    label = rng.random(300) < 0.4
    number = 2.0 * label + rng.standard_normal(300)
    forms = [label * 1.0, 1.0 - label, 7.5 * label - 3, label, np.where(label, "sick", "well")]
    answers = [mistdata.estimate(number, each, model=model) for each in forms]
    answers.append(mistdata.estimate(number, label * 1, y_kind="category", model=model))
    assert len({answer.quantiles for answer in answers}) == 1


@pytest.mark.parametrize("times", [2, 10])
@pytest.mark.parametrize("columns", [1, 3])
def test_a_sample_that_was_pasted_is_answered_once(columns, times):
    rng = np.random.default_rng(columns)
    x, y = rng.standard_normal((2, 300, columns))
    order = rng.permutation(300 * times)
    once = mistdata.estimate(x, y)
    found = mistdata.estimate(np.tile(x, (times, 1))[order], np.tile(y, (times, 1))[order])
    assert found.n == 300
    assert found.median == pytest.approx(once.median, abs=1e-6)
    assert any(f"every row is there {times} times" in said for said in found.warnings)


def test_symbols_and_samples_of_which_a_part_repeats_are_left():
    rng = np.random.default_rng(2)
    symbols = np.repeat(np.arange(60), 5)
    assert mistdata.estimate(symbols, symbols % 30).n == 300
    x, y = rng.standard_normal((2, 300))
    assert mistdata.estimate(np.r_[x, x[:100]], np.r_[y, y[:100]]).n == 400


def test_a_column_that_both_sides_have_is_told():
    x = np.random.default_rng(3).standard_normal((200, 3))
    said = "X and Y have a column of numbers in common"
    shared = mistdata.estimate(x[:, :2], x[:, 1:])
    assert any(said in each for each in shared.warnings)
    assert not any(said in each for each in mistdata.estimate(x[:, :2], x[:, 2]).warnings)
