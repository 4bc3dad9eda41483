"""The registry of units."""

from __future__ import annotations

import subprocess
import sys

import pytest

from toolkit.quantity import UNITS, Dimension, parse_value
from toolkit.quantity.units import AMBIGUOUS, ATTACHED, RATES, REFUSED, SIGNS_OF_OPERATION


@pytest.mark.parametrize("symbol", UNITS)
def test_every_unit_is_complete_and_is_read(symbol: str) -> None:
    unit = UNITS[symbol]
    assert unit.symbol == symbol
    assert [name for name, _ in unit.readings] in (["exact"], ["decimal", "binary"])
    assert all(size > 0 for _, size in unit.readings)
    text = "$2" + symbol[1:] if symbol.startswith("$") else f"2 {symbol}".strip()
    value = parse_value(text, unit.dimension)
    assert value is not None
    # Symbols that hang on the dimension may read as another spelling of the same unit.
    assert value.unit.readings == unit.readings
    assert value.unit.dimension is unit.dimension


def test_only_decimal_prefixes_have_two_readings() -> None:
    two = {symbol for symbol, unit in UNITS.items() if len(unit.readings) == 2}
    assert {"KB", "MB", "GB", "TB", "PB", "gb", "gigabytes"} <= two
    assert not {symbol for symbol in two if "i" in symbol.removesuffix("s")} - {
        symbol for symbol in two if symbol.startswith(("kilo", "mega", "giga"))
    }
    for power, prefix in enumerate("KMGTP", start=1):
        assert dict(UNITS[f"{prefix}B"].readings) == {"decimal": 1000**power, "binary": 1024**power}
        assert dict(UNITS[f"{prefix}iB"].readings) == {"exact": 1024**power}


def test_tables_agree() -> None:
    assert all(UNITS[name].dimension is dimension for row in AMBIGUOUS.values() for dimension, name in row.items())
    assert AMBIGUOUS.keys() >= ATTACHED >= SIGNS_OF_OPERATION - {"times"}
    assert not REFUSED & (UNITS.keys() | AMBIGUOUS.keys())
    assert {f"$/{per}" for per in RATES.values()} <= UNITS.keys()
    assert all(UNITS[symbol].dimension is Dimension.MONEY for symbol in UNITS if symbol.startswith("$"))


def test_the_package_imports_nothing_heavy() -> None:
    """Every command imports it."""
    code = "import sys, toolkit.quantity; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"pydantic", "yaml", "markdown_it", "packaging", "unittest", "logging", "asyncio", "json"}
    assert not heavy & set(ran.stdout.split())
