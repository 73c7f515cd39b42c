"""The families of joint distributions: `FAMILIES` maps a catalog name to its class.

Every module lists its own in a tuple `FAMILIES`; `GROUPS` maps a title to the names under it.
"""

from mistdata.distributions.base import JointDistribution
from mistdata.distributions.families import (
    additive,
    archimedean,
    channels,
    copulas,
    counts,
    elliptical,
    gammas,
    gaussian,
    groups,
    mixtures,
    processes,
    products,
    quantised,
    ratios,
    student,
    vines,
)

_MODULES = {
    "Gaussian vectors, channels and processes": (gaussian, processes),
    "Heavy tails: elliptical families and gamma ratios": (student, elliptical, ratios),
    "Copulas under chosen marginals": (archimedean, copulas, vines),
    "Noise: added, multiplied, on groups": (additive, products, gammas, groups),
    "Mixtures": (mixtures,),
    "Discrete and mixed": (channels, counts, quantised),
}

FAMILIES: dict[str, type[JointDistribution]] = {
    family.name: family
    for modules in _MODULES.values()
    for module in modules
    for family in module.FAMILIES
}

GROUPS: dict[str, tuple[str, ...]] = {
    title: tuple(family.name for module in modules for family in module.FAMILIES)
    for title, modules in _MODULES.items()
}
