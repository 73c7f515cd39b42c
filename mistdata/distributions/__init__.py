"""What is true: joint distributions with known mutual information, and maps that preserve it."""

from mistdata.distributions.base import MI, JointDistribution
from mistdata.distributions.combine import rebuild
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Choice, LogUniform, Prior, Uniform
from mistdata.distributions.transforms import TRANSFORMS, Transform

__all__ = [
    "FAMILIES",
    "MI",
    "TRANSFORMS",
    "Choice",
    "JointDistribution",
    "LogUniform",
    "Parameter",
    "Prior",
    "Transform",
    "Uniform",
    "rebuild",
]
