"""From a setting and a model's facts to what the rows of an estimate are computed from, for each GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from packaging.version import Version

from toolkit.facts.models import ModelFacts
from toolkit.facts.multiprocessors import multiprocessors_of
from toolkit.memory.architecture import Architecture, architecture_of
from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.architecture.litgpt import LITGPT_CACHES_GROUPS
from toolkit.memory.architecture.megatron import TRAINER as MEGATRON
from toolkit.memory.architecture.megatron import apart
from toolkit.memory.architecture.mixers import piece_of
from toolkit.memory.architecture.stack import as_built
from toolkit.memory.architecture.torchtitan import TRAINER as TORCHTITAN
from toolkit.memory.architecture.torchtune import TRAINER as TORCHTUNE
from toolkit.memory.context import Context, Scale
from toolkit.memory.device import workspace_bytes
from toolkit.memory.formula.caches.growth import Growth, growth
from toolkit.memory.formula.ends.chunked_loss import CHUNK_TOKENS, fused_chunk
from toolkit.memory.formula.inputs import shared_angles
from toolkit.memory.formula.optimizers.optimizer_step import refuse_in_backward
from toolkit.memory.formula.trainers.litgpt import CHUNK_POSITIONS
from toolkit.memory.layouts.families import LAYOUTS
from toolkit.memory.libraries.kept_caches import STATIC, room
from toolkit.memory.libraries.losses import BY_ROWS, TILE_TOKENS, TILES, loss_of
from toolkit.memory.libraries.training_caches import without_cache
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.libraries.versions import older
from toolkit.memory.offloading import refuse_offloading
from toolkit.memory.packing import laid_out, samples_of
from toolkit.memory.parallel.covered import refuse_spread
from toolkit.memory.parallel.megatron_split import rank_of_megatron
from toolkit.memory.parallel.micro_batches import scheduled_part
from toolkit.memory.parallel.placement import stages
from toolkit.memory.parallel.plan import gathered_setting, held_setting, plan
from toolkit.memory.parallel.schedule import scheduled_stages
from toolkit.memory.parallel.stages import grown, on_stage, outline_of, part_of
from toolkit.memory.parallel.tensor import on_rank, rank_of, refuse_copies
from toolkit.memory.parallel.trained_stages import train_on_stage
from toolkit.memory.programs.programs import Programs
from toolkit.memory.reference import paired
from toolkit.memory.size import BYTES
from toolkit.memory.tuners.prompts import lengthened
from toolkit.memory.validation import passing, refuse_validation
from toolkit.memory.weights.lora import adapters_of
from toolkit.memory.weights.numerics import Numerics, numerics
from toolkit.memory.weights.parameters import total_parameters, trainable_parameters
from toolkit.memory.weights.saved import is_token_embedding, saved_by
from toolkit.spec.settings.setting import Setting

HOOKS_ONCE = Version("5.23")
"""Since then a checkpoint is put around a layer's forward, not around its call (modeling_layers.py)."""


def contexts_of(setting: Setting, facts: ModelFacts) -> Iterator[Context]:
    """One for each GPU that holds something else."""
    refuse_spread(setting)
    refuse_in_backward(setting)
    refuse_offloading(setting)
    refuse_validation(setting)
    checked = None if setting.validation is None else _as_seen(passing(setting))
    setting = _as_seen(setting)
    architecture = architecture_of(facts, setting.head, setting.labels)
    if setting.trains and setting.uncached:
        architecture = without_cache(architecture)
    if setting.stack.trainer in (LITGPT, AUTOAWQ, TORCHTUNE, TORCHTITAN, MEGATRON):
        architecture = as_built(architecture, setting)
    whole = architecture
    if setting.parallel.tensor_parallel > 1:
        architecture = rank_of_megatron(architecture, setting.parallel.tensor_parallel)
    if setting.parallel.strategy == "tensor":
        refuse_copies(architecture, setting)
        mine = rank_of(architecture, setting.parallel.gpus, serves=setting.stack.trainer == "vllm")
        context = _context(setting, mine)
        yield _part(context, _counted(architecture, context.setting))
    elif setting.parallel.strategy == "pipeline":
        yield from _on_stages(setting, apart(architecture), whole)
    else:
        context = _context(setting, architecture)
        context = context if whole is architecture else _part(context, _counted(whole, context.setting))
        context.validated = None if checked is None else _context(checked, architecture)
        yield context


def _on_stages(setting: Setting, architecture: Architecture, whole: Architecture) -> Iterator[Context]:
    """One for each stage of a pipeline; those that have as many layers alike have one architecture, made once."""
    known: dict[object, Context] = {}
    counts = None
    for stage in (scheduled_stages if setting.parallel.schedule else stages)(architecture, setting):
        part = part_of(architecture, stage)
        place = stage.gpu if stage.scheduled else 0  # which decides how many micro-batches are on their way
        alike = replace(stage, gpu=place, first=0, end=stage.layers), part.layers, part.order
        if alike not in known:
            context = _context(setting, part)
            counts = counts or _counted(whole, context.setting)
            context = known[alike] = _part(context, counts)
            context.outline = outline_of(architecture, stage)
            if not stage.layers:
                context.architecture = context.outline
            if setting.trains and not stage.embeds:  # what the GPU before gives needs a gradient
                context.numerics = replace(context.numerics, first_grad=True)
        yield replace(known[alike], stage=stage)


