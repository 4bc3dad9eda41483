"""Why a wrong number is wrong: named hypotheses, of which the one that reproduces the printed number is reported."""

from toolkit.checks.why.hypothesis import Reproduction, Why
from toolkit.checks.why.registry import HYPOTHESES, explain

__all__ = ["HYPOTHESES", "Reproduction", "Why", "explain"]
