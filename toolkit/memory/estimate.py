"""From a setting and a model's facts to a ledger: pure, without torch, in well under a millisecond."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from toolkit.facts.models import ModelFacts
from toolkit.memory.context import Context, Moment
from toolkit.memory.contexts import contexts_of, gradient_bytes, growing, on_gpu_alone
from toolkit.memory.device import Interval, device_interval, reserved_interval, workspace_bytes
from toolkit.memory.engines.refusal import refuse_serving
from toolkit.memory.formula.caches.kv_cache import cached_growth
from toolkit.memory.formula.ends.outputs import last_outputs, left_by_warmup
from toolkit.memory.formula.ends.sampling import drawing
from toolkit.memory.formula.engine.engine import engine_device, engine_notes
from toolkit.memory.formula.inputs import angles, ends_before_logits
from toolkit.memory.formula.workspaces import transformer_engine_bytes
from toolkit.memory.ledger import STEADY, Ledger, PhaseName
from toolkit.memory.notes import notes_of
from toolkit.memory.offloading import stash_of
from toolkit.memory.own_answers import ALL_AT_ONCE, answering, between_steps, held_by_both
from toolkit.memory.parallel.buckets import sent_at_first
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.parallel.unshared import parts_beside_whole
from toolkit.memory.programs.moments import Fullest, of_forward, of_generation, of_training
from toolkit.memory.reference import reference_programs
from toolkit.memory.rows.passes import PASS_ROWS
from toolkit.memory.rows.phase_sizes import PhaseSizes, ledger_of
from toolkit.memory.rows.registry import STANDING_ROWS
from toolkit.memory.scheduled import fullest_of_stage
from toolkit.memory.tape.gradients import GRADIENTS
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.validated import fullest_between
from toolkit.memory.weights.linear_storage import fuses
from toolkit.spec.settings.setting import Setting

TRAINING = (PhaseName.LOAD, PhaseName.FORWARD_END, PhaseName.BACKWARD, PhaseName.OPTIMIZER_STEP)
INFERENCE = (PhaseName.LOAD, PhaseName.PREFILL, PhaseName.DECODE)
SERVING = (PhaseName.LOAD, PhaseName.SERVE)


@dataclass(frozen=True)
class Holdings:
    """What a setting holds from step to step on one GPU. `ledger` has the phases between which nothing is run.

    `outputs` are the bytes of the last step's result, which a loop of somebody's own may hold on to.
    """

    setting: Setting
    phases: tuple[PhaseSizes, ...]
    parameters_total: int
    parameters_trainable: int
    outputs: int = field(default=0, kw_only=True)
    context: Context | None = field(default=None, repr=False, compare=False, kw_only=True)

    @cached_property
    def ledger(self) -> Ledger:
        """Every row with its formula, made when somebody asks for more than totals."""
        return ledger_of(self.setting, self.phases)

    @property
    def peak(self) -> PhaseSizes:
        """The phase with the largest total; the first of equals."""
        return max(self.phases, key=lambda phase: phase.total)


@dataclass(frozen=True)
class Estimate(Holdings):
    """What a setting needs on one GPU: the whole ledger, and the peak as allocated, reserved and device bytes.

    `steady` is the most that is held from step to step. Where GPUs hold different things, this is the one that needs
    most, and `parts` has all of them.
    """

    allocated: int
    steady: int
    reserved: Interval
    device: Interval
    notes: tuple[str, ...] = field(default=())
    stage: Stage | None = None
    parts: tuple[Estimate, ...] = ()

    @property
    def each(self) -> tuple[Estimate, ...]:
        """Every GPU's estimate."""
        return self.parts or (self,) * self.setting.parallel.gpus


def holdings(setting: Setting, facts: ModelFacts) -> Holdings:
    """What a setting holds once loaded and at the optimizer step: no pass through the model is followed for it.

    Raises UnsupportedModel or UnsupportedStorage for what no formula covers.
    """
    return max((_held(context) for context in contexts_of(setting, facts)), key=lambda held: held.peak.total)


