"""A fit can be stopped and resumed bit for bit, refuses what is not its own, and learns."""

import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import psutil
import pytest
import torch
from click.testing import CliRunner

import mistdata
from mistdata.estimator import Estimator, NetworkConfig, Training, load_network
from mistdata.estimator.checkpoint import save_weights
from mistdata.estimator.sample import Sample
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import read_recipe
from tests.train.test_workers import workers_of
from train.fit import fit, main, open_data, splits
from train.gradients import Gradients, Work, batch_loss, reflected
from train.held_out import by_shape, compare, constant, predict, rungs_of, score
from train.loader import LADDER, Batch, Loader, Mixture, Position, Resident
from train.picture import draw
from train.trainer import FitConfig, Trainer, schedule
from train.utilisation import measure

TINY = NetworkConfig(cell=4, cell_hidden=8, pair=16, product=8, blocks=1, row=16)
CONFIG = FitConfig(TINY, seed=3, steps=8, batch_size=8, datasets=12)


@pytest.fixture(scope="module")
def halves(small_store):
    return splits(mistdata.open(small_store), "store", None)


@pytest.fixture(scope="module")
def checkpoint(small_store, tmp_path_factory):
    out = tmp_path_factory.mktemp("fit") / "checkpoint"
    fit(data(small_store), out, CONFIG)
    return out


def data(store, config=CONFIG):
    return open_data((str(store),), (), (), config)


def trainer_of(half, config=CONFIG, digest="digest", threads=1):
    origin = {"digest": digest}
    loader = Loader(
        half, Position(config.seed), batch_size=config.batch_size, shorten=0.25, origin=origin
    )
    return Trainer(Mixture([loader], [1]), config, threads=threads)


def run(trainer, until=None):
    return [figures["loss"] for figures in trainer.run(until)]


def equal(one, other):
    return all(torch.equal(other[name], tensor) for name, tensor in one.items())


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_resuming_changes_no_bit(halves, tmp_path, optimizer):
    config = replace(CONFIG, optimizer=optimizer)
    straight = trainer_of(halves[0], config)
    losses = run(straight)
    first = trainer_of(halves[0], config)
    begun = run(first, until=3)
    first.save(tmp_path)
    second = trainer_of(halves[0], config)
    second.resume(tmp_path)
    assert begun + run(second) == losses
    assert second.step == straight.step == 8
    assert second.source.state() == straight.source.state()
    assert second.seen == straight.seen
    assert equal(straight.network.state_dict(), second.network.state_dict())
    assert equal(straight.average, second.average)


def test_processes_change_no_bit(halves):
    one, two = trainer_of(halves[0]), trainer_of(halves[0], threads=2)
    assert run(one, until=4) == run(two, until=4)
    assert equal(one.network.state_dict(), two.network.state_dict())


def test_the_gradient_is_the_mean_over_the_datasets_of_a_step(halves):
    """By hand, in one batch after the other, against what the optimizer is given."""
    trainer = trainer_of(halves[0])
    rng = np.random.default_rng([CONFIG.seed, 0])
    works = [trainer.work(batch, rng) for batch in islice(trainer.source.forever(), 3)]
    total = sum(len(work.batch.ids) for work in works)
    for work in works:
        (batch_loss(trainer.network, work, CONFIG.long) / total).backward()
    expected = [parameter.grad.clone() for parameter in trainer.parameters]
    trainer.network.zero_grad()
    with Gradients(trainer.network, CONFIG.long, processes=1) as gradients:
        found = [gradient for _, gradient in gradients.of(works)]
    for number, gradient in enumerate(expected):
        summed = sum(each[number] for each in found) / total
        torch.testing.assert_close(summed, gradient, rtol=1e-4, atol=1e-7)


def test_values_that_are_on_the_device_already_meet_the_signs_there():
    device = torch.device("meta")
    batch = Batch(torch.empty(2, 40, 3, device=device), 1, torch.zeros(2), np.arange(2))
    signs = torch.ones(2, 1, 3)
    assert reflected(Work(batch, signs, "rank", 32), device).device == device


@pytest.mark.parametrize("keep", ["memory", "device"])
def test_a_fit_to_values_in_memory_is_that_to_files(small_store, keep):
    """The device is the CPU here."""
    arguments = (str(small_store),), (), (), CONFIG
    kept = open_data(*arguments, keep=keep).source
    assert isinstance(kept.sources[0].store, Resident)
    losses = [
        run(Trainer(source, CONFIG), until=2) for source in (open_data(*arguments).source, kept)
    ]
    assert losses[0] == losses[1]


