"""The commands that look: families, transforms, sample, inspect, and what they refuse."""

import csv
import json
import struct
import sys

import numpy as np
import pytest

from mistdata.distributions.describe import markdown
from mistdata.distributions.families import FAMILIES, GROUPS
from mistdata.distributions.transforms import TRANSFORMS
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.store.dataset import open_store
from tests.in_process import mistdata, refuses


def text_of(*arguments):
    finished = mistdata(*arguments)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return finished.stdout


def json_of(*arguments):
    return json.loads(text_of(*arguments, "--json"))


def size_of(png):
    """Return width and height of a PNG, in pixels, after a look at its signature and its end."""
    content = png.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert content[-8:-4] == b"IEND"
    return struct.unpack(">II", content[16:24])


def make(folder, text):
    generate(make_plan(parse_recipe(text, "recipe")), folder, InProcess())
    return folder


# families and transforms


def test_families_are_listed_under_their_groups():
    lines = text_of("families").splitlines()
    first_words = [line.split()[0] for line in lines if line.startswith("  ")]
    assert first_words == list(FAMILIES)
    assert set(GROUPS) <= set(lines)
    assert lines[-1].startswith(f"{len(FAMILIES)} families")


def test_a_family_is_described_with_its_formula_and_parameters():
    text = text_of("families", "student-dense")
    entry = json_of("families", "student-dense")["student-dense"]
    assert f"I(X;Y) = {entry['formula']}  [nats], closed form" in text
    assert entry["parameters"].keys() == FAMILIES["student-dense"].parameters.keys()
    for name, about in entry["parameters"].items():
        assert f"    {name}: {about['meaning']}; domain {about['domain']}" in text


def test_the_page_of_families_is_printed_as_it_is():
    assert text_of("families", "--markdown") == markdown()


def test_the_gallery_is_a_picture_small_enough_to_commit(tmp_path):
    picture = tmp_path / "gallery.png"
    assert text_of("families", "--gallery", picture) == f"{picture}: {len(FAMILIES)} families\n"
    width, height = size_of(picture)
    assert width > 1000
    assert height > 2000
    assert 200_000 < picture.stat().st_size < 1_500_000


def test_transforms_are_listed_and_described():
    listing = text_of("transforms").splitlines()
    assert [line.split()[0] for line in listing] == list(TRANSFORMS)
    assert json_of("transforms").keys() == TRANSFORMS.keys()
    entry = json_of("transforms", "spiral")["spiral"]
    text = text_of("transforms", "spiral")
    assert f"    {entry['formula']}\n" in text
    assert f"From {entry['least_dim']} columns." in text
    assert all(f"    {name}: " in text for name in entry["parameters"])


# sample


def test_a_component_is_sampled_into_a_picture_and_a_table(tmp_path, small_recipe):
    png, table = tmp_path / "one.png", tmp_path / "one.csv"
    options = ("--component", "student-sparse/asinh", "--seed", 3, "--png", png, "--csv", table)
    found = json_of("sample", small_recipe, *options)
    assert found["name"] == "student-sparse/asinh"
    assert found["mi"] >= 0.0
    assert found["png"] == str(png)
    assert min(size_of(png)) > 200
    with table.open() as lines:
        header, *rows = csv.reader(lines)
    params = json.loads(found["params"])
    assert params["transform_x"] == [{"name": "asinh"}]
    assert len(rows) == found["n"]
    assert 100 <= found["n"] <= 600
    dim_x = sum(name.startswith("x") for name in header)
    dim_y = len(header) - dim_x
    assert 2 <= dim_x <= 6
    assert 2 <= dim_y <= 6
    expected = [f"x{i + 1}" for i in range(dim_x)] + [f"y{j + 1}" for j in range(dim_y)]
    assert header == expected
    assert np.isfinite(np.array(rows, dtype=float)).all()


def test_the_same_seed_gives_the_same_table_and_another_seed_another(tmp_path):
    def table(name, seed):
        path = tmp_path / name
        options = ("--seed", seed, "--n", 50, "--png", tmp_path / "p.png", "--csv", path)
        text_of("sample", "--family", "copula-clayton", *options)
        return path.read_text()

    assert table("a", 1) == table("b", 1)
    assert table("a", 1) != table("c", 2)


