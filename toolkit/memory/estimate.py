"""From a setting and a model's facts to a ledger: pure, without torch, in well under a millisecond."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

from toolkit.facts.models import ModelFacts
from toolkit.memory.architecture import Architecture, ModuleKind, architecture_of
from toolkit.memory.architecture.stack import as_built
from toolkit.memory.context import Context, Scale
from toolkit.memory.device import Interval, device_interval, reserved_interval, workspace_bytes
from toolkit.memory.forms import Adaptation, Builder, builder, head_form, kernel, layer_form, masks
from toolkit.memory.formula.chunked_loss import CHUNK_TOKENS, fused_chunk
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.formula.optimizer import paged_states
from toolkit.memory.layer_layouts import LAYOUTS
from toolkit.memory.ledger import Category, Ledger, Phase, PhaseName, Row
from toolkit.memory.lora import adapters_of
from toolkit.memory.moments import Programs, fullest, step
from toolkit.memory.numerics import numerics
from toolkit.memory.parameters import total_parameters, trainable_parameters
from toolkit.memory.program import Stream, record_generation_head, record_head, record_inference, record_layer
from toolkit.memory.rank import at_rank
from toolkit.memory.refusal import UnsupportedRow, refuse_passes, refuse_spread
from toolkit.memory.rows import ROWS
from toolkit.memory.size import BYTES, OPEN, Size
from toolkit.memory.sums import Sums, sums
from toolkit.memory.transformers_versions import behaviour
from toolkit.spec.setting import Setting

TRAINING = (PhaseName.LOAD, PhaseName.FORWARD_END, PhaseName.BACKWARD, PhaseName.OPTIMIZER_STEP)
INFERENCE = (PhaseName.LOAD, PhaseName.PREFILL, PhaseName.DECODE)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a setting holds from step to step on one GPU. `ledger` has the phases between which nothing is run."""

    setting: Setting
    ledger: Ledger
    parameters_total: int
    parameters_trainable: int


@dataclass(frozen=True, slots=True)
class Estimate(Holdings):
    """What a setting needs on one GPU: the whole ledger, and the peak as allocated, reserved and device bytes."""

    allocated: int
    reserved: Interval
    device: Interval
    notes: tuple[str, ...] = field(default=())


def holdings(setting: Setting, facts: ModelFacts) -> Holdings:
    """What a setting holds once loaded and at the optimizer step: no pass through the model is followed for it.

    Raises UnsupportedModel or UnsupportedStorage for what no formula covers.
    """
    context = _context(setting, facts)
    inputs = _Inputs(setting)
    phases = [_phase(context, PhaseName.LOAD, inputs)]
    if setting.trains:
        context.moments = {PhaseName.OPTIMIZER_STEP: step(context)}
        phases.append(_phase(context, PhaseName.OPTIMIZER_STEP, inputs))
    return Holdings(
        setting=setting,
        ledger=Ledger(tuple(phases)),
        parameters_total=total_parameters(context.architecture, setting),
        parameters_trainable=trainable_parameters(context.architecture, setting),
    )


def estimate(setting: Setting, facts: ModelFacts) -> Estimate:
    """The estimate of a setting; raises UnsupportedModel or UnsupportedRow for what no formula covers."""
    context = _context(setting, facts)
    context.moments = fullest(context, _programs(context))
    inputs = _Inputs(setting)
    ledger = Ledger(tuple(_phase(context, name, inputs) for name in (TRAINING if setting.trains else INFERENCE)))
    reserved = reserved_interval(ledger, context.widest, context.sums.segments)
    return Estimate(
        setting=setting,
        ledger=ledger,
        parameters_total=total_parameters(context.architecture, setting),
        parameters_trainable=trainable_parameters(context.architecture, setting),
        allocated=ledger.peak.total,
        reserved=reserved,
        device=device_interval(reserved, setting.gpu),
        notes=tuple(_notes(context)),
    )


def _notes(context: Context) -> Iterator[str]:
    """What the ledger leaves out, for whoever reads it."""
    paged = paged_states(context) if context.setting.trains else 0
    if paged:
        yield f"not in the ledger: {paged:,} bytes of optimizer states in managed memory, which torch does not count"


def on_gpu(known: Estimate, setting: Setting) -> Estimate:
    """The estimate of a setting that differs in its GPU alone: in BLAS workspaces and CUDA context."""
    ratio = Fraction(workspace_bytes(setting.gpu), workspace_bytes(known.setting.gpu))
    ledger = (
        known.ledger if ratio == 1 else Ledger(tuple(_with_workspace(phase, ratio) for phase in known.ledger.phases))
    )
    more = ledger.peak.total - known.allocated
    reserved = (known.reserved[0] + more, known.reserved[1] + more)
    return replace(
        known,
        setting=setting,
        ledger=ledger,
        allocated=ledger.peak.total,
        reserved=reserved,
        device=device_interval(reserved, setting.gpu),
    )


def _with_workspace(phase: Phase, ratio: Fraction) -> Phase:
    """A phase whose workspaces, a whole number of them, have another size."""
    rows = (
        replace(row, bytes=int(row.bytes * ratio)) if row.category is Category.WORKSPACE else row for row in phase.rows
    )
    return replace(phase, rows=tuple(rows))


