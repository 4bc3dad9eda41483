"""Codes of the spec family."""

from __future__ import annotations

from toolkit.codes.code import Code

SPEC_CODES: tuple[Code, ...] = ()
