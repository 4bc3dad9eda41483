"""What an amount is that no word beside it names: memory, in a document about models, unless a reason says no."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from toolkit.documents.scan import cues
from toolkit.documents.scan.around import Around
from toolkit.documents.scan.pieces import Kind

_ABOUT_MODELS: Final = re.compile(
    r"\bLLMs?\b|\bLoRA\b|\bQLoRA\b|\bGGUF\b|\bquanti[sz]|\bcuanti|\bquantifi|\bfine-?tun|\binference\b|\binferenc"
    r"|\binférence"
    r"|\btransformers?\b|\bdiffusion\b|\bVRAM\b|\bGPUs?\b|\bmod[eè]l[eo]?s?\b|\bmodell|\bмодел|\b(?:bf|fp)16\b"
    r"|\bint[48]\b"
    r"|模型|量化|微调|显存|推理|モデル|量子化|推論|모델|양자화|추론",
    re.IGNORECASE,
)
_ENOUGH: Final = 4
_LOOKED_AT: Final = 200_000
_CLOSE: Final = 48
_NEXT: Final = 32

_NOISE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "data": r"\b(?:data ?sets?|data|corpus|logs?|images?|videos?|audio|pdfs?|csv|json\w*|parquet|archives?"
        r"|zip|tar\w*|history|database|db|index|embeddings?|tokens?|documents?|skills?|apk|app)\b|\b\w*cache\b",
        "transfer": r"\b(?:msg|messages?|payloads?|bandwidth|transfer\w*|pcie|nvlink|infiniband|network|traffic|shards?"
        r"|shard[-_]size|chunks?|uploads?|egress|reads?|writes?|throughput|stream\w*|copied|copies|copy)\b",
        "software": r"\b(?:install\w*|packages?|wheels?|docker|container|repo(?:sitory)?|binary|binaries|toolkit"
        r"|sdk|build"
        r"|conda|pip|venv)\b",
        "part of a machine": r"\bl[123]\b|\bcache line|\bsectors?\b|\bpages?\b|\bblocks?\b|\bsmem\b|\bshared memory\b"
        r"|\brom\b|\bbar[0-9]?\b",
        "limit of a service": r"\b(?:quota|free tier|limit(?:ed)? to|upload limit|attachments?|bucket|s3)\b",
    }
)
_NOISE: Final = re.compile("|".join(_NOISE_WORDS.values()), re.IGNORECASE)
_BEFORE: Final = re.compile(rf"(?:{_NOISE.pattern}|数据|语料|带宽|日志|传输|安装)[^.;|\n]{{0,24}}\Z", re.IGNORECASE)
_AFTER: Final = re.compile(
    r"[\s*_`)]*(?:(?:of|的)\s?)?(?:[\w-]{1,16}\s){0,2}(?:data\w*|texts?|books?|tokens?|corpus|corpora|logs?|images?"
    r"|videos?|audio|archives?|zip"
    r"|tar\w*|files?|packages?|wheels?|installer|repo\w*|docker|payloads?|messages?|transfers?|bandwidth|network"
    r"|uploads?"
    r"|quota|l[123]\b|pages?|blocks?|chunks?|shards?|sectors?|limit|dat[oi]s?|daten|données|pcie|nvlink|database"
    r"|index|hashed|staged|cache|ceiling|unused|space)\b"
    r"|[^|。；\n]{0,12}(?:数据|语料|带宽|日志|データ|コーパス|데이터)|\s?[:：]\s?[0-9.–-]+\s?(?:s|min\w*|hours?|h)\b",
    re.IGNORECASE,
)
_LABEL: Final = 12
_LEAST: Final = 100_000_000
_MOST: Final = 2_000_000_000_000


def about_models(text: str) -> bool:
    """Whether a document speaks of models, their precisions or the cards they run on more than in passing."""
    return sum(1 for _, _ in zip(range(_ENOUGH), _ABOUT_MODELS.finditer(text[:_LOOKED_AT]), strict=False)) == _ENOUGH


def of_unnamed(size: int, around: Around) -> str | None:
    """The quantity of an amount of which nothing says what it is, and nothing that it is no memory."""
    if not around.models or size > _MOST or _is_noise(around):
        return None
    if cues.says_size(around.before[-_LABEL:]):
        return "weights"
    if size < _LEAST or (around.kind is Kind.PROSE and not cues.has_words(around.sentence)):
        return None  # a paragraph of figures alone says nothing of them
    return (cues.component(around.headings[0]) if around.headings else None) or "peak_memory"


def _is_noise(around: Around) -> bool:
    """Whether the words beside an amount, or the labels of its cell, give a reason why it is no memory."""
    if _BEFORE.search(around.before[-_CLOSE:]) or _AFTER.match(around.after[:_NEXT]):
        return True
    return around.kind is Kind.CELL and _NOISE.search(f"{around.column} {around.row}") is not None
