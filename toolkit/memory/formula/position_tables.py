"""What a model keeps for each of its positions: the angles of rotary embedding, causal masks, factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.architecture.bart import LEARNED_OFFSET
from toolkit.memory.architecture.heads import CAUSAL
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.architecture.torchtitan import REPEATED, SHARED
from toolkit.memory.architecture.torchtune import HALVED, PAIRED
from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.layer_tables import layer_tables
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.loading.autoawq import angles_bytes, made
from toolkit.memory.size import BYTES

QWEN = "qwen"
"""The first Qwen, whose code is in its checkpoint's repository."""

SCALED_POSITIONS = 131_072
"""The positions of Llama since 3.1."""

FACTORS = 32_767
"""Positions for which the first Qwen's code has a factor of the queries, in every layer."""


def position_tables_bytes(context: Context, phase: PhaseName) -> int:
    """The bytes of all that is kept for positions in a phase."""
    return sum(position_tables(context, phase))


def position_tables(context: Context, phase: PhaseName) -> tuple[int, ...]:
    """The bytes of each tensor that is kept for positions, in the order of the layers."""
    if context.serves:  # by model code of its own
        return ()
    own = OF_FAMILY.get(context.architecture.family)
    if own is not None:
        return own(context, phase)
    reached = 0 if phase is PhaseName.LOAD else context.setting.sequence_length
    tables = layer_tables(context.architecture, context.setting, context.numerics.loaded, reached)
    return (*_one_mask(context, reached), *context.architecture.layer_count * (*tables, *_last_angles(context, phase)))


def _one_mask(context: Context, reached: int) -> tuple[int, ...]:
    """One mask of all pairs of positions for all layers (modeling_llama.py of 4.38, LlamaModel, causal_mask).

    A pass over more positions replaces it by one that is made in main memory and stays there (_update_causal_mask).
    """
    if context.stage is not None and not context.stage.embeds:  # the model's, and so on its first GPU
        return ()
    dtype, positions = behaviour(context.architecture, context.setting).one_mask, context.architecture.max_positions
    return (positions**2 * BYTES[dtype],) if dtype and positions and reached <= positions else ()


def _last_angles(context: Context, phase: PhaseName) -> tuple[int, ...]:
    """Cosines and sines that a layer keeps from its last pass: for one sequence, or for one token in decoding."""
    if phase is PhaseName.LOAD or not behaviour(context.architecture, context.setting).last_angles:
        return ()
    attention = context.architecture.layers[0].attention
    positions = 1 if phase is PhaseName.DECODE else context.setting.sequence_length
    return 2 * (positions * (attention.rope_dim or attention.head_dim) * BYTES[context.numerics.loaded],)


def _of_bigcode(context: Context, phase: PhaseName) -> tuple[int, ...]:  # noqa: ARG001 - one signature for all
    """One mask of all pairs of positions for all layers (modeling_gpt_bigcode.py, GPTBigCodeModel, bias)."""
    return ((context.architecture.max_positions or 0) ** 2 * BYTES["bool"],)


def _of_autoawq(context: Context, phase: PhaseName) -> tuple[int, ...]:
    """A table of complex angles in each layer; in loading, those that exist at its fullest moment."""
    if phase is PhaseName.LOAD:
        return (made(context).angles,)
    return tuple(angles_bytes(context, kind) for kind in context.architecture.layers for _ in range(kind.count))


def _of_torchtune(context: Context, phase: PhaseName) -> tuple[int, ...]:  # noqa: ARG001 - one signature for all
    """Cosines and sines of all positions in float32, each twice where halves are rotated.

    One table for all layers; with adapters one per layer, except for Llama since 3.1 with its scaled angles. Sources:
    torchtune/models/llama3_1/_position_embeddings.py, models/qwen2/_positional_embeddings.py,
    models/*/_component_builders.py, where lora_*_self_attention makes its own.
    """
    architecture = context.architecture
    width = architecture.layers[0].attention.head_dim
    repeats = 2 if architecture.family == HALVED else 1
    each = repeats * (architecture.max_positions or 0) * width * BYTES["fp32"]
    scaled = architecture.family == PAIRED and architecture.max_positions == SCALED_POSITIONS
    return (1 if scaled or context.setting.lora is None else architecture.layer_count) * (each,)


