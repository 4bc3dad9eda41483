"""The grammar of printed arithmetic: right for every expression, quick and polite for everything else."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.work import calls
from toolkit.checks.equation import Amount, EquationError, evaluate, parse_equation, parse_expression
from toolkit.checks.equation.parse import MAX_DEPTH, MAX_TEXT, MAX_TOKENS
from toolkit.quantity.value import Dimension

Tree = tuple[str, Fraction]
"""An expression as printed, and what it comes to."""

numbers = st.one_of(
    st.integers(1, 9999).map(lambda n: (str(n), Fraction(n))),
    st.integers(1000, 9_999_999).map(lambda n: (f"{n:,}", Fraction(n))),
    st.tuples(st.integers(0, 999), st.integers(1, 99)).map(
        lambda pair: (f"{pair[0]}.{pair[1]:02d}", Fraction(pair[0] * 100 + pair[1], 100))
    ),
)
SIGNS = {"+": "+", "-": "−", "*": "×", "/": "/"}


def answers(text: str) -> list[Amount]:
    """What the sides of an equation come to."""
    return [evaluate(side, "decimal") for side in parse_equation(text)]


def joined(operator: str, left: Tree, right: Tree) -> Tree:
    """Two printed expressions in parentheses with a sign between them."""
    (first, a), (second, b) = left, right
    value = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: a / b if b else a,
    }[operator]()
    if operator == "/" and b == 0:
        return left
    return f"({first} {SIGNS[operator]} {second})", value


trees = st.recursive(
    numbers,
    lambda inner: st.builds(joined, st.sampled_from("+-*/"), inner, inner),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(trees)
def test_every_expression_comes_to_what_fractions_say(tree: Tree) -> None:
    text, value = tree
    amount = evaluate(parse_expression(text), "decimal")
    assert (amount.low, amount.high) == (value, value)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("+-*/"), numbers), min_size=1, max_size=8), numbers)
def test_precedence_is_that_of_arithmetic(rest: list[tuple[str, Tree]], first: Tree) -> None:
    """Without parentheses: products are folded first, then sums, each from the left."""
    text, terms, signs = first[0], [first[1]], []
    for operator, (printed, value) in rest:
        text += f" {SIGNS[operator]} {printed}"
        if operator == "*":
            terms[-1] *= value
        elif operator == "/":
            terms[-1] /= value
        else:
            terms.append(value)
            signs.append(operator)
    total = terms[0]
    for sign, term in zip(signs, terms[1:], strict=True):
        total = total + term if sign == "+" else total - term
    amount = evaluate(parse_expression(text), "decimal")
    assert (amount.low, amount.high) == (total, total)


@pytest.mark.parametrize(
    ("text", "value", "dimension"),
    [
        ("7B × 4 bytes", 28 * 10**9, Dimension.BYTES),
        ("(0.5B × 2) + 0.5GB", 1_500_000_000, Dimension.BYTES),
        ("80% of 400", 320, Dimension.NUMBER),
        ("100,000 × 200", 20_000_000, Dimension.NUMBER),
        ("24 GB + 20%", 28_800_000_000, Dimension.BYTES),
        ("1 - 60%", Fraction(2, 5), Dimension.NUMBER),
        ("2^10", 1024, Dimension.NUMBER),
        ("(1 + 1) ^ 3", 8, Dimension.NUMBER),
        ("2 × (3 + 4) ÷ 7", 2, Dimension.NUMBER),
        ("12 GB / 3 GB", 4, Dimension.NUMBER),
        ("320 × 3", 960, Dimension.NUMBER),
        ("28 + 4 GB", 32 * 10**9, Dimension.BYTES),
    ],
)
def test_expression(text: str, value: Fraction | int, dimension: Dimension) -> None:
    amount = evaluate(parse_expression(text), "decimal")
    assert (amount.low, amount.high, amount.dimension) == (value, value, dimension)


def test_nouns_are_skipped_in_an_equation_and_names_are_read_in_a_formula() -> None:
    assert len(parse_equation("320 examples × 3 epochs = 960 training steps")) == 2
    with pytest.raises(EquationError, match="'examples' is bound to no value"):
        evaluate(parse_expression("examples × 3"), "decimal")


@pytest.mark.parametrize("sign", ["=", "≈", "~=", "->", "→", "=>", "≃", "≅"])
def test_every_sign_of_equality(sign: str) -> None:
    assert len(parse_equation(f"2 × 3 {sign} 6")) == 2


def test_a_chain_has_a_side_for_each_sign() -> None:
    assert len(parse_equation("2 × 3 × 4 = 6 × 4 = ~24")) == 3


@pytest.mark.parametrize(
    "text",
    [
        "", "=", "= 4", "4 =", "2 + 2", "2 + = 4", "(2 = 2", "2) = 2", "() = 1", "1 = ()", "2 2 = 4",
        "1/0 = 1", "2 ^ 0.5 = 1", "2 ^ 31 = 1", "2 ^ (1 + 1) = 4", "0 ^ -1 = 1", "2 GB + 3 hours = 5",
        "2 GB × 3 GB = 6",
        "3 / 2 GB = 1",
        "5% + 24 GB = 25 GB", "__import__('os') = 1", "1; 2 = 3", "{2} = 2", "2 @ 3 = 5",
        "\x00 = \x00", "x = x",
        "9999999999999999999999999999999999999999999999 × 2 = 3",
    ],
)  # fmt: skip
def test_what_is_no_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(EquationError):
        answers(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1+" * 600 + "1 = 1", f"longer than {MAX_TEXT}"),
        (" + ".join(["1"] * 110) + " = 1", f"more than {MAX_TOKENS} parts"),
        ("(" * 17 + "1" + ")" * 17 + " = 1", f"nested deeper than {MAX_DEPTH}"),
        ("10^99 × 10^99 × 10^99 × 10^99 × 10^99 = 1", "grows beyond"),
        ("9,999 ^ 30 ^ 30 = 1", "stands where an operator should"),
        ("(9,999 ^ 30) ^ 30 = 1", "grows beyond"),
        ("((9 ^ 30) ^ 30) ^ 30 = 1", "grows beyond"),
        ("2 ^ 99 ^ 99 = 1", "stands where an operator should"),
        ("(2) ^ 1000000000 = 1", "exponent"),
        ("/".join(["1e-99"] * 60) + " = 1", "grows beyond"),
    ],
)
def test_limits_are_kept(text: str, reason: str) -> None:
    with pytest.raises(EquationError, match=reason):
        answers(text)


def test_as_deep_and_as_long_as_allowed_is_read() -> None:
    deep = "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH
    assert evaluate(parse_expression(deep), "decimal").low == 1
    long = " + ".join(["1"] * (MAX_TOKENS // 2))
    assert evaluate(parse_expression(long), "decimal").low == MAX_TOKENS // 2


ALPHABET = "0123456789.,+-*/^()=≈~→×÷%xeGBMKTiBb $of−–\n\t`*_#é²"


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(ALPHABET, max_size=80), st.text(max_size=80)))
def test_nothing_but_equation_error_is_raised(text: str) -> None:
    for read in (
        parse_equation,
        lambda text: (parse_expression(text),),
        lambda text: parse_equation(text, minus=True),
    ):
        for reading in ("decimal", "binary"):
            for rounded in (False, True):
                try:
                    for side in read(text):
                        amount = evaluate(side, reading, rounded=rounded)
                        assert amount.low <= amount.high
                except EquationError:
                    continue


@pytest.mark.parametrize(
    "piece", ["(", "9", "1,", "2^", "~", "1 - ", "x", "GB ", "5% of ", "1–2 ", "=", " ", "**", "`"]
)
def test_hostile_repetition_is_quick(piece: str) -> None:
    """As long as is read at all."""
    text = (piece * MAX_TEXT)[:MAX_TEXT]

    def work() -> None:
        for read in (parse_equation, parse_expression):
            with suppress(EquationError):
                read(text)

    assert calls(work) < 100 * MAX_TEXT
