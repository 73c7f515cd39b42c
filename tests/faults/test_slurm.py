"""The scripts for Slurm on a real one, of this machine alone: cancel, submit again, seal."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from mistdata.store import ledger
from mistdata.verify import verify
from tests.faults.test_kills import KILL_RECIPE, digest, receipts, started, wait_for

ROOT = Path(__file__).parents[2]
DAEMONS = ("munged", "slurmctld", "slurmd")
CONFIGURATION = """
ClusterName=brief
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=1
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(shutil.which(name) for name in DAEMONS),
        reason="needs Debian's packages slurm-wlm and munge; .ci/run installs them",
    ),
]


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm of one node, with daemons of its own; gone after the test."""
    folder = tmp_path / "slurm"
    (folder / "spool").mkdir(parents=True)
    folder.chmod(0o711)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "slurm.conf").write_text(CONFIGURATION.format(user=user, folder=folder))
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log",
             "seed-file": "seed"}  # fmt: skip
    munge = [f"--{option}={folder}/munge.{suffix}" for option, suffix in files.items()]
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with ExitStack() as daemons:
        daemons.enter_context(started(["munged", "--force", "--foreground", *munge]))
        wait_for((folder / "munge.socket").exists, "munge")
        daemons.enter_context(started(["slurmctld", "-D"]))
        daemons.enter_context(started(["slurmd", "-D", "-N", "localhost"]))
        wait_for(lambda: "idle" in ask("sinfo", "--noheader"), "an idle node")
        yield folder


def ask(*arguments):
    """Run a command of Slurm and return what it prints."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd="/tmp")
    return done.stdout


def submit(logs, script, *arguments):
    """Submit a store; return the number of the job or the array."""
    command = [ROOT / "pipelines" / script, *arguments, f"--output={logs}/%A-%a.out"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=logs)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def in_two_tasks(logs, store):
    """Submit an array of two tasks of one core, and a job that seals."""
    return submit(logs, "slurm.sh", KILL_RECIPE, store, "2", "--ntasks=1")


@pytest.fixture
def undisturbed(tmp_path):
    store = tmp_path / "undisturbed"
    plain = [sys.executable, "-m", "mistdata", "generate", KILL_RECIPE, store]
    subprocess.run([*map(str, plain), "--in-process"], check=True, capture_output=True)
    return store


def test_an_array_whose_task_is_cancelled_goes_on_and_ends_in_the_same_bytes(
    tmp_path, slurm, undisturbed
):
    store = tmp_path / "store"
    array = in_two_tasks(slurm, store)
    wait_for(lambda: receipts(store) >= 5, "the first shards")
    ask("scancel", f"{array}_1")
    wait_for(lambda: not ask("squeue", "--noheader"), "the end of the jobs")
    assert not (store / ledger.MANIFEST).exists()
    assert receipts(store) < receipts(undisturbed)
    in_two_tasks(slurm, store)
    wait_for(lambda: not ask("squeue", "--noheader"), "the end of the jobs")
    assert digest(store) == digest(undisturbed), [p.read_text() for p in slurm.glob("*.out")]
    assert verify(store).ok
    assert json.loads((store / ledger.MANIFEST).read_bytes())["name"] == "kill"


def test_a_dask_job_that_is_cancelled_goes_on_and_ends_in_the_same_bytes(
    tmp_path, slurm, undisturbed
):
    store = tmp_path / "store"
    job = submit(slurm, "slurm_dask.sh", KILL_RECIPE, store, "--ntasks=2")
    wait_for(lambda: receipts(store) >= 5, "the first shards")
    ask("scancel", job)
    wait_for(lambda: not ask("squeue", "--noheader"), "the end of the job")
    assert not (store / ledger.MANIFEST).exists()
    submit(slurm, "slurm_dask.sh", KILL_RECIPE, store, "--ntasks=2")
    wait_for(lambda: not ask("squeue", "--noheader"), "the end of the job")
    assert digest(store) == digest(undisturbed), [p.read_text() for p in slurm.glob("*.out")]
    assert verify(store).ok
    wait_for(lambda: not list(tmp_path.glob(".mistdata-dask-*")), "the certificates to be removed")
