"""BART and its kin, Whisper and mT5 against traces: training, checkpoints, adapters, and generation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.agree import agree_on
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.trace.trace import UnsupportedTrace, trace
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.0004, 0.002
OF_SOUNDS = 0.012
"""Beside the peak a step's batch of sounds is taken to be there, which a trace lets go of."""
MIXED: dict[str, Any] = {
    "weights": "fp32", "gradients": "fp32", "optimizer_states": "fp32", "amp": True, "optimizer": "adamw",
}  # fmt: skip
ADAPTED: dict[str, Any] = {**MIXED, "method": "lora", "weights": "bf16", "lora": Lora(8, 16, "all-linear")}
INFERENCE: dict[str, Any] = {"method": "inference", "generated_length": 3, "stack": Stack("transformers")}
RUNS: dict[str, dict[str, Any]] = {
    "full": {},
    "eagerly": {"attention": "eager"},
    "under autocast": MIXED,
    "checkpoints": {"gradient_checkpointing": "non-reentrant"},
    "accumulated": {"gradient_accumulation": 2},
    "adapters": ADAPTED,
    "inference": INFERENCE,
    "eager inference": {**INFERENCE, "attention": "eager"},
}
PADDED: dict[str, dict[str, Any]] = {
    "padded": {"padding": True},
    "padded, eagerly": {**MIXED, "padding": True, "attention": "eager"},
    "padded inference": {**INFERENCE, "padding": True},
}
WIDTHS: dict[str, Any] = {
    "vocab_size": 30_000, "d_model": 512, "encoder_layers": 3, "decoder_layers": 3, "encoder_attention_heads": 8,
    "decoder_attention_heads": 8, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048, "attention_dropout": 0.1,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "bart": {"activation_dropout": 0.1},
    "mbart": {},
    "pegasus": {"scale_embedding": True},
    "marian": {"decoder_vocab_size": 30_000},
    "m2m_100": {"encoder_layerdrop": 0.05, "decoder_layerdrop": 0.05},
}
WHISPER: dict[str, Any] = {
    **WIDTHS, "model_type": "whisper", "num_mel_bins": 80, "max_source_positions": 750, "max_target_positions": 448,
}  # fmt: skip
MT5: dict[str, Any] = {"model_type": "mt5", "num_layers": 3, "num_decoder_layers": 3, "vocab_size": 30_000}


def setting(changes: dict[str, Any]) -> Setting:
    plain = Setting(
        "config.json", "full", "bf16", compute="bf16", gradients="bf16", optimizer="none", head="causal-lm",
        batch_size=3, sequence_length=256, stack=Stack("plain"),
    )  # fmt: skip
    return replace(plain, **changes)


def facts(kind: str) -> ModelFacts:
    return model_from_config({**WIDTHS, **CONFIGS[kind], "model_type": kind}, kind)


@pytest.mark.parametrize("run", [*RUNS, *PADDED])
@pytest.mark.parametrize("kind", ["bart", "m2m_100"])
def test_encoder_decoders_take_what_a_trace_sees(kind: str, run: str) -> None:
    agree_on(setting({**RUNS, **PADDED}[run]), facts(kind), peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("run", ["full", "under autocast", "inference"])
@pytest.mark.parametrize("kind", ["mbart", "pegasus", "marian"])
def test_their_kin_differ_in_norms_and_positions(kind: str, run: str) -> None:
    agree_on(setting(RUNS[run]), facts(kind), peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("run", RUNS)
def test_whisper_reads_frames_and_writes_tokens(run: str) -> None:
    """The frames are 1,500 for 750 positions, whatever the tokens are."""
    peak = {"under autocast": 0.001, "adapters": 0.002}.get(run, PEAK)
    whisper = model_from_config(WHISPER, "whisper")
    agree_on(replace(setting(RUNS[run]), sequence_length=64), whisper, peak=peak, elsewhere=OF_SOUNDS)


@pytest.mark.parametrize("run", ["full", "under autocast", "adapters", "inference"])
def test_mt5_is_built_as_t5(run: str) -> None:
    agree_on(setting(RUNS[run]), model_from_config(MT5, "mt5"), peak=PEAK, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("run", [RUNS["inference"], RUNS["eager inference"], PADDED["padded inference"]])
@pytest.mark.parametrize("batch", [2, 4])
def test_every_layer_of_umt5_has_biases_of_its_own(run: dict[str, Any], batch: int) -> None:
    model = model_from_config({**MT5, "model_type": "umt5"}, "umt5")
    agree_on(replace(setting(run), batch_size=batch), model, peak=PEAK, elsewhere=ELSEWHERE)
    with pytest.raises(UnsupportedRow, match="training umT5"):
        estimate(setting(RUNS["full"]), model)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", ["t5", "mt5"])
def test_float16_widens_the_stream_of_t5(kind: str, attention: str) -> None:
    """`wo` stays float32: what the first feed-forward adds makes the stream float32 for all layers that follow."""
    short = {"weights": "fp16", "compute": "fp16", "attention": attention}
    model = model_from_config({**MT5, "model_type": kind}, kind)
    agree_on(setting({**INFERENCE, **short}), model, peak=PEAK, elsewhere=ELSEWHERE)
    with pytest.raises(UnsupportedRow, match="training T5 in float16"):
        estimate(setting(short), model)


def test_a_loop_that_calls_both_itself_is_refused() -> None:
    looped = setting({**INFERENCE, "stack": Stack("plain")})
    with pytest.raises(UnsupportedRow, match="an encoder and a decoder itself"):
        estimate(looped, facts("bart"))
    with pytest.raises(UnsupportedTrace, match="an encoder and a decoder itself"):
        trace(looped, facts("bart"))


def test_positions_of_a_sound_do_not_go_with_the_tokens() -> None:
    """Twice the tokens leave the encoder's part of the cache as it is: 2 layers' keys and values of 750 x 512."""
    whisper = model_from_config({**WHISPER, "decoder_layers": 2}, "whisper")

    def cached(tokens: int) -> int:
        one = replace(setting(INFERENCE), sequence_length=tokens, generated_length=2)
        decoding = estimate(one, whisper).ledger.phase(PhaseName.DECODE)
        assert decoding is not None
        return sum(row.bytes for row in decoding.rows if row.name == "kv_cache")

    each = 3 * 2 * 2 * 512 * 2  # sequences, layers, keys and values, width, bytes
    assert cached(64) == each * (750 + 64 + 1)
    assert cached(128) - cached(64) == each * 64


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"padding": True, "attention": "flash"}, "attention_mask", "padded rows"),
        ({"head": "base", "method": "inference"}, "logits", "base head of an encoder-decoder"),
        ({"stack": Stack("plain", "sum")}, "logits", "sum of the logits as the loss with bart"),
    ],
)
def test_what_no_formula_follows_is_refused(changes: dict[str, Any], name: str, reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason) as refused:
        estimate(setting(changes), facts("bart"))
    assert refused.value.name == name
