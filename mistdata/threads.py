"""Threads of the libraries below us: how many they use, and ours on top of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS, OpenMP, and torch if it is in use, to one thread within a `with` block.

    With more they add in another order, and round another way: what is stored must not depend on
    how many cores a machine has. And processes, one for each core, do not hinder each other.
    """
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 1
    with threadpool_limits(limits=1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(threads)
