"""The families of joint distributions: `FAMILIES` maps a catalog name to its class.

Every module lists its own in a tuple `FAMILIES`.
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

FAMILIES: dict[str, type[JointDistribution]] = {
    family.name: family
    for module in (
        gaussian,
        processes,
        student,
        elliptical,
        ratios,
        gammas,
        archimedean,
        copulas,
        vines,
        additive,
        products,
        groups,
        mixtures,
        channels,
        counts,
        quantised,
    )
    for family in module.FAMILIES
}
