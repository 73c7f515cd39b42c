"""Write `docs/results.md` from the JSON in `docs/results/`: `python -m train.results`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mistdata.baselines.network import Network
from train.evaluate import DOCS
from train.pit import draw_pit, panels_of

PAGE = DOCS.parent / "results.md"
SHIPPED = ("small", "base")
Document = dict[str, Any]
Line = list[str]


def markdown(head: Sequence[str], lines: Sequence[Line]) -> str:
    """A table, numbers to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in [list(head), rule, *lines])


def estimators(document: Document) -> list[str]:
    """Names of what was compared."""
    return [each["name"] for each in document["estimators"]]


def shipped(document: Document) -> list[str]:
    """Names of the shipped networks in it, the largest last."""
    return [name for name in SHIPPED if name in estimators(document)]


def strata(document: Document, by: str) -> list[Document]:
    """The strata of one kind."""
    return [each for each in document["strata"] if each["by"] == by]


def crossed(document: Document, by: str, metric: str, shown: str = ".3g") -> str:
    """A table of one figure: strata down, estimators across."""
    names = estimators(document)
    lines = []
    for each in strata(document, by):
        figures = [each["scores"][name].get(metric) for name in names]
        cells = ["–" if figure is None else format(figure, shown) for figure in figures]
        lines.append([each["name"], f"{each['datasets']:,}", *cells])
    return markdown(["", "datasets", *names], lines)


def figures(document: Document, by: str, name: str, wanted: dict[str, str]) -> str:
    """A table of several figures of one estimator."""
    lines = []
    for each in strata(document, by):
        scores = each["scores"][name]
        cells = [format(scores[key], how) if key in scores else "–" for key, how in wanted.items()]
        lines.append([each["name"], f"{each['datasets']:,}", *cells])
    return markdown(["", "datasets", *wanted], lines)


INTERVALS = {
    "cover_50": ".1%", "cover_80": ".1%", "cover_90": ".1%", "cover_95": ".1%", "width": ".3f",
    "interval_score": ".3f", "crps": ".4f",
}  # fmt: skip


def intervals_of(name: str, document: Document, *by: str) -> str:
    """Tables of the intervals of a network."""
    tables = [figures(document, each, name, INTERVALS) for each in by]
    return "\n\n".join([f"Intervals of `{name}`:", *tables])


def mist_test(document: Document) -> str:
    """Look-alikes of the published test sets."""
    return f"""## mist-test

Regenerated look-alikes of the published test sets of MIST (not the published samples): 1,080
datasets of components that `mist-train` holds (imd) and 1,260 of combinations of family and map
that it lacks (oomd). These maps are increasing in every column, and our networks see ranks: to
them each of the latter looks like one of the former, while the published network reads values as
they are. What ours make of what they never saw, mistdata-test says, below. Mean squared error of
the median in nats².
As published, on their own sets, with their bootstrap: MIST-QR 3.1 / .31 / .12 (imd) and
9.5 / 9.9 / 10 (oomd) for n in [10, 100), [100, 300), [300, 500].

{crossed(document, "split, n", "mse")}

Bias, mean of e in nats; R²; pinball loss in nats:

{crossed(document, "split, n", "bias")}

{crossed(document, "split, n", "r2")}

{crossed(document, "split, n", "pinball", ".4f")}

Squared error by columns, by MI and by family:

{crossed(document, "dims", "mse")}

{crossed(document, "mi", "mse")}

{crossed(document, "family", "mse")}

Root mean squared error over that of the oracle, which knows the density:

{crossed(document, "split, n", "rmse_oracle")}

{_all_intervals(document, "split, n")}"""


def classical(document: Document) -> str:
    """Estimators that need more rows than columns."""
    return f"""### Beside estimators that need more rows than columns

CCA and the Gaussian copula need n > dim_x + dim_y, KSG needs n > k. {_answered(document)}

{crossed(document, "split, n", "mse")}

{crossed(document, "family", "mse")}"""


