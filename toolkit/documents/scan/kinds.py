"""Determines the quantity that a figure states, or that it is no figure of memory."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from toolkit.documents.scan import cues
from toolkit.documents.scan.around import Around
from toolkit.documents.scan.aspects import ASPECT, ASPECT_LABEL
from toolkit.documents.scan.capacity import has_card_beside, of_a_machine
from toolkit.documents.scan.data import labels_data, of_data
from toolkit.documents.scan.names import models_in
from toolkit.documents.scan.parameters import of_count
from toolkit.documents.scan.pieces import Kind
from toolkit.documents.scan.shares import of_ratio, of_share
from toolkit.documents.scan.unnamed import of_unnamed
from toolkit.quantity import Dimension, Value

_SMALLEST: Final = 1_000_000
"""Bytes under which an amount is no memory of a model, but that of a number: "4 bytes", "64 KB pages"."""

_LEAST_CARD: Final = 1_000_000_000
"""Bytes under which "within" speaks of an error, not of a card."""

_CLOSE: Final = 48
_TAIL: Final = 24
"""The characters before a figure that are searched for a lead."""

_EACH: Final = re.compile(r"[\s*_`]*(?:/\s?|per )(?:gpu|card|device)\b|\s?/\s?卡", re.IGNORECASE)
_AT: Final = re.compile(r"[0-9]\s?Gi?B @ ?~?\Z")
_TIMES: Final = re.compile(r"(?<![0-9.,=])[1-9][0-9]{0,3} ?[xX×] ?\Z")
_MOST_CARD: Final = 1_000_000_000_000
_NO_CARD: Final = re.compile(r"[\s*_`,-]*(?:DDR|NVMe|SSD|M\.2|HDD|SATA|[0-9] ?Gb|reduction|payload|of )", re.IGNORECASE)
_DEFINED: Final = re.compile(r"[\s*_`]*[=≈]\s*[(*_`]*(?:10|2|1[, .]?[0-9]{3}[, .])")
_DEFINES: Final = re.compile(r"\b1\s?[KMGT]i?B[\s*_`]*[=≈][^.;\n]{0,24}\Z")
"""Units that are defined: "1 GB = 10^9 bytes"."""

_SIZE_LABEL: Final = re.compile(
    r"\W*(?:(?:model |weights? |quant\w* |original |optimi[sz]ed |compressed |file )?size\b(?! of the data).{0,16}"
    r"|(?:tamaño|tamanho|taille|größe|размер|크기|サイズ|大小)(?: [^\d\W]{1,16}){0,2}(?:\[\d{1,2}\])?\W*)",
    re.IGNORECASE,
)
_FILE: Final = re.compile(
    r"(?:[0-9]b\b|gguf|safetensors|\bq[2-8](?:_[0-9k])?(?:_[sml])?\b|\b[bf]16\b"
    r"|[48]-?bit\b|\bmodels?)[\w.-]{0,24}[`*_]{0,3}\s?(?:\(|, {1,4})[~≈]?\s?\Z",
    re.IGNORECASE,
)
_FORM: Final = re.compile(
    r"\bgguf\b|(?<![A-Za-z])[it]?q[1-8]_[0-9a-z]|\b(?:b?f|fp|bf)16\b|\bnf4\b|\bmxfp4\b", re.IGNORECASE
)
_SENTENCE: Final = 120
_APPLE: Final = re.compile(
    r"\b(?:M[1-5](?: (?:Pro|Max|Ultra))?|Mac(?:Book)?(?: (?:Pro|Air|mini|Studio))?)[\s*_`(（:,—–-]{0,6}(?:with )?\Z"
)
_MACHINE: Final = re.compile(
    r"[\s*_`-]{0,4}(?:macs?|macbooks?|machines?|laptops?|workstations?|servers?|pcs?)\b", re.IGNORECASE
)
_USED_OF: Final = re.compile(r"\s*/\s*[0-9][0-9.,]*\s?[MG]i?B\b")
_OF: Final = re.compile(r"[0-9]\s?[MG]i?B\s*/\s*\Z")
_PROCESS: Final = re.compile(r"[0-9]\s+(?:C|G|C\+G|M\+C)\s.*\Z")
_TECHNIQUE: Final = re.compile(r"\bcheckpoint\w*|\boffload\w*|\bfus\w+|\A\W*\+", re.IGNORECASE)
_LABELLED: Final = re.compile(r"[^:：|\n]{1,40}[:：][\s*_`]*")
_SHORT: Final = 60
_NEEDS: Final = re.compile(
    r"\W*(?:needs?|requires?|required|requirements?|min(?:imum)?|recommended|uses?|used|peak|total)\W*", re.IGNORECASE
)


def quantity_of(value: Value, around: Around) -> str | None:
    """The quantity that a figure states, by name; None for what is no statement about memory."""
    if cues.is_rate(around.after):
        return None
    match value.unit.dimension:
        case Dimension.BYTES:
            return _of_bytes(value, around)
        case Dimension.COUNT | Dimension.NUMBER:
            return of_count(value, around)
        case Dimension.SHARE:
            return of_share(around)
        case Dimension.RATIO:
            return of_ratio(around)
        case _:
            return None


def _of_bytes(value: Value, around: Around) -> str | None:
    if _no_memory(value, around):
        return None
    if (reported := _reported(around)) is not None:
        return reported
    card = has_card_beside(around)
    if cues.says_enough(around.before, around.after):
        return "fits"
    if cues.says_fit(around.before) and (card or cues.nearest(around.before, around.after) != "disk"):
        return "fits"
    if card:
        return "gpu_memory"
    added = value.text.startswith("+") and around.kind is Kind.CELL
    if (added or cues.is_change(around.before, around.after)) and _speaks(around):
        return "change"
    if around.kind is Kind.CELL and (labelled := _of_cell(around)) is not None:
        return labelled
    told = _of_place(value, around) or _by_words(around) or _of_several(value, around)
    unit = value.unit.readings[0][1]
    return told or (of_unnamed(int(max(value.printed) * unit), around) if unit >= _SMALLEST else None)


def _of_place(value: Value, around: Around) -> str | None:
    """What an amount is by where it stands: in a column of machines, a list of what is stored, a heading."""
    if around.kind is Kind.CELL and (machine := of_a_machine(around)) is not None:
        return machine
    over = around.intro.rstrip().rpartition("\n")[2][-_SHORT:]
    if around.item and _LABELLED.fullmatch(around.before) and cues.component(over) == "disk":
        return cues.nearest(around.before, around.after) or "disk"
    if around.kind is not Kind.HEADING or not around.themed:
        return None
    size = max(value.printed) * value.unit.readings[0][1]
    return (cues.nearest(around.before, around.after) or "peak_memory") if size >= _LEAST_CARD else None


def _no_memory(value: Value, around: Around) -> bool:
    """Whether an amount is one of data, the definition of a unit, or too small to be memory of a model."""
    size = value.unit.readings[0][1]
    most = max(abs(number) for number in value.printed) * size
    if (most < _SMALLEST and size < _SMALLEST) or (cues.says_within(around.before) and most < _LEAST_CARD):
        return True
    if _DEFINES.search(around.before[-_CLOSE:]) or (value.printed == (Fraction(1),) and _DEFINED.match(around.after)):
        return True
    return of_data(around.before[-_CLOSE:], around.after[:_CLOSE])


def _of_several(value: Value, around: Around) -> str | None:
    """What an amount is that stands for each of several cards, or beside the name of a model's file."""
    if _MACHINE.match(around.after) or _APPLE.search(around.before[-_CLOSE:]):
        return "host_memory"
    if _FILE.search(around.before[-_CLOSE:]):
        return "weights"
    size = max(value.printed) * value.unit.readings[0][1]
    if not _LEAST_CARD <= size < _MOST_CARD or _NO_CARD.match(around.after):
        return None
    if _EACH.match(around.after) or _AT.search(around.before[-_TAIL:]):
        return "peak_memory"
    return "gpu_memory" if _TIMES.search(around.before[-_TAIL:]) else None


