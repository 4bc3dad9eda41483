"""Which quantity a figure is said of, by the words nearest to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

_COMPONENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "host_memory": r"(?:system|cpu|host|main|server)[ -](?:ram|memory)|(?<!v)(?<!gpu )(?<!video )\bram\b"
        r"|arbeitsspeicher|mémoire vive|оперативн",
        "disk": r"\bdis[kc]s?\b|\bstorage\b|\bssd\b|\bnvme\b|downloads?\b"
        r"|on[- ]disk|file sizes?|free space|\bgguf\b|磁盘",
        "kv_cache": r"\bkv[- ]?cach\w*|key[-/ ]value cache",
        "gradients": r"\bgradients?\b(?! (?:accum|checkpoint))|梯度",
        "optimizer_states": r"\boptimi[sz]ers?\b|\badamw?\b states?|\bmomentum\b|优化器",
        "activations": r"\bactivations?\b(?! checkpoint)|激活",
        "overhead": r"\boverheads?\b|cuda (?:context|kernels?)|\bbuffers?\b|\bworkspaces?\b|fragmentation",
        "master_weights": r"master (?:weights|copy|params|parameters)",
        "adapters": r"\b(?:lora|adapters?|peft)(?: \w+)? (?:weights|param\w*|matrices|adapters?)"
        r"|\badapter (?:size|memory)",
        "weights": r"\bweights?\b|\bmodel size\b|\bmodel(?: itself)? (?:is|takes|weighs)|\bbase model\b|\bparameters?\b"
        r"|\bparams\b|\bloaded\b|\bloading\b|\bquanti[sz]ed\b|模型权重|权重|\bgewichte\b|\bpoids\b",
        "peak_memory": r"\bv-?ram\b|\bgpu[- ](?:memory|ram|mem)\b|\bvideo memory\b|\bpeak\b|\bfootprints?\b"
        r"|\bmemory\b|\bmem\b|\btotal\b|显存|顯存|内存|メモリ|메모리|\bmémoire\b|\bspeicher\w*|\bgrafikspeicher|\bmemoria\b|памят|видеопамят",
    }
)
_KEPT: Final = 4096
"""Answers that are kept: headings, labels and leads are asked about at every figure."""

_CUE: Final = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _COMPONENTS.items()), re.IGNORECASE)
_MEMORY: Final = re.compile(_COMPONENTS["peak_memory"], re.IGNORECASE)
_NEED: Final = re.compile(
    r"\b(?:needs?|requires?|required|takes?|uses?|used|consum\w+|occup\w+|fits?|loads?|loaded|runs?|oom|gpus?|cards?"
    r"|hav(?:e|ing)|has|fine-?tun\w*|train\w*|inference|lora|qlora|quanti[sz]\w*|fp16|bf16|fp32|int8|int4|4-bit|8-bit)\b",
    re.IGNORECASE,
)
_FIT: Final = re.compile(
    r"\b(?:fits?|fitting|runs?|running|works?|feasible|possible|suitable|enough|trained|fine-?tuned|train|fine-?tune"
    r"|deploy\w*|served?)\b[^.;|]{0,60}?\b(?:on|in|into|within|for|with|inside)\b[^.;|\d]{0,40}\Z"
    r"|\bload(?:s|ed)?\b[^.;|]{0,60}?\b(?:on|into|within|inside)\b[^.;|\d]{0,40}\Z|\bwithin\s(?:the\s|a\s)?[*_~`]*\Z",
    re.IGNORECASE,
)
_GPU_AFTER: Final = re.compile(
    r"[\s)*_`-]{0,4}(?:(?:of )?(?:v?ram|gpu memory|memory|nvidia|consumer|gddr\w*|hbm\w*|class|data ?center)"
    r"[\s-]+){0,3}"
    r"(?:gpus?|cards?|graphics|graphics cards?|显卡|grafikkarten?|cartes?)\b",
    re.IGNORECASE,
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
    r"\b(?:less|lower|smaller|fewer|more|higher|larger|reduc\w+|sav(?:es?|ed|ings?)|cuts?|decreas\w+|increas\w+|drop\w*)\b",
    re.IGNORECASE,
)
_RATE: Final = re.compile(
    r"\s?(?:/|per |a )\s?(?:s|sec|param\w*|token|tok|weight|element|value|hour|month|day)\b", re.IGNORECASE
)
_HAS: Final = re.compile(r"[\s*_`]*(?:available|usable|free|installed|on board|onboard)\b", re.IGNORECASE)
_LABEL: Final = re.compile(
    r"(?:\A|\n)[\s*_`-]*(?:gpu )?(?:v-?ram|gpu memory|memory|video memory)[\s*_`]*[:=][\s*_`]*(?:\S{1,9}\s?\()?\Z",
    re.IGNORECASE,
)
_USED: Final = re.compile(
    r"\b(?:us(?:ed|age)|peak|required|requirements?|needed|consum\w+|min\w*|reserved|allocated)\b", re.IGNORECASE
)


@lru_cache(maxsize=_KEPT)
def component(text: str) -> str | None:
    """The quantity that a label names: the most special cue in it ("Activation memory" is activations)."""
    found = {str(match.lastgroup) for match in _CUE.finditer(text[:300])}
    return next((name for name in _COMPONENTS if name in found), None)


@lru_cache(maxsize=_KEPT)
def nearest(before: str, after: str) -> str | None:
    """The quantity named nearest to a figure between two texts; a word of memory alone gives way to a component."""
    last = list(_CUE.finditer(before))
    best: tuple[int, str] | None = None
    for match in last[-4:]:
        distance = len(before) - match.end()
        best = min(best or (distance, str(match.lastgroup)), (distance, str(match.lastgroup)))
    follow = _CUE.search(after)
    if follow is not None:
        distance = follow.start() + (
            0 if re.fullmatch(r"[\s*_`]*(?:of|for|as|in)?\s?(?:the\s)?", after[: follow.start()]) else 12
        )
        best = min(best or (distance, str(follow.lastgroup)), (distance, str(follow.lastgroup)))
    return best[1] if best else None


@lru_cache(maxsize=_KEPT)
def speaks_of_memory(text: str) -> bool:
    """Whether a text names memory at all."""
    return _MEMORY.search(text) is not None


@lru_cache(maxsize=_KEPT)
def speaks_of_need(text: str) -> bool:
    """Whether a text speaks of what a model or a run needs."""
    return _NEED.search(text) is not None


@lru_cache(maxsize=_KEPT)
def says_fit(before: str) -> bool:
    """Whether the words that lead to an amount say that something fits or runs on it."""
    return _FIT.search(before) is not None


@lru_cache(maxsize=_KEPT)
def of_a_card(after: str) -> bool:
    """Whether an amount is that of a card: "a 24 GB GPU"."""
    return _GPU_AFTER.match(after) is not None


def is_change(before: str, after: str) -> bool:
    """Whether an amount is a difference: "saves 3 GB", "5 GB more"."""
    return _MORE.match(after) is not None or _SAVED.search(before) is not None


@lru_cache(maxsize=_KEPT)
def says_change(text: str) -> bool:
    """Whether a text speaks of less or more."""
    return _LESS.search(text) is not None


def is_rate(after: str) -> bool:
    """Whether an amount is one per something: "2 bytes per parameter"."""
    return _RATE.match(after) is not None


def is_had(after: str) -> bool:
    """Whether an amount is one that a card or a machine has: "15.58 GB available"."""
    return _HAS.match(after) is not None


def is_labelled_memory(before: str) -> bool:
    """Whether nothing but a label of memory stands before an amount: "VRAM: 16 GB"."""
    return _LABEL.search(before) is not None


@lru_cache(maxsize=_KEPT)
def says_used(text: str) -> bool:
    """Whether a heading speaks of what is used, not of what a card has."""
    return _USED.search(text) is not None