def published(document: Document) -> str:
    """The published architecture, fitted to what ours was fitted to."""
    return f"""### The published architecture

`reference` is the published network with its optimizer, fitted by our loop to `mist-train` for an
hour of one core, and `small-alike` our `small`, begun anew, fitted to the same batches for as many
steps; the commands are in [train/README.md](../train/README.md). The published network is made for
a thousand times as many datasets: its 5.5 million parameters hardly learn from so few, and no more
than that is said here. When this table was made, nearest neighbours were asked besides (of at most
8 columns, a tenth of the datasets); `train.networks:Fitted` is the network alone since.
Mean squared error in nats²:

{crossed(document, "split, n", "mse")}

Mean of |error| / (1 + I), and pinball loss in nats:

{crossed(document, "split, n", "relative")}

{crossed(document, "split, n", "pinball", ".4f")}"""


def bootstrap(document: Document) -> str:
    """The published protocol."""
    return f"""### The published protocol

The estimate is the mean over 50 bootstrap resamples of the rows, on every fourth dataset. They
repeat rows, which looks like dependence to estimators that count neighbours, and to our networks,
which were never trained on samples of repeated rows: averaging over resamples is not for them.
{_answered(document)}

{crossed(document, "split, n", "mse")}"""


def bmi(document: Document) -> str:
    """The tasks of Beyond Normal."""
    return f"""## bmi-40

The 40 tasks of Beyond Normal (Czyż et al. 2023), three samples each: mean absolute error in nats.
As reported by ALICE (arXiv 2609.34962) for n = 1,000 / 5,000 / 10,000: ALICE .092/.063/.060, CCA
.195/.192/.181, KSG .288/.240/.219, MINE .248/.117/.108.

{crossed(document, "n", "mae", ".4f")}

Squared bias and variance between the samples of a task, in nats² (the squared bias is estimated
without bias, so that it may come out below 0):

{crossed(document, "n", "bias2", ".4f")}

{crossed(document, "n", "variance", ".5f")}

{crossed(document, "dims", "mae", ".4f")}

{_all_intervals(document, "n")}

{_all_tasks(document)}"""


def _all_intervals(document: Document, *by: str) -> str:
    return "\n\n".join(intervals_of(name, document, *by) for name in shipped(document))


def _all_tasks(document: Document) -> str:
    parts = [f"Every task, `{name}`:\n\n{_tasks(document, name)}" for name in shipped(document)]
    return "\n\n".join(parts)


def _tasks(document: Document, model: str) -> str:
    cells: dict[str, dict[str, float]] = {}
    for each in strata(document, "component, n"):
        task, size = each["name"].rsplit(", n = ", 1)
        cells.setdefault(task, {})[size] = each["scores"][model]["mae"]
    sizes = sorted(next(iter(cells.values())), key=int)
    order = sorted(cells, key=lambda task: -max(cells[task].values()))
    lines = [[task, *(f"{cells[task].get(size, float('nan')):.3f}" for size in sizes)]
             for task in order]  # fmt: skip
    return markdown(["mean absolute error", *(f"n = {size}" for size in sizes)], lines)


def mistdata_test(document: Document) -> str:
    """Held-out families and maps, independence, strata."""
    return f"""## mistdata-test

New members of the families of `mistdata-train` (imd), families and maps that it does not hold,
MI = 0, and strata of known MI; the first 1,000 datasets of each split. {_answered(document)}
Mean of |error| / (1 + I):

{crossed(document, "split", "relative")}

{crossed(document, "n", "relative")}

{crossed(document, "sides", "relative")}

{crossed(document, "kinds", "relative")}

{crossed(document, "mi", "relative")}

{_all_intervals(document, "split")}

In more detail:

{_all_intervals(document, "n", "dims", "mi", "family")}"""


def _answered(document: Document) -> str:
    """How many datasets are compared, and who could not answer the others."""
    common, datasets = document["common"], document["datasets"]
    said = f"{datasets:,} of {common:,} datasets were answered by all"
    failed = [f"{each['name']} {each['failures']:,}" for each in document["estimators"]
              if each["failures"]]  # fmt: skip
    return f"{said} (not by {', '.join(failed)})." if failed else f"{said}."


