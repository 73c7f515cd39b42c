"""Meta-datasets of joint distributions with known mutual information.

`mistdata.open` reads a sealed store; everything else is reached through the submodules or the
command line, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mistdata.store.dataset import Dataset, MetaDataset
    from mistdata.store.dataset import open_store as open

__version__ = "0.1.0"
__all__ = ["Dataset", "MetaDataset", "__version__", "open"]


def __dir__() -> list[str]:
    """List what there is, also what is imported at first use."""
    return __all__


def __getattr__(name: str) -> Any:
    """Import the store's reader at first use."""
    if name in {"open", "Dataset", "MetaDataset"}:
        from mistdata.store import dataset

        return getattr(dataset, {"open": "open_store"}.get(name, name))
    raise AttributeError(f"module 'mistdata' has no attribute {name!r}")
