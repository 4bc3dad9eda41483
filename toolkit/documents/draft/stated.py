"""Reads from a document the fields of a figure's situation, and where they are stated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from toolkit.documents.draft import words
from toolkit.documents.draft.passages import Level, Passage, Passages
from toolkit.documents.draft.whole import Whole, models_of, number_of, parameters_of, size_digits
from toolkit.documents.scan.context import WHOLE_FLOATS, named_in
from toolkit.documents.scan.names import size_in_name
from toolkit.frozen import frozen

SETTINGS: Final[Mapping[str, re.Pattern[str]]] = {
    "batch_size": re.compile(
        r"\b(?:micro[- ]?|train[- _]?)?(?:batch(?:[-_ ]size)?|bsz|bs)\b(?: of|[:=\s])\s?[*_`]{0,2}([0-9]{1,5})\b",
        re.IGNORECASE,
    ),
    "sequence_length": re.compile(
        r"\b(?:max[-_ ]?)?(?:seq(?:uence)?(?:[-_ ]?len(?:gth)?)?)\b(?: of|[:=\s])\s?[*_`]{0,2}([0-9][0-9,]{0,8})\b",
        re.IGNORECASE,
    ),
}
"""Settings whose numbers are read from the document, each with its number as the group."""

COMPONENTS: Final = frozenset({"gradients", "optimizer_states", "master_weights", "adapters", "activations"})
"""Quantities of which a precision that stands beside them is their own, not that of the weights."""

_OWN_DTYPE: Final = {"gradients": "gradients", "optimizer_states": "optimizer_states", "adapters": "lora.dtype"}
_LIKE: Final = 0.2
_HALVES: Final = frozenset({"fp16", "bf16"})
"""Precisions of the same size."""

_ALL: Final = frozenset({"fp32", "bf16", "fp16", "int8", "nf4", "mxfp4"})
_POSSIBLE: Final[Mapping[str, frozenset[str]]] = {
    "full": WHOLE_FLOATS,
    "lora": WHOLE_FLOATS | {"int8"},
    "qlora": WHOLE_FLOATS | {"nf4"},
}
"""Forms of weights, or of products, that a precision may mean, by method; of inference it may be any."""


@frozen
class Said:
    """A value of a field, how near it is said, and its offset in the text as it was meant.

    `number` is the span of a number that is to be read from the document.
    """

    value: str
    level: Level
    offset: int
    number: tuple[int, int] | None = None


@frozen
class Stated:
    """The fields that a document states of one figure, and those for which it names several values."""

    fields: Mapping[str, Said]
    several: frozenset[str]

    def value(self, field: str) -> str | None:
        """The value of a field; None where it is not stated."""
        said = self.fields.get(field)
        return said.value if said else None


def stated(quantity: str, around: Passages, whole: Whole) -> Stated:
    """What is stated of a figure of a quantity; the nearest text that names a field decides it, or leaves it open."""
    fields: dict[str, Said] = {}
    several: set[str] = set()
    for name, said in (
        ("model", _model(around, whole)),
        ("method", _named("method", around)),
        ("precision", _named("precision", around)),
        ("gpu", _named("gpu", around)),
        *((setting, _number(setting, around)) for setting in SETTINGS),
    ):
        if isinstance(said, Said):
            fields[name] = said
        elif said:
            several.add(name)
    _settle_method(fields, several, around, whole)
    _settle_weights(quantity, fields, several, whole)
    return Stated(fields, frozenset(several))


def _named(field: str, around: Passages) -> Said | bool:
    """What the nearest text names for a field; True where it names several, False where none names any."""
    for level, group in _groups(around):
        names: dict[str, Passage] = {}
        for passage in group:
            for name in _names(field, passage.text):
                names.setdefault(name, passage)
        if names:
            name, passage = next(iter(names.items()))
            return Said(name, level, passage.start) if len(names) == 1 or set(names) == _HALVES else True
    return False


def _groups(around: Passages) -> list[tuple[Level, tuple[Passage, ...]]]:
    return [(Level.OWN, around.own), *((Level.ABOVE, (passage,)) for passage in around.above)]


def _names(field: str, text: str) -> frozenset[str]:
    names = named_in(text).get(field, frozenset())
    if field != "method":
        return names
    if "qlora" in names:
        names -= {"lora"}
    return names if words.SERVES.search(text) else names - {"inference"}


def _model(around: Passages, whole: Whole) -> Said | bool:
    """The model, by its name; one that is named further away must have a size that is named nearer."""
    sizes: set[str] = set()
    for level, group in _groups(around):
        text = "\n".join(passage.text for passage in group)
        sizes |= {found[1].casefold() for found in words.SIZES.finditer(text.replace(around.figure or "\0", " ", 1))}
        known = models_of(text)
        if len(known) > 1:
            return True
        if not known and (short := whole.short_named(text)) is not None:
            known = frozenset({short})
        if known:
            model = next(iter(known))
            return Said(model, level, group[0].start) if _of_size(model, sizes) else True
    if whole.model is None:
        return False
    return Said(whole.model, Level.WHOLE, 0) if _of_size(whole.model, sizes) else True


def _of_size(model: str, sizes: set[str]) -> bool:
    """Whether a model is of the one size that is named, by its name or else by its parameters."""
    if not sizes:
        return True
    named = size_digits(size_in_name(model))
    if named:
        return sizes == {named}
    count = parameters_of(model)
    return count is None or all(abs(float(size) * 10**9 - count) < _LIKE * count for size in sizes)


def _number(field: str, around: Passages) -> Said | bool:
    """A setting whose number stands in the nearest text that names it."""
    for level, group in _groups(around):
        found = [(passage, match) for passage in group for match in SETTINGS[field].finditer(passage.text)]
        if len({match[1] for _, match in found}) > 1:
            return True
        if found:
            passage, match = found[0]
            start, end = (passage.start + place for place in match.span(1))
            number = number_of(match[1])
            return Said(str(number), level, start, (start, end)) if number else True
        if any(named_in(passage.text).get(field) for passage in group):
            return True  # it is named in a way that may mean something else: "a context of 8k"
    return False


def _settle_method(fields: dict[str, Said], several: set[str], around: Passages, whole: Whole) -> None:
    """A document that speaks of no training speaks of inference; LoRA beside weights in 4 bits is QLoRA.

    So is LoRA in a section on QLoRA.
    """
    if "method" not in fields and "method" not in several and not whole.trains:
        fields["method"] = Said("inference", Level.WHOLE, 0)
    method, precision = fields.get("method"), fields.get("precision")
    if method and method.value == "qlora" and method.level is not Level.OWN and _labelled_whole(around):
        several.add("method")
        del fields["method"]
    if method is None or method.value != "lora":
        return
    over = next((passage for passage in around.above if _names("method", passage.text) == {"qlora"}), None)
    if over is not None:
        fields["method"] = Said("qlora", Level.ABOVE, over.start)
    elif precision and precision.value in {"nf4", "int4"}:
        fields["method"] = Said("qlora", max(method.level, precision.level), method.offset)


def _labelled_whole(around: Passages) -> bool:
    """Whether a label of the figure's cell names weights that are not quantized, as a row to compare with does."""
    return any(named_in(label.text).get("precision", frozenset()) & WHOLE_FLOATS for label in around.own[1:])


