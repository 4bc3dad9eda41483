"""Determines the quantity of a figure by the words nearest to it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from toolkit.documents.scan.components import COMPONENTS
from toolkit.documents.scan.direction import FALLING, RISING

_FLAGS: Final = re.IGNORECASE | re.ASCII
"""Words of Latin letters end where other scripts begin: "VRAM이", "24GBのGPU"."""

_KEPT: Final = 4096
"""The size of caches: headings, labels and leads are looked at for every figure."""

_WORDS: Final = re.compile(r"[^\W\d_]{3}|[A-Za-z][0-9]|[\u3040-\uffff]|[Kk]/?[Vv]")
"""Letters enough for any of the cues: a text without them, of figures and units alone, is not searched."""

_CUE: Final = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in COMPONENTS.items()), _FLAGS)
_MEMORY: Final = re.compile(COMPONENTS["peak_memory"], _FLAGS)
_AT_ONCE: Final = re.compile(
    r"[\s*_`]*(?:of|for|as|in|de|d['’]|di|für|pour|para|的|の)?\s?(?:the\s|den\s|les?\s|la\s|free\s|available\s"
    r"|extra\s|additional\s)?",
    _FLAGS,
)
_TAKES: Final = re.compile(r"model", re.IGNORECASE)
_OWNED: Final = re.compile(r"[0-9]\s?[KMGT]i?B[\s*_`]*(?:of\s|de\s|d['’]|の|的)?(?:[\w-]+\s)?\Z")
_CLAUSE: Final = re.compile(r"[,;，。、；]")
_OWNER: Final = 32
_TAIL: Final = 24
_LATER: Final = 12
_ELSEWHERE: Final = 40
"""The extra distance of a word that follows the figure, or that belongs to another amount or clause."""

_NEED: Final = re.compile(
    r"\b(?:needs?|requires?|required|takes?|uses?|used|using|adds?|consum\w+|occup\w+|fits?|loads?|loaded|runs?|oom"
    r"|gpus?|cards?|recommend\w*|minimum|tight|comfortabl\w*|plenty|ideal"
    r"|hav(?:e|ing)|has|fine-?tun\w*|train\w*|inference|lora|qlora|quanti[sz]\w*|fp16|bf16|fp32|int8|int4|4-bit|8-bit"
    r"|benötigt|braucht|belegt|nécessite|requiert|occupe|consomme|requiere|precisa|necesita|exige|ocupa)\b"
    r"|需要|占用|要求|消耗|可训练|微调|推理|训练|部署|必要|消費|使用|要り|필요",
    _FLAGS,
)
_FIT: Final = re.compile(
    r"\b(?:fits?|fitting|runs?|running|works?|feasible|possible|suitable|enough|trained|fine-?tuned|train|fine-?tune"
    r"|deploy\w*|served?)\b[^.;|]{0,60}?\b(?:on|in|into|within|for|with|inside)\b[^.;:|\d]{0,40}\Z"
    r"|\bload(?:s|ed)?\b[^.;|]{0,60}?\b(?:on|into|within|inside)\b[^.;|\d]{0,40}\Z"
    r"|\b(?:passt|läuft|passen|laufen|tient|tiennent|tourne|cabe|caben|cabem|funciona|roda)\b[^.;|]{0,60}?"
    r"\b(?:auf|in|sur|dans|en|em|numa?|uma?)\b[^.;|\d]{0,40}\Z",
    _FLAGS,
)
_ENOUGH: Final = re.compile(
    r"[\s*_`]*(?:of (?:v?ram|gpu memory|memory)\s)?(?:(?:is|are|be|should be) (?:not )?)?(?:enough|sufficient)\b",
    _FLAGS,
)
_DOES: Final = re.compile(r"(?:\A|\b(?:is|are|will|would|with|if|even|only|just|when|whether))[\s*_`]*\Z", _FLAGS)
_WITHIN: Final = re.compile(r"\bwithin\s(?:the\s|a\s)?[*_~`]*\Z", _FLAGS)
_GPU_AFTER: Final = re.compile(
    r"[\s)*_`-]{0,4}(?:(?:of )?(?:v?ram|gpu memory|memory|nvidia|consumer|gddr\w*|hbm\w*|class|data ?center)"
    r"[\s-]+){0,3}"
    r"(?:(?:gpus?|cards?|graphics|graphics cards?|grafikkarten?|cartes?|placas?|tarjetas?|accelerators?|boards?"
    r"|instances?|versions?|variants?|editions?)\b"
    r"(?![ -]?(?:v?ram|mem\w*|usage))|[级]?(?:的)?(?:gpu)?显卡|のgpu|卡)",
    _FLAGS,
)
_VRAM_AFTER: Final = re.compile(
    r"\s?(?:of )?v-?ram\b(?! (?:us|need|requi|consum|footprint|total|peak|budget|min|alloc|reduc|sav))", re.IGNORECASE
)
_MORE: Final = re.compile(
    r"[\s*_`]*(?:of )?(?:more|less|extra|additional|saved|savings?|reduction|fewer|lower|smaller|cheaper)\b",
    re.IGNORECASE,
)
_SAVED: Final = re.compile(
    r"(?:\bsav(?:es?|ing|ings|ed)|\breduc\w+|\bextra|\badditional|\bdrops?|\bfre(?:es|ed|eing))\b[^.;|\d]{0,24}\Z",
    re.IGNORECASE,
)
_LESS: Final = re.compile(
    rf"\b(?:{FALLING}|{RISING}|halv\w+"
    r"|weniger|sinkt|fällt|cai|caem|снижа\w*|уменьша\w*|экономит\w*|senkt|spart|redu\w+|conomis\w+|moins|ahorr\w+"
    r"|baja|menos|econom\w+|diminu\w+|gagn\w+|ganancia|ganho)\b"
    r"|节省|节约|减少|降低|下降|省|削減|減",
    _FLAGS,
)
_RATE: Final = re.compile(
    r"\s?(?:/|per |a )\s?(?:s|sec|second|param\w*|token|tok|weight|element|value|hour|month|day|link|lane"
    r"|direction)\b|\s?/\s?[秒초]",
    re.IGNORECASE,
)
_HOLDER: Final = re.compile(
    r"\b(?:gpus?|cards?|karten?|cartes?|tarjetas?|placas?|grafikkarten?)\b[^.;,|\d]{0,12}"
    r"(?:\b(?:with|w/|mit|avec|con|com|has|have|having|hat|offers)\b|，(?:具有|带))[^.;,|\d]{0,20}\Z"
    r"|\bcapacity of\s*\Z|\b(?:cartes?|tarjetas?|placas?|karten?)\b(?: \w{1,12})? (?:de|mit|con|com|avec)\s*\Z",
    _FLAGS,
)
_HAS: Final = re.compile(r"[\s*_`]*(?:is |are )?(?:available|usable|free|installed|on board|onboard)\b", re.IGNORECASE)
_LABEL: Final = re.compile(
    r"(?:\A|\n)[\s*_`-]*(?:gpu )?(?:v-?ram|gpu memory|memory|video memory)[\s*_`]*[:=][\s*_`]*(?:\S{1,9}\s?\()?\Z",
    re.IGNORECASE,
)
_MEMORY_ALONE: Final = re.compile(
    r"\W*(?:(?:gpu|peak|relative) )?(?:v-?ram|memory|mem|memoria|memória|mémoire|speicher|显存|内存|メモリ|메모리)"
    r"(?: (?:usage|use|used|footprint|util\w*))?\W*(?:%|\(%\))?\W*",
    re.IGNORECASE,
)
_SIZE: Final = re.compile(r"\bsize\b|tamaño|tamanho|\btaille\b|größe|크기|サイズ|大小|размер", re.IGNORECASE)
_USED: Final = re.compile(
    r"\b(?:us(?:ed|age)|peak|required|requirements?|needed|consum\w+|min\w*|reserved|allocated)\b", re.IGNORECASE
)


@lru_cache(maxsize=_KEPT)
def says_memory_alone(label: str) -> bool:
    """Whether a heading says no more than memory."""
    return _MEMORY_ALONE.fullmatch(label) is not None


@lru_cache(maxsize=_KEPT)
def says_size(label: str) -> bool:
    """Whether a label speaks of the size of something."""
    return _SIZE.search(label) is not None


def has_words(text: str) -> bool:
    """Whether a text is more than figures and units."""
    return _WORDS.search(text) is not None


@lru_cache(maxsize=_KEPT)
def component(text: str) -> str | None:
    """The quantity that a label names: the most special cue in it ("Activation memory" is activations)."""
    if not _WORDS.search(text):
        return None
    found = {str(match.lastgroup) for match in _CUE.finditer(text[:300])}
    return next((name for name in COMPONENTS if name in found), None)


@lru_cache(maxsize=_KEPT)
def nearest(before: str, after: str) -> str | None:
    """The quantity named nearest to a figure between two texts; a word of memory alone gives way to a component."""
    last = list(_CUE.finditer(before)) if _WORDS.search(before) else []
    found: list[tuple[int, str]] = []
    follow = _CUE.search(after) if _WORDS.search(after) else None
    at_once = follow is not None and _AT_ONCE.fullmatch(after[: follow.start()]) is not None
    for match in last[-4:]:
        if at_once and follow is not None and follow.lastgroup == "peak_memory" and _TAKES.match(match.group()):
            continue  # "the model takes 20 GB of VRAM" speaks of all that it takes
        owned = _OWNED.search(before, max(0, match.start() - _OWNER), match.start()) is not None
        found.append((len(before) - match.end() + _ELSEWHERE * owned, str(match.lastgroup)))
    if follow is not None:
        apart = 0 if at_once else _ELSEWHERE if _CLAUSE.search(after[: follow.start()]) else _LATER
        found.append((follow.start() + apart, str(follow.lastgroup)))
    return min(found)[1] if found else None


@lru_cache(maxsize=_KEPT)
def speaks_of_memory(text: str) -> bool:
    """Whether a text names memory at all."""
    return _WORDS.search(text) is not None and _MEMORY.search(text) is not None


@lru_cache(maxsize=_KEPT)
def speaks_of_need(text: str) -> bool:
    """Whether a text speaks of what a model or a run needs."""
    return _NEED.search(text) is not None


@lru_cache(maxsize=_KEPT)
def says_fit(before: str) -> bool:
    """Whether the words that lead to an amount say that something fits or runs on it."""
    return _FIT.search(before) is not None or says_within(before)


def says_within(before: str) -> bool:
    """Whether an amount follows "within" at once."""
    return _WITHIN.search(before[-_TAIL:]) is not None


@lru_cache(maxsize=_KEPT)
def says_enough(before: str, after: str) -> bool:
    """Whether it is asked or said that an amount is enough: "Is 8 GB enough?"."""
    return _ENOUGH.match(after) is not None and _DOES.search(before[-_TAIL:]) is not None


@lru_cache(maxsize=_KEPT)
def of_a_card(after: str) -> bool:
    """Whether an amount is that of a card: "a 24 GB GPU"."""
    return _GPU_AFTER.match(after) is not None


def of_its_own(after: str) -> bool:
    """Whether an amount is one of VRAM that is there, not that is used: "24 GB VRAM"."""
    return _VRAM_AFTER.match(after) is not None


def is_change(before: str, after: str) -> bool:
    """Whether an amount is a difference: "saves 3 GB", "5 GB more"."""
    return _MORE.match(after) is not None or _SAVED.search(before[-_TAIL * 2 :]) is not None


@lru_cache(maxsize=_KEPT)
def says_change(text: str) -> bool:
    """Whether a text speaks of less or more."""
    return _LESS.search(text) is not None


def is_rate(after: str) -> bool:
    """Whether an amount is one per something: "2 bytes per parameter"."""
    return _RATE.match(after) is not None


def of_a_holder(before: str) -> bool:
    """Whether the words that lead to an amount say that a card has it: "a GPU with at least"."""
    return _HOLDER.search(before[-_TAIL * 3 :]) is not None


def is_had(after: str) -> bool:
    """Whether an amount is one that a card or a machine has: "15.58 GB available"."""
    return _HAS.match(after) is not None


def is_labelled_memory(before: str) -> bool:
    """Whether nothing but a label of memory stands before an amount: "VRAM: 16 GB"."""
    return _LABEL.search(before[-_TAIL * 3 :]) is not None


@lru_cache(maxsize=_KEPT)
def says_used(text: str) -> bool:
    """Whether a heading speaks of what is used, not of what a card has."""
    return _USED.search(text) is not None
