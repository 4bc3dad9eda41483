"""Parameter counts of models that the toolkit knows, and weights that are smaller than their bytes allow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Final

from toolkit.checks.judgement import Verdict
from toolkit.checks.unspecified.remark import Remark
from toolkit.documents.scan.claim import FoundClaim, Scanned
from toolkit.documents.scan.context import precisions_in
from toolkit.documents.scan.cues import component
from toolkit.documents.scan.names import models_in, size_in_name
from toolkit.documents.scan.parameters import labels_parameters
from toolkit.facts.models import ModelFacts, load_model
from toolkit.facts.names import UnknownName
from toolkit.quantity import Bound, Dimension, Value, display_bytes, display_count, display_number, parse_value

_PART_OF: Final = Fraction(1, 5)
"""Below this share of one copy of the weights, an amount is taken to be that of a part of the model."""

_BYTES: Final = {"fp32": Fraction(4), "fp16": Fraction(2), "bf16": Fraction(2)}
"""Bytes that every parameter takes at least; packed formats leave tensors out, so none is in the table."""

_PART: Final = re.compile(
    r"non-embedding|\bactiv\w+|\bencoder\b|\bdecoder\b|\bvision\b|\btext\b|\bembedding\w*|\bbackbone\b|\bper\b|\blayers?\b|\bheads?\b"
    r"|\bexperts?\b|\btrain\w*|\blora\b|\badapters?\b|\bteacher\b|\bstudent\b|\bdraft\b|\bfrozen\b|\bpruned\b|\bquanti\w+|\b[48]-bit\b",
    re.IGNORECASE,
)
_SPLIT: Final = re.compile(
    r"\boffload\w*|\bper (?:gpu|device|rank|layer)\b|\beach\b|\bshard\w*|\bfsdp\b|\bzero\b|\bdeepspeed\b|\bparallel\w*"
    r"|\blora\b|\bsav\w+|\badditional\b|\bextra\b|\bmore\b|\bless\b|\breduc\w+|(?<![a-z])kv(?![a-z])|\bactivation\w*|\bgradient\w*"
    r"|\boptimi\w+|\bdownload\w*|\bpruned\b|\bdraft\b|\d\s?[x×]|\bmulti\w*|\bgpus\b|\blayers?\b|\bembedding\w*"
    r"|\bencoder\b|\bvision\b|\bexperts?\b|\bactiv\w+|\badapter\w*|\bfree\w*|\bcpu\b",
    re.IGNORECASE,
)
_TOTAL: Final = re.compile(r"\btotal\b|\bparameter count\b", re.IGNORECASE)
_HAS: Final = re.compile(
    r"[\s*_`,:(=|–—-]*(?:(?:model|which|that|a|is|has|have|having|with|contains|counts|of|total"
    r"|parameter count|parameters?)[\s*_`:=(]+){0,4}",
    re.IGNORECASE,
)
_COMPONENT: Final = re.compile(
    r"(?:\band|[,&+、和]|\bbased on|\bbuilt (?:on|upon|from)|\bderived from|\bfrom)[\s*_`\[]*\Z", re.IGNORECASE
)
_FAMILIES: Final = re.compile(r"[A-Za-z)]\s?/\s?[A-Z]")
"""Labels that name several families: "BELLE(LLaMA/Bloom)"."""

_NAMED: Final = re.compile(r"[(（][*_`~≈ ]*\Z")
_SIZE: Final = re.compile(r"(?<![\w.])(?:\d{1,3}x)?\d{1,4}(?:\.\d{1,2})?[BM](?!\w)")
_CLOSE: Final = 80
_OPENING: Final = 1_000


def check_parameters(scanned: Scanned) -> Iterator[Remark]:
    """Totals of parameters said of one known model."""
    for claim in scanned.claims:
        if claim.quantity != "parameters" or claim.value is None or claim.value.bound is not Bound.POINT:
            continue
        if _PART.search(claim.before[-20:] + claim.after[:28]) or any(map(_PART.search, _labels(claim))):
            continue
        if _NAMED.search(claim.before) and not labels_parameters(claim.sentence):
            continue  # a size in brackets behind a name tells models apart, and rounds as names do
        known = _model(claim, scanned)
        facts = _facts(known) if known else None
        if facts is not None and facts.verified_params is not None:
            yield _counted(claim, claim.value, facts, facts.verified_params)


def _labels(claim: FoundClaim) -> tuple[str, str]:
    return claim.piece.row, claim.piece.column


def _counted(claim: FoundClaim, value: Value, facts: ModelFacts, count: int) -> Remark:
    known = facts.id
    shown = f"{known} has {display_count(count)} parameters"
    if _holds(value, count):
        return Remark(claim.start, claim.end, "parameters", Verdict.AGREES, shown)
    if facts.published_params is not None and _holds(value, facts.published_params):
        published = f"{display_count(facts.published_params)} are published"
        reason = f"{shown}; {published}{f': {facts.published_relation}' if facts.published_relation else ''}"
        return Remark(claim.start, claim.end, "parameters", Verdict.UNCHECKED, reason)
    step = _step(value)
    if any(abs(count - size * printed) < step * size for _, size in value.unit.readings for printed in value.printed):
        reason = f"{shown}: the digits are cut off, not rounded"
        return Remark(claim.start, claim.end, "parameters", Verdict.UNCHECKED, reason)
    named = size_in_name(known)
    size = parse_value(named, Dimension.COUNT) if named else None
    if size is not None and value.unit.dimension is Dimension.COUNT and value.printed[0] == size.printed[0]:
        return Remark(claim.start, claim.end, "parameters", Verdict.UNCHECKED, f"the size in its name; {shown}")
    repair = f"print {display_number(count)}"
    return Remark(claim.start, claim.end, "parameters", Verdict.DISAGREES, shown, repair)


def _holds(value: Value, count: int) -> bool:
    return any(count in interval for interval in value.readings().values())


def _step(value: Value) -> Fraction:
    """One unit of the last printed digit, in the unit as written; zero for what is hedged, which reaches far enough."""
    low, high = value.written.low, value.written.high
    return Fraction(0) if low is None or high is None or value.hedge else high - low


def _model(claim: FoundClaim, scanned: Scanned) -> str | None:
    """The one known model that a claim is about: of its row, of the words that lead to it, or of what is over it.

    What stands over it counts only where the claim says that it is a total or the parameter count.
    """
    piece = claim.piece
    if piece.row:
        return _only(piece.row)
    led = models_in(claim.before[-_CLOSE:])
    if led:
        between = claim.before[-_CLOSE:][led[-1].end :]
        if _COMPONENT.search(claim.before[: len(claim.before[:-_CLOSE]) + led[-1].start]):
            return None  # one of the parts that the counted model is made of
        return led[-1].id if len({model.id for model in led}) == 1 and _HAS.fullmatch(between) else None
    if models_in(claim.sentence) or not _TOTAL.search(claim.before[-32:] + claim.after[:16]):
        return None
    for text in (piece.lead[-200:], *piece.headings):
        if models_in(text):
            return _only(text)
        if _SIZE.search(text):
            return None  # it is of some other model
    return _subject(scanned)


def _only(text: str) -> str | None:
    ids = {model.id for model in models_in(text)}
    named = next(iter(ids)) if len(ids) == 1 else None
    return named if named and any(map(str.isdigit, named)) and not _FAMILIES.search(text) else None


def _subject(scanned: Scanned) -> str | None:
    """The one model that the opening of a document names."""
    return _only(scanned.meant.text[scanned.meant.body :][:_OPENING])


@lru_cache(maxsize=256)
def _facts(model: str) -> ModelFacts | None:
    facts = load_model(model)
    return None if isinstance(facts, UnknownName) else facts


def check_weights(scanned: Scanned) -> Iterator[Remark]:
    """Memory in a stated precision that is less than one copy of the weights takes in it."""
    for claim in scanned.claims:
        if claim.quantity not in {"weights", "peak_memory"} or claim.value is None or claim.high is None:
            continue
        texts = (claim.sentence, claim.piece.row, claim.piece.column)
        said = {precision for text in texts for precision in precisions_in(text)}
        if len(said) != 1 or any(_SPLIT.search(text) for text in texts) or not any(map(component, texts)):
            continue
        named = {model.id or model.name for text in texts for model in models_in(text)}
        if len(named) == 1:
            remark = _least(claim, claim.value, next(iter(named)), next(iter(said)))
            if remark is not None:
                yield remark


def _least(claim: FoundClaim, value: Value, name: str, precision: str) -> Remark | None:
    facts = _facts(name) if "/" in name else None
    each, count = _BYTES.get(precision), facts.verified_params if facts else None
    if each is None or count is None or value.written.high is None:
        return None
    least = count * each
    if value.written.high * value.unit.readings[-1][1] < least * _PART_OF:
        return None  # so little is a part of it, not the whole
    if max(interval.high for interval in value.readings().values() if interval.high is not None) >= least:
        return None
    reason = (
        f"{display_count(count)} parameters of {name} at {each} bytes each take"
        f" {display_bytes(least, 'decimal')} ({display_bytes(least, 'binary')}) by themselves"
    )
    return Remark(
        claim.start,
        claim.end,
        claim.quantity,
        Verdict.DISAGREES,
        reason,
        f"print at least {display_bytes(least, 'decimal')}",
    )
