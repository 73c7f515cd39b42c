"""The conformal layer covers what it promises on new data, and keeps quantiles in order."""

import numpy as np
import pytest
import torch

from mistdata.estimator import Network, NetworkConfig, Training, load_network
from mistdata.estimator.calibration import calibrated, fit_offsets, no_offsets, stratum
from mistdata.estimator.checkpoint import save_weights

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
NORMAL = np.array([-1.645, -0.674, 0.0, 0.674, 1.645])


def problem(rng, count, narrow, shift=0.0):
    """True values around 2 with deviation 1/2, and quantiles too narrow, or shifted."""
    centre = rng.uniform(1.5, 2.5, count)
    mi = centre + 0.5 * rng.standard_normal(count)
    quantiles = np.maximum(centre[:, None] + shift + narrow * 0.5 * NORMAL, 0)
    return quantiles, np.maximum(mi, 0)


@pytest.mark.parametrize(
    ("narrow", "shift"), [(0.6, 0.0), (1.0, 0.0), (1.6, 0.0), (1.0, 0.3), (0.8, -0.3)]
)
def test_new_data_are_covered_after_calibration(narrow, shift):
    """4,000 datasets a side: a share off by 0.03 is four standard errors of both."""
    rng = np.random.default_rng(0)
    n, columns = np.full(4000, 50), np.full(4000, 10)
    offsets = fit_offsets(*problem(rng, 4000, narrow, shift), n, columns, LEVELS)
    quantiles, mi = problem(rng, 4000, narrow, shift)
    table = offsets[stratum(50, 10)].double()
    moved = calibrated(torch.from_numpy(quantiles), table, 2).numpy()
    below = (mi[:, None] <= moved).mean(axis=0)
    outer = [0, 1, 3, 4]
    assert np.abs(below - LEVELS)[outer].max() < 0.03
    if narrow == 1.0:
        np.testing.assert_allclose(table[outer], -shift / (2 * 0.5 * 1.645), atol=0.04)
    np.testing.assert_array_equal(moved[:, 2], quantiles[:, 2], "the median is the estimate")


def test_a_stratum_of_few_datasets_is_left_alone():
    rng = np.random.default_rng(1)
    few = fit_offsets(*problem(rng, 100, 0.5), np.full(100, 50), np.full(100, 10), LEVELS)
    assert torch.equal(few, no_offsets(5))


def test_strata_are_those_of_the_edges():
    assert stratum(29, 5) == (0, 0)
    assert stratum(100, 6) == (2, 1)
    assert stratum(1000, 24) == (3, 2)


def test_moved_quantiles_stay_ordered_and_non_negative():
    quantiles = torch.tensor([[0.0, 0.1, 0.5, 0.9, 1.0]], dtype=torch.float64)
    moved = calibrated(quantiles, torch.tensor([0.5, 0.5, -0.5, 0.5, -0.5]).double(), 2)
    assert (moved.diff(dim=1) >= 0).all()
    assert (moved >= 0).all()
    assert moved[0, 2] == 0.25
    same = calibrated(quantiles, torch.zeros(5).double(), 2)
    torch.testing.assert_close(same, quantiles)


def test_a_quantile_moves_by_a_share_of_the_spread_and_near_zero_of_itself():
    quantiles = torch.tensor([[0.0, 0.1, 0.5, 2.0, 1.0 + 2.0]])
    moved = calibrated(quantiles, torch.full((5,), 0.25), 2)
    torch.testing.assert_close(moved, torch.tensor([[0.0, 0.125, 0.625, 2.5, 3.75]]))
    narrow = torch.tensor([[5.0, 5.1, 5.2, 5.3, 5.4]])
    torch.testing.assert_close(calibrated(narrow, torch.full((5,), 0.25), 2), narrow + 0.1)


def test_quantiles_of_zero_ask_for_no_change_and_stay():
    quantiles = np.tile([0.0, 0.0, 0.1, 0.2, 0.4], (500, 1))
    offsets = fit_offsets(quantiles, np.zeros(500), np.full(500, 50), np.full(500, 10), LEVELS)
    table = offsets[stratum(50, 10)].double()
    assert (table[:3] == 0).all() and (table[3:] == -0.5).all()
    assert (calibrated(torch.from_numpy(quantiles), table, 2)[:, :2] == 0).all()


def test_the_layer_travels_with_the_weights_and_acts_in_evaluation_only(tmp_path):
    config = NetworkConfig(cell=4, cell_hidden=8, pair=16, product=8, blocks=1, row=16)
    network = Network(config)
    offsets = no_offsets(len(config.levels)) + 0.5
    training = Training(n=(8, 500), dim=(1, 4), mi=(0.0, 9.0))
    save_weights(tmp_path, config, network.state_dict(), training)
    plain, _ = load_network(tmp_path)
    save_weights(tmp_path, config, network.state_dict(), training, offsets)
    moved, _ = load_network(tmp_path)
    values = torch.randn(3, 50, 4)
    before, after = plain(values, 2), moved(values, 2)
    width = before[:, -1:] - before[:, :1]
    torch.testing.assert_close(after, before + 0.5 * torch.minimum(before, width))
    torch.testing.assert_close(moved.train()(values, 2), plain.train()(values, 2))
