"""Reads model, method, precision, batch and sequence of a figure from the words around it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from toolkit.documents.scan.names import gpus_in, models_in

_METHODS: Final = re.compile(
    r"(?P<qlora>\bq-?lora\b)|(?P<lora>\b(?:lora|peft|adapters?)\b)|(?P<full>\bfull[- ](?:param\w*[- ])?(?:fine[- ]?tun"
    r"\w*|ft\b|training|parameter)|\A\W*full(?: \(?(?:bf|fp)-?(?:16|32)\)?)?\W*\Z)"
    r"|(?P<inference>\b(?:inference|serving|generation|decod\w+)\b)",
    re.IGNORECASE,
)
_PRECISIONS: Final = re.compile(
    r"(?P<fp32>\b(?:fp-?32|float-?32|f32|32[- ]bit)\b)|(?P<bf16>\b(?:bf-?16|bfloat-?16)\b)"
    r"|(?P<fp16>\b(?:fp-?16|float-?16|f16|half[- ]precision|16[- ]bit)\b)|(?P<fp8>\b(?:fp-?8|float8)\b)"
    r"|(?P<int8>\b(?:int-?8|8[- ]?bit|q8(?:_0)?)\b)|(?P<nf4>\bnf4\b)|(?P<mxfp4>\bmxfp4\b)"
    r"|(?P<int4>\b(?:int-?4|4[- ]?bit|q4(?:_\w+)?|awq|gptq|fp4)\b)",
    re.IGNORECASE,
)
_BATCH: Final = re.compile(
    r"\b(?:micro[- ]?)?(?:batch(?:[- _]size)?|bsz?)\b(?: of|[:=\s])\s?([0-9]{1,5})\b", re.IGNORECASE
)
_SEQUENCE: Final = re.compile(
    r"\b(?:(?:max[- _])?seq(?:uence|_?len)?(?:[- _]length)?|context(?:[- _]length| window)?|ctx|max_length|length)\b"
    r"(?: of|[:=\s])\s?([0-9][0-9,]{0,8}[kK]?)\b|\b([0-9][0-9,]{0,8}[kK]?)[- ](?:tokens?|context)\b",
    re.IGNORECASE,
)
WHOLE_FLOATS: Final = frozenset({"fp32", "bf16", "fp16"})
"""Precisions in which no weights are quantized."""

FIELDS: Final = ("model", "method", "gpu", "precision", "batch_size", "sequence_length")


HOW: Final = frozenset({"method", "precision"})
"""What the cells beside a figure may say of it; a model or a GPU that they name may be one to compare with."""


def context(texts: Sequence[str], beside: Sequence[str] = (), over: Sequence[str] = ()) -> Mapping[str, str]:
    """What texts say of a figure's situation, the nearest text first; a text that says two things says neither.

    After `texts` come the cells `beside` it, each of which says no more than how, and what stands `over` them all.
    """
    said: dict[str, str] = {}
    for text in texts:
        _take(said, _said(text[:600]))
    for field in HOW - said.keys():
        means = {means for cell in beside if (means := _said(cell).get(field)) is not None}
        if means:
            said[field] = _one(frozenset(means))
    for text in over:
        _take(said, _said(text[:600]))
    return MappingProxyType({name: said[name] for name in FIELDS if said.get(name)})


def _take(said: dict[str, str], found: Mapping[str, str]) -> None:
    """Adds what a text further away says to what nearer ones have said."""
    if said.get("precision") in WHOLE_FLOATS and found.get("method") == "qlora" and "precision" not in found:
        said.setdefault("method", "")  # a row of 16 bits in a table under words on QLoRA is there to compare
    for name, what in found.items():
        said.setdefault(name, what)


@lru_cache(maxsize=4096)
def _said(text: str) -> Mapping[str, str]:
    return {name: _one(what) for name, what in named_in(text).items()}


@lru_cache(maxsize=4096)
def named_in(text: str) -> Mapping[str, frozenset[str]]:
    """Everything that a text names, by field; a field of which it names nothing is left out."""
    found = {
        "model": {model.id or model.name for model in models_in(text)},
        "gpu": {gpu.card.name for gpu in gpus_in(text)},
        "method": {str(match.lastgroup) for match in _METHODS.finditer(text)},
        "precision": {str(match.lastgroup) for match in _PRECISIONS.finditer(text)},
        "batch_size": {match[1] for match in _BATCH.finditer(text)},
        "sequence_length": {match[1] or match[2] for match in _SEQUENCE.finditer(text)},
    }
    return MappingProxyType({name: frozenset(what) for name, what in found.items() if what})


@lru_cache(maxsize=4096)
def precisions_in(text: str) -> frozenset[str]:
    """Every precision that a text names."""
    return frozenset(str(match.lastgroup) for match in _PRECISIONS.finditer(text[:600]))


def _one(found: frozenset[str]) -> str:
    return next(iter(found)) if len(found) == 1 else ""
