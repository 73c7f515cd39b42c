"""Distribution functions of the pair copulas, written by hand in mpmath, and what follows."""

import math

import mpmath as mp
import numpy as np
from scipy import stats

from mistdata.distributions.families import _archimedean_pairs as archimedean
from mistdata.distributions.families import _pair_copulas as pairs
from mistdata.distributions.marginals import margin_of


def clayton(u, v, t):
    total = u**-t + v**-t - 1
    return total ** (-1 / t) if total > 0 else mp.mpf(0)


def frank(u, v, t):
    return -mp.log(1 + mp.expm1(-t * u) * mp.expm1(-t * v) / mp.expm1(-t)) / t


def gumbel(u, v, t):
    return mp.exp(-(((-mp.log(u)) ** t + (-mp.log(v)) ** t) ** (1 / t)))


def joe(u, v, t):
    a, b = (1 - u) ** t, (1 - v) ** t
    return 1 - (a + b - a * b) ** (1 / t)


def amh(u, v, t):
    return u * v / (1 - t * (1 - u) * (1 - v))


def fgm(u, v, t):
    return u * v * (1 + t * (1 - u) * (1 - v))


def plackett(u, v, t):
    s = 1 + (t - 1) * (u + v)
    return (s - mp.sqrt(s * s - 4 * u * v * t * (t - 1))) / (2 * (t - 1))


# name: distribution function, class, strengths
BY_HAND = {
    "clayton": (clayton, archimedean.Clayton, (-0.5, -0.3, 0.01, 1.0, 8.0)),
    "frank": (frank, archimedean.Frank, (-6.0, 0.01, 3.0, 25.0)),
    "gumbel": (gumbel, archimedean.Gumbel, (1.01, 1.5, 5.0)),
    "joe": (joe, archimedean.Joe, (1.01, 1.5, 5.0)),
    "amh": (amh, archimedean.AliMikhailHaq, (-1.0, -0.6, 0.5, 0.99)),
    "fgm": (fgm, pairs.FarlieGumbelMorgenstern, (-1.0, 0.3, 1.0)),
    "plackett": (plackett, pairs.Plackett, (0.05, 0.99, 3.0, 40.0)),
}


def members(*names):
    """Return (distribution function, pair copula) of every strength."""
    found = []
    for name in names:
        function, kind, strengths = BY_HAND[name]
        found += [(lambda u, v, f=function, t=t: f(u, v, mp.mpf(t)), kind(t)) for t in strengths]
    return found


def label(case):
    return str(case[1])


def margins(u, v):
    """Return the margins of points in the unit square."""
    u, v = np.atleast_1d(np.asarray(u, float)), np.atleast_1d(np.asarray(v, float))
    return margin_of(u, 1.0 - u), margin_of(v, 1.0 - v)


POINTS = [(0.31, 0.27), (0.02, 0.5), (0.9, 0.97), (0.985, 0.6), (0.6, 0.44), (1e-3, 3e-3)]


def check_density(function, pair):
    """The density is the mixed derivative of the distribution function."""
    compared = 0
    with mp.workdps(40):
        for u, v in POINTS:
            exact = mp.diff(function, (mp.mpf(u), mp.mpf(v)), (1, 1))
            if exact <= 0:
                continue  # outside of the support of Clayton's copula for θ < 0
            found = float(pair.log_density(*margins(u, v))[0])
            assert abs(found - float(mp.log(exact))) < 1e-10 * (1 + abs(found)), (u, v)
            compared += 1
    assert compared >= 3


def check_conditional_quantile(function, pair):
    """The v that it returns for q has the conditional distribution function q there."""
    with mp.workdps(40):
        for u, q in POINTS:
            v = pair.quantile(np.array([q]), np.array([u]))[0]
            exact = mp.diff(lambda w, v=v: function(w, mp.mpf(float(v))), mp.mpf(u))
            assert abs(float(exact) - q) < 1e-10, (u, q)


def check_sampler(function, pair, n=20_000):
    """Both margins are uniform, and the share of points in 16 rectangles is what it must be."""
    u, v = pair.draw(n, np.random.default_rng(5))
    for side in (u, v):
        assert stats.kstest(side, "uniform").pvalue > 1e-4
    for a in (0.1, 0.35, 0.7, 0.95):
        for b in (0.05, 0.3, 0.6, 0.9):
            share = float(function(mp.mpf(a), mp.mpf(b)))
            spread = math.sqrt(max(share * (1 - share), 1e-12) / n)
            assert abs(np.mean((u <= a) & (v <= b)) - share) < 5 * spread + 1e-9, (a, b)
