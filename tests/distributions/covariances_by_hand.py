"""What follows from a covariance matrix of (X, Y) alone, without the family that has it."""

import mpmath as mp
import numpy as np
from scipy import stats

DIGITS = 40


def information(sigma, m):
    """½ ln(det Σ_xx det Σ_yy / det Σ), from an array or an mpmath matrix, with 40 digits."""
    with mp.workdps(DIGITS):
        sigma = mp.matrix(sigma)
        ratio = mp.det(sigma[:m, :m]) * mp.det(sigma[m:, m:]) / mp.det(sigma)
        return float(mp.log(ratio) / 2)


def correlations(sigma):
    """The matrix scaled to a diagonal of ones, in double precision."""
    sigma = np.array(mp.matrix(sigma).tolist(), dtype=float)
    scale = np.sqrt(np.diag(sigma))
    return sigma / np.outer(scale, scale)


def squared_canonical_correlations(sigma, m):
    """Eigenvalues of Σ_xx⁻¹ Σ_xy Σ_yy⁻¹ Σ_yx, the greatest first."""
    to_y = np.linalg.solve(sigma[:m, :m], sigma[:m, m:])
    to_x = np.linalg.solve(sigma[m:, m:], sigma[m:, :m])
    return np.sort(np.linalg.eigvals(to_y @ to_x).real)[::-1]


def pointwise(x, y, sigma):
    """Logarithm of p(x,y)/(p(x)p(y)) of N(0, Σ), by the densities of scipy."""
    m = x.shape[1]

    def log_density(rows, part):
        return stats.multivariate_normal(cov=part).logpdf(rows).reshape(-1)

    marginal = log_density(x, sigma[:m, :m]) + log_density(y, sigma[m:, m:])
    return log_density(np.hstack((x, y)), sigma) - marginal


def of_the_sampler(member, seed, n=60):
    """AᵀA of the map A that takes the sampler's standard normals to its rows.

    The sampler's first numbers are drawn a second time. If rows are linear in them the covariance
    follows without an error of sampling.
    """
    rows = np.hstack(member.sample(n, np.random.default_rng(seed)))
    normals = np.random.default_rng(seed).standard_normal(rows.shape)
    map_ = np.linalg.lstsq(normals, rows)[0]
    np.testing.assert_allclose(normals @ map_, rows, rtol=0, atol=1e-11)
    return map_.T @ map_
