"""Every kind of flow inverts, knows its log-determinant, and survives a way through a file."""

import json

import numpy as np
import pytest
import torch

from mistdata.errors import MistdataError
from mistdata.flows.architecture import Architecture
from mistdata.flows.flow import DESCRIPTION, TENSORS, Flow, FlowError, load_flow, save_flow
from mistdata.flows.preparation import Logit, Planes, Principal, Standard

ARCHITECTURES = {
    "coupling": Architecture("coupling", (5,), layers=3, hidden=16),
    "autoregressive": Architecture("autoregressive", (3,), layers=2, hidden=16),
    "one column": Architecture("autoregressive", (1,), layers=2, hidden=8),
    "glow": Architecture("glow", (1, 8, 8), layers=2, hidden=8),
    "glow in colour": Architecture("glow", (3, 4, 4), layers=2, hidden=8),
    "glow of one scale": Architecture("glow", (2, 2, 6), layers=1, hidden=8, scales=1),
}


def steps_of(architecture):
    """Steps of every sort that fit the shape."""
    d = architecture.dim
    rows = torch.randn(50, d, generator=torch.Generator().manual_seed(1))
    if architecture.kind == "glow":
        return [Standard.of(0.5 * rows + 0.2), Logit(17), Planes(architecture.shape)]
    return [Standard.of(3 * rows + 1), Principal.of(rows.double(), d)[0]]


def moved(architecture, spread=0.1):
    """A flow away from the identity."""
    flow = Flow(architecture, steps_of(architecture), (architecture.dim,)).double()
    latents = torch.randn(64, flow.dim, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        flow.layers.inverse(latents)  # the first batch sets the scales of a glow
        torch.manual_seed(3)
        for parameter in flow.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return flow.eval()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_flow_inverts_to_rounding(name):
    flow = moved(ARCHITECTURES[name])
    z = np.random.default_rng(0).normal(size=(200, flow.dim))
    x = flow.decode(z)
    assert x.shape == (200, flow.dim)
    assert np.abs(flow.encode(x) - z).max() < 1e-9
    assert np.abs(x - x[0]).max() > 0.1


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_log_determinants_are_those_of_the_jacobian_in_double_precision(name):
    flow = moved(ARCHITECTURES[name])
    z = torch.from_numpy(np.random.default_rng(1).normal(size=(1, flow.dim)))
    x, log_det = flow(z)
    jacobian = torch.autograd.functional.jacobian(lambda row: flow(row)[0], z)[0, :, 0]
    assert log_det.dtype == torch.float64
    assert abs(torch.linalg.slogdet(jacobian)[1] - log_det[0]) < 1e-9
    assert abs(flow.inverse(x)[1] + log_det)[0] < 1e-9


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_flow_of_a_file_gives_the_same_values_quickly(name, tmp_path):
    """The layers of a loaded flow are evaluated in another way; tails and edges are among them."""
    flow = moved(ARCHITECTURES[name]).float()
    identity = save_flow(flow, tmp_path / "flow", {"note": 1})
    again = load_flow(tmp_path / "flow")
    z = 3 * np.random.default_rng(2).normal(size=(500, flow.dim))
    z[0], z[1] = 7.0, -7.0
    flow.double()
    (x, log_det), (other, other_det) = (each(torch.from_numpy(z)) for each in (again, flow))
    torch.testing.assert_close(x, other, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(log_det, other_det, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(again.inverse(x), flow.inverse(x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-8)
    assert save_flow(flow.float(), tmp_path / "again", {"note": 1}) == identity


def test_a_flow_begins_near_the_standard_normal():
    for name, architecture in ARCHITECTURES.items():
        if architecture.kind != "glow":
            flow = Flow(architecture, [], (architecture.dim,)).double().eval()
            z = torch.from_numpy(np.random.default_rng(3).normal(size=(20, flow.dim)))
            x, log_det = flow(z)
            assert log_det.abs().max() < 0.1, name
            torch.testing.assert_close(x.square().sum(1), z.square().sum(1), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        ("coupling", (1,), "at least 2 columns"),
        ("glow", (5,), "takes images"),
        ("glow", (1, 6, 8), "divisible by 4"),
        ("coupling", (1, 2, 2), "takes rows"),
        ("residual", (3,), "must be one of"),
    ],
)
def test_a_shape_that_a_kind_cannot_have_is_refused(kind, shape, message):
    with pytest.raises(MistdataError, match=message):
        Architecture(kind, shape)


@pytest.mark.parametrize("damage", ["tensors", "sha256", "missing", "json", "schema"])
def test_an_altered_flow_is_refused(damage, tmp_path):
    folder = tmp_path / "flow"
    save_flow(moved(ARCHITECTURES["coupling"]).float(), folder, {})
    description = json.loads((folder / DESCRIPTION).read_text())
    if damage == "tensors":
        content = bytearray((folder / TENSORS).read_bytes())
        content[-1] ^= 1
        (folder / TENSORS).write_bytes(content)
    elif damage == "missing":
        (folder / TENSORS).unlink()
    elif damage == "json":
        (folder / DESCRIPTION).write_text("{")
    else:
        description[damage] = "0"
        (folder / DESCRIPTION).write_text(json.dumps(description))
    with pytest.raises(FlowError):
        load_flow(folder)
