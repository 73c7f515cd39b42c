"""The predictor that knows only labels, and the one that knows the density."""

import math

import numpy as np
import pytest

from mistdata.baselines.reference import Mean, oracle
from mistdata.store.dataset import open_store


def test_the_oracle_errs_by_its_known_standard_error(small_store):
    """Mean of z² within 5 standard deviations of 1 for normal z; the store is fixed."""
    estimate = oracle()
    z = [
        (estimate(each.x, each.y, each.row) - each.mi) / each.oracle_se
        for each in open_store(small_store)
        if each.oracle_se
    ]
    assert len(z) > 150
    assert abs(np.mean(np.square(z)) - 1.0) < 5 * math.sqrt(2 / len(z))


def test_the_oracle_refuses_what_went_through_a_flow(small_store):
    one = open_store(small_store)[0]
    with pytest.raises(ValueError, match="through a flow"):
        oracle()(one.x, one.y, dict(one.row) | {"flow_x": "digits"})


def test_the_oracle_is_never_finite_outside_the_support(small_store):
    one = open_store(small_store).where("family = 'additive-uniform' and split = 'validation'")[0]
    if math.isfinite(oracle()(one.x + 1e6, one.y, one.row)):
        pytest.fail("rows far outside the support were given an information")


def test_the_mean_is_a_number_or_that_of_training_labels(small_store):
    nothing = np.zeros((5, 1))
    assert Mean(value=2)(nothing, nothing).estimate == 2.0
    labels = open_store(small_store).where("split = 'train'").column("mi")
    answer = Mean(store=str(small_store))(nothing, nothing)
    assert answer.estimate == pytest.approx(labels.mean())
    assert answer.quantiles[7] == pytest.approx(np.median(labels))
    assert open_store(small_store).digest[:12] in Mean(store=str(small_store)).version
    for wrong in ({}, {"value": 1.0, "store": str(small_store)}):
        with pytest.raises(ValueError, match="either value=NATS or store=STORE"):
            Mean(**wrong)