def _of_torchtitan(context: Context, phase: PhaseName) -> tuple[int, ...]:  # noqa: ARG001 - one signature for all
    """Complex angles for the positions of a sequence, shared by all layers (freqs_cis; args.py, max_seq_len)."""
    width = context.architecture.layers[0].attention.head_dim
    return (context.setting.sequence_length * width * BYTES["fp32"],)


def _of_litgpt(context: Context, phase: PhaseName) -> tuple[int, ...]:  # noqa: ARG001 - one signature for all
    """Float32 angles and a mask of all pairs of positions, for prompt and answer (litgpt/model.py)."""
    if context.setting.trains:
        return ()
    attention = context.architecture.layers[0].attention
    positions = context.setting.sequence_length + context.setting.generated_length
    angles = positions * (attention.rope_dim or attention.head_dim) * BYTES["fp32"]
    return angles, angles, positions**2 * BYTES["bool"]


def _of_qwen(context: Context, phase: PhaseName) -> tuple[int, ...]:
    """Factors of the queries in every layer, and after a pass float32 angles of twice as many positions.

    Source: modeling_qwen.py, QWenAttention (logn_tensor) and RotaryEmbedding.
    """
    factors = context.architecture.layer_count * (FACTORS * BYTES[context.numerics.loaded],)
    if phase is PhaseName.LOAD:
        return factors
    width = context.architecture.layers[0].attention.head_dim
    angles = 2 * context.setting.sequence_length * width * BYTES["fp32"]
    return (*factors, angles, angles)


def _of_pairs(context: Context, phase: PhaseName) -> tuple[int, ...]:  # noqa: ARG001 - one signature for all
    """Sines and cosines of all positions in every layer, in float32 (modeling_gptj.py, embed_positions)."""
    architecture = context.architecture
    attention = architecture.layers[0].attention
    width = attention.rope_dim or attention.head_dim
    return architecture.layer_count * ((architecture.max_positions or 0) * width * BYTES["fp32"],)


def _of_gpt_neo(context: Context, phase: PhaseName) -> tuple[int, ...]:  # noqa: ARG001 - one signature for all
    """A mask of all pairs of positions in every layer (modeling_gpt_neo.py, GPTNeoSelfAttention, bias)."""
    architecture = context.architecture
    return architecture.layer_count * ((architecture.max_positions or 0) ** 2 * BYTES["bool"],)


def _of_m2m(context: Context, phase: PhaseName) -> tuple[int, ...]:  # noqa: ARG001 - one signature for all
    """Sines and cosines of all positions and two more, for encoder and decoder (modeling_m2m_100.py)."""
    architecture = context.architecture
    each = ((architecture.max_positions or 0) + LEARNED_OFFSET) * architecture.hidden
    return 2 * (each * BYTES[context.numerics.loaded],)


def _with_biases(context: Context, phase: PhaseName) -> tuple[int, ...]:  # noqa: ARG001 - one signature for all
    """No table, but another tensor that is not a parameter: a bias for the whole vocabulary (final_logits_bias)."""
    generates = context.architecture.head == CAUSAL
    return (context.architecture.vocabulary * BYTES[context.numerics.loaded],) if generates else ()


OF_FAMILY: Mapping[str, Callable[[Context, PhaseName], tuple[int, ...]]] = {
    "codegen": _of_pairs,
    "gpt_bigcode": _of_bigcode,
    "m2m_100": _of_m2m,
    **dict.fromkeys(("bart", "mbart", "pegasus", "marian"), _with_biases),
    "gpt_neo": _of_gpt_neo,
    "gptj": _of_pairs,
    AUTOAWQ: _of_autoawq,
    QWEN: _of_qwen,
    LITGPT: _of_litgpt,
    PAIRED: _of_torchtune,
    HALVED: _of_torchtune,
    REPEATED: _of_torchtitan,
    SHARED: _of_torchtitan,
}
"""The tables of families whose code is not transformers', or that keep one table for all layers."""
