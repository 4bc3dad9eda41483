"""Memory of an engine that claims a share of the card when it starts: vLLM.

vLLM loads the weights, runs the model once on as many tokens and sequences as it allows, and gives keys and values
what is then left of its share of the card (vllm/v1/worker/gpu_worker.py, determine_available_memory).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from toolkit.facts.gpu import GenericGpu, Gpu, GpuVariants
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.context import Context
from toolkit.memory.formula.kv_cache import cached_elements
from toolkit.memory.ledger import Category, Ledger, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.spec.setting import Setting
from toolkit.spec.stack_rules import counts_graphs, vllm_shares

Interval = tuple[int, int]
Card = Gpu | GpuVariants | GenericGpu

BLOCK = 16
"""Tokens of one block of keys and values (vllm/config/cache.py, DEFAULT_BLOCK_SIZE)."""

VOCABULARY_UNIT = 64
"""Rows to which embeddings and heads are padded (vllm/model_executor/layers/vocab_parallel_embedding.py)."""


def card_of(setting: Setting) -> Card:
    """The card that an engine takes a share of; refused by name where the setting has none."""
    found = find_gpu(setting.gpu) if setting.gpu is not None else None
    if found is None or isinstance(found, UnknownName):
        raise UnsupportedRow("engine_pool", "vLLM takes a share of the card: name a GPU")
    return found


def share_of(setting: Setting, card: Card) -> Interval:
    """The bytes that vLLM allows itself: its share of what CUDA says the card has in all, which is what is usable."""
    said = setting.engine.get("gpu_memory_utilization", vllm_shares(setting.stack.versions)[0])
    share = Fraction(str(said))
    return int(share * card.usable_low), int(share * card.usable_high)


def engine_device(setting: Setting, ledger: Ledger) -> Interval:
    """What the card shows at the engine's peak: its share and the CUDA context, or all of the card.

    vLLM before 0.21 captured CUDA graphs after it had shared out the memory, on top of its share (pull request 38284).
    """
    card = card_of(setting)
    low, high = share_of(setting, card)
    needs = ledger.peak.total
    if needs > low:  # it does not start: this is what it would have to have
        return max(low, needs), max(high, needs) + card.context_high
    graphs_on_top = not setting.engine.get("enforce_eager") and not counts_graphs(setting.stack.versions)
    return low, card.usable_high if graphs_on_top else min(high + card.context_high, card.usable_high)


def least_to_start(ledger: Ledger) -> int:
    """What vLLM has to have beside its profile run: weights, and keys and values of one sequence of full length."""
    phase = ledger.phase(PhaseName.SERVE)
    assert phase is not None
    return phase.total - phase.of(Category.ENGINE_POOL)


def engine_notes(context: Context, ledger: Ledger) -> Iterator[str]:
    """That vLLM does not start, where its share of the card is too small for what it has to hold."""
    share, least = share_of(context.setting, card_of(context.setting))[1], least_to_start(ledger)
    positions = context.architecture.max_positions
    if least > share:
        yield f"vLLM does not start: it needs {least:,} bytes, and its share of the card is {share:,}"
    elif positions and not context.setting.engine.get("max_model_len"):
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
    """Keys and values of one sequence as long as vLLM accepts: as said, else all positions where there is room."""
    if not context.serves or phase is not PhaseName.SERVE:
        return 0
    said, positions = context.setting.engine.get("max_model_len"), context.architecture.max_positions
    if said:
        return keys_and_values(context, int(said))
    whole = keys_and_values(context, positions or 0)
    return whole if loaded(context) + whole <= share_of(context.setting, card_of(context.setting))[0] else 0


def keys_and_values(context: Context, longest: int) -> int:
    """Those of one sequence of so many tokens, in whole blocks; a layer with a window keeps at least that many."""
    each = 0
    for kind in context.architecture.layers:
        if kind.mixer is not None:
            raise UnsupportedRow("kv_cache", "no formula for how vLLM keeps the states of linear attention yet")
        window = kind.attention.window
        tokens = longest if window is None else min(longest, window)
        each += kind.count * -(-tokens // BLOCK) * BLOCK * cached_elements(kind)
    return each * _cache_bytes(context.setting)


def loaded(context: Context) -> int:
    """What is there once the model is loaded."""
    rows = (rotary_table, vocabulary_padding)
    return context.sums.weights + context.sums.rounding + sum(row(context, PhaseName.LOAD) for row in rows)


def engine_pool(context: Context, phase: PhaseName) -> int:
    """What is left of the share after all other rows: the profile run's peak, and blocks of keys and values."""
    if not context.serves or phase is not PhaseName.SERVE:
        return 0
    low, _ = share_of(context.setting, card_of(context.setting))
    return max(0, low - loaded(context) - one_sequence(context, phase))


def _cache_bytes(setting: Setting) -> int:
    dtype = str(setting.engine.get("kv_cache_dtype", "auto"))
    return BYTES[setting.compute if dtype == "auto" else dtype]
