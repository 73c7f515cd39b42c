"""From what names an estimator to what can be called: built in, `module:object`, or a path."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mistdata
from mistdata.baselines import BASELINES, Answer, Network, as_answer
from mistdata.errors import MistdataError, did_you_mean
from mistdata.store.dataset import Dataset

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Spec:
    """Names an estimator, for another process to build.

    Args:
        estimator: a built-in name, `module:object`, the path of a checkpoint, or a callable.
        options: its parameters.
        path: folder in which modules are looked for, too.
    """

    estimator: str | Callable[..., Any]
    options: Options = field(default_factory=dict)
    path: str = ""

    @property
    def name(self) -> str:
        """What it is called: the name, that of the path, or the qualified name of a callable."""
        if not isinstance(self.estimator, str):
            return _qualified(self.estimator)
        return Path(self.estimator).resolve().name if self.is_path else self.estimator

    @property
    def is_path(self) -> bool:
        """Whether it is the path of a checkpoint."""
        name = self.estimator
        return isinstance(name, str) and name not in BASELINES and Path(name).exists()


@dataclass(frozen=True)
class Estimator:
    """What can be called, and which version of it this is.

    Attributes:
        call: takes x and y, and `rng` and `row` if it has such parameters.
        version: changes when its answers may.
        takes: which of `rng` and `row` it wants.
    """

    call: Callable[..., Any]
    version: str
    takes: frozenset[str]

    def answer(self, dataset: Dataset, rng: np.random.Generator) -> Answer:
        """Estimate the mutual information of a dataset.

        Raises:
            Exception: whatever the estimator raises; ValueError or TypeError for what is no
                answer.
        """
        extra = {"rng": rng, "row": dataset.row}
        wanted = {name: extra[name] for name in self.takes}
        return as_answer(self.call(dataset.x, dataset.y, **wanted))


def build(spec: Spec) -> Estimator:
    """Build the estimator that a spec names.

    Raises:
        MistdataError: there is no such estimator, or it refuses its options.
    """
    call, version = _built(spec) if isinstance(spec.estimator, str) else _given(spec)
    return Estimator(call, str(getattr(call, "version", version)), _takes(call))


def _built(spec: Spec) -> tuple[Callable[..., Any], str]:
    assert isinstance(spec.estimator, str)
    name = spec.estimator
    if name in BASELINES:
        return _configured(name, BASELINES[name], spec.options), mistdata.__version__
    if spec.is_path:
        return _configured(spec.name, lambda: Network(checkpoint=name), spec.options), ""
    if ":" in name:
        return _imported(name, spec)
    raise MistdataError(
        f"no estimator {name!r}{did_you_mean(name, BASELINES)}; expected {', '.join(BASELINES)},"
        " module:object, or the path of a checkpoint"
    )


def _given(spec: Spec) -> tuple[Callable[..., Any], str]:
    found = spec.estimator
    return _usable(spec.name, found, spec.options), _source_version(inspect.getmodule(found))


def _imported(name: str, spec: Spec) -> tuple[Callable[..., Any], str]:
    module_name, _, attribute = name.partition(":")
    if spec.path and spec.path not in sys.path:
        sys.path.insert(0, spec.path)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise MistdataError(f"{name}: {module_name} cannot be imported: {error}") from None
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = did_you_mean(part, [each for each in vars(found) if each[0] != "_"])
            raise MistdataError(f"{name}: {module_name} has no {attribute!r}{near}")
        found = getattr(found, part)
    return _usable(name, found, spec.options), _source_version(module)


def _usable(name: str, found: Any, options: Options) -> Callable[..., Any]:
    """Return what to call: a function with its options, or an object's `estimate`."""
    if inspect.isclass(found):
        found, options = _configured(name, found, options), {}
    if callable(getattr(found, "estimate", None)):
        found = found.estimate
    if not callable(found):
        raise MistdataError(f"{name}: expected a callable or an object with estimate(x, y)")
    return _with_options(name, found, options)


def _with_options(name: str, function: Callable[..., Any], options: Options) -> Callable[..., Any]:
    if not options:
        return function
    try:
        inspect.signature(function).bind(None, None, **options)
    except TypeError as error:
        raise MistdataError(f"{name}: {error}; {_legal(function)}") from None
    return partial(function, **options)


def _configured(name: str, make: Callable[..., Any], options: Options) -> Callable[..., Any]:
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        raise MistdataError(f"{name}: {error}; {_legal(make)}") from None
    try:
        made: Callable[..., Any] = make(**options)
    except (TypeError, ValueError) as error:
        message = str(error).removeprefix(f"{name}: ")
        raise MistdataError(f"{name}: {message}") from None
    return made


def _legal(function: Callable[..., Any]) -> str:
    names = [name for name in inspect.signature(function).parameters if name not in ("x", "y")]
    return f"its options are {', '.join(names)}" if names else "it has no options"


def _takes(call: Callable[..., Any]) -> frozenset[str]:
    try:
        names = inspect.signature(call).parameters
    except ValueError:  # built-in functions do not tell
        return frozenset()
    return frozenset(name for name in ("rng", "row") if name in names)


def _source_version(module: Any) -> str:
    """Return the version that a module states, or else a digest of its source."""
    stated = getattr(module, "__version__", None)
    if stated is not None:
        return str(stated)
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():
        return "unknown"
    return f"source {hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]}"


def _qualified(found: Any) -> str:
    named = found if hasattr(found, "__qualname__") else type(found)
    return f"{named.__module__}:{named.__qualname__}"
