"""Every finding code, by family."""

from __future__ import annotations

from toolkit.codes.claim import CLAIM_CODES
from toolkit.codes.code import Code
from toolkit.codes.document import DOCUMENT_CODES
from toolkit.codes.evidence import EVIDENCE_CODES
from toolkit.codes.spec import SPEC_CODES

CODES: dict[str, Code] = {entry.code: entry for entry in (*SPEC_CODES, *DOCUMENT_CODES, *EVIDENCE_CODES, *CLAIM_CODES)}

__all__ = ["CODES", "Code"]
