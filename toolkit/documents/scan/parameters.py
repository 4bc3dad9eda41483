"""Determines which count of parameters, or share of them, a figure states, if any."""

from __future__ import annotations

import re
from typing import Final

from toolkit.documents.scan.around import Around
from toolkit.documents.scan.pieces import Kind
from toolkit.quantity import Dimension, Value

_FEWEST: Final = 1_000
_CLOSE: Final = 48
_NEAR: Final = 28
_PARAMETERS_AFTER: Final = re.compile(
    r"[\s*_`)-]{0,6}(?:de\s|d['’]\s?|di\s|der\s|的)?(?:[\u4e00-\u9fff]{1,3}(?=参数))?(?:(?:total|trainable|active"
    r"|activated|learnable|model|million"
    r"|billion|lora|adapter|non-embedding|trainierbaren?|lernbaren?|visual|vision|text|language|encoder|decoder"
    r"|dense|aktiven?|actifs|activos)[\s-]+)"
    r"{0,3}(?:param(?:eter)?s?|[a-zäöü]{0,12}parametern?|param[eè]tres|par[aáâ]metros|параметр\w*|参数|パラメータ"
    r"|파라미터|(?:尺寸|规模|量级))(?![A-Za-z])(?!\s?[×*x]\s)",
    re.IGNORECASE,
)
"""After a count: "7B parameters", "4.2 M trainable params"."""

_PARAMETERS_BEFORE: Final = re.compile(
    r"(?:(?:\b|_)param(?:eter)?s?(?: counts?| size)?(?: (?:in total|that train\w*|trained|overall))?|参数量?"
    r"|\bparameter(?:an)?zahl|\banzahl der parameter|\bnombre de paramètres|\bnúmero de par[áâ]metros"
    r"|パラメータ数?)(?:\s?\([^()]{1,20}\))?"
    r"[\s*_`]*(?:[:：=|≈~]|\bis\b|\bof\b|\bto\b|为|是|约|共|达|は|が)[\s*_`~≈(约約]*\Z",
    re.IGNORECASE,
)
"""Before a count: "Parameters: ", "number of params trained is"."""

_CHANGES_TO: Final = re.compile(
    r"\bparam(?:eter)?s?\b[^.;\d]{0,24}\b(?:from|to)\s(?:[0-9][0-9.,]*\s?[BM]?\sto\s)?\Z", re.IGNORECASE
)
"""Before the end of a change: "reduces parameters from 7B to"."""

_RANGES_TO: Final = re.compile(
    r"(?:,\s?[0-9][0-9.,]*\s?[BM]){0,5}(?:,?\s?(?:and|&|/|or|y|et|und|e)\s"
    r"|\s?[/、,]\s?)[0-9][0-9.,]*\s?[BM]\s(?:[a-z]+[\s-]){0,2}par[aá]m"
    r"|\s?(?:to|and|–|-)\s?[0-9][0-9.,]*\s?(?:[BM]|billion|million)\s(?:[a-z]+\s)?param",
    re.IGNORECASE,
)
"""After the first of several counts: "7B, 13B and 70B parameters"."""

_PARAMETERS_LABEL: Final = re.compile(r"\bparam(?:eter)?n?s?\b|\bpar[aáâ]m[eè]t\w*|参数|パラメータ", re.IGNORECASE)
"""Labels of counts of parameters: "Params", "Parámetros"."""

_TRAINABLE: Final = re.compile(
    r"(?<!non-)\btrainable\b|\blora\b|\badapters?\b|\blearnable\b|\btrained\b|\btrainier\w*|\bentraîn\w*|\bentren\w*"
    r"|\btrein\w*"
    r"|可训练|学習可能",
    re.IGNORECASE,
)
"""Words beside a count of trained parameters: "trainable", "adapter"."""

_TRAIN: Final = re.compile(
    r"\btrain\w*\b|\blora\b|\badapters?\b|\bentraîn\w*|\bentren\w*|\btrein\w*|可训练|学習可能", re.IGNORECASE
)
_OUT_OF: Final = re.compile(
    r"[\s*_`]*(?:of|out of|/)\s(?:the\s)?[0-9][0-9.,]*\s?(?:[BM]|billion|million)?\s(?:total\s|model\s)?param",
    re.IGNORECASE,
)
"""After a count of trained parameters: "4M of 7B total parameters"."""

_TOTAL: Final = re.compile(r"[\s*_`]*total\b", re.IGNORECASE)
"""After a count of all parameters: "7B total"."""

_MAY_COUNT: Final = re.compile(r"par[aáâ]m|парам|参数|參數|パラメ|파라미|\bactiv|→|->|=>", re.IGNORECASE)
"""What a text has in it that states any count of parameters."""

_ACTIVE: Final = re.compile(
    r"[\s*_`-]{0,4}(?:active|activated|activos?|activ[ée]s|actifs|ativos|aktive?n?)\b(?! users| requests)",
    re.IGNORECASE,
)
"""After a count of active parameters: "3B active"."""

