"""The layers of a flow, from its description; the only file that knows normflows.

normflows 1.7.3 is used for its layers alone. Its models add up log-determinants in single
precision and store no architecture; both are done here. Layers that do not invert to rounding
(residual flows), have no inverse (planar, radial) or are unbounded (RealNVP with exp) are left
out.

References:
    normflows: A PyTorch Package for Normalizing Flows (Stimper et al., 2023), JOSS 8(86).
    Neural Spline Flows (Durkan et al., 2019), arXiv 1906.04032.
    Glow (Kingma and Dhariwal, 2018), arXiv 1807.03039.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn

from mistdata.errors import MissingExtra, MistdataError
from mistdata.flows.splines import QuickCoupling, QuickMixing

Kind = Literal["coupling", "autoregressive", "glow"]
KINDS: tuple[str, ...] = get_args(Kind)
_SLOPE = math.log(math.expm1(1 - 1e-3))  # where softplus and the least slope give a slope of 1
_MOST_SHIFT, _MOST_LOG_SCALE = 6.0, 1.2  # of an affine coupling of Glow


@dataclass(frozen=True)
class Architecture:
    """What a flow is made of; JSON-able.

    Args:
        kind: 'coupling', spline coupling layers with linear (LU) mixing between them;
            'autoregressive', spline layers of which each column sees those before it, with the
            same mixing; or 'glow', for images: affine couplings by convolutions, on several
            scales.
        shape: (d,), or (channels, height, width) for 'glow'.
        layers: of each scale.
        hidden: width of the networks that give the layers their parameters.
        blocks: residual blocks of these networks.
        bins: of the splines.
        tail: splines are the identity beyond ± this; latents are N(0, 1).
        scales: of 'glow'.

    Raises:
        MistdataError: a number out of range, or a shape that the kind cannot have.
    """

    kind: Kind
    shape: tuple[int, ...]
    layers: int = 8
    hidden: int = 64
    blocks: int = 2
    bins: int = 12
    tail: float = 7.0
    scales: int = 2

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise MistdataError(f"flow: kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        for name in ("layers", "hidden", "blocks", "bins", "scales"):
            if getattr(self, name) < 1:
                raise MistdataError(f"flow: {name} must be at least 1, got {getattr(self, name)}")
        if not 1 <= self.tail < math.inf:
            raise MistdataError(f"flow: tail must be at least 1, got {self.tail}")
        if self.kind == "glow":
            self._check_image()
        elif len(self.shape) != 1:
            raise MistdataError(f"flow: {self.kind} takes rows (d,), got {self.shape}")
        elif self.kind == "coupling" and self.shape[0] < 2:
            raise MistdataError("flow: a coupling needs at least 2 columns; use autoregressive")

    def _check_image(self) -> None:
        if len(self.shape) != 3:
            raise MistdataError(
                f"flow: glow takes images (channels, height, width), got {self.shape}"
            )
        step = 1 << self.scales
        if self.shape[1] % step or self.shape[2] % step:
            raise MistdataError(
                f"flow: {self.scales} scales need height and width divisible by {step}, got"
                f" {self.shape[1]} × {self.shape[2]}"
            )

    @property
    def dim(self) -> int:
        """Number of latent coordinates."""
        return math.prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**record | {"shape": tuple(record["shape"])})


def build_layers(architecture: Architecture, seed: int) -> nn.Module:
    """Build layers near the identity.

    Args:
        architecture: of the flow.
        seed: of the weights and the permutations.

    Returns:
        A module with forward(z) → (u, log_det) and inverse(u) → (z, log_det), where z and u are
        (rows, d) and log_det is (rows,), all of the dtype of the weights.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.lu is deprecated")  # normflows still calls it
        torch.manual_seed(seed)
        if architecture.kind == "glow":
            return _Multiscale(architecture)
        return _Chain(_rows(architecture))


def quickened(layers: nn.Module) -> nn.Module:
    """Return layers that evaluate faster, with the same parameters; for trained ones."""
    if not isinstance(layers, _Chain):
        return layers
    flows = _flows()
    quick = {
        flows.CoupledRationalQuadraticSpline: QuickCoupling,
        flows.LULinearPermute: QuickMixing,
    }
    return _Chain([quick.get(type(each), lambda own: own)(each) for each in layers.layers])


def _flows() -> Any:
    try:
        from normflows import flows
    except ModuleNotFoundError as error:
        raise MissingExtra("flows need normflows: pip install 'mistdata[flows]'") from error
    return flows


