"""Codes of the claim family: what it means that a claim of one quantity carries a mark."""

from __future__ import annotations

from toolkit.codes.claim_counts import COUNT_CODES
from toolkit.codes.claim_memory import MEMORY_CODES
from toolkit.codes.claim_runs import RUN_CODES
from toolkit.codes.code import Code

CLAIM_CODES: tuple[Code, ...] = (*MEMORY_CODES, *COUNT_CODES, *RUN_CODES)
