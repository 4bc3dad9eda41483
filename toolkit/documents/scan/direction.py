"""English words by which figures change, for patterns: what falls, what rises, and how fast something runs."""

from __future__ import annotations

from typing import Final

FALLING: Final = r"less|lower|smaller|fewer|reduc\w+|sav(?:es?|ed|ings?)|cuts?|decreas\w+|drop\w*"
RISING: Final = r"more|higher|larger|increas\w+"
PACE: Final = r"faster|slower|shorter|speed-?ups?|cheaper"