def _rows(architecture: Architecture) -> list[nn.Module]:
    """Spline layers with linear mixing before each."""
    flows, d = _flows(), architecture.shape[0]
    layers: list[nn.Module] = []
    for number in range(architecture.layers):
        options = {"num_bins": architecture.bins, "tail_bound": architecture.tail}
        sizes = d, architecture.blocks, architecture.hidden
        if architecture.kind == "coupling":
            spline = flows.CoupledRationalQuadraticSpline(
                *sizes, **options, reverse_mask=bool(number % 2)
            )
            last = spline.prqct.transform_net.final_layer
            nn.init.zeros_(last.weight)
            nn.init.constant_(last.bias, _SLOPE)
        else:
            spline = flows.AutoregressiveRationalQuadraticSpline(*sizes, **options)
        if d > 1:
            layers.append(flows.LULinearPermute(d))
        layers.append(spline)
    return layers


class _Chain(nn.Module):
    """Layers one after the other; the log-determinants are added up in the rows' own dtype."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        total = z.new_zeros(len(z))
        for layer in self.layers:
            z, log_det = layer(z)
            total = total + log_det
        return z, total

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        total = u.new_zeros(len(u))
        for layer in reversed(self.layers):
            u, log_det = layer.inverse(u)  # type: ignore[operator]
            total = total + log_det
        return u, total


def _tamed(block: Any) -> nn.Module:
    """Bound what the affine coupling of a Glow block does to a row, however far off it lies.

    The usual scale, a sigmoid that a latent is divided by, let 2 of 1,000 draws of a flow fitted
    to digits grow from block to block until they were not finite.
    """
    coupling = next(each for each in block.modules() if hasattr(each, "param_map"))
    coupling.param_map = _Bounded(coupling.param_map)
    return block  # type: ignore[no-any-return]


class _Bounded(nn.Module):
    """Shifts and logarithms of scales, in turns over the channels, within bounds.

    On the way to the latents a coupling only ever contracts, as a sigmoid does: rows that the flow
    was not fitted to stay near.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, kept: Tensor) -> Tensor:
        raw = self.inner(kept)
        shift, log_scale = raw[:, 0::2], raw[:, 1::2]
        shift = _MOST_SHIFT * torch.tanh(shift / _MOST_SHIFT)
        log_scale = _MOST_LOG_SCALE * torch.sigmoid(log_scale - 2)
        return torch.stack([shift, log_scale], dim=2).flatten(1, 2)


class _Multiscale(nn.Module):
    """Glow: half of the channels of each scale pass by the coarser ones.

    A row z holds the coordinates of the coarsest scale first.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        flows = _flows()
        channels, height, width = architecture.shape
        self.shape = architecture.shape
        self.parts: list[tuple[int, int, int]] = []  # of z, the finest first
        chains = []
        for scale in range(architecture.scales):
            channels, height, width = 4 * channels, height // 2, width // 2
            blocks = [
                _tamed(flows.GlowBlock(channels, architecture.hidden, scale_map="exp"))
                for _ in range(architecture.layers)
            ]
            chains.append(_Chain([*blocks, flows.Squeeze()]))
            coarsest = scale == architecture.scales - 1
            kept = channels if coarsest else channels // 2
            self.parts.append((kept, height, width))
            channels = kept
        self.chains = nn.ModuleList(chains)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        sizes = [math.prod(part) for part in reversed(self.parts)]
        coarse = None
        total = z.new_zeros(len(z))
        pieces = zip(
            torch.split(z, sizes, dim=1), reversed(self.parts), reversed(self.chains), strict=True
        )
        for piece, part, chain in pieces:
            here = piece.view(-1, *part)
            if coarse is not None:
                here = torch.cat([coarse, here], dim=1)
            coarse, log_det = chain(here)
            total = total + log_det
        assert coarse is not None
        return coarse.flatten(1), total

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        image = u.reshape(-1, *self.shape)
        total, pieces = u.new_zeros(len(u)), []
        for number, chain in enumerate(self.chains):
            image, log_det = chain.inverse(image)  # type: ignore[operator]
            total = total + log_det
            if number < len(self.parts) - 1:
                image, piece = image.chunk(2, dim=1)
                pieces.append(piece.flatten(1))
        pieces.append(image.flatten(1))
        return torch.cat(pieces[::-1], dim=1), total