def mistdata_test_classical(document: Document) -> str:
    """Beside estimators that need more rows than columns."""
    return f"""### Beside estimators that need more rows than columns

{_answered(document)} Mean of |error| / (1 + I), and bias, in nats:

{crossed(document, "split", "relative")}

{crossed(document, "split", "bias")}"""


def intervals(document: Document) -> str:
    """Beside bootstrap intervals."""
    parts = [
        f"`{name}`:\n\n{figures(document, 'split', name, INTERVALS)}"
        for name in estimators(document)
    ]
    return """## Intervals beside the bootstrap

Percentile bootstrap intervals of KSG and of the median of `small`, 50 resamples, the first 100
datasets of each split of mistdata-test with n up to 1,000. """ + "\n\n".join(
        [_answered(document), *parts]
    )


def neural(document: Document) -> str:
    """Neural estimators, trained anew for every dataset."""
    count = document["strata"][0]["datasets"]
    return f"""### Neural estimators

MINE, InfoNCE and NWJ of the package benchmark-mi, trained anew for each of {count} datasets of at
least 64 rows. Half of the rows train the critic, which learns them by heart where they are few: on
the other half its value is then far below 0, and that of NWJ, an exponential, beyond all bounds.
Mean absolute error, and seconds per dataset on one core:

{crossed(document, "n", "mae")}

{crossed(document, "all", "seconds")}"""


def consistency(document: Document) -> str:
    """Whether it behaves as mutual information does."""
    lines = [
        [f"{group}: {name}".replace("|", "\\|"), f"{value:,.4g}"]
        for group, found in document.items()
        if isinstance(found, dict) and group != "beyond"
        for name, value in found.items()
    ]
    beyond = [
        [name, *(f"{case[key]:.2f}" for key in ("truth", "median", "lower", "upper")),
         "; ".join(case["warnings"]) or "none"]
        for name, case in document["beyond"].items()
    ]  # fmt: skip
    head = ["beyond the trained range", "truth", "median", "lower", "upper", "warnings"]
    return f"""## Consistency of `{document["model"]}`

`python -m train.consistency --model {document["model"]}`, seed {document["seed"]}.

{markdown(["", ""], lines)}

{markdown(head, beyond)}"""


def speed(document: Document) -> str:
    """What an estimate costs."""
    pairs = {"all pairs of 100 columns, 1,000 rows": document["matrix"]}
    memory = [
        [shape, f"{mib:.0f}"]
        for size in ("memory_n", "memory_dim")
        for shape, mib in document[size]["mib"].items()
    ]
    return f"""## Speed

`python -m benchmarks.estimate --json`, {document["model"]}, one thread, in turns on the same
samples: milliseconds, and in brackets how many times what ours took. KSG and scikit-learn give no
interval.

{_timed("one estimate", document["single"])}

{_timed(f"a batch of {document['batch_size']}", document["batch"])}

{_timed("`mistdata.matrix`", pairs)}

{markdown(["one estimate", "growth of the peak memory, MiB"], memory)}"""


def _timed(head: str, found: dict[str, dict[str, dict[str, float]]]) -> str:
    names = list(next(iter(found.values())))
    lines = [
        [shape, *(f"{1e3 * t['median_s']:,.1f} ({t['times_ours']:.3g})" for t in took.values())]
        for shape, took in found.items()
    ]
    return markdown([head, *names], lines)


def ablation(document: Document) -> str:
    """What each part is worth."""
    from train.ablate import table

    runs = next(iter(document.values()))
    return f"""## Ablation

`python -m train.ablate`: every variant fitted for {runs[0]["steps"]:,} steps on the same batches
of `mist-train` and `mistdata-train` (12,000 datasets each), on one core; mean and standard error,
over {len(runs)} seeds, of the pinball loss on the stabilised scale and of |error| / (1 + I) on
held-out datasets of both. These are short fits, a fiftieth of what `small` had: what they tell is
what is learned soonest: an average over pairs in the readout is no worse then (nor much in 300
steps, before pairs were gated: .1154 to .1146). Attention over columns with weights tied over the
rows is what the moments of pairs are; nothing is seen of the columns without them, so that they
have no variant.

{table(document)}"""


