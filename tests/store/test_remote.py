"""Stores in buckets and on web servers: the same bytes, and a word about every fault."""

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.storage import ObjectStore

import mistdata
from mistdata.errors import MistdataError, OtherPlan, Unreachable, VerificationFailed
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import read_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.repair import repair
from mistdata.store import ledger, place
from mistdata.store.cache import Cache
from mistdata.store.seal import seal
from mistdata.verify import verify
from tests.brief import RECIPE, brief_plan
from tests.damage import flip
from tests.servers import s3, web
from train.loader import Loader, Position

PLAN = brief_plan()
SHARD = "train/values/c/1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sealed store of the brief plan, which tests must not change."""
    store = tmp_path_factory.mktemp("stores") / "brief"
    generate(PLAN, store, InProcess())
    return store


@pytest.fixture(scope="module")
def service():
    with s3() as environment:
        place._client.cache_clear()
        yield environment


@pytest.fixture
def bucket(service, cache, request, monkeypatch):
    """A name in a bucket where nothing is yet."""
    for name, value in service.items():
        monkeypatch.setenv(name, value)
    return place.place(f"s3://bucket/{request.node.name}/store")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MISTDATA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def site(folder, cache, tmp_path):
    """A web server with a copy of the store at /store."""
    shutil.copytree(folder, tmp_path / "web" / "store")
    with web(tmp_path / "web") as served:
        yield served


