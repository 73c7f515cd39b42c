"""The network is invariant by construction, says no to nonsense, and its quantiles are ordered."""

from dataclasses import replace

import pytest
import torch
from torch.profiler import ProfilerActivity

from mistdata.estimator import CONFIGS, Network, NetworkConfig

CPU = ProfilerActivity.CPU
TINY = NetworkConfig(cell=4, cell_hidden=8, pair=16, product=8, blocks=2, row=16)
SHAPES = [(8, 1, 1), (40, 3, 2), (25, 1, 6), (64, 20, 20)]
PREPS = ["rank", "soft", "affine"]


def network(dtype=torch.float64):
    torch.manual_seed(1)
    net = Network(TINY).to(dtype)
    # A fresh head hardly looks at its input: stir it, or the tests below would be easy.
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return net.requires_grad_(False).eval()


def sample(n, dim_x, dim_y, batch=3):
    generator = torch.Generator().manual_seed(n)
    values = torch.randn(
        batch, n, dim_x + dim_y, generator=generator, dtype=torch.float64
    )  # fmt: skip
    values[:, :, dim_x] += values[:, :, 0]
    return values


@pytest.mark.parametrize(("n", "dim_x", "dim_y"), SHAPES)
def test_quantiles_are_non_negative_and_never_cross(n, dim_x, dim_y):
    for net in (network(torch.float32), network()):
        quantiles = net(sample(n, dim_x, dim_y), dim_x)
        assert quantiles.shape == (3, len(TINY.levels))
        assert quantiles.isfinite().all()
        assert (quantiles >= 0).all()
        assert (quantiles.diff(dim=1) >= 0).all()


@pytest.mark.parametrize(("n", "dim_x", "dim_y"), SHAPES)
def test_order_of_rows_and_of_columns_within_a_side_does_not_matter(n, dim_x, dim_y):
    net, values = network(), sample(n, dim_x, dim_y)
    before = net(values, dim_x)
    rows = torch.randperm(n)
    columns = torch.cat([torch.randperm(dim_x), dim_x + torch.randperm(dim_y)])
    torch.testing.assert_close(net(values[:, rows], dim_x), before, rtol=0, atol=1e-10)
    torch.testing.assert_close(net(values[:, :, columns], dim_x), before, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("n", "dim_x", "dim_y"), SHAPES)
