"""The reference of a preference loss: a model of its own, or a pass without gradients through the one that trains.

And which of TRL's objectives have formulas, with a reference and without one.

Source: trl/trainer/dpo_trainer.py since 1.15 (__init__, _compute_loss): after the forward pass of what is trained, all
of whose graph stays, the same sequences go through the reference under no_grad and without checkpoints; its head takes
tiles of logits, too. Where adapters are trained it is the same model with them switched off. GRPOTrainer asks it before
any graph is there (grpo_trainer.py, _generate_and_score_completions), which takes less than the passes that follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from packaging.version import Version

from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.context import Context
from toolkit.memory.forms.builder import Adaptation, Builder, builder
from toolkit.memory.forms.families import form_of_layer
from toolkit.memory.forms.heads import head_form
from toolkit.memory.forms.layers import kernel, masks, shorter_window
from toolkit.memory.formula.follow import AnyHead, follow_loss
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.losses import TRL_TILES, loss_of
from toolkit.memory.libraries.trainers import TRL
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.plan import plan
from toolkit.memory.programs.own_inputs import GATE
from toolkit.memory.programs.own_programs import OWN_PROGRAMS
from toolkit.memory.programs.program import MAX_RECORDED, Program, record_inference
from toolkit.memory.programs.programs import Programs
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, NOTHING, Size
from toolkit.memory.tape.held_embeddings import held_embeddings, held_scores
from toolkit.memory.tape.peaks import ALONE, Peaks, amounts
from toolkit.memory.tape.tape import Tape
from toolkit.spec.fields.names import FLOATS
from toolkit.spec.fields.objective import (
    ADAPTERS_OFF,
    DPO,
    KTO,
    MODEL,
    NEXT_TOKEN,
    PAIRED,
    PREFERENCES,
    REWARD,
    STEADY,
)
from toolkit.spec.fields.packing import UNPACKED
from toolkit.spec.settings.setting import Setting

ROW = "reference_model"
ANSWERS = 2
"""Sequences of a pair: the answer that is to be preferred, and the other."""
AFTERWARDS = (DPO, KTO)
"""Objectives that ask their reference while the graph of what is trained is there."""
TRL_WHOLE = Version("1.8")
"""The first release that was read whose DPOTrainer and trainers without a reference form all logits."""
TRL_SCORES = Version("0.24")
"""The first release whose RewardTrainer was read: it passes both answers through the model at once."""
ALONE_OR_WHOLE = ("none", "ddp")
"""Strategies by which every GPU has all of both models."""


def paired(setting: Setting) -> Setting:
    """A setting as its model sees the batch: two sequences for each pair, the chosen ones first (DataCollator...)."""
    return replace(setting, batch_size=ANSWERS * setting.batch_size) if setting.objective in PAIRED else setting


def reference_bytes(context: Context, _: PhaseName) -> int:
    """What a reference of its own has on the GPU: its weights as stored, in the allocator's units."""
    if context.setting.objective == NEXT_TOKEN:
        return 0
    _refuse(context.setting, context.architecture)
    if context.setting.reference != MODEL:
        return 0
    frozen = replace(context.setting, method="inference", lora=None, peft=None, objective="next-token", reference=None)
    sums = plan(context.architecture, frozen).sums
    return sums.weights + sums.rounding


def reference_programs(context: Context) -> Programs | None:
    """The programs of the reference's pass; None where none is run. Refuses by name what no formula follows."""
    setting, architecture = context.setting, context.architecture
    if setting.objective == NEXT_TOKEN:
        return None
    _refuse(setting, architecture)
    if setting.objective not in AFTERWARDS or setting.reference not in (MODEL, ADAPTERS_OFF):
        return None
    dtypes = replace(
        context.numerics,
        adapter=None,
        adapter_products=None,
        checkpointing="false",
        accumulates=False,
        trains_base=setting.reference == MODEL,  # nobody freezes it, so that autocast keeps copies of its weights
    )
    version = behaviour(architecture, setting)
    kernels = tuple(kernel(kind, dtypes, version, setting.sequence_length) for kind in architecture.layers)
    windows = tuple(shorter_window(kind, setting.sequence_length) for kind in architecture.layers)
    key = (id(architecture), dtypes, version, loss_of(setting), kernels, windows)
    found = _RECORDED.get(key)
    if found is None:
        if len(_RECORDED) >= MAX_RECORDED:
            _RECORDED.clear()
        build = builder(architecture, dtypes, Adaptation(), version, setting.sequence_length)
        found = _RECORDED[key] = architecture, _record(build, loss_of(setting))
    return found[1]


_RECORDED: dict[tuple[object, ...], tuple[Architecture, Programs]] = {}
"""Programs, each with its architecture: while that is kept, its id stays its own."""


