"""Determines which share or ratio a figure states: of trained parameters, of memory, or a change of memory."""

from __future__ import annotations

import re
from typing import Final

from toolkit.documents.scan import cues
from toolkit.documents.scan.around import Around
from toolkit.documents.scan.parameters import labels_parameters, says_trained
from toolkit.documents.scan.pieces import Kind

_CLOSE: Final = 48
_NEAR: Final = 28
_CLAUSE: Final = re.compile(r"[，。；、：]")
"""Ends of clauses in Chinese and Japanese."""

_SHARE_LED: Final = re.compile(r"(?:参数|パラメータ|trainable ?%)[^。；;，、\n]{0,8}\Z", re.IGNORECASE)
"""Before a share of trained parameters: "trainable%: 0.06"."""

_OF_PARAMETERS: Final = re.compile(
    r"[\s*_`]*(?:\([^()]{0,40}\)\s?)?(?:(?:des|aller|der|de (?:los|sus|todos los)|dos"
    r"|del total de)\s(?:\w+\s)?(?:param|parám|parâm)"
    r"|of\s(?:the\s|all\s|its\s|total\s|model\s|original\s|base\s)*(?:param\w*|weights)"
    r"|of [\d.,]+ ?[BM]\b|trainable|param\w*)",
    re.IGNORECASE,
)
"""After a share of parameters: "0.06 % of the parameters", "2 % trainable"."""

_SIZED: Final = re.compile(
    r"[0-9] ?[GMT]i?B\b|\bparam(?:eter)?s?\b|\b(?:model|file|checkpoint|weights?|on-disk)[ -]sizes?\b"
    r"|内存|모델 크기|模型大小",
    re.IGNORECASE,
)
_SIGNED: Final = re.compile(r"[\s*_`]*[↓↑]")
"""After a share with an arrow: "71 % ↓"."""

_SIZE_CHANGE: Final = re.compile(
    r"[\s*_`]*(?:smaller|lower|less|fewer|reduc\w+)[^.,;]{0,24}\b(?:v?ram|memory|footprint|(?:model|file) size)\b"
    r"|[\s*_`]*(?:gpu |peak |kv[- ]?cache |model |file |weight |on-disk ){0,2}(?:v?ram|memory|size|footprint"
    r"|kv[- ]?cache)(?: \w+)?"
    r" (?:reduction|savings?|compression|decrease|shrink\w*)\b",
    re.IGNORECASE,
)
"""After a change of size: "4x smaller memory footprint", "50 % VRAM reduction"."""

_CHANGED_BY: Final = re.compile(
    r"\b(?:v?ram|memory|footprint|(?:model |file )sizes?|mémoire|memoria|memória"
    r"|speicher\w*)\b(?:(?!\band\b)[^.,;\d]){0,32}"
    r"\b(?:by|par|por|durch|um den faktor)[\s*_`~≈]*(?:up to |a factor of |about |around |un factor de )?\Z"
    r"|\b(?:kv[- ]?cache|memory|v?ram|model|weights?) (?:compression|reduction|savings?)(?: (?:ratio"
    r"|factor))?[\s*_`:：=of]{0,8}\Z",
    re.IGNORECASE,
)
"""Before a change of memory: "cuts memory usage by", "KV cache compression:"."""

_SMALLER_FORM: Final = re.compile(r"[\s*_`]*(?:smaller|compression|compressed)\b", re.IGNORECASE)
"""After a ratio of sizes: "4x smaller", "8x compression"."""

_COMPRESSED: Final = re.compile(
    r"quanti|compress|\bon disk|\b[2-8]-?bit\b|\bfp[48]\b|\bint[48]\b|\bnf4\b|\bfiles?\b|\bcheckpoints?\b"
    r"|\bfootprint|\bsizes?\b|cache",
    re.IGNORECASE,
)
"""Words of compression, which make "4x smaller" one of memory."""

_AS_MUCH: Final = re.compile(
    r"[\s*_`]*(?:of |as much |the |its |more |less |de |du |des |der |la |の|的|gpu |peak |video |original |total "
    r"|extra ){0,4}"
    r"(?:v?ram|memory(?! bandwidth)|footprint|mémoire|memoria|memória|speicher|显存|内存|メモリ|메모리"
    r"|(?:model|weight)s? (?:size )?in (?:v?ram|memory)|model(?:'s)? size|tamaño del modelo|taille du modèle"
    r"|模型大小)(?![A-Za-z])",
    re.IGNORECASE,
)
"""After a ratio of memory: "2x as much memory", "0.5x the VRAM"."""

