"""How to open a store: lines of Python and of the command line that are true for it."""

from __future__ import annotations

from mistdata.store.dataset import MetaDataset

_ROWS = 100


def opening(dataset: MetaDataset) -> dict[str, str]:
    """Write the lines; STORE stands for the folder or the URL.

    Args:
        dataset: the store, sealed or being filled.
    """
    sealed = dataset.manifest is not None
    one, partial = dataset[0], "" if sealed else ", allow_partial=True"
    condition = f"family = '{one.family}' and n >= {_ROWS}"
    python = f"""import mistdata

ds = mistdata.open("STORE"{partial})  # {_datasets(len(dataset))}
one = ds[0]  # one.x {one.x.shape}, one.y {one.y.shape}, one.mi {one.mi:.4g} nats
some = ds.where("{condition}")  # {_datasets(len(dataset.where(condition)))}
"""
    shell = "mistdata inspect STORE\n"
    if sealed:
        shell += (
            "mistdata verify STORE  # every byte, against what was sealed\n"
            f'mistdata export STORE FOLDER --to parquet --where "{condition}"\n'
        )
    return {"python": python, "shell": shell}


def _datasets(count: int) -> str:
    return f"{count:,} dataset{'s' * (count != 1)}"
