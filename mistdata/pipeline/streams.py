"""Streams of randomness, one for every purpose, each opened alone.

What a plan and its parameters need is drawn from one Philox-4x64 generator, whose key is made from
the recipe's seed. It maps a counter of four 64-bit words to random bits; the three upper words say
what the bits are for, the lowest counts along the stream:

    counter words                                  stream
    (., 0, 0, split)                               what the plan of a split draws
    (., 0, distribution + 1, split)                the parameters of a member
    (., 2⁶⁴ - 1, distribution + 1, split)          the draws that a label is checked on
    (., replicate + 1, distribution + 1, split)    the seed of one sample of it
    (., 2⁶⁴ - 2 - replicate, ., .)                 the seed of the noise that a flow is given too

So no two streams overlap and none depends on another. The many numbers of a sample come from
SFC64, which draws normals in two thirds of the time; its state is three words of the sample's
Philox stream and the counter 1, stirred twelve times, as its author prescribes.

References:
    Parallel random numbers: as easy as 1, 2, 3 (Salmon, Moraes, Dror, Shaw, 2011), section 2;
    https://doi.org/10.1145/2063384.2063405
    PractRand (Doty-Humphrey), sfc64; https://pracrand.sourceforge.net
"""

from __future__ import annotations

import numpy as np

from mistdata.distributions.priors import Array

_STIRS = 12
_LABEL = 2**64 - 1


class Streams:
    """The streams of one seed. Opening a stream ends the one opened before."""

    def __init__(self, seed: int) -> None:
        key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
        self._philox = np.random.Philox(key=key)
        self._philox_state = self._philox.state
        self._few = np.random.Generator(self._philox)
        self._sfc = np.random.SFC64(0)
        self._sfc_state = self._sfc.state
        self._many = np.random.Generator(self._sfc)

    def of_plan(self, split: int) -> np.random.Generator:
        """Open the stream that the plan of a split draws from."""
        self._point_at(0, 0, split)
        return self._few

    def of_parameters(self, split: int, distribution: int) -> np.random.Generator:
        """Open the stream that the parameters of a member are drawn from."""
        self._point_at(0, distribution + 1, split)
        return self._few

    def of_label(self, split: int, distribution: int) -> np.random.Generator:
        """Open the stream that the draws which a label is checked on come from."""
        self._point_at(_LABEL, distribution + 1, split)
        return self._few

    def of_sample(self, split: int, distribution: int, replicate: int) -> np.random.Generator:
        """Open the stream that one sample of a member is drawn from."""
        return self._seeded(replicate + 1, distribution + 1, split)

    def of_nuisance(self, split: int, distribution: int, replicate: int) -> np.random.Generator:
        """Open the stream of the noise that fills the latents of a flow beside one sample."""
        return self._seeded(_LABEL - 1 - replicate, distribution + 1, split)

    def _seeded(self, *words_above: int) -> np.random.Generator:
        self._point_at(*words_above)
        words: Array = self._sfc_state["state"]["state"]
        words[:3] = self._philox.random_raw(3)
        words[3] = 1
        self._sfc.state = self._sfc_state
        self._sfc.random_raw(_STIRS, output=False)
        return self._many

    def _point_at(self, *words: int) -> None:
        counter: Array = self._philox_state["state"]["counter"]
        counter[0] = 0
        counter[1:] = words
        self._philox.state = self._philox_state
