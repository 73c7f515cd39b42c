"""A fit learns, stops early, resumes bit for bit, and refuses what a flow cannot learn."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits, load_wine

from mistdata.cli.flowing import flow_fit
from mistdata.errors import MistdataError
from mistdata.flows import FitSettings, fit_flow, load_flow, read_modality
from mistdata.flows.flow import DESCRIPTION
from mistdata.flows.modality import modality_of

QUICK = {"steps": 100, "layers": 2, "hidden": 16, "batch_size": 64, "every": 25}


def moons(n=600, seed=0):
    """Two half circles with noise."""
    rng = np.random.default_rng(seed)
    angle, side = rng.uniform(0, np.pi, n), rng.integers(0, 2, n)
    x = np.stack([np.cos(angle) + 0.5 - side, (1 - 2 * side) * np.sin(angle)], axis=1)
    return x + 0.1 * rng.normal(size=(n, 2))


def test_a_fit_learns_more_than_a_normal_law(tmp_path):
    record = fit_flow(
        modality_of(moons()), tmp_path / "flow", FitSettings(**QUICK | {"steps": 400})
    )
    x = moons(seed=1)
    normal = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * np.cov(x.T))[1]
    assert record["nats"]["held_out"] < normal - 0.2
    flow = load_flow(tmp_path / "flow")
    z = flow.encode(x)
    assert np.abs(flow.decode(z) - x).max() < 1e-9
    assert abs(z.mean()) < 0.3 and 0.7 < z.std() < 1.3


def test_digits_become_a_glow_with_bits_per_dimension(tmp_path):
    images = load_digits().images.astype(np.uint8)[:400]
    modality = modality_of(images)
    assert (modality.kind, modality.levels) == ("image", 17)
    record = fit_flow(modality, tmp_path / "flow", FitSettings(**QUICK))
    assert 0 < record["bits_per_dim"]["held_out"] < np.log2(17)
    drawn = load_flow(tmp_path / "flow").decode(np.random.default_rng(0).normal(size=(5, 64)))
    assert drawn.shape == (5, 8, 8)
    assert drawn.min() > -3 and drawn.max() < 20


@pytest.mark.parametrize("kind", ["table", "image"])
def test_an_interrupted_fit_goes_on_bit_for_bit(kind, tmp_path):
    data = moons() if kind == "table" else load_digits().images[:200]
    settings = FitSettings(**QUICK | {"steps": 60})
    whole = fit_flow(modality_of(data, kind), tmp_path / "whole", settings)

    def stop(_count, done=[]):  # noqa: B006 - counts the calls
        done.append(1)
        if len(done) == 35:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_flow(modality_of(data, kind), tmp_path / "parts", settings, advance=stop)
    with pytest.raises(MistdataError, match="other settings: steps = 60"):
        other = FitSettings(**QUICK | {"steps": 61})
        fit_flow(modality_of(data, kind), tmp_path / "parts", other)
    with pytest.raises(MistdataError, match="other data"):
        fit_flow(modality_of(data[:-40], kind), tmp_path / "parts", settings)
    parts = fit_flow(modality_of(data, kind), tmp_path / "parts", settings)
    assert parts["identity"] == whole["identity"]
    again = fit_flow(modality_of(data, kind), tmp_path / "parts", settings)  # nothing is left
    assert again["identity"] == parts["identity"] and again["nats"] == parts["nats"]
    with pytest.raises(MistdataError, match="holds a flow of other data or settings already"):
        fit_flow(modality_of(data, kind), tmp_path / "parts", other)


def test_a_flow_gets_a_folder_of_its_own(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(MistdataError, match=r"holds other files \(notes.txt\)"):
        fit_flow(modality_of(moons()), tmp_path, FitSettings(**QUICK))
    with pytest.raises(MistdataError, match="a file; a flow needs a folder"):
        fit_flow(modality_of(moons()), tmp_path / "notes.txt", FitSettings(**QUICK))


def test_columns_that_follow_from_others_are_named_or_coded(tmp_path):
    free = np.random.default_rng(0).normal(size=(80, 3))
    rows = np.column_stack([free, 2 * free[:, 0] - free[:, 2] + 1])
    modality = modality_of(rows, "table", ["a", "b", "c", "d"])
    with pytest.raises(MistdataError, match=r"column '[acd]' follows linearly from the others"):
        fit_flow(modality, tmp_path / "flow", FitSettings(**QUICK))
    fit_flow(modality, tmp_path / "flow", FitSettings(**QUICK | {"max_dim": 3}))


def test_a_code_of_components_stands_for_a_modality_too_large(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 80)) + 5
    modality = modality_of(values)
    assert modality.kind == "embedding"
    with pytest.raises(MistdataError, match="linearly dependent"):
        fit_flow(modality, tmp_path / "all", FitSettings(**QUICK))
    record = fit_flow(modality, tmp_path / "flow", FitSettings(**QUICK, max_dim=4))
    assert record["variance_kept"] > 0.999
    flow = load_flow(tmp_path / "flow")
    assert flow.dim == 4
    assert np.abs(flow.decode(flow.encode(values)) - values).max() < 1e-4


def test_pictures_in_colour_keep_their_layout(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(40):
        pixels = np.clip(rng.normal(120 + 5 * number % 70, 40, (4, 8, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{number:02}.png")
    modality = read_modality(tmp_path)
    assert modality.shape == (4, 8, 3) and modality.planes == (3, 4, 8)
    fit_flow(modality, tmp_path / "flow", FitSettings(**QUICK | {"steps": 25}))
    flow = load_flow(tmp_path / "flow")
    assert np.abs(flow.decode(flow.encode(modality.values)) - modality.values).max() < 1e-6


def test_pictures_keep_all_levels_that_they_have(tmp_path):
    deep = np.random.default_rng(0).integers(0, 4096, (40, 4, 4)).astype(np.uint16)
    for name in ("deep", "palette"):
        (tmp_path / name).mkdir()
    for number, pixels in enumerate(deep):
        Image.fromarray(pixels).save(tmp_path / "deep" / f"{number:02}.png")
        colours = Image.fromarray(np.stack([pixels % 200] * 3, axis=2).astype(np.uint8))
        colours.quantize(16).save(tmp_path / "palette" / f"{number:02}.png")
    modality = read_modality(tmp_path / "deep")
    assert modality.levels == 4096
    np.testing.assert_array_equal(modality.values, deep)
    assert read_modality(tmp_path / "palette").shape == (4, 4, 3)


def test_an_interrupted_fit_does_not_go_on_with_other_data(tmp_path):
    def interrupt(steps):
        raise KeyboardInterrupt

    first, second = (np.random.default_rng(seed).normal(size=(60, 3)) for seed in (0, 1))
    with pytest.raises(KeyboardInterrupt):
        fit_flow(modality_of(first), tmp_path / "flow", FitSettings(**QUICK), advance=interrupt)
    with pytest.raises(MistdataError, match="an interrupted fit of other data"):
        fit_flow(modality_of(second), tmp_path / "flow", FitSettings(**QUICK))


def test_the_command_fits_a_table_of_chosen_columns(tmp_path):
    frame = load_wine(as_frame=True).data
    frame.to_csv(tmp_path / "wine.csv", index=False)
    arguments = [str(tmp_path / "wine.csv"), str(tmp_path / "flow"), "--columns", "alcohol,hue"]
    options = ["--steps", "50", "--layers", "2", "--hidden", "8", "--json"]
    result = CliRunner().invoke(flow_fit, [*arguments, *options])
    assert result.exit_code == 0, result.output
    record = json.loads(result.output)
    assert record["modality"]["names"] == ["alcohol", "hue"]
    assert record["nats_per_dim"]["held_out"] < 3
    assert (tmp_path / "flow" / DESCRIPTION).exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((50, 2)), "column '0' is constant"),
        (np.stack([np.arange(90.0), np.arange(90) % 3], axis=1), "column '1' is discrete, 3"),
        (np.full((50, 2), np.nan), "NaN"),
        (np.ones((50, 2, 2)), r"leave it out of the array; pixels .* \(255 \* pixels\).round"),
        (np.zeros((5, 2)), "at least 32 rows"),
        (np.array([["a"]] * 50), "must be numbers"),
    ],
)
def test_what_a_flow_cannot_learn_is_refused_by_name(values, message):
    with pytest.raises(MistdataError, match=message):
        modality_of(values, "table")
