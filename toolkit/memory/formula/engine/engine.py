"""Memory of an engine that claims a share of the card when it starts: vLLM.

vLLM loads the weights, runs the model once on as many tokens and sequences as it allows, and gives keys and values
what is then left of its share of the card (vllm/v1/worker/gpu_worker.py, determine_available_memory).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

from toolkit.facts.gpu import Card
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.context import Context
from toolkit.memory.device import NCCL_BUFFERS
from toolkit.memory.engines.limits import limits_of
from toolkit.memory.formula.engine.cache import BLOCK, sequence_bytes, token_bytes
from toolkit.memory.formula.engine.profile import profile_run
from toolkit.memory.ledger import Category, Ledger, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.spec.settings.setting import Setting
from toolkit.spec.settings.stack_rules import counts_graphs, vllm_shares

Interval = tuple[int, int]

VOCABULARY_UNIT = 64
"""Rows to which embeddings and heads are padded (vllm/model_executor/layers/vocab_parallel_embedding.py)."""


def card_of(setting: Setting) -> Card:
    """The card of which an engine takes a share; refused by name where the setting has none."""
    found = find_gpu(setting.gpu) if setting.gpu is not None else None
    if found is None or isinstance(found, UnknownName):
        raise UnsupportedRow("engine_pool", "vLLM takes a share of the card: name a GPU")
    return found


def share_of(setting: Setting, card: Card) -> Interval:
    """The bytes that vLLM takes: its share of the total memory that CUDA reports, which is what is usable."""
    share = _share(setting)
    return int(share * card.usable_low), int(share * card.usable_high)


def _share(setting: Setting) -> Fraction:
    return Fraction(str(setting.engine.get("gpu_memory_utilization", vllm_shares(setting.stack.versions)[0])))


def engine_device(context: Context, ledger: Ledger) -> Interval:
    """What the card shows at the engine's peak: its share and the CUDA context, or all of the card.

    What the profile run took is in the share, but not on the card: vLLM empties torch's cache after the run, and small
    batches never take as much again (vllm/utils/mem_utils.py, memory_profiling; before 0.6.6 vllm/worker/worker.py).
    vLLM before 0.21 captured CUDA graphs after it had shared out the memory, on top of its share (pull request 38284).
    Where it may not start, the upper end is what the card would need for it to start with certainty.
    """
    setting = context.setting
    card = card_of(setting)
    low, high = share_of(setting, card)
    needs = ledger.peak.total
    if needs > low:  # it does not start: this is what it would need
        return max(low, needs), max(high, needs) + card.context_high
    graphs_on_top = not setting.engine.get("enforce_eager") and not counts_graphs(setting.stack.versions)
    shown = card.usable_high if graphs_on_top else min(high + card.context_high, card.usable_high)
    surely = most_to_start(context, ledger)
    return low - _given_back(context), shown if surely <= low else max(shown, ceil(surely / _share(setting)))


def _given_back(context: Context) -> int:
    """The most that the profile run took on top of the weights; nothing where no formula follows it."""
    try:
        return profiled(context)[1]
    except UnsupportedRow:
        return 0


def most_to_start(context: Context, ledger: Ledger) -> int:
    """What vLLM needs to start for certain: the most that its profile run and CUDA may take; 0 where not known."""
    try:
        least, most = profiled(context)
    except UnsupportedRow:
        return 0
    return least_to_start(ledger) + most - least + _beside_torch(context)


def least_to_start(ledger: Ledger) -> int:
    """What vLLM needs beside its profile run: weights, and keys and values of one sequence of full length."""
    phase = ledger.phase(PhaseName.SERVE)
    assert phase is not None
    return phase.total - phase.of(Category.ENGINE_POOL)


def engine_notes(context: Context, ledger: Ledger) -> Iterator[str]:
    """A note that vLLM does not start, where its share of the card is too small for what it has to hold."""
    share, least = share_of(context.setting, card_of(context.setting))[1], least_to_start(ledger)
    positions = context.architecture.max_positions
    if least > share:
        yield f"vLLM does not start: it needs {least:,} bytes, and its share of the card is {share:,}"
        return
    yield from cache_notes(context)
    if positions and not context.setting.engine.get("max_model_len"):
        whole = loaded(context) + keys_and_values(context, positions)
        if whole > share:
            yield (
                f"vLLM does not start unless max_model_len is shorter than the model's {positions:,} tokens: it would "
                f"need {whole:,} bytes, and its share of the card is {share:,}"
            )


def rotary_table(context: Context, _: PhaseName) -> int:
    """One table of cosines and sines for all positions, in the model's dtype, shared by all layers."""
    positions = context.architecture.max_positions
    if not context.serves or not context.rotary or positions is None:
        return 0
    attention = context.architecture.layers[0].attention
    return positions * (attention.rope_dim or attention.head_dim) * BYTES[context.setting.compute]


