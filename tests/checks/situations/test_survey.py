"""The search through open settings against a brute-force oracle over small spaces."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.work import calls
from toolkit.checks.judgement import Verdict
from toolkit.checks.situations.space import Choice, SettingSpace, Side
from toolkit.checks.situations.spread import over_settings, side_of, yaml_line
from toolkit.quantity.interval import Interval
from toolkit.spec.fields.value import Range


def no_setting(choice: Choice) -> object:
    raise AssertionError("the search asks for sides, never for settings")


Options = tuple[object, ...] | Range


def every(options: dict[str, Options]) -> list[dict[str, object]]:
    """All choices there are: the oracle's world."""
    values = [range(one.low, one.high + 1) if isinstance(one, Range) else one for one in options.values()]
    return [dict(zip(options, chosen, strict=True)) for chosen in product(*values)]


@st.composite
def worlds(draw: st.DrawFn, *, falling: bool = False) -> tuple[dict[str, Options], dict[tuple[object, ...], int]]:
    """One to three ranges, up to two fields with choices, and a number for each, monotone along ranges.

    Sums of one monotone table for each range, weighted by what is chosen, plus a product term.
    """
    ranges = draw(st.integers(1, 3))
    options: dict[str, Options] = {}
    tables: dict[str, list[int]] = {}
    for index in range(ranges):
        low = draw(st.integers(1, 3))
        length = draw(st.integers(2, 5))
        options[f"r{index}"] = Range(low, low + length - 1)
        steps = draw(st.lists(st.integers(0, 6), min_size=length, max_size=length))
        sign = draw(st.sampled_from([1, -1])) if falling else 1
        total, table = 0, []
        for step in steps:
            total += sign * step
            table.append(total)
        tables[f"r{index}"] = table
    for index in range(draw(st.integers(0, 2))):
        options[f"c{index}"] = draw(st.sampled_from([("a", "b"), (True, False), ("x", "y", "z")]))
    weights: dict[tuple[object, ...], tuple[int, ...]] = {}
    numbers: dict[tuple[object, ...], int] = {}
    coupled = draw(st.booleans()) and not falling
    for choice in every(options):
        chosen = tuple(value for name, value in choice.items() if name.startswith("c"))
        if chosen not in weights:
            weights[chosen] = tuple(draw(st.integers(0, 3)) for _ in range(ranges + 1))
        parts = [tables[name][choice[name] - options[name].low] for name in tables]
        number = weights[chosen][-1] * 5 + sum(w * p for w, p in zip(weights[chosen], parts, strict=False))
        if coupled:
            number += parts[0] * parts[-1]
        numbers[tuple(choice.values())] = number
    return options, numbers


def sides(numbers: dict[tuple[object, ...], int], claim: Interval) -> Callable[[Choice], Side]:
    return lambda choice: side_of([claim], Interval.point(numbers[tuple(choice.values())]))


claims = st.tuples(st.integers(-30, 90), st.integers(0, 6)).map(
    lambda pair: Interval(Fraction(pair[0]), Fraction(pair[0] + pair[1]))
)


def oracle(options: dict[str, Options], side: Callable[[Choice], Side]) -> Verdict:
    held = {side(choice) is Side.HOLDS for choice in every(options)}
    return Verdict.DEPENDS if len(held) > 1 else Verdict.AGREES if held == {True} else Verdict.DISAGREES


@settings(max_examples=400, deadline=None)
@given(worlds(), claims)
def test_the_verdict_is_that_of_all_settings(world: tuple[dict, dict], claim: Interval) -> None:
    options, numbers = world
    side = sides(numbers, claim)
    spread, _ = over_settings(SettingSpace(options, no_setting), options, side)
    assert spread.verdict is oracle(options, side)


@settings(max_examples=400, deadline=None)
@given(worlds(falling=True), claims)
def test_the_verdict_is_that_of_all_settings_where_evidence_falls_along_a_range(
    world: tuple[dict, dict], claim: Interval
) -> None:
    options, numbers = world
    side = sides(numbers, claim)
    spread, _ = over_settings(SettingSpace(options, no_setting), options, side, grows=False)
    assert spread.verdict is oracle(options, side)


def said(text: str, options: dict[str, Options]) -> object:
    """A value as a boundary or a line of YAML prints it."""
    return yaml.safe_load(text)


def conditions(words: str, options: dict[str, Options]) -> Callable[[Choice], bool]:
    """Whether a choice is among those of which "c0 a, r0 3" speaks."""
    pairs = [part.rsplit(" ", 1) for part in words.split(", ")] if words else []
    return lambda choice: all(choice[name] == said(value, options) for name, value in pairs)


def check_boundary(boundary: str, options: dict[str, Options], side: Callable[[Choice], Side]) -> None:
    """Every choice of which a boundary says that it is true or false is so."""
    main, _, context = boundary.partition(" (at ")
    at = conditions(context.rstrip(")"), options)
    chosen = [choice for choice in every(options) if at(choice)]
    assert chosen
    if ";" in main:
        true, false = (part.split(" with ", 1)[1] for part in main.split("; "))
        truths, lies = [conditions(true, options)], [conditions(false, options)]
    else:
        true, _, false = main.partition(", false ")
        name = re.search(r"\b([rc][0-9])\b", true)[1]
        truths = [spoken(true.removeprefix("true ").replace(f"{name} ", ""), name, options)]
        lies = [
            spoken(part.replace(f"{name} ", ""), name, options)
            for part in (false.split(" and ") if " and from " in false else [false])
        ]
    for choice in chosen:
        if any(true(choice) for true in truths):
            assert side(choice) is Side.HOLDS, (boundary, choice)
        if any(false(choice) for false in lies):
            assert side(choice) is not Side.HOLDS, (boundary, choice)


