"""Families and maps as data, for `mistdata families`, `transforms` and docs/families.md."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from mistdata.distributions.base import JointDistribution
from mistdata.distributions.families import FAMILIES, GROUPS
from mistdata.distributions.parameters import Parameter, Parametrised
from mistdata.distributions.priors import Choice, LogUniform, Prior, Uniform
from mistdata.distributions.transforms import TRANSFORMS

_EXAMPLE_DIMS = (3, 3)
_AT_EXAMPLE = f" (at dim_x={_EXAMPLE_DIMS[0]}, dim_y={_EXAMPLE_DIMS[1]})"
METHODS = {
    "closed_form": "closed form",
    "series": "series",
    "quadrature": "quadrature",
    "rqmc": "randomised QMC",
    "monte_carlo": "Monte Carlo",
}


def describe_families() -> dict[str, dict[str, Any]]:
    """Describe every family: summary, dimensions, kinds, MI formula, source, parameters."""
    groups = {name: title for title, names in GROUPS.items() for name in names}
    return {
        name: {
            "summary": _summary(family),
            "group": groups[name],
            "dims": str(family.shape),
            "x_kind": family.x_kind,
            "y_kind": family.y_kind,
            "formula": family.formula,
            "source": family.source,
            "density": family._pointwise is not JointDistribution._pointwise,
            "parameters": _describe_parameters(family),
        }
        for name, family in FAMILIES.items()
    }


def describe_transforms() -> dict[str, dict[str, Any]]:
    """Describe every map: summary, formula, least number of columns, parameters."""
    return {
        name: {
            "summary": _summary(kind),
            "formula": kind.formula,
            "least_dim": kind.least_dim,
            "parameters": _describe_parameters(kind),
        }
        for name, kind in TRANSFORMS.items()
    }


def method_of(name: str) -> str:
    """Say how the information of a member drawn from the published ranges is obtained."""
    family = FAMILIES[name]
    member = family.draw(*family.shape.nearest(2, 2), np.random.default_rng(0))
    return METHODS[member.mutual_information().method]


def markdown() -> str:
    """Write docs/families.md."""
    families, transforms = describe_families(), describe_transforms()
    lines = [
        "# Families and maps",
        "",
        "Written by `mistdata families --markdown`; a test keeps it current. m = dim_x,"
        " n = dim_y; MI in nats. `blocks` in a recipe carries every family to any dimensions.",
        "",
        f"{len(families)} families, {len(transforms)} maps.",
        "",
        "![One sample of every family](gallery.png)",
    ]
    for title, names in GROUPS.items():
        lines += ["", f"## {title}", ""]
        lines += [
            "| family | dims | X, Y | I(X;Y) | method | source |",
            "|---|---|---|---|---|---|",
        ]
        members = {name: families[name] for name in names}
        lines += [_family_row(name, each) for name, each in members.items()]
        lines += [""] + [_parameter_lines(name, each) for name, each in members.items()]
    lines += ["", "## Maps of one side, which leave the information as it is", ""]
    lines += ["| map | least columns | what it does | formula |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {each['least_dim']} | {_cell(each['summary'])} | {_cell(each['formula'])} |"
        for name, each in transforms.items()
    ]
    lines += [""] + [_parameter_lines(name, each) for name, each in transforms.items()]
    return "\n".join(lines) + "\n"


def _family_row(name: str, each: dict[str, Any]) -> str:
    kinds = f"{each['x_kind']}, {each['y_kind']}"
    kinds = each["x_kind"] if each["x_kind"] == each["y_kind"] else kinds
    cells = (each["dims"], kinds, each["formula"], method_of(name), each["source"])
    return f"| `{name}` | {' | '.join(map(_cell, cells))} |"


def _parameter_lines(name: str, each: dict[str, Any]) -> str:
    text = "; ".join(
        f"`{key}` {about['meaning']}{', one per coordinate' if about['per_coordinate'] else ''}"
        f" (domain {about['domain']}, drawn {about['prior']})"
        for key, about in each["parameters"].items()
    )
    return f"- `{name}`: {each['summary']}" + (f" Parameters: {text}." if text else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _summary(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " ")


def _describe_parameters(owner: type[Parametrised]) -> dict[str, Any]:
    return {key: _describe_parameter(parameter) for key, parameter in owner.parameters.items()}


def _describe_parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "meaning": parameter.meaning,
        "unit": parameter.unit,
        "integer": parameter.integer,
        "per_coordinate": bool(parameter.per),
        "domain": _describe_domain(parameter),
        "prior": _describe_prior(parameter),
        "reason": parameter.reason,
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
            return f"uniform [{low:.10g}, {high:.10g}]"
        case LogUniform(low, high):
            return f"log-uniform [{low:g}, {high:g}]"
        case Choice(values):
            return f"one of {', '.join(map(_value_text, values))}"


def _value_text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