def _record(build: Builder, loss: str) -> Programs:
    architecture, stream = build.architecture, build.numerics.stream
    embedding = Size(token=architecture.hidden * BYTES[stream])
    held = {RESIDUAL: held_embeddings(build, embedding, trains=False), **held_scores(build, trains=False)}
    seen = {"attention_mask": masks(build)}
    layers = tuple(record_inference(form_of_layer(build, kind), kind.count, stream) for kind in architecture.layers)
    end = _record_head(head_form(build, loss, trains=True), architecture.hidden, layers[-1].result)
    return Programs(layers, end, embedding, held, seen)


@lru_cache(maxsize=MAX_RECORDED)
def _record_head(form: AnyHead, hidden: int, dtype: str) -> Program:
    """The end of the reference: final norm and log-probabilities, without a graph."""
    tape = Tape(records=False, trains=False)
    follow_loss(tape, tape.new(RESIDUAL, hidden, dtype), form)
    return Program(1, Peaks.of(map(amounts, tape.moments)), {}, {}, ALONE, NOTHING, dtype)


def _refuse(setting: Setting, architecture: Architecture) -> None:
    """Raise where no formula follows an objective of TRL's, or its reference."""
    needed = _of_preferences if setting.objective in PREFERENCES else _of_others
    for known, covered in (
        ("TRL's trainers", setting.stack.trainer in TRL),
        *needed(setting, architecture),
        ("weights on one GPU or on each", setting.parallel.strategy in ALONE_OR_WHOLE),
        ("rows of one sample", setting.packing == UNPACKED),
        (f"models without dropout, which TRL turns off for {setting.objective}",
         setting.objective not in STEADY or not _drops(architecture)),
    ):  # fmt: skip
        if not covered:
            raise UnsupportedRow(ROW, f"no formula for {setting.objective} yet, except with {known}")


def _of_preferences(setting: Setting, architecture: Architecture) -> Iterator[tuple[str, bool]]:
    """What an objective needs that holds a model against a reference."""
    own = setting.method == "full" and setting.reference == ADAPTERS_OFF
    loss = "chunked" if newer(setting) else "cross-entropy"
    read = newer(setting) or (setting.objective == DPO and not older(setting, "trl", TRL_WHOLE))
    since = TRL_WHOLE if setting.objective == DPO else TRL_TILES
    yield f"trl {since} or newer (stack.trl) and its loss (stack.loss: {loss})", read and setting.stack.loss == loss
    yield "a causal language model", architecture.head == "causal-lm" and architecture.is_decoder
    yield "a reference of its own or a precomputed one where no adapters are trained", not own
    yield "layers of attention and a feed-forward without experts", _is_plain(architecture)


def _of_others(setting: Setting, architecture: Architecture) -> Iterator[tuple[str, bool]]:
    """What one needs that has no reference: TRL's code as it was read, and a head that its loss is of."""
    first = TRL_SCORES if setting.objective == REWARD else TRL_WHOLE
    plain = setting.stack.loss == "cross-entropy" and not older(setting, "trl", first)
    yield f"trl {first} or newer (stack.trl) and stack.loss: cross-entropy", plain
    if setting.objective == REWARD:
        scores = architecture.head == "sequence-classification" and setting.labels == 1
        yield "head sequence-classification and one label", scores and architecture.is_decoder
        return
    yield "a causal language model", architecture.head == "causal-lm" and architecture.is_decoder
    yield "layers of attention and a feed-forward", _is_plain(architecture, mixtures=True)
    yield "weights in 16 or 32 bit, for its trainer casts packed ones otherwise", setting.weights in FLOATS


def newer(setting: Setting) -> bool:
    """Whether TRL's trainers take log-probabilities in tiles."""
    return not older(setting, "trl", TRL_TILES)


def _drops(architecture: Architecture) -> bool:
    """Whether parts of a model leave out what they give by chance."""
    return bool(architecture.embedding_dropout) or any(kind.dropout for kind in architecture.layers)


def _is_plain(architecture: Architecture, *, mixtures: bool = False) -> bool:
    """Whether the layers are such as traces were held against.

    What holds a mixture against a reference adds the loss of its routers (aux_loss_enabled).
    """
    if architecture.family in OWN_PROGRAMS or architecture.family in ENCODERS:
        return False
    modules = architecture.modules
    routes = any(module.kind is ModuleKind.EXPERTS or module.path.endswith(GATE) for module in modules)
    if routes and not mixtures:
        return False
    attentions = [kind.attention for kind in architecture.layers]
    written = any(one.alibi or one.shares_keys for one in attentions)
    return not written and all(kind.mixer is None for kind in architecture.layers)
