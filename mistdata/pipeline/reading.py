"""Reading TOML: tables whose every key is taken once, and the forms in which numbers are given."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn

import numpy as np

from mistdata.distributions.priors import Choice, LogUniform, Prior, Uniform
from mistdata.errors import RecipeError, did_you_mean

_PRIOR_FORMS = "a number, [low, high], or one of {uniform, log_uniform, values, linspace} = [...]"


class Table:
    """A TOML table being read: every key is taken once, what is left over is an error."""

    def __init__(self, data: dict[str, Any], source: str, path: str) -> None:
        self.data = data
        self.source = source
        self.path = path
        self.taken: set[str] = set()

    def where(self, key: str) -> str:
        """Name a key of this table and its file."""
        return f"{self.source}: {self.path}{key}"

    def fail(self, key: str, expected: str, hint: str = "") -> NoReturn:
        """Refuse a value: say what was expected and what was found."""
        if key in self.data:
            found = f"got {shown(self.data[key])}"
        else:
            near = get_close_matches(key, [k for k in self.data if k not in self.taken], 1, 0.6)
            found = f"found {near[0]!r}, did you mean {key!r}?" if near else "it is missing"
        raise RecipeError(f"{self.where(key)}: expected {expected}, {found}{hint}")

    def take(self, key: str) -> Any:
        """Return the value of a key, or None when it is absent."""
        self.taken.add(key)
        return self.data.get(key)

    def integer(
        self, key: str, *, low: int, high: int | None = None, default: int | None = None
    ) -> int:
        """Take a whole number."""
        value = self.take(key)
        if value is None and default is not None:
            return default
        top = f" and <= {high}" if high is not None else ""
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
        if not fits or (high is not None and value > high):
            self.fail(key, f"a whole number >= {low}{top}")
        return int(value)

    def number(self, key: str, *, low: float, high: float, default: float, what: str) -> float:
        """Take a number in [low, high]."""
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(key, what)
        if not low <= value <= high:
            self.fail(key, what)
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """Take true or false."""
        value = self.take(key)
        if value is not None and not isinstance(value, bool):
            self.fail(key, "true or false")
        return default if value is None else value

    def table(self, key: str) -> Table:
        """Take a table."""
        value = self.take(key)
        if not isinstance(value, dict):
            self.fail(key, "a table")
        return Table(value, self.source, f"{self.path}{key}.")

    def finish(self) -> None:
        """Refuse whatever was not taken."""
        for key in self.data:
            if key not in self.taken:
                hint = did_you_mean(key, self.taken)
                legal = ", ".join(sorted(self.taken))
                raise RecipeError(f"{self.where(key)}: unknown key, expected one of {legal}{hint}")


def shown(value: Any) -> str:
    """Write a value, cut to what a message can hold."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def take_prior(
    table: Table, key: str, *, integer: bool, low: int | None = None, high: int | None = None
) -> Prior:
    """Take the law of a number."""
    value = table.take(key)
    noun = "whole numbers" if integer else "numbers"
    expected = f"{_PRIOR_FORMS} of {noun}"
    try:
        prior = _as_prior(value, integer)
    except (ValueError, TypeError, OverflowError) as error:
        table.fail(key, expected, f" ({error})" if str(error) else "")
    least, greatest = prior.support(integer)
    if (low is not None and least < low) or (high is not None and greatest > high):
        bounds = f">= {low}" + (f" and <= {high}" if high is not None else "")
        table.fail(key, f"{noun} {bounds}")
    return prior


def take_words(table: Table, key: str, names: tuple[str, ...]) -> Prior:
    """Take a choice between words: one word, or { values = [...] }."""
    value = table.take(key)
    words = value.get("values") if isinstance(value, dict) and len(value) == 1 else [value]
    if not (isinstance(words, list) and words and all(word in names for word in words)):
        found = words[0] if isinstance(words, list) and words else ""
        hint = did_you_mean(found, names) if isinstance(found, str) else ""
        table.fail(key, f"one of {', '.join(names)}, or {{ values = [...] }} of them", hint)
    return Choice(tuple(words))


def _as_prior(value: Any, integer: bool) -> Prior:
    if isinstance(value, list):
        return Uniform(*_numbers(value, integer, 2))
    if not isinstance(value, dict):
        return Choice(_numbers([value], integer, 1))
    if len(value) != 1:
        raise ValueError("one form at a time")
    form, arguments = next(iter(value.items()))
    if form not in _FORMS:
        raise ValueError(f"unknown form {form!r}{did_you_mean(form, _FORMS)}")
    if not isinstance(arguments, list):
        raise TypeError(f"{form} takes a list")
    return _FORMS[form](arguments, integer)


def _linspace(arguments: list[Any], integer: bool) -> Prior:
    low, high, count = _numbers(arguments, integer, 3)
    if count != int(count) or not 1 <= count <= 1_000_000:
        raise ValueError("linspace = [low, high, count]")
    values = np.linspace(low, high, int(count))
    if integer:
        values = np.unique(np.rint(values))
    return Choice(tuple(values.tolist()))


_FORMS: dict[str, Callable[[list[Any], bool], Prior]] = {
    "uniform": lambda arguments, integer: Uniform(*_numbers(arguments, integer, 2)),
    "log_uniform": lambda arguments, integer: LogUniform(*_numbers(arguments, integer, 2)),
    "values": lambda arguments, integer: Choice(_numbers(arguments, integer, None)),
    "linspace": _linspace,
}


def _numbers(values: list[Any], integer: bool, count: int | None) -> tuple[float, ...]:
    if count is not None and len(values) != count:
        raise ValueError(f"{count} number{'s' * (count > 1)} needed")
    legal = int if integer else int | float
    for value in values:
        if isinstance(value, bool) or not isinstance(value, legal) or not abs(value) < 2**53:
            raise TypeError(f"{shown(value)} is not a {'whole ' * integer}number")
    return tuple(values)
