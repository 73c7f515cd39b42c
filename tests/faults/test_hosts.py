"""Several hosts: network namespaces with addresses of their own, and one shared folder."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
import trustme

from tests.faults.test_kills import (
    PATIENCE,
    generate,
    in_the_middle,
    require_same,
    run,
    started,
    undisturbed,  # noqa: F401
)

HOSTS = ("scheduler", "one", "two", "client")
# Dask waits minutes for a host that went silent; the test does not.
IMPATIENT = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "12s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "10s",
}

pytestmark = pytest.mark.slow


def ip(*arguments, namespace=None):
    inside = ["netns", "exec", namespace, "ip"] if namespace else []
    command = ["ip", *inside, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def named(host):
    return f"mistdata-{os.getpid()}-{host}"


@contextmanager
def network():
    """Hosts on one switch; yield the address of each."""
    switch, addresses = f"mdsw{os.getpid() % 100_000}", {}
    if ip("link", "add", switch, "type", "bridge").returncode:
        pytest.skip("only root may make network namespaces")
    try:
        ip("link", "set", switch, "up")
        for number, host in enumerate(HOSTS):
            space, cable = named(host), f"md{os.getpid() % 100_000}-{number}"
            addresses[host] = f"10.231.7.{number + 1}"
            assert ip("netns", "add", space).returncode == 0
            ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", cable, "master", switch, "up")
            ip("addr", "add", f"{addresses[host]}/24", "dev", "eth0", namespace=space)
            ip("link", "set", "eth0", "up", namespace=space)
            ip("link", "set", "lo", "up", namespace=space)
        yield addresses
    finally:
        for host in HOSTS:
            ip("netns", "del", named(host))
        ip("link", "del", switch)


def on(host, command):
    return ["ip", "netns", "exec", named(host), *map(str, command)]


@pytest.fixture
def certificates(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("scheduler")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    return tmp_path / "ca.pem", tmp_path / "own.pem"


def test_a_host_that_is_cut_off_in_the_middle_is_done_without(
    tmp_path,
    undisturbed,  # noqa: F811
    certificates,
):
    ca, own = certificates
    tls = ["--tls-ca-file", ca, "--tls-cert", own, "--tls-key", own, "--protocol", "tls"]
    dask = [sys.executable, "-m", "dask"]
    options = {"env": os.environ | IMPATIENT, "cwd": tmp_path}
    store = tmp_path / "store"
    with network() as addresses, ExitStack() as running:
        address = f"tls://{addresses['scheduler']}:8786"
        scheduler = [*dask, "scheduler", "--port", 8786, "--no-dashboard", *tls]
        running.enter_context(started(on("scheduler", scheduler), **options))
        for host in ("one", "two"):
            worker = [*dask, "worker", address, "--nthreads", 1, "--no-dashboard", *tls]
            running.enter_context(started(on(host, worker), **options))
        plain = run(*on("client", generate(store, "--scheduler", address.replace("tls", "tcp"))))
        assert plain.returncode == 2
        assert "not encrypted" in plain.stderr
        known = ["--tls-ca", ca, "--tls-cert", own, "--tls-key", own, "--json"]
        client = on("client", generate(store, "--scheduler", address, *known))
        process = running.enter_context(started(client, stdout=subprocess.PIPE, **options))
        in_the_middle(store)
        assert ip("link", "set", "eth0", "down", namespace=named("one")).returncode == 0
        said, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
    require_same(store, undisturbed)
    assert json.loads(said)["run"]["retries"] > 0
