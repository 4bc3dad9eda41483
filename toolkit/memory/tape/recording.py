"""The programs of a model: one tape for each kind of layer and one for its end, kept for all settings alike."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.architecture.mixers import piece_of
from toolkit.memory.architecture.stack import as_built
from toolkit.memory.context import Context
from toolkit.memory.forms.builder import Adaptation, Builder, builder
from toolkit.memory.forms.encoders import reaches_all
from toolkit.memory.forms.families import form_of_layer, refuse_older, refuse_passed_over
from toolkit.memory.forms.feed_forward import refuse_scattered
from toolkit.memory.forms.heads import head_form
from toolkit.memory.forms.indexing import indexing
from toolkit.memory.forms.layers import cache_of, keeping, kernel, masks, reading, shorter_window
from toolkit.memory.forms.litgpt import litgpt_mask
from toolkit.memory.forms.recurrent import pieces_of
from toolkit.memory.forms.written_scores import MPT, mpt_masks, refuse_unread
from toolkit.memory.formula.ends.logits import NAMED, HeadForm
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.formula.tuned.penalty import waiting_bytes
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.libraries.kept_caches import refuse_cache, room
from toolkit.memory.libraries.losses import SUMS_CHUNKS, TILES, held_result, loss_of, refuse_sum
from toolkit.memory.libraries.recurrent_kernels import refuse_recurrent_kernels
from toolkit.memory.libraries.trainers import MEGATRON, TORCHTITAN, TORCHTUNE
from toolkit.memory.libraries.training_caches import fills_unread, training_cache
from toolkit.memory.libraries.transformers_versions import behaviour, decodes_itself
from toolkit.memory.offloading import fetches
from toolkit.memory.packing import refuse_packing
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.programs.layer_order import is_ordered, surroundings
from toolkit.memory.programs.own_inputs import GATE, filling, held_inputs, made_before, refuse_unlike, with_shared
from toolkit.memory.programs.own_programs import OWN_PROGRAMS
from toolkit.memory.programs.program import (
    MAX_RECORDED,
    Stream,
    given_dtype,
    record_decoding,
    record_generation_head,
    record_head,
    record_inference,
    record_logits,
)
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.training_layers import training_layers
from toolkit.memory.refusal import UnsupportedRow, refuse_expert_adapters, refuse_passes, refuse_warmup
from toolkit.memory.size import BYTES, OPEN, Size
from toolkit.memory.tape.held_embeddings import (
    first_dtype,
    front_of,
    held_embeddings,
    held_scores,
    linked_leaf,
    opening_of,
)
from toolkit.memory.timeline.sizes import MASK_ALIGNMENT
from toolkit.memory.tuners.copies import refuse_copies, refuse_unmade, with_copies
from toolkit.memory.tuners.forms import norms_of, prefix_of, refuse_unfollowed, scattered_bytes, tuners_of
from toolkit.memory.tuners.prompt_passes import prompted
from toolkit.memory.tuners.prompts import of_prompts
from toolkit.memory.weights.backward import TRAINS_INPUTS
from toolkit.memory.weights.lora import adapters_of
from toolkit.memory.weights.saved import is_token_embedding, saved_by
from toolkit.spec.fields.evaluation import NO_LABELS
from toolkit.spec.settings.setting import Lora, Setting

BLOOM = "bloom"
"""The family whose own code writes out scores, whatever attention is asked for."""
KERNELS_OF_THEIR_OWN = ("mxfp4",)
"""Forms of experts that no implementation of transformers' experts runs (integrations/mxfp4.py)."""

_PROGRAMS: dict[tuple[object, ...], tuple[Architecture, Programs]] = {}


