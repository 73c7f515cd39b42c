"""The scripts around a fit: calibration, ablation, evaluation, consistency, the results page."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from mistdata.baselines.network import Network
from mistdata.benchmark.results import read_result
from mistdata.estimator import Training, load_network
from mistdata.estimator.calibration import FEWEST
from mistdata.estimator.checkpoint import save_weights
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import read_recipe
from mistdata.pipeline.run import InProcess, generate
from tests.tiny import TINY, tiny_estimator
from train import ablate, adapted, calibrate, consistency, evaluate, pit, results
from train.trainer import FitConfig


@pytest.fixture
def weights(tmp_path):
    estimator = tiny_estimator(n=(8, 10_000), dim=(1, 64))
    path = tmp_path / "tiny.safetensors"
    save_weights(path, TINY, estimator.network.state_dict(), estimator.training)
    return path


@pytest.fixture(scope="module")
def test_store(tmp_path_factory, small_recipe):
    """The published test recipe, the first 40 datasets of every split."""
    recipe = small_recipe.parents[2] / "pipelines" / "mistdata-test.toml"
    stores = tmp_path_factory.mktemp("stores")
    generate(make_plan(read_recipe(recipe), 40), stores / "mistdata-test", InProcess())
    return stores / "mistdata-test"


def test_calibration_is_written_and_makes_new_datasets_covered(weights, small_recipe, tmp_path):
    out = tmp_path / "calibrated.safetensors"
    arguments = ["--model", str(weights), "--recipe", str(small_recipe), "--out", str(out)]
    result = CliRunner().invoke(
        calibrate.main, [*arguments, "--datasets", str(3 * FEWEST), "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    network, training = load_network(out)
    assert (network.offsets != 0).any()
    assert training.done["calibration"]["datasets"] == [3 * FEWEST]
    after = result.output.splitlines()[1]
    assert float(after.split(":")[1].split()[8].rstrip("%")) >= 88


def test_fresh_datasets_are_no_datasets_of_the_store(small_recipe, small_store):
    import mistdata

    pool = calibrate.fresh(small_recipe, 50, 1)
    store = mistdata.open(small_store).where("family = 'gaussian-dense'")
    stored = store.read(range(len(store)), rows=20).values
    # Some numbers coincide in single precision; of equal datasets all would.
    assert np.isin(stored, pool.values).mean() < 0.1


def test_an_ablation_goes_on_with_what_its_file_lacks(small_store, tmp_path, monkeypatch):
    monkeypatch.setattr(ablate, "CONFIGS", {"small": TINY})
    out = tmp_path / "ablation.json"
    arguments = ["--store", str(small_store), "--out", str(out), "--steps", "4"]
    for seeds in ("1", "2"):
        result = CliRunner().invoke(
            ablate.main, [*arguments, "--seeds", seeds, "--only", "small", "--only", "no sum"]
        )
        assert result.exit_code == 0, result.output
    runs = json.loads(out.read_text())
    assert {name: [each["seed"] for each in found] for name, found in runs.items()} == {
        "small": [0, 1], "no sum": [0, 1],
    }  # fmt: skip
    assert "no sum: pairs averaged, not summed" in result.output


@pytest.mark.parametrize(("steps", "store"), [(8, "a"), (4, "b")])
def test_an_ablation_of_another_length_or_store_is_refused(steps, store):
    runs = {"quarter": [{"seed": 0, "steps": 1, "stores": ["a"]}]}
    ablate.check_same_ablation(runs, 4, ["a"])
    with pytest.raises(ValueError, match=r"'quarter', seed 0, with (steps = 1|stores = \['a'\])"):
        ablate.check_same_ablation(runs, steps, [store])


def test_folders_of_this_machine_are_not_kept_and_numbers_stay_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "DOCS", tmp_path)
    options = {"store": "/here/mist-train", "resamples": 50, "cut": "1/2"}
    each = {"options": options, "result": "/there/r.parquet", "estimator": "mean"}
    evaluate.keep({"estimators": [each]}, "table")
    kept = json.loads((tmp_path / "table.json").read_text())["estimators"][0]
    assert kept["options"] == {"store": "mist-train", "resamples": 50, "cut": "1/2"}
    assert kept["result"] == "r.parquet"


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_panel_without_a_histogram_is_switched_off(count, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(pit.Figure, "savefig", lambda figure, path: seen.append(figure))
    pit.draw_pit({f"panel {k}": [0.5, 0.5] for k in range(count)}, tmp_path / "pit.png")
    assert len(seen) == (count > 0)
    for figure in seen:
        assert [panel.axison for panel in figure.axes] == [True] * count + [False] * (-count % 4)


def test_a_plain_recipe_is_one_without_its_flow(tmp_path):
    flow = '[flow]\nx = "digits"\ny = "wine"\n'
    assert adapted.without_flow(f"seed = 5\n\n{flow}\n[split.train]\nn = 50\n") == (
        "seed = 5\n\n\n[split.train]\nn = 50\n"
    )
    with pytest.raises(ValueError, match="no table"):
        adapted.without_flow("seed = 5\n# [flow]\n[split.train]\nn = 50\n")


def test_a_fit_of_another_recipe_is_not_taken_for_the_one_asked_for(tmp_path):
    config = FitConfig(TINY, seed=1, minutes=2.0)
    training = Training(n=(8, 9), dim=(1, 2), mi=(0.0, 1.0), recipe=config.to_json())
    save_weights(tmp_path, TINY, tiny_estimator().network.state_dict(), training)
    (tmp_path / "report.json").write_text("{}")
    assert adapted.fitted(tmp_path / "store", tmp_path, config) == tmp_path
    for change in ({"seed": 2}, {"minutes": 3.0}):
        with pytest.raises(ValueError, match=f"fitted with {next(iter(change))} = "):
            adapted.fitted(tmp_path / "store", tmp_path, replace(config, **change))


def test_a_table_says_that_it_is_of_earlier_version():
    def document(version, name="small", **run):
        found = {"name": name, "version": version, **run}
        return {"estimators": [found, {"name": "cca", "version": "0.1.0"}]}

    now, then = Network(checkpoint="small").version, "0.1.0, weights 0123456789ab"
    bootstrap = {"estimator": "network-bootstrap", "options": {}}
    for name, run in (("small", {}), ("small × 50", {"estimator": "small"}), ("b", bootstrap)):
        assert not results.of_earlier_version(document(now, name, **run))
        said = results.of_earlier_version(document(then, name, **run))
        assert "an earlier version" in said and f"`{name}` ({then})" in said


def test_consistency_says_that_it_is_of_earlier_version():
    now = {"model": "small", "version": Network(checkpoint="small").version}
    assert not results.of_earlier_version(now)
    assert "`small` (not recorded)" in results.of_earlier_version({"model": "small"})


def test_what_estimates_cost_is_told_in_milliseconds_and_times():
    took = {"mistdata": {"median_s": 0.0042, "times_ours": 1.0},
            "MINE": {"median_s": 1.24, "times_ours": 296.3}}  # fmt: skip
    memory = {"mib": {"n = 1,000, 5 + 5": 13.4}}
    document = {"model": "weights of small", "single": {"n = 100, 5 + 5": took}, "batch_size": 64,
                "batch": {"n = 500, 5 + 5": took}, "matrix": took, "memory_n": memory,
                "memory_dim": memory}  # fmt: skip
    page = results.speed(document)
    assert "| one estimate | mistdata | MINE |" in page
    assert "| n = 100, 5 + 5 | 4.2 (1) | 1,240.0 (296) |" in page
    assert "| n = 1,000, 5 + 5 | 13 |" in page


def test_numbers_are_kept_with_five_digits():
    document = {"a": [1 / 3, None, {"b": None, "c": 1e-9 / 7}], "d": 123456.7}
    assert evaluate.compact(document) == {"a": [0.33333, None, {"c": 1.4286e-10}], "d": 123460.0}


@pytest.mark.slow
def test_evaluation_consistency_and_page_from_end_to_end(
    weights, test_store, tmp_path, monkeypatch
):
    docs = tmp_path / "docs" / "results"
    docs.parent.mkdir()
    monkeypatch.setattr(evaluate, "DOCS", docs)
    monkeypatch.setattr("mistdata.estimator.checkpoint.SHIPPED", weights.parent)
    for name in ("small", "base"):
        shutil.copy(weights, weights.parent / f"{name}.safetensors")
    weights.unlink()
    arguments = ["--stores", str(test_store.parent), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(
        evaluate.main, [*arguments, "--only", "mistdata-test", "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    figures = consistency.run("small", str(test_store), 16)
    (docs / "consistency.json").write_text(json.dumps(figures))
    monkeypatch.setattr(results, "DOCS", docs)
    monkeypatch.setattr(results, "PAGE", docs.parent / "results.md")
    results.main()
    page = results.PAGE.read_text()
    assert (docs / "pit.png").stat().st_size > 1000
    assert "## mistdata-test" in page
    assert "| independent |" in page
    assert "`small`, consistency, independence: false alarms" in page
    assert "## Consistency of `small`" in page and "earlier version" not in page
    assert figures["beyond"]["96 + 96, n = 2,000"]["warnings"]


def test_answers_of_rivals_are_kept_and_none_is_computed_twice(test_store, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "DOCS", tmp_path)
    stores, kept = test_store.parent, tmp_path / evaluate.ANSWERS / "mistdata-test-cca-2.parquet"
    table = evaluate.Table("mistdata-test", evaluate.plain("cca", "small"), limit=2)

    def answers(table, folder):
        (tmp_path / folder).mkdir()
        return evaluate.results_of("t", table, stores, tmp_path / folder, InProcess(), ["small"])

    (first,) = answers(table, "first")
    assert kept.read_bytes() == first.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("mistdata.benchmark.run.blocks", None)  # whoever asks again, fails
        (second,) = answers(table, "second")
    assert second.read_bytes() == first.read_bytes()
    other = evaluate.Table(
        "mistdata-test", (evaluate.Run("gaussian-copula", label="cca"),), None, 2
    )
    (third,) = answers(other, "third")
    assert read_result(third).header.identity.estimator == "gaussian-copula"
    assert kept.read_bytes() == third.read_bytes()


@pytest.mark.parametrize("table", evaluate.TABLES)
def test_only_what_no_weights_decide_is_kept(table):
    lasting = {run.name for run in evaluate.TABLES[table].runs if run.lasting}
    assert not lasting & {"small", "base", "mean", "network-bootstrap", "reference", "small × 50"}
    assert lasting or table == "mist-test-published"


def test_goals_name_the_cells_in_which_a_rival_is_better():
    def cell(by, name, ours, theirs):
        scores = {rival: {"mse": theirs} for rival in results.RIVALS}
        return {"by": by, "name": name, "scores": scores | {"small": {"mse": ours}}}

    cells = [cell("split, n", "few", 1.0, 2.0), cell("family", "lvm", 2.0, 1.0)]
    line = results._behind("small", {"strata": cells})
    assert line[1:] == ["0", "1 of 2 (lvm)", "no"]
    assert results._behind("small", {"strata": cells[:1]})[1:] == ["0", "0 of 1", "yes"]


def test_goals_name_the_splits_in_which_a_bootstrap_is_narrower():
    def split(name, covers, width):
        rival, ours = {"cover_90": covers, "width": width}, {"cover_90": 0.95, "width": 1.0}
        scores = {"small": ours, "ksg-bootstrap": rival}
        return {"by": "split", "name": name, "scores": scores}

    splits = [split("a", 0.91, 0.5), split("b", 0.89, 0.5), split("c", 0.99, 1.5)]
    assert results._wider("small", {"strata": splits})[1:] == ["0", "1 of 3 (a)", "no"]
