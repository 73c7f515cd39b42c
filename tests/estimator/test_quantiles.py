"""The quantile head can put mass at zero, and the pinball loss is minimal at the quantiles."""

import torch

from mistdata.estimator import pinball, stabilise
from mistdata.estimator.quantiles import QuantileHead

LEVELS = (0.1, 0.5, 0.9)


def test_pinball_is_smallest_at_the_quantiles():
    truth = torch.linspace(0, 1, 1001, dtype=torch.float64)
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    at = {
        shift: pinball((levels + shift).expand(len(truth), -1), truth, levels).item()
        for shift in (-0.05, -0.01, 0.0, 0.01, 0.05)
    }
    assert min(at, key=at.__getitem__) == 0.0


def test_pinball_of_one_quantile_by_hand():
    levels = torch.tensor([0.9])
    assert pinball(torch.tensor([[1.0]]), torch.tensor([2.0]), levels).item() == torch.tensor(0.9)
    over = pinball(torch.tensor([[2.0]]), torch.tensor([1.0]), levels)
    torch.testing.assert_close(over, torch.tensor(0.1))


def test_quantiles_below_the_median_are_exactly_zero_when_the_scale_is_small():
    torch.manual_seed(0)
    head = QuantileHead(4, LEVELS)
    quantiles = head(torch.randn(5, 4), torch.full((5,), 1e-3))
    assert (quantiles[:, 0] == 0).all()
    assert (quantiles[:, 1:] > 0).all()


def test_a_quantile_at_zero_still_learns():
    torch.manual_seed(0)
    head = QuantileHead(4, LEVELS)
    scale = torch.full((1,), 1e-3, requires_grad=True)
    head(torch.randn(1, 4), scale)[0, 0].backward()
    assert scale.grad is not None
    assert scale.grad.item() > 0


def test_the_median_is_zero_where_the_scale_is_negative():
    head = QuantileHead(4, LEVELS).eval()
    assert (head(torch.zeros(1, 4), torch.tensor([-0.5]))[0, :2] == 0).all()


def test_evaluation_is_the_clamp_itself():
    torch.manual_seed(0)
    head = QuantileHead(4, LEVELS).eval()
    scale = torch.tensor([0.004], requires_grad=True)
    head(torch.randn(1, 4), scale)[0, 0].backward()
    assert scale.grad.item() == 0.0


def test_the_stabilised_scale_has_slope_one_at_zero_and_undoes_a_square():
    nats = torch.tensor([0.0, 1e-4, 3.0, 8.0], dtype=torch.float64)
    expected = torch.tensor([0.0, 1e-4, 2.0, 4.0], dtype=torch.float64)
    torch.testing.assert_close(stabilise(nats), expected, rtol=1e-4, atol=0)


def test_the_stabilised_scale_goes_on_below_zero_with_slope_one():
    nats = torch.tensor([-3.0, 0.0, 3.0], requires_grad=True)
    scaled = stabilise(nats)
    scaled.sum().backward()
    assert scaled.tolist() == [-3.0, 0.0, 2.0]
    assert nats.grad.tolist() == [1.0, 1.0, 0.5]