def vocabulary_padding(context: Context, _: PhaseName) -> int:
    """The rows that embedding and head get so that they can be split evenly; tied ones once."""
    if not context.serves or context.setting.parallel.strategy == "tensor":  # there part of the rows of each GPU
        return 0
    architecture = context.architecture
    rows = -architecture.vocabulary % VOCABULARY_UNIT
    return rows * architecture.hidden * BYTES[context.setting.compute] * (1 if architecture.tied else 2)


def one_sequence(context: Context, phase: PhaseName) -> int:
    """Keys and values of one sequence as long as vLLM accepts: as stated, else all positions if there is room."""
    if not context.serves or phase is not PhaseName.SERVE:
        return 0
    said = context.setting.engine.get("max_model_len")
    if said:
        return keys_and_values(context, int(said))
    whole = keys_and_values(context, context.architecture.max_positions or 0)
    return whole if loaded(context) + whole <= share_of(context.setting, card_of(context.setting))[0] else 0


def keys_and_values(context: Context, tokens: int) -> int:
    """Keys and values of one sequence of so many tokens, in whole blocks; for an open release, the least of all."""
    try:
        step = limits_of(context.setting, card_of(context.setting), tokens, windowed=_windowed(context)).tokens
    except UnsupportedRow:
        step = None
    return sequence_bytes(context, tokens, step)


def longest(context: Context) -> int:
    """The longest sequence that vLLM accepts: as stated, else as many tokens as the model has positions."""
    return int(context.setting.engine.get("max_model_len") or context.architecture.max_positions or 0)


def loaded(context: Context) -> int:
    """What exists once the model is loaded."""
    rows = (rotary_table, vocabulary_padding)
    stored = context.sums.weights + context.sums.rounding + context.sums.unsplit
    return stored + sum(row(context, PhaseName.LOAD) for row in rows)


def profiled(context: Context) -> Interval:
    """What the profile run takes on top of the weights. Raises UnsupportedRow by name."""
    return profile_run(context, card_of(context.setting), longest(context))


def least_profiled(context: Context, phase: PhaseName) -> int:
    """The least that the profile run takes on top of the weights; nothing where no formula follows it."""
    if not context.serves or phase is not PhaseName.SERVE:
        return 0
    try:
        return profiled(context)[0]
    except UnsupportedRow:
        return 0


def cache_room(context: Context) -> Interval:
    """What vLLM gives to keys and values: its share minus weights, profile run and what CUDA takes outside torch.

    A part of the last is taken before vLLM starts to count, which varies by release: from nothing to all of the
    context, and NCCL's buffers with several GPUs. Raises UnsupportedRow by name.
    """
    share, (least, most) = share_of(context.setting, card_of(context.setting)), profiled(context)
    beside = _beside_torch(context)
    return max(0, share[0] - loaded(context) - most - beside), max(0, share[1] - loaded(context) - least)


def _beside_torch(context: Context) -> int:
    """The most that CUDA's context takes, and NCCL's buffers with several GPUs."""
    return card_of(context.setting).context_high + (NCCL_BUFFERS if context.setting.parallel.gpus > 1 else 0)


def engine_pool(context: Context, phase: PhaseName) -> int:
    """The rest of the share after all other rows: keys and values, and what CUDA takes outside torch."""
    if not context.serves or phase is not PhaseName.SERVE:
        return 0
    low, _ = share_of(context.setting, card_of(context.setting))
    return max(0, low - loaded(context) - one_sequence(context, phase) - least_profiled(context, phase))


def cache_notes(context: Context) -> Iterator[str]:
    """How many tokens the cache has room for, and how many of the longest sequences; or why that is not known."""
    try:
        room, each, sequence = cache_room(context), token_bytes(context), keys_and_values(context, longest(context))
        profile = profiled(context)
    except UnsupportedRow as refusal:
        yield f"not known how much of the pool is for keys and values: {refusal.reason}"
        return
    tokens = [amount // (each * BLOCK) * BLOCK for amount in room]
    often = [Fraction(amount, sequence) for amount in room] if sequence else [Fraction(0)] * 2
    yield f"profile run: {profile[0]:,} to {profile[1]:,} bytes; each token of the cache takes {each:,}"
    yield (
        f"keys and values: {room[0]:,} to {room[1]:,} bytes, {tokens[0]:,} to {tokens[1]:,} tokens; "
        f"{float(often[0]):.2f} to {float(often[1]):.2f} sequences of {longest(context):,}"
    )


def _windowed(context: Context) -> bool:
    return any(kind.attention.window is not None for kind in context.architecture.layers)
