"""A stream serves what the recipe says, without end, and resumes where it stopped."""

import json
from itertools import islice

import numpy as np
import pytest
import torch

import mistdata
from train.stream import Pool, Stream, _place, _plan, make_shard

OPTIONS = {"batch_size": 8, "cells": 1 << 14}


def stream(small_recipe):
    return Stream(small_recipe, 3, workers=1, shards=1, **OPTIONS)


@pytest.fixture(scope="module")
def store(small_store):
    return mistdata.open(small_store).where("split = 'train'")


def test_a_shard_of_a_stream_is_that_of_the_store(small_recipe, store):
    pool = Pool([make_shard(small_recipe.read_text(), "small", 0)])
    rows = np.full(len(pool), 50)
    some = np.arange(10)
    found = pool.read(some, rows=50, skip=rows[:10]).values
    expected = store.read(some, rows=50, skip=rows[:10]).values
    assert np.array_equal(found, expected)
    np.testing.assert_array_equal(pool.column("mi"), store.column("mi")[: len(pool)])


def test_a_stream_goes_on_with_the_next_seed(small_recipe):
    text = small_recipe.read_text()
    first = make_shard(text, "small", 0)
    shards = len(stream(small_recipe).plan.shards)
    again = make_shard(text, "small", shards)
    assert again[0].shape == first[0].shape
    assert not np.array_equal(again[0], first[0])


def test_a_stream_serves_every_shard_of_every_seed_once(small_recipe):
    """Seeds draw other sizes, so that they fill other numbers of shards."""
    text = small_recipe.read_text()
    plans = [_plan(text, "small", turn) for turn in range(6)]
    expected = [(plan.hash, index) for plan in plans for index in range(len(plan.shards))]
    assert len({len(plan.shards) for plan in plans}) > 1
    places = [_place(text, "small", number, 0) for number in range(len(expected))]
    assert [(plan.hash, index) for plan, index in places] == expected


def test_a_saved_stream_goes_on_where_it_stopped(small_recipe):
    def take(source, count):
        batches = source.forever()
        taken = [(b.ids.tolist(), b.values.sum().item()) for b in islice(batches, count)]
        batches.close()
        return taken

    whole, first, second = (stream(small_recipe) for _ in range(3))
    served = take(whole, 70)
    assert whole.pool >= 1, "must reach the second pool"
    begun = take(first, 65)
    second.restore(json.loads(json.dumps(first.state())))
    assert begun + take(second, 5) == served


def test_values_are_finite_and_labelled(small_recipe):
    source = stream(small_recipe)
    batches = source.forever()
    batch = next(batches)
    batches.close()
    assert batch.values.isfinite().all()
    assert len(batch.mi) == len(batch.values)
    assert batch.mi.dtype == torch.float32
    assert source.identity()["name"] == "small"


def test_a_recipe_without_training_split_is_refused(tmp_path, small_recipe):
    text = small_recipe.read_text().replace("split.train", "split.other")
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ValueError, match="no split 'train' to stream"):
        Stream(tmp_path / "r.toml", 0, workers=1)
