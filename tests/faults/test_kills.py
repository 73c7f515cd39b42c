"""Real processes killed for real: nothing is lost or doubled, and the bytes are the same."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import trustme

from mistdata.pipeline.executors import local_cluster
from mistdata.store import ledger
from mistdata.verify import verify

KILL_RECIPE = Path(__file__).parents[1] / "data" / "kill.toml"
PATIENCE = 120


def command(*arguments):
    return [sys.executable, "-m", "mistdata", *map(str, arguments)]


def generate(store, *options):
    return command("generate", KILL_RECIPE, store, *options)


def run(*arguments):
    return subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def started(arguments, **options):
    """Start a process group, and end whatever is left of it."""
    process = subprocess.Popen(
        list(map(str, arguments)),
        **{"stdout": subprocess.DEVNULL} | options,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # also what a dead process left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE} s for {what}")
        time.sleep(0.005)


def receipts(store):
    return len(list((store / ledger.RECEIPTS).glob("*/*.json")))


def in_the_middle(store):
    wait_for(lambda: receipts(store) >= 5, "the first receipts")


def workers_of(process):
    """Return the processes that fill shards, below the client's."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def digest(store):
    return json.loads((store / ledger.MANIFEST).read_bytes())["digest"]


def require_same(store, undisturbed):
    assert digest(store) == digest(undisturbed)
    report = verify(store)
    assert report.ok, report.problems
    assert report.checked["shards"] == receipts(undisturbed)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    store = tmp_path_factory.mktemp("stores") / "undisturbed"
    assert run(*generate(store, "--in-process")).returncode == 0
    return store


def test_a_killed_worker_is_replaced(tmp_path, undisturbed):
    store = tmp_path / "store"
    with started(generate(store, "--workers", 2, "--json"), stdout=subprocess.PIPE) as process:
        in_the_middle(store)
        workers_of(process)[0].kill()
        said = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0
    require_same(store, undisturbed)
    assert json.loads(said)["run"]["retries"] > 0


def test_a_killed_client_takes_its_workers_along_and_the_rerun_completes(tmp_path, undisturbed):
    store = tmp_path / "store"
    with started(generate(store, "--workers", 2)) as process:
        in_the_middle(store)
        workers = workers_of(process)
        process.kill()
        process.wait()
        wait_for(lambda: not any(map(psutil.Process.is_running, workers)), "the workers to end")
    assert not (store / ledger.MANIFEST).exists()
    assert run(*generate(store, "--workers", 2)).returncode == 0
    require_same(store, undisturbed)


def test_ctrl_c_exits_130_and_leaves_a_resumable_store(tmp_path, undisturbed):
    for attempt in range(15):
        store = tmp_path / f"store{attempt}"
        with started(generate(store, "--workers", 2)) as process:
            in_the_middle(store)
            os.killpg(process.pid, signal.SIGINT)  # what a terminal does
            _, errors = process.communicate(timeout=PATIENCE)
        if process.returncode != 0:
            break  # else it was over before the signal came, and shows nothing
    assert process.returncode == 130
    assert errors.strip() == "mistdata: interrupted; run the same command again to resume"
    assert run(*generate(store, "--in-process")).returncode == 0
    require_same(store, undisturbed)


@contextmanager
def cluster(folder, *options, host="127.0.0.1", workers=()):
    """A scheduler and workers in processes of their own, on loopback; `workers`: more options."""
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    common = ["--host", host, "--no-dashboard", "--scheduler-file", file, *options]
    scheduler = [*dask, "scheduler", "--port", "0", *common]
    worker = [*dask, "worker", *common, "--nthreads", "1"]
    quiet = {"cwd": folder}
    with started(scheduler, **quiet) as process:
        wait_for(file.exists, "the scheduler")
        with started([*worker, "--nworkers", "2", "--death-timeout", "20", *workers], **quiet):
            yield process, file


