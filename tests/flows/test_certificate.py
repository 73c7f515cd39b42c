"""The certificate holds for what is injective in what is stored, and for nothing else."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from mistdata.distributions.combine import Product
from mistdata.distributions.families import FAMILIES
from mistdata.flows.architecture import Architecture
from mistdata.flows.carry import Carrier, from_modality, to_modality
from mistdata.flows.certificate import certify
from mistdata.flows.flow import Flow

FAMILY_CASES = {
    "gaussian-dense": {"rho": 0.6},
    "student-sparse": {"strength": 2.0, "pairs": 2, "nu": 2.0},
    "pearson-ii": {"kappa": 0.5},
    "copula-clayton": None,
    "product-normal": None,
    "mixture-inliers": None,
}


def moved_flow(dim, seed=0, spread=0.05):
    flow = Flow(Architecture("coupling", (dim,), layers=4, hidden=16), [], (dim,)).double()
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return flow.eval()


def certificate_of(member, carriers, n=500, change=None, dtype="float32"):
    """Carry a sample by both carriers; `change` is done to what is stored."""
    rng = np.random.default_rng(1)
    given = member.sample(n, rng)
    stored, recovered, latents = [], [], []
    for carrier, side in zip(carriers, given, strict=True):
        before = carrier.latents(side, rng)
        rows = to_modality(carrier.flow, before, dtype)
        rows = rows if change is None else change(rows)
        after = from_modality(carrier.flow, rows)
        stored.append(rows)
        recovered.append(carrier.values(after))
        latents.append((before, after))
    return certify(member, given, tuple(recovered), tuple(stored), tuple(latents))


def carriers_of(member, dim=6):
    return [
        Carrier(member.injection(side), moved_flow(dim, seed))
        for side, seed in (("x", 0), ("y", 1))
    ]


def strong():
    """Four pairs of 3.1 nats."""
    pair = FAMILIES["gaussian-dense"](1, 1, rho=0.999)
    return Product([pair] * 4)


@pytest.mark.parametrize("name", FAMILY_CASES)
def test_single_precision_keeps_the_information(name):
    theta, family = FAMILY_CASES[name], FAMILIES[name]
    rng = np.random.default_rng(0)
    member = family.draw(3, 3, rng) if theta is None else family(3, 3, **theta)
    found = certificate_of(member, carriers_of(member))
    assert found.holds(member.mutual_information().value)
    assert found.mi_loss_bound < 1e-4
    assert found.roundtrip_max < 1e-3


@pytest.mark.parametrize("dim", [2, 6])
def test_half_precision_is_caught_where_noise_is_finer(dim):
    member = FAMILIES["gaussian-dense"](1, 1, rho=1 - 1e-6)
    single = certificate_of(member, carriers_of(member, dim))
    half = certificate_of(member, carriers_of(member, dim), dtype="float16")
    mi = member.mutual_information().value
    assert single.holds(mi) and not half.holds(mi)
    assert half.mi_loss_bound > 0.01


def test_a_grid_of_eight_bits_is_caught_where_the_information_is_high():
    def on_grid(stored):
        low, high = stored.min(axis=0), stored.max(axis=0)
        step = (high - low) / 255
        return low + step * np.round((stored - low) / step)

    found = certificate_of(strong(), carriers_of(strong()), change=on_grid)
    assert not found.holds(strong().mutual_information().value)
    assert found.mi_loss_bound > 0.01


def test_a_map_that_is_not_injective_is_caught():
    found = certificate_of(strong(), carriers_of(strong()), change=np.abs)
    assert not found.holds(strong().mutual_information().value)


class Unbounded(nn.Module):
    """RealNVP with exp: a wild network makes its log-scales huge."""

    def __init__(self, dim):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weights = nn.ParameterList(
            nn.Parameter(6 * torch.randn(dim // 2, dim // 2, generator=generator))
            for _ in range(4)
        )

    def forward(self, z):
        """Scale one half by the other, in turn."""
        for weight in self.weights:
            a, b = z.chunk(2, dim=1)
            z = torch.cat([b * torch.exp(a @ weight), a], dim=1)
        return z, z.new_zeros(len(z))

    def inverse(self, u):
        """Undo it."""
        for weight in reversed(self.weights):
            b, a = u.chunk(2, dim=1)
            u = torch.cat([a, b * torch.exp(-(a @ weight))], dim=1)
        return u, u.new_zeros(len(u))


def test_an_unbounded_flow_is_caught():
    carriers = carriers_of(strong())
    for carrier in carriers:
        carrier.flow.layers = Unbounded(6).double()
    found = certificate_of(strong(), carriers)
    assert not found.holds(strong().mutual_information().value)
    assert found.nonfinite or math.isinf(found.mi_loss_bound) or found.mi_loss_bound > 0.01


def test_a_side_too_wide_for_the_flow_is_an_error():
    member = FAMILIES["gaussian-dense"](8, 8, rho=0.3)
    with pytest.raises(Exception, match="8 latent columns does not fit a flow of 6"):
        carriers_of(member)
