"""What a record says of passes without gradients: whether they get labels, and which of them a peak of training holds.

A loss needs the logits of all tokens in float32, which a pass alone does not: labels are taken for given only where
they are named. An evaluation of more rows than a step of training has may be what the peak is of.
"""

from __future__ import annotations

import re
from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record
from toolkit.accuracy.convert.remarks import remarks_of
from toolkit.accuracy.convert.trainers import had_trainer
from toolkit.spec.fields.evaluation import CACHED, EVALUATIONS, NO_LABELS, UNCACHED
from toolkit.spec.fields.result import OWN_LOOP

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
    """Sets a peak apart that an evaluation of more rows may have made: with checkpoints, logits are most of a step."""
    fields = draft.fields
    trains = fields.get("method") not in (None, "inference") and fields.get("head") in (None, _CAUSAL)
    if not trains or reading["metric"] not in _PEAKS or fields.get("gradient_checkpointing") in (None, False):
        return
    text, batch = remarks_of(record), fields.get("batch_size")
    if _NO_EVALUATION.search(text) or isinstance(batch, list | dict):
        return
    rows = _rows(text, _is_trainers(draft, record))
    if rows is not None and (batch is None or rows > batch):
        reading["apart"] = f"the maximum over a run that evaluates batches of {rows} rows, too"


def _is_trainers(draft: Draft, record: Record) -> bool:
    """Whether a Trainer of transformers surely ran, its own or one upon it."""
    trainer = draft.fields.get("stack.trainer")
    return trainer in _TRAINERS if isinstance(trainer, str) else had_trainer(record)


def _rows(text: str, trainers: bool) -> int | None:
    """How many rows an evaluation has at once: stated, or as a Trainer has it, where it surely evaluates."""
    if stated := _ROWS.search(text) or _ARGUMENT.search(text):
        return int(stated[1])
    return _DEFAULT if trainers and _EACH.search(text) else None
