import time

from toolkit.facts.names import UnknownName, nearest


def test_the_nearest_name_comes_first():
    assert nearest("adamw8bit", ["adamw_8bit", "adamw", "sgd"])[0] == "adamw_8bit"
    assert nearest("pytroch", ["torch", "triton"]) == ("torch",)


def test_letter_case_does_not_matter():
    assert nearest("BF61", ["bf16", "fp32"]) == ("bf16",)


def test_a_name_inside_another_is_near():
    assert "t4" in nearest("colabt4", ["t4", "rtx4090"])


def test_nothing_is_near_to_nothing():
    assert nearest("", ["bf16", "fp32"]) == ()
    assert nearest("xyzzy", ["bf16", "fp32"]) == ()


def test_a_long_name_costs_no_more_than_a_short_one():
    start = time.perf_counter()
    nearest("a" * 1_000_000, [f"name{number}" for number in range(500)])
    assert time.perf_counter() - start < 1


def test_unknown_names_are_values():
    assert UnknownName("x") == UnknownName("x", (), None)
