"""The widths of a network."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

LEVELS = (0.01, 0.025, *(round(0.05 * k, 2) for k in range(1, 20)), 0.975, 0.99)


@dataclass(frozen=True)
class NetworkConfig:
    """The widths of a network; JSON-able.

    Args:
        cell: learned features of a cell.
        cell_hidden: hidden width of the map that learns them.
        pair: channels of a pair of columns.
        product: channels of the matrix product of pairs.
        heads: of the attention of a column over its pairs.
        blocks: pair blocks.
        expansion: hidden width of a block's MLP, in units of `pair`.
        metrics: learned metrics of the row stream on each side; 0 leaves the stream out.
        bandwidths: of each metric.
        row: width of the row stream.
        additive: whether the X-Y pairs are summed in the readout, besides being averaged.
        levels: quantile levels, increasing in (0, 1), with 0.5 among them.
    """

    cell: int = 8
    cell_hidden: int = 16
    pair: int = 32
    product: int = 16
    heads: int = 2
    blocks: int = 3
    expansion: int = 2
    metrics: int = 2
    bandwidths: int = 5
    row: int = 32
    additive: bool = True
    levels: tuple[float, ...] = LEVELS

    def __post_init__(self) -> None:
        for field in fields(self):
            least = {"bandwidths": 2, "metrics": 0, "blocks": 0}.get(field.name, 1)
            value = getattr(self, field.name)
            if field.name not in ("levels", "additive") and value < least:
                raise ValueError(f"{field.name} must be at least {least}, got {value}")
        ordered = tuple(sorted(set(self.levels)))
        if not ordered or ordered != self.levels or not 0 < ordered[0] <= 0.5 <= ordered[-1] < 1:
            raise ValueError(f"levels must increase within (0, 1), got {self.levels}")
        if 0.5 not in self.levels:
            raise ValueError(f"levels must contain 0.5, got {self.levels}")

    def to_json(self) -> dict[str, Any]:
        """Return the widths as JSON types."""
        return asdict(self) | {"levels": list(self.levels)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Args:
            record: names and values.

        Raises:
            ValueError: on a key that is not known; one that is missing has its default.
        """
        expected = {field.name for field in fields(cls)}
        if not set(record) <= expected:
            raise ValueError(f"network config must have {sorted(expected)}, got {sorted(record)}")
        return cls(**record | {"levels": tuple(record.get("levels", LEVELS))})


CONFIGS = {
    "small": NetworkConfig(),
    "base": NetworkConfig(blocks=6),
}