def test_a_family_is_sampled_at_the_dimensions_asked_for(tmp_path):
    png, table = tmp_path / "one.png", tmp_path / "one.csv"
    options = ("--dim-x", 3, "--n", 40, "--png", png, "--csv", table)
    text = text_of("sample", "--family", "additive-uniform", *options)
    assert text.startswith("additive-uniform  40 rows, 3 × 3\nI(X;Y) = ")
    assert "Monte Carlo" in text
    assert table.read_text().startswith("x1,x2,x3,y1,y2,y3\n")
    wide, _ = size_of(png)
    text_of("sample", "--family", "channel-bsc", "--n", 40, "--png", png)
    assert size_of(png)[0] < wide


def test_without_a_component_the_first_of_the_recipe_is_sampled(tmp_path, small_recipe):
    found = json_of("sample", small_recipe, "--png", tmp_path / "p.png")
    assert found["name"] == "gaussian-dense/asinh"


def test_a_table_alone_needs_no_matplotlib(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    arguments = ("sample", "--family", "bits-bsc", "--csv", "one.csv")
    assert text_of(*arguments).splitlines()[-1] == "one.csv"
    found = json_of(*arguments)
    assert (found["png"], found["csv"]) == (None, "one.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]


def test_without_a_table_a_picture_is_drawn_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert text_of("sample", "--family", "bits-bsc").splitlines()[-1] == "sample.png"
    assert min(size_of(tmp_path / "sample.png")) > 200


def test_pictures_of_two_rows_are_drawn(tmp_path):
    for family, seed in (("channel-symmetric", 0), ("exponential-noise", 0), ("lomax", 1)):
        png = tmp_path / f"{family}.png"
        text_of("sample", "--family", family, "--n", 2, "--seed", seed, "--png", png)
        assert min(size_of(png)) > 200


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["sample"], "give either a RECIPE or --family"),
        (["sample", "{small}", "--family", "bits-bsc"], "give either a RECIPE or --family"),
        (["sample", "--family", "bits-bsc", "--component", "a"], "--component names a line"),
        (["sample", "--family", "copula-claytn"], "did you mean 'copula-clayton'?"),
        (
            ["sample", "{small}", "--component", "gaussian-dense/asin"],
            "mean 'gaussian-dense/asinh'",
        ),
        (["sample", "{small}", "--component", "zzz"], "no component 'zzz'"),
        (["sample", "none.toml"], "none.toml: cannot be read"),
        (["sample", "--family", "gaussian-bivariate", "--dim-x", "2"], "dimensions are 1 × 1"),
        (
            ["sample", "{small}", "--component", "gaussian-2pair/identity", "--dim-x", "1"],
            "dim_x=1",
        ),
        (["sample", "--family", "bits-bsc", "--n", "1"], "--n"),
        (["sample", "--family", "bits-bsc", "--png", "none/a.png"], "there is no folder 'none'"),
        (["families", "gausian-lvm"], "did you mean 'gaussian-lvm'?"),
        (["families", "--markdown", "--json"], "choose one of"),
        (["families", "bits-bsc", "--gallery", "a.png"], "leave out NAME"),
        (["transforms", "rotatoin"], "did you mean 'rotation'?"),
        (["inspect", "{store}", "--against", "none"], "not a mistdata store"),
    ],
)
def test_misuse_is_exit_2_and_one_line(
    tmp_path, monkeypatch, small_recipe, small_store, arguments, part
):
    monkeypatch.chdir(tmp_path)
    words = [each.format(small=small_recipe, store=small_store) for each in arguments]
    assert part in refuses(2, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_member_that_saturates_its_map_is_one_line(tmp_path):
    recipe = tmp_path / "bad.toml"
    recipe.write_text(
        "name = 'bad'\nversion = 1\nseed = 1\n[split.train]\ndatasets = 50\nn = 20_000\ndim = 2\n"
        "[[split.train.mixture]]\nfamily = 'student-identity'\ntransform = 'normal-cdf'\n"
        "parameters = { nu = 1 }\n"
    )
    line = refuses(2, "sample", recipe, "--png", tmp_path / "p.png")
    assert line.startswith("mistdata: student-identity/normal-cdf: normal-cdf")


# inspect

TWO_SPLITS = """
name = "two"
version = {version}
seed = 3
shard_mib = 1
[split.train]
datasets = 20
n = 30
dim = 2
[[split.train.mixture]]
family = "student-identity"
parameters = {{ nu = {train} }}
[split.test]
datasets = 10
n = 30
dim = 2
[[split.test.mixture]]
family = "student-identity"
parameters = {{ nu = {test} }}
"""


def test_splits_and_stores_that_share_nothing_say_so(tmp_path, small_store):
    store = make(tmp_path / "s", TWO_SPLITS.format(version=1, train="[1, 5]", test="[1, 5]"))
    text = text_of("inspect", store, "--against", small_store)
    assert "\n30 datasets of 30 unique distributions, " in text
    assert "\nthe splits share no distributions and no random streams\n" in text
    shared = f"with {small_store} it shares no distributions and no random streams (seeds 3 and 7)"
    assert f"\n{shared}, 1 families\n" in text
    found = json_of("inspect", store, "--against", small_store)
    assert found["unique_distributions"] == 30
    assert found["overlap"] == {"shared_streams": 0, "shared_distributions": 0}
    assert found["against"]["shared_families"] == ["student-identity"]


def test_splits_that_share_distributions_are_found_out(tmp_path):
    two, three = "{ values = [2, 3, 4] }", "{ values = [3, 4, 5] }"
    store = make(tmp_path / "s", TWO_SPLITS.format(version=1, train=two, test=three))
    text = text_of("inspect", store)
    assert "\n30 datasets of 4 unique distributions, " in text
    assert "train: 20 datasets of 20 distributions (3 unique)" in text
    assert "\nthe splits share 2 distributions and no random streams\n" in text
    assert json_of("inspect", store)["overlap"]["shared_distributions"] == 2


def test_stores_that_share_distributions_are_found_out(tmp_path):
    wide = "[1, 5]"
    one = make(tmp_path / "one", TWO_SPLITS.format(version=1, train=wide, test=wide))
    other = make(tmp_path / "other", TWO_SPLITS.format(version=2, train=wide, test="6"))
    text = text_of("inspect", one, "--against", other)
    # the train splits are the same, the test splits draw other rows from the same streams
    shared = f"with {other} it shares 20 distributions and 30 random streams (seeds 3 and 3)"
    assert f"\n{shared}, 1 families\n" in text


def test_a_few_components_are_listed_one_by_one(small_store):
    found = json_of("inspect", small_store)
    lines = text_of("inspect", small_store).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("component"))
    listed = [line.split()[0] for line in lines[start + 1 :]]
    assert listed == [each["component"] for each in found["components"]]
    assert listed == sorted(listed)
    store = open_store(small_store)
    for each in found["components"]:
        mi = store.column("mi")[store.column("component") == each["component"]]
        assert each["datasets"] == len(mi)
        assert each["share"] == len(mi) / 260
        assert each["mi_min_nats"] == mi.min()
        assert each["mi_median_nats"] == pytest.approx(np.median(mi), rel=1e-12)
        assert each["mi_max_nats"] == mi.max()


