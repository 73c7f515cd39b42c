"""Fit the estimator: `python -m train.fit --store PATH --out DIR --config small --minutes 2`.

Several `--store` are mixed; `--stream RECIPE` trains on endless fresh data without a store.
Ctrl-C saves and exits 130; the same command with `--resume` goes on, bit for bit with `--steps`.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import torch
from tqdm import tqdm

import mistdata
from mistdata.cli.console import Choice
from mistdata.errors import MistdataError
from mistdata.estimator.checkpoint import write_atomically
from mistdata.store.dataset import MetaDataset
from train.curve import draw_curve, read_metrics
from train.held_out import Scores, compare
from train.loader import WINDOW, Loader, Mixture, Position, Resident, Source
from train.networks import CONFIGS, SETTINGS
from train.stream import Stream
from train.trainer import FitConfig, Trainer
from train.utilisation import Utilisation, measure

INTERRUPTED = 130
HELD_OUT = 200  # one distribution in so many is held out of a store that has no other split


def splits(store: MetaDataset, path: str, held_out: str | None) -> tuple[MetaDataset, MetaDataset]:
    """Divide a store into what is trained on and what is held out.

    Args:
        store: a MetaDataset.
        path: named in messages.
        held_out: name of the held-out split; None for 'validation', else 'test', else every 200th
            distribution of 'train'.

    Returns:
        What to train on and what is held out.

    Raises:
        ValueError: if a split is missing, or nothing is left.
    """
    present = sorted(set(store.column("split").tolist()))
    if held_out is None:
        held_out = next((name for name in ("validation", "test") if name in present), None)
    if held_out == "train":
        raise ValueError(f"{path}: the split 'train' is trained on, it cannot be held out too")
    for name in ("train", held_out):
        if name is not None and name not in present:
            raise ValueError(f"{path}: no split '{name}', only {', '.join(present)}")
    if held_out is not None:
        return store.where("split = 'train'"), store.where(f"split = '{held_out}'")
    kept, left = (
        store.where(f"split = 'train' and distribution_id % {HELD_OUT} {sign} {HELD_OUT - 1}")
        for sign in ("<>", "=")
    )
    if not len(left):
        raise ValueError(f"{path}: too few datasets to hold any out; add a split 'validation'")
    return kept, left


@dataclass(frozen=True)
class Data:
    """What a fit learns from and what it is judged by.

    Attributes:
        source: of the batches.
        known: the stores that are trained on; none for streams.
        held_out: the datasets of each store that are not.
    """

    source: Source
    known: tuple[MetaDataset, ...]
    held_out: tuple[MetaDataset, ...]


def open_data(
    stores: tuple[str, ...],
    streams: tuple[Path, ...],
    weights: tuple[float, ...],
    config: FitConfig,
    *,
    validation: str | None = None,
    keep: str = "mapped",
    device: str = "cpu",
    workers: int = 1,
) -> Data:
    """Open the stores and streams of a fit.

    Args:
        stores: paths of sealed stores.
        streams: paths of recipes.
        weights: share of the datasets from each store, then each stream; none for equal shares.
        config: of the fit.
        validation: the held-out split, see `splits`.
        keep: where a store's values are: 'mapped' files, 'streamed' window by window from files
            or a URL, 'memory', or on the 'device'.
        device: to compute on.
        workers: processes for each stream.

    Raises:
        ValueError: if there is nothing to train on, or a store lacks a split.
    """
    count = len(stores) + len(streams)
    if not count:
        raise ValueError("name at least one --store or --stream")
    if weights and (len(weights) != count or min(weights) <= 0):
        raise ValueError(f"--weight: {count} numbers > 0 are needed, got {weights}")
    options: dict[str, Any] = {
        "batch_size": config.batch_size, "cells": config.cells, "pairs": config.pairs,
        "shorten": config.shorten,
    }  # fmt: skip
    opened = [mistdata.open(path) for path in stores]
    halves = [splits(each, path, validation) for each, path in zip(opened, stores, strict=True)]
    sources: list[Source] = []
    for whole, (known, _) in zip(opened, halves, strict=True):
        place = {"memory": "cpu", "device": device}.get(keep)
        values = known if place is None else Resident(known, place)
        sources.append(
            Loader(
                values,
                Position(config.seed),
                **options,
                window=WINDOW if keep == "streamed" else None,
                **provenance(whole),
            )
        )
    sources += [Stream(path, config.seed, workers=workers, **options) for path in streams]
    source = Mixture(sources, weights or (1.0,) * count)
    return Data(source, tuple(half[0] for half in halves), tuple(half[1] for half in halves))


def provenance(store: MetaDataset) -> dict[str, Any]:
    """Say where a store comes from; its plan is the hash of its recipe, limit and flows."""
    origin: dict[str, Any] = {"digest": store.digest}
    if store.manifest is None:
        return {"origin": origin}
    origin |= {"version": store.manifest.version, "plan": store.manifest.plan}
    return {"name": store.manifest.name, "origin": origin}


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in the list that is yielded, instead of stopping at once."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(each, lambda number, _: received.append(number)) for each in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def forget_after(metrics: Path, step: int) -> None:
    """Drop the lines of steps that were done but not saved before a crash, and one cut short."""
    if metrics.exists():
        whole = metrics.read_text().split("\n")[:-1]
        kept = [line for line in whole if json.loads(line)["step"] <= step]
        write_atomically(metrics, "".join(line + "\n" for line in kept).encode())


def train(trainer: Trainer, out: Path, *, save_every: float) -> bool:
    """Run the fit, writing `metrics.jsonl` and a checkpoint now and then.

    Args:
        trainer: at any step.
        out: folder of the checkpoint; exists.
        save_every: seconds of training between checkpoints.

    Returns:
        True at the end of the fit, False if it was interrupted; saved in both cases.
    """
    saved = trainer.seconds
    bar = tqdm(
        total=1.0, initial=trainer.progress, disable=None, bar_format="{l_bar}{bar}{postfix}"
    )
    with interruptible() as received, bar, (out / "metrics.jsonl").open("a", 1) as log:
        for figures in trainer.run():
            log.write(json.dumps(figures) + "\n")
            bar.update(min(trainer.progress, 1.0) - bar.n)
            bar.set_postfix(loss=f"{figures['loss']:.4f}", sets=trainer.datasets)
            if received:
                break
            if trainer.seconds - saved > save_every:
                trainer.save(out)
                saved = trainer.seconds
        trainer.save(out)
    return not received


def report(
    trainer: Trainer, tables: list[dict[str, Scores]], used: Utilisation, out: Path
) -> None:
    """Print the held-out figures of each store and the speed, and keep them in `report.json`."""
    parameters = sum(p.numel() for p in trainer.network.parameters())
    print(
        f"{parameters:,} parameters, {trainer.step:,} steps, {trainer.datasets:,} datasets, "
        f"{trainer.seconds:.0f} s, {trainer.datasets / trainer.seconds:.0f} datasets/s"
    )
    print(used)
    for number, table in enumerate(tables):
        if len(tables) > 1:
            print(f"held out of store {number + 1}:")
        for name, scores in table.items():
            print(f"{name:>9}: {scores}")
    record: dict[str, Any] = {
        "held_out": [{k: v._asdict() for k, v in table.items()} for table in tables],
        "utilisation": used._asdict(),
        "fit": {
            "parameters": parameters,
            "steps": trainer.step,
            "datasets": trainer.datasets,
            "seconds": trainer.seconds,
        },
    }
    (out / "report.json").write_text(json.dumps(record, indent=2) + "\n")


def fit(
    data: Data,
    out: Path,
    config: FitConfig,
    *,
    resume: bool = False,
    device: str = "cpu",
    threads: int = 1,
    compile_blocks: bool = False,
    save_every: float = 60.0,
    begin: str | None = None,
) -> list[dict[str, Scores]] | None:
    """Fit a network and write its checkpoint.

    Args:
        data: to learn from.
        out: folder of the checkpoint.
        config: of the fit.
        resume: go on from the state in `out`.
        device: to compute on.
        threads: batches computed at a time, on the CPU.
        compile_blocks: compile the pair blocks.
        save_every: seconds of training between checkpoints.
        begin: weights to begin with, see `Trainer.begin_with`.

    Returns:
        The held-out figures of each store, or None if the fit was interrupted.

    Raises:
        ValueError: if `out` holds another fit, or `begin` holds other widths.
        FloatingPointError: the loss has diverged.
    """
    trainer = Trainer(data.source, config, device, threads, compile_blocks)
    if begin is not None:
        trainer.begin_with(begin)
    if resume:
        trainer.resume(out)
    elif (out / "state.safetensors").exists():
        raise ValueError(f"{out}: holds a fit already; go on with --resume or name another folder")
    out.mkdir(parents=True, exist_ok=True)
    forget_after(out / "metrics.jsonl", trainer.step)
    if not train(trainer, out, save_every=save_every):
        return None
    draw_curve(out)
    used = measure(trainer, wait_share(out))
    network = trainer.averaged()
    tables = [
        compare(network, known, held_out)
        for known, held_out in zip(data.known, data.held_out, strict=True)
    ]
    report(trainer, tables, used, out)
    return tables


def wait_share(out: Path) -> float:
    """Share of the training time that was spent waiting for data, from `metrics.jsonl`."""
    lines = read_metrics(out)
    spent = [b["seconds"] - a["seconds"] for a, b in pairwise([{"seconds": 0.0}, *lines])]
    waited = sum(line["wait"] * time for line, time in zip(lines, spent, strict=True))
    return waited / max(sum(spent), 1e-9)


def require_device(device: str) -> None:
    """Refuse a device that torch does not know or cannot compute on.

    Raises:
        ValueError: naming the device.
    """
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {device}: cannot compute on it: {reason}") from None


@click.command()
@click.option("--store", "stores", multiple=True, help="A sealed store with a split 'train'.")
@click.option(
    "--stream", "streams", multiple=True, type=click.Path(path_type=Path, exists=True),
    help="A recipe, whose datasets are made while training.",
)  # fmt: skip
@click.option("--weight", "weights", multiple=True, type=float, help="Share of each of them.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Checkpoint folder.")
@click.option("--config", "size", type=Choice(sorted(CONFIGS)), default="small")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Length of training.")
@click.option("--steps", type=click.IntRange(1), help="Length of training, instead of minutes.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True)
@click.option("--validation", metavar="SPLIT", help="Held-out split [validation or test].")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Peak of the learning rate.")
@click.option(
    "--begin", metavar="WEIGHTS",
    help="Begin with these weights, e.g. small: to fine-tune them, or to grow a deeper network.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from the state in the checkpoint folder.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option(
    "--keep", type=Choice(["mapped", "streamed", "memory", "device"]), default="mapped",
    show_default=True, help="Where the values of the stores are.",
)  # fmt: skip
@click.option("--compile", "compile_blocks", is_flag=True, help="Compile the network (GPU).")
@click.option("--threads", type=click.IntRange(1), help="CPU threads [all cores].")
@click.option("--workers", type=click.IntRange(1), help="Processes for --stream [all cores].")
def main(
    stores: tuple[str, ...],
    streams: tuple[Path, ...],
    weights: tuple[float, ...],
    out: Path,
    size: str,
    minutes: float | None,
    steps: int | None,
    seed: int,
    validation: str | None,
    rate: float | None,
    begin: str | None,
    resume: bool,
    device: str,
    keep: str,
    compile_blocks: bool,
    threads: int | None,
    workers: int | None,
) -> None:
    """Fit the estimator to stores, or to a stream of fresh data."""
    cores = os.cpu_count() or 1
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    # One batch to a core is faster than many cores to a batch.
    torch.set_num_threads(1)
    try:
        require_device(device)
        settings = SETTINGS.get(size, {}) | ({} if rate is None else {"learning_rate": rate})
        config = FitConfig(CONFIGS[size], seed=seed, steps=steps, minutes=minutes, **settings)
        data = open_data(
            stores, streams, weights, config, validation=validation, keep=keep, device=device,
            workers=workers or cores,
        )  # fmt: skip
        tables = fit(
            data,
            out,
            config,
            resume=resume,
            device=device,
            threads=threads or cores,
            compile_blocks=compile_blocks,
            begin=begin,
        )
    except (ValueError, FloatingPointError, MistdataError, OSError) as error:
        click.echo(f"train.fit: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None
    if tables is None:
        click.echo(f"interrupted; saved in {out}, go on with --resume", err=True)
        raise SystemExit(INTERRUPTED)


def run() -> None:
    """Run the command; Ctrl-C at any moment exits 130."""
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    run()
