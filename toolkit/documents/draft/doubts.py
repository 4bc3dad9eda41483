"""The questions of a draft: what a document leaves to a guess, so that a claim cannot be judged yet."""

from __future__ import annotations

import re
from typing import Final

from toolkit.documents.draft import words
from toolkit.documents.draft.passages import Level, Passages
from toolkit.documents.draft.stated import Stated
from toolkit.documents.draft.whole import Whole
from toolkit.documents.scan import cues
from toolkit.documents.scan.claim import FoundClaim
from toolkit.documents.scan.context import named_in
from toolkit.documents.scan.pieces import Kind

PEAKS: Final = frozenset({"peak_memory", "activations", "overhead", "kv_cache", "fits"})
"""Quantities that depend on batch, length and software."""

HELD: Final = frozenset({"weights", "gradients", "optimizer_states", "master_weights", "adapters"})
TRAINED: Final = frozenset({"trainable_parameters", "trainable_share"})
_JOINED: Final = re.compile(r"\+|&|,|\band\b|/", re.IGNORECASE)
JUDGED: Final = PEAKS | HELD | TRAINED | {"parameters"}
"""Quantities that are judged by a scenario."""


def doubt(claim: FoundClaim, quantity: str, around: Passages, said: Stated, whole: Whole) -> str | None:
    """The first question that a claim about a scenario raises; None where the document answers all that matter."""
    return (
        _of_scenario(quantity, said)
        or _of_words(claim, quantity, around, said.value("method"))
        or _of_neighbours(quantity, around, said)
        or (_of_surroundings(around, said, whole) if quantity in PEAKS else None)
    )


def _of_scenario(quantity: str, said: Stated) -> str | None:
    if "model" not in said.fields:
        return "which model? several may be meant here" if "model" in said.several else "which model?"
    if quantity == "parameters":
        return None
    method = said.value("method")
    if method is None and quantity != "weights":
        several = "method" in said.several
        return "inference, full fine-tuning, LoRA or QLoRA?" + (" several are named here" if several else "")
    if method == "inference" and quantity in (HELD | TRAINED) - {"weights"}:
        return "of which training? inference has none of it"
    if "weights" in said.several:
        return "in which form are the weights? several may be meant here"
    if quantity == "weights" and "weights" not in said.fields and method != "qlora":
        return "in which precision?"
    return None


def _of_words(claim: FoundClaim, quantity: str, around: Passages, method: str | None) -> str | None:
    """What the words of a claim, or the headings over it, add that the scenario does not say."""
    texts = [around.own_text, *(passage.text for passage in around.above)]
    for text in texts:
        found = words.OWN.search(text)
        if found is not None and not _harmless(quantity, found.group(), method):
            return f'what does "{" ".join(found.group().split())}" change here?'
    if quantity == "fits":
        return None
    sentence = around.sentence if claim.piece.kind is not Kind.CELL else claim.before + claim.after
    if words.COMPARES.search(sentence):
        return "of which of the two that are compared?"
    if quantity == "peak_memory" and words.CARD_SIZE.search(around.own_text):
        return "what is used, or a card to have?"
    return "is this certain? the sentence denies or limits it" if words.NEGATES.search(sentence) else None


def _harmless(quantity: str, word: str, method: str | None) -> bool:
    """Whether a word adds nothing to its claim, such as that LoRA freezes the model."""
    word = word.casefold()
    if method in {"lora", "qlora"} and word.startswith(("freez", "frozen")):
        return True
    return quantity in {"overhead", "kv_cache", "activations"} and word in {"adds", "extra", "additional", "plus"}


def _of_neighbours(quantity: str, around: Passages, said: Stated) -> str | None:
    """What the sentences before name, where a field was taken from further away."""
    near = named_in(around.near[-600:])
    for field, name in (("method", "method"), ("model", "model"), ("precision", "weights")):
        known = said.fields.get(name)
        others = near.get(field, frozenset()) - {known.value if known else ""}
        if field == "model":
            others = frozenset(other for other in others if "/" in other)
        if field == "method":
            others -= {"lora"} if known and known.value == "qlora" else frozenset()
            others -= {"inference"} if not words.SERVES.search(around.near) else frozenset()
        if known is not None and known.level is not Level.OWN and others and quantity != "parameters":
            return f"still about {known.value}? {min(others)} is named just before"
    return None


def _of_surroundings(around: Passages, said: Stated, whole: Whole) -> str | None:
    """What the section, or the opening of the document, says of software and hardware that change every peak."""
    word = whole.means_in(0, whole.opening) or whole.means_in(*around.section) or whole.theme
    if word is not None:
        return f'with "{" ".join(word.split())}"? the document speaks of it'
    if "batch_size" in said.several:
        return f"at which batch size? {_elsewhere(whole.numbers('batch_size'))}"
    if "sequence_length" in said.several:
        return f"at which length? {_elsewhere(whole.numbers('sequence_length'))}"
    return None


def _elsewhere(numbers: dict[int, int]) -> str:
    named = [f"{number:,} in line {line}" for number, line in sorted(numbers.items())[:3]]
    return f"the document names {', '.join(named)}" if named else "it is not said plainly"


def doubtful_quantity(claim: FoundClaim) -> str | None:
    """The part of memory that the heading over a figure, or a label of its cell, names where it was read as another."""
    parts = _parts_named(claim)
    if not parts or claim.quantity in parts or claim.quantity not in HELD | PEAKS - {"fits"}:
        return None
    return parts[0]


def sums(claim: FoundClaim, quantity: str, equation: str | None) -> str | None:
    """What must be asked of a figure that adds several parts, or is one of those that are added."""
    if equation is not None and "+" in equation:
        whole = claim.value is not None and equation.rstrip(" *_`").endswith(claim.value.text.rstrip(" *_`"))
        return None if whole and quantity == "peak_memory" else "which part of the sum is this?"
    several = len(set(_parts_named(claim))) > 1 and quantity in HELD
    return "which parts are counted together?" if several else None


def _parts_named(claim: FoundClaim) -> list[str]:
    piece = claim.piece
    labels = (piece.row, piece.column) if piece.kind is Kind.CELL else piece.headings[:1]
    words_of = [part for label in labels for part in _JOINED.split(label)]
    named = [part for label in words_of if (part := cues.component(label)) is not None]
    return [part for part in named if part not in {"peak_memory", "disk", "host_memory"}]
