"""What mutual information must obey, over all families: limits, symmetry, data processing.

A new family belongs into the tables below: its limit at independence above all.
"""

import numpy as np
import pytest

from mistdata.distributions import FAMILIES, TRANSFORMS
from mistdata.distributions.base import JointDistribution, Precision
from mistdata.distributions.combine import Product, Transformed
from mistdata.distributions.transforms import Transform

EXACT = Precision(n=1000, strict=True)

# parameters at which X and Y are independent, or next to it: I is below the last number
TO_INDEPENDENCE = {
    "gaussian-dense": ({"rho": 0.0}, 0.0),
    "gaussian-sparse": ({"strength": 0.0}, 0.0),
    "gaussian-2pair": ({"strength": 0.0}, 0.0),
    "gaussian-lvm": ({"strength": 0.0, "alpha": 0.0}, 0.0),
    "gaussian-bivariate": ({"rho": 0.0}, 0.0),
    "gaussian-general": ({"concentration": 1e9}, 1e-7),
    "gaussian-canonical": ({"information": 0.0}, 0.0),
    "gaussian-channel": ({"snr": 0.0}, 0.0),
    "gaussian-ar1": ({"rho": 0.0}, 0.0),
    "gaussian-ou": ({"kappa_tau": 40.0}, 1e-30),
    "gaussian-brownian": ({"ratio": 1e-12}, 1e-11),
    "student-identity": ({"nu": 1e9}, 1e-7),
    "student-dense": ({"rho": 0.0, "nu": 1e9}, 1e-7),
    "student-sparse": ({"strength": 0.0, "nu": 1e9}, 1e-7),
    "student-2pair": ({"strength": 0.0, "nu": 1e9}, 1e-7),
    "pearson-ii": ({"kappa": 1e9}, 1e-7),
    "inverted-dirichlet": ({"c": 1e9}, 1e-7),
    "multivariate-f": ({"nu_0": 1e9}, 1e-7),
    "beta-olkin-liu": ({"c": 1e9}, 1e-7),
    "lomax": ({"a": 1e9}, 1e-7),
    "pareto": ({"a": 1e9}, 1e-7),
    "burr": ({"a": 1e9}, 1e-7),
    "dirichlet": ({"c": 1e9}, 1e-7),
    "copula-clayton": ({"strength": 0.0}, 0.0),
    "copula-frank": ({"strength": 0.0}, 0.0),
    "copula-gumbel": ({"strength": 1.0}, 1e-12),
    "copula-joe": ({"strength": 1.0}, 1e-12),
    "copula-amh": ({"strength": 0.0}, 1e-12),
    "copula-gaussian": ({"rho": 0.0}, 0.0),
    "copula-t": ({"rho": 0.0, "nu": 1e4}, 1e-7),
    "copula-fgm": ({"strength": 0.0}, 1e-12),
    "copula-plackett": ({"odds_ratio": 1.0}, 1e-12),
    "copula-markov": ({"tau": 0.0}, 1e-12),
    "copula-vine": ({"tau_y": 0.0}, 1e-12),
    "additive-uniform": ({"epsilon": 1e9}, 1e-8),
    "additive-gaussian": ({"sigma": 1e4}, 1e-9),
    "additive-cauchy": ({"ratio": 1e-6}, 1e-5),
    "additive-levy": ({"ratio": 1e-6}, 5e-3),
    "product-uniform": ({"ratio": 1e-6}, 1e-5),
    "product-beta": ({"b": 1e-8}, 1e-5),
    "product-lognormal": ({"ratio": 1e-6}, 1e-9),
    "heteroscedastic": ({"b": 1e-4}, 3e-8),
    "gamma-exponential": ({"rate_shape": 1e9}, 1e-7),
    "gamma-gamma": ({"rate_shape": 1e9}, 1e-6),
    "gamma-additive": ({"a": 1e-6}, 1e-4),
    "exponential-ordered": ({"mean": 1e6}, 1e-5),
    "exponential-noise": ({"snr": 1e-9}, 1e-8),
    "gamma-kibble": ({"r": 0.0}, 1e-12),
    "exponential-gumbel": ({"delta": 0.0}, 1e-12),
    "torus-normal": ({"sigma": 2.0}, 1e-9),
    "torus-uniform": ({"width": 1.0}, 0.0),
    "sphere-vmf": ({"kappa": 1e-6}, 1e-9),
    "ranking-mallows": ({"concentration": 0.0}, 1e-12),
    "bits-bsc": ({"p": 0.5}, 1e-12),
    "modular-integers": ({"alpha": 1e6}, 1e-5),
    "mixture-x": ({"rho": 0.0}, 1e-12),
    "mixture-blobs": ({"sigma": 100.0, "rho": 0.0}, 1e-7),
    "mixture-galaxy": ({"distance": 0.0}, 1e-12),
    "mixture-inliers": ({"fraction": 1.0}, 1e-12),
    "channel-bsc": ({"p": 0.5}, 1e-12),
    "channel-bec": ({"epsilon": 1.0}, 1e-12),
    "channel-z": ({"p": 1.0}, 1e-12),
    "channel-symmetric": ({"m": 4, "p": 0.75}, 1e-12),
    "contingency-table": ({"strength": 0.0}, 1e-12),
    "multinomial-split": ({"trials": 1, "left_over": 0.999999}, 1e-9),
    "poisson-bivariate": ({"common": 0.0}, 1e-12),
    "poisson-additive": ({"signal": 1e-6, "noise": 1.0}, 1e-5),
    "poisson-gamma": ({"k": 1000.0, "scale": 1e-6}, 1e-6),
    "poisson-zero-inflated": ({"p": 0.999999}, 1e-5),
    "poisson-erased": ({"p": 0.999999}, 1e-5),
    "beta-binomial": ({"a": 1e4, "b": 1e4, "trials": 1}, 1e-4),
    "discrete-smoothed": ({"m": 2, "width": 1e4}, 1e-3),
    "pam-gaussian": ({"levels": 2, "noise": 1000.0}, 1e-5),
    "gaussian-sign": ({"rho": 0.0}, 1e-12),
    "gaussian-sign-sign": ({"rho": 0.0}, 1e-12),
    "gaussian-quantised": ({"rho": 0.0}, 1e-12),
    "gaussian-quantised-both": ({"rho": 0.0}, 1e-12),
    "gaussian-logistic": ({"beta": 0.0}, 1e-12),
}
NEVER_INDEPENDENT = {
    "laplace-symmetric": "the common scale is always there",
    "uniform-ball": "no parameter",
    "logistic-gumbel": "no parameter",
    "product-normal": "the amplitude of the product always tells of that of X",
    "mixture-ai": "no parameter",
    "mixture-waves": "two balls or more",
    "mixture-concentric": "two laws or more",
    "mixture-labels": "two labels or more",
    "mixture-gaussian": "random means",
    "poisson-exponential": "no parameter",
    "gao-uniform": "two symbols or more",
}

