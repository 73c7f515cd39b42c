"""Families over finite alphabets: noisy channels and contingency tables.

A joint law of two finite alphabets is one table of probabilities, and its mutual information a
finite sum. The symbols of either side are coded as the numbers 0, 1, ..., one column each.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from mistdata.distributions import integrate
from mistdata.distributions.base import MI, ONE_BY_ONE, JointDistribution
from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Uniform

COVER_THOMAS = "Cover & Thomas 2006, doi:10.1002/047174882X"
INPUT = Parameter(
    "q, probability of the symbol 1 at the input",
    low=0.0,
    high=1.0,
    prior=Uniform(0.1, 0.9),
    reason="at the ends X is constant",
)


class FiniteAlphabet(JointDistribution):
    """X in {0, ..., r-1} and Y in {0, ..., c-1} with a table of joint probabilities."""

    shape = ONE_BY_ONE
    x_kind = "discrete"
    y_kind = "discrete"
    _table: Array
    _pmi: Array

    @abstractmethod
    def _joint(self) -> Array:
        """Compute P(X = i, Y = j), of shape (symbols of X, symbols of Y)."""

    def _prepare(self) -> None:
        self._table = self._joint()
        with np.errstate(divide="ignore", invalid="ignore"):
            pmi = np.log(self._table) - np.log(self._table.sum(axis=1, keepdims=True))
            pmi -= np.log(self._table.sum(axis=0))
        self._pmi = np.where(self._table > 0.0, pmi, -np.inf)

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        cumulated = np.cumsum(self._table)
        cumulated /= cumulated[-1]
        # from the right: a cell of probability zero is never hit
        cell = np.searchsorted(cumulated, rng.random(n), side="right")
        x, y = np.divmod(cell[:, None], self._table.shape[1])
        return x.astype(np.float64), y.astype(np.float64)

    def _mutual_information(self) -> MI:
        return integrate.expectation(self._table, self._pmi)

    def _pointwise(self, x: Array, y: Array) -> Array:
        """Look ln P(x,y)/(P(x)P(y)) up; -inf where a value is no symbol."""
        rows, columns = self._pmi.shape
        i, j = np.rint(x[:, 0]), np.rint(y[:, 0])
        known = (i >= 0) & (i < rows) & (j >= 0) & (j < columns)
        i, j = (np.where(known, each, 0).astype(np.intp) for each in (i, j))
        return np.where(known, self._pmi[i, j], -np.inf)


class BinarySymmetricChannel(FiniteAlphabet):
    """A bit that noise flips with probability p.

    Model: P(X = 1) = q, Y = X with probability 1 - p, else 1 - X.
    Mutual information: h(q(1-p) + (1-q)p) - h(p), h(t) = -t ln t - (1-t) ln(1-t); exact.

    Parameters:
        q: q in (0, 1), probability of the symbol 1 at the input; pure number.
        p: p in [0, 1], probability of a flip; pure number.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), §7.1.4;
        https://doi.org/10.1002/047174882X

    Example:
        >>> member = BinarySymmetricChannel(dim_x=1, dim_y=1, q=0.5, p=0.1)
        >>> round(member.mutual_information().value, 6)
        0.368064
    """

    name = "channel-bsc"
    formula = "h(q(1-p) + (1-q)p) - h(p), h(t) = -t ln t - (1-t) ln(1-t)"
    source = COVER_THOMAS
    parameters: ClassVar = {
        "q": INPUT,
        "p": Parameter(
            "p, probability of a flip",
            low=0.0,
            high=1.0,
            closed="both",
            prior=Uniform(0.005, 0.42),
        ),
    }
    q: float
    p: float

    def _joint(self) -> Array:
        q, p = self.q, self.p
        return np.array([[(1 - q) * (1 - p), (1 - q) * p], [q * p, q * (1 - p)]])


class BinaryErasureChannel(FiniteAlphabet):
    """A bit that is erased with probability ε; the erasure is a symbol of its own, coded as 2.

    Model: P(X = 1) = q, Y = X with probability 1 - ε, else 2.
    Mutual information: (1-ε) h(q), h(t) = -t ln t - (1-t) ln(1-t); exact.

    Parameters:
        q: q in (0, 1), probability of the symbol 1 at the input; pure number.
        epsilon: ε in [0, 1], probability of an erasure; pure number.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), §7.1.5;
        https://doi.org/10.1002/047174882X

    Example:
        >>> member = BinaryErasureChannel(dim_x=1, dim_y=1, q=0.3, epsilon=0.25)
        >>> round(member.mutual_information().value, 6)
        0.458148
    """

    name = "channel-bec"
    formula = "(1-ε) h(q), h(t) = -t ln t - (1-t) ln(1-t)"
    source = COVER_THOMAS
    parameters: ClassVar = {
        "q": INPUT,
        "epsilon": Parameter(
            "ε, probability of an erasure",
            low=0.0,
            high=1.0,
            closed="both",
            prior=Uniform(0.02, 0.98),
        ),
    }
    q: float
    epsilon: float

    def _joint(self) -> Array:
        q, kept, erased = self.q, 1 - self.epsilon, self.epsilon
        return np.array([[(1 - q) * kept, 0.0, (1 - q) * erased], [0.0, q * kept, q * erased]])


class ZChannel(FiniteAlphabet):
    """A bit of which only the symbol 1 can be misread, as 0, with probability p.

    Model: P(X = 1) = q, Y = X if X = 0, else 0 with probability p and 1 with 1 - p.
    Mutual information: h(q(1-p)) - q h(p), h(t) = -t ln t - (1-t) ln(1-t); exact.

    Parameters:
        q: q in (0, 1), probability of the symbol 1 at the input; pure number.
        p: p in [0, 1], probability that a 1 is read as 0; pure number.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), problem 7.8;
        https://doi.org/10.1002/047174882X

    Example:
        >>> member = ZChannel(dim_x=1, dim_y=1, q=0.4, p=0.2)
        >>> round(member.mutual_information().value, 6)
        0.426708
    """

    name = "channel-z"
    formula = "h(q(1-p)) - q h(p), h(t) = -t ln t - (1-t) ln(1-t)"
    source = COVER_THOMAS
    parameters: ClassVar = {
        "q": INPUT,
        "p": Parameter(
            "p, probability that a 1 is read as 0",
            low=0.0,
            high=1.0,
            closed="both",
            prior=Uniform(0.005, 0.95),
        ),
    }
    q: float
    p: float

    def _joint(self) -> Array:
        q, p = self.q, self.p
        return np.array([[1 - q, 0.0], [q * p, q * (1 - p)]])


class SymmetricChannel(FiniteAlphabet):
    """One of m symbols, replaced by any of the others with probability p.

    Model: X uniform on {0, ..., m-1}, Y = X with probability 1 - p, else uniform on the others.
    Mutual information: ln m - h(p) - p ln(m-1), h(t) = -t ln t - (1-t) ln(1-t); exact.

    Parameters:
        m: m in {2, ..., 1000}, number of symbols; count.
        p: p in [0, 1], probability of an error; pure number.

    References:
        Elements of Information Theory (Cover, Thomas, 2006), §7.2;
        https://doi.org/10.1002/047174882X

    Example:
        >>> member = SymmetricChannel(dim_x=1, dim_y=1, m=10, p=0.2)
        >>> round(member.mutual_information().value, 6)
        1.362738
    """

    name = "channel-symmetric"
    formula = "ln m - h(p) - p ln(m-1), h(t) = -t ln t - (1-t) ln(1-t)"
    source = COVER_THOMAS
    parameters: ClassVar = {
        "m": Parameter(
            "m, number of symbols",
            low=2,
            high=1000,
            closed="both",
            integer=True,
            prior=LogUniform(2, 50),
        ),
        "p": Parameter(
            "p, probability of an error",
            low=0.0,
            high=1.0,
            closed="both",
            prior=Uniform(0.005, 0.7),
        ),
    }
    m: int
    p: float

    def _joint(self) -> Array:
        m, p = self.m, self.p
        table = np.full((m, m), p / (m * (m - 1)))
        np.fill_diagonal(table, (1 - p) / m)
        return table


class ContingencyTable(FiniteAlphabet):
    """A random contingency table, mixed with the independent table of the same marginals.

    Model: D ~ Dirichlet(α, ..., α) over the r·c cells, with marginals a and b;
    P(X = i, Y = j) = s D_ij + (1-s) a_i b_j.
    Mutual information: Σ_ij P_ij ln P_ij/(a_i b_j); exact.

    Parameters:
        rows: r in {2, ..., 1000}, number of symbols of X; count.
        columns: c in {2, ..., 1000}, number of symbols of Y; count.
        concentration: α in [0.01, 1000]; large values make D flat; pure number.
        strength: s in [0, 1], weight of the dependent table; pure number.
        structure: seed of the generator that draws D; count.

    References:
        Distribution of Mutual Information (Hutter, 2001), §2 and §3, Dirichlet tables;
        https://arxiv.org/abs/cs/0112019

    Example:
        >>> member = ContingencyTable(
        ...     1, 1, rows=5, columns=6, concentration=1.0, strength=1.0, structure=7
        ... )
        >>> round(member.mutual_information().value, 6)
        0.238847
    """

    name = "contingency-table"
    formula = "Σ_ij P_ij ln P_ij/(a_i b_j), P = s D + (1-s) abᵀ, D ~ Dirichlet(α)"
    source = "Hutter 2001, arXiv:cs/0112019"
    parameters: ClassVar = {
        "rows": Parameter(
            "r, number of symbols of X",
            low=2,
            high=1000,
            closed="both",
            integer=True,
            prior=Uniform(2, 12),
        ),
        "columns": Parameter(
            "c, number of symbols of Y",
            low=2,
            high=1000,
            closed="both",
            integer=True,
            prior=Uniform(2, 12),
        ),
        "concentration": Parameter(
            "α, concentration of the Dirichlet law of the table",
            low=0.01,  # below, all cells but one underflow
            high=1000.0,
            closed="both",
            prior=LogUniform(0.15, 3.0),
        ),
        "strength": Parameter(
            "s, weight of the dependent table",
            low=0.0,
            high=1.0,
            closed="both",
            prior=Uniform(0.3, 1.0),
        ),
        "structure": STRUCTURE,
    }
    rows: int
    columns: int
    concentration: float
    strength: float
    structure: int

    def _joint(self) -> Array:
        cells = np.full(self.rows * self.columns, self.concentration)
        table = structure_rng(self.structure).dirichlet(cells).reshape(self.rows, self.columns)
        independent = np.outer(table.sum(axis=1), table.sum(axis=0))
        return self.strength * table + (1.0 - self.strength) * independent


FAMILIES = (
    BinarySymmetricChannel,
    BinaryErasureChannel,
    ZChannel,
    SymmetricChannel,
    ContingencyTable,
)
