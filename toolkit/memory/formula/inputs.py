"""What a batch brings with it: token ids, and the angles of rotary embedding."""

from __future__ import annotations

from toolkit.memory.architecture.heads import SEQUENCE
from toolkit.memory.context import Context
from toolkit.memory.encoder_layouts import ENCODERS
from toolkit.memory.ledger import PhaseName
from toolkit.memory.size import BYTES

COLLATED = 2
"""input_ids and attention_mask, as a Trainer's collator makes them."""


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


def position_embeddings(context: Context, _: PhaseName) -> int:
    """Cosines and sines for every position, shared by all layers, in the dtype of the residual stream."""
    if not context.rotary:
        return 0
    attention = context.architecture.layers[0].attention
    width = attention.rope_dim or attention.head_dim
    return 2 * context.setting.sequence_length * width * BYTES[context.numerics.stream]


def rotary_caches(context: Context, _: PhaseName) -> int:
    """Cosines and sines of all positions that a model knows, in every layer, as older transformers kept them."""
    positions = context.architecture.max_positions
    if not context.caches_rotary or positions is None:
        return 0
    width = context.architecture.layers[0].attention.head_dim
    return 2 * context.architecture.layer_count * positions * width * BYTES[context.numerics.loaded]