_TOKENS: Final = re.compile(
    r"[\s*_`-]{0,3}(?:tokens?|examples?|samples?|rows|steps|downloads|words|users|images|times)\b", re.IGNORECASE
)
"""After a count of something else: "15M tokens"."""

_BESIDE: Final = re.compile(
    r"\bparam(?:eter)?s?\b[^.;]{0,24}(?:\d\S{0,12}|million|billion)[*_\s]*\((?:or\s|i\.e\.\s)?\Z"
    r"|\bparam(?:eter)?s?\b[^.;\d]{0,24}\(\Z|\bparam(?:eter)?s?\b[^.;\d]{0,24}\(\d[\d.]*[MB]\s?/\s?\Z",
    re.IGNORECASE,
)
"""Before a second count in brackets: "parameters of 7,615,616,512 ("."""

_LISTED_AFTER: Final = re.compile(r"\s?[/,、]\s?[0-9]")
"""After the first of listed sizes: "7B/13B"."""

_LISTED_BEFORE: Final = re.compile(r"[0-9][BM]\s?[/,、]\s?\Z")
"""Before the last of listed sizes: "7B/13B"."""

_PAIRED: Final = re.compile(r"/ ?(?:total |all )?param|\bparam\w* ?/", re.IGNORECASE)
"""Labels of two counts in one cell: "trainable / total params"."""

_TOTAL_LAST: Final = re.compile(r"/ ?(?:total|all)\b", re.IGNORECASE)
"""Labels of two counts of which the second is the total: "trainable / total"."""

_MODEL_SIZE: Final = re.compile(r"\W*(?:base )?model(?: size)?\W*", re.IGNORECASE)
"""Labels of rows with the size of a model: "Base model size"."""

_SIZE_COLUMN: Final = re.compile(
    r"\W*(?:(?:model |llm )?sizes?|taille(?: du modèle)?|tamaño(?: del modelo)?|tamanho(?: do modelo)?|modellgröße"
    r"|größe|размер(?: модели)?|模型(?:大小|规模)|大小|(?:모델 ?)?크기|(?:モデル)?サイズ|activ(?:e|ated)|激活)\W*",
    re.IGNORECASE,
)
"""Headings of columns in which a count is the size of a model, or of what of it is active: "Model size" over "7B"."""

_MODEL_WORD: Final = re.compile(
    r"[\s*_`-]{0,6}(?:dense|moe|mixture|transformer|backbone|encoder|decoder|base module|text[- ]to|upscal\w+"
    r"|diffusion|dit\b|unet|u-net|llm\b|vlm\b|language model|vision|draft|distil\w+"
    r"|尺寸|规模|量级|级别?|級|サイズ|규모|크기|scale\b|size\b"
    r"|(?:je|per|pro|par|por)\s+token)",
    re.IGNORECASE,
)
"""What follows the size of a model, or of a part of one: "a 32B transformer", "4.3B text to 64x64 base module"."""

_IN_BRACKETS: Final = re.compile(
    r"(?P<name>(?=[^(（]{0,38}[A-Za-z]{2})[A-Za-z0-9][\w.-]{0,38}[A-Za-z0-9.\]])[*_`]{0,3}(?: (?:series|family"
    r"|models?|suite))?[*_`]{0,3}\s?[(（][*_`~≈]{0,3}(?:from )?"
    r"(?:[0-9.]{1,6}[BM](?:, ?|/| and | to |–|-)){0,6}\Z"
)
"""Before a size in brackets behind a name: "Mistral ("."""

_CLOSES: Final = re.compile(r"[*_`]{0,3}\s?(?:[)）](?![_./\w])|[,;/–-]| and | to | text| dense| moe)", re.IGNORECASE)
_NO_MODEL: Final = re.compile(
    r"^(?:(?:fp|bf|int|nf|float|uint|q|tf)[0-9]\w*|\w*(?:data|corpus|instruct-?ion|zh|en|chat|tokens?|steps?"
    r"|samples?|users?|rows"
    r"|dialogue|math|images?|text|cap|layers?|batch|pile|web|bytes?))$",
    re.IGNORECASE,
)
"""Names before brackets that are not those of models: "fp16", "tokens"."""

_FAMILY: Final = re.compile(
    r"\b(?:models|series|family|families|variants|(?:model )?sizes?|scales?|LLMs)\b(?: sizes?)?,?\s"
    r"(?:(?:of|from|ranging from|between|with)\s|\((?:from )?)"
    r"[*_`~]{0,3}(?:[0-9.]{1,6}[BM]\s?(?:to|–|-|and|,)\s?[*_`~]{0,3}){0,6}\Z",
)
"""Before the sizes of a family: "models ranging from"."""

