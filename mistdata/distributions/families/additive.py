"""Families in which Y is X plus independent noise: I(X;Y) = h(Y) - h(noise)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from mistdata.distributions.base import MI, JointDistribution, Parameter
from mistdata.distributions.priors import Array, Uniform


class AdditiveUniform(JointDistribution):
    """Uniform coordinates, each seen through uniform noise of its own width.

    Model: X_i ~ U(0, 1), Y_i = X_i + U(-ε_i, ε_i), all independent; dim_x = dim_y.
    Mutual information: Σ_i f(ε_i), f(ε) = ε - ln(2ε) if ε ≤ ½, else 1/(4ε); exact.

    Parameters:
        epsilon: ε_i > 0, half-width of the noise on coordinate i; unit of X.

    References:
        Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
        Beerenwinkel, Marx, 2023), additive noise; https://arxiv.org/abs/2306.11078

    Example:
        >>> member = AdditiveUniform(dim_x=2, dim_y=2, epsilon=(0.5, 0.75))
        >>> round(member.mutual_information().value, 6)
        0.833333
    """

    name = "additive-uniform"
    formula = "Σ_i f(ε_i), f(ε) = ε - ln(2ε) if ε ≤ ½, else 1/(4ε)"
    source = "Czyż et al. 2023, arXiv:2306.11078"
    parameters: ClassVar = {
        "epsilon": Parameter(
            "ε_i, half-width of the noise on coordinate i",
            low=0.0,
            high=math.inf,
            prior=Uniform(0.1, 2.0),
            per_coordinate=True,
            unit="unit of X",
        )
    }
    epsilon: tuple[float, ...]

    @classmethod
    def supports(cls, dim_x: int, dim_y: int) -> bool:
        """Tell whether X and Y have the same dimension."""
        return dim_x == dim_y >= 1

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        block = rng.random((n, self.dim_x + self.dim_y))
        x, y = block[:, : self.dim_x], block[:, self.dim_x :]
        y -= 0.5
        y *= 2.0 * np.array(self.epsilon)
        y += x
        return x, y

    def _mutual_information(self) -> MI:
        return MI.closed_form(
            math.fsum(
                half_width - math.log(2.0 * half_width) if half_width <= 0.5 else 0.25 / half_width
                for half_width in self.epsilon
            )
        )

    def pointwise_mutual_information(
        self, x: Float[Array, "n dim_x"], y: Float[Array, "n dim_y"]
    ) -> Float[Array, " n"]:
        """Return -Σ_i ln|[0,1] ∩ [y_i-ε_i, y_i+ε_i]|, and -inf where |y_i - x_i| > ε_i.

        The densities are p(y|x) = 1/(2ε) and p(y) = |[0,1] ∩ [y-ε, y+ε]|/(2ε) per coordinate.
        """
        epsilon = np.array(self.epsilon)
        overlap = np.minimum(y + epsilon, 1.0) - np.maximum(y - epsilon, 0.0)
        # one rounding of y = x + noise must not count as leaving the support
        outside = (np.abs(y - x) > epsilon * (1.0 + 1e-15) + 1e-15).any(axis=1)
        return np.where(outside, -np.inf, -np.log(overlap).sum(axis=1))
