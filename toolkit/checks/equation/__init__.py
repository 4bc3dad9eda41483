"""Arithmetic as documents write it: `28 + 28 + 56 + 8 + 4 = ~124 GB`, `7B params × 0.003 = 21M`.

Its own small grammar with its own limits; nothing is ever handed to Python's evaluator.

    equation   = expression (("=" | "≈" | "~=" | "->" | "→") expression)+
    expression = term (("+" | "-") term)*
    term       = factor (("*" | "×" | "x" | "·" | "/" | "÷" | "of") factor)*
    factor     = "(" expression ")" | value | name       with an optional "^" integer

Words behind a number are what is counted, and skipped; "of" behind a percentage multiplies ("80% of 400"),
and a percentage that is added to something else is one of it ("24 GB + 20%"). Money per time, times a time, is money
("$2/hour × 10 hours"); a bare number behind it counts machines, or the time that it is paid for ("$4/hour × 30").
"""

from toolkit.checks.equation.evaluate import Amount, evaluate
from toolkit.checks.equation.parse import EquationError, parse_equation, parse_expression

__all__ = ["Amount", "EquationError", "evaluate", "parse_equation", "parse_expression"]
