"""Maps that mix the columns of one side, linearly or not."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from mistdata.distributions.parameters import STRUCTURE, Parameter, structure_rng
from mistdata.distributions.priors import Array, LogUniform, Uniform
from mistdata.distributions.transforms.base import Transform
from mistdata.distributions.transforms.networks import Network, sigmoid


def haar(d: int, rng: np.random.Generator) -> Float[Array, "d d"]:
    """Draw an orthogonal matrix from the Haar measure of O(d).

    The QR factorisation of a Gaussian matrix, made unique by a positive diagonal of R.

    References:
        How to generate random matrices from the classical compact groups (Mezzadri, 2007),
        section 5; https://arxiv.org/abs/math-ph/0609050
    """
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    result: Array = q * np.copysign(1.0, np.diag(r))
    return result


class Permutation(Transform):
    """A random order of the columns.

    Formula: y_j = x_π(j).

    Parameters:
        structure: seed of the map's own generator.

    Example:
        >>> Permutation(3, "x", structure=1).forward(np.array([[1.0, 2.0, 3.0]])).sum()
        np.float64(6.0)
    """

    name = "permutation"
    formula = "x_π(j)"
    parameters: ClassVar = {"structure": STRUCTURE}
    structure: int

    def _prepare(self) -> None:
        self.order = structure_rng(self.structure).permutation(self.dim_out)

    def _forward(self, values: Array) -> Array:
        return values.take(self.order, axis=1)

    def _inverse(self, values: Array) -> Array:
        return values.take(np.argsort(self.order), axis=1)


class Linear(Transform):
    """A random invertible matrix of a given condition number.

    Formula: y = U D Vᵀ x, U and V Haar-distributed on O(d), ln D_j uniform on ±½ ln κ with both
    ends among the D_j (for d = 1 just one uniform value).

    Parameters:
        condition: κ in [1, 1e3], greatest over least singular value; pure number.
        structure: seed of the map's own generator.

    Example:
        >>> linear = Linear(4, "x", condition=10.0, structure=0)
        >>> round(float(np.linalg.cond(linear.matrix)), 6)
        10.0
    """

    name = "linear"
    formula = "U D Vᵀ x, D_max/D_min = κ"
    parameters: ClassVar = {
        "condition": Parameter(
            "κ, greatest over least singular value",
            low=1.0,
            high=1e3,
            closed="both",
            prior=LogUniform(1.0, 100.0),
            reason="beyond, single precision loses the smallest direction",
        ),
        "structure": STRUCTURE,
    }
    condition: float
    structure: int

    def _prepare(self) -> None:
        rng = structure_rng(self.structure)
        u, v = haar(self.dim_out, rng), haar(self.dim_out, rng)
        exponents = rng.uniform(-0.5, 0.5, self.dim_out)
        if self.dim_out > 1:
            exponents[:2] = -0.5, 0.5
        stretches = self.condition**exponents
        self.matrix = (u * stretches) @ v.T
        self._undo = (u / stretches) @ v.T  # the inverse, transposed

    def _forward(self, values: Array) -> Array:
        return self._within_single(values @ self.matrix.T)

    def _inverse(self, values: Array) -> Array:
        result: Array = values @ self._undo
        return result


class Orthogonal(Transform):
    """A random orthogonal matrix Q, drawn from the map's own generator."""

    structure: int

    @abstractmethod
    def _draw(self, rng: np.random.Generator) -> Array:
        """Draw Q, of shape (d, d)."""

    def _prepare(self) -> None:
        self.matrix = self._draw(structure_rng(self.structure))

    def _forward(self, values: Array) -> Array:
        return self._within_single(values @ self.matrix.T)

    def _inverse(self, values: Array) -> Array:
        result: Array = values @ self.matrix
        return result


class Rotation(Orthogonal):
    """A rotation or reflection drawn uniformly from all of them.

    Formula: y = Q x, Q from the Haar measure of O(d), by QR with positive diagonal of R.

    Parameters:
        structure: seed of the map's own generator.

    References:
        How to generate random matrices from the classical compact groups (Mezzadri, 2007);
        https://arxiv.org/abs/math-ph/0609050

    Example:
        >>> q = Rotation(3, "x", structure=0).matrix
        >>> np.allclose(q.T @ q, np.eye(3))
        True
    """

    name = "rotation"
    formula = "Q x, Q Haar on O(d)"
    parameters: ClassVar = {"structure": STRUCTURE}

    def _draw(self, rng: np.random.Generator) -> Array:
        return haar(self.dim_out, rng)


class Cayley(Orthogonal):
    """A random rotation near the identity or far from it, by the Cayley transform.

    Formula: y = (I - A)(I + A)⁻¹ x with A = s (G - Gᵀ)/√(2d), G of independent standard normals;
    the rotation angles are 2 arctan of the moduli of the eigenvalues of A, which reach about 2s.

    Parameters:
        strength: s in (0, 100], size of the skew-symmetric A; pure number.
        structure: seed of the map's own generator.

    References:
        Sur quelques propriétés des déterminants gauches (Cayley, 1846);
        https://doi.org/10.1515/crll.1846.32.119

    Example:
        >>> q = Cayley(3, "x", strength=0.5, structure=0).matrix
        >>> np.allclose(q.T @ q, np.eye(3)), round(float(np.linalg.det(q)), 12)
        (True, 1.0)
    """

    name = "cayley"
    formula = "(I - A)(I + A)⁻¹ x, Aᵀ = -A"
    parameters: ClassVar = {
        "strength": Parameter(
            "s, size of the skew-symmetric A",
            low=0.0,
            high=100.0,
            closed="high",
            prior=LogUniform(0.05, 2.0),
            reason="there the map is the identity",
        ),
        "structure": STRUCTURE,
    }
    strength: float

    def _draw(self, rng: np.random.Generator) -> Array:
        d = self.dim_out
        gaussian = rng.standard_normal((d, d))
        skew = (gaussian - gaussian.T) * (self.strength / math.sqrt(2.0 * d))
        # the two factors commute
        return np.linalg.solve(np.eye(d) + skew, np.eye(d) - skew)


