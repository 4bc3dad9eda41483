"""The software that ran, and its releases: by what a record says of them in its task, remarks, repository, versions."""

from __future__ import annotations

import re

from toolkit.accuracy.convert.draft import MAX_REMARK, Draft, Record
from toolkit.accuracy.convert.remarks import remarks_of
from toolkit.accuracy.convert.vocabulary import vocabulary
from toolkit.facts.models import load_model
from toolkit.facts.names import UnknownName
from toolkit.spec.fields import names

_MASKED_LM = re.compile(r"\bmasked[ -]lm\b|\bmlm\b")
_CLASSIFIER = re.compile(r"\b(?:sequence|text)[ -]classif\w+")
_MODEL_CLASS = re.compile(r"\b\w*(?<!t5)for(sequenceclassification|tokenclassification|maskedlm|causallm)\b")
_HEADS = {"sequenceclassification": "sequence-classification", "tokenclassification": "token-classification",
          "maskedlm": "masked-lm", "causallm": "causal-lm"}  # fmt: skip
"""Classes of transformers' models with a head, as they end, and the head."""
_LABELS = re.compile(r"\b(\d{1,5}) labels\b|\bnum_labels ?= ?(\d{1,5})\b")
_HUGGING_FACE = re.compile(
    r"\badamw_(?:torch|hf|bnb|apex|anyprecision)|\bpaged_\w+_\d+bit\b|\bhf (?:trainer|default)\b|\btrainingarguments\b"
    r"|\b(?:hugging ?face|transformers)(?:'s?|\.)? trainer\b|\btrainer of transformers\b"
)
"""Words of transformers' training arguments: a Trainer ran, its own or TRL's, but not a loop of somebody's own."""
_OWN_LOOP = re.compile(
    r"\b(?:own|manual|custom|hand-?(?:written|made|rolled))"
    r" (?:(?:greedy|autoregressive|decod\w+|generation|token) ){0,2}loop"
    r"|\bnot (?:by )?generate\(|\bwithout generate\b|\breturned past_key_values\b"
)
"""What says of a run that it called the model itself, one token after the other."""
BARE_PASS = re.compile(r"\b(?:one|a|single) forward (?:pass )?and (?:one )?backward pass\b|\bno optimizer steps?\b")
"""What says of training that no Trainer ran, which steps; releases stated are those of what is installed then."""
_ASKED = re.compile(r"\b(?:model\.|transformers'? |hugging ?face |hf )generate\(")


def head_of(task: str) -> str | None:
    """The head that a task names, None for that of a language model or where none is named."""
    if _MASKED_LM.search(task.casefold()):
        return "masked-lm"
    return "sequence-classification" if _CLASSIFIER.search(task.casefold()) else None


def say_head(draft: Draft, record: Record) -> None:
    """Says the head that a task names; that of an encoder, which has none of a causal model, is open."""
    named = head_of(record["task"]) or _head_in(remarks_of(record))
    if named in names.CLASSIFIERS and (labels := _LABELS.search(remarks_of(record))):
        draft.say("labels", int(labels[1] or labels[2]))
    if named is None and "head" not in draft.fields and _is_encoder(draft.fields.get("model")):
        trains = draft.fields.get("method") != "inference"
        draft.say("head", ["sequence-classification", "masked-lm", *([] if trains else ["base"])])
    draft.say("head", named)


def _head_in(text: str) -> str | None:
    """The head of the one class of models that remarks name: AutoModelForSequenceClassification."""
    found = {_HEADS[one] for one in _MODEL_CLASS.findall(text)}
    return found.pop() if len(found) == 1 else None


def _is_encoder(model: object) -> bool:
    """Whether a model's own architecture fills in masked words: transformers has no causal one of such."""
    facts = load_model(model) if isinstance(model, str) else None
    if facts is None or isinstance(facts, UnknownName):
        return False
    named = facts.config.get("architectures") or ()
    return bool(named) and all(str(one).endswith(("ForMaskedLM", "ForPreTraining")) for one in named)


def say_trainer(draft: Draft, record: Record) -> None:
    """The software that ran, where the record surely says it: in its task, its repository, remarks or releases."""
    if "stack.trainer" in draft.fields:
        return
    repository = record["source"]["repo"].rpartition("/")[2]
    own = " ; ".join(str(record[name] or "") for name in ("task", "metric", "attn_impl"))
    own = f"{repository} ; {own.replace('_', ' ')}".casefold()
    text = f"{own} ; {remarks_of(record)}"
    stated = _trainers_by_release(draft)
    bare = draft.fields.get("method") != "inference" and BARE_PASS.search(text) is not None
    found = {name for sign, name in vocabulary()["frameworks"].items() if _names(sign, text)}
    found |= set() if bare else stated
    decodes = draft.fields.get("method") == "inference" and _OWN_LOOP.search(text) is not None
    if (decodes or _ASKED.search(text)) and "vllm" not in stated and not _names("vllm", own):
        found -= {"vllm"}  # an engine that remarks on such a run name is another
    others = [sign for sign in vocabulary()["other_frameworks"] if _names(sign, own if sign in _KERNELS_TOO else text)]
    if "vllm" in found or draft.fields.get("method") == "inference":
        found &= {"vllm", "autoawq", "litgpt", "transformers"}
    if others:
        draft.beyond["trainer"] = ", ".join(others)[:MAX_REMARK]
    elif (decodes and "vllm" not in found) or (bare and not found):
        draft.say("stack.trainer", "plain")
    elif found:
        draft.say("stack.trainer", next((name for name in _MOST_SPECIAL if name in found), None))
    elif draft.fields.get("method") not in (None, "inference") and not had_trainer(record):
        language = "head" not in draft.fields  # all that TRL trains is a language model
        draft.say("stack.trainer", ["transformers", *(["trl"] if language else []), "plain"])


def had_trainer(record: Record) -> bool:
    """Whether a Trainer surely ran, and no loop of somebody's own; which of the two that there are, may be open."""
    return _HUGGING_FACE.search(f"{record['optimizer'] or ''} ; {remarks_of(record)}".casefold()) is not None


_KERNELS_TOO = ("exllama", "exllamav2")
"""Engines whose kernels others use: a remark that names one may be about these."""

_MOST_SPECIAL = ("vllm", "autoawq", "litgpt", "torchtune", "torchtitan", "unsloth", "trl", "transformers", "plain")
"""Where several are named, the first: Unsloth stands on TRL, TRL on transformers, a loop of one's own on none."""


def _names(sign: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(sign)}(?![\w-])", text) is not None


def _trainers_by_release(draft: Draft) -> set[str]:
    """Software whose release is stated for this run alone is there because it ran."""
    return {name for name in ("vllm", "litgpt", "torchtune", "torchtitan", "unsloth", "trl") if
            f"stack.{name}" in draft.fields}  # fmt: skip
