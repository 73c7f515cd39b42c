"""The order of the data is a pure function of three integers, and nobody is left out."""

import json
import threading
import time
from itertools import islice

import numpy as np
import pytest
import torch

import mistdata
from train.loader import LADDER, Loader, Mixture, Position, Resident, plan_epoch

LIMITS = {"batch_size": 16, "cells": 1 << 14}


@pytest.fixture(scope="module")
def store(small_store):
    return mistdata.open(small_store).where("split = 'train'")


def fingerprint(batches):
    return [
        (b.ids.tolist(), b.dim_x, tuple(b.values.shape), b.values.sum().item()) for b in batches
    ]


def some_shapes(count, high=33):
    rng = np.random.default_rng(0)
    return rng.integers(8, 501, count), *rng.integers(1, high, (2, count))


windows = pytest.mark.parametrize("window", [None, 1, 2])


@windows
def test_every_dataset_is_served_exactly_once_an_epoch(store, window):
    loader = Loader(store, Position(0), window=window, **LIMITS)
    for epoch in range(3):
        assert loader.position == Position(0, epoch)
        served = np.concatenate([batch.ids for batch in loader.epoch()])
        assert np.array_equal(np.sort(served), np.arange(len(store)))


@windows
def test_equal_positions_serve_equal_batches_however_far_is_read_ahead(store, window):
    served = [
        fingerprint(Loader(store, Position(5, 1), ahead=ahead, window=window, **LIMITS).epoch())
        for ahead in (1, 3, 100)
    ]
    assert served[0] == served[1] == served[2]


@windows
def test_seeds_and_epochs_differ(store, window):
    served = [
        [b.ids.tolist() for b in Loader(store, position, window=window, **LIMITS).epoch()]
        for position in (Position(0), Position(1), Position(0, 1))
    ]
    assert served[0] != served[1]
    assert served[0] != served[2]


@windows
@pytest.mark.parametrize("after", [4, 60])
def test_a_saved_position_goes_on_where_it_stopped(store, window, after):
    limits = LIMITS | {"window": window}
    whole = fingerprint(Loader(store, Position(3), **limits).epoch())
    loader = Loader(store, Position(3), **limits)
    batches = loader.forever()
    first = fingerprint(next(batches) for _ in range(after))
    batches.close()
    assert loader.position == Position(3, 0, after)
    rest = fingerprint(Loader(store, loader.position, **limits).epoch())
    assert len(whole) > after
    assert first + rest == whole


def test_a_position_in_other_windows_is_refused(store):
    streamed = Loader(store, Position(3), window=1, name="small", **LIMITS)
    mapped = Loader(store, Position(3), name="small", **LIMITS)
    for one, other in ((streamed, mapped), (mapped, streamed)):
        with pytest.raises(ValueError, match=r"small: the state is of window = (None|1), got"):
            one.restore(json.loads(json.dumps(other.state())))
    state = streamed.state() | {"batch": 2}
    del state["window"]  # as an earlier version wrote it
    for loader in (streamed, mapped):
        loader.restore(state)
        assert loader.position == Position(3, 0, 2)


def test_a_window_has_the_datasets_of_its_shards_and_is_brought_near_before(store, monkeypatch):
    near = []
    monkeypatch.setattr(type(store), "fetch", lambda self, members: near.append(set(members)))
    shard = store.column("shard")
    for batch in Loader(store, Position(0), window=1, **LIMITS).epoch():
        assert len(set(shard[batch.ids])) == 1
        assert any(set(batch.ids) <= members for members in near)
    assert len(near) == len(set(shard)) > 1
    near.clear()
    last = Loader(store, Position(0, 0, 10_000), window=1, **LIMITS)
    assert list(last.epoch()) == []
    assert near == []


def test_values_are_those_of_the_store_with_the_smaller_side_first(store):
    turned, skipped = 0, []
    for batch in Loader(store, Position(0), **LIMITS).epoch():
        rows = batch.values.shape[1]
        assert rows in LADDER
        for values, mi, position in zip(batch.values, batch.mi, batch.ids, strict=True):
            dataset = store[int(position)]
            sides = dataset.x, dataset.y
            if dataset.x.shape[1] > dataset.y.shape[1]:
                sides, turned = sides[::-1], turned + 1
            assert batch.dim_x == sides[0].shape[1]
            whole = np.concatenate(sides, axis=1)
            (start,) = np.flatnonzero((whole == values[0].numpy()).all(axis=1))
            skipped.append(start)
            assert np.array_equal(values.numpy(), whole[start : start + rows])
            assert mi.item() == np.float32(dataset.mi)
    assert turned > 0
    assert len(set(skipped)) > 5


