"""What a batch brings with it: token ids, and the angles of rotary embedding."""

from __future__ import annotations

from toolkit.memory.architecture.heads import SEQUENCE
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.context import Context
from toolkit.memory.encoder_layouts import ENCODERS
from toolkit.memory.ledger import PhaseName
from toolkit.memory.size import BYTES

COLLATED = 2
"""input_ids and attention_mask, as a Trainer's collator makes them."""

QWEN = "qwen"
"""The first Qwen, whose code comes with its checkpoint."""

GPT_BIGCODE = "gpt_bigcode"
"""Its code has a mask of all pairs of positions."""

FACTORS = 32_767
"""Positions for which that code has a factor of the queries, in every layer."""


def token_ids(context: Context, phase: PhaseName) -> int:
    """int64 ids, attention mask, token types and, in training, labels of every token or of every sequence.

    Shifted labels are there at the loss.
    """
    setting, layout = context.setting, ENCODERS.get(context.architecture.family)
    columns = COLLATED + (layout is not None and layout.types)
    each = columns * setting.sequence_length
    if setting.trains:
        each += 1 if context.architecture.head == SEQUENCE else setting.sequence_length
    return setting.batch_size * each * BYTES["int64"] + context.at(phase, "token_ids")


def position_embeddings(context: Context, phase: PhaseName) -> int:
    """Cosines and sines for every position, shared by all layers, in the dtype of the residual stream.

    To generate from padded rows each has its own (generation/utils.py, _prepare_position_ids_for_generation).

    LitGPT, when it generates, takes them from its float32 caches.
    """
    if not context.rotary or context.architecture.family == QWEN:  # which keeps its own
        return 0
    positions = 1 if phase is PhaseName.DECODE else context.setting.sequence_length
    attention = context.architecture.layers[0].attention
    width = attention.rope_dim or attention.head_dim
    tables = len({kind.attention.window for kind in context.architecture.layers}) if _turns_by_window(context) else 1
    taken = context.architecture.family == LITGPT and not context.setting.trains
    rows = context.setting.batch_size if context.setting.padding and not context.setting.trains else 1
    return 2 * rows * tables * positions * width * BYTES["fp32" if taken else context.numerics.stream]


def _turns_by_window(context: Context) -> bool:
    """Gemma 3 has angles of their own for layers with a window (modeling_gemma3.py, Gemma3RotaryEmbedding)."""
    return context.architecture.family.startswith("gemma3")


def rotary_caches(context: Context, phase: PhaseName) -> int:
    """Cosines and sines of all positions that a model knows, in every layer, as older transformers kept them."""
    if context.serves:  # by model code of its own
        return 0
    if context.architecture.family == QWEN:
        return _of_qwen(context, phase)
    if context.architecture.family == LITGPT:
        return _of_litgpt(context)
    positions = context.architecture.max_positions
    if context.architecture.family == GPT_BIGCODE and positions:  # modeling_gpt_bigcode.py, GPTBigCodeModel (bias)
        return positions**2 * BYTES["bool"]
    if not context.caches_rotary or positions is None:
        return 0
    width = context.architecture.layers[0].attention.head_dim
    return 2 * context.architecture.layer_count * positions * width * BYTES[context.numerics.loaded]


def _of_litgpt(context: Context) -> int:
    """Angles in float32 and a mask of all pairs of the positions that are generated for (litgpt/model.py)."""
    if context.setting.trains:
        return 0
    attention = context.architecture.layers[0].attention
    positions = context.setting.sequence_length + context.setting.generated_length
    width = attention.rope_dim or attention.head_dim
    return 2 * positions * width * BYTES["fp32"] + positions**2 * BYTES["bool"]


def _of_qwen(context: Context, phase: PhaseName) -> int:
    """Factors of the queries in every layer, and angles of twice as many positions in float32 once one has run.

    Source: modeling_qwen.py, QWenAttention (logn_tensor) and RotaryEmbedding.
    """
    factors = context.architecture.layer_count * FACTORS * BYTES[context.numerics.loaded]
    if phase is PhaseName.LOAD:
        return factors
    width = context.architecture.layers[0].attention.head_dim
    return factors + 2 * 2 * context.setting.sequence_length * width * BYTES["fp32"]