class Householder(Orthogonal):
    """A product of a few random reflections.

    Formula: y = H_1 ... H_k x, H_i = I - 2 v_i v_iᵀ with v_i uniform on the unit sphere.

    Parameters:
        reflections: k in {1, ..., 64}; pure number.
        structure: seed of the map's own generator.

    References:
        Unitary Triangularization of a Nonsymmetric Matrix (Householder, 1958);
        https://doi.org/10.1145/320941.320947

    Example:
        >>> q = Householder(3, "x", reflections=1, structure=0).matrix
        >>> np.allclose(q, q.T), round(float(np.linalg.det(q)), 12)
        (True, -1.0)
    """

    name = "householder"
    formula = "H_1 ... H_k x, H = I - 2vvᵀ"
    parameters: ClassVar = {
        "reflections": Parameter(
            "k, number of reflections",
            low=1,
            high=64,
            closed="both",
            integer=True,
            prior=Uniform(1, 4),
        ),
        "structure": STRUCTURE,
    }
    reflections: int

    def _draw(self, rng: np.random.Generator) -> Array:
        matrix = np.eye(self.dim_out)
        for normal in rng.standard_normal((self.reflections, self.dim_out)):
            normal /= math.sqrt(normal @ normal)
            matrix -= 2.0 * np.outer(matrix @ normal, normal)
        return matrix


class Layer(NamedTuple):
    """A coupling layer: columns that stay, columns that they move, and how."""

    stay: Array
    move: Array
    network: Network


class Coupling(Transform):
    """A random nonlinear mixture of the columns, by affine coupling layers.

    Formula: every layer keeps one half a of the columns and maps the other half b to
    b e^(c σ(u)) + c v, where (u, v) = C σ(A a + o), a random network of 16 units with
    σ(t) = t/√(1 + t²). Layers come in pairs that share a random split of the columns and exchange
    the halves. Each is undone exactly, by (b' - c v) e^(-c σ(u)).

    Parameters:
        layers: number of layers in {1, ..., 8}; pure number.
        strength: c in (0, 1], size of the nonlinear part; pure number.
        structure: seed of the map's own generator.

    References:
        Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2017), affine
        coupling layers; https://arxiv.org/abs/1605.08803

    Example:
        >>> coupling = Coupling(3, "x", layers=2, strength=0.5, structure=0)
        >>> np.round(coupling.inverse(coupling.forward(np.array([[1.0, 2.0, 3.0]]))), 12)
        array([[1., 2., 3.]])
    """

    name = "coupling"
    formula = "(a, b) → (a, b e^(c σ(u(a))) + c v(a)), halves exchanged"
    least_dim = 2
    parameters: ClassVar = {
        "layers": Parameter(
            "number of layers", low=1, high=8, closed="both", integer=True, prior=Uniform(2, 4)
        ),
        "strength": Parameter(
            "c, size of the nonlinear part",
            low=0.0,
            high=1.0,
            closed="high",
            prior=Uniform(0.2, 1.0),
            reason="at 0 the map is the identity, and above 1 layers soon exceed single precision",
        ),
        "structure": STRUCTURE,
    }
    layers: int
    strength: float
    structure: int

    def _prepare(self) -> None:
        rng = structure_rng(self.structure)
        half = self.dim_out // 2
        self._layers: list[Layer] = []
        for index in range(self.layers):
            if index % 2 == 0:
                order = rng.permutation(self.dim_out)
                stay, move = order[:half], order[half:]
            else:
                stay, move = move, stay
            network = Network.draw(len(stay), 2 * len(move), 1.0, rng)
            self._layers.append(Layer(stay, move, network))

    def _forward(self, values: Array) -> Array:
        result = values.copy()
        for layer in self._layers:
            stretch, offset = self._coefficients(layer, result)
            moved = result.take(layer.move, axis=1)
            moved *= stretch
            moved += offset
            result[:, layer.move] = moved
        return self._within_single(result)

    def _inverse(self, values: Array) -> Array:
        result = values.copy()
        for layer in reversed(self._layers):
            stretch, offset = self._coefficients(layer, result)
            result[:, layer.move] = (result[:, layer.move] - offset) / stretch
        return result

    def _coefficients(self, layer: Layer, values: Array) -> tuple[Array, Array]:
        """Compute e^(c σ(u)) and c v from the columns that stay."""
        parts = layer.network(values.take(layer.stay, axis=1))
        stretch, offset = parts[:, : len(layer.move)], parts[:, len(layer.move) :]
        stretch = np.exp(self.strength * sigmoid(stretch))
        return stretch, self.strength * offset


TRANSFORMS = (Permutation, Rotation, Cayley, Householder, Linear, Coupling)