# families whose law is the same with X and Y exchanged, parameters renamed by the pairs
EXCHANGEABLE = {
    "inverted-dirichlet": {"alpha": "beta", "beta": "alpha"},
    "dirichlet": {"alpha": "beta", "beta": "alpha"},
    "beta-olkin-liu": {"alpha": "beta", "beta": "alpha"},
    "multivariate-f": {"nu_x": "nu_y", "nu_y": "nu_x"},
    "poisson-bivariate": {"only_x": "only_y", "only_y": "only_x"},
}
EXCHANGEABLE_AS_THEY_ARE = [
    "gaussian-dense", "gaussian-sparse", "gaussian-2pair", "gaussian-lvm", "gaussian-bivariate",
    "gaussian-ou", "student-identity", "student-dense", "student-sparse", "student-2pair",
    "laplace-symmetric", "pearson-ii", "uniform-ball", "lomax", "pareto", "burr",
    "logistic-gumbel", "copula-clayton", "copula-frank", "copula-gumbel", "copula-joe",
    "copula-amh", "copula-gaussian", "copula-t", "copula-fgm", "copula-plackett", "gamma-kibble",
    "exponential-gumbel", "torus-normal", "torus-uniform", "sphere-vmf", "ranking-mallows",
    "bits-bsc", "mixture-x", "mixture-blobs", "mixture-inliers", "channel-symmetric",
    "gaussian-sign-sign", "gaussian-quantised-both",
]  # fmt: skip
MARGINALS = {"marginal_x": "marginal_y", "marginal_y": "marginal_x"}

