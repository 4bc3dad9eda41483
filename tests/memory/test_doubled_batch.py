"""Twice the batch: what is there for each sequence is there twice, and what is the model's stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.checks.input_bases import BASES, EXPERTS, Flags
from toolkit.checks.refusals import REFUSALS
from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.rows.registry import ROWS
from toolkit.spec import decide, scenario_from_flags

TRAINED, LORA, ANSWERED = BASES["full"], BASES["lora"], BASES["answered"]
MORE: dict[str, Flags] = {
    "t5": {**TRAINED, "model": "google/flan-t5-small"},
    "deberta": {**TRAINED, "model": "microsoft/deberta-v3-small", "head": "sequence-classification(2)"},
    "masked words": {**TRAINED, "model": "FacebookAI/roberta-base", "head": "masked-lm"},
    "dora": {**LORA, "lora.dora": "true"},
    "latent attention": {**TRAINED, "model": "deepseek-ai/DeepSeek-V2-Lite"},
    "packed experts": {**ANSWERED, "model": "openai/gpt-oss-20b", "weights": "mxfp4"},
    "8-bit, read": {**BASES["read"], "weights": "int8"},
    "4-bit, read": {**BASES["read"], "weights": "nf4"},
    "bare": {**BASES["read"], "head": "base"},
    "adapted experts": {**LORA, "model": "mistralai/Mixtral-8x7B-v0.1", "lora.targets": "all-linear"},
    "prepared": {**BASES["read long ago"], "warmup": "true"},
    "pairs of positions": {**TRAINED, "model": "EleutherAI/gpt-neox-20b"},
    "a pipeline": {**TRAINED, "model": "Qwen/Qwen3-0.6B", "parallel.strategy": "pipeline", "parallel.gpus": "2"},
    "sums on a card": {**BASES["classifier"], "gpu": "RTX 4090", "sequence_length": "2048"},
    "offloaded zero3": {**BASES["zero3"], "parallel.offload": "true"},
    "overflowed zero2": {**BASES["zero2"], "weights": "fp16", "compute": "fp16", "stack.deepspeed": "0.14.0"},
}
SHORT: dict[str, Flags] = {
    "short classifier": {**BASES["classifier"], "sequence_length": "1"},
    "one token, read": {**ANSWERED, "model": EXPERTS, "sequence_length": "1", "generated_length": "4"},
    "hqq of one key for each query": {**BASES["hqq's cache"], "model": "meta-llama/Llama-2-7b-hf"},
    "cut loss": {**TRAINED, "stack.loss": "cut"},
    "drawn": {**ANSWERED, "sequence_length": "1", "generated_length": "4", "sampling": "top-p"},
    "whole before it is shared out": {**BASES["fsdp"], "parallel.loads_whole": "true"},
    "odd vocabulary": {**BASES["vllm"], "model": "openai-community/gpt2"},
    # Twice as many tokens, and another moment of the loss is the fullest: two chunks of logits, not one and a gradient.
    "fused loss": {**BASES["fused loss"], "sequence_length": "2048"},
}
SCENARIOS: dict[str, Flags] = {**BASES, **MORE, **SHORT}

OF_EACH_SEQUENCE = frozenset({
    "attention_backward", "attention_output", "attention_states", "cache_packing", "cast_copies", "chosen_experts",
    "convolution_states", "drawn_scores", "expert_states", "feed_forward_states", "head_states", "int8_products",
    "kv_cache", "kv_cache_growth", "last_cache", "last_logits", "layer_inputs", "log_probabilities", "logits_float32",
    "logits_gradient", "loss_hidden_states", "named_result", "norm_states", "pooled_states", "predictions",
    "received_buffers", "residual_stream", "returned_results", "rotary_states", "router_states", "sort_scratch",
    "sorted_scores", "split_products", "stage_results", "unpacked_cache",
})  # fmt: skip
OF_THE_MODEL = frozenset({
    "adapter_buffers", "adapter_matrices", "adapters", "allocator_rounding", "autocast_copies", "cublas_workspace",
    "dequantized_weight", "dora_matrices", "engine_pool", "exllama_buffer", "exllama_order", "exllama_state",
    "flat_gradient", "float32_gradients", "gathered_parameters", "gathering_buffer", "gradient_buckets", "gradients",
    "kv_cache_of_one_sequence", "loss_weight_copy", "master_weights", "merged_experts", "new_gradient",
    "newton_schulz", "offload_buffer", "optimizer_states", "optimizer_temporary", "profile_run", "projector_update",
    "reduce_bucket", "reduce_copy", "reference_model", "rotary_caches", "rotary_table", "skipped_gradients",
    "transformer_engine_workspace",
    "unshared_weights", "upcast_parameters", "vocabulary_padding", "weights",
})  # fmt: skip
OF_BOTH: Mapping[str, str] = {
    "adapter_states": "DoRA and adapters of experts hold matrices of each weight, too",
    "attention_mask": "AutoAWQ has one for all sequences",
    "attention_scores": "T5's positions have a score for each pair, whatever the sequence",
    "copied_inputs": "one row of cosines and sines serves all sequences, masks do not",
    "embedding_states": "p-tuning's network makes its virtual tokens once",
    "fused_copies": "AutoAWQ lays out its cache beside a layer's copies",
    "logits": "a chunked loss has those of as many tokens at a time as before",
    "position_embeddings": "one row of positions serves all sequences, but packed ones",
    "recurrence_states": "chunks of linear attention have masks that all sequences share",
    "reduction_buffer": "as many blocks of threads share an output as the card holds, from 1,021 tokens on",
    "relative_positions": "DeBERTa projects its positions once, and gathers scores for each sequence",
    "token_ids": "the bounds of packed samples are one more than there are samples",
    "activation_gradients": "trained tokens have the gradient of the whole embedding first",
    "unsplit_blocks": "AutoAWQ's cache is laid out for every sequence",
}
PASSING = frozenset({
    "dequantized_weight", "dora_matrices", "exllama_order", "loss_weight_copy", "newton_schulz", "offload_buffer",
    "rotary_states", "unpacked_cache",
})  # fmt: skip
"""Rows that these scenarios do not have at the fullest moment of a phase, or have with one sequence alone."""


@cache
def of(flags: tuple[tuple[str, str], ...]) -> Estimate | None:
    scenario, findings = scenario_from_flags(dict(flags), Path())
    assert scenario is not None, findings
    setting = decide(scenario, {})
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    try:
        return estimate(setting, facts)
    except REFUSALS:
        return None


def doubled(flags: Flags) -> Iterator[tuple[str, int, int]]:
    """The rows of the phases that are fullest at the same moment, with one batch and with twice the batch."""
    batches = [name for name in ("batch_size", "validation.batch_size") if name == "batch_size" or name in flags]
    once, twice = (of(tuple({**flags, **dict.fromkeys(batches, size)}.items())) for size in ("8", "16"))
    if once is None or twice is None:
        return
    for before, after in zip(once.ledger.phases, twice.ledger.phases, strict=True):
        if before.moment == after.moment:
            sized = {row.name: row.bytes for row in after.rows}
            yield from ((row.name, row.bytes, sized[row.name]) for row in before.rows if row.name in sized)


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_of_each_sequence_doubles_and_what_is_of_the_model_stays(name: str) -> None:
    for row, before, after in doubled(SCENARIOS[name]):
        if row in OF_EACH_SEQUENCE:
            assert after == 2 * before, row
        elif row in OF_THE_MODEL:
            assert after == before, row
        else:
            assert before <= after <= 2 * before, row


def test_every_row_is_of_the_sequences_or_of_the_model() -> None:
    assert not OF_EACH_SEQUENCE & OF_THE_MODEL
    assert {rule.name for rule in ROWS} == OF_EACH_SEQUENCE | OF_THE_MODEL | OF_BOTH.keys()


def test_every_row_was_seen_doubled_or_standing() -> None:
    seen = {row for flags in SCENARIOS.values() for row, _, _ in doubled(flags)}
    assert {rule.name for rule in ROWS} - seen == PASSING
