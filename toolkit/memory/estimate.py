"""From a setting and a model's facts to a ledger: pure, without torch, in well under a millisecond."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from packaging.version import Version

from toolkit.facts.models import ModelFacts
from toolkit.memory.architecture import Architecture, architecture_of
from toolkit.memory.context import Context, Scale
from toolkit.memory.device import Interval, device_interval, reserved_interval, workspace_bytes
from toolkit.memory.forms import Adaptation, Builder, builder, head_form, layer_form
from toolkit.memory.ledger import Ledger, Phase, PhaseName, Row
from toolkit.memory.lora import match_targets
from toolkit.memory.moments import Programs, fullest
from toolkit.memory.numerics import Numerics, numerics, older
from toolkit.memory.parameters import total_parameters, trainable_parameters
from toolkit.memory.program import record_generation_head, record_head, record_inference, record_layer
from toolkit.memory.rows import ROWS
from toolkit.memory.sums import Sums, sums
from toolkit.memory.tape import BYTES, Size
from toolkit.spec.setting import Setting

TRAINING = (PhaseName.LOAD, PhaseName.FORWARD_END, PhaseName.BACKWARD, PhaseName.OPTIMIZER_STEP)
INFERENCE = (PhaseName.LOAD, PhaseName.PREFILL, PhaseName.DECODE)

MODEL_UPCASTS_UNTIL = Version("4.45")
LOSS_SHIFTS_UNTIL = Version("4.50")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a setting needs on one GPU: the ledger, and the peak as allocated, reserved and device bytes."""

    setting: Setting
    ledger: Ledger
    allocated: int
    reserved: Interval
    device: Interval
    parameters_total: int
    parameters_trainable: int
    notes: tuple[str, ...] = field(default=())


def estimate(setting: Setting, facts: ModelFacts) -> Estimate:
    """The estimate of a setting; raises UnsupportedModel or UnsupportedRow for what no formula covers."""
    architecture = architecture_of(facts, setting.head, setting.labels)
    dtypes = numerics(setting)
    context = Context(
        setting=setting,
        architecture=architecture,
        numerics=dtypes,
        sums=_sums(architecture, setting),
        scale=Scale(setting.batch_size, setting.sequence_length),
        workspace=workspace_bytes(setting.gpu),
    )
    context.moments = fullest(context, _programs(architecture, setting, dtypes))
    ledger = Ledger(tuple(_phase(context, name) for name in (TRAINING if setting.trains else INFERENCE)))
    reserved = reserved_interval(ledger)
    return Estimate(
        setting=setting,
        ledger=ledger,
        allocated=ledger.peak.total,
        reserved=reserved,
        device=device_interval(reserved, setting.gpu),
        parameters_total=total_parameters(architecture, setting),
        parameters_trainable=trainable_parameters(architecture, setting),
    )


def _phase(context: Context, name: PhaseName) -> Phase:
    rows = []
    for rule in ROWS:
        if name in rule.phases:
            size = rule.function(context, name)
            if size:
                rows.append(Row(rule.name, rule.category, size, rule.formula, {}))
    return Phase(name, tuple(rows))


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
        setting.lora,
    )
    found = _SUMS.get(key)
    if found is None:
        if len(_SUMS) >= MAX_CACHED:
            _SUMS.clear()
        found = _SUMS[key] = sums(architecture, setting)
    return found


def _programs(architecture: Architecture, setting: Setting, dtypes: Numerics) -> Programs:
    early, shifts = older(setting, "transformers", MODEL_UPCASTS_UNTIL), older(setting, "transformers", LOSS_SHIFTS_UNTIL)
    key = (id(architecture), dtypes, setting.trains, setting.lora, early, shifts)
    found = _PROGRAMS.get(key)
    if found is None:
        if len(_PROGRAMS) >= MAX_CACHED:
            _PROGRAMS.clear()
        build = builder(architecture, dtypes, _adaptation(architecture, setting))
        found = _PROGRAMS[key] = _record(build, trains=setting.trains, early=early, shifts=shifts)
    return found


def _adaptation(architecture: Architecture, setting: Setting) -> Adaptation:
    if setting.lora is None or not setting.trains:
        return Adaptation()
    paths = frozenset(module.path for module in match_targets(architecture, setting.lora.targets).matched)
    return Adaptation(paths, setting.lora.rank, setting.lora.dropout > 0)


def _record(build: Builder, *, trains: bool, early: bool, shifts: bool) -> Programs:
    architecture, dtypes = build.architecture, build.numerics
    head = head_form(build, upcasts_early=early, shifts=shifts)
    forms = [(layer_form(build, kind), kind.count) for kind in architecture.layers]
    hidden, stream = architecture.hidden, dtypes.stream
    if trains:
        layers = tuple(record_layer(form, count, stream, dtypes.checkpointing) for form, count in forms)
        end = record_head(head, hidden, stream)
    else:
        layers = tuple(record_inference(form, count, stream) for form, count in forms)
        end = record_generation_head(head, hidden, stream, all_positions=early)
    return Programs(layers, end, Size(token=hidden * BYTES[stream]))
