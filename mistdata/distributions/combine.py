"""Constructions with exact mutual information, which carry every family to any dimensions.

    Product      independent blocks side by side: MI adds
    Padded       independent noise coordinates on either side: MI unchanged
    Independent  X of one draw with Y of another: the same margins, MI = 0
    Transformed  an injective map of X alone and of Y alone: MI unchanged

They are members like any other. `describe` writes one as JSON-able parameters, `rebuild` reads
them back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from mistdata.distributions.base import MI, JointDistribution, Kind, Precision
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.injections import Blocks, Injection, Through, Unchanged
from mistdata.distributions.parameters import Range
from mistdata.distributions.priors import Array, Prior
from mistdata.distributions.transforms import TRANSFORMS, Transform


class Construction(JointDistribution):
    """A member made of other members; it has no parameters of its own."""

    formula = "that of the parts"
    source = "chain rule and data-processing inequality"

    def __init__(self, dim_x: int, dim_y: int, parts: Sequence[JointDistribution]) -> None:
        self.dim_x, self.dim_y = dim_x, dim_y
        self.parts = tuple(parts)
        self.theta = describe(self)

    @property
    def has_density(self) -> bool:
        """Whether every part has a density."""
        return all(part.has_density for part in self.parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.parts))})"

    def _mutual_information(self) -> MI:
        return self._information_to(Precision())


class Product(Construction):
    """Independent blocks, side by side in X and in Y.

    Mutual information: Σ_b I(X_b;Y_b), and its pointwise variances add too.

    Example:
        >>> pair = FAMILIES["gaussian-dense"](1, 1, rho=0.5)
        >>> both = Product([pair, pair])
        >>> both.dim_x, both.mutual_information().value == 2 * pair.mutual_information().value
        (2, True)
    """

    name = "product"

    def __init__(self, parts: Sequence[JointDistribution]) -> None:
        super().__init__(sum(p.dim_x for p in parts), sum(p.dim_y for p in parts), parts)
        self.x_kind = _joint_kind(part.x_kind for part in parts)  # type: ignore[misc]
        self.y_kind = _joint_kind(part.y_kind for part in parts)  # type: ignore[misc]

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        sides = [part.sample(n, rng) for part in self.parts]
        x, y = (np.concatenate(blocks, axis=1) for blocks in zip(*sides, strict=True))
        return x, y

    def _information_to(self, precision: Precision) -> MI:
        # k errors of 1/√k of what is allowed add up to what is allowed for √(Σ σ²)
        share = Precision(precision.n * len(self.parts), precision.strict)
        found = [part.mutual_information(share) for part in self.parts]
        worst = max(found, key=lambda mi: mi.error)
        deviations = [mi.pmi_std for mi in found]
        known = [each for each in deviations if each is not None]
        return MI(
            math.fsum(mi.value for mi in found),
            math.fsum(mi.error for mi in found),
            worst.method,
            worst.error_kind,
            math.hypot(*known) if len(known) == len(found) else None,
        )

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        return Blocks([(p.injection(side), _columns(p, side)) for p in self.parts])

    def _pointwise(self, x: Array, y: Array) -> Array:
        total = np.zeros(len(x))
        start_x = start_y = 0
        for part in self.parts:
            stop_x, stop_y = start_x + part.dim_x, start_y + part.dim_y
            total += part.pointwise_mutual_information(x[:, start_x:stop_x], y[:, start_y:stop_y])
            start_x, start_y = stop_x, stop_y
        return total


class Padded(Construction):
    """A member beside independent standard normal coordinates on either side.

    Mutual information: that of the member.

    Example:
        >>> pair = FAMILIES["gaussian-dense"](1, 1, rho=0.5)
        >>> wide = Padded(pair, pad_x=2, pad_y=0)
        >>> wide.dim_x, wide.dim_y, wide.mutual_information() == pair.mutual_information()
        (3, 1, True)
    """

    name = "padded"

    def __init__(self, member: JointDistribution, pad_x: int, pad_y: int) -> None:
        if min(pad_x, pad_y) < 0:
            raise ValueError(f"padded: pad_x and pad_y must be >= 0, got {pad_x} and {pad_y}")
        self.pad_x, self.pad_y = pad_x, pad_y
        super().__init__(member.dim_x + pad_x, member.dim_y + pad_y, [member])
        kinds = ((member.x_kind, pad_x), (member.y_kind, pad_y))
        self.x_kind, self.y_kind = (  # type: ignore[misc]
            _joint_kind([kind, "continuous"]) if pad else kind for kind, pad in kinds
        )

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y = self.parts[0].sample(n, rng)
        noise = rng.standard_normal((n, self.pad_x + self.pad_y))
        noise_x, noise_y = noise[:, : self.pad_x], noise[:, self.pad_x :]
        return np.concatenate((x, noise_x), axis=1), np.concatenate((y, noise_y), axis=1)

    def _information_to(self, precision: Precision) -> MI:
        return self.parts[0].mutual_information(precision)

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        (part,), pad = self.parts, self.pad_x if side == "x" else self.pad_y
        own = part.injection(side)
        return Blocks([(own, _columns(part, side)), (Unchanged(pad), pad)]) if pad else own

    def _pointwise(self, x: Array, y: Array) -> Array:
        (part,) = self.parts
        return part.pointwise_mutual_information(x[:, : part.dim_x], y[:, : part.dim_y])


class Independent(Construction):
    """X of one draw and Y of another draw of the same member: its margins, without dependence.

    Mutual information: 0, exactly.

    Example:
        >>> pair = FAMILIES["gaussian-dense"](1, 1, rho=0.5)
        >>> Independent(pair).mutual_information().value
        0.0
    """

    name = "independent"

    def __init__(self, member: JointDistribution) -> None:
        super().__init__(member.dim_x, member.dim_y, [member])
        self.x_kind, self.y_kind = member.x_kind, member.y_kind  # type: ignore[misc]

    @property
    def has_density(self) -> bool:
        """Always: the pointwise mutual information is 0."""
        return True

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        x, _ = self.parts[0].sample(n, rng)
        _, y = self.parts[0].sample(n, rng)
        return x, y

    def _information_to(self, precision: Precision) -> MI:
        return MI(0.0, 0.0, "closed_form", "exact", 0.0)

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        return self.parts[0].injection(side)

    def _pointwise(self, x: Array, y: Array) -> Array:
        return np.zeros(len(x))


class Transformed(Construction):
    """A member seen through injective maps of X alone and of Y alone, applied from the left.

    Mutual information: that of the member.

    Example:
        >>> pair = FAMILIES["gaussian-dense"](1, 1, rho=0.5)
        >>> seen = Transformed(pair, [TRANSFORMS["asinh"](1, "x")], [])
        >>> seen.mutual_information() == pair.mutual_information()
        True

    Raises:
        ValueError: the maps do not fit the member's dimensions or each other.
    """

    name = "transformed"

    def __init__(
        self, member: JointDistribution, maps_x: Sequence[Transform], maps_y: Sequence[Transform]
    ) -> None:
        self.maps_x, self.maps_y = tuple(maps_x), tuple(maps_y)
        dim_x, dim_y = _through(member.dim_x, maps_x), _through(member.dim_y, maps_y)
        super().__init__(dim_x, dim_y, [member])
        self.x_kind, self.y_kind = member.x_kind, member.y_kind  # type: ignore[misc]

    def _sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        return self.see(*self.parts[0].sample(n, rng))

    def see(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Map rows of the member."""
        for each in self.maps_x:
            x = each.forward(x)
        for each in self.maps_y:
            y = each.forward(y)
        return x, y

    def _information_to(self, precision: Precision) -> MI:
        return self.parts[0].mutual_information(precision)

    def _injection(self, side: Literal["x", "y"]) -> Injection:
        maps = self.maps_x if side == "x" else self.maps_y
        behind = self.parts[0].injection(side)
        return Through(behind, [m.forward for m in maps], [m.inverse for m in maps])

    def _pointwise(self, x: Array, y: Array) -> Array:
        for each in reversed(self.maps_x):
            x = each.inverse(x)
        for each in reversed(self.maps_y):
            y = each.inverse(y)
        return self.parts[0].pointwise_mutual_information(x, y)


