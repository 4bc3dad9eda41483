"""What a record says of passes without gradients: whether they get labels, and which of them a peak of training holds.

A loss needs the logits of all tokens in float32, which a pass alone does not: labels are taken for given only where
they are named. An evaluation of more rows than a step of training has may be what the peak is of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record
from toolkit.accuracy.convert.remarks import remarks_of
from toolkit.accuracy.convert.trainers import had_trainer
from toolkit.spec.fields.evaluation import CACHED, EVALUATIONS, NO_LABELS, UNCACHED
from toolkit.spec.fields.result import OWN_LOOP
from toolkit.spec.fields.validation import LOSSES, STRATEGIES, TRAINERS

_UNLABELLED = re.compile(r"\b(?:no|without|not given|not passed) (?:any )?labels\b|\blabels ?= ?none\b")
_LABELLED = re.compile(r"\b(?:with|given|passes|passing|gets) (?:the |its )?labels\b|\blabels ?= ?\w")
_LOSS = re.compile(r"(?<!no )(?<!not )(?<!without )(?<!without a )\b(?:perplexity|ppl|cross[- ]entropy|loss)\b")
_UNCACHED = re.compile(r"\buse_cache ?= ?false\b|\bno (?:kv[- ])?cache\b|\bwithout (?:a )?(?:kv[- ])?cache\b")

_EVALUATION = r"\b(?:eval|evaluations?|validations?)\b"
_NO_EVALUATION = re.compile(
    r"\b(?:no|without(?: an?)?|before(?: the)?) (?:eval|evaluation|validation)s?\b"
    r"|\b(?:evaluation|validation)s? (?:is |are |was |were )?(?:not in|not within|left out|off\b|disabled|excluded)"
)
_ROWS = re.compile(_EVALUATION + r"[^;.]{0,60}?\bbatch(?:es)?(?:[ _]size)?\b(?: of)?\W{0,3}(\d{1,5})\b")
_ARGUMENT = re.compile(r"\bper_device_eval_batch_size\b[^;.\d]{0,20}(\d{1,5})\b")
_EACH = re.compile(_EVALUATION + r"[^;.]{0,40}?\b(?:each|every) (?:epoch|\d{1,6} steps)\b")
_DEFAULT = 8
"""Rows of a batch that transformers' Trainer evaluates, unless it is told otherwise."""
_TRAINERS = frozenset({"transformers", "trl", "unsloth"})
_PEAKS = ("allocated", "reserved", "device")


def say_labels(draft: Draft, record: Record) -> None:
    """Whether a pass that generates nothing gets labels; where words tell of a loss alone, it is open."""
    one_pass = draft.fields.get("method") == "inference" and draft.fields.get("generated_length") == 0
    if not one_pass or draft.fields.get("stack.trainer") != OWN_LOOP or draft.fields.get("head") not in (None, _CAUSAL):
        return
    text = remarks_of(record)
    if _UNLABELLED.search(text):
        draft.say("evaluation", NO_LABELS)
    elif _LABELLED.search(text):
        draft.say("evaluation", UNCACHED if _UNCACHED.search(text) else CACHED)
    elif _LOSS.search(text):
        draft.say("evaluation", list(EVALUATIONS))
    if draft.fields.get("evaluation") not in (None, NO_LABELS) and draft.fields.get("cache.implementation") == "none":
        del draft.fields["cache.implementation"]  # it is the pass with labels that keeps none


_CAUSAL = "causal-lm"


def say_evaluated(draft: Draft, record: Record, reading: dict[str, Any]) -> None:
    """An evaluation of more rows than a step has, within the peak: a validation, or set apart where none is followed.

    With checkpoints, logits are most of a step: elsewhere what is not followed is hardly more than it.
    """
    fields, text = draft.fields, remarks_of(record)
    trains = fields.get("method") not in (None, "inference")
    if not trains or reading["metric"] not in _PEAKS or _NO_EVALUATION.search(text):
        return
    batch, rows = fields.get("batch_size"), _rows(text, _is_trainers(draft, record))
    if rows is None or isinstance(batch, list | dict) or (batch is not None and rows <= batch):
        return
    if _is_followed(fields) and "sequence_length" in fields:
        draft.say("validation.batch_size", rows)
        if longest := _longest(fields):
            draft.say("validation.sequence_length", {"from": 1, "to": longest})
    elif fields.get("head") in (None, _CAUSAL) and fields.get("gradient_checkpointing") not in (None, False):
        reading["apart"] = f"the maximum over a run that evaluates batches of {rows} rows, too"


def _is_followed(fields: Mapping[str, Any]) -> bool:
    """Whether a validation of any stack that it may be is followed."""
    known = {"stack.trainer": TRAINERS, "stack.loss": LOSSES, "parallel.strategy": STRATEGIES, "objective": ()}
    for name, values in known.items():
        said = fields.get(name)
        if any(one not in (None, *values) for one in (said if isinstance(said, list) else [said])):
            return False
    return True


def _longest(fields: Mapping[str, Any]) -> int | None:
    """The most tokens that a row may have which is evaluated; None where all have as many."""
    length = fields["sequence_length"]
    if fields.get("padding") is True or fields.get("packing") not in (None, "none"):
        return None
    longest = length["to"] if isinstance(length, dict) else length
    return longest if isinstance(longest, int) else None


def _is_trainers(draft: Draft, record: Record) -> bool:
    """Whether a Trainer of transformers surely ran, its own or one upon it."""
    trainer = draft.fields.get("stack.trainer")
    return trainer in _TRAINERS if isinstance(trainer, str) else had_trainer(record)


def _rows(text: str, trainers: bool) -> int | None:
    """How many rows an evaluation has at once: stated, or as a Trainer has it, where it surely evaluates."""
    if stated := _ROWS.search(text) or _ARGUMENT.search(text):
        return int(stated[1])
    return _DEFAULT if trainers and _EACH.search(text) else None