SECTIONS: dict[str, Callable[[Document], str]] = {
    "mist-test": mist_test,
    "mist-test-classical": classical,
    "mist-test-published": published,
    "mist-test-bootstrap": bootstrap,
    "mist-test-neural": neural,
    "bmi-40": bmi,
    "bmi-40-neural": neural,
    "mistdata-test": mistdata_test,
    "mistdata-test-classical": mistdata_test_classical,
    "intervals": intervals,
    "consistency-small": consistency,
    "consistency": consistency,
    "speed": speed,
    "ablation": ablation,
}
HEAD = """# Results

Written by `python -m train.results` from the JSON in [results/](results), which
`python -m train.evaluate`, `train.consistency` and `train.ablate` make; every estimator of a table
saw the same bytes. What the figures are is in [benchmark.md](benchmark.md), how the weights were
made in [train/README.md](../train/README.md). e = estimate − truth; intervals are those of the
true MI.
"""


GOALS = """## Goals

What the shipped networks were to reach, and what they reach; what fell short stays here.

{table}
"""
BINS = ("n in [10, 100)", "n in [100, 300)", "n in [300, 500]")


class Goal(NamedTuple):
    """A figure that was aimed at: whose it is, where it stands, and its limits."""

    model: str
    table: str
    by: str
    name: str
    metric: str
    least: float
    most: float
    shown: str = ".3g"


LIMITS = {  # MSE by bin of n for imd and oomd of mist-test; MAE at 1,000, 5,000, 10,000 of bmi-40
    "small": ((0.45, 0.035, 0.03), (0.8, 0.2, 0.06), (0.09, 0.06, 0.05)),
    "base": ((0.25, 0.015, 0.01), (0.4, 0.06, 0.02), (0.05, 0.03, 0.02)),
}
COVERED = {"imd": (0.88, 0.92), "families": (0.85, 1.0), "maps": (0.85, 1.0)}
ALARMS = "false alarms, q05 > 0"


def aims(model: str) -> list[Goal]:
    """What a network was to reach."""
    imd, oomd, bmi = LIMITS[model]
    return [
        *(Goal(model, "mist-test", "split, n", f"{split}, {name}", "mse", 0, most)
          for split, limits in (("imd", imd), ("oomd", oomd))
          for name, most in zip(BINS, limits, strict=True)),
        *(Goal(model, "bmi-40", "n", f"n = {n}", "mae", 0, most, ".3f")
          for n, most in zip((1000, 5000, 10_000), bmi, strict=True)),
        *(Goal(model, "mistdata-test", "split", split, "cover_90", *limits, ".1%")
          for split, limits in COVERED.items()),
    ]  # fmt: skip


def goals(documents: dict[str, Document]) -> str:
    """Hold the figures of the shipped networks against what was aimed at."""
    lines = []
    for goal in (goal for model in SHIPPED for goal in aims(model)):
        found = strata(documents[goal.table], goal.by) if goal.table in documents else []
        for each in found:
            if each["name"] == goal.name and goal.model in each["scores"]:
                lines.append(_held_against(goal, each["scores"][goal.model][goal.metric]))
    if "mist-test-classical" in documents:
        lines += [_behind(model, documents["mist-test-classical"]) for model in SHIPPED]
    if "intervals" in documents:
        lines += [_wider(model, documents["intervals"]) for model in SHIPPED]
    for name, document in documents.items():
        if SECTIONS[name] is consistency:
            model, alarms = document["model"], document["independence"][ALARMS]
            goal = Goal(model, "consistency", "", "independence", ALARMS, 0, 0.05, ".1%")
            lines.append(_held_against(goal, alarms))
    return GOALS.format(table=markdown(["", "goal", "reached", "met"], lines))


RIVALS = ("cca", "gaussian-copula", "ksg-3", "ksg-5", "ksg-10")


