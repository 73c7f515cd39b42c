"""Blocks of many columns built from pair copulas, with a mutual information known exactly.

A vine is a chain of conditional laws, each a pair copula: sampling inverts them one after the
other, and the mutual information of X and Y is the sum over the pairs that join the two sides.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar

import numpy as np

from mistdata.distributions.base import MI, Shape
from mistdata.distributions.families._archimedean_pairs import Clayton, Frank, Gumbel
from mistdata.distributions.families._copula_base import MARGINAL_PARAMETERS, CopulaFamily
from mistdata.distributions.families._pair_copulas import Gaussian, VinePair
from mistdata.distributions.integrate import Margin
from mistdata.distributions.marginals import column, open_interval
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array, Uniform

PAIRS: dict[str, type[VinePair]] = {
    "clayton": Clayton,
    "frank": Frank,
    "gaussian": Gaussian,
    "gumbel": Gumbel,
}
STRONGEST = 0.95  # beyond, single precision blurs the conditional laws


class CopulaMarkov(CopulaFamily):
    """A stationary Markov chain of uniforms, cut in two; every step is the same pair copula.

    Model: the chain X_m, ..., X_1, Y_1, ..., Y_n, in which neighbours have the pair copula of
    Kendall's rank correlation τ; columns are stored in the order X_1, ..., X_m and Y_1, ..., Y_n,
    away from the cut.
    Mutual information: I(X_1;Y_1), that of the pair copula, for all dimensions; exact.

    Parameters:
        pair: pair copula of neighbours, clayton, frank, gaussian or gumbel.
        tau: τ in [0, 0.95], Kendall's rank correlation of neighbours; pure number.
        marginal_x: law of every column of X, a key of `MARGINALS`.
        marginal_y: law of every column of Y, a key of `MARGINALS`.

    References:
        Copulas and Markov processes (Darsow, Nguyen, Olsen, 1992), theorem 3.3;
        https://doi.org/10.1215/ijm/1255987328

    Example:
        >>> normal = {"marginal_x": "normal", "marginal_y": "normal"}
        >>> member = CopulaMarkov(4, 3, pair="clayton", tau=0.5, **normal)
        >>> round(member.mutual_information().value, 6)
        0.431946
    """

    name = "copula-markov"
    formula = "I(X₁;Y₁) of the pair copula"
    source = "Darsow, Nguyen, Olsen 1992, doi:10.1215/ijm/1255987328"
    parameters: ClassVar = {
        "pair": Parameter.named("pair copula of neighbours", tuple(PAIRS)),
        "tau": Parameter(
            "τ, Kendall's rank correlation of neighbours",
            low=0.0,
            high=STRONGEST,
            closed="both",
            prior=Uniform(0.05, 0.9),
            reason="at 1 neighbours are functions of each other and I(X;Y) is infinite",
        ),
        **MARGINAL_PARAMETERS,
    }
    pair: str
    tau: float

    def _prepare(self) -> None:
        self._copula = PAIRS[self.pair].of_tau(self.tau)

    def _uniforms(self, n: int, rng: np.random.Generator) -> Array:
        block = rng.random((self.dim_x + self.dim_y, n))
        m = self.dim_x
        chain = np.concatenate((block[m - 1 :: -1], block[m:]))  # X_m, ..., X_1, Y_1, ..., Y_n
        follow(chain, self._copula)
        return np.concatenate((chain[m - 1 :: -1], chain[m:])).T

    def _log_ratio(self, u: Margin, v: Margin) -> Array:
        return self._copula.log_density(column(u, 0), column(v, 0))

    def _mutual_information(self) -> MI:
        return self._copula.information()


class CopulaVine(CopulaFamily):
    """A D-vine Y, X_1, ..., X_m: a scalar Y joined to every X by a pair copula of its own.

    Model: X_1, ..., X_m is a chain as in `CopulaMarkov` with the rank correlation τ_x, which gives
    the independent uniforms W_1 = X_1 and W_k = P(X_k ≤ x_k | X_{k-1}). With Z_0 = Y and
    Z_k = P(Y ≤ y | X_1, ..., X_k), the pair (Z_{k-1}, W_k) has the pair copula of rank
    correlation τ_k. In the words of vines: tree 1 has the edges (Y, X_1) of τ_1 and
    (X_{k-1}, X_k) of τ_x; tree k ≥ 2 has (Y, X_k | X_1, ..., X_{k-1}) of τ_k; all other edges are
    independence.
    Mutual information: Σ_k I(Z_{k-1}; W_k) over the edges that touch Y; exact, by the chain rule.

    Parameters:
        pair_x: pair copula of neighbours within X, clayton, frank, gaussian or gumbel.
        tau_x: τ_x in [0, 0.95], Kendall's rank correlation of neighbours within X; pure number.
        pair_y: pair copula of the edges that touch Y, clayton, frank, gaussian or gumbel.
        tau_y: τ_k in [0, 0.95], rank correlation of the edge of Y and X_k given X_1, ..., X_{k-1};
            pure number.
        marginal_x: law of every column of X, a key of `MARGINALS`.
        marginal_y: law of Y, a key of `MARGINALS`.

    References:
        Pair-copula constructions of multiple dependence (Aas, Czado, Frigessi, Bakken, 2009), §2;
        https://doi.org/10.1016/j.insmatheco.2007.02.001

    Example:
        >>> pairs = {"pair_x": "clayton", "tau_x": 0.6, "pair_y": "clayton", "tau_y": (0.5, 1 / 3)}
        >>> member = CopulaVine(2, 1, **pairs, marginal_x="normal", marginal_y="normal")
        >>> round(member.mutual_information().value, 6)
        0.625093
    """

    name = "copula-vine"
    formula = "Σ_k I(Z_{k-1};W_k) of the pair copulas on the edges that touch Y"
    source = "Aas et al. 2009, doi:10.1016/j.insmatheco.2007.02.001"
    parameters: ClassVar = {
        "pair_x": Parameter.named("pair copula of neighbours within X", tuple(PAIRS)),
        "tau_x": Parameter(
            "τ_x, rank correlation of neighbours within X",
            low=0.0,
            high=STRONGEST,
            closed="both",
            prior=Uniform(0.05, 0.8),
        ),
        "pair_y": Parameter.named("pair copula of the edges that touch Y", tuple(PAIRS)),
        "tau_y": Parameter(
            "τ_k, rank correlation of the edge of Y and X_k given X_1, ..., X_{k-1}",
            low=0.0,
            high=STRONGEST,
            closed="both",
            # about as much information in sum, however many columns there are
            prior=lambda dim_x, dim_y: Uniform(0.02, min(0.85, 1.5 / math.sqrt(dim_x))),
            per="x",
        ),
        **MARGINAL_PARAMETERS,
    }
    shape: ClassVar = Shape((1, None), (1, 1))
    pair_x: str
    tau_x: float
    pair_y: str
    tau_y: tuple[float, ...]

    def _prepare(self) -> None:
        self._chain = PAIRS[self.pair_x].of_tau(self.tau_x)
        self._edges = [PAIRS[self.pair_y].of_tau(tau) for tau in self.tau_y]

    def _uniforms(self, n: int, rng: np.random.Generator) -> Array:
        block = open_interval(rng.random((self.dim_x + 1, n)))
        w, z = block[:-1], block[-1]
        for edge, each in zip(self._edges[::-1], w[::-1], strict=True):
            z = open_interval(edge.quantile(z, each))
        block[-1] = z
        follow(w, self._chain)
        return block.T

    def _log_ratio(self, u: Margin, v: Margin) -> Array:
        z = column(v, 0)
        total = np.zeros(len(z.u))
        for k, edge in enumerate(self._edges):
            here = column(u, k)
            w = self._chain.conditional(here, column(u, k - 1)) if k else here
            total += edge.log_density(z, w)
            z = edge.conditional(z, w)
        return total

    def _mutual_information(self) -> MI:
        found = [edge.information() for edge in self._edges]
        value = math.fsum(mi.value for mi in found)
        deviation = found[0].pmi_std if len(found) == 1 else None  # the terms are correlated
        return MI.closed_form(value, deviation, special=self.pair_y in {"frank", "gumbel"})


def follow(rows: Array, pair: VinePair) -> None:
    """Turn rows of independent uniforms into a Markov chain of neighbours, in place."""
    rows[...] = open_interval(rows)
    for before, row in pairwise(rows):
        row[...] = open_interval(pair.quantile(row, before))


FAMILIES = (CopulaMarkov, CopulaVine)
