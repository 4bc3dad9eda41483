"""The inputs of a batch: token ids, and the angles of rotary embedding."""

from __future__ import annotations

from toolkit.memory.architecture.heads import QUESTION, SEQUENCE, SPAN
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.architecture.megatron import FAMILY as MEGATRON
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
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.size import BYTES, Size
from toolkit.spec.fields.objective import DPO, GRPO, KTO, WHOLE_PAIRS

ANGLES = "position_embeddings"
CAUSAL = "causal-lm"
STRIDE = 2
"""Frames of a sound that the strided convolution merges into one (modeling_whisper.py, WhisperEncoder)."""
KEEP_THEIR_OWN = (QWEN, PAIRED, HALVED, REPEATED, SHARED)
"""Families whose code keeps a table of all positions."""

BESIDE_PREFERENCES = {DPO: 1, KTO: 4, GRPO: 2, **dict.fromkeys(WHOLE_PAIRS, 3)}
"""Which tokens are the answer's; with kto that, and answers of other prompts; prompts and answers with their masks, of
which ids and mask are put together; pairs without a reference are put together from tensors of each answer."""

COLLATED = 2
"""input_ids and attention_mask, as a Trainer's collator makes them."""


def token_ids(context: Context, phase: PhaseName) -> int:
    """int64 ids, attention mask, token types and, in training, labels: one per token, or one or two per sequence.

    At the loss shifted labels are there as well.
    """
    setting, layout = context.setting, ENCODERS.get(context.architecture.family)
    if context.architecture.family == MEGATRON:
        return _of_megatron(context, phase)
    if context.stage is not None and context.stage.scheduled:
        return _of_stage(context, context.stage) + context.at(phase, "token_ids")
    if context.architecture.frames:
        return _sounds(context)
    columns = COLLATED + (layout is not None and layout.types)
    columns += BESIDE_PREFERENCES.get(setting.objective, 0)
    each = columns * setting.sequence_length
    if setting.trains:
        each += {SEQUENCE: 1, QUESTION: SPAN}.get(context.architecture.head, setting.sequence_length)
    given = setting.batch_size * each * BYTES["int64"] + context.at(phase, "token_ids")
    return given + lengths_bytes(setting)


def _of_megatron(context: Context, phase: PhaseName) -> int:
    """Ids, positions and labels in int64, and float32 weights of the loss; with a bool for each pair, while it runs.

    The first stage of a pipeline has ids and positions, the last labels and weights, and both have pairs. A step is
    free of all (megatron/training/utils.py, get_batch_on_this_tp_rank).
    """
    setting, stage = context.setting, context.stage
    tokens = setting.batch_size * setting.sequence_length
    first, last = (stage is None or stage.embeds), (stage is None or stage.projects)
    if phase is PhaseName.OPTIMIZER_STEP or not (first or last):
        return 0
    each = 2 * BYTES["int64"] * first + (BYTES["int64"] + BYTES["fp32"]) * last
    pairs = tokens * setting.sequence_length if phase is PhaseName.FORWARD_END else 0
    return tokens * each + pairs


def _of_stage(context: Context, stage: Stage) -> int:
    """Ids on the first stage of a pipeline and labels on the last, of all micro-batches."""
    setting = context.setting
    tokens = setting.batch_size * setting.gradient_accumulation * setting.sequence_length
    return (stage.embeds + stage.projects) * tokens * BYTES["int64"]


def _sounds(context: Context) -> int:
    """The mel bins of every sound's frames, two frames per position of the encoder, and the decoder's tokens."""
    setting, architecture = context.setting, context.architecture
    bins = STRIDE * architecture.frames * architecture.bins * BYTES[context.numerics.loaded]
    return setting.batch_size * (bins + setting.sequence_length * BYTES["int64"])


def position_embeddings(context: Context, phase: PhaseName) -> int:
    """Cosines and sines. Generation frees them before the logits: only the body's forward refers to them.

    Without gradients nothing else keeps them (modeling_llama.py, LlamaModel.forward).
    """
    if context.setting.trains and context.stage is not None and not context.stage.turns:
        return 0  # each layer has a copy
    if context.stage is not None and context.stage.scheduled:  # and those of micro-batches that wait
        return angles(context, phase) + context.at(phase, ANGLES)
    moment = context.moments.get(phase)
    passes = phase in (PhaseName.PREFILL, PhaseName.VALIDATION)
    if passes and moment is not None and ends_before_logits(context, phase):
        return moment.rows.get(ANGLES, 0)
    return angles(context, phase)


def ends_before_logits(context: Context, phase: PhaseName = PhaseName.PREFILL) -> bool:
    """Whether the logits are made after the model's body, which holds the angles, has returned."""
    family, head = context.architecture.family, context.architecture.head
    graphless = not context.setting.trains or phase is PhaseName.VALIDATION
    return graphless and family != LITGPT and head == CAUSAL and context.architecture.is_decoder


def angles(context: Context, phase: PhaseName) -> int:
    """Cosines and sines for every position, shared by all layers, in the dtype of the residual stream.

    Each row has its own in generation from padded rows (generation/utils.py, _prepare_position_ids_for_generation) and
    in packed rows. In generation LitGPT takes them from its float32 caches.
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
    """The angles that a layer gets in training, per position, or per token where each row has its own."""
    setting = context.setting
    windows = {kind.attention.window for kind in context.architecture.layers} if _turns_by_window(context) else {None}
    each = angles(context, PhaseName.FORWARD_END) // setting.sequence_length // len(windows)
    own = has_positions(setting.packing) or context.architecture.positions_by_row
    return Size(token=each // setting.batch_size) if own else Size(position=each)


def _turns_by_window(context: Context) -> bool:
    """Whether layers with a window have their own angles: in Gemma 3 and 4, ModernBERT and OLMo 3 (modeling_*.py)."""
    return context.architecture.family.startswith(("gemma3", "gemma4", "modernbert", "olmo3"))
