"""Recognises amounts of data that are not memory: data sets, payloads, shards of files."""

from __future__ import annotations

import re
from typing import Final

_AFTER: Final = re.compile(
    r"[ *_`]*(?:(?:worth )?of\s(?:(?!v?ram|gpu|memory)[\w-]+\s){0,2}|(?:[\w-]+ing\s|raw\s|clean\s|text\s|total\s"
    r"|of\s)?)"
    r"(?:text|data(?:sets?)?(?![- ]?(?:cent|type))|corpus|corpora|tokens|payloads?|traffic|artifacts|images?|videos?"
    r"|uploads?)\b"
    r"|\s?(?:大小)?(?:的)?\s?(?:[A-Z]{2,5}\s)?(?:语料|数据|训练数据|データ|テキスト)",
    re.IGNORECASE | re.ASCII,
)
_BEFORE: Final = re.compile(
    r"(?:\bdata ?sets?|\bcorpus)\s(?:has|have|contains?|holds?|is|are|of|with)\b[^.;|\n]{0,32}\(?\Z"
    r"|(?:\bdata ?sets?|\bcorpus|\bpayloads?|\bsend(?:s|ing)?|\bsent|\btransmit\w*|\btraffic|\bshard[ _-]size"
    r"|\buploads?)\b[^.;|\d\n)]{0,24}\Z|(?:语料|数据集|传输)[^.;|\d。；]{0,12}\Z",
    re.IGNORECASE | re.ASCII,
)
_LABEL: Final = re.compile(
    r"\b(?:data|data ?sets?|corpus|bandwidth|throughput|speed|files?|payload|message size)\b|数据|语料|带宽|速度",
    re.IGNORECASE | re.ASCII,
)
_FOLLOWS_NAME: Final = re.compile(r"\.(?:jsonl?|csv|parquet|txt|zip|tar|gz|md|py|html?)\b[`*_)\]\s]*[\s(|:—–-]*\Z")


def of_data(before: str, after: str) -> bool:
    """Whether the words on either side of an amount make it one of data."""
    return bool(_AFTER.match(after) or _BEFORE.search(before) or _FOLLOWS_NAME.search(before))


def labels_data(label: str) -> bool:
    """Whether a column speaks of data, files or speed."""
    return _LABEL.search(label) is not None
