"""Mixtures of normal laws written out with dense covariances, by scipy's densities."""

import math

import numpy as np
from scipy import stats
from scipy.special import logsumexp


def log_density(rows, weights, means, covariances):
    """The logarithm of a mixture's density at rows (n, d)."""
    terms = [
        math.log(w) + stats.multivariate_normal(mean, covariance).logpdf(rows).reshape(-1)
        for w, mean, covariance in zip(weights, means, covariances, strict=True)
    ]
    return logsumexp(terms, axis=0)


def pointwise(x, y, weights, means, covariances):
    """The value of ln p(x,y)/(p(x)p(y)) for a mixture whose first columns are X."""
    d = x.shape[1]
    means, covariances = np.asarray(means), np.asarray(covariances)
    joint = log_density(np.hstack((x, y)), weights, means, covariances)
    at_x = log_density(x, weights, means[:, :d], covariances[:, :d, :d])
    return joint - at_x - log_density(y, weights, means[:, d:], covariances[:, d:, d:])


def information(weights, means, covariances, step, reach=9.0):
    """I and the deviation of the pointwise MI in the plane, by one grid over all of it."""
    means, covariances = np.asarray(means), np.asarray(covariances)
    axes = []
    for column in range(2):
        width = reach * np.sqrt(covariances[:, column, column])
        low, high = (means[:, column] - width).min(), (means[:, column] + width).max()
        axes.append(np.arange(low, high, step))
    x, y = (each.reshape(-1, 1) for each in np.meshgrid(*axes, indexing="ij"))
    weight = step**2 * np.exp(log_density(np.hstack((x, y)), weights, means, covariances))
    used = weight > 1e-30
    pmi = pointwise(x[used], y[used], weights, means, covariances)
    value = weight[used] @ pmi
    return value, math.sqrt(weight[used] @ (pmi - value) ** 2)