def test_a_fit_leaves_the_global_generator_alone(halves):
    before = torch.get_rng_state()
    run(trainer_of(halves[0]), until=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_small_network_learns_a_small_store(halves):
    config = FitConfig(TINY, steps=60, datasets=24, learning_rate=1e-2)
    trainer = trainer_of(halves[0], config)
    run(trainer)
    table = compare(trainer.averaged(), halves[0], halves[0])
    assert table["network"].pinball < 0.4 * table["constant"].pinball
    assert table["network"].r2 > 0.8


def test_a_deeper_network_begins_with_the_answers_of_a_shallower_one(halves, checkpoint):
    deeper = replace(CONFIG, network=replace(TINY, blocks=3))
    trainer = trainer_of(halves[0], deeper)
    trainer.begin_with(checkpoint)
    shallow, training = load_network(checkpoint)
    values = torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(trainer.averaged()(values, 2), shallow(values, 2))
    run(trainer, until=2)
    for block in trainer.network.blocks:
        assert all(each.detach().abs().max() > 0 for each in block.parameters() if each.ndim > 1)
    begun = trainer.training().begun
    assert begun["done"] == training.done and begun["recipe"]["network"]["blocks"] == 1
    assert trainer.training().n[0] <= training.n[0] and trainer.training().n[1] >= training.n[1]


def test_a_fit_that_began_with_weights_resumes_with_them_only(halves, checkpoint, tmp_path):
    trainer = trainer_of(halves[0])
    trainer.begin_with(checkpoint)
    run(trainer, until=2)
    trainer.save(tmp_path)
    again = trainer_of(halves[0])
    with pytest.raises(ValueError, match="fitted with begin = "):
        again.resume(tmp_path)
    again.begin_with(checkpoint)
    again.resume(tmp_path)
    assert run(again) == run(trainer)
    found, before = again.training(), trainer.training()
    assert (found.begun, found.recipe, found.data) == (before.begun, before.recipe, before.data)
    assert load_network(tmp_path)[1].begun["done"]["steps"] == CONFIG.steps


def test_a_fit_may_begin_with_weights_that_know_no_rate(halves, tmp_path):
    network = trainer_of(halves[0]).network
    ranges = Training(n=(50, 500), dim=(1, 4), mi=(0.0, 3.0))
    save_weights(tmp_path, TINY, network.state_dict(), ranges)
    trainer = trainer_of(halves[0])
    trainer.begin_with(tmp_path)
    run(trainer, until=1)
    trainer.save(tmp_path / "fit")
    assert load_network(tmp_path / "fit")[1].rate == (0.0, math.inf)


@pytest.mark.parametrize("other", [{"pair": 8}, {"blocks": 0}])
def test_other_widths_or_fewer_blocks_are_no_beginning(halves, checkpoint, other):
    trainer = trainer_of(halves[0], replace(CONFIG, network=replace(TINY, **other)))
    with pytest.raises(ValueError, match=f"it has {next(iter(other))} = "):
        trainer.begin_with(checkpoint)


def test_a_save_that_finds_no_room_leaves_what_was_saved(halves, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    trainer = trainer_of(halves[0])
    run(trainer, until=1)
    trainer.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run(trainer, until=2)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, "fsync", full)
        trainer.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_store_is_refused(halves, checkpoint):
    with pytest.raises(ValueError, match=r"the fit belongs to .*, got .*'other'"):
        trainer_of(halves[0], digest="other").resume(checkpoint)


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"steps": 9}, {"network": replace(TINY, pair=8)}, {"datasets": 3}]
)
def test_another_fit_is_refused(halves, small_store, checkpoint, change):
    config = replace(CONFIG, **change)
    trainer = Trainer(data(small_store, config).source, config)
    with pytest.raises(ValueError, match=f"fitted with {next(iter(change))} = [^\n]*$"):
        trainer.resume(checkpoint)


def test_a_folder_without_a_state_cannot_be_resumed(halves, tmp_path):
    with pytest.raises(ValueError, match="nothing to resume"):
        trainer_of(halves[0]).resume(tmp_path)


def test_a_fit_is_never_overwritten(small_store, checkpoint):
    with pytest.raises(ValueError, match="holds a fit already"):
        fit(data(small_store), checkpoint, CONFIG)


