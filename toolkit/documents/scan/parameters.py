"""Which count of parameters, or share of them, a figure states, or that it states none."""

from __future__ import annotations

import re
from typing import Final

from toolkit.documents.scan import cues
from toolkit.documents.scan.around import Around
from toolkit.documents.scan.pieces import Kind
from toolkit.quantity import Dimension, Value

_FEWEST: Final = 1_000
_CLOSE: Final = 48
_NEAR: Final = 28
_PARAMETERS_AFTER: Final = re.compile(
    r"[\s*_`)-]{0,6}(?:de\s|d['’]\s?|di\s|der\s|的)?(?:[\u4e00-\u9fff]{1,3}(?=参数))?(?:(?:total|trainable|active|activated|learnable|model|million"
    r"|billion|lora|adapter|non-embedding|trainierbaren?|lernbaren?)[\s-]+)"
    r"{0,3}(?:param(?:eter)?s?|[a-zäöü]{0,12}parametern?|paramètres|parámetros|parâmetros|параметр\w*|参数|パラメータ"
    r"|파라미터)(?![A-Za-z])(?!\s?[×*x]\s)",
    re.IGNORECASE,
)
_PARAMETERS_BEFORE: Final = re.compile(
    r"(?:(?:\b|_)param(?:eter)?s?(?: counts?| size)?(?: (?:in total|that train\w*|trained|overall))?|参数量?"
    r"|\bparameter(?:an)?zahl|\banzahl der parameter|\bnombre de paramètres|\bnúmero de par[áâ]metros"
    r"|パラメータ数?)(?:\s?\([^()]{1,20}\))?"
    r"[\s*_`]*(?:[:：=|≈~]|\bis\b|\bof\b|\bto\b|为|是|约|共|达|は|が)[\s*_`~≈(约約]*\Z",
    re.IGNORECASE,
)
_CHANGES_TO: Final = re.compile(
    r"\bparam(?:eter)?s?\b[^.;\d]{0,24}\b(?:from|to)\s(?:[0-9][0-9.,]*\s?[BM]?\sto\s)?\Z", re.IGNORECASE
)
_RANGES_TO: Final = re.compile(
    r"\s?(?:to|and|–|-)\s?[0-9][0-9.,]*\s?(?:[BM]|billion|million)\s(?:[a-z]+\s)?param", re.IGNORECASE
)
_PARAMETERS_LABEL: Final = re.compile(r"\bparam(?:eter)?n?s?\b|\bpar[aáâ]m[eè]t\w*|参数|パラメータ", re.IGNORECASE)
_TRAINABLE: Final = re.compile(
    r"(?<!non-)\btrainable\b|\blora\b|\badapters?\b|\blearnable\b|\btrained\b|\btrainier\w*|\bentraîn\w*|\bentren\w*"
    r"|\btrein\w*"
    r"|可训练|学習可能",
    re.IGNORECASE,
)
_TRAIN: Final = re.compile(
    r"\btrain\w*\b|\blora\b|\badapters?\b|\bentraîn\w*|\bentren\w*|\btrein\w*|可训练|学習可能", re.IGNORECASE
)
_OUT_OF: Final = re.compile(
    r"[\s*_`]*(?:of|out of|/)\s(?:the\s)?[0-9][0-9.,]*\s?(?:[BM]|billion|million)?\s(?:total\s|model\s)?param",
    re.IGNORECASE,
)
_TRAINS: Final = re.compile(
    r"\btrain\w*|\blora\b|\badapt\w*|\bfine-?tun\w*|\bupdat\w+|\bfrozen\b|\bfreez\w+|\bpeft\b|训练|微调|entraîn\w*"
    r"|entren\w*"
    r"|trein\w*|学習",
    re.IGNORECASE,
)
_COMPARES: Final = re.compile(
    r"\bdifferences?\b|\bfaster\b|\bslower\b|\bscale\b|\bperformance\b|\bacross\b", re.IGNORECASE
)
_CLAUSE: Final = re.compile(r"[，。；、：]")
_SHARE_LED: Final = re.compile(r"(?:参数|パラメータ|trainable ?%)[^。；;，、\n]{0,8}\Z", re.IGNORECASE)
_TOTAL: Final = re.compile(r"[\s*_`]*total\b", re.IGNORECASE)
_MAY_COUNT: Final = re.compile(r"par[aáâ]m|парам|参数|參數|パラメ|파라미|\bactiv|→|->|=>", re.IGNORECASE)
_ACTIVE: Final = re.compile(r"[\s*_`-]{0,4}(?:active|activated)\b(?! users| requests)", re.IGNORECASE)
_OF_PARAMETERS: Final = re.compile(
    r"[\s*_`]*(?:\([^()]{0,40}\)\s?)?(?:(?:des|aller|der|de (?:los|sus|todos los)|dos"
    r"|del total de)\s(?:\w+\s)?(?:param|parám|parâm)"
    r"|of\s(?:the\s|all\s|its\s|total\s|model\s|original\s|base\s)*(?:param\w*|weights)"
    r"|of [\d.,]+ ?[BM]\b|trainable|param\w*)",
    re.IGNORECASE,
)
_SIZED: Final = re.compile(r"[0-9] ?[GMT]i?B\b|\bparam(?:eter)?s?\b", re.IGNORECASE)
_SMALLER: Final = re.compile(r"[\s*_`]*smaller\b", re.IGNORECASE)
_ELSE: Final = re.compile(
    r"[\s*_`]*(?:\w+ )?(?:accuracy|quality|perplexity|loss|degradation|performance"
    r"|throughput|faster|slower|speed\w*|cheaper|cost|time)\b|[\s*_`]*的?(?:训练|推理|生成)?(?:速度|精度|性能|准确)",
    re.IGNORECASE,
)
_QUALITY: Final = re.compile(
    r"\b(?:perplexity|ppl|accuracy|scores?|loss)\b(?:[^.;]|\.(?=[0-9])){0,48}\Z", re.IGNORECASE
)
_TOKENS: Final = re.compile(
    r"[\s*_`-]{0,3}(?:tokens?|examples?|samples?|rows|steps|downloads|words|users|images|times)\b", re.IGNORECASE
)
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


