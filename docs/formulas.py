"""Formulas as the families write them, in one line of Unicode, set as MathML for the site.

The same text serves terminals, docstrings and the report; browsers set MathML by themselves.
`½ ln(1 + λ⁴/(1+2λ²))` becomes LaTeX by the rules below, and latex2mathml does the rest.
"""

from __future__ import annotations

import re

from latex2mathml.converter import convert

_FUNCTIONS = {
    name: f"\\{name} " for name in ("ln", "exp", "det", "arcsin", "cos", "sin", "sinh", "tanh")
} | {name: f"\\operatorname{{{name}}}" for name in ("asinh", "sign", "max", "min", "mod", "dim")}
_LITTLE = {"of", "in", "is", "if", "on", "by", "at", "to", "or", "NB"}  # words, not products
_SIGNS = {
    "½": "\\tfrac{1}{2}", "¼": "\\tfrac{1}{4}", "Σ": "\\sum ", "∫": "\\int ", "→": "\\to ",
    "≤": "\\le ", "≥": "\\ge ", "∝": "\\propto ", "·": "\\cdot ", "×": "\\times ",
    "#": "\\#", "~": "\\sim ", "...": "\\dots ", "%": "\\%",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ", "0123456789-T")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_GREEK = "α-ωΑ-Ω"
_ATOM = re.compile(rf"-?(?:[0-9.]+[a-z]?|[a-zA-Z{_GREEK}]+(?=\()|[a-zA-Z{_GREEK}]+)'?")
_WORD = re.compile("[A-Z][a-z]{2,}|[a-z]{3,}")
_WORDS = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}(?:[ -](?:a|[a-zA-Z]{2,}))*")


def mathml(formula: str) -> str:
    """Return a formula as a MathML element.

    Args:
        formula: one line, as `FAMILIES[name].formula`.
    """
    return str(convert(latex(formula)))


def latex(formula: str) -> str:
    """Return a formula as LaTeX."""
    text = re.sub(r"([_^])\{([^{}]*)\}", r"\1(\2)", formula)
    text = text.replace("{", "\\lbrace ").replace("}", "\\rbrace ")
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ]+", lambda m: f"^({m.group().translate(_RAISED)})", text)
    text = re.sub("[₀-₉]+", lambda m: f"_({m.group().translate(_LOWERED)})", text)
    text = re.sub(r"\b0F1\b", "{}_(0)F_(1)", text)
    for mark, opening in (("^", "^{"), ("_", "_{"), ("√", "\\sqrt{")):
        text = _grouped(text, mark, opening)
    text = _WORDS.sub(lambda m: _word(m.group()), text)
    for sign, command in _SIGNS.items():
        text = text.replace(sign, command)
    return text


def _grouped(text: str, mark: str, opening: str) -> str:
    """Put what a mark applies to in braces: what stands in brackets, else one atom."""
    head, found, rest = text.partition(mark)
    if not found:
        return text
    if rest.startswith("("):
        end = _closing(rest)
        inner, rest = rest[1:end], rest[end + 1 :]
    elif rest.startswith("|"):
        end = rest.index("|", 1)
        inner, rest = rest[: end + 1], rest[end + 1 :]
    else:
        atom = _ATOM.match(rest)
        end = atom.end() if atom else 1
        if rest[end : end + 1] == "(" and rest[:end].strip("-") in _FUNCTIONS:
            end += _closing(rest[end:]) + 1
        inner, rest = rest[:end], rest[end:]
    inner = _grouped(inner, mark, opening)
    return f"{head}{opening}{inner}}}{_grouped(rest, mark, opening)}"


def _closing(text: str) -> int:
    """Return where the bracket that `text` begins with is closed."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place
    raise ValueError(f"a bracket of {text!r} is not closed")


def _word(found: str) -> str:
    """Set names of functions upright, words as text, and leave products of letters."""
    parts = re.split(r"([ -])", found)
    if any(part in _FUNCTIONS for part in parts):
        return "".join(
            _FUNCTIONS.get(part) or _word(part) if len(part) > 1 else part for part in parts
        )
    if any(_WORD.fullmatch(part) or part in _LITTLE for part in parts):
        return f"\\text{{ {found} }}"
    return found