def contents(store):
    """Every file but the logs."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and ledger.LOGS not in str(path)
    }


def same_values(one, other):
    everything = range(len(one))
    return np.array_equal(one.read(everything).values, other.read(everything).values)


def test_a_bucket_gets_the_bytes_of_a_folder(bucket, folder):
    assert generate(PLAN, bucket, InProcess()) == ledger.read_manifest(folder)
    assert contents(bucket) == contents(folder)
    assert generate(PLAN, bucket, InProcess()) == seal(bucket)
    assert contents(bucket) == contents(folder)
    assert any(ledger.LOGS in str(path) for path in bucket.rglob("*"))
    assert verify(bucket).ok
    dataset = mistdata.open(str(bucket), verify="crc")
    assert same_values(dataset, mistdata.open(folder))
    np.testing.assert_array_equal(dataset[3].x, mistdata.open(folder)[3].x)


def test_zarr_reads_a_bucket_as_it_is(bucket, folder):
    generate(PLAN, bucket, InProcess())
    array = zarr.open_array(
        ObjectStore(bucket.client, read_only=True), path=f"{bucket.key}/train/values", mode="r"
    )
    plain = zarr.open_array(str(folder / "train/values"), mode="r")
    np.testing.assert_array_equal(array[1000:9000], plain[1000:9000])


def test_a_plan_claims_a_name_in_a_bucket(bucket, small_recipe):
    generate(PLAN, bucket, InProcess(), shards=[1])
    with pytest.raises(MistdataError, match="not sealed yet"):
        mistdata.open(str(bucket))
    partial = mistdata.open(str(bucket), allow_partial=True)
    assert len(partial) == 2
    assert partial[0].x.shape == (60_000, 1)
    with pytest.raises(OtherPlan, match=r"s3://bucket/.*: belongs to the plan"):
        generate(make_plan(read_recipe(small_recipe), 3), bucket, InProcess())
    with pytest.raises(MistdataError, match="2 of 3 shards missing"):
        seal(bucket)


def test_damage_in_a_bucket_is_found_and_mended(bucket, folder):
    generate(PLAN, bucket, InProcess())
    for name in (SHARD, "catalog.parquet", "train/zarr.json"):
        content = bytearray((bucket / name).read_bytes())
        content[len(content) // 2] ^= 4
        (bucket / name).write(bytes(content))
    (bucket / "_receipts/test/0.json").unlink()
    (bucket / "foreign").write(b"?")
    found = verify(bucket)
    assert {problem.path for problem in found.problems} >= {
        SHARD, "catalog.parquet", "train/zarr.json", "_receipts/test/0.json", "foreign"
    }  # fmt: skip
    with pytest.raises(VerificationFailed, match=r"catalog\.parquet: the sha256"):
        mistdata.open(str(bucket))
    done = repair(bucket, InProcess())
    assert [problem.path for problem in done.after.problems] == ["foreign"]
    (bucket / "foreign").unlink()
    assert contents(bucket) == contents(folder)


def command(recipe, store, environment):
    """Start a run from the command line."""
    return subprocess.Popen(
        [sys.executable, "-m", "mistdata", "generate", str(recipe), str(store), "--workers", "1"],
        env=os.environ | environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_killed_run_goes_on_in_a_bucket(bucket, folder, service, tmp_path):
    recipe = tmp_path / "brief.toml"
    recipe.write_text(RECIPE)
    with command(recipe, bucket, service) as running:
        while not any("_receipts" in str(path) for path in bucket.rglob("*")):
            time.sleep(0.02)
            assert running.poll() is None
        os.killpg(running.pid, signal.SIGKILL)
    with command(recipe, bucket, service) as again:
        said = again.communicate()[0]
    assert again.returncode == 0, said
    assert contents(bucket) == contents(folder)


@pytest.mark.slow
def test_two_runs_may_fill_one_bucket(bucket, folder, service, tmp_path):
    recipe = tmp_path / "brief.toml"
    recipe.write_text(RECIPE)
    with command(recipe, bucket, service) as one, command(recipe, bucket, service) as other:
        said = [each.communicate()[0] for each in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), said
    assert contents(bucket) == contents(folder)


def test_training_reads_a_bucket_like_a_folder(bucket, folder):
    generate(PLAN, bucket, InProcess())
    batches = [
        next(iter(Loader(mistdata.open(store).where("split = 'train'"), Position(5), batch_size=2,
                         cells=1 << 20, pairs=1 << 20).forever()))
        for store in (str(bucket), folder)
    ]  # fmt: skip
    np.testing.assert_array_equal(*(batch.values for batch in batches))
    np.testing.assert_array_equal(*(batch.ids for batch in batches))


def test_a_web_server_is_read_and_verified(site, folder):
    url = f"{site.url}/store"
    assert same_values(mistdata.open(url), mistdata.open(folder))
    assert verify(place.place(url)).ok
    shards = [path for _, path, _ in site.asked if "/values/c/" in path]
    opened = mistdata.open(url)
    asked = len(site.asked)
    opened.read(range(len(opened)))
    assert len(site.asked) == asked, "the shards are in the cache"
    assert len(shards) == 2 * len(PLAN.shards), "each was read whole, and verified"
    with pytest.raises(MistdataError, match="a web server is only read"):
        generate(PLAN, place.place(f"{site.url}/other"), InProcess())


def test_zarr_reads_ranges_from_a_web_server(site, folder):
    remote = place.place(f"{site.url}/store")
    array = zarr.open_array(
        ObjectStore(remote.client, read_only=True), path=f"{remote.key}/train/values", mode="r"
    )
    plain = zarr.open_array(str(folder / "train/values"), mode="r")
    np.testing.assert_array_equal(array[1000:9000], plain[1000:9000])
    assert any(ranges for _, _, ranges in site.asked)


def test_a_busy_server_is_asked_again(site, folder):
    site.refuse = {f"/store/{SHARD}": 2, "/store/manifest.json": 2}
    assert same_values(mistdata.open(f"{site.url}/store"), mistdata.open(folder))


def test_a_server_that_never_answers_is_named_with_the_object(site, monkeypatch):
    monkeypatch.setattr(place, "RETRIES", 1)
    place._client.cache_clear()
    opened = mistdata.open(f"{site.url}/store")
    site.refuse = {f"/store/{SHARD}": 99}
    with pytest.raises(Unreachable, match=rf"{site.url}/store/{SHARD}: .*503"):
        opened.read(range(len(opened)))
    site.refuse = {"/store/manifest.json": 99}
    with pytest.raises(Unreachable, match=rf"{site.url}/store/manifest\.json: .*503"):
        mistdata.open(f"{site.url}/store")


def test_a_server_that_hangs_is_given_up(monkeypatch, cache):
    import socket

    monkeypatch.setattr(place, "RETRIES", 0)
    monkeypatch.setattr(place, "ANSWERING", timedelta(seconds=0.5))
    place._client.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/store"
        with pytest.raises(Unreachable, match=rf"{url}/manifest\.json"):
            mistdata.open(url)


def test_a_wrong_transfer_is_repeated_and_a_wrong_object_named(site, folder):
    site.damage = {f"/store/{SHARD}": 1}
    assert same_values(mistdata.open(f"{site.url}/store"), mistdata.open(folder))
    shutil.rmtree(os.environ["MISTDATA_CACHE"])
    site.damage = {f"/store/{SHARD}": 9}
    opened = mistdata.open(f"{site.url}/store")
    with pytest.raises(VerificationFailed, match=f"{SHARD}: the sha256 is not the one"):
        opened.read(range(len(opened)))


def test_a_missing_shard_is_named(site, tmp_path):
    (tmp_path / "web" / "store" / SHARD).unlink()
    opened = mistdata.open(f"{site.url}/store")
    with pytest.raises(VerificationFailed, match=f"{SHARD}: missing"):
        opened.read([2])


def test_where_nothing_is_there_is_no_store(site, bucket):
    for nowhere in (f"{site.url}/nothing", "s3://bucket/nothing"):
        with pytest.raises(MistdataError, match="not a mistdata store"):
            mistdata.open(nowhere)
    with pytest.raises(MistdataError, match="not an address of a store"):
        mistdata.open("ftp://somewhere/store")
    nowhere = place.place("s3://no-such-bucket/store")
    for ask in (lambda: generate(PLAN, nowhere, InProcess()), lambda: verify(nowhere)):
        with pytest.raises(
            MistdataError, match=r"no-such-bucket/.*: there is no such bucket"
        ) as told:
            ask()
        assert told.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["s3:bucket/a", "s3:/bucket/a", "s3://", "ftp://h/a", "http:///a"]
)
def test_what_is_meant_as_a_url_is_not_taken_for_a_folder(text):
    with pytest.raises(MistdataError, match="not an address of a store; write s3://BUCKET/NAME"):
        place.place(text)
    assert place.place("a:b/c") == Path("a:b/c")


def test_missing_and_refused_credentials_are_said(monkeypatch):
    obstore = place._obstore()
    remote = place.place("s3://bucket/store")
    for text, message in (
        ("PUT http://169.254.169.254/latest/api/token", "no credentials; set AWS_ACCESS_KEY_ID"),
        ("403 Forbidden", "refused; it needs credentials that may read it"),
    ):
        with pytest.raises(MistdataError, match=message) as told, place._asking(remote):
            raise obstore.exceptions.PermissionDeniedError(text)
        assert told.value.exit_code == 2


def test_the_cache_is_bounded_and_checked(site, folder, cache, monkeypatch):
    shard = (folder / SHARD).stat().st_size
    monkeypatch.setenv("MISTDATA_CACHE_GB", str(2.5 * shard / 1e9))
    (cache / "drafts").mkdir(parents=True)
    (cache / "thesis.tex").write_text("somebody's" * shard)
    os.utime(cache / "thesis.tex", (1, 1))
    opened = mistdata.open(f"{site.url}/store")
    assert same_values(opened, mistdata.open(folder))
    (cache / "drafts").rmdir()
    (cache / "thesis.tex").unlink()  # neither was a copy, so both are there
    held = sorted(cache.iterdir(), key=lambda path: path.stat().st_size)
    assert sum(path.stat().st_size for path in held) <= 2.5 * shard
    flip(held[-1], 100, 3)
    assert same_values(mistdata.open(f"{site.url}/store"), mistdata.open(folder))


def test_the_cache_says_what_is_wrong_with_it(site, cache, monkeypatch):
    monkeypatch.setenv("MISTDATA_CACHE_GB", "none")
    with pytest.raises(MistdataError, match="MISTDATA_CACHE_GB must be a number"):
        mistdata.open(f"{site.url}/store")
    monkeypatch.delenv("MISTDATA_CACHE_GB")
    cache.write_text("in the way")
    with pytest.raises(MistdataError, match=r"MISTDATA_CACHE names another folder"):
        mistdata.open(f"{site.url}/store")
    monkeypatch.delenv("MISTDATA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert Cache.of_user() == Cache(Path("/somewhere/mistdata"), 50_000_000_000)


def test_a_damaged_dataset_is_not_read_where_that_is_asked(folder, tmp_path):
    store = tmp_path / "copy"
    shutil.copytree(folder, store)
    flip(store / SHARD, 4000)
    assert mistdata.open(store).read([2]).values.size
    opened = mistdata.open(store, verify="crc")
    opened.read([0, 1, 3])
    for read in (lambda: opened.read([3, 2]), lambda: opened.read([2], rows=5), lambda: opened[2]):
        with pytest.raises(VerificationFailed, match=f"{SHARD}: the crc32c of dataset 2 differs"):
            read()
    with pytest.raises(VerificationFailed):
        opened.where("dataset_id = 2")[0]
    with pytest.raises(ValueError, match="verify must be one of size, crc, got 'md5'"):
        mistdata.open(store, verify="md5")


def test_places_are_what_they_say():
    remote = place.place("s3://bucket/a/b/")
    assert str(remote / "c/d") == "s3://bucket/a/b/c/d"
    assert (remote.name, remote.key, str(remote.parent)) == ("b", "a/b", "s3://bucket/a")
    assert place.place(remote) is remote
    assert place.place("a/b") == Path("a/b")
    with pytest.raises(ValueError, match="pattern must be"):
        next(remote.rglob("*.json"))
    with pytest.raises(ValueError, match="mode must be"):
        remote.open("wb")