def _behind(model: str, document: Document) -> Line:
    """Count the cells in which a rival has less squared error."""
    cells = [each for by in ("split, n", "dims", "family") for each in strata(document, by)]
    behind = [
        each["name"] for each in cells
        if min(each["scores"][name]["mse"] for name in RIVALS) < each["scores"][model]["mse"]
    ]  # fmt: skip
    what = f"`{model}`, mist-test: cells of n, dims and family in which KSG, CCA or the Gaussian"
    return _none_of(f"{what} copula has less mse", behind, len(cells))


def _wider(model: str, document: Document) -> Line:
    """Count the splits in which a bootstrap is narrower, and covers 90 % or as much as ours."""
    splits = strata(document, "split")
    wider = []
    for each in splits:
        ours = each["scores"][model]
        enough = min(ours["cover_90"], 0.9)
        if any(
            other["cover_90"] >= enough and other["width"] < ours["width"]
            for name, other in each["scores"].items()
            if name not in SHIPPED
        ):
            wider.append(each["name"])
    what = f"`{model}`, mistdata-test: splits in which a bootstrap is narrower and covers 90 %"
    return _none_of(f"{what} or as much", wider, len(splits))


def _none_of(what: str, found: list[str], count: int) -> Line:
    named = f" ({', '.join(found)})" if found else ""
    return [what, "0", f"{len(found)} of {count}{named}", "no" if found else "yes"]


def _held_against(goal: Goal, value: float) -> Line:
    edges = [format(edge, goal.shown) for edge in (goal.least, goal.most)]
    aim = f"≤ {edges[1]}" if goal.least == 0 else f"{edges[0]} to {edges[1]}"
    met = goal.least <= value <= goal.most
    what = f"`{goal.model}`, {goal.table}, {goal.name}: {goal.metric}"
    return [what, aim, format(value, goal.shown), "yes" if met else "no"]


PIT = """## Are the quantiles honest?

F(I), the level at which the label stands among the quantiles of `small`, is uniform where they
are. A label of 0 that several quantiles equal counts evenly over their levels.

![Histograms of F(I)](results/pit.png)
"""
JUDGED = ("mist-test", "bmi-40", "mistdata-test")  # whose histograms are shown


def of_earlier_version(document: Document) -> str:
    """Say so where a shipped network had other weights, or answered otherwise, than now."""
    alone = {"name": document.get("model"), "version": document.get("version", "not recorded")}
    earlier = [
        f"`{each['name']}` ({each['version']})"
        for each in document.get("estimators", [alone])
        if (model := _shipped_model(each)) and each["version"] != version_of(model)
    ]
    if not earlier:
        return ""
    return f"\n\nJudged by an earlier version than is shipped now: {', '.join(earlier)}."


def _shipped_model(run: Document) -> str | None:
    """The shipped network that a run asked, under whatever name; None for any other."""
    named = run.get("estimator", run["name"])
    if named == "network-bootstrap":
        named = run["options"].get("checkpoint", "small")
    return named if named in SHIPPED else None


@cache
def version_of(model: str) -> str:
    """The version of a shipped network, as results have it."""
    return Network(checkpoint=model).version


def documents_of(folder: Path) -> dict[str, Document]:
    """What is there, in the order of the page."""
    paths = {name: folder / f"{name}.json" for name in SECTIONS}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def page(folder: Path) -> str:
    """The whole page, from what is there."""
    parts = [HEAD]
    intro = folder / "intro.md"
    if intro.exists():
        parts.append(intro.read_text())
    documents = documents_of(folder)
    if documents:
        parts.append(goals(documents))
    for name, document in documents.items():
        parts.append(SECTIONS[name](document) + of_earlier_version(document) + "\n")
    if (folder / "pit.png").exists():
        parts.append(PIT)
    return "\n".join(parts)


def main() -> None:
    """Draw the histograms and write the page."""
    documents = documents_of(DOCS)
    judged = {name: documents[name] for name in JUDGED if name in documents}
    draw_pit(panels_of(judged, "small"), DOCS / "pit.png")
    PAGE.write_text(page(DOCS))


if __name__ == "__main__":
    main()
