"""The families of joint distributions: `FAMILIES` maps a catalog name to its class."""

from mistdata.distributions.base import JointDistribution
from mistdata.distributions.families.additive import AdditiveUniform
from mistdata.distributions.families.gaussian import (
    GaussianDense,
    GaussianLatent,
    GaussianSparse,
    GaussianTwoPair,
)
from mistdata.distributions.families.student import (
    StudentDense,
    StudentIdentity,
    StudentSparse,
    StudentTwoPair,
)

FAMILIES: dict[str, type[JointDistribution]] = {
    cls.name: cls
    for cls in (
        GaussianDense,
        GaussianSparse,
        GaussianTwoPair,
        GaussianLatent,
        StudentIdentity,
        StudentDense,
        StudentSparse,
        StudentTwoPair,
        AdditiveUniform,
    )
}
