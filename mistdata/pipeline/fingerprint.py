"""The numeric fingerprint: would this machine compute the same bytes?

The bytes of a store depend on the random streams of NumPy and on the last bits of its
mathematical functions, which follow the CPU type and the builds of NumPy, SciPy and BLAS. Rather
than guess from version strings, a probe runs every kind of operation that families and transforms
use on fixed inputs and hashes the results.
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache, partial

import numpy as np
import scipy
from scipy import special
from scipy.linalg import solve_triangular
from threadpoolctl import threadpool_info

from mistdata.distributions.priors import Array
from mistdata.pipeline.portable import is_portable
from mistdata.pipeline.streams import Streams
from mistdata.threads import one_thread


@cache
def fingerprint() -> dict[str, str]:
    """Describe how this process computes; only `probe` decides whether two machines agree."""
    blas = [info for info in threadpool_info() if info["user_api"] == "blas"]
    return {
        "probe": _probe(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "blas": " ".join(f"{info['internal_api']}/{info['architecture']}" for info in blas),
        "portable": "yes" if is_portable() else "no",
    }


def _probe() -> str:
    digest = hashlib.sha256()
    streams = Streams(0)
    grid = np.concatenate([np.linspace(-40, 40, 4001), np.geomspace(1e-12, 1e12, 4001)])
    with one_thread():
        for open_stream in (streams.of_parameters, partial(streams.of_sample, replicate=3)):
            for draw in _draws(open_stream(1, 2)):
                digest.update(np.ascontiguousarray(draw).tobytes())
        for values in _functions(grid):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _draws(rng: np.random.Generator) -> list[Array]:
    return [
        rng.standard_normal(4096),
        rng.uniform(-1.0, 2.0, 1024),
        rng.chisquare(0.7, 1024),
        rng.chisquare(3.3, 1024),
        rng.standard_gamma(0.3, 1024),
        rng.exponential(1.0, 1024),
        rng.integers(0, 1000, 1024),
        rng.permutation(100),
        rng.beta(0.6, 2.5, 1024),
        rng.poisson(3.7, 1024),
        rng.binomial(40, 0.3, 1024),
        rng.dirichlet(np.full(9, 0.4), 32),
        rng.multinomial(60, np.full(9, 1 / 9), 32),
        rng.vonmises(0.3, 1.7, 1024),
        rng.standard_cauchy(1024),
        rng.choice(7, 1024, p=np.arange(1, 8) / 28),
    ]


def _functions(grid: Array) -> list[Array]:
    positive = np.abs(grid) + 1e-9
    bounded = np.clip(grid, -30, 30)
    return [
        np.sin(grid), np.cos(grid), np.tan(grid), np.arcsinh(grid), np.tanh(grid), np.cbrt(grid),
        np.arctan2(grid, positive[::-1]), np.hypot(grid, 1.3), np.exp(bounded), np.expm1(bounded),
        np.sinh(bounded), np.cosh(bounded), np.log(positive), np.log1p(positive),
        np.logaddexp(bounded, 0.4), np.sqrt(positive), np.power(positive, 0.37),
        grid.reshape(-1, 2).mean(axis=1), *_special(positive, bounded), *_algebra(),
    ]  # fmt: skip


def _special(positive: Array, bounded: Array) -> list[Array]:
    share = np.linspace(1e-9, 1.0 - 1e-9, 4001)
    return [
        special.ndtr(bounded), special.log_ndtr(bounded), special.ndtri(share),
        special.expit(bounded), special.logit(share), special.gammaln(positive),
        special.digamma(positive), special.betaln(positive, 0.7), special.zeta(1 + positive, 2.0),
        special.gammainccinv(0.7, share), special.stdtr(3.3, bounded), special.stdtrit(3.3, share),
        special.k0e(positive), special.k1e(positive), special.kve(1.5, positive),
        special.ive(2.5, positive), special.exp1(positive), special.spence(positive),
        special.wrightomega(bounded), special.xlogy(positive, positive), special.entr(share),
        special.logsumexp(bounded.reshape(-1, 2), axis=1),
    ]  # fmt: skip


def _algebra() -> list[Array]:
    square = np.cos(np.outer(np.arange(33.0), np.arange(33.0)))
    definite = square @ square.T + 40 * np.eye(33)
    return [
        definite, np.linalg.cholesky(definite), np.linalg.qr(square)[0],
        np.linalg.solve(definite, square), np.linalg.inv(definite),
        np.array([np.linalg.det(definite / 40)]), np.linalg.svd(square, compute_uv=False),
        solve_triangular(definite, square, lower=True),
        np.einsum("ij,kj->ik", square, definite),
    ]  # fmt: skip