# with all else equal, one more column of a side can only add information
GROWING = [
    "gaussian-dense", "gaussian-lvm", "student-identity", "student-dense", "laplace-symmetric",
    "uniform-ball", "inverted-dirichlet", "multivariate-f", "lomax", "pareto", "burr",
    "logistic-gumbel", "copula-clayton", "gamma-exponential", "gamma-gamma", "mixture-concentric",
]  # fmt: skip


@pytest.mark.parametrize("name", TO_INDEPENDENCE)
def test_information_vanishes_with_the_dependence(name):
    ranges, most = TO_INDEPENDENCE[name]
    family = FAMILIES[name]
    member = family.draw(*family.shape.nearest(3, 2), np.random.default_rng(3), **ranges)
    mi = member.mutual_information(EXACT)
    assert mi.value <= most + mi.error


def test_the_tables_name_families_and_no_family_twice():
    assert TO_INDEPENDENCE.keys() | NEVER_INDEPENDENT.keys() <= FAMILIES.keys()
    assert not TO_INDEPENDENCE.keys() & NEVER_INDEPENDENT.keys()
    assert len(TO_INDEPENDENCE) + len(NEVER_INDEPENDENT) >= 89


@pytest.mark.parametrize("name", [*EXCHANGEABLE, *EXCHANGEABLE_AS_THEY_ARE])
def test_information_and_its_density_are_symmetric(name):
    family = FAMILIES[name]
    rng = np.random.default_rng(5)
    member = family.draw(*family.shape.nearest(3, 2), rng)
    renaming = EXCHANGEABLE.get(name, {}) | MARGINALS
    theta = {renaming.get(key, key): value for key, value in member.theta.items()}
    swapped = family(member.dim_y, member.dim_x, **theta)
    found, expected = swapped.mutual_information(EXACT), member.mutual_information(EXACT)
    assert found.value == pytest.approx(expected.value, rel=1e-9, abs=1e-10)
    if member.has_density:
        x, y = member.sample(200, rng)
        np.testing.assert_allclose(
            swapped.pointwise_mutual_information(y, x),
            member.pointwise_mutual_information(x, y),
            rtol=1e-7,
            atol=1e-7,
        )


@pytest.mark.parametrize("name", GROWING)
def test_one_more_column_of_either_side_never_lowers_the_information(name):
    family = FAMILIES[name]
    member = family.draw(*family.shape.nearest(3, 2), np.random.default_rng(6))
    mi = member.mutual_information(EXACT)
    grew = False
    for dims in ((member.dim_x + 1, member.dim_y), (member.dim_x, member.dim_y + 1)):
        if family.supports(*dims):
            more = family(*dims, **member.theta).mutual_information(EXACT)
            assert more.value >= mi.value - mi.error - more.error
            grew = True
    assert grew


