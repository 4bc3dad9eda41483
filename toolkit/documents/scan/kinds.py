"""What a figure is a figure of, or that it is none of memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from toolkit.documents.scan import cues
from toolkit.documents.scan.names import gpus_in
from toolkit.documents.scan.pieces import Kind
from toolkit.quantity import Dimension, Value

_SMALLEST: Final = 1_000_000
"""Bytes under which an amount is no memory of a model, but that of a number: "4 bytes", "64 KB pages"."""

_FEWEST: Final = 1_000
_CLOSE: Final = 48
_NEAR: Final = 28
_PARAMETERS_AFTER: Final = re.compile(
    r"[\s*_`)-]{0,6}(?:(?:total|trainable|active|activated|learnable|model|million|billion|lora|adapter|non-embedding)[\s-]+)"
    r"{0,3}(?:param(?:eter)?s?|parametern?|paramètres|parámetros|параметр\w*|参数|パラメータ|파라미터)(?![A-Za-z])(?!\s?[×*x]\s)",
    re.IGNORECASE,
)
_PARAMETERS_BEFORE: Final = re.compile(
    r"(?:\bparam(?:eter)?s?(?: counts?| size)?(?: (?:in total|that train\w*|trained|overall))?|参数量?"
    r"|パラメータ数?)(?:\s?\([^()]{1,20}\))?"
    r"[\s*_`]*(?:[:=|≈~]|\bis\b|\bof\b)[\s*_`~≈(]*\Z",
    re.IGNORECASE,
)
_PARAMETERS_LABEL: Final = re.compile(r"\bparam(?:eter)?s?\b|参数|パラメータ", re.IGNORECASE)
_TRAINABLE: Final = re.compile(
    r"(?<!non-)\btrainable\b|\blora\b|\badapters?\b|\blearnable\b|\btrained\b", re.IGNORECASE
)
_TRAIN: Final = re.compile(r"\btrain\w*\b|\blora\b|\badapters?\b", re.IGNORECASE)
_TOTAL: Final = re.compile(r"[\s*_`]*total\b", re.IGNORECASE)
_OF_PARAMETERS: Final = re.compile(
    r"[\s*_`]*(?:\([^()]{0,40}\)\s?)?(?:of\s(?:the\s|all\s|its\s|total\s|model\s|original\s|base\s)*(?:param\w*|weights)"
    r"|of [\d.,]+ ?[BM]\b|trainable|param\w*)",
    re.IGNORECASE,
)
_SIZED: Final = re.compile(r"[0-9] ?[GMT]i?B\b|\bparam(?:eter)?s?\b", re.IGNORECASE)
_SMALLER: Final = re.compile(r"[\s*_`]*smaller\b", re.IGNORECASE)
_ELSE: Final = re.compile(
    r"[\s*_`]*(?:\w+ )?(?:accuracy|quality|perplexity|loss|degradation|performance"
    r"|throughput|faster|slower|speed\w*|cheaper|cost|time)\b",
    re.IGNORECASE,
)
_SIZE_CHANGE: Final = re.compile(
    r"[\s*_`]*(?:smaller|lower|less|fewer|reduc\w+)[^.,;]{0,24}\b(?:v?ram|memory|footprint)\b", re.IGNORECASE
)
_TOKENS: Final = re.compile(
    r"[\s*_`-]{0,3}(?:tokens?|examples?|samples?|rows|steps|downloads|words|users|images|times)\b", re.IGNORECASE
)


_LEADS_TO: Final = re.compile(
    r"\+?[\s*_`(\[:,/–-]*(?:with|has|have|having|w/|of|at|from)?\s?(?:\d{1,2}[\d.-]*\s?GB\s?(?:/|or)\s?)?[\s*_`(\[]*(?:its\s)?"
)
"""What may stand between the name of a card and its memory."""

_BESIDE: Final = re.compile(
    r"\bparam(?:eter)?s?\b[^.;]{0,24}(?:\d\S{0,12}|million|billion)[*_\s]*\((?:or\s|i\.e\.\s)?\Z"
    r"|\bparam(?:eter)?s?\b[^.;\d]{0,24}\(\Z|\bparam(?:eter)?s?\b[^.;\d]{0,24}\(\d[\d.]*[MB]\s?/\s?\Z",
    re.IGNORECASE,
)
_LISTED_AFTER: Final = re.compile(r"\s?[/,、]\s?[0-9]")
_LISTED_BEFORE: Final = re.compile(r"[0-9][BM]\s?[/,、]\s?\Z")
_MODEL_SIZE: Final = re.compile(r"\W*(?:base )?model(?: size)?\W*", re.IGNORECASE)
_ARROW_BEFORE: Final = re.compile(r"[0-9][MB]\s?(?:→|->|=>)\s?\Z")
_ARROW_AFTER: Final = re.compile(r"\s?(?:→|->|=>)\s?~?[0-9]{1,4}(?:\.[0-9]+)?[MB]\b")
_MODEL: Final = re.compile(r"\bmodels?\b|\bparam(?:eter)?s?\b|\bsize\b|\bsmaller\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Around:
    """The words around a figure: those of its sentence on both sides, its labels, headings and what led to it.

    `paragraph` is what stands before its sentence in its paragraph, `lead` the paragraph before; `themed` says that
    the document speaks of memory more than in passing.
    """

    before: str
    after: str
    row: str = ""
    column: str = ""
    headings: tuple[str, ...] = ()
    lead: str = ""
    title: str = ""
    paragraph: str = ""
    themed: bool = False
    kind: Kind = Kind.PROSE

    @property
    def sentence(self) -> str:
        """The sentence without the figure."""
        return f"{self.before} {self.after}"


def quantity_of(value: Value, around: Around) -> str | None:
    """The quantity that a figure states, by name; None for what is no statement about memory."""
    if cues.is_rate(around.after):
        return None
    match value.unit.dimension:
        case Dimension.BYTES:
            return _of_bytes(value, around)
        case Dimension.COUNT | Dimension.NUMBER:
            return _of_count(value, around)
        case Dimension.SHARE:
            return _of_share(around)
        case Dimension.RATIO:
            return "change" if _SIZE_CHANGE.match(around.after) else None
        case _:
            return None


def _of_bytes(value: Value, around: Around) -> str | None:
    size = value.unit.readings[0][1]
    if max(abs(number) for number in value.printed) * size < _SMALLEST and size < _SMALLEST:
        return None
    card = _card_beside(around)
    if cues.says_fit(around.before) and (card or cues.nearest(around.before, around.after) != "disk"):
        return "fits"
    if card:
        return "gpu_memory"
    added = value.text.startswith("+") and around.kind is Kind.CELL
    if (added or cues.is_change(around.before, around.after)) and _speaks(around):
        return "change"
    if around.kind is Kind.CELL and (labelled := _of_cell(around)) is not None:
        return labelled
    return _by_words(around)


def _card_beside(around: Around) -> bool:
    """Whether the amount is one that a card has: "RTX 4090 (24 GB)", "24 GB GPU", the row of a card under "VRAM"."""
    if cues.of_a_card(around.after):
        return True
    before = around.before[-_CLOSE:]
    named = gpus_in(before)
    if named and _LEADS_TO.fullmatch(before[named[-1].end :]):
        return True
    following = gpus_in(around.after[:_CLOSE])
    if following and re.fullmatch(r"[\s*_`-]*(?:nvidia\s)?", around.after[: following[0].start], re.IGNORECASE):
        return True
    if cues.is_labelled_memory(around.before) and gpus_in(around.lead[-120:] + " " + around.before):
        return True
    if re.match(r"[\s*_`]*\(", around.after) and (inside := gpus_in(around.after[:_CLOSE])) and inside[0].start < 6:
        return True
    if cues.is_had(around.after) and cues.speaks_of_memory(around.sentence):
        return True
    listed = around.kind is Kind.CELL and bool(gpus_in(around.row)) and not cues.says_used(around.column)
    return listed and cues.component(around.column) in {"peak_memory", "host_memory"}


def _of_cell(around: Around) -> str | None:
    """The quantity of a cell by its column, or by its row where the column says no more than memory."""
    column, row = cues.component(around.column), cues.component(around.row)
    if column in {None, "peak_memory"} and row is not None:
        return row
    return column


def _by_words(around: Around) -> str | None:
    near = cues.nearest(around.before[-120:], around.after[:60])
    alone = not around.before.rpartition("\n")[2].strip(" \t*_`=≈~:-")
    heading = cues.component(around.headings[0]) if around.headings else None
    if around.kind is Kind.CELL and near is None and cues.speaks_of_memory(around.lead):
        return "peak_memory"
    if alone and heading is not None:
        return heading
    if near is not None and near != "peak_memory":
        return near
    if near is not None:
        return near
    if heading is not None:
        return heading
    if any(cues.speaks_of_memory(text) for text in (around.paragraph, around.column, *around.headings[:1])):
        return "peak_memory"
    above = around.themed or any(cues.speaks_of_memory(text) for text in (*around.headings, around.lead, around.title))
    return "peak_memory" if above and (cues.speaks_of_need(around.sentence) or around.kind is Kind.CELL) else None


def _of_count(value: Value, around: Around) -> str | None:
    if max(value.printed) * value.unit.readings[0][1] < _FEWEST or _TOKENS.match(around.after):
        return None
    if around.kind is Kind.CELL and (_LISTED_AFTER.match(around.after) or _LISTED_BEFORE.search(around.before)):
        return None  # the sizes that a family comes in
    cell = around.kind is Kind.CELL and bool(_PARAMETERS_LABEL.search(around.column))
    sized = value.unit.dimension is Dimension.COUNT and _MODEL_SIZE.fullmatch(around.row)
    row = around.kind is Kind.CELL and bool(_PARAMETERS_LABEL.search(around.row) or sized)
    follows = _PARAMETERS_AFTER.match(around.after)
    leads = _PARAMETERS_BEFORE.search(around.before[-_CLOSE:])
    total = _TOTAL.match(around.after) and _PARAMETERS_LABEL.search(around.before)
    beside = value.unit.dimension is Dimension.COUNT and _BESIDE.search(around.before[-_CLOSE:])
    changes = value.unit.dimension is Dimension.COUNT and _sizes_change(around)
    if not (cell or row or follows or leads or total or beside or changes):
        return None
    if total or changes or (beside and "/" in beside.group()):
        return "parameters"
    near = (around.column if cell else around.row) if cell or row else ""
    said = near or (follows.group() if follows else "") + around.before[-_NEAR:]
    return "trainable_parameters" if _TRAINABLE.search(said) else "parameters"


def _sizes_change(around: Around) -> bool:
    """Whether a count is an end of "34B → 13B", said of models."""
    arrow = _ARROW_BEFORE.search(around.before[-_CLOSE:]) or _ARROW_AFTER.match(around.after)
    return arrow is not None and _MODEL.search(around.sentence) is not None


def _of_share(around: Around) -> str | None:
    labels = f"{around.column} {around.row}"
    if _OF_PARAMETERS.match(around.after) and not cues.speaks_of_memory(around.after[:24]):
        return "trainable_share"
    if around.kind is Kind.CELL and cues.says_change(around.column) and cues.speaks_of_memory(labels):
        return "change"
    if (
        around.before.endswith("(")
        and _TRAIN.search(around.before[-_CLOSE:])
        and _PARAMETERS_LABEL.search(around.before)
    ):
        return "trainable_share"
    if _TRAINABLE.search(around.before[-2 * _CLOSE :]) and _PARAMETERS_LABEL.search(around.before[-2 * _CLOSE :]):
        return "trainable_share"
    near = around.before[-_CLOSE:] + around.after[:_CLOSE]
    if not cues.says_change(near) or _ELSE.match(around.after):
        return None
    sized = _SIZED.search(near) or _SMALLER.match(around.after)
    return "change" if sized or cues.speaks_of_memory(near) else None


def _speaks(around: Around) -> bool:
    texts = (around.sentence, around.column, around.row, *around.headings[:1], around.title)
    return any(cues.speaks_of_memory(text) for text in texts) or cues.component(around.after[:_CLOSE]) == "host_memory"