def fill(
    family: type[JointDistribution],
    dim_x: int,
    dim_y: int,
    blocks: Prior,
    ranges: Mapping[str, Range],
    rng: np.random.Generator,
) -> JointDistribution:
    """Draw independent blocks of a family until they and padding have these dimensions.

    As many blocks as `blocks` says and as fit. Each starts at the family's least dimensions; a
    random part of the spare coordinates (in half the cases all of them) goes to the blocks, as
    far as the family can grow, and the rest is padding.

    Raises:
        ValueError: not even one block fits.
    """
    least_x, least_y = family.shape.nearest(1, 1)
    room = min(dim_x // least_x, dim_y // least_y)
    if room < 1:
        raise ValueError(
            f"{family.name}: a block needs dim_x >= {least_x} and dim_y >= {least_y}, got"
            f" dim_x={dim_x}, dim_y={dim_y}"
        )
    count = min(room, blocks.draw(rng, None, integer=True))
    grown_x = least_x + _share(dim_x - count * least_x, count, rng)
    grown_y = least_y + _share(dim_y - count * least_y, count, rng)
    shapes = [family.shape.nearest(*map(int, each)) for each in zip(grown_x, grown_y, strict=True)]
    members = [family.draw(x, y, rng, **ranges) for x, y in shapes]
    member = members[0] if count == 1 else Product(members)
    if (member.dim_x, member.dim_y) == (dim_x, dim_y):
        return member
    return Padded(member, dim_x - member.dim_x, dim_y - member.dim_y)


def draw_maps(
    steps: Iterable[tuple[str, Mapping[str, Range]]],
    dim_out: int,
    side: Any,
    rng: np.random.Generator,
) -> list[Transform]:
    """Draw the maps of one side that end in `dim_out` columns; steps are applied from the left.

    Raises:
        ValueError: a map cannot have so few columns.
    """
    maps: list[Transform] = []
    for name, ranges in reversed(list(steps)):
        if name == "identity":
            continue
        kind = TRANSFORMS[name]
        if dim_out < kind.least_dim:
            raise ValueError(f"{name}: needs at least {kind.least_dim} columns, got {dim_out}")
        maps.append(kind.draw(dim_out, side, rng, **ranges))
        dim_out = maps[-1].dim_in
    return maps[::-1]


def transformed(
    member: JointDistribution, maps_x: Sequence[Transform], maps_y: Sequence[Transform]
) -> JointDistribution:
    """See a member through maps; where all are the identity, return the member itself."""
    maps_x, maps_y = ([m for m in maps if m.name != "identity"] for maps in (maps_x, maps_y))
    return Transformed(member, maps_x, maps_y) if maps_x or maps_y else member


def latent(member: JointDistribution) -> JointDistribution:
    """Return the member behind the maps, if there are any."""
    return member.parts[0] if isinstance(member, Transformed) else member


def see(member: JointDistribution, x: Array, y: Array) -> tuple[Array, Array]:
    """Turn rows of `latent(member)` into rows of the member."""
    return member.see(x, y) if isinstance(member, Transformed) else (x, y)


def describe(member: JointDistribution) -> dict[str, Any]:
    """Write the parameters of a member, and how it is constructed, as JSON-able data.

    A plain member gives its parameters. Constructions add `blocks` (dimensions and parameters of
    each), `pad_x` and `pad_y`, `independent`, and `transform_x` and `transform_y` (the maps and
    their parameters, from the left).
    """
    match member:
        case Product():
            return {"blocks": [_describe_block(member, part) for part in member.parts]}
        case Padded():
            return describe(member.parts[0]) | {"pad_x": member.pad_x, "pad_y": member.pad_y}
        case Independent():
            return describe(member.parts[0]) | {"independent": True}
        case Transformed():
            return describe(member.parts[0]) | {
                "transform_x": [{"name": each.name, **each.theta} for each in member.maps_x],
                "transform_y": [{"name": each.name, **each.theta} for each in member.maps_y],
            }
    return dict(member.theta)


def family_of(member: JointDistribution) -> str:
    """Return the name of the family that a construction is made of."""
    while isinstance(member, Construction):
        member = member.parts[0]
    return member.name


def rebuild(family: str, dim_x: int, dim_y: int, params: Mapping[str, Any]) -> JointDistribution:
    """Rebuild the member that `describe` described, for instance from a row of a catalog.

    Args:
        family: its family.
        dim_x: its dimension of X.
        dim_y: its dimension of Y.
        params: what `describe` returned, also after a way through JSON; `member_dims` among them
            replaces the dimensions, where a flow made others of what is stored.

    Example:
        >>> member = Padded(FAMILIES["gaussian-dense"](2, 2, rho=0.5), 1, 0)
        >>> again = rebuild("gaussian-dense", 3, 2, describe(member))
        >>> again.mutual_information() == member.mutual_information()
        True

    Raises:
        KeyError: an unknown family or map.
        TypeError, ValueError: parameters that do not fit.
    """
    rest = dict(params)
    dim_x, dim_y = rest.pop("member_dims", (dim_x, dim_y))
    maps_x, dim_x = _rebuild_maps(rest.pop("transform_x", []), dim_x, "x")
    maps_y, dim_y = _rebuild_maps(rest.pop("transform_y", []), dim_y, "y")
    independent = rest.pop("independent", False)
    pad_x, pad_y = rest.pop("pad_x", 0), rest.pop("pad_y", 0)
    plain = {"dim_x": dim_x - pad_x, "dim_y": dim_y - pad_y, **rest}
    member = _rebuild_blocks(family, rest.get("blocks", [plain]))
    if pad_x or pad_y:
        member = Padded(member, pad_x, pad_y)
    if independent:
        member = Independent(member)
    return transformed(member, maps_x, maps_y)


def _describe_block(product: Product, part: JointDistribution) -> dict[str, Any]:
    own = {} if part.name == product.parts[0].name else {"family": part.name}
    return own | {"dim_x": part.dim_x, "dim_y": part.dim_y, **part.theta}


def _rebuild_blocks(family: str, blocks: Sequence[Mapping[str, Any]]) -> JointDistribution:
    members = []
    for block in blocks:
        theta = _tuples(block)
        members.append(FAMILIES[theta.pop("family", family)](**theta))
    return members[0] if len(members) == 1 else Product(members)


def _rebuild_maps(
    described: Sequence[Mapping[str, Any]], dim_out: int, side: Any
) -> tuple[list[Transform], int]:
    maps: list[Transform] = []
    for each in reversed(described):
        theta = {key: value for key, value in each.items() if key != "name"}
        maps.append(TRANSFORMS[each["name"]](dim_out, side, **_tuples(theta)))
        dim_out = maps[-1].dim_in
    return maps[::-1], dim_out


def _tuples(theta: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the lists that JSON makes of tuples back into tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in theta.items()}


def _through(dim: int, maps: Sequence[Transform]) -> int:
    for each in maps:
        if each.dim_in != dim:
            raise ValueError(f"transformed: {each!r} takes {each.dim_in} columns, got {dim}")
        dim = each.dim_out
    return dim


def _share(spare: int, count: int, rng: np.random.Generator) -> Array:
    """Share a random number of spare coordinates among the blocks at random."""
    given = spare if rng.random() < 0.5 else int(rng.integers(0, spare, endpoint=True))
    return rng.multinomial(given, np.full(count, 1.0 / count))


def _columns(member: JointDistribution, side: Literal["x", "y"]) -> int:
    return member.dim_x if side == "x" else member.dim_y


def _joint_kind(kinds: Iterable[Kind]) -> Kind:
    distinct = set(kinds)
    return distinct.pop() if len(distinct) == 1 else "mixed"