def _context(setting: Setting, facts: ModelFacts) -> Context:
    refuse_spread(setting)
    architecture = architecture_of(facts, setting.head, setting.labels)
    return Context(
        setting=setting,
        architecture=architecture,
        numerics=numerics(setting),
        sums=_sums(architecture, setting),
        scale=Scale(setting.batch_size, setting.sequence_length, _chunk(setting, architecture)),
        workspace=workspace_bytes(setting.gpu),
        rotary=architecture.family in LAYOUTS and LAYOUTS[architecture.family].rotary != "none",
        caches_rotary=behaviour(architecture, setting).caches_rotary,
    )


def _phase(context: Context, name: PhaseName, inputs: _Inputs) -> Phase:
    rows = []
    for rule in ROWS_OF[name]:
        size = rule.function(context, name)
        if size:
            rows.append(Row(rule.name, rule.category, size, rule.formula, inputs[rule.fields]))
    moment = context.moments.get(name)
    return Phase(name, tuple(rows), moment.name if moment else "")


ROWS_OF = {name: tuple(rule for rule in ROWS if name in rule.phases) for name in PhaseName}


class _Inputs(dict[tuple[str, ...], dict[str, int | str]]):
    """What a setting says in the fields that a row follows, where that is a number or a word; rows share it."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting
        self._label = setting.stack.label()

    def __missing__(self, fields: tuple[str, ...]) -> dict[str, int | str]:
        said = {field: getattr(self._setting, field) for field in fields}
        said["stack"] = self._label
        if self._setting.lora is not None and "lora" in said:
            said["lora"] = f"rank {self._setting.lora.rank}"
        self[fields] = {field: value for field, value in said.items() if isinstance(value, int | str)}
        return self[fields]


_SUMS: dict[tuple[object, ...], Sums] = {}
_PROGRAMS: dict[tuple[object, ...], Programs] = {}
MAX_CACHED = 4096


def _sums(architecture: Architecture, setting: Setting) -> Sums:
    key = (
        id(architecture),
        setting.method,
        setting.weights,
        setting.double_quant,
        setting.compute,
        setting.stack.trainer,
        setting.stack.label(),
        setting.amp,
        setting.trains,
        setting.lora,
    )
    found = _SUMS.get(key)
    if found is None:
        if len(_SUMS) >= MAX_CACHED:
            _SUMS.clear()
        found = _SUMS[key] = sums(architecture, setting)
    return found


def _programs(context: Context) -> Programs:
    architecture, setting, dtypes = context.architecture, context.setting, context.numerics
    refuse_passes(setting)
    version = behaviour(architecture, setting)
    built = as_built(architecture, setting)
    kernels = tuple(kernel(kind, dtypes.attention, setting.sequence_length) for kind in architecture.layers)
    lora = replace(setting.lora, rank=OPEN) if setting.lora else None
    key = (id(built), dtypes, setting.trains, lora, setting.stack.loss, version, kernels)
    found = _PROGRAMS.get(key)
    if found is None:
        if len(_PROGRAMS) >= MAX_CACHED:
            _PROGRAMS.clear()
        adaptation = _adaptation(architecture, setting)
        build = builder(built, dtypes, adaptation, version, setting.sequence_length)
        found = _PROGRAMS[key] = _record(build, setting)
    return _at_rank(found, setting.lora.rank) if setting.lora and setting.trains else found


@lru_cache(maxsize=MAX_CACHED)
def _at_rank(programs: Programs, rank: int) -> Programs:
    """Programs recorded at the open rank, at a rank."""
    layers = tuple(at_rank(program, rank) for program in programs.layers)
    return replace(programs, layers=layers, head=at_rank(programs.head, rank))


def _chunk(setting: Setting, architecture: Architecture) -> int:
    """Tokens whose logits exist at a time, for losses that take them in chunks."""
    if setting.stack.loss == "fused":
        tokens = setting.batch_size * setting.sequence_length
        return fused_chunk(tokens, architecture.hidden, architecture.vocabulary)
    return CHUNK_TOKENS


def _adaptation(architecture: Architecture, setting: Setting) -> Adaptation:
    match = adapters_of(architecture, setting)
    if match is None or setting.lora is None or not setting.trains:
        return Adaptation()
    if any(adapter.module.kind is ModuleKind.EXPERTS for adapter in match.adapters):
        raise UnsupportedRow("adapter_states", "no formula for the adapters of fused experts yet")
    paths = frozenset(module.path for module in match.matched)
    return Adaptation(paths, OPEN, setting.lora.dropout > 0)


def _record(build: Builder, setting: Setting) -> Programs:
    architecture, dtypes = build.architecture, build.numerics
    head = head_form(build, setting.stack.loss)
    forms = [(layer_form(build, kind), kind.count) for kind in architecture.layers]
    hidden = architecture.hidden
    embedding = Size(token=hidden * BYTES[dtypes.stream])
    held = {RESIDUAL: embedding.times(build.layout.embeddings + (dtypes.checkpointing == "false"))}
    seen = {"attention_mask": masks(build)}
    if not setting.trains:
        layers = tuple(record_inference(form, count, dtypes.stream) for form, count in forms)
        end = record_generation_head(head, hidden, layers[-1].result)
        return Programs(layers, end, embedding, held, seen)
    stream = Stream(dtypes.stream, dtypes.first_grad, dtypes.checkpointing, dtypes.accumulates)
    first = record_layer(forms[0][0], 1, stream)
    later = replace(stream, dtype=first.result, grad=True)
    forms[0] = (forms[0][0], forms[0][1] - 1)
    layers = (first, *(record_layer(form, count, later) for form, count in forms if count))
    return Programs(layers, record_head(head, hidden, later), embedding, held, seen)
