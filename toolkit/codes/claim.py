"""Codes of the claim family."""

from __future__ import annotations

from toolkit.codes.code import Code

CLAIM_CODES: tuple[Code, ...] = ()