def test_a_checkpoint_folder_says_what_it_holds(small_store, checkpoint):
    names = sorted(path.name for path in checkpoint.iterdir())
    assert names == [
        "curve.png",
        "metrics.jsonl",
        "report.json",
        "state.safetensors",
        "weights.safetensors",
    ]
    lines = [json.loads(line) for line in (checkpoint / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    network, training = load_network(checkpoint)
    assert network.config == TINY
    assert training.done["steps"] == 8
    assert training.recipe == CONFIG.to_json()


def test_weights_say_recipe_store_and_code(small_store, small_recipe, checkpoint):
    store = mistdata.open(small_store)
    training = load_network(checkpoint)[1]
    (data,) = training.data["mixture"]
    assert data == {
        "name": "small",
        "version": 1,
        "plan": make_plan(read_recipe(small_recipe)).hash,
        "digest": store.digest,
        "datasets": len(store.where("split = 'train'")),
        "weight": 1.0,
    }
    here = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    commit = training.done["commit"]
    if here.returncode:
        assert commit is None
    else:
        assert commit.removesuffix("-dirty") == here.stdout.strip()


def test_a_fitted_network_estimates_what_the_evaluation_says(halves, checkpoint):
    """Of datasets whose n is a rung of the ladder, which the evaluation reads whole."""
    rungs = ", ".join(map(str, LADDER))
    known, estimator = halves[0].where(f"n in ({rungs})"), Estimator.load(checkpoint)
    assert len(set(known.column("n"))) > 5
    quantiles = predict(estimator.network, known)
    samples = [Sample(each.x.astype(float), each.y.astype(float)) for each in known]
    answers = estimator.answers(samples, level=0.9, units="nats")
    found = [answer.quantiles for answer in answers]
    np.testing.assert_allclose(found, quantiles, rtol=1e-4, atol=1e-4)


def test_the_evaluation_loses_no_more_rows_than_the_ladder_says(halves):
    for half in halves:
        seen = []
        for members, part in rungs_of(half):
            n = half.column("n")[members]
            assert np.array_equal(part.column("n"), n)
            assert n.max() / n.min() < 9 / 8
            seen.append(members)
        assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(len(half)))


def test_trivial_predictors_see_training_labels_only(halves):
    known, held_out = halves
    mi = known.column("mi")
    everywhere = constant(known, held_out, TINY.levels)
    np.testing.assert_allclose(everywhere[-1], np.quantile(mi, TINY.levels))
    figures = score(constant(known, known, TINY.levels), mi, TINY.levels)
    assert abs(figures.coverage - 0.9) < 0.05
    nearer = score(by_shape(known, known, TINY.levels), mi, TINY.levels)
    assert nearer.pinball < figures.pinball


def test_a_picture_is_drawn(small_store, checkpoint, tmp_path):
    draw(checkpoint, str(small_store), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_store_without_a_held_out_split_holds_out_some_distributions(halves, monkeypatch):
    monkeypatch.setattr("train.fit.HELD_OUT", 10)
    known, left = splits(halves[0], "store", None)
    assert len(known) + len(left) == len(halves[0])
    assert set(left.column("distribution_id") % 10) == {9}
    assert not set(known.column("distribution_id")) & set(left.column("distribution_id"))


def test_a_split_that_is_not_there_is_refused(halves):
    with pytest.raises(ValueError, match="no split 'nowhere', only train"):
        splits(halves[0], "store", "nowhere")
    with pytest.raises(ValueError, match="too few datasets to hold any out"):
        splits(halves[0], "store", None)


def test_a_misspelt_choice_gets_a_suggestion():
    result = CliRunner().invoke(main, ["--config", "smal"])
    assert result.exit_code == 2
    assert "did you mean 'small'?" in result.output


def test_the_command_line_reports_and_refuses_in_one_line(small_store, tmp_path):
    arguments = ["--store", str(small_store), "--out", str(tmp_path / "a"), "--threads", "1",
                 "--rate", "0.002"]  # fmt: skip
    result = CliRunner().invoke(main, [*arguments, "--steps", "2"])
    assert result.exit_code == 0, result.output
    assert load_network(tmp_path / "a")[1].recipe["learning_rate"] == 0.002
    assert re.search(r"network: pinball .* MSE .* covered", result.output)
    result = CliRunner().invoke(main, [*arguments, "--steps", "3", "--resume"])
    assert result.exit_code == 2
    assert result.output == f"train.fit: {tmp_path / 'a'}: fitted with steps = 2, asked for 3\n"


def await_a_step(out, alive):
    """Wait until a fit has written figures."""
    while not (out / "metrics.jsonl").exists() or not (out / "metrics.jsonl").stat().st_size:
        assert alive()
        time.sleep(0.1)


def interrupt_after_a_step(out):
    """Send Ctrl-C to the fit that the main thread of this process does."""
    ends = time.monotonic() + 120
    await_a_step(out, lambda: time.monotonic() < ends)
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_saves_and_exits_130(small_store, tmp_path):
    arguments = ["--store", str(small_store), "--out", str(tmp_path / "a"), "--threads", "1"]
    watch = threading.Thread(target=interrupt_after_a_step, args=(tmp_path / "a",))
    watch.start()
    result = CliRunner().invoke(main, [*arguments, "--minutes", "5"])
    watch.join()
    assert result.exit_code == 130, result.output
    assert "--resume" in result.output
    assert (tmp_path / "a" / "state.safetensors").exists()


def begun_fit(store, out):
    """A real fit on two processes that has done a step, and those processes."""
    command = [sys.executable, "-m", "train.fit", "--store", store, "--out", out]
    fitting = subprocess.Popen([*map(str, command), "--steps", "100000", "--threads", "2"])
    await_a_step(out, lambda: fitting.poll() is None)
    return fitting, workers_of(fitting.pid)


@pytest.mark.slow
def test_processes_end_with_a_fit_that_is_killed(small_store, tmp_path):
    fitting, children = begun_fit(small_store, tmp_path / "a")
    assert len(children) == 2
    fitting.kill()
    fitting.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive


@pytest.mark.slow
def test_an_interrupt_while_a_stream_is_made_is_saved(small_recipe, tmp_path):
    """Of the whole group, as a terminal sends it."""
    command = [sys.executable, "-m", "train.fit", "--stream", small_recipe, "--out", tmp_path]
    options = ["--steps", "100000", "--threads", "1", "--workers", "1"]
    fitting = subprocess.Popen([*map(str, command), *options], start_new_session=True)
    while not (workers := workers_of(fitting.pid)):
        assert fitting.poll() is None
        time.sleep(0.01)
    os.killpg(fitting.pid, signal.SIGINT)
    assert fitting.wait() == 130
    assert (tmp_path / "state.safetensors").exists()
    assert not psutil.wait_procs(workers, timeout=60)[1]


def test_operations_are_counted_with_the_comparisons_of_the_fit(halves):
    flops = []
    for comparisons in (1, CONFIG.comparisons):
        trainer = trainer_of(halves[0], replace(CONFIG, comparisons=comparisons))
        trainer.datasets, trainer.seconds = 1, 1.0
        flops.append(measure(trainer, 0.0, batches=3).flops)
    assert flops[0] < 0.9 * flops[1]


def test_the_schedule_warms_up_and_decays():
    rates = [schedule(progress, 0.1) for progress in (0.0, 0.05, 0.1, 0.55, 1.0)]
    assert rates[0] < rates[1] < rates[2] == 1
    assert rates[2] > rates[3] > rates[4] == pytest.approx(0.01)


@pytest.mark.parametrize("length", [{}, {"steps": 1, "minutes": 1.0}])
def test_a_fit_has_one_length(length):
    with pytest.raises(ValueError, match="either steps or minutes"):
        FitConfig(TINY, **length)


def test_metrics_survive_a_crash_once_each(small_store, checkpoint, tmp_path):
    out = tmp_path / "fit"
    fit(data(small_store), out, CONFIG)
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))
    later = json.dumps({"step": CONFIG.steps + 1}) + "\n"
    with (out / "metrics.jsonl").open("a") as log:
        log.write(later + later[:5])  # done, but not saved before the crash, the last in part
    fit(data(small_store), out, CONFIG, resume=True)
    resumed = (out / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in resumed] == steps


