"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import mistdata.distributions

MODULES = [
    module.name
    for module in pkgutil.walk_packages(
        mistdata.distributions.__path__, mistdata.distributions.__name__ + "."
    )
]


def test_the_modules_are_found():
    assert "mistdata.distributions.families.gaussian" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_family_and_transform_has_an_example():
    for registry in (mistdata.distributions.FAMILIES, mistdata.distributions.TRANSFORMS):
        for entry in registry.values():
            assert ">>> " in entry.__doc__, entry.name