@pytest.mark.parametrize("rho", [-0.95, -0.3, 0.0, 0.6, 0.99])
def test_coarser_views_of_a_pair_know_less(rho):
    def information(name, **theta):
        return FAMILIES[name](1, 1, rho=rho, **theta).mutual_information(EXACT).value

    whole = information("gaussian-bivariate")
    fine, coarse = (information("gaussian-quantised", bins=bins) for bins in (8, 4))
    both_fine, both_coarse = (information("gaussian-quantised-both", bins=b) for b in (8, 4))
    sign, signs = information("gaussian-sign"), information("gaussian-sign-sign")
    slack = 1e-9
    assert whole + slack >= fine and fine + slack >= coarse and coarse + slack >= sign
    assert fine + slack >= both_fine and both_fine + slack >= both_coarse
    assert both_coarse + slack >= signs and sign + slack >= signs


@pytest.mark.parametrize("p", [0.0, 0.3, 0.9])
def test_a_zero_that_may_be_an_erasure_tells_less_than_a_known_erasure(p):
    erased = FAMILIES["poisson-erased"](1, 1, p=p).mutual_information(EXACT).value
    inflated = FAMILIES["poisson-zero-inflated"](1, 1, p=p).mutual_information(EXACT).value
    assert inflated <= erased + 1e-9
    if p == 0.0:
        assert inflated == pytest.approx(erased, abs=1e-9)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_independent_blocks_add_information_variance_and_density(name):
    family = FAMILIES[name]
    rng = np.random.default_rng(8)
    dims = family.shape.nearest(2, 2)
    parts = [family.draw(*dims, rng), family.draw(*dims, rng)]
    both = Product(parts)
    x, y = both.sample(50, rng)
    found = both.mutual_information(EXACT)
    mis = [part.mutual_information(Precision(n=2000, strict=True)) for part in parts]
    assert found.value == sum(mi.value for mi in mis)
    if all(mi.pmi_std is not None for mi in mis):
        assert found.pmi_std**2 == pytest.approx(sum(mi.pmi_std**2 for mi in mis))
    if both.has_density:
        d, e = dims
        separate = parts[0].pointwise_mutual_information(x[:, :d], y[:, :e])
        separate = separate + parts[1].pointwise_mutual_information(x[:, d:], y[:, e:])
        np.testing.assert_array_equal(both.pointwise_mutual_information(x, y), separate)


TAMED = {"normal-cdf": "asinh", "exp": "asinh", "power": "asinh", "swiss-roll": "logistic"}


@pytest.mark.parametrize("transform", sorted(TRANSFORMS))
@pytest.mark.parametrize("name", ["gaussian-dense", "student-dense", "copula-clayton", "burr"])
def test_no_map_of_a_side_changes_information_or_density(name, transform):
    kind = TRANSFORMS[transform]
    rng = np.random.default_rng(9)
    maps = [kind.draw(4, "x", rng), kind.draw(5, "y", rng)]
    tame = TAMED.get(transform, "identity")
    bound = [TRANSFORMS[tame](each.dim_in, each.side) for each in maps]
    member = FAMILIES[name].draw(maps[0].dim_in, maps[1].dim_in, rng)
    seen = Transformed(member, [bound[0], maps[0]], [bound[1], maps[1]])
    assert seen.mutual_information(EXACT) == member.mutual_information(EXACT)
    x, y = member.sample(64, rng)
    for side, chain in (("x", seen.maps_x), ("y", seen.maps_y)):
        assert all(each.side == side for each in chain)
    image_x, image_y = x, y
    for each in seen.maps_x:
        image_x = each.forward(image_x)
    for each in seen.maps_y:
        image_y = each.forward(image_y)
    np.testing.assert_allclose(
        seen.pointwise_mutual_information(image_x, image_y),
        member.pointwise_mutual_information(x, y),
        rtol=1e-3,
        atol=1e-4,
    )


def test_no_parameter_hides_an_attribute():
    own = set(dir(JointDistribution)) | {"dim_x", "dim_y", "theta", "formula", "source"}
    for family in FAMILIES.values():
        assert not own & family.parameters.keys()
    own = set(dir(Transform)) | {"dim_out", "side", "theta", "formula"}
    for kind in TRANSFORMS.values():
        assert not own & kind.parameters.keys()
