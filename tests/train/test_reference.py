"""The published architecture is the published function, and can be fitted like any network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import mistdata
from mistdata.estimator import NetworkConfig, pinball
from train.loader import Loader, Mixture, Position
from train.reference import SETTINGS, Reference, ReferenceConfig, dropped, noise_of
from train.trainer import FitConfig, Trainer

TINY = ReferenceConfig(width=16, heads=2, hidden=32, inducing=4, seeds=3)
CONFIG = FitConfig(TINY, seed=3, steps=6, batch_size=8, datasets=12, **SETTINGS)


@pytest.fixture(scope="module")
def store(small_store):
    return mistdata.open(small_store).where("split = 'train'")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Reference(TINY).eval()


def trainer_of(store, config=CONFIG, threads=1):
    loader = Loader(store, Position(config.seed), batch_size=config.batch_size, shorten=0.25)
    return Trainer(Mixture([loader], [1]), config, threads=threads)


def losses(trainer, until=None):
    return [figures["loss"] for figures in trainer.run(until)]


def fill(network):
    """Give every parameter values that depend on its shape alone."""
    with torch.no_grad():
        for each in network.parameters():
            drawn = torch.from_numpy(
                np.random.default_rng(list(each.shape)).standard_normal(each.shape)
            )
            each.copy_(drawn / each.shape[-1] ** 0.5 if each.ndim > 1 else 0.5 + drawn / 4)


def test_it_is_the_published_function_of_the_same_weights():
    """Witness: MISTModel of mist-statinf at 3fc7e62, filled likewise, in double precision."""
    published = {
        0.05: [1.221123930614848, 1.2216481468673575],
        0.5: [1.2330196285907422, 1.2335456283800195],
        0.95: [1.2413874340920579, 1.241939362597848],
    }
    network = Reference(ReferenceConfig()).double().eval()
    fill(network)
    values = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 20, 7)))
    with torch.no_grad():
        found = network(values, 3)
    for level, expected in published.items():
        column = found[:, network.config.levels.index(level)]
        np.testing.assert_allclose(column.numpy(), expected, rtol=1e-9)


def test_it_has_as_many_parameters_as_the_published_one():
    """5,521,921 in the released one that is told no level; a level costs 256 weights."""
    count = sum(each.numel() for each in Reference(ReferenceConfig()).parameters())
    assert count == 5_521_921 + 256


def test_the_order_of_rows_does_not_matter_and_that_of_columns_does(network):
    values = torch.randn(2, 30, 5, generator=torch.Generator().manual_seed(1))
    answer = network(values, 2)
    assert answer.shape == (2, len(TINY.levels))
    torch.testing.assert_close(network(values.flip(1), 2), answer, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network(values.flip(2), 2), answer, atol=1e-3)


def test_it_does_not_know_where_y_begins(network):
    values = torch.randn(1, 30, 5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(network(values, 2), network(values, 3))


def test_too_many_columns_are_refused_not_cut(network):
    with pytest.raises(ValueError, match=r"dim_x \+ dim_y must be at most 64, got 65"):
        network(torch.randn(1, 20, 65), 32)
    assert network(torch.randn(1, 20, 64), 32).isfinite().all()


def test_cells_without_an_answer_are_refused(network):
    values = torch.randn(1, 20, 4)
    values[0, 3, 2] = torch.inf
    with pytest.raises(ValueError, match="column 2 of dataset 0"):
        network(values, 2)


def test_widths_survive_json():
    changed = replace(TINY, seeds=5, levels=(0.1, 0.5, 0.9))
    record = changed.to_json()
    assert record.pop("kind") == "reference"
    assert ReferenceConfig.from_json(record) == changed
    with pytest.raises(ValueError, match="reference must have"):
        ReferenceConfig.from_json(record | {"depth": 3})


def test_dropout_keeps_the_mean_and_depends_on_the_cells_alone():
    values = torch.randn(4, 30, 5)
    units = torch.ones(1000, 100)
    one, again = (dropped(units, 0.3, noise_of(values)) for _ in range(2))
    assert torch.equal(one, again)
    # 100,000 draws: a deviation of the share of 0.0015, and of the mean of 0.0021; 5 of them.
    assert abs(float((one == 0).float().mean()) - 0.3) < 0.0075
    assert abs(float(one.mean()) - 1) < 0.0105
    assert not torch.equal(dropped(units, 0.3, noise_of(-values)), one)
    assert dropped(units, 0.3, None) is units


def test_a_fit_resumes_bit_for_bit_and_threads_change_nothing(store, tmp_path):
    before = torch.get_rng_state()
    straight, first, second = (trainer_of(store) for _ in range(3))
    expected = losses(straight)
    begun = losses(first, until=3)
    first.save(tmp_path)
    second.resume(tmp_path)
    assert begun + losses(second) == expected
    assert losses(trainer_of(store, threads=2)) == expected
    assert torch.equal(torch.get_rng_state(), before)


def test_a_fit_of_another_kind_is_refused(store, tmp_path):
    trainer = trainer_of(store)
    losses(trainer, until=1)
    trainer.save(tmp_path)
    with pytest.raises(ValueError, match="fitted with network = "):
        trainer_of(store, replace(CONFIG, network=NetworkConfig())).resume(tmp_path)


def test_it_learns_to_tell_dependence_from_independence():
    """Half of the samples have a correlation of 0.95, the others none."""
    source = torch.Generator().manual_seed(1)
    rho = torch.tensor([0.95, 0.0]).repeat(32)[:, None]
    mi = -0.5 * torch.log1p(-(rho[:, 0] ** 2))
    torch.manual_seed(0)
    network = Reference(TINY)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)

    def answer():
        x, e = torch.randn(2, 64, 32, generator=source)
        return network(torch.stack([x, rho * x + (1 - rho**2).sqrt() * e], dim=2), 1)

    for _ in range(200):
        optimizer.zero_grad()
        pinball(answer(), mi, network.levels).backward()
        optimizer.step()
    median = network.eval().config.levels.index(0.5)
    assert (answer()[:, median] - mi).abs().mean() < 0.15 * mi.max()
