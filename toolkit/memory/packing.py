"""Samples that lie one after the other in a row: what that makes of a setting, and what no formula follows.

Sources: transformers data/data_collator.py (DataCollatorWithFlattening), modeling_flash_attention_utils.py
(_flash_attention_forward, _is_packed_sequence) and masking_utils.py (find_packed_sequence_indices); TRL
trainer/sft_trainer.py (DataCollatorForLanguageModeling).
"""

from __future__ import annotations

from dataclasses import replace

from packaging.version import Version

from toolkit.memory.architecture import Architecture
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.layouts.families import LAYOUTS
from toolkit.memory.libraries.versions import older
from toolkit.memory.refusal import MASKS_MADE_ALIKE, PADS, UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.spec.fields.packing import PADDING_FREE, ROWS, UNPACKED
from toolkit.spec.settings.setting import Setting

BY_LENGTHS = "padding-free by lengths"
"""The same where the collator says where samples begin, so that attention does not look at positions."""
UNMASKED = "rows without a mask"
"""Rows with positions of their own, which attention does not look at."""
TRL_GIVES_LENGTHS = Version("1.16")
MASKS_BY_POSITIONS = Version("4.54")
"""Since then transformers makes masks of positions that start anew; before, sdpa and eager attention saw one sample."""
PACKED, PACKED_BY_LENGTHS = "packed", "packed by lengths"
_KERNELS = {PADDING_FREE: PACKED, BY_LENGTHS: PACKED_BY_LENGTHS}


def laid_out(setting: Setting) -> Setting:
    """A setting as its model sees the batch: without padding it is one row, however many samples it has."""
    if setting.packing == UNPACKED or not setting.trains:
        return replace(setting, packing=UNPACKED) if setting.packing != UNPACKED else setting
    one = setting.packing == PADDING_FREE or setting.batch_size == 1
    if setting.attention != "flash" and older(setting, "transformers", MASKS_BY_POSITIONS):
        packing = UNPACKED if one else UNMASKED
    elif one:
        packing = BY_LENGTHS if _given_lengths(setting) else PADDING_FREE
    else:
        packing = ROWS
    if not one:
        return replace(setting, packing=packing)
    return replace(
        setting,
        batch_size=1,
        sequence_length=setting.batch_size * setting.sequence_length,
        samples_per_row=setting.batch_size * setting.samples_per_row,
        packing=packing,
    )


def _given_lengths(setting: Setting) -> bool:
    """Whether TRL's collator makes the batch: what takes a loss on all logits is not TRL of that age."""
    trl = setting.stack.trainer == "trl" and setting.stack.loss != "cross-entropy"
    return trl and not older(setting, "trl", TRL_GIVES_LENGTHS)


def samples_of(setting: Setting) -> int:
    """The samples that FlashAttention tells apart in a setting that is laid out; 0 where it sees rows alone."""
    return setting.samples_per_row if setting.packing in _KERNELS else 0


def lengths_bytes(seen: Setting) -> int:
    """32-bit numbers that TRL gives beside ids: the sample of each token, and twice where samples end."""
    if seen.packing != BY_LENGTHS:
        return 0
    return (seen.sequence_length + 2 * (seen.samples_per_row + 1)) * BYTES["int32"]


def has_masks(packing: str) -> bool:
    """Whether each row of a setting that is laid out has a mask of its own for sdpa."""
    return packing not in (UNPACKED, UNMASKED)


def has_positions(packing: str) -> bool:
    """Whether each of several rows has positions of its own."""
    return packing in (ROWS, UNMASKED)


def packed_flash(packing: str) -> str | None:
    """The kernel by which FlashAttention attends to packed rows; none where it sees whole rows."""
    return _KERNELS.get(packing)


def refuse_packing(setting: Setting, architecture: Architecture) -> None:
    """Raise where no formula says what packed rows take."""
    if setting.packing == UNPACKED:
        return
    family, trainer = architecture.family, setting.stack.trainer
    for known, covered in (
        ("transformers' Trainer, TRL or a plain loop", trainer in PADS),
        ("a causal language model", architecture.head == "causal-lm" and _decodes(architecture)),
        ("models that turn positions in or learn them", family in LAYOUTS and not _alibi(architecture)),
        (f"FlashAttention or checkpoints before transformers {MASKS_MADE_ALIKE}", _sees_samples(setting)),
        ("attention in every layer", all(kind.mixer is None for kind in architecture.layers)),
        ("rows that are not padded", not setting.padding),
    ):
        if not covered:
            raise UnsupportedRow("attention_states", f"no formula for packed rows yet, except with {known}")


def _sees_samples(setting: Setting) -> bool:
    """Whether it is known if attention looks at positions: before 5 it did not beside a cache, which checkpoints end.

    Whether there was one in training was up to a model's config and its trainer.
    """
    known = setting.attention == "flash" or setting.packing in (UNMASKED, UNPACKED)
    return known or setting.gradient_checkpointing != "false" or not older(setting, "transformers", MASKS_MADE_ALIKE)


def _decodes(architecture: Architecture) -> bool:
    """Whether a model is a stack of decoders alone."""
    layers = architecture.layers
    return architecture.family not in ENCODERS and all(
        kind.stack == "decoder" and kind.cross_attention is None for kind in layers
    )


def _alibi(architecture: Architecture) -> bool:
    return any(kind.attention.alibi for kind in architecture.layers)