def programs_of(context: Context) -> Programs:
    """The programs of a setting's model, recorded once for all batches, sequences and ranks; refuses by name."""
    architecture, setting, dtypes = context.outline or context.architecture, context.setting, context.numerics
    refuse_passes(setting, architecture.family)
    refuse_cache(setting, architecture)
    refuse_recurrent_kernels(architecture, setting.kernels)
    refuse_sum(setting, architecture.family)
    refuse_steps(dtypes.steps, architecture)
    refuse_packing(setting, architecture)
    refuse_scattered(setting)
    refuse_unlike(architecture, setting)
    refuse_older(setting, architecture.family)
    refuse_passed_over(setting, architecture.family)
    refuse_copies(setting)
    version = behaviour(architecture, setting)
    if setting.warmup and not setting.trains:
        all_made = version.upcasts_early or version.own_head or not context.generates
        refuse_warmup(setting, gives_all=all_made)
    built = as_built(architecture, setting)
    kernels = tuple(kernel(kind, dtypes, version, setting.sequence_length) for kind in architecture.layers)
    windows = tuple(shorter_window(kind, setting.sequence_length) for kind in architecture.layers)
    lora = _with_open_rank(setting.lora) if setting.lora else None
    rooms = None if setting.cache is None else (setting.cache, room(setting))
    peft = (setting.method, setting.peft, setting.stack.versions.get("peft")) if setting.trains else None
    recurs = any(kind.mixer is not None for kind in architecture.layers)
    pieces = recurs and pieces_of(setting.sequence_length, piece_of(architecture.layers))
    shape = indexing(architecture, setting)
    reached = tuple(reaches_all(kind, setting.sequence_length) for kind in architecture.layers)
    unread = fills_unread(setting, architecture)
    aligns = architecture.family in ENCODERS or any(kind.cross_attention for kind in architecture.layers)
    pads = aligns and setting.sequence_length % MASK_ALIGNMENT != 0
    beyond = bool(version.one_mask) and setting.sequence_length > (architecture.max_positions or 0)
    lone = setting.batch_size == 1 and (setting.attention == "eager" or architecture.family == BLOOM)
    key = (
        lone, id(built), dtypes, setting.trains, lora, peft, loss_of(setting), version, kernels, windows, rooms, pieces,
        shape, reached, unread, held_result(setting, architecture.family), setting.evaluation, setting.uncached, beyond,
        pads, context.stage, setting.activation_offloading, *_of_tables(context),
    )  # fmt: skip
    found = _PROGRAMS.get(key)
    if found is None:
        if len(_PROGRAMS) >= MAX_RECORDED:
            _PROGRAMS.clear()
        adaptation = _adaptation(architecture, setting)
        build = builder(built, dtypes, adaptation, version, setting.sequence_length)
        build = replace(build, indexing=shape, lone=lone)
        # With what it was recorded of: while that is kept, its id stays its own.
        made = _with_gradients(_record(build, setting, context.stage), context)
        if setting.method not in TRAINS_INPUTS and architecture.family != LITGPT:  # which asks for no such gradient
            made = replace(made, leaf=linked_leaf(build))
        if setting.trains:  # a validation passes through the same programs
            made = replace(made, scores=held_scores(build, trains=False))
        if lora is not None and lora.modules_to_save and setting.trains:
            once = replace(build, numerics=replace(dtypes, accumulates=False))
            refuse_unmade(_record(once, setting, context.stage) if dtypes.accumulates else made, context)
        found = _PROGRAMS[key] = built, made
    return found[1]


@lru_cache(maxsize=MAX_RECORDED)
def _with_open_rank(lora: Lora) -> Lora:
    return replace(lora, rank=OPEN)


