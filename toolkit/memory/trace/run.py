"""Runs a setting's model as its trainer would, and keeps what was seen."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import _engine_run_backward

from toolkit.facts.models import ModelFacts
from toolkit.facts.multiprocessors import multiprocessors_of
from toolkit.memory.device import workspace_bytes
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.libraries.unfused_attention import unfused
from toolkit.memory.packing import laid_out
from toolkit.memory.parallel.plan import gathered_setting
from toolkit.memory.reference import paired
from toolkit.memory.timeline.stream import Run
from toolkit.memory.timeline.timeline import WORKSPACE
from toolkit.memory.trace.batches.offloading import offloading
from toolkit.memory.trace.batches.outside_loss import own_loss
from toolkit.memory.trace.batches.packed import beside_ids, samples_seen
from toolkit.memory.trace.batches.padded import mask_of, zeros_seen
from toolkit.memory.trace.batches.pairs import kernel_of_pairs
from toolkit.memory.trace.batches.preferences import passing_alone, preference_loss, prefers, reference_of
from toolkit.memory.trace.batches.sounds import SOUND, hears, sound_of
from toolkit.memory.trace.batches.trl_loss import kernels_of_trl, sft_loss
from toolkit.memory.trace.build import DTYPES, SPAN, answering, load, prepare
from toolkit.memory.trace.generate import generate
from toolkit.memory.trace.optimizers.make import optimizer_of, states_of
from toolkit.memory.trace.optimizers.stepping import step_in_backward
from toolkit.memory.trace.recorder import Recorder, note
from toolkit.memory.trace.refused import runs_trl, sums_logits
from toolkit.memory.trace.releases import packing_unasked
from toolkit.memory.trace.several_gpus.dispatched import Moves, dispatch, dispatches, moving, settle
from toolkit.memory.trace.several_gpus.replicated import replicate, replicates
from toolkit.memory.trace.several_gpus.scheduled import Scheduled, as_rank, part_of, schedules
from toolkit.memory.trace.several_gpus.sharded import different_passes, first_rank, refuse_unrun, share_out, sync_last
from toolkit.memory.trace.stand_ins.chances import distributions_unread
from toolkit.memory.trace.stand_ins.first_deberta import spans_counted
from toolkit.memory.trace.stand_ins.old_kernels import library_uncalled, positions_unread, prepare_old_releases
from toolkit.memory.trace.stand_ins.on_gpu import OnGpu
from toolkit.memory.trace.validation import Predictions, predictions, validate
from toolkit.spec.fields.objective import WHOLE_PAIRS
from toolkit.spec.fields.process import NONE, TRAINING
from toolkit.spec.fields.result import UNTIL_STEP
from toolkit.spec.settings.setting import Setting

BUILD = "build"
PREPARE = "prepare"
"""What comes before the phases of a ledger: making the model, and adapters and casts between loading and training."""

IN_REGION = "_in_region"
"""The attribute of a checkpoint that runs again under autocast."""

STEPS = 2
"""The first optimizer step has no states at its backward; the second is like all that follow."""


def run(setting: Setting, facts: ModelFacts, rank: int = 0) -> Run:
    """Builds and runs a setting on meta tensors; of a pipeline with a schedule one rank's part.

    Raises UnsupportedTrace.
    """
    prepare_old_releases()
    on = multiprocessors_of(setting.gpu) if setting.trains and setting.gpu is not None else None
    recorder = Recorder(workspace_bytes(setting.gpu, setting.stack.versions), on, gpu=rank)
    on_gpu = OnGpu(recorder.routing, unfused(setting))
    kinds: dict[int, Category] = {}
    with ExitStack() as entered:
        entered.enter_context(_quiet())
        entered.enter_context(_garbage_of_this_run_alone())
        entered.enter_context(on_gpu.patched())
        entered.enter_context(packing_unasked())
        entered.enter_context(zeros_seen(setting, facts.config.get("model_type")))
        entered.enter_context(samples_seen(setting))
        entered.enter_context(library_uncalled())
        entered.enter_context(distributions_unread())
        entered.enter_context(positions_unread())
        entered.enter_context(spans_counted(facts.config.get("model_type")))
        entered.enter_context(recorder.routing.read())
        entered.enter_context(on_gpu)
        ranks = entered.enter_context(first_rank(setting, recorder))
        entered.enter_context(as_rank(setting, rank))
        entered.enter_context(recorder)
        moves = entered.enter_context(moving(setting, recorder))
        entered.enter_context(torch.device("meta"))
        if setting.trains and runs_trl(setting):
            recorder.selects_all = True  # every token has a label
            entered.enter_context(kernels_of_trl())
        if setting.trains and setting.objective in WHOLE_PAIRS:
            entered.enter_context(kernel_of_pairs())
        recorder.timeline.mark(BUILD)
        recorder.has_run(forward=setting.earlier_passes != NONE, backward=setting.earlier_passes == TRAINING)
        model, reference = _loaded(setting, facts, recorder, moves), reference_of(setting, facts)
        if ranks is not None:  # a GPU first sees its part of what is ready to train
            model = share_out(prepare(model, setting) if setting.trains else model, setting, ranks)
            refuse_unrun(model, setting)
        stage: Scheduled | None = None
        if schedules(setting):
            whole, model = model, part_of(prepare(model, setting), setting, rank)
            stage = Scheduled(model, whole, setting, rank, recorder.timeline.mark)
        gc.collect()
        recorder.timeline.mark(PhaseName.LOAD)
        _note_loaded(recorder, kinds)
        if setting.trains:
            model = model if ranks is not None or stage is not None else _prepared(setting, model, recorder, kinds)
        note(recorder, kinds, Category.ADAPTERS, _parameters(setting, model, adapters=True))
        recorder.paths.name(model)
        if reference is not None:
            recorder.paths.name(reference, "reference")
        with recorder.paths.watching():
            if setting.trains:
                if prefers(setting):
                    for one in filter(None, (model, reference)):
                        passing_alone(setting, one, on_gpu)
                with offloading(setting, model) as within:
                    _train(setting, model, recorder, on_gpu, kinds, reference, within, stage)
            else:
                generate(setting, model, recorder.timeline.mark, partial(note, recorder, kinds, Category.KV_CACHE))
    return Run(recorder.timeline, kinds)


def _loaded(setting: Setting, facts: ModelFacts, recorder: Recorder, moves: Moves | None) -> nn.Module:
    """The model on its GPUs; one that answers has its adapters by then."""
    model = dispatch(load(setting, facts), setting, moves)
    if setting.trains:
        return model
    model = answering(model, setting)
    if dispatches(setting):
        settle(model, recorder)
    return model


def _prepared(setting: Setting, model: nn.Module, recorder: Recorder, kinds: dict[int, Category]) -> nn.Module:
    """The loaded model with adapters and casts, and where each GPU has a copy of it, as the first wraps its own."""
    recorder.timeline.mark(PREPARE)
    model = prepare(model, setting)
    if replicates(setting):
        buckets = partial(note, recorder, kinds, Category.GRADIENTS)
        model = replicate(model, lambda bucket: buckets((bucket,)))
    if dispatches(setting):
        settle(model, recorder)
    gc.collect()
    _note_loaded(recorder, kinds)
    return model


def _train(
    setting: Setting, model: nn.Module, recorder: Recorder, on_gpu: OnGpu, kinds: dict[int, Category],
    reference: nn.Module | None, within: Callable[[], AbstractContextManager[Any]], stage: Scheduled | None,
) -> None:  # fmt: skip
    mixes = gathered_setting(setting).amp and setting.compute != "fp32"  # not where units are gathered in 16 bit alone
    autocast = DTYPES[setting.compute] if mixes else None
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    mark = recorder.timeline.mark

    def keep(optimizer: Any) -> None:
        note(recorder, kinds, Category.OPTIMIZER_STATES, states_of(optimizer))

    if setting.optimizer_in_backward:
        optimizer = None
        step_in_backward(setting, model, trained, recorder, keep)
    else:
        optimizer = optimizer_of(setting, model, trained)
    named: list[Any] = []
    passes = 0 if stage is not None else min(different_passes(setting), setting.gradient_accumulation)
    for _ in range(STEPS):
        if stage is not None:
            stage.step()
            note(recorder, kinds, Category.GRADIENTS, (parameter.grad for parameter in trained))
            gc.collect()
        for left in reversed(range(passes)):
            mark(PhaseName.FORWARD_END)
            sync_last(setting, model, last=left == 0)
            _autocast_in_recomputation(model, on_gpu, autocast)  # a reference's pass puts new checkpoints in
            with within():
                loss = _loss(setting, model, on_gpu, autocast, named, reference)
                mark(PhaseName.BACKWARD)
                _backward(loss)
                del loss
            note(recorder, kinds, Category.GRADIENTS, (parameter.grad for parameter in trained))
            # bitsandbytes casts biases as it first uses them, and keeps the casts.
            note(recorder, kinds, Category.WEIGHTS, _parameters(setting, model, adapters=False))
            gc.collect()
        mark(PhaseName.OPTIMIZER_STEP)
        if optimizer is not None:
            recorder.paths.optimizing = True
            with torch.device("cpu"):  # where a real run makes what is given no device: AdamW's counter of steps
                optimizer.step()
            recorder.paths.optimizing = False
            keep(optimizer)
            optimizer.zero_grad(set_to_none=True)
        else:
            model.zero_grad(set_to_none=True)
        gc.collect()
        if setting.validation is not None:
            if setting.stack.result == UNTIL_STEP:
                named.clear()
            validate(setting, model, mark, partial(_validated, model, on_gpu, autocast, []))


def _validated(
    model: nn.Module, on_gpu: OnGpu, autocast: torch.dtype | None, named: list[Any], setting: Setting, *, keeps: bool
) -> Predictions | None:
    """A pass of a validation, without gradients: what the loop keeps of it."""
    if not keeps:
        _loss(setting, model, on_gpu, autocast, named)
        return None
    inputs = _batch(setting, model)
    with on_gpu.region(autocast):
        return predictions(setting, model, inputs)


def _backward(loss: torch.Tensor) -> None:
    """loss.backward(), but unseen by function modes: one that sees a call is switched off until it returns.

    Checkpointed layers are computed again during that call, and have to run as on a GPU too.
    """
    gradient = torch.ones_like(loss)
    _engine_run_backward((loss,), (gradient,), False, False, (), allow_unreachable=True, accumulate_grad=True)


def _loss(
    setting: Setting, model: nn.Module, on_gpu: OnGpu, autocast: torch.dtype | None, named: list[Any],
    reference: nn.Module | None = None,
) -> torch.Tensor:  # fmt: skip
    """The loss of a batch; `named` has the results that the loop has a name for."""
    inputs = _batch(setting, model)
    if sums_logits(setting):
        with on_gpu.region(autocast):
            named[:] = [model(**inputs)]
            total: torch.Tensor = named[0].logits.sum()
        return total
    if prefers(setting):
        return preference_loss(setting, model, reference, inputs)
    with on_gpu.region(autocast):
        loss: torch.Tensor = sft_loss(model, inputs) if runs_trl(setting) else own_loss(setting, model, inputs, named)
    return loss


def _batch(setting: Setting, model: nn.Module) -> dict[str, Any]:
    """What a pass of training is given: tokens, what goes with them, and labels unless the loop sums up logits."""
    seen = paired(laid_out(setting))
    ids = torch.zeros(seen.batch_size, seen.sequence_length, dtype=torch.long)
    inputs: dict[str, Any] = {"input_ids": ids, **mask_of(setting, ids, left=False), **beside_ids(setting, ids)}
    if hears(model):
        inputs = {**mask_of(setting, ids, left=False), SOUND: sound_of(setting, model)}
    if sums_logits(setting):
        return inputs
    if setting.head == "sequence-classification":
        inputs["labels"] = torch.zeros(setting.batch_size, dtype=torch.long)
    elif setting.head == "question-answering":
        inputs.update({name: torch.zeros(setting.batch_size, dtype=torch.long) for name in SPAN})
    else:
        inputs["labels"] = torch.zeros_like(ids)
    return inputs


def _note_loaded(recorder: Recorder, kinds: dict[int, Category]) -> None:
    """Everything that is there before anything runs is weights: parameters, buffers, scales; but for workspaces."""
    timeline = recorder.timeline
    for index in timeline.alive(len(timeline.events) - 1):
        left = timeline.allocations[index].operation == WORKSPACE
        kinds.setdefault(index, Category.WORKSPACE if left else Category.WEIGHTS)


def _parameters(setting: Setting, model: nn.Module, *, adapters: bool) -> Iterator[nn.Parameter]:
    """The parameters that peft put beside a model, which alone have gradients, or all others."""
    beside = setting.lora is not None or setting.peft is not None
    return (part for part in model.parameters() if (beside and part.requires_grad) is adapters)


def _autocast_in_recomputation(model: nn.Module, on_gpu: OnGpu, autocast: torch.dtype | None) -> None:
    """Recomputation runs under the autocast of its forward pass, as torch's checkpoint restores it on a GPU."""
    if autocast is None:
        return
    for module in model.modules():
        original: Callable[..., Any] | None = module.__dict__.get("_gradient_checkpointing_func")
        if original is not None and not hasattr(original, IN_REGION):
            module._gradient_checkpointing_func = _under(on_gpu, autocast, original)


def _under(on_gpu: OnGpu, autocast: torch.dtype, original: Callable[..., Any]) -> Callable[..., Any]:
    def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def again(*inner: Any, **named: Any) -> Any:
            with on_gpu.region(autocast):
                return function(*inner, **named)

        return original(again, *args, **kwargs)

    setattr(checkpoint, IN_REGION, True)
    return checkpoint


@contextmanager
def _garbage_of_this_run_alone() -> Iterator[None]:
    """Cycles are collected where the run asks for it and nowhere else, and without a look at what was there before.

    So a timeline does not hang on how much Python the process ran before, and a collection takes no time.
    """
    automatic = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if automatic:
            gc.enable()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' words to their own users."""
    loggers = [logging.getLogger(name) for name in ("bitsandbytes", "transformers", "peft", "trl")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