def _settle_weights(quantity: str, fields: dict[str, Said], several: set[str], whole: Whole) -> None:
    """What a precision says of the weights: only what it cannot mean otherwise."""
    said, method = fields.pop("precision", None), fields.get("method")
    if said is None:
        if "precision" in several:
            several.add("weights")
        return
    if _of_a_part(quantity, said, fields):
        return
    form = _form(said.value, whole)
    doing = method.value if method else None
    of_weights = quantity == "weights" and doing != "qlora"
    if form is None or form not in _POSSIBLE.get(doing or "", _ALL):
        several.add("weights")
    elif of_weights or doing in {None, "inference"} or form == "int8" or (doing, form) == ("full", "fp32"):
        fields["weights"] = replace(said, value=form)
    # Of training in 16 bits a document may mean the weights or the products alone; QLoRA's weights are NF4.


def _of_a_part(quantity: str, said: Said, fields: dict[str, Said]) -> bool:
    """Whether a precision is that of the part of memory that a figure is about; it is then said of that part."""
    method = fields.get("method")
    if quantity == "master_weights" and method and method.value == "full":
        fields |= {
            name: replace(said, value=value) for name, value in (("master_weights", "fp32"), ("weights", "bf16"))
        }
        return True
    if quantity not in COMPONENTS or said.value not in WHOLE_FLOATS:
        return False
    if (field := _OWN_DTYPE.get(quantity)) is not None and said.level is Level.OWN:
        fields[field] = said
    return True


def _form(precision: str, whole: Whole) -> str | None:
    """The form of weights that a precision names; None where it names several."""
    if precision in {"int4", "int8"}:
        if "other" in whole.forms or (precision == "int4" and "nf4" not in whole.forms):
            return None
        return "nf4" if precision == "int4" else "int8"
    return None if precision == "fp8" else precision
