"""Sentence embeddings without a download: a text and a model that ship inside packages.

The sentences are those of Python's language reference (`pydoc_data.topics`) and of the docstrings
of NumPy, SciPy and scikit-learn; the model is the one that the package wordllama carries (token
embeddings trained for retrieval, `l2_supercat`, cut to its first 64 columns as it is meant to be).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

from mistdata.errors import MistdataError

DIM = 64
_SHORTEST, _LONGEST = 40, 300
_MODULES = (
    "numpy", "numpy.fft", "numpy.linalg", "numpy.polynomial", "numpy.random", "scipy.cluster",
    "scipy.fft", "scipy.integrate", "scipy.interpolate", "scipy.linalg", "scipy.ndimage",
    "scipy.optimize", "scipy.signal", "scipy.spatial", "scipy.special", "scipy.stats",
    "sklearn.cluster", "sklearn.decomposition", "sklearn.ensemble", "sklearn.linear_model",
    "sklearn.metrics", "sklearn.model_selection", "sklearn.preprocessing", "sklearn.svm",
)  # fmt: skip


def embeddings() -> np.ndarray:
    """Return the embedding of every sentence, (sentences, 64).

    Raises:
        MistdataError: wordllama is not installed.
    """
    try:
        import wordllama
    except ImportError:
        raise MistdataError(
            "sentence embeddings need `pip install -c constraints.txt --group modalities`"
        ) from None
    model = wordllama.WordLlama.load(
        trunc_dim=DIM,
        cache_dir=Path(wordllama.__file__).parent,  # where the package itself does not look
        disable_download=True,
    )
    return np.asarray(model.embed(sentences()))


def sentences() -> list[str]:
    """Return the different sentences, in alphabetical order."""
    found = {sentence for text in _texts() for sentence in _sentences_of(text)}
    return sorted(each for each in found if _SHORTEST <= len(each) <= _LONGEST)


def _texts() -> Iterator[str]:
    yield from topics.values()
    for name in _MODULES:
        module = import_module(name)
        for public in sorted(getattr(module, "__all__", dir(module))):
            member = vars(module).get(public)
            if callable(member):
                yield inspect.getdoc(member) or ""


def _sentences_of(text: str) -> Iterator[str]:
    """Split prose into sentences; code, tables and lists of parameters are left out."""
    for paragraph in re.split(r"\n\s*\n", text):
        prose = re.sub(r"\s+", " ", paragraph).strip()
        if not re.search(r">>>|-----|=====|::| : ", prose):
            yield from re.split(r"(?<=[.!?])\s+(?=[A-Z])", prose)
