"""Arithmetic as documents write it: `28 + 28 + 56 + 8 + 4 = ~124 GB`, `7B params × 0.003 = 21M`.

Its own small grammar with its own limits; nothing is ever handed to Python's evaluator.

    equation   = expression (("=" | "≈" | "~=" | "->" | "→") expression)+
    expression = term (("+" | "-") term)*
    term       = factor (("*" | "×" | "x" | "·" | "/" | "÷") factor)*
    factor     = "(" expression ")" | value | name       with an optional "^" integer
"""

from toolkit.checks.equation.evaluate import Amount, EquationError, evaluate
from toolkit.checks.equation.parse import parse_equation, parse_expression

__all__ = ["Amount", "EquationError", "evaluate", "parse_equation", "parse_expression"]