def _as_seen(setting: Setting) -> Setting:
    """The setting with the rows and tokens that the model is given."""
    return paired(lengthened(laid_out(setting)))


def _counted(whole: Architecture, setting: Setting) -> tuple[int, int]:
    """The parameters of all of a model, and those of them that are trained."""
    return total_parameters(whole, setting), trainable_parameters(whole, setting)


def _part(context: Context, whole: tuple[int, int]) -> Context:
    """A context of a part of a model, which has as many parameters as the `whole`, and trains as many."""
    parameters, trainable = whole
    context.sums = replace(context.sums, parameters=parameters, trainable=trainable)
    return context


def _context(setting: Setting, architecture: Architecture) -> Context:
    setting, computing = held_setting(setting), gathered_setting(setting)
    shared = plan(architecture, setting)
    return Context(
        setting=setting,
        architecture=architecture,
        numerics=_numerics(architecture, computing),
        sums=shared.sums,
        sharing=shared.sharing,
        scale=_scale(setting, architecture),
        workspace=workspace_bytes(setting.gpu, setting.stack.versions),
        rotary=architecture.family in LAYOUTS and LAYOUTS[architecture.family].rotary not in ("none", "own"),
    )


def _numerics(architecture: Architecture, setting: Setting) -> Numerics:
    """The dtypes of a run, and whether gradients flow on from a token embedding: an adapter's, or a trained copy's."""
    found = numerics(setting)
    if not setting.trains or setting.lora is None or found.first_grad:
        return found
    match = adapters_of(architecture, setting)
    trained = [*saved_by(architecture, setting), *(match.matched if match is not None else ())]
    return replace(found, first_grad=any(is_token_embedding(module, architecture) for module in trained))


def on_gpu_alone(programs: Programs, context: Context) -> Programs:
    """The programs of what one GPU has of a model."""
    if context.stage is not None and context.stage.scheduled:
        return scheduled_part(programs, context.stage)
    if context.setting.trains:
        stage, again = context.stage, older(context.setting, "transformers", HOOKS_ONCE)
        return programs if stage is None else train_on_stage(programs, stage, shared_angles(context), hooks_again=again)
    vocabulary, dtype, setting = context.architecture.vocabulary, context.numerics.head, context.setting
    if context.stage is not None:
        early = behaviour(context.architecture, setting).upcasts_early
        return on_stage(programs, context.stage, vocabulary, dtype, early=early)
    if setting.parallel.strategy == "tensor" and context.generates:
        return on_rank(programs, vocabulary, setting.parallel.gpus, dtype)
    return programs


def growing(context: Context) -> Growth:
    """What is there beside a growing cache on one GPU."""
    return growth(context) if context.stage is None else grown(growth(context), context.stage)


def gradient_bytes(context: Context) -> int:
    """The gradients that stay until the optimizer steps; those of copies have their dtype."""
    sums, dtypes = context.sums, context.numerics
    if context.setting.optimizer_in_backward:
        return 0
    own = sums.elements - sums.copies + sums.beside
    return own * BYTES[context.setting.gradients] + sums.copies * BYTES[dtypes.head]


def _scale(setting: Setting, architecture: Architecture) -> Scale:
    rank = setting.lora.rank if setting.lora else 0
    keys = _kept_keys(setting, architecture)
    chunk, piece = _chunk(setting, architecture), piece_of(architecture.layers)
    on = multiprocessors_of(setting.gpu) if setting.trains and setting.gpu is not None else None
    return Scale(setting.batch_size, setting.sequence_length, chunk, rank, keys, piece, samples_of(setting), on)


def _kept_keys(setting: Setting, architecture: Architecture) -> int:
    """Positions that every token attends to: all of a cache that has room for more, where attention takes no part."""
    static = setting.cache is not None and setting.cache.implementation == STATIC
    if static and setting.attention == "eager" and not setting.trains:
        return room(setting)
    if setting.trains or architecture.family != LITGPT or not older(setting, LITGPT, LITGPT_CACHES_GROUPS):
        return 0
    return setting.sequence_length + setting.generated_length


def _chunk(setting: Setting, architecture: Architecture) -> int:
    """Tokens whose logits exist at a time, for losses that take them in chunks."""
    if architecture.family == LITGPT:
        return setting.batch_size * CHUNK_POSITIONS
    if setting.stack.loss == "fused":
        tokens = setting.batch_size * setting.sequence_length
        return fused_chunk(tokens, architecture.hidden, architecture.vocabulary)
    if loss_of(setting).endswith(BY_ROWS):
        return setting.sequence_length
    return TILE_TOKENS if loss_of(setting) in TILES else CHUNK_TOKENS