def _with_gradients(programs: Programs, context: Context) -> Programs:
    """Programs with what they know of gradients beside their own."""
    sums, dtypes = context.sums, context.numerics
    if context.setting.peft is not None and context.setting.trains:
        # The gradients of biases are no product's: those of the classifier that peft copies are not followed.
        biases = sum(one.elements * one.count for one in sums.trained if one.copied and len(one.shape) == 1)
        made = (sums.elements + sums.beside - biases) * BYTES[dtypes.gradient]
        refuse_unfollowed((*programs.layers, programs.head), context.setting, made)
    embedding, added, tied = _of_tables(context)
    return replace(
        programs,
        embedding=embedding,
        added=added,
        tied=tied,
        accumulates=dtypes.accumulates,
        steps=dtypes.steps,
        adds_in_place=dtypes.autocast not in (None, dtypes.head) or loss_of(context.setting) in TILES,
        sums_chunks=loss_of(context.setting) in SUMS_CHUNKS,
        scattered=scattered_bytes(context.architecture, context.setting, dtypes.embedding),
        penalty=waiting_bytes(context),
    )


def _of_tables(context: Context) -> tuple[int, int, bool]:
    """Bytes of the gradients of the token embedding and of what comes with it, by what one GPU trains; is it tied."""
    sums = context.sums
    embedding = sums.embedding and sums.embedding * BYTES[_of_embeddings(context)]
    return embedding, _added(context) if embedding or of_prompts(context.setting) else 0, sums.tied


def _added(context: Context) -> int:
    """Bytes of the gradients of embeddings beside those of the tokens: positions, token types; of virtual tokens.

    What stands between embeddings and layers of another width comes with them.
    """
    if of_prompts(context.setting):
        return context.sums.adapters * BYTES[context.numerics.gradient]
    each = (tensor.elements * tensor.count for tensor in context.sums.trained if tensor.embedding)
    return (sum(each) - context.sums.embedding) * BYTES[_of_embeddings(context)] + _between(context)


def _between(context: Context) -> int:
    dtypes, layout = context.numerics, ENCODERS.get(context.architecture.family)
    path = layout.projects if layout is not None else None
    if path is None or not dtypes.trains_base:
        return 0
    elements = sum(one.elements for one in context.architecture.modules if one.path.endswith(path))
    return elements * BYTES[dtypes.gradient]


def _of_embeddings(context: Context) -> str:
    """The dtype of the gradients of embeddings: of copies that peft trains their own."""
    dtypes = context.numerics
    return dtypes.embedding if context.sums.copies else dtypes.gradient


def refuse_steps(steps: int | None, architecture: Architecture) -> None:
    """Raise where no formula says when a step inside of backward takes room."""
    own = architecture.family in OWN_PROGRAMS or any(one.path.endswith(GATE) for one in architecture.modules)
    if steps and own:
        reason = f"no formula for steps in backward of {architecture.family} that are not fused yet"
        raise UnsupportedRow("optimizer_temporary", reason)


def _adaptation(architecture: Architecture, setting: Setting) -> Adaptation:
    if setting.peft is not None and setting.trains:
        norms, prefix = norms_of(architecture, setting), prefix_of(architecture, setting)
        rows, tuners = setting.method == "trainable_tokens", tuners_of(architecture, setting)
        saved = frozenset(module.path for module in saved_by(architecture, setting))
        return Adaptation(tuners=tuners, norms=norms, prefix=prefix, rows=rows, saved=saved)
    match = adapters_of(architecture, setting)
    if match is None or setting.lora is None:
        return Adaptation()
    if any(adapter.module.kind is ModuleKind.EXPERTS for adapter in match.adapters):
        refuse_expert_adapters(setting)
    paths = frozenset(module.path for module in match.matched)
    shared = tuple(adapter.module.path for adapter in match.adapters if adapter.ranks > 1)
    lora = setting.lora
    adaptation = Adaptation(
        paths, OPEN, lora.dropout > 0, lora.dora, lora.bias, shared, frozen=(lora.frozen or "").upper(),
        blocks={adapter.module.path: adapter.blocks for adapter in match.adapters if lora.blocks > 1},
        looks_up=any(is_token_embedding(module, architecture) for module in match.matched),
    )  # fmt: skip
    return with_copies(adaptation, architecture, setting) if setting.trains else adaptation  # copies run as originals


