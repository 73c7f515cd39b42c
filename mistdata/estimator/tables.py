"""Symbols are counted: what a table tells by itself, and what no information can exceed.

Where X and Y take so few values that a cell of their table has five rows on average, counting is
as good as any estimate can be, whatever the pattern (an exclusive or, a rare symbol, a copy). With
counts c_ab of n rows, margins c_a and c_b, and ℓ_ab = ln(n c_ab / (c_a c_b)),

    Î = (1/n) Σ_ab c_ab ℓ_ab - B / 2n
    σ² = [Var(ℓ) / n + m / 2n²] (1 + 2K/n) + [(m - m₀) / 4n]²

with K cells, m = (K_x - 1)(K_y - 1), right for the bias where every cell can occur, m₀ = (occupied
cells) - K_x - K_y + 1, right where the others never do, and B the mean of the two. m / 2n² is the
variance under independence, where that of ℓ vanishes; 2K/n is for what the counts of few rows
leave unknown, and the last term for what is not known of the bias: on random tables of 2 × 2 to
8 × 8 cells, on copies and on skewed counts the 90 % intervals then hold for 88 % or more
(`tests/estimator/test_tables.py`).

A table of more cells is left to the network, unless it refutes it: under independence the first
term of Î is at most ln(1 + m / (n - 1)) on average, so what exceeds that is information. Where it
exceeds it by more than the network's 95 % quantile and three standard errors, the median and the
quantiles above are raised to those of N(Î, σ²).

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
import torch

from mistdata.estimator.columns import Array

ROWS = 5  # fewest rows for each cell of a table that is counted
FEW = 2  # fewest rows for each value of a side that bounds the answer; of two values, any number
REFUTED, CLEAR = 0.95, 3.0  # quantile that a refutation exceeds, by so many standard errors


class Counted(NamedTuple):
    """What counting tells, in nats: a normal distribution."""

    value: float
    error: float

    def quantiles(self, levels: Sequence[float]) -> Array:
        """Return the quantiles max(0, value + z error): (levels,)."""
        at = torch.tensor(levels, dtype=torch.float64, device="cpu")
        normal = torch.special.ndtri(at).numpy()
        return np.asarray(np.maximum(0.0, self.value + self.error * normal))

    def raised(self, levels: Sequence[float], quantiles: Array) -> Array:
        """Raise the median and what lies above to these quantiles.

        Lower ones stay, so that the interval holds both opinions.

        Args:
            levels: of the quantiles.
            quantiles: of the network, (levels,) in nats.

        Returns:
            (levels,), non-decreasing.
        """
        higher = np.maximum(quantiles, self.quantiles(levels))
        return np.where(np.array(levels) >= 0.5, higher, quantiles)


class Symbols(NamedTuple):
    """A side that takes few values.

    Attributes:
        codes: (n,) the number of the value that each row has, from 0.
        size: how many values there are.
    """

    codes: npt.NDArray[np.int64]
    size: int

    def entropy(self) -> Counted:
        """Return the entropy of the side."""
        n = len(self.codes)
        share = np.bincount(self.codes) / n
        surprise = -np.log(share)
        value = float(share @ surprise)
        spread = float(share @ (surprise - value) ** 2)
        return Counted(value + (self.size - 1) / (2 * n), (spread / n) ** 0.5)


def symbols(side: Array) -> Symbols | None:
    """Number the values of a side; None where there are more than two, and n / 2.

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


def counted(x: Symbols, y: Symbols) -> Counted | None:
    """Return the information of X and Y from their table; None where it has too many cells.

    Args:
        x: of the side X.
        y: of the side Y.
    """
    if len(x.codes) < ROWS * x.size * y.size:
        return None
    return _Table.of(x, y).information()


def refuted(x: Symbols, y: Symbols, levels: Sequence[float], quantiles: Array) -> Counted | None:
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
    chance = float(np.log1p(table.freedom / (table.n - 1)))
    sure = table.plain - chance - CLEAR * (table.variance / table.n) ** 0.5
    return table.information() if sure > np.interp(REFUTED, levels, quantiles) else None


class _Table(NamedTuple):
    """A table of counts.

    Attributes:
        n: rows.
        cells: K, occupied or not.
        plain: mean of ℓ over the rows.
        variance: of ℓ over the rows.
        freedom: m.
        least: m₀.
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

    def information(self) -> Counted:
        """Î and σ."""
        n, middle = self.n, (self.freedom + self.least) / 2
        sampling = self.variance / n + self.freedom / (2 * n * n)
        unknown = (self.freedom - middle) / (2 * n)
        variance = sampling * (1 + 2 * self.cells / n) + unknown**2
        return Counted(self.plain - middle / (2 * n), variance**0.5)


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
