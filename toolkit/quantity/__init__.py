"""Values as written: what a printed number stands for, in every reading of its unit.

`parse_value` reads a text that is one value, `find_values` every value in running text, `parse_mark` a yes or
a no. A `Value` holds the digits as printed, the interval that they stand for, the unit with its readings, the
hedge and the bound:

- A number stands for what its digits round to: "28" is 27.5 to 28.5, "0.042" is 0.0415 to 0.0425.
- With a decimal point every digit counts ("4.0" is 3.95 to 4.05). Trailing zeros of a bare integer do not,
  beyond its first two digits: "4000" is 3,950 to 4,050, "4100" is 4,050 to 4,150, "20" is 19.5 to 20.5. A
  suffix is a unit, so "7B" is 6.5 to 7.5 billion. A power alone ("10^9", "2^30") is exact.
- A hedge ("~", "≈", "about") widens a number to at least 5 % on each side, and both ends of a range.
- A range is the hull of its ends, each rounded; one unit at its end applies to both.
- "at least", ">", "8GB+" keep only the low end of that interval; "up to", "<", "or less" only the high end.
- "GB" has two readings, 10**9 and 2**30 bytes; "GiB" has one. The unit of a rate of money is "$/hour", its
  dimension MONEY.

All numbers are exact fractions, all work is linear in the text, and no text raises. The `display_*` functions
write an exact number for people.
"""

from __future__ import annotations

from toolkit.quantity.display import (
    Reading,
    display_amount,
    display_byte_range,
    display_bytes,
    display_count,
    display_interval,
    display_money,
    display_number,
    display_seconds,
    display_share,
)
from toolkit.quantity.interval import Interval
from toolkit.quantity.mark import Mark, parse_mark
from toolkit.quantity.parse import exact_interval, exact_value, find_values, parse_value
from toolkit.quantity.units import UNITS
from toolkit.quantity.value import Bound, Dimension, Unit, Value

__all__ = [
    "UNITS",
    "Bound",
    "Dimension",
    "Interval",
    "Mark",
    "Reading",
    "Unit",
    "Value",
    "display_amount",
    "display_byte_range",
    "display_bytes",
    "display_count",
    "display_interval",
    "display_money",
    "display_number",
    "display_seconds",
    "display_share",
    "exact_interval",
    "exact_value",
    "find_values",
    "parse_mark",
    "parse_value",
]