def _record(build: Builder, setting: Setting, stage: Stage | None = None) -> Programs:
    architecture, dtypes = build.architecture, build.numerics
    own = OWN_PROGRAMS.get(architecture.family)
    if own is not None:
        return own(build, setting)
    head = head_form(build, loss_of(setting), trains=setting.trains)
    if isinstance(head, HeadForm):
        named, evaluates = held_result(setting, architecture.family), setting.evaluation != NO_LABELS
        head = replace(head, held=named, evaluates=evaluates, anew=setting.uncached)
    forms = [(form_of_layer(build, kind), kind.count) for kind in architecture.layers]
    hidden = architecture.hidden
    embedding = Size(token=hidden * BYTES[dtypes.stream])
    embedded = held_embeddings(build, embedding, trains=setting.trains)
    held = {RESIDUAL: embedded, **held_scores(build, trains=setting.trains)}
    if setting.stack.trainer in (TORCHTUNE, TORCHTITAN, MEGATRON):  # one name for embeddings and what layers give
        held = {}
    seen = {} if setting.stack.trainer == MEGATRON else {"attention_mask": masks(build)}  # which comes with its ids
    refuse_unread(setting, architecture.family)
    held = {**held, **held_inputs(build, trains=setting.trains)}
    if not setting.trains:
        if architecture.family == LITGPT:  # whose loop has one name for the embeddings and what layers make of them
            held, seen = {}, {"attention_mask": litgpt_mask()}
        if architecture.family == AUTOAWQ:  # so has this model's, and a mask for all sequences
            held, seen = {}, {"attention_mask": Size(square=BYTES[dtypes.stream])}
        cache = cache_of(build, setting) if architecture.is_decoder else ""
        kept = [keeping(build, setting, kind) for kind in architecture.layers]
        layers = tuple(
            filling(kind, record_inference(form, count, given_dtype(form, dtypes.stream), cache, how))
            for (form, count), how, kind in zip(forms, kept, architecture.layers, strict=True)
        )
        end = record_generation_head(head, hidden, layers[-1].result)
        copied = setting.weights not in KERNELS_OF_THEIR_OWN and not decodes_itself(setting)
        decoding = tuple(
            record_decoding(
                reading(form, how), count, given_dtype(form, dtypes.stream), copies_experts=copied, keeping=how
            )
            for (form, count), how in zip(forms, kept, strict=True)
        )
        ordered = is_ordered(architecture.layers, architecture.order)
        around = surroundings(architecture.order) if ordered else ()
        before = made_before(build)
        return Programs(layers, end, embedding, held, seen, decoding=decoding, around=around, before=before)
    uncached = loss_of(setting) == NAMED or setting.parallel.schedule is not None  # whose loops ask for none
    caches = build.version.caches_in_training and not uncached
    named = training_cache(build, setting)
    passes = dtypes.first_grad, dtypes.checkpointing, dtypes.accumulates
    stream = Stream(first_dtype(build), *passes, caches, named, dtypes.steps, fetches=fetches(setting))
    layers, later, around = training_layers(build, forms, stream, stage)
    waits = architecture.tied and later.steps is not None  # for the embedding's gradient, to step by both
    ending = replace(later, steps=0) if waits else later
    end, logits = record_head(head, hidden, ending), record_logits(head, hidden, later)
    front = front_of(build)
    if dtypes.padded and "given" in [
        kernel(kind, dtypes, build.version, build.sequence) for kind in architecture.layers
    ]:
        seen, front = {}, {**front, **seen}  # the bias itself, which every layer saves a view of
    if architecture.family == MPT and dtypes.checkpointing == "false":
        biases, mask = mpt_masks(build)
        seen, front = {**biases}, {**front, **mask}
    opening = opening_of(build, held)
    front, called = prompted(build, setting, held, front, layers[0])
    programs = Programs(
        layers, end, embedding, held, seen, front, None if called else opening,
        logits=logits, around=around, called=called, holds_embeddings=True,
    )  # fmt: skip
    return with_shared(build, programs, forms)
