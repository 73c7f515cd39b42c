"""Families as data: for `mistdata families` and the documentation."""

from __future__ import annotations

from typing import Any

from mistdata.distributions.base import Parameter
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.priors import Choice, LogUniform, Prior, Uniform

_EXAMPLE_DIMS = (3, 3)
_AT_EXAMPLE = f" (at dim_x={_EXAMPLE_DIMS[0]}, dim_y={_EXAMPLE_DIMS[1]})"


def describe_families() -> dict[str, dict[str, Any]]:
    """Describe every family: summary, MI formula, kinds, source, parameters."""
    return {
        name: {
            "summary": (family.__doc__ or "").strip().splitlines()[0],
            "formula": family.formula,
            "source": family.source,
            "x_kind": family.x_kind,
            "y_kind": family.y_kind,
            "parameters": {
                key: _describe_parameter(parameter) for key, parameter in family.parameters.items()
            },
        }
        for name, family in FAMILIES.items()
    }


def _describe_parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "meaning": parameter.meaning,
        "unit": parameter.unit,
        "integer": parameter.integer,
        "per_coordinate": parameter.per_coordinate,
        "domain": _describe_domain(parameter),
        "prior": _describe_prior(parameter),
    }


def _describe_domain(parameter: Parameter) -> str:
    text = parameter.describe_domain(*_EXAMPLE_DIMS)
    varies = callable(parameter.low) or callable(parameter.high)
    return text + (_AT_EXAMPLE if varies else "")


def _describe_prior(parameter: Parameter) -> str:
    text = _prior_text(parameter.published_prior(*_EXAMPLE_DIMS))
    return text + (_AT_EXAMPLE if callable(parameter.prior) else "")


def _prior_text(prior: Prior) -> str:
    match prior:
        case Uniform(low, high):
            return f"uniform [{low:g}, {high:g}]"
        case LogUniform(low, high):
            return f"log-uniform [{low:g}, {high:g}]"
        case Choice(values):
            return f"one of {', '.join(f'{value:g}' for value in values)}"
