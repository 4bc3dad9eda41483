"""The memory that a document gives a GPU: "RTX 4080 (12 GB)"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Final

from toolkit.checks.judgement import Verdict
from toolkit.checks.unspecified.remark import Remark
from toolkit.documents.scan.claim import FoundClaim, Scanned
from toolkit.documents.scan.names import NamedGpu, gpus_in
from toolkit.documents.scan.pieces import Kind
from toolkit.facts.gpu import Gpu, GpuVariants
from toolkit.facts.gpu_table import GIB, gpus
from toolkit.facts.gpus import find_gpu
from toolkit.quantity import Bound, Dimension

_BESIDE: Final = re.compile(r"[\s*_`]*(?:(?i:gpus?|cards?)\s(?=with|has|have))?(?:\(|,|-|/|:|with|has|have)?[\s*_`]*\Z")
_OTHERS: Final = re.compile(r"[\s*_`]*(?:of\s)?(?:(?:system|cpu|host)\s)?ram\b", re.IGNORECASE)
"""Words by which an amount may be main memory: "an A100 with 32 GB of RAM"."""

_SEVERAL: Final = re.compile(
    r"\b(?:\d{1,3}\s?[x×]|[x×]\s?\d{1,3}|two|three|four|eight|dual|multi\w*"
    r"|pair|total|combined|each|\d{1,2} (?:gpus?|cards?)|laptop|mobile|notebook|max-q|modded|modified|mig|slice|vgpu"
    r"|custom|free|available|usable|left)\b|\d\s?[x×]\s",
    re.IGNORECASE,
)
_SHARED: Final = re.compile(r"\b(?:split|across|used|uses|using|budget|cap|limit\w*)\b|[\s\w][+&]\s", re.IGNORECASE)
"""Words by which an amount beside a card may be what is used of it, or the memory of several cards."""

_CAPACITY: Final = re.compile(
    r"\W*(?:gpu )?(?:v-?ram|memory|mem|gpu ram|capacity)(?: size| capacity)?\W*(?:gi?b)?\W*", re.IGNORECASE
)
_LIST: Final = re.compile(r"[\s*_`]*\(([^()\n]{2,120})\)")
_COMMAS: Final = re.compile(r"(?:[\s,/]|\bor\b|\band\b)*")
_AT_LEAST: Final = re.compile(r"\b(?:least|min\w*|more|larger|from|above|over)\b|[>≥]", re.IGNORECASE)
_TAIL: Final = re.compile(
    r"[\s*_`]*(?:of\s)?(?:v?ram|gpu memory|memory|gddr\w*|hbm\w*|gpus?|cards?)?[\s*_`]*"
    r"(?:\)|,|\||;|\.|:|—|–|-\s|\Z|\n|and\b|or\b)",
    re.IGNORECASE,
)


def check_cards(scanned: Scanned) -> Iterator[Remark]:
    """Amounts written beside the name of one card, and cells under "VRAM" in the row of one."""
    for claim in scanned.claims:
        if claim.quantity not in {"gpu_memory", "fits", "peak_memory"} or not _plain_size(claim):
            continue
        if (listed := _LIST.match(claim.after)) and not _AT_LEAST.search(claim.before):
            yield from _listed(claim, listed[1])
            continue
        named = _card(claim)
        if named is not None and not _SEVERAL.search(claim.sentence + " " + claim.piece.row):
            remark = _judged(claim, named.card)
            if remark.verdict is not Verdict.DISAGREES or not _SHARED.search(claim.sentence + " " + claim.piece.row):
                yield remark


def _listed(claim: FoundClaim, text: str) -> Iterator[Remark]:
    """A size before the names of the cards that have it: "16 GB (T4, V100)"."""
    named = gpus_in(text)
    rest = "".join(text[one.end : other.start] for one, other in pairwise(named))
    if not named or named[0].start or named[-1].end != len(text.rstrip()) or not _COMMAS.fullmatch(rest):
        return
    remarks = [_judged(claim, one.card) for one in named]
    wrong = [remark for remark in remarks if remark.verdict is Verdict.DISAGREES]
    if not wrong:
        yield remarks[0]
        return
    assert claim.value is not None, "asked only of figures"
    reason = "; ".join(remark.reason for remark in wrong)
    yield replace(wrong[0], reason=reason, repair=f"name cards with {claim.value.text} alone, or say 'at least'")


def _plain_size(claim: FoundClaim) -> bool:
    """Whether the figure is one bare size, one that cards are sold with."""
    value = claim.value
    if value is None or len(value.printed) != 1 or value.bound is not Bound.POINT or value.hedge is not None:
        return False
    if value.unit.dimension is not Dimension.BYTES:
        return False
    return value.unit.readings[-1][1] * value.printed[0] in _sizes()


def _card(claim: FoundClaim) -> NamedGpu | None:
    before, after = claim.before, claim.after
    named = gpus_in(before[-48:])
    if named and _BESIDE.fullmatch(before[-48:][named[-1].end :]):
        alone = len(named) == 1 or not re.search(r"(?:/|\bor\b|\band\b)\s*\Z", before[-48:][: named[-1].start])
        had = before[-48:][named[-1].end :].rstrip(" *_`").endswith(("with", "has", "have")) and _OTHERS.match(after)
        return named[-1] if alone and not had and _TAIL.match(after) else None
    row = gpus_in(claim.piece.row)
    if (
        claim.piece.kind is Kind.CELL
        and len(row) == 1
        and _CAPACITY.fullmatch(claim.piece.column)
        and not before.strip(" *`_")
    ):
        return row[0]
    return None


def _judged(claim: FoundClaim, card: Gpu | GpuVariants) -> Remark:
    assert claim.value is not None, "asked only of figures"
    size = claim.value.unit.readings[-1][1] * claim.value.printed[0]
    sold = sorted({amount // GIB for gpu in card.members for amount in gpu.sold_as})
    shown = " or ".join(f"{amount} GB" for amount in sorted({gpu.marketing_bytes // GIB for gpu in card.members}))
    if size / GIB in sold:
        return Remark(claim.start, claim.end, claim.quantity, Verdict.AGREES, f"{card.name} is sold with {shown}")
    if any(f"with {size // GIB} GB exist" in (gpu.note or "") for gpu in card.members):
        said = next(gpu.note for gpu in card.members if gpu.note)
        return Remark(claim.start, claim.end, claim.quantity, Verdict.UNCHECKED, said)
    laptop = find_gpu(f"{card.name} Laptop GPU")
    notes = "".join(f"; {note.rstrip('.')}" for note in dict.fromkeys(gpu.note for gpu in card.members) if note)
    notes += (
        f"; {laptop.name} has {size // GIB} GB" if isinstance(laptop, Gpu) and laptop.marketing_bytes == size else ""
    )
    reason = f"{card.name} is sold with {shown}{notes}"
    return Remark(claim.start, claim.end, claim.quantity, Verdict.DISAGREES, reason, f"print {shown}")


@cache
def _sizes() -> frozenset[int]:
    return frozenset(size for gpu in gpus() for size in gpu.sold_as)