def spoken(words: str, name: str, options: dict[str, Options]) -> Callable[[Choice], bool]:
    """The choices of "up to 3", "from 4", "from 4 to 5" or "with a" of one field."""
    if found := re.fullmatch(r"from (-?\d+) to (-?\d+)", words):
        return lambda choice: int(found[1]) <= choice[name] <= int(found[2])
    if found := re.fullmatch(r"from (-?\d+)", words):
        return lambda choice: int(found[1]) <= choice[name]
    if found := re.fullmatch(r"up to (-?\d+)", words):
        return lambda choice: choice[name] <= int(found[1])
    assert words.startswith("with "), words
    return lambda choice: choice[name] == said(words.removeprefix("with "), options)


@settings(max_examples=400, deadline=None)
@given(worlds(), claims)
def test_the_boundary_is_true_and_the_repair_settles_the_claim(world: tuple[dict, dict], claim: Interval) -> None:
    options, numbers = world
    side = sides(numbers, claim)
    spread, _ = over_settings(SettingSpace(options, no_setting), options, side)
    if spread.verdict is not Verdict.DEPENDS:
        assert spread.boundary is None
        assert spread.repair is None
        return
    check_boundary(spread.boundary, options, side)
    check_repair(spread.repair, options, side)


def check_repair(repair: str, options: dict[str, Options], side: Callable[[Choice], Side]) -> None:
    """With the fields of the line as it says, the claim holds whatever the others are."""
    stated = yaml.safe_load(repair)
    assert stated
    left = [choice for choice in every(options) if all(choice[name] == value for name, value in stated.items())]
    assert left
    assert all(side(choice) is Side.HOLDS for choice in left), repair


@settings(max_examples=200, deadline=None)
@given(worlds(falling=True), claims)
def test_boundary_and_repair_where_evidence_falls_along_a_range(world: tuple[dict, dict], claim: Interval) -> None:
    options, numbers = world
    side = sides(numbers, claim)
    spread, _ = over_settings(SettingSpace(options, no_setting), options, side, grows=False)
    if spread.verdict is Verdict.DEPENDS:
        check_boundary(spread.boundary, options, side)
        check_repair(spread.repair, options, side)


def test_a_claim_that_holds_in_the_middle_of_a_range_alone_turns_twice() -> None:
    """Numbers 10, 20, ... 80 for r0 = 1 ... 8, claimed 29 to 51: true at 3, 4 and 5."""
    options: dict[str, Options] = {"r0": Range(1, 8)}
    space = SettingSpace(options, no_setting)
    claim = [Interval(Fraction(29), Fraction(51))]
    spread, _ = over_settings(space, options, lambda c: side_of(claim, Interval.point(10 * c["r0"])))
    assert spread.verdict is Verdict.DEPENDS
    assert spread.boundary == "true from r0 3 to 5, false up to 2 and from 6"
    assert yaml.safe_load(spread.repair)["r0"] in {3, 4, 5}


def test_a_place_that_the_walk_along_one_range_after_the_other_steps_over_is_found() -> None:
    """r0 × 10 + r1 × 3 with r0 in 1..3 and r1 in 1..3: 26 = 2 × 10 + 2 × 3 is taken between 13 and 39.

    The walk goes 13, 23 (r0 = 2), 33 (r0 = 3, above), then 26 at r1 = 2; 19 = 10 + 9 is behind it.
    """
    options: dict[str, Options] = {"r0": Range(1, 3), "r1": Range(1, 3)}
    for target, true in ((26, True), (19, True), (24, False)):
        claim = [Interval.point(target)]
        spread, _ = over_settings(
            SettingSpace(options, no_setting),
            options,
            lambda c, claim=claim: side_of(claim, Interval.point(10 * c["r0"] + 3 * c["r1"])),
        )
        assert (spread.verdict is Verdict.DEPENDS) is true, target


def test_many_wide_ranges_cost_a_bounded_number_of_looks() -> None:
    """Three ranges of 4,096 values and a claim that no setting meets (odd, where all are even)."""
    options: dict[str, Options] = {name: Range(1, 4096) for name in ("r0", "r1", "r2")}
    looks = 0

    def side(choice: Choice) -> Side:
        nonlocal looks
        looks += 1
        number = 2 * (choice["r0"] + choice["r1"] + choice["r2"])
        return side_of([Interval.point(8191)], Interval.point(number))

    spread, _ = over_settings(SettingSpace(options, no_setting), options, side)
    assert spread.verdict is Verdict.DISAGREES
    assert looks < 5_000


def test_a_line_of_yaml_reads_back() -> None:
    fields = {"lora.rank": 8, "batch_size": 2, "lora.targets": ("q_proj", "v_proj"), "amp": True, "gpu": None}
    assert yaml.safe_load(yaml_line(fields)) == {
        "batch_size": 2, "amp": True, "gpu": None, "lora": {"rank": 8, "targets": ["q_proj", "v_proj"]},
    }  # fmt: skip
    assert yaml_line({"batch_size": 1}) == "batch_size: 1"
    assert yaml_line({"lora.rank": 8}) == "lora: {rank: 8}"


def test_many_choices_cost_time_in_their_number_alone() -> None:
    """2,048 combinations of eleven fields, of which half agree: no pair of them is compared."""
    options: dict[str, Options] = {f"c{index}": (True, False) for index in range(11)}

    def judged() -> None:
        spread, _ = over_settings(
            SettingSpace(options, no_setting),
            options,
            lambda choice: Side.HOLDS if sum(map(bool, choice.values())) > 5 else Side.BELOW,
        )
        assert spread.verdict is Verdict.DEPENDS

    assert calls(judged) < 50 * 2_048  # of pairs there are two million
