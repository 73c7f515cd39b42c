"""What the copula families share: marginals laid over uniforms, and the way back."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np
from scipy.special import ndtr

from mistdata.distributions.base import MI, ONE_BY_ONE, JointDistribution
from mistdata.distributions.families._pair_copulas import PairCopula
from mistdata.distributions.injections import Columns, Injection
from mistdata.distributions.integrate import Margin
from mistdata.distributions.marginals import MARGINALS, open_interval
from mistdata.distributions.parameters import Parameter
from mistdata.distributions.priors import Array

MARGINAL_PARAMETERS = {
    "marginal_x": Parameter.named("law of every column of X", tuple(MARGINALS)),
    "marginal_y": Parameter.named("law of every column of Y", tuple(MARGINALS)),
}


class CopulaFamily(JointDistribution):
    """A joint law of uniforms under one marginal for each side, which the MI does not see."""

    marginal_x: str
    marginal_y: str

    @abstractmethod
    def _uniforms(self, n: int, rng: np.random.Generator) -> Array:
        """Draw rows of dim_x + dim_y uniforms, x columns first."""

    @abstractmethod
    def _log_ratio(self, u: Margin, v: Margin) -> Array:
        """Compute ln c(u,v)/(c(u)c(v)) from margins of shape (n, dim_x) and (n, dim_y)."""

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        block = open_interval(self._uniforms(n, rng))
        x = MARGINALS[self.marginal_x].quantile(block[:, : self.dim_x])
        return x, MARGINALS[self.marginal_y].quantile(block[:, self.dim_x :])

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        law = MARGINALS[self.marginal_x if side == "x" else self.marginal_y]
        return Columns(
            self.dim_x if side == "x" else self.dim_y,
            lambda values: law.margin(values).score,
            lambda latents: law.quantile(open_interval(ndtr(latents))),
        )

    def _pointwise(self, x: Array, y: Array) -> Array:
        u, v = MARGINALS[self.marginal_x].margin(x), MARGINALS[self.marginal_y].margin(y)
        return self._log_ratio(u, v)


class BivariateCopula(CopulaFamily):
    """A pair copula under two marginals."""

    shape: ClassVar = ONE_BY_ONE

    @abstractmethod
    def _pair(self) -> PairCopula:
        """Return the pair copula of this member's parameters."""

    def _uniforms(self, n: int, rng: np.random.Generator) -> Array:
        return np.stack(self._pair().draw(n, rng), axis=1)

    def _log_ratio(self, u: Margin, v: Margin) -> Array:
        return self._pair().log_density(u, v)[:, 0]

    def _mutual_information(self) -> MI:
        return self._pair().information()
