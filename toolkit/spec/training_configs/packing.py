"""What tools call packing, padding-free batches and multipack: samples joined in one row.

Sources: TRL 1.16 trainer/sft_config.py and sft_trainer.py; axolotl 0.13 core/builders/causal.py, core/trainers/base.py
and utils/schemas/validation.py; LLaMA-Factory 0.9.5 data/processor/supervised.py and data/collator.py.
"""

from __future__ import annotations

from toolkit.finding import Finding
from toolkit.spec.fields.packing import PADDING_FREE, ROWS
from toolkit.spec.training_configs.config import Config
from toolkit.spec.yaml.known import unknown

STRATEGIES = {
    "bfd": "whole samples, cut where they are too long",
    "bfd_split": "whole samples, and what is cut off",
    "bfd-requeue": "the older name of bfd_split",
    "ffd": "whole samples (TRL 0.19)",
    "wrapped": "one stream of tokens, which samples see across",
}
WRAPPED = "wrapped"
COUNTED = "how many samples a row is packed of is data: one is counted"


def take_trl_packing(config: Config) -> None:
    """Reads TRL's `packing`: unless samples are wrapped they are kept apart, without padding, as by `padding_free`."""
    packs, free = config.truth("packing"), config.truth("padding_free")
    strategy = config.word("packing_strategy")
    if strategy is not None and strategy not in STRATEGIES:
        message, repair = unknown("a packing strategy", strategy, STRATEGIES)
        place = config.place("packing_strategy")
        config.findings.append(Finding(place, "S107", f"packing_strategy: {message}", repair))
        return
    apart = bool(packs) and strategy != WRAPPED
    if apart or free:
        config.put("packing", PADDING_FREE, "packing" if apart else "padding_free")
    if apart:
        config.assume("samples_per_row", 1, COUNTED)


def fill_up(config: Config, multiple: int, *, packs: bool) -> None:
    """Reads the length of rows padded to a multiple; for packed rows it notes the padding."""
    key, length = "pad_to_multiple_of", config.value("sequence_length")
    if multiple < 1 or not isinstance(length, int) or length % multiple == 0:
        return
    filled = -(-length // multiple) * multiple
    if packs:
        config.matters(key, "what padding adds to a packed row is not counted", stops=False)
    else:
        config.put("sequence_length", filled, key)


def take_axolotl_packing(config: Config) -> None:
    """Reads `sample_packing`: one row for FlashAttention, otherwise the batch's rows, each with a mask."""
    flash = config.value("attention") == "flash"
    packs, flattens = config.truth("sample_packing"), config.word("batch_flattening")
    real = config.truth("multipack_real_batches")
    config.node("pad_to_sequence_len")
    if packs:
        rows = ROWS if real or (real is None and not flash) else PADDING_FREE
        config.put("packing", rows, "sample_packing")
        config.assume("samples_per_row", 1, COUNTED)
    elif flattens is not None and flattens.lower() in ("true", "auto") and flash:
        config.put("packing", PADDING_FREE, "batch_flattening")


def take_llamafactory_packing(config: Config) -> None:
    """Reads packing to `cutoff_len`: `neat_packing` keeps samples apart, plain `packing` only by positions."""
    neat, packs = config.truth("neat_packing"), config.truth("packing")
    flash, batch = config.value("attention") == "flash", config.value("batch_size")
    if neat and flash and batch != 1:
        message = "neat_packing takes one row at a time with FlashAttention: LLaMA-Factory refuses a larger batch"
        place = config.place("per_device_train_batch_size", "neat_packing")
        config.findings.append(Finding(place, "S113", message, "write per_device_train_batch_size: 1"))
    elif flash and (neat or packs) and batch == 1:  # transformers reads positions of one row alone
        config.put("packing", PADDING_FREE, "neat_packing" if neat else "packing")
        config.assume("samples_per_row", 1, COUNTED)
    elif neat and not flash:
        config.put("packing", ROWS, "neat_packing")
        reason = "LLaMA-Factory's mask has 2 bytes for each pair of tokens: transformers' of 1 is counted"
        config.matters("neat_packing", reason, stops=False)
