"""The manifests in docs/kubernetes are what Kubernetes and the operator of Dask accept."""

from importlib.resources import files
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from mistdata.cli import cli

FOLDER = Path(__file__).parents[1] / "docs" / "kubernetes"
DOCUMENTS = [
    pytest.param(document, id=f"{path.stem}-{document['kind']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]


def dask_schema(kind):
    """The schema of a resource of dask-kubernetes, as its chart installs it."""
    chart = files("dask_kubernetes") / "operator/deployment/helm/dask-kubernetes-operator/crds"
    definition = yaml.safe_load((chart / f"{kind.lower()}.yaml").read_text())
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def commands(document):
    """Every command line of ours in a manifest."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("command", "args") and value[0] == "mistdata":
                yield value[1:]
            yield from commands(value)
    elif isinstance(document, list):
        for value in document:
            yield from commands(value)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_manifest_is_valid(document):
    if document["apiVersion"].startswith("kubernetes.dask.org/"):
        jsonschema.validate(document, dask_schema(document["kind"]))
        for side in ("worker", "scheduler"):  # the operator's schema leaves pods half open
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
            spec = document["spec"][side]["spec"]
            kubernetes_validate.validate(pod | {"spec": spec}, "1.33", strict=True)
    else:
        kubernetes_validate.validate(document, "1.33", strict=True)


def test_the_check_is_one():
    broken = yaml.safe_load((FOLDER / "array.yaml").read_text())
    broken["spec"]["completion"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.33", strict=True)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_its_commands_have_options_that_exist(document):
    for command in commands(document):
        known = CliRunner().invoke(cli, [command[0], "--help"]).output
        for word in command:
            if word.startswith("--"):
                assert word.partition("=")[0] in known


def test_every_manifest_is_checked():
    assert sum(len(list(commands(each.values[0]))) for each in DOCUMENTS) == 4
