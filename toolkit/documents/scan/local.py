"""Amounts as other languages and habits write them, brought to one form: "14,5 Go", "24G 显存", "70 亿参数", "8x80GB".

A comma is taken for a decimal point only in a document that writes none of its amounts with a point, and a bare "G"
for gigabytes only beside words of memory or the name of a card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from toolkit.documents.scan.multiples import Edit, multiples
from toolkit.documents.scan.names import gpu_spans

_UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {"Ko": "KB", "Mo": "MB", "Go": "GB", "To": "TB", "Gio": "GiB", "Mio": "MiB"}
    | {"КБ": "KB", "МБ": "MB", "ГБ": "GB", "ТБ": "TB", "Мб": "MB", "Гб": "GB", "Тб": "TB"}
    | {"гигабайт": "GB", "Gigabyte": "GB", "Megabyte": "MB", "GByte": "GB", "GBytes": "GB", "MByte": "MB"}
    | {"gigs": "GB", "gig": "GB", "Gigs": "GB", "Gi": "GiB", "Mi": "MiB", "гигабайта": "GB", "gigaoctets": "GB"}
)
_SCALES: Final[Mapping[str, str]] = MappingProxyType(
    {"Milliarden": "B", "Mrd.": "B", "Mrd": "B", "milliards": "B", "milliard": "B", "mil millones": "B"}
    | {"bilhões": "B", "bilhão": "B", "миллиардов": "B", "миллиарда": "B", "млрд": "B", "billions": "B"}
    | {"Millionen": "M", "Mio.": "M", "millones": "M", "milhões": "M", "миллионов": "M", "млн": "M", "millions": "M"}
)
_SPACES: Final = "[ \u00a0\u202f]?"
_UNIT: Final = re.compile(rf"(?<=[0-9])({_SPACES})({'|'.join(sorted(_UNITS, key=len, reverse=True))})(?![\w-])")
_SCALE: Final = re.compile(
    rf"(?<=[0-9])({_SPACES}(?:{'|'.join(sorted(map(re.escape, _SCALES), key=len, reverse=True))}))(?![A-Za-z])"
    r"(?: (?:de |d['’]|di )?)?(?=\s?(?:param|Param|parâm|parám|парам|trainier|entrena|entraîn))"
)
_HUNDRED_MILLIONS: Final = re.compile(r"(?<![0-9.,])([0-9]{1,5}(?:\.[0-9]{1,4})?)( ?)([亿億万])(?![元美人条个亿])")
_COUNTED: Final = re.compile(r"参数|參數|パラメータ|パラメーター|モデル")
_POINTED: Final = re.compile(rf"[0-9]\.[0-9]{{1,2}}{_SPACES}(?:[GMT]i?[Bo]|ГБ|Гб|МБ)(?![A-Za-z])")
_COMMA: Final = re.compile(
    rf"(?<![0-9.,])[0-9]{{1,4}}(,)[0-9]{{1,2}}"
    rf"(?=(?:{_SPACES}|-)(?:[GMT]i?[Bo](?![A-Za-z])|ГБ|Гб|МБ|%|Mrd|Mio|Milli[ao]rd|[GMT]iga|[-–] ?[0-9]+,[0-9]+ ?[GM]))"
)
_MULTIPLIED: Final = re.compile(r"(?<![A-Za-z0-9])[0-9]{1,3}[xX×]()(?=[0-9]{1,4}(?:\.[0-9])? ?[GM]i?B(?![A-Za-z0-9]))")
_SHARED: Final = re.compile(
    r"(?<![A-Za-z0-9_./-])[0-9]{1,3}(?:\.[0-9])?()"
    r"(?=(?: ?/ ?(?:[0-9]{1,3}(?:\.[0-9])? ?/ ?){0,3}| or )[0-9]{1,3}(?:\.[0-9])? ?([GM]i?B)(?![A-Za-z0-9/]))"
)
_RANGE: Final = re.compile(
    rf"(?<=[0-9])({_SPACES}(?:‑|bis|à|hasta|até|до|至|到|から){_SPACES})(?=[0-9]{{1,4}}(?:[.,][0-9])?{_SPACES}[GM]i?[Bo]?(?![A-Za-z]))"
)
_TRAINABLE: Final = re.compile(r"\btrainable ?%:\s?[0-9]{1,3}\.[0-9]{1,8}()(?![0-9.%])")
_HYPHENED: Final = re.compile(r"(?<=[0-9A-Za-z])-(?=[0-9]{1,3}(?:GB?|GiB)(?![\w-]|\.[a-z]))")
_CARD: Final = 24
"""How long a card's name may be before its memory: "A100-SXM4-80GB"."""

