"""The steps of a setting on a device: two optimizer steps with accumulation, or a prompt and its tokens.

Both return the same steps once more, for a stopwatch: without its marks, its counters and its garbage collection.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.measure.census import Census
from toolkit.memory.measure.optimizers import real_optimizer
from toolkit.memory.measure.stopwatch import PASS, STEP, TIMED_TOKENS, Warm
from toolkit.memory.measure.watch import Watch
from toolkit.memory.parallel.plan import gathered_setting
from toolkit.memory.trace.batches.outside_loss import own_loss
from toolkit.memory.trace.batches.padded import mask_of
from toolkit.memory.trace.batches.sounds import SOUND, hears, sound_of
from toolkit.memory.trace.batches.trl_loss import sft_loss
from toolkit.memory.trace.build import DTYPES, SPAN
from toolkit.memory.trace.generate import generate
from toolkit.memory.trace.optimizers.make import states_of
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.refused import runs_trl, sums_logits
from toolkit.memory.trace.validation import Predictions, predictions, validate
from toolkit.spec.settings.setting import Setting

STEPS = 2
"""The first optimizer step has no states at its backward; the second is like all that follow."""


def train(setting: Setting, model: nn.Module, kind: str, watch: Watch, census: Census) -> Warm:
    """Trains for two steps, phase by phase."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = real_optimizer(setting, model, trained)
    named: list[Any] = []
    for step in range(STEPS):
        for _ in range(_parts(setting)):
            watch.mark(PhaseName.FORWARD_END)
            loss = _loss(setting, model, kind, named)
            watch.mark(PhaseName.BACKWARD)
            loss.backward()
            del loss
            gc.collect()
        watch.mark(PhaseName.OPTIMIZER_STEP)
        if step == STEPS - 1:
            census.count(Category.GRADIENTS, (parameter.grad for parameter in trained))
        if optimizer is not None:
            optimizer.step()
            if step == STEPS - 1:
                census.count(Category.OPTIMIZER_STATES, states_of(optimizer))
            optimizer.zero_grad(set_to_none=True)
        else:
            model.zero_grad(set_to_none=True)
        gc.collect()
        if setting.validation is not None:
            validate(setting, model, watch.mark, partial(_validated, model, kind, []))
            gc.collect()
    watch.close()

    def again(start: Callable[[str], None]) -> None:
        for _ in range(_parts(setting)):
            start(PASS)
            _loss(setting, model, kind, named).backward()
        if optimizer is not None:
            start(STEP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return again


def infer(setting: Setting, model: nn.Module, watch: Watch, census: Census) -> Warm:
    """Generates once, phase by phase."""
    last: list[object] = []

    def cached(tensors: Any) -> None:
        last[:] = tensors

    generate(setting, model, watch.mark, cached)
    watch.close()
    census.count(Category.KV_CACHE, last)
    last.clear()
    gc.collect()
    short = replace(setting, generated_length=min(setting.generated_length, TIMED_TOKENS))

    def again(start: Callable[[str], None]) -> None:
        generate(short, model, start, lambda _: None)

    return again


def _parts(setting: Setting) -> int:
    """The first part of an accumulation makes the gradients, all others add to them."""
    return min(2, setting.gradient_accumulation)


def autocast(setting: Setting, kind: str) -> AbstractContextManager[Any]:
    """Autocast as a trainer enters it around the forward pass; not where units are gathered in 16 bit alone."""
    if not gathered_setting(setting).amp or setting.compute == "fp32":
        return nullcontext()
    return torch.autocast(kind, DTYPES[setting.compute])


def _loss(setting: Setting, model: nn.Module, kind: str, named: list[Any]) -> torch.Tensor:
    """The loss of a batch; `named` has the results that the loop has a name for."""
    with torch.device(kind):
        inputs = _inputs(setting, model)
    with autocast(setting, kind):
        if sums_logits(setting):
            del inputs["labels"]
            named[:] = [model(**inputs)]
            total: torch.Tensor = named[0].logits.sum()
            return total
        if not runs_trl(setting):
            return own_loss(setting, model, inputs, named)
        with torch.device(kind):  # which the trainer would have put its inputs on
            return sft_loss(model, inputs)


def _validated(model: nn.Module, kind: str, named: list[Any], setting: Setting, *, keeps: bool) -> Predictions | None:
    """A pass of a validation, without gradients: what the loop keeps of it."""
    if not keeps:
        _loss(setting, model, kind, named)
        return None
    with torch.device(kind):
        inputs = _inputs(setting, model)
    with autocast(setting, kind):
        return predictions(setting, model, inputs)


def _inputs(setting: Setting, model: nn.Module) -> dict[str, torch.Tensor]:
    """Random tokens; every one of them, or each example, has a label. Of padded rows one is filled up by a token."""
    if setting.head == "base":
        raise UnsupportedTrace("a model without a head has no loss to train by")
    config = model.config.get_text_config()
    ids = torch.randint(0, config.vocab_size - 1, (setting.batch_size, setting.sequence_length))
    padding = config.pad_token_id
    if padding is not None:
        ids += (ids >= padding).to(ids.dtype)
    given = {"input_ids": ids, **mask_of(setting, ids, left=False)}
    if hears(model):
        given = {**mask_of(setting, ids, left=False), SOUND: sound_of(setting, model)}
    if setting.head == "sequence-classification":
        return {**given, "labels": torch.randint(0, max(1, setting.labels), (setting.batch_size,))}
    if setting.head == "question-answering":
        return {**given, **{name: torch.randint(0, setting.sequence_length, (setting.batch_size,)) for name in SPAN}}
    return {**given, "labels": ids % max(1, setting.labels) if setting.head == "token-classification" else ids.clone()}
