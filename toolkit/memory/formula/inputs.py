"""What a batch brings with it: token ids, and the angles of rotary embedding."""

from __future__ import annotations

from toolkit.memory.architecture.heads import QUESTION, SEQUENCE, SPAN
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.architecture.torchtitan import REPEATED, SHARED
from toolkit.memory.architecture.torchtune import HALVED, PAIRED
from toolkit.memory.context import Context
from toolkit.memory.formula.attention.complex_rotary import COMPLEX, COMPLEX_BYTES
from toolkit.memory.formula.attention.rotary import FLOAT_ANGLES, SPREAD_BY_LAYERS
from toolkit.memory.formula.position_tables import QWEN
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.layouts.families import LAYOUTS
from toolkit.memory.ledger import PhaseName
from toolkit.memory.packing import has_positions, lengths_bytes
from toolkit.memory.size import BYTES, Size
from toolkit.spec.fields.objective import DPO, GRPO, KTO, WHOLE_PAIRS

ANGLES = "position_embeddings"
CAUSAL = "causal-lm"
STRIDE = 2
"""Frames of a sound that a convolution makes one of (modeling_whisper.py, WhisperEncoder)."""
KEEP_THEIR_OWN = (QWEN, PAIRED, HALVED, REPEATED, SHARED)
"""Families whose code has a table of all positions."""

BESIDE_PREFERENCES = {DPO: 1, KTO: 4, GRPO: 2, **dict.fromkeys(WHOLE_PAIRS, 3)}
"""Which tokens are the answer's; with kto that, and answers of other prompts; prompts and answers with their masks, of
which ids and mask are put together; pairs without a reference are put together from tensors of each answer."""

COLLATED = 2
"""input_ids and attention_mask, as a Trainer's collator makes them."""


def token_ids(context: Context, phase: PhaseName) -> int:
    """int64 ids, attention mask, token types and, in training, labels of each token or one or two of each sequence.

    Shifted labels are there at the loss.
    """
    setting, layout = context.setting, ENCODERS.get(context.architecture.family)
    if context.architecture.frames:
        return _sounds(context)
    columns = COLLATED + (layout is not None and layout.types)
    columns += BESIDE_PREFERENCES.get(setting.objective, 0)
    each = columns * setting.sequence_length
    if setting.trains:
        each += {SEQUENCE: 1, QUESTION: SPAN}.get(context.architecture.head, setting.sequence_length)
    given = setting.batch_size * each * BYTES["int64"] + context.at(phase, "token_ids")
    return given + lengths_bytes(setting)


def _sounds(context: Context) -> int:
    """The bins of the frames of every sound, two for each position of the encoder, and the tokens that go with it."""
    setting, architecture = context.setting, context.architecture
    bins = STRIDE * architecture.frames * architecture.bins * BYTES[context.numerics.loaded]
    return setting.batch_size * (bins + setting.sequence_length * BYTES["int64"])


def position_embeddings(context: Context, phase: PhaseName) -> int:
    """Cosines and sines, which a model lets go of before it makes logits: it is the body's forward that has their name.

    What generates asks for no gradients, and nothing else keeps them (modeling_llama.py, LlamaModel.forward).
    """
    if context.setting.trains and context.stage is not None and not context.stage.turns:
        return 0  # each layer has a copy
    moment = context.moments.get(phase)
    if phase is PhaseName.PREFILL and moment is not None and ends_before_logits(context):
        return moment.rows.get(ANGLES, 0)
    return angles(context, phase)


def ends_before_logits(context: Context) -> bool:
    """Whether the logits are made when the body of the model, which has the angles, has returned."""
    family, head = context.architecture.family, context.architecture.head
    return not context.setting.trains and family != LITGPT and head == CAUSAL and context.architecture.is_decoder


def angles(context: Context, phase: PhaseName) -> int:
    """Cosines and sines for every position, shared by all layers, in the dtype of the residual stream.

    To generate from padded rows each has its own (generation/utils.py, _prepare_position_ids_for_generation), and so
    have packed rows.

    LitGPT, when it generates, takes them from its float32 caches.
    """
    if not context.rotary or context.architecture.family in KEEP_THEIR_OWN:
        return 0
    positions = 1 if phase is PhaseName.DECODE else context.setting.sequence_length
    attentions = [kind.attention for kind in context.architecture.layers]
    if not _turns_by_window(context):
        attentions = attentions[:1]
    width = sum({one.window: one.rope_dim or one.head_dim for one in attentions}.values())
    taken = context.architecture.family == LITGPT and not context.setting.trains
    own = (context.setting.padding and not context.setting.trains) or has_positions(context.setting.packing)
    rows = context.setting.batch_size if own or context.architecture.positions_by_row else 1
    turns = LAYOUTS[context.architecture.family].rotary
    if turns in SPREAD_BY_LAYERS and context.setting.trains and context.numerics.checkpointing == "false":
        return 0
    if turns == COMPLEX:
        return rows * positions * width // 2 * COMPLEX_BYTES
    wide = taken or turns in FLOAT_ANGLES
    return 2 * rows * positions * width * BYTES["fp32" if wide else context.numerics.stream]


def shared_angles(context: Context) -> Size:
    """The same that a layer is given in training, by position, or by token where each row has its own."""
    setting = context.setting
    windows = {kind.attention.window for kind in context.architecture.layers} if _turns_by_window(context) else {None}
    each = angles(context, PhaseName.FORWARD_END) // setting.sequence_length // len(windows)
    own = has_positions(setting.packing) or context.architecture.positions_by_row
    return Size(token=each // setting.batch_size) if own else Size(position=each)


def _turns_by_window(context: Context) -> bool:
    """Gemma 3, Gemma 4 and OLMo 3 have angles of their own for layers with a window (modeling_gemma3.py and others)."""
    return context.architecture.family.startswith(("gemma3", "gemma4", "modernbert", "olmo3"))