_BARE: Final = re.compile(
    r"(?<![A-Za-z0-9_.,+-])[0-9]{1,5}(?:\.[0-9]{1,2})? ?([GgM](?![A-Za-z0-9_/-])|[GM]b(?![A-Za-z0-9_/])"
    r"|[GgT](?= ?(?:[DV]?RAM|SSD|NVMe|内存|硬盘|显存)(?![A-Za-z])))"
    r"(?! ?(?:tokens?|param|样本|数据|语料|网络|network|corpus|data|text))"
)
_MEMORY: Final = re.compile(
    r"v-?ram|显存|顯存|内存|メモリ|메모리|gpu|显卡|memory|\bcards?\b|(?<![a-z])mem(?![a-z])|(?<![a-z])ram(?![a-z])|占用"
    r"|disk|\b[ds]d?ram\b|file size|磁盘|硬盘|文件大小|模型大小",
    re.IGNORECASE,
)
_LIST: Final = re.compile(r"(?:,? ?(?:and |or )?[0-9]{1,4}(?:\.[0-9]{1,2})? ?G(?![A-Za-z0-9])){1,5}")
"""More amounts of a list, behind which its words stand: "4.5G, 7.5G, and 6.0G free RAM"."""

_MEGABYTES: Final = re.compile(r"v-?ram|显存|显存占用|memory|(?<![a-z])mem(?![a-z])|占用", re.IGNORECASE)
_BEFORE: Final = 60
_AFTER: Final = 16
_LETTERS: Final = 3
"""Digits from which a bare "M" behind a word of memory means megabytes: "VRAM 7823M"."""


def local_edits(text: str) -> list[Edit]:
    """The edits that bring a text to one form, in order and without overlap."""
    hyphens = [Edit(*found.span(), " ") for found in _HYPHENED.finditer(text) if _names_card(text, found.start())]
    text = _HYPHENED.sub(lambda found: " " if _names_card(text, found.start()) else "-", text) if hyphens else text
    edits = hyphens + [Edit(*found.span(2), _UNITS[found[2]]) for found in _UNIT.finditer(text)]
    edits += [Edit(*found.span(1), _SCALES[found[1].lstrip(" \u00a0\u202f")]) for found in _SCALE.finditer(text)]
    edits += [Edit(found.start(1), found.end(1), " ") for found in _MULTIPLIED.finditer(text)]
    edits += [Edit(found.start(1), found.end(1), found[2]) for found in _SHARED.finditer(text)]
    edits += [Edit(*found.span(1), "–") for found in _RANGE.finditer(text)]
    edits += [Edit(found.start(1), found.end(1), "%") for found in _TRAINABLE.finditer(text)]
    edits += _bare(text)
    edits += multiples(text)
    if not text.isascii():
        edits += _hundred_millions(text)
    pointed = _POINTED.search(text) is not None
    commas = _COMMA.finditer(text)
    edits += [Edit(*found.span(1), ".") for found in commas if not pointed or found.group().startswith("0,")]
    return _apart(sorted(edits, key=lambda edit: (edit.start, edit.end)))


def _apart(edits: list[Edit]) -> list[Edit]:
    kept: list[Edit] = []
    for edit in edits:
        if not kept or edit.start >= kept[-1].end:
            kept.append(edit)
    return kept


def _bare(text: str) -> Iterator[Edit]:
    """The letter of an amount without its "B", where words of memory or a card stand by it in its line."""
    for found in _BARE.finditer(text):
        low = max(0, found.start() - _BEFORE, text.rfind("\n", max(0, found.start() - _BEFORE), found.start()))
        before = text[low : found.start()]
        listed = _LIST.match(text, found.end())
        end = listed.end() if listed else found.end()
        after = text[end : end + _AFTER].partition("\n")[0]
        if found[1] == "M" and (len(found.group()) <= _LETTERS or not _MEGABYTES.search(before[-_AFTER:])):
            continue
        if _MEMORY.search(before) or _MEMORY.search(after) or _beside_card(before, after):
            yield Edit(found.start(1), found.end(1), found[1][0].upper() + "B")


def _names_card(text: str, end: int) -> bool:
    """Whether the name of a card ends at an offset: "A100" of "A100-80GB"."""
    low = max(0, end - _CARD)
    return any(low + stop == end for _, stop in gpu_spans(text[low:end]))


def _beside_card(before: str, after: str) -> bool:
    ends = [end for _, end in gpu_spans(before)]
    if ends and before[ends[-1] :].strip("s (*_`:（") == "":
        return True
    starts = [start for start, _ in gpu_spans(after)]
    return bool(starts) and after[: starts[0]].strip() == ""


def _hundred_millions(text: str) -> Iterator[Edit]:
    """Counts of parameters in the units of Chinese and Japanese."""
    for found in _HUNDRED_MILLIONS.finditer(text):
        near = text[max(0, found.start() - _AFTER) : found.end() + _AFTER]
        if not _COUNTED.search(near):
            continue
        number = Fraction(found[1]) / (100 if found[3] == "万" else 10)
        shown = f"{float(number):.6f}".rstrip("0").rstrip(".")
        yield Edit(found.start(), found.end(), f"{shown}{'M' if found[3] == '万' else 'B'}")