def test_many_components_are_listed_by_family_and_json_has_them_all(tmp_path):
    families = ("gaussian-dense", "gaussian-sparse", "bits-bsc")
    lines = [
        f'[[split.train.mixture]]\nfamily = "{family}"\nname = "{family}.{i:02d}"'
        for family in families
        for i in range(14)
    ]
    head = "name = 'many'\nversion = 1\nseed = 1\nshard_mib = 1\n[split.train]\ndatasets = 600\n"
    store = make(tmp_path / "s", "\n".join([head + "n = 2\ndim = 2", *lines]))
    found = json_of("inspect", store)
    assert [each["component"] for each in found["components"]] == sorted(
        f"{family}.{i:02d}" for family in families for i in range(14)
    )
    text = text_of("inspect", store)
    assert "gaussian-dense.00" not in text
    assert text.endswith("42 components in all (--json lists them)\n")
    rows = [line.split() for line in text.splitlines() if line.split()[:1] and line[0] != " "]
    listed = {row[0]: row[1:] for row in rows if row[0] in families}
    assert list(listed) == sorted(families)
    for each in found["families"]:
        datasets, share, least, median, most = listed[each["family"]]
        assert int(datasets) == each["datasets"]
        assert share == f"{each['datasets'] / 600:.2%}"
        assert float(least) == pytest.approx(each["mi_min_nats"], abs=1e-3)
        assert float(median) == pytest.approx(each["mi_median_nats"], abs=1e-3)
        assert float(most) == pytest.approx(each["mi_max_nats"], abs=1e-2)
    assert sum(each["datasets"] for each in found["families"]) == 600
    assert sum(each["share"] for each in found["families"]) == pytest.approx(1.0)