def _reported(around: Around) -> str | None:
    """What a figure is in the tables of `nvidia-smi`: "14230MiB / 24564MiB", and the memory of a process."""
    if around.kind is not Kind.CODE or cues.component(around.before[-_CLOSE:]) == "disk":
        return None
    if _USED_OF.match(around.after):
        return "peak_memory"
    if _OF.search(around.before[-_CLOSE:]):
        return "gpu_memory"
    return "peak_memory" if re.match(r"\s*\|\s*\Z", around.after) and _PROCESS.search(around.before) else None


def _of_cell(around: Around) -> str | None:
    """The quantity of a cell by its column, or by its row where the column says no more than memory."""
    column, row = cues.component(around.column), cues.component(around.row)
    if column is None and row is None and (_SIZE_LABEL.fullmatch(around.column) or _SIZE_LABEL.fullmatch(around.row)):
        return "weights"
    if labels_data(around.column) and column in {None, "disk"}:
        return column
    if column == "peak_memory" and (row == "disk" or _TECHNIQUE.search(around.row)):
        return column
    if column in {None, "peak_memory"} and row is not None:
        return row
    return column


def _by_words(around: Around) -> str | None:
    if around.kind is Kind.CELL and labels_data(around.column):
        return None
    near = cues.nearest(around.before[-120:], around.after[:60])
    alone = not around.before.rpartition("\n")[2].strip(" \t*_`=≈~:-")
    heading = cues.component(around.headings[0]) if around.headings else None
    if around.kind is Kind.CELL and near is None and cues.speaks_of_memory(around.lead):
        return "peak_memory"
    if alone and heading is not None and (heading != "peak_memory" or near is None):
        return heading
    if near is not None:
        return near
    if heading is not None:
        return heading
    if any(cues.speaks_of_memory(text) for text in (around.paragraph, around.column, *around.headings[:1])):
        return "peak_memory"
    if _listed(around):
        return "peak_memory"
    over = any(cues.speaks_of_memory(text) for text in (*around.headings, around.title))
    if over or around.themed or cues.speaks_of_memory(around.lead):
        named = over or cues.speaks_of_need(around.sentence) or around.kind is Kind.CELL
        return "peak_memory" if named else _of_a_form(around)
    return _of_a_form(around)


def _of_a_form(around: Around) -> str | None:
    """Whether a sentence speaks of a model or of a form of its weights, of which an amount is then the size."""
    sentence = around.before[-_SENTENCE:] + "|" + around.after[:_SENTENCE]
    return "weights" if cues.has_words(sentence) and (_FORM.search(sentence) or models_in(sentence)) else None


def _listed(around: Around) -> bool:
    """Whether an amount stands in a list or a table of what is needed."""
    if around.kind is Kind.CELL:
        need = _NEEDS.fullmatch(around.column) or ASPECT.fullmatch(around.column)
        return bool(need) or cues.speaks_of_memory(around.intro)
    if not around.item:
        return False
    return cues.speaks_of_memory(around.intro) or (around.themed and bool(ASPECT_LABEL.fullmatch(around.before)))


def _speaks(around: Around) -> bool:
    texts = (around.sentence, around.column, around.row, *around.headings[:1], around.title)
    return any(cues.speaks_of_memory(text) for text in texts) or cues.component(around.after[:_CLOSE]) == "host_memory"