_MEMORY_LED: Final = re.compile(
    r"(?:v?ram|\bmemory(?: (?:usage|use|footprint|consumption|requirements?))?|\bfootprint|mémoire|memoria|memória"
    r"|speicher\w*"
    r"|显存(?:占用)?|内存(?:占用)?|メモリ(?:使用量|消費量?)?|메모리(?: ?사용량)?)[^.,;。、\d\n|]{0,32}\Z",
    re.IGNORECASE,
)
"""Before a ratio of memory: "memory usage grows about"."""

_AMOUNT_BEFORE: Final = re.compile(r"[0-9] ?[MGT]i?B[\s*_`]*[(（][\s*_`~≈]*\Z")
"""An amount whose share stands in brackets behind it: "72 GB (90 %)"."""

_LABELLED: Final = re.compile(r"[^:：|\n]{1,40}[:：][\s*_`~≈]*")
"""An item with nothing but a label before its figure: "KV cache: 20 %"."""

_ENDS: Final = re.compile(
    r"[\s*_`]*(?:[^\w\s]|\Z|\b(?:when|while|with|and|or|compared|over|relative|versus|vs|for|in|at)\b)"
)
"""What may follow a change of memory that is complete: "by 50 % when", "by 50 %."."""

_ALONE: Final = re.compile(r"[\s*_`]*(?:\((?:baseline|base)\)|(?:less|smaller|lower)\b.*)?[\s*_`]*")
"""A cell with nothing but its ratio: "2x (baseline)"."""

_SMALLER: Final = re.compile(r"[\s*_`]*smaller\b", re.IGNORECASE)
_ELSE: Final = re.compile(
    r"[\s*_`]*(?:(?!and|or|while|with|but|y|et|und|e)\w+ )?(?:accuracy|quality|perplexity|loss|degradation|performance"
    r"|throughput|faster|slower|speed\w*|cheaper|cost|time)\b|[\s*_`]*的?(?:训练|推理|生成)?(?:速度|精度|性能|准确)",
    re.IGNORECASE,
)
"""After a share or ratio of something else: "30 % faster", "2x throughput"."""

_ELSE_BEFORE: Final = re.compile(
    r"\b(?:throughput|speed|latency|performance|accuracy|quality|cost"
    r"|time)\b[*_`\s]*(?:\w+\s){0,2}by[\s*_`~≈]*(?:up to |more than |over |about )?\Z",
    re.IGNORECASE,
)
"""Before a change of something else: "throughput by"."""

_SLOWS: Final = re.compile(
    r"\b(?:slow(?:s|er|ed|down)?|ralenti\w*|verlangsam\w*|computation)\b[^.,;\d]{0,24}\Z", re.IGNORECASE
)
"""Before a share of time: "slows training by about"."""

_QUALITY: Final = re.compile(
    r"\b(?:perplexity|ppl|accuracy|scores?|loss)\b(?:[^.;]|\.(?=[0-9])){0,48}\Z", re.IGNORECASE
)
"""Before a share of quality: "accuracy drops by"."""

_COMPARES: Final = re.compile(
    r"\bdifferences?\b|\bfaster\b|\bslower\b|\bscale\b|\bperformance\b|\bacross\b", re.IGNORECASE
)
"""Words of comparison, after which a share is none of trained parameters."""

_TRAINS: Final = re.compile(
    r"\btrain\w*|\blora\b|\badapt\w*|\bfine-?tun\w*|\bupdat\w+|\bfrozen\b|\bfreez\w+|\bpeft\b|训练|微调|entraîn\w*"
    r"|entren\w*"
    r"|trein\w*|学習",
    re.IGNORECASE,
)
"""Words of training, which make a share of parameters one of those that are trained."""

_GAIN: Final = re.compile(r"\bgains?\b|\bchanges?\b|\bdelta\b|Δ", re.IGNORECASE)
"""Headings of columns of changes: "Gain", "Δ"."""

_ADDED_FOR: Final = re.compile(
    r"[\s*_`]*(?:(?:more |extra |margin |headroom |overhead )*(?:for|pour|para|für) (?:the |le |la |el )?"
    r"(?:kv[- ]?cache|activations?|v?ram|memory)\b)",
    re.IGNORECASE,
)
"""After a share to add: "20 % more for the KV cache"."""

_OVERHEAD: Final = re.compile(r"[\s*_`]*(?:memory |v?ram )?overhead\b", re.IGNORECASE)
"""After a share that is an overhead: "15 % memory overhead"."""

_OF_MEMORY: Final = re.compile(
    r"[\s*_`]*(?:of (?:the |all |its |total |available |free |your )*(?:gpu |video )?(?:v?ram|memory)\b"
    r"|de (?:la )?(?:v?ram|mémoire|memoria|memória)\b|的?(?:显存|内存))",
    re.IGNORECASE,
)
"""After a share of memory: "90 % of the GPU memory"."""