def _held(context: Context) -> Holdings:
    if context.serves:
        refuse_serving(context.setting, generates=context.generates)
    phases = [phase_of(context, PhaseName.LOAD)]
    if context.setting.trains:
        context.moments = {PhaseName.OPTIMIZER_STEP: Moment("step", {GRADIENTS: gradient_bytes(context)})}
        phases.append(phase_of(context, PhaseName.OPTIMIZER_STEP))
    return Holdings(
        setting=context.setting,
        phases=tuple(phases),
        parameters_total=context.sums.parameters,
        parameters_trainable=context.sums.trainable,
        outputs=last_outputs(context),
        context=context,
    )


def estimate(setting: Setting, facts: ModelFacts) -> Estimate:
    """The estimate of a setting; raises UnsupportedModel or UnsupportedRow for what no formula covers."""
    each = list(_on_each(setting, facts))
    if setting.answer_length:
        answered = estimate(answering(setting), facts)
        each = [_with_answers(one, answered) for one in each]
    return _together(each) if len(each) > 1 else each[0]


def _on_each(setting: Setting, facts: ModelFacts) -> Iterator[Estimate]:
    """The estimate of each GPU that holds something else; of those with as many layers alike it is worked out once."""
    known: dict[int, Estimate] = {}
    for context in contexts_of(setting, facts):
        if context.stage is None:
            yield _on_one(setting, context)
            continue
        alike = id(context.architecture)  # which those share, and which the context of an estimate keeps
        if alike not in known:
            known[alike] = _on_one(setting, context)
        yield replace(known[alike], stage=context.stage)


def _with_answers(known: Estimate, answered: Estimate) -> Estimate:
    """The estimate of a run that generates between its steps: the fuller of both, beside what training keeps."""
    phases = tuple(between_steps(known.phases, answered.phases))
    allocated = max(phase.total for phase in phases)
    low, high = held_by_both(phases, known.reserved, answered.allocated, answered.reserved)
    reserved, setting = (max(low, allocated), high), known.setting
    device = device_interval(reserved, setting.gpu, setting.parallel, setting.stack.versions)
    notes = (*known.notes, ALL_AT_ONCE)
    return replace(known, phases=phases, allocated=allocated, reserved=reserved, device=device, notes=notes)


def _together(each: list[Estimate]) -> Estimate:
    """The estimate of the GPU that needs most, with all others."""
    return replace(max(each, key=lambda one: one.allocated), parts=tuple(each))


def _on_one(setting: Setting, context: Context) -> Estimate:
    found = _fullest(context)
    context.moments = found.moments
    phases = tuple([phase_of(context, name) for name in _phases(context)])
    if context.validated is not None:
        between = fullest_between(context, context.validated)
        context.validated.moments = between.moments
        phases = (*phases, phase_of(context.validated, PhaseName.VALIDATION))
        found = found.beside(between)
    allocated = max([phase.total for phase in phases])
    reserved, device = _on_card(context, phases, allocated, found)
    return Estimate(
        setting=setting,
        phases=phases,
        parameters_total=context.sums.parameters,
        parameters_trainable=context.sums.trainable,
        outputs=last_outputs(context),
        allocated=allocated,
        steady=max([phase.of(*STEADY) for phase in phases]),
        reserved=reserved,
        device=device,
        notes=(*notes_of(context), *(engine_notes(context, ledger_of(setting, phases)) if context.serves else ())),
        stage=context.stage,
        context=context,
    )


def _on_card(
    context: Context, phases: tuple[PhaseSizes, ...], allocated: int, found: Fullest
) -> tuple[Interval, Interval]:
    """What the allocator holds, at least what is allocated at the peak, and what the card shows."""
    setting = context.setting
    if context.serves:
        return (allocated, allocated), engine_device(context, ledger_of(setting, phases))
    most = dict(found.widest)
    for phase in phases:
        for rule, size in phase.sizes:
            if size > most.get(rule.name, 0):
                most[rule.name] = size
    waiting = context.sharing.in_flight if context.sharing else 0
    grows = cached_growth(context) if context.generates and not setting.trains else 0
    more = [waiting, grows, left_by_warmup(context), parts_beside_whole(context), sent_at_first(context)]
    least = max(allocated, _in_pools(context, phases, found))
    reserved = reserved_interval(least, [*most.values(), *more], context.sums.segments)
    return reserved, device_interval(reserved, setting.gpu, setting.parallel, setting.stack.versions)