def counts_parameters(text: str) -> bool:
    """Whether anything in a text may make a number of it one of parameters."""
    return _MAY_COUNT.search(text) is not None


def of_count(value: Value, around: Around) -> str | None:
    """The quantity of a count: parameters, those that are trained, or none."""
    if max(value.printed) * value.unit.readings[0][1] < _FEWEST or _TOKENS.match(around.after):
        return None
    if around.kind is Kind.CELL and (_LISTED_AFTER.match(around.after) or _LISTED_BEFORE.search(around.before)):
        return None  # the sizes that a family comes in
    cell = around.kind is Kind.CELL and bool(_PARAMETERS_LABEL.search(around.column))
    sized = value.unit.dimension is Dimension.COUNT and _MODEL_SIZE.fullmatch(around.row)
    row = around.kind is Kind.CELL and bool(_PARAMETERS_LABEL.search(around.row) or sized)
    follows = _PARAMETERS_AFTER.match(around.after) or _RANGES_TO.match(around.after)
    leads = _PARAMETERS_BEFORE.search(around.before[-_CLOSE:]) or _CHANGES_TO.search(around.before[-2 * _CLOSE :])
    total = _TOTAL.match(around.after) and _PARAMETERS_LABEL.search(around.before)
    active = value.unit.dimension is Dimension.COUNT and _ACTIVE.match(around.after)
    beside = value.unit.dimension is Dimension.COUNT and _BESIDE.search(around.before[-_CLOSE:])
    trains = _OUT_OF.match(around.after) and _TRAIN.search(around.before)
    if trains:
        return "trainable_parameters"
    changes = value.unit.dimension is Dimension.COUNT and _sizes_change(around)
    if not (cell or row or follows or leads or total or active or beside or changes):
        return None
    if total or active or changes or (beside and "/" in beside.group()):
        return "parameters"
    near = (around.column if cell else around.row) if cell or row else ""
    said = near or (follows.group() if follows else "") + around.before[-_NEAR:]
    return "trainable_parameters" if _TRAINABLE.search(said) else "parameters"


def _sizes_change(around: Around) -> bool:
    """Whether a count is an end of "34B → 13B"."""
    return bool(_ARROW_BEFORE.search(around.before[-_CLOSE:]) or _ARROW_AFTER.match(around.after))


def of_share(around: Around) -> str | None:
    """The quantity of a percentage: the share that is trained, a change of memory, or none."""
    labels = f"{around.column} {around.row}"
    if _SHARE_LED.search(around.before[-_NEAR:]):
        return "trainable_share"
    if _OF_PARAMETERS.match(around.after) and not cues.speaks_of_memory(around.after[:24]):
        trains = _TRAINS.search(
            f"{around.sentence} {labels} {around.paragraph[-_CLOSE:]} {' '.join(around.headings[:1])}"
        )
        return "trainable_share" if trains else None
    if around.kind is Kind.CELL and cues.says_change(around.column) and cues.speaks_of_memory(labels):
        return "change"
    if (
        around.before.endswith("(")
        and _TRAIN.search(around.before[-_CLOSE:])
        and _PARAMETERS_LABEL.search(around.before)
    ):
        return "trainable_share"
    led = around.before[-2 * _CLOSE :]
    if _TRAIN.search(led) and _PARAMETERS_LABEL.search(led) and not _COMPARES.search(led):
        return "trainable_share"
    near = _CLAUSE.split(around.before[-_CLOSE:])[-1] + _CLAUSE.split(around.after[:_CLOSE])[0]
    if not cues.says_change(near) or _ELSE.match(around.after):
        return None
    if _QUALITY.search(around.before[-_CLOSE:]) and not cues.speaks_of_memory(around.after[:_NEAR]):
        return None
    sized = _SIZED.search(near) or _SMALLER.match(around.after)
    return "change" if sized or cues.speaks_of_memory(near) else None
