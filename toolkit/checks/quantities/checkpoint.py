"""What a model's published checkpoint is stored as: its format, or that it is not quantized."""

from __future__ import annotations

import re
from collections.abc import Mapping

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.quantities.memory_claim import NO_SCENARIO
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.facts.models import ModelFacts
from toolkit.quantity.interval import Interval

FORMATS: Mapping[str, str] = {
    "float32": "fp32", "fp32": "fp32", "float16": "fp16", "fp16": "fp16", "bfloat16": "bf16", "bf16": "bf16",
    "mxfp4": "mxfp4", "fp8": "fp8", "gptq": "gptq-int4", "awq": "awq-int4", "nf4": "nf4", "int8": "int8",
}  # fmt: skip
"""What documents and configs call a format, and what scenarios call it."""

PLAIN = frozenset({"fp32", "fp16", "bf16"})
_UNQUANTIZED = re.compile(r"\b(?:un|non-|not )quanti[sz]ed\b|\bfull[ -]precision\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]+[0-9]*")


def judge_checkpoint(case: Case) -> Outcome:
    """Judges a format that a document says a published checkpoint has."""
    said = _said(case.text)
    if said is None:
        return malformed("format of a checkpoint (MXFP4, BF16, unquantized ...)", case)
    claimed = Claimed(case.text)
    if case.situation is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIO, claimed)
    facts = case.situation.facts
    stored = published_format(facts)
    if stored is None:
        return Outcome(Verdict.UNCHECKED, f"how {facts.id} is stored is not recorded", claimed)
    how = "is quantized, as" if stored not in PLAIN else "is stored in"
    fact = f"the published checkpoint of {facts.id} {how} {stored.upper()}"
    evidence = Evidence(EvidenceKind.EXACT, Interval(None, None), facts=(fact,))
    holds = stored in PLAIN if said == "unquantized" else stored == said
    if holds:
        return Outcome(Verdict.AGREES, fact, claimed, (evidence,))
    return Outcome(Verdict.DISAGREES, fact, claimed, (evidence,), repair=f"say that it is stored in {stored.upper()}")


def published_format(facts: ModelFacts) -> str | None:
    """The format of a published checkpoint, as scenarios name it; that of its quantized part, if it has one."""
    if facts.quantization:
        return FORMATS.get(str(facts.quantization.get("quant_method", "")).casefold())
    return FORMATS.get((facts.checkpoint_dtype or "").casefold())


def _said(text: str) -> str | None:
    if _UNQUANTIZED.search(text):
        return "unquantized"
    found = (FORMATS.get(word.casefold()) for word in _WORD.findall(text))
    return next((name for name in found if name), None)
