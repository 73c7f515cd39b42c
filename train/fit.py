"""Fit the estimator to a store: `python -m train.fit --store PATH --out DIR --minutes 2`.

Ctrl-C saves and exits 130; the same command with `--resume` goes on, bit for bit with `--steps`.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import torch
from tqdm import tqdm

import mistdata
from mistdata.errors import MistdataError
from mistdata.estimator import CONFIGS
from mistdata.store.dataset import MetaDataset
from train.evaluate import Scores, compare
from train.trainer import FitConfig, Trainer

INTERRUPTED = 130


def splits(store: MetaDataset, path: str, held_out: str | None) -> tuple[MetaDataset, MetaDataset]:
    """Divide a store into what is trained on and what is held out.

    Args:
        store: a MetaDataset.
        path: named in messages.
        held_out: name of the held-out split, or None for 'validation' or else 'test'.

    Returns:
        The split 'train' and the held-out split.

    Raises:
        ValueError: if either is missing.
    """
    present = sorted(set(store.column("split").tolist()))
    if held_out is None:
        held_out = next((name for name in ("validation", "test") if name in present), None)
    if held_out is None:
        raise ValueError(
            f"{path}: no split 'validation' or 'test' to hold out, only {', '.join(present)}; "
            "name one with --validation or add one to the recipe"
        )
    if held_out == "train":
        raise ValueError(f"{path}: the split 'train' is trained on, it cannot be held out too")
    for name in ("train", held_out):
        if name not in present:
            raise ValueError(f"{path}: no split '{name}', only {', '.join(present)}")
    return store.where("split = 'train'"), store.where(f"split = '{held_out}'")


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
    """Drop the lines of steps that were done but not saved before a crash."""
    if metrics.exists():
        lines = metrics.read_text().splitlines()
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        metrics.write_text("".join(line + "\n" for line in kept))


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
    with interruptible() as received, bar, (out / "metrics.jsonl").open("a") as log:
        for figures in trainer.run():
            log.write(json.dumps(figures) + "\n")
            bar.update(min(trainer.progress, 1.0) - bar.n)
            bar.set_postfix(loss=f"{figures['loss']:.4f}", sets=trainer.datasets)
            if received:
                break
            if trainer.seconds - saved > save_every:
                log.flush()
                trainer.save(out)
                saved = trainer.seconds
        log.flush()
        trainer.save(out)
    return not received


def report(trainer: Trainer, table: dict[str, Scores], out: Path) -> None:
    """Print the held-out figures and keep them in `report.json`."""
    rate = trainer.datasets / trainer.seconds
    parameters = sum(p.numel() for p in trainer.network.parameters())
    print(
        f"{parameters:,} parameters, {trainer.step:,} steps, {trainer.datasets:,} datasets, "
        f"{trainer.seconds:.0f} s, {rate:.0f} datasets/s"
    )
    for name, scores in table.items():
        print(f"{name:>9}: {scores}")
    record = {name: scores._asdict() for name, scores in table.items()}
    record["fit"] = {
        "parameters": parameters,
        "steps": trainer.step,
        "datasets": trainer.datasets,
        "seconds": trainer.seconds,
    }
    (out / "report.json").write_text(json.dumps(record, indent=2) + "\n")


def fit(
    store: str,
    out: Path,
    config: FitConfig,
    *,
    validation: str | None = None,
    resume: bool = False,
    device: str = "cpu",
    save_every: float = 60.0,
) -> dict[str, Scores] | None:
    """Fit a network to a store and write its checkpoint.

    Args:
        store: path of a sealed store.
        out: folder of the checkpoint.
        config: of the fit.
        validation: the held-out split; None for 'validation' or else 'test'.
        resume: go on from the state in `out`.
        device: to compute on.
        save_every: seconds of training between checkpoints.

    Returns:
        The held-out figures, or None if the fit was interrupted.

    Raises:
        ValueError: if the store lacks a split, or `out` holds another fit.
    """
    everything = mistdata.open(store)
    known, held_out = splits(everything, store, validation)
    trainer = Trainer(known, everything.digest, config, device)
    if resume:
        trainer.resume(out)
        forget_after(out / "metrics.jsonl", trainer.step)
    elif (out / "state.safetensors").exists():
        raise ValueError(f"{out}: holds a fit already; go on with --resume or name another folder")
    out.mkdir(parents=True, exist_ok=True)
    if not train(trainer, out, save_every=save_every):
        return None
    table = compare(trainer.averaged(), known, held_out)
    report(trainer, table, out)
    return table


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
@click.option("--store", required=True, help="A sealed store with a split 'train'.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Checkpoint folder.")
@click.option("--config", "size", type=click.Choice(sorted(CONFIGS)), default="small")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Length of training.")
@click.option("--steps", type=click.IntRange(1), help="Length of training, instead of minutes.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True)
@click.option("--validation", metavar="SPLIT", help="Held-out split [validation or test].")
@click.option("--resume", is_flag=True, help="Go on from the state in the checkpoint folder.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option("--threads", type=click.IntRange(1), help="CPU threads [all cores].")
def main(
    store: str,
    out: Path,
    size: str,
    minutes: float | None,
    steps: int | None,
    seed: int,
    validation: str | None,
    resume: bool,
    device: str,
    threads: int | None,
) -> None:
    """Fit the estimator to a store."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        require_device(device)
        config = FitConfig(CONFIGS[size], seed=seed, steps=steps, minutes=minutes)
        table = fit(store, out, config, validation=validation, resume=resume, device=device)
    except (ValueError, MistdataError, OSError) as error:
        click.echo(f"train.fit: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 2)) from None
    if table is None:
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