def of_ratio(around: Around) -> str | None:
    """Whether a ratio is one of memory: "4x less memory", "2x" under "Memory savings"."""
    led = _CHANGED_BY.search(around.before[-2 * _CLOSE :]) and _ENDS.match(around.after)
    if led or _SIZE_CHANGE.match(around.after) or _of_as_much(around):
        return "change"
    if around.kind is not Kind.CELL or around.before.strip(" *_`~≈") or not _ALONE.fullmatch(around.after):
        return None
    return "change" if cues.speaks_of_memory(around.column) else None


def _of_as_much(around: Around) -> bool:
    """Whether a ratio is one of memory to other memory: "0.5x the memory", "3x model size in VRAM"."""
    if _AS_MUCH.match(around.after):
        return True
    near = around.before[-_CLOSE:]
    if _SMALLER_FORM.match(around.after):
        return bool(_COMPRESSED.search(around.before[-2 * _CLOSE :]) or _COMPRESSED.search(around.after[:_CLOSE]))
    return bool(_MEMORY_LED.search(near) and _ENDS.match(around.after) and not _ELSE.match(around.after))


def of_share(around: Around) -> str | None:
    """The quantity of a percentage: the share that is trained, a change or a share of memory, or none."""
    if _SHARE_LED.search(around.before[-_NEAR:]):
        return "trainable_share"
    if _OF_PARAMETERS.match(around.after) and not cues.speaks_of_memory(around.after[:24]):
        return "trainable_share" if _trains(around) else None
    if _in_labelled_cell(around) or _added(around) or _of_memory(around):
        return "change"  # a share of what there is or of what another form takes, or of what is added to it
    if _is_trained(around):
        return "trainable_share"
    return "change" if _changes(around) else None


def _trains(around: Around) -> bool:
    over = f"{around.paragraph[-_CLOSE:]} {' '.join(around.headings[:1])}"
    return _TRAINS.search(f"{around.sentence} {around.column} {around.row} {over}") is not None


def _in_labelled_cell(around: Around) -> bool:
    """Whether a cell stands under a change of memory, or under memory itself."""
    if around.kind is not Kind.CELL:
        return False
    changes = cues.says_change(around.column) or _GAIN.search(around.column)
    labels = f"{around.column} {around.row}"
    if (_SIGNED.match(around.after) or around.before.strip(" *_`~≈") in {"-", "−", "↓"}) and cues.says_size(labels):
        return True
    signed = _SIGNED.match(around.after) or around.before.strip(" *_`~≈") in {"-", "−", "↓", "+"}
    spoken = cues.speaks_of_memory(labels)
    return bool((changes or signed) and spoken) or cues.says_memory_alone(around.column)


def _added(around: Around) -> bool:
    """Whether a share is one to keep free or to add: "20% for the KV cache", "a 15% overhead" of a footprint."""
    if _ADDED_FOR.match(around.after):
        return True
    return _OVERHEAD.match(around.after) is not None and cues.speaks_of_memory(around.sentence)


def _of_memory(around: Around) -> bool:
    """Whether a share is one of memory: "90% of VRAM", "72 GB (90%)", an item under words on memory."""
    if _OF_MEMORY.match(around.after):
        return True
    if _AMOUNT_BEFORE.search(around.before[-_NEAR:]) and around.after.lstrip(" *_`").startswith((")", "）")):
        return True
    over = around.intro.rstrip().rpartition("\n")[2]
    return around.item and _LABELLED.fullmatch(around.before) is not None and cues.speaks_of_memory(over[-_NEAR:])


def _is_trained(around: Around) -> bool:
    """Whether a percentage stands under, beside or behind parameters that are trained."""
    labels = f"{around.column} {around.row}"
    if around.kind is Kind.CELL and labels_parameters(labels) and "%" in labels:
        return True
    near = around.before[-_CLOSE:]
    if around.before.endswith("(") and says_trained(near) and labels_parameters(around.before):
        return True
    led = around.before[-2 * _CLOSE :]
    return says_trained(led) and labels_parameters(led) and not _COMPARES.search(led)


def _changes(around: Around) -> bool:
    """Whether the words beside a percentage say that memory, or a size, falls or rises by it."""
    near = _CLAUSE.split(around.before[-_CLOSE:])[-1] + _CLAUSE.split(around.after[:_CLOSE])[0]
    if _ELSE_BEFORE.search(around.before[-_CLOSE:]):
        return False
    if not cues.says_change(near) or _ELSE.match(around.after) or _SLOWS.search(around.before[-_CLOSE:]):
        return False
    if _QUALITY.search(around.before[-_CLOSE:]) and not cues.speaks_of_memory(around.after[:_NEAR]):
        return False
    labelled = around.kind is Kind.CELL and cues.says_size(f"{around.column} {around.row}")
    sized = _SIZED.search(near) or _SMALLER.match(around.after) or labelled
    return bool(sized) or cues.speaks_of_memory(near)