@pytest.mark.slow
def test_a_killed_scheduler_means_exit_3_and_the_rerun_completes(tmp_path, undisturbed):
    store = tmp_path / "store"
    with (
        cluster(tmp_path) as (scheduler, file),
        started(generate(store, "--scheduler-file", file)) as process,
    ):
        in_the_middle(store)
        scheduler.kill()
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 3, errors
    assert "resume" in errors.splitlines()[-1]
    assert run(*generate(store, "--workers", 1)).returncode == 0
    require_same(store, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "made", ["__version__ = '0.0.9'", "pipeline.fill.fingerprint = lambda: {'probe': 'another'}"]
)
def test_workers_of_another_version_or_machine_are_named_with_exit_6(tmp_path, made):
    other = tmp_path / "other.py"
    other.write_text(f"import mistdata.pipeline.fill\n\nmistdata.{made}\n")
    store = tmp_path / "store"
    with cluster(tmp_path, workers=["--preload", other]) as (_, file):
        done = run(*generate(store, "--scheduler-file", file))
    assert done.returncode == 6
    assert len(done.stderr.splitlines()) == 1
    assert f"{socket.gethostname()} (process " in done.stderr
    assert receipts(store) == 0


def test_a_local_cluster_listens_on_loopback_only():
    with local_cluster(1) as local:
        addresses = [local.scheduler_address, *local.scheduler_info["workers"]]
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        listening = {
            each.laddr.ip
            for process in processes
            for each in process.net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        }
    assert len(addresses) == 2 and all("//127.0.0.1:" in each for each in addresses)
    assert listening == {"127.0.0.1"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and one certificate for every party of a cluster on loopback."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "own.pem")
    return folder / "ca.pem", folder / "own.pem"


@pytest.mark.slow
def test_a_scheduler_with_tls_takes_no_one_without_a_certificate(
    tmp_path, undisturbed, certificates
):
    ca, own = certificates
    tls = ["--tls-ca-file", ca, "--tls-cert", own, "--tls-key", own, "--protocol", "tls"]
    store, stranger = tmp_path / "store", tmp_path / "stranger"
    with cluster(tmp_path, *tls) as (_, file):
        address = json.loads(file.read_text())["address"]
        assert address.startswith("tls://")
        refused = run(*generate(stranger, "--scheduler", address))
        known = ["--tls-ca", ca, "--tls-cert", own, "--tls-key", own]
        done = run(*generate(store, "--scheduler", address, *known))
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert done.returncode == 0, done.stderr
    require_same(store, undisturbed)


@pytest.mark.slow
def test_workers_come_and_go_as_the_work_needs_them(tmp_path, undisturbed):
    store = tmp_path / "store"
    assert run(*generate(store, "--adapt", "0:2")).returncode == 0
    require_same(store, undisturbed)


def test_two_generators_on_one_store_end_in_one_dataset(tmp_path, undisturbed):
    store = tmp_path / "store"
    with (
        started(generate(store, "--in-process")) as one,
        started(generate(store, "--in-process")) as other,
    ):
        one.communicate(timeout=PATIENCE)
        other.communicate(timeout=PATIENCE)
    assert (one.returncode, other.returncode) == (0, 0)
    require_same(store, undisturbed)


@pytest.mark.slow
def test_generators_that_race_from_the_first_file_to_the_seal(tmp_path, small_recipe):
    for attempt in range(5):
        store = tmp_path / str(attempt)
        race = command("generate", small_recipe, store, "--in-process")
        with started(race) as one, started(race) as two, started(race) as three:
            errors = [process.communicate(timeout=PATIENCE)[1] for process in (one, two, three)]
            assert [one.returncode, two.returncode, three.returncode] == [0, 0, 0], errors
        report = verify(store)
        assert report.ok, report.problems
        assert report.sealed


@pytest.mark.slow
def test_repeated_kills_of_everything_converge(tmp_path, undisturbed):
    store = tmp_path / "store"
    kills = 0
    while not (store / ledger.MANIFEST).exists() and kills < 8:
        before = receipts(store)
        with started(generate(store, "--workers", 2)) as process:
            wait_for(lambda b=before: receipts(store) > b or process.poll() is not None, "work")
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
    assert run(*generate(store, "--workers", 2)).returncode == 0
    assert kills >= 5
    require_same(store, undisturbed)