def test_metrics_of_a_fit_that_was_never_saved_are_forgotten(small_store, tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    fit(data(small_store), tmp_path, CONFIG)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))


def test_a_fit_that_diverges_ends_in_one_line(small_store, tmp_path):
    arguments = ["--store", str(small_store), "--out", str(tmp_path), "--threads", "1"]
    result = CliRunner().invoke(main, [*arguments, "--steps", "9", "--rate", "1e38"])
    assert result.exit_code == 2
    assert re.fullmatch(r"train.fit: the gradient at step \d+ is not finite\n", result.output)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--steps", "1", "--device", "nowhere"], "--device nowhere: cannot compute on it"),
        (["--minutes", "nan"], "minutes must be a number > 0"),
        (["--steps", "1", "--validation", "train"], "cannot be held out too"),
    ],
)
def test_misuse_is_one_line(small_store, tmp_path, options, part):
    arguments = ["--store", str(small_store), "--out", str(tmp_path / "x"), *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert part in result.output
    assert len(result.output.splitlines()) == 1


def test_a_held_out_split_of_one_value_has_no_r2():
    scores = score(np.array([[0.1, 0.2, 0.3]]), np.array([0.2]), (0.05, 0.5, 0.95))
    assert np.isnan(scores.r2)
    assert scores.mse == 0.0
