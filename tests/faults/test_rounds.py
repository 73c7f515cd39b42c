"""Round after round, one process of a cluster is killed at a random moment; nothing is violated.

Every round starts a scheduler, two workers under their nannies, and one or two clients that fill
one store. Somebody is killed. Whoever is left must end by itself, with exit 0 or 3. Then the store
must hold what it says it holds; when it is sealed, it must be the one of an undisturbed run, and
the next round begins a new one. MISTDATA_ROUNDS says how many rounds (8), MISTDATA_SEED which.
"""

import os
import random
import shutil
import sys
import time
from collections import Counter
from contextlib import ExitStack

import psutil
import pytest

from mistdata.store import ledger
from mistdata.store.commit import sha256_of
from tests.faults.test_kills import (
    PATIENCE,
    digest,
    generate,
    receipts,
    require_same,
    started,
    undisturbed,  # noqa: F401
    wait_for,
)

ROUNDS = int(os.environ.get("MISTDATA_ROUNDS", "8"))
SEED = int(os.environ.get("MISTDATA_SEED", "0"))
VICTIMS = ("worker", "nanny", "client", "scheduler")


def start_cluster(running, folder):
    """Start a scheduler and two nannies; return their processes and the scheduler's file."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    dask = [sys.executable, "-m", "dask"]
    common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", file]
    options = {"cwd": folder}
    scheduler = running.enter_context(
        started([*dask, "scheduler", "--port", "0", *common], **options)
    )
    wait_for(file.exists, "the scheduler")
    worker = [*dask, "worker", *common, "--nthreads", "1", "--death-timeout", "10"]
    return scheduler, [running.enter_context(started(worker, **options)) for _ in range(2)], file


def worker_below(nanny):
    """The process in which the worker of a nanny computes, once there is one."""
    found = []

    def look():
        children = psutil.Process(nanny.pid).children(recursive=True)
        found[:] = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        return found

    wait_for(look, "a worker")
    return found[0]


def require_true_receipts(store):
    """I1: a receipt means that the shard is durable with that hash."""
    record = ledger.read_record(store)
    _, shards = ledger.read_planned(store, record)
    for shard in shards:
        receipt = ledger.valid_receipt(store, shard, record)
        if receipt is not None:
            assert sha256_of(store / shard.file) == receipt.sha256


def play(store, folder, victim, rng):
    """Play one round; return the exit codes of the clients that were not killed."""
    with ExitStack() as running:
        scheduler, nannies, file = start_cluster(running, folder)
        command = generate(store, "--scheduler-file", file)
        clients = [running.enter_context(started(command)) for _ in range(rng.choice((1, 2)))]
        before, more = receipts(store), rng.randint(1, 25)
        wait_for(
            lambda: receipts(store) >= before + more or any(c.poll() is not None for c in clients),
            "work",
        )
        time.sleep(rng.uniform(0, 0.05))
        victims = {
            "worker": lambda: worker_below(nannies[0]),
            "nanny": lambda: psutil.Process(nannies[0].pid),
            "client": lambda: psutil.Process(clients[0].pid),
            "scheduler": lambda: psutil.Process(scheduler.pid),
        }
        victims[victim]().kill()
        left = clients[1:] if victim == "client" else clients
        for client in left:
            client.communicate(timeout=PATIENCE)
        return [client.returncode for client in left]


@pytest.mark.slow
def test_rounds_of_kills_violate_nothing(tmp_path, undisturbed, capsys):  # noqa: F811
    rng, kills, sealed = random.Random(SEED), Counter(), 0
    store = tmp_path / "store"
    for number in range(ROUNDS):
        victim = VICTIMS[number % len(VICTIMS)] if number < 4 else rng.choice(VICTIMS)
        codes = play(store, tmp_path, victim, rng)
        kills[victim] += 1
        assert set(codes) <= {0, 3}, (number, victim, codes)
        require_true_receipts(store)
        if ledger.is_sealed(store):
            require_same(store, undisturbed)
            sealed += 1
            shutil.rmtree(store)
    if store.exists():
        with started(generate(store, "--in-process")) as process:
            process.communicate(timeout=PATIENCE)
        assert digest(store) == digest(undisturbed)
    said = ", ".join(f"{count} {name}s" for name, count in sorted(kills.items()))
    with capsys.disabled():
        sys.stdout.write(
            f" {ROUNDS} rounds, killed {said}; {sealed} stores sealed on the way, 0 violations "
        )