def _in_pools(context: Context, phases: tuple[PhaseSizes, ...], found: Fullest) -> int:
    """The most in the pool of each stream, in all: none gives its freed blocks to another's.

    Source: c10/cuda/CUDACachingAllocator.cpp, get_free_block.
    """
    apart = context.sharing.streams if context.sharing else ()
    rest = max(sum(size for rule, size in phase.sizes if rule.name not in apart) for phase in phases)
    return rest + sum(found.widest.get(row, 0) for row in apart)


def _fullest(context: Context) -> Fullest:
    """The fullest moment of each phase that follows a pass through the model; an engine claims its memory before."""
    if context.serves:
        refuse_serving(context.setting, generates=context.generates)
        return Fullest({}, {})
    if context.stage is not None and context.stage.scheduled:
        return fullest_of_stage(context, context.stage)
    programs, scale = on_gpu_alone(programs_of(context), context), context.scale
    if context.setting.trains:
        beside = reference_programs(context)
        stash = stash_of(context.setting)
        return of_training(programs, scale, gradient_bytes(context), context.sharing, beside, stash=stash)
    if context.generates:
        setting = context.setting
        decodes, drawn = setting.generated_length > 1, drawing(context)
        grows = growing(context)
        turned = angles(context, PhaseName.PREFILL) if ends_before_logits(context) else 0
        return of_generation(
            programs, scale, grows, fuses=fuses(setting), decodes=decodes, drawing=drawn, angles=turned
        )
    return of_forward(programs, scale)


def _phases(context: Context) -> tuple[PhaseName, ...]:
    """The phases of a setting: without a language model's head nothing is decoded."""
    if context.serves or context.setting.trains:
        return SERVING if context.serves else TRAINING
    return INFERENCE if context.generates else INFERENCE[:-1]


def on_gpu(known: Estimate, setting: Setting) -> Estimate:
    """The estimate of a setting that differs in its GPU alone: in BLAS workspaces and CUDA context."""
    if known.parts:
        return _together([on_gpu(one, setting) for one in known.parts])
    versions = setting.stack.versions
    workspace, before = workspace_bytes(setting.gpu, versions), workspace_bytes(known.setting.gpu, versions)
    own, old = transformer_engine_bytes(setting.gpu), transformer_engine_bytes(known.setting.gpu)
    if workspace == before and own == old:
        device = device_interval(known.reserved, setting.gpu, setting.parallel, setting.stack.versions)
        return replace(known, setting=setting, device=device)
    phases = tuple(phase.with_workspaces(workspace, before, own) for phase in known.phases)
    allocated = max(phase.total for phase in phases)
    more = allocated - known.allocated
    reserved = (known.reserved[0] + more, known.reserved[1] + more)
    return replace(
        known,
        setting=setting,
        phases=phases,
        allocated=allocated,
        reserved=reserved,
        device=device_interval(reserved, setting.gpu, setting.parallel, setting.stack.versions),
    )


def phase_of(context: Context, name: PhaseName) -> PhaseSizes:
    """The rows of a phase at its fullest moment, as the context has it."""
    moment = context.moments.get(name)
    alive = moment.rows if moment else {}
    held, passing = RULES_OF[name]
    sizes = [(rule, size) for rule in held if (size := rule.function(context, name))]
    sizes += [(rule, size) for rule in passing if (size := alive.get(rule.name, 0))]
    return PhaseSizes(name, tuple(sizes), moment.name if moment else "")


RULES_OF = {
    name: tuple(tuple(rule for rule in rules if name in rule.phases) for rules in (STANDING_ROWS, PASS_ROWS))
    for name in PhaseName
}
"""The rules of a phase: of rows that stand by themselves, and of those that are read off its fullest moment."""
