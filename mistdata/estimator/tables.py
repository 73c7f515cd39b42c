"""Symbols are counted: what a table tells by itself, and what no information can exceed.

Where X and Y take so few values that a cell of their table has five rows on average, counting is
as good as any estimate can be, whatever the pattern (an exclusive or, a rare symbol, a copy). With
counts c_ab of n rows, margins c_a and c_b, and ℓ_ab = ln(n c_ab / (c_a c_b)),

    Î = (1/n) Σ_ab c_ab ℓ_ab - (b + b₀) / 2
    σ² = [Var(ℓ) / n + min(m, n) / 2n²] (1 + 2 min(K, n) / n) + [(b - b₀) / 2]²
    b = min(m / 2n, ln(1 + m / (n - 1))),   b₀ = (K_o - K_x - K_y + 1) / 2n

with K cells, K_o of them occupied, and m = (K_x - 1)(K_y - 1). b is the bias where every cell can
occur (under independence the first term of Î is not more than ln(1 + m / (n - 1)) on average), b₀
where the empty ones never do. m / 2n² is the variance under independence, where that of ℓ
vanishes; 2K/n is for what the counts of few rows leave unknown, and the last term for what is not
known of the bias: on random tables of 2 × 2 to 8 × 8 cells, on copies and on skewed counts the
90 % intervals then hold for 88 % or more (`tests/estimator/test_tables.py`).

A table of more cells is left to the network, unless it refutes it: what the first term of Î
exceeds ln(1 + m / (n - 1)) by is information. Where that is more than the network's 95 % quantile
by three standard errors, the median and the quantiles above are raised to those of N(Î, σ²). Rows
that are copies of others look the same.

And as I(X; Y) ≤ min(H(X), H(Y)), a side that takes few values bounds every answer: by its entropy,
with the bias (K - 1) / 2n of counting added, and its error √(Var(ln c) / n).

References:
    Note on the bias of information estimates (Miller, 1955), in Information Theory in Psychology.
    Estimating the errors on measured entropy and mutual information (Roulston, 1999),
    https://doi.org/10.1016/S0167-2789(98)00269-3
    Estimation of entropy and mutual information (Paninski, 2003), prop. 1, for the bound: E χ² of
    independent sides is m n / (n - 1), and ln is concave; https://doi.org/10.1162/089976603321780272
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from mistdata.estimator.columns import Array
from mistdata.estimator.normal import Normal

ROWS = 5  # fewest rows for each cell of a table that is counted
FEW = 2  # fewest rows for each value of a side that bounds the answer; of two values, any number
REFUTED, CLEAR = 0.95, 3.0  # quantile that a refutation exceeds, by so many standard errors


class Symbols(NamedTuple):
    """A side that takes few values.

    Attributes:
        codes: (n,) the number of the value that each row has, from 0.
        size: how many values there are.
    """

    codes: npt.NDArray[np.int64]
    size: int

    def entropy(self) -> Normal:
        """Return the entropy of the side."""
        n = len(self.codes)
        share = np.bincount(self.codes) / n
        surprise = -np.log(share)
        value = float(share @ surprise)
        spread = float(share @ (surprise - value) ** 2)
        return Normal(value + (self.size - 1) / (2 * n), (spread / n) ** 0.5)


def symbols(side: Array) -> Symbols | None:
    """Number the values of a side; None where there are more than max(2, n / 2).

    Args:
        side: (n, columns).
    """
    most = max(2, len(side) // FEW)
    codes, count = np.zeros(len(side), dtype=np.int64), 1
    for column in side.T:
        values, found = np.unique(column, return_inverse=True)
        if len(values) > most:
            return None
        kept, codes = np.unique(codes * len(values) + found, return_inverse=True)
        count = len(kept)
        if count > most:
            return None
    return Symbols(codes, count)


def counted(x: Symbols, y: Symbols) -> Normal | None:
    """Return the information of X and Y from their table; None where it has too many cells.

    Args:
        x: of the side X.
        y: of the side Y.
    """
    if len(x.codes) < ROWS * x.size * y.size:
        return None
    return tabled(x, y)


def tabled(x: Symbols, y: Symbols) -> Normal:
    """Return the information of X and Y from their table, however large it is.

    Args:
        x: of the side X.
        y: of the side Y.
    """
    return _Table.of(x, y).information()


def refuted(x: Symbols, y: Symbols, levels: Sequence[float], quantiles: Array) -> Normal | None:
    """Return the information from a table of any size, where that refutes the network.

    Args:
        x: of the side X.
        y: of the side Y.
        levels: of the quantiles.
        quantiles: of the network, (levels,) in nats.

    Returns:
        None where the network is not refuted.
    """
    table = _Table.of(x, y)
    sure = table.plain - table.chance - CLEAR * (table.variance / table.n) ** 0.5
    return table.information() if sure > np.interp(REFUTED, levels, quantiles) else None


class _Table(NamedTuple):
    """A table of counts.

    Attributes:
        n: rows.
        cells: K, occupied or not.
        plain: mean of ℓ over the rows.
        variance: of ℓ over the rows.
        freedom: m.
        least: K_o - K_x - K_y + 1.
    """

    n: int
    cells: int
    plain: float
    variance: float
    freedom: int
    least: int

    @classmethod
    def of(cls, x: Symbols, y: Symbols) -> Self:
        n = len(x.codes)
        occupied, counts = np.unique(x.codes * y.size + y.codes, return_counts=True)
        rows, columns = np.divmod(occupied, y.size)
        expected = np.bincount(x.codes)[rows] / n * np.bincount(y.codes)[columns]
        share, gain = counts / n, np.log(counts / expected)
        plain = float(share @ gain)
        return cls(
            n=n,
            cells=x.size * y.size,
            plain=plain,
            variance=float(share @ (gain - plain) ** 2),
            freedom=(x.size - 1) * (y.size - 1),
            least=len(counts) - x.size - y.size + 1,
        )

    @property
    def chance(self) -> float:
        """Most that the plain estimate is on average where X and Y are independent."""
        return float(np.log1p(self.freedom / (self.n - 1)))

    def information(self) -> Normal:
        """Î and σ."""
        n = self.n
        most, least = min(self.freedom / (2 * n), self.chance), self.least / (2 * n)
        sampling = self.variance / n + min(self.freedom, n) / (2 * n * n)
        variance = sampling * (1 + 2 * min(self.cells, n) / n) + ((most - least) / 2) ** 2
        return Normal(self.plain - (most + least) / 2, variance**0.5)


def bound(sides: Sequence[Symbols | None], levels: Sequence[float]) -> Array | None:
    """Return quantiles that no quantile of the information may exceed; None without symbols.

    Args:
        sides: X and Y.
        levels: of the quantiles.

    Returns:
        (levels,) in nats.
    """
    limits = [side.entropy().quantiles(levels) for side in sides if side is not None]
    return np.minimum.reduce(limits) if limits else None
