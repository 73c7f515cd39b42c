"""Meta-datasets of joint distributions with known mutual information, and what learns from them.

`mistdata.open` reads a sealed store; `estimate`, `matrix` and `mutual_information` ask the shipped
network and need the extra `mistdata[estimator]`. Each is imported at first use, so that importing
the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mistdata.estimator.estimate import estimate
    from mistdata.estimator.matrix import matrix
    from mistdata.estimator.scoring import mutual_information
    from mistdata.store.dataset import Dataset, MetaDataset
    from mistdata.store.dataset import open_store as open

__version__ = "0.1.0"
__all__ = [
    "Dataset",
    "MetaDataset",
    "__version__",
    "estimate",
    "matrix",
    "mutual_information",
    "open",
]
_ESTIMATING = {"estimate": "estimate", "matrix": "matrix", "mutual_information": "scoring"}


def __dir__() -> list[str]:
    """List what there is, also what is imported at first use."""
    return __all__


def __getattr__(name: str) -> Any:
    """Import the store's reader, or the estimator, at first use."""
    if name in {"open", "Dataset", "MetaDataset"}:
        from mistdata.store import dataset

        return getattr(dataset, {"open": "open_store"}.get(name, name))
    if name in _ESTIMATING:
        module = import_module(f"mistdata.estimator.{_ESTIMATING[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'mistdata' has no attribute {name!r}")
