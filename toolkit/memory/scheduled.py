"""A step of one stage of a pipeline with a schedule: its fullest moments, micro-batches on their way and all."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.context import Context
from toolkit.memory.contexts import gradient_bytes, on_gpu_alone
from toolkit.memory.formula.ends.outputs import given_by_a_pass
from toolkit.memory.formula.inputs import ANGLES, angles
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.trainers import MEGATRON
from toolkit.memory.parallel.megatron_batches import megatron_batches
from toolkit.memory.parallel.micro_batches import RESULT, RETURNED, MicroBatches
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.parallel.schedule import Moments, moments_of
from toolkit.memory.programs.layer_turns import added_up
from toolkit.memory.programs.moments import Fullest, fuller, of_training
from toolkit.memory.programs.programs import Programs
from toolkit.memory.tape.recording import programs_of


def fullest_of_stage(context: Context, stage: Stage) -> Fullest:
    """The fullest moments of a step: while there are no gradients yet, and while each new one is added to another."""
    parallel, count = context.setting.parallel, context.setting.gradient_accumulation
    gradients = gradient_bytes(context)
    if context.setting.stack.trainer == MEGATRON:
        programs = on_gpu_alone(programs_of(context), context)
        return of_training(programs, context.scale, gradients, _of_megatron(context, stage, programs))
    there = moments_of(str(parallel.schedule), count, stage.gpu, parallel.gpus, returns=parallel.returns_outputs)
    alone = replace(context, numerics=replace(context.numerics, accumulates=False))
    first = on_gpu_alone(programs_of(alone), alone)
    beside = _beside(context, stage, first, there)
    found = of_training(first, context.scale, gradients, beside)
    if count == 1:
        return found
    later = replace(beside, forwards=there.later_forward, backwards=there.later_backward)
    again = on_gpu_alone(programs_of(context), context)
    return fuller(found, of_training(again, context.scale, gradients, later))


def _of_megatron(context: Context, stage: Stage, programs: Programs) -> MicroBatches:
    scale, parallel = context.scale, context.setting.parallel
    layers = [(one.stored, one.count) for one in programs.layers]
    stored = tuple(sorted(added_up(scale, [*layers, (programs.front, 1)], {}).items()))
    return megatron_batches(
        count=context.setting.gradient_accumulation,
        place=(stage.gpu, parallel.gpus),
        chunks=parallel.chunks,
        stored=stored,
        given=scale.bytes(programs.hidden),
    )


def _beside(context: Context, stage: Stage, programs: Programs, there: Moments) -> MicroBatches:
    scale, parallel, count = context.scale, context.setting.parallel, context.setting.gradient_accumulation
    waiting = added_up(scale, programs.waiting, {})
    waiting[ANGLES] = waiting.get(ANGLES, 0) + angles(context, PhaseName.FORWARD_END)
    hidden = scale.bytes(programs.hidden)
    return MicroBatches(
        forwards=there.first_forward,
        backwards=there.first_backward,
        stored=tuple(sorted(waiting.items())),
        row=RETURNED if stage.projects else RESULT,
        result=given_by_a_pass(context) if stage.projects else hidden,
        given=hidden,
        buffers=count * hidden * ((not stage.embeds) + stage.hands_on),
        kept=count if stage.projects and parallel.returns_outputs else 0,
    )
