"""Integrals over densities that a test writes out itself.

Over the logarithm of a positive variable, or the logit of a fraction, these densities are
analytic in a strip and fall exponentially at both ends: there the trapezoid rule, which is a plain
sum, is exact to many digits.
"""

import numpy as np


def axis(low, high, step):
    return np.arange(low, high, step)


def mesh(*axes):
    """Every point of the product of axes: one row each, with the logarithm of its volume."""
    points = np.stack([each.ravel() for each in np.meshgrid(*axes, indexing="ij")], axis=1)
    return points, sum(np.log(each[1] - each[0]) for each in axes)


def moments(log_weight, ratio):
    """Mass of a density on a grid, and mean and deviation of a function over it."""
    weight = np.exp(log_weight)
    mean = weight @ ratio
    return weight.sum(), mean, np.sqrt(weight @ (ratio - mean) ** 2)