def test_exchanging_x_and_y_does_not_matter(n, dim_x, dim_y):
    net, values = network(), sample(n, dim_x, dim_y)
    turned = torch.cat([values[:, :, dim_x:], values[:, :, :dim_x]], dim=2)
    torch.testing.assert_close(net(turned, dim_y), net(values, dim_x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("prep", PREPS)
@pytest.mark.parametrize("queries", [15, 64])
def test_the_symmetries_hold_for_every_preparation_and_any_number_of_queries(prep, queries):
    net, values = network(), sample(40, 3, 2)
    before = net(values, 3, prep=prep, queries=queries)
    rows = values[:, torch.randperm(40)][:, :, [2, 0, 1, 4, 3]]
    turned = torch.cat([rows[:, :, 3:], rows[:, :, :3]], dim=2)
    for again in (net(rows, 3, prep=prep, queries=queries),
                  net(turned, 2, prep=prep, queries=queries)):  # fmt: skip
        torch.testing.assert_close(again, before, rtol=0, atol=1e-10)


def test_fewer_queries_are_another_estimate_of_the_same():
    net, values = network(), sample(400, 1, 1)
    assert not torch.equal(net(values, 1, queries=100), net(values, 1))
    torch.testing.assert_close(net(values, 1, queries=200), net(values, 1), rtol=0.3, atol=0.1)


def test_a_network_without_row_stream_is_blind_to_products_and_one_with_it_is_not():
    generator = torch.Generator().manual_seed(0)
    signs = torch.randn(2, 400, 3, generator=generator, dtype=torch.float64)
    xor = signs.clone()
    xor[..., 2] = signs[..., 2].abs() * (signs[..., 0] * signs[..., 1]).sign()
    blind = Network(replace(TINY, metrics=0)).double().eval()
    seeing = network()
    change = [(net(xor, 2) - net(signs, 2)).abs().max() for net in (blind, seeing)]
    assert change[1] > 3 * change[0]


@pytest.mark.parametrize("prep", ["soft", "affine"])
def test_gradients_reach_the_inputs_and_agree_with_differences(prep):
    net, values = network().eval(), sample(30, 2, 2, batch=1)
    values.requires_grad_(True)
    net(values, 2, prep=prep).sum().backward()
    direction = torch.randn(values.shape, generator=torch.Generator().manual_seed(3)).double()
    step = 1e-6
    with torch.no_grad():
        up, down = (net(values + sign * step * direction, 2, prep=prep).sum() for sign in (1, -1))
    slope = (up - down) / (2 * step)
    torch.testing.assert_close((values.grad * direction).sum(), slope, rtol=1e-5, atol=1e-8)


def test_ranks_have_no_gradient():
    net, values = network().eval(), sample(30, 2, 2, batch=1).requires_grad_(True)
    assert not net(values, 2).requires_grad


def test_memory_of_the_rows_is_linear(tmp_path):
    """Ten times the rows take at most about ten times the memory of a forward pass."""
    net = network(torch.float32).eval()
    peaks = []
    for n in (2_000, 20_000):
        with torch.profiler.profile(profile_memory=True, activities=[CPU]) as run, torch.no_grad():
            net(sample(n, 2, 2, batch=1).float(), 2, queries=256)
        peaks.append(peak_of(run))
    assert peaks[1] < 15 * peaks[0]


def peak_of(run):
    live = highest = 0
    for event in run.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            highest = max(highest, live)
    return highest


def test_increasing_maps_of_columns_change_no_bit():
    net, values = network(), sample(40, 3, 2)
    mapped = torch.stack([f(values[..., j]) for j, f in enumerate(MAPS)], dim=-1)
    assert torch.equal(net(mapped, 3), net(values, 3))


MAPS = [torch.exp, torch.atan, lambda t: t**3, lambda t: 5 * t - 2, torch.sinh]


def test_duplicated_columns_have_an_answer_at_large_n():
    values = sample(100_000, 1, 1, batch=1).float()
    values[0, :, 1] = values[0, :, 0]
    assert network(torch.float32)(values, 1).isfinite().all()


def test_moving_a_column_to_the_other_side_does_matter():
    net, values = network(), sample(40, 3, 2)
    assert not torch.allclose(net(values, 3), net(values, 2), atol=1e-6)


def test_ties_keep_the_invariances():
    net, values = network(), (2 * sample(60, 3, 2)).round()
    before = net(values, 3)
    torch.testing.assert_close(net(values[:, torch.randperm(60)], 3), before, rtol=0, atol=1e-10)
    assert torch.equal(net(values.exp(), 3), before)


def test_the_batch_does_not_matter():
    net, values = network(), sample(40, 3, 2)
    alone = torch.cat([net(values[i : i + 1], 3) for i in range(3)])
    torch.testing.assert_close(alone, net(values, 3), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("n", "dim_x", "dim_y"), SHAPES)
def test_gradients_are_finite_also_for_duplicated_and_constant_columns(n, dim_x, dim_y):
    net = network(torch.float32).requires_grad_(True).train()
    values = sample(n, dim_x, dim_y).float()
    values[0, :, dim_x] = values[0, :, 0]
    values[1, :, 0] = 1.0
    net(values, dim_x, strict=False).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v[0], r"must be \(batch, n, dim_x \+ dim_y\)"),
        (lambda v: v[:, :7], "n must be at least 8, got 7"),
        (lambda v: v[:, :, :3], r"dim_x must lie in 1\.\.2, got 3"),
        (lambda v: v.index_fill(2, torch.tensor(4), 2.0), "column 4 of dataset 0 has one const"),
        (lambda v: v.masked_fill(v == v[2, 5, 1], torch.nan), "column 1 of dataset 2 has NaN"),
        (lambda v: v.masked_fill(v == v[1, 0, 0], torch.inf), "column 0 of dataset 1 has NaN"),
    ],
)
def test_a_sample_without_an_answer_is_refused(spoil, message):
    with pytest.raises(ValueError, match=message):
        network()(spoil(sample(40, 3, 2)), 3)


def test_an_unknown_preparation_is_refused():
    with pytest.raises(ValueError, match="prep must be one of rank, soft, affine, got 'copula'"):
        network()(sample(40, 3, 2), 3, prep="copula")


@pytest.mark.parametrize("dim_x", [0, -1, 5, 6])
def test_a_wrong_dim_x_is_refused(dim_x):
    with pytest.raises(ValueError, match=r"dim_x must lie in 1\.\.4"):
        network()(sample(40, 3, 2), dim_x)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_config_survives_json(name):
    assert NetworkConfig.from_json(CONFIGS[name].to_json()) == CONFIGS[name]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pair": 0}, "pair must be at least 1"),
        ({"bandwidths": 1}, "bandwidths must be at least 2"),
        ({"metrics": -1}, "metrics must be at least 0"),
        ({"levels": (0.5, 0.1)}, "must increase"),
        ({"levels": (0.1, 0.9)}, "must contain 0.5"),
        ({"levels": (0.0, 0.5)}, "must increase within"),
    ],
)
def test_a_wrong_config_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**wrong)


def test_an_unknown_key_of_a_config_is_refused():
    with pytest.raises(ValueError, match="network config must have"):
        NetworkConfig.from_json(TINY.to_json() | {"layers": 4})


def test_half_precision_gives_the_same_within_its_rounding():
    net, values = network(torch.float32), sample(200, 3, 3).float()
    with torch.autocast("cpu", torch.bfloat16):
        half = net(values, 3)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, net(values, 3), rtol=0.05, atol=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_compiled_blocks_give_the_same_for_every_shape():
    eager, compiled = network(torch.float32), network(torch.float32)
    for block in compiled.blocks:
        block.compile(dynamic=True)
    for n, dim_x, dim_y in [(60, 3, 2), (100, 4, 4), (80, 5, 2)]:
        values = sample(n, dim_x, dim_y).float()
        torch.testing.assert_close(
            compiled(values, dim_x), eager(values, dim_x), rtol=1e-4, atol=1e-5
        )
