"""Samples of any shape and length give what each would give alone."""

import numpy as np
import pytest
import torch

from mistdata.estimator.evaluate import parts_of, quantiles_of
from mistdata.estimator.sample import Sample
from tests.tiny import tiny_estimator

NETWORK = tiny_estimator().network


def sample(n, dim_x, dim_y, seed=0):
    rng = np.random.default_rng(seed)
    return Sample(rng.normal(size=(n, dim_x)), rng.normal(size=(n, dim_y)))


def ask(*samples, most=500, **options):
    return quantiles_of(NETWORK, samples, most=most, **options)


def test_one_sample_gives_what_the_network_says():
    one = sample(50, 2, 1)
    values = torch.from_numpy(np.concatenate([one.x, one.y], axis=1))[None]
    np.testing.assert_allclose(ask(one), NETWORK(values, 2), rtol=1e-5, atol=1e-6)


def test_many_samples_of_many_shapes_keep_their_order():
    shapes = [(30, 1, 1), (40, 1, 2), (30, 1, 1), (30, 2, 1), (40, 1, 2), (30, 1, 1)]
    samples = [sample(*shape, seed) for seed, shape in enumerate(shapes)]
    alone = np.concatenate([ask(each) for each in samples])
    np.testing.assert_allclose(ask(*samples), alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("n", "parts"), [(99, 1), (100, 1), (101, 2), (200, 2), (250, 3)])
def test_long_samples_are_dealt_into_the_fewest_parts(n, parts):
    assert parts_of(n, 100) == parts
    one = sample(n, 1, 2)
    dealt = [Sample(one.x[start::parts], one.y[start::parts]) for start in range(parts)]
    assert max(len(part.x) for part in dealt) <= 100
    mean = ask(*dealt).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(ask(one, most=100), mean, rtol=1e-4, atol=1e-6)


def test_quantiles_of_parts_never_cross():
    found = ask(sample(1000, 1, 1), most=100)
    assert (np.diff(found) >= 0).all()


def test_every_sample_is_reported_once():
    done = []
    samples = [sample(n, 1, 1) for n in (30, 250, 101, 30)]
    ask(*samples, most=100, advance=done.append)
    assert sum(done) == 4


def test_no_sample_has_no_answer():
    assert ask().shape == (0, len(NETWORK.config.levels))


def test_cores_share_the_batches_and_change_nothing():
    samples = [sample(n, 1, 1, seed) for n in (60, 90) for seed in range(3)]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        done: list[int] = []
        alone = ask(*samples, most=50, advance=done.append)
        torch.set_num_threads(3)
        together = ask(*samples, most=50, advance=done.append)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(together, alone)
    assert sum(done) == 2 * len(samples)
