"""The exceptions by which formulas refuse a setting: a claim that needs it is unchecked, for the reason they give."""

from __future__ import annotations

from toolkit.memory.architecture import UnsupportedModel
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.quantization import UnsupportedStorage

REFUSALS = (UnsupportedModel, UnsupportedStorage, UnsupportedRow)