def test_values_in_memory_are_those_of_the_files(store):
    kept = Resident(store, "cpu")
    loaders = [Loader(each, Position(2), shorten=0.5, **LIMITS) for each in (store, kept)]
    assert len(kept) == len(store)
    for mapped, resident in zip(*(loader.epoch() for loader in loaders), strict=True):
        assert torch.equal(mapped.values, resident.values)
        assert mapped.dim_x == resident.dim_x


def test_some_batches_are_cut_further_to_any_rung():
    n, dim_x, dim_y = some_shapes(5000, high=6)
    whole, cut = (
        plan_epoch(n, dim_x, dim_y, Position(0), batch_size=32, cells=1 << 18, shorten=share)
        for share in (0.0, 0.4)
    )
    rows = [np.sort(plan.rows) for plan in (whole, cut)]
    assert set(rows[1]) <= set(LADDER)
    # The batches are shuffled by the same draws after as many others, so only counts compare.
    assert (rows[1] <= rows[0]).all()
    # Of a batch that is cut, any rung up to its own is as likely as any other.
    rungs = np.searchsorted(LADDER, rows[0], side="right")
    fewer = 0.4 * ((LADDER < 50).sum() / rungs)[rows[0] >= 50].sum() / len(rungs)
    found = (rows[1] < 50).mean() - (rows[0] < 50).mean()
    assert found == pytest.approx(fewer, abs=0.02)


def test_a_mixture_serves_in_proportion_and_resumes(store):
    def mixture():
        sources = [Loader(store, Position(seed), **LIMITS, name=str(seed)) for seed in (1, 2)]
        return Mixture(sources, [3, 1])

    straight, first = mixture(), mixture()
    served = fingerprint(islice(straight.forever(), 60))
    assert abs(straight.served[0] / sum(straight.served) - 0.75) < 0.05
    begun = fingerprint(islice(first.forever(), 25))
    second = mixture()
    second.restore(json.loads(json.dumps(first.state())))
    assert begun + fingerprint(islice(second.forever(), 35)) == served
    assert [each["name"] for each in second.identity()["mixture"]] == ["1", "2"]


@pytest.mark.parametrize("cells", [1, 1 << 12, 1 << 18])
def test_batches_share_a_shape_and_keep_to_the_limits(cells):
    n, dim_x, dim_y = some_shapes(5000, high=6)
    plan = plan_epoch(n, dim_x, dim_y, Position(0), batch_size=32, cells=cells)
    assert np.array_equal(np.sort(plan.ids), np.arange(5000))
    for batch, rows in enumerate(plan.rows):
        ids = plan.ids[plan.starts[batch] : plan.starts[batch + 1]]
        assert 1 <= len(ids) <= 32
        assert rows <= n[ids].min() < rows * 4 / 3
        assert n[ids].max() < 2 * n[ids].min()
        assert len({frozenset(pair) for pair in zip(dim_x[ids], dim_y[ids], strict=True)}) == 1
        assert len(ids) == 1 or len(ids) * rows * (dim_x + dim_y)[ids[0]] <= cells


def test_the_number_of_shapes_is_bounded():
    n, dim_x, dim_y = some_shapes(20_000, high=6)
    shapes = set()
    for epoch in range(5):
        plan = plan_epoch(n, dim_x, dim_y, Position(0, epoch), batch_size=32, cells=1 << 18)
        leaders = plan.ids[plan.starts[:-1]]
        dims = dim_x[leaders] * dim_y[leaders]
        shapes |= set(zip(dims.tolist(), plan.rows.tolist(), strict=True))
    assert len(shapes) <= 15 * len(LADDER)


def test_planning_an_epoch_of_the_published_size_takes_less_than_a_second():
    shapes = some_shapes(625_000)
    began = time.process_time()
    plan_epoch(*shapes, Position(0), batch_size=32, cells=1 << 18)
    assert time.process_time() - began < 1


def test_rows_follow_a_ladder_of_even_steps():
    assert LADDER[0] == 8
    assert (np.diff(LADDER) > 0).all()
    assert (LADDER[1:] / LADDER[:-1] <= 4 / 3).all()
    assert 10_000 in LADDER


def test_an_abandoned_loader_leaves_no_thread(store):
    batches = Loader(store, Position(0), **LIMITS).forever()
    next(batches)
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("loader")]


def test_an_empty_split_is_refused(store):
    with pytest.raises(ValueError, match="no dataset"):
        Loader(store.where("n < 0"), Position(0))