_AGAINST: Final = re.compile(
    r"\bparam(?:eter)?s?\b\s(?:vs\.?|versus|against|instead of|rather than|compared (?:to|with)"
    r"|out of)\s(?:the\s)?[*_`~]{0,3}\Z",
    re.IGNORECASE,
)
"""Before a count to compare with: "parameters vs"."""

_ACTIVATES: Final = re.compile(
    r"\b(?:activat|aktivier|activ)\w*\s(?:only\s|about\s|just\s|nur\s)?[*_`~]{0,3}\Z", re.IGNORECASE
)
"""Before a count of active parameters: "activates only"."""

_NAME_BEFORE: Final = re.compile(r"(?:[A-Z][\w.]*|[0-9.]+|[-_/])[*_`]{0,3}[ -]?\Z")
"""A name before a size, of which the size is a part: "Llama 7B"."""

_LEAST_MODEL: Final = 10_000_000
_FIRST_COLUMN: Final = re.compile(
    r"\W*(?:(?:model|llm) sizes?|modellgröße|taille(?: du)? modèle|tamaño del modelo|tamanho do modelo"
    r"|模型(?:大小|规模)|모델 ?크기|モデルサイズ|размер модели)\W*",
    re.IGNORECASE,
)
"""Headings of a first column with sizes of models: "Model size"."""

_ARROW_BEFORE: Final = re.compile(r"[0-9][MB]\s?(?:→|->|=>)\s?\Z")
_ARROW_AFTER: Final = re.compile(r"\s?(?:→|->|=>)\s?~?[0-9]{1,4}(?:\.[0-9]+)?[MB]\b")
"""After the start of "34B → 13B"."""


def counts_parameters(text: str) -> bool:
    """Whether anything in a text may make a number of it one of parameters."""
    return _MAY_COUNT.search(text) is not None


def labels_parameters(label: str) -> bool:
    """Whether the heading of a column is that of counts of parameters."""
    return _PARAMETERS_LABEL.search(label) is not None


def says_trained(text: str) -> bool:
    """Whether a text speaks of what is trained."""
    return _TRAIN.search(text) is not None


def of_count(value: Value, around: Around) -> str | None:
    """The quantity of a count: parameters, those that are trained, or none."""
    if max(value.printed) * value.unit.readings[0][1] < _FEWEST or _TOKENS.match(around.after):
        return None
    listed = _LISTED_AFTER.match(around.after) or _LISTED_BEFORE.search(around.before)
    labels = f"{around.column} {around.row}"
    if around.kind is Kind.CELL and listed and not _PAIRED.search(labels):
        return None  # the sizes that a family comes in
    counted = value.unit.dimension is Dimension.COUNT and _sizes(around)
    cell = around.kind is Kind.CELL and bool(_PARAMETERS_LABEL.search(around.column) or counted)
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
    if around.kind is Kind.CELL and _LISTED_BEFORE.search(around.before) and _TOTAL_LAST.search(labels):
        return "parameters"
    changes = value.unit.dimension is Dimension.COUNT and _sizes_change(around)
    if not (cell or row or follows or leads or total or active or beside or changes):
        return "parameters" if value.unit.dimension is Dimension.COUNT and _of_a_model(value, around) else None
    if total or active or changes or (beside and "/" in beside.group()):
        return "parameters"
    near = (around.column if cell else around.row) if cell or row else ""
    said = near or (follows.group() if follows else "") + around.before[-_NEAR:]
    return "trainable_parameters" if _TRAINABLE.search(said) else "parameters"


def _of_a_model(value: Value, around: Around) -> bool:
    """Whether the words around a count with a "B" or an "M" make it the size of a model, or of a part of one."""
    if (
        not around.models
        or max(value.printed) * value.unit.readings[0][1] < _LEAST_MODEL
        or " " in value.text.strip("~≈ ")
    ):
        return False
    before, after = around.before[-2 * _CLOSE :], around.after[:_CLOSE]
    if around.kind is Kind.CELL and _FIRST_COLUMN.fullmatch(around.column):
        return not before.strip(" *_`~≈") and not after.strip(" *_`+")
    if _AGAINST.search(before) or _ACTIVATES.search(before) or _FAMILY.search(before):
        return True
    if around.kind is Kind.HEADING or (around.kind is Kind.CELL and not around.row):
        return False  # the name of a section or of a row
    if (found := _IN_BRACKETS.search(before)) and _CLOSES.match(after):
        return _NO_MODEL.fullmatch(found["name"]) is None
    return _MODEL_WORD.match(after) is not None and not _NAME_BEFORE.search(before)


def _sizes(around: Around) -> bool:
    """Whether a cell states the size of the model that its row names; a size in the first column is that name."""
    return bool(around.row and _SIZE_COLUMN.fullmatch(around.column))


def _sizes_change(around: Around) -> bool:
    """Whether a count is an end of "34B → 13B"."""
    return bool(_ARROW_BEFORE.search(around.before[-_CLOSE:]) or _ARROW_AFTER.match(around.after))
