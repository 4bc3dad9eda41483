"""Formulas against traces of a third set of drawn settings: each once differed for a reason of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree_on
from tests.memory.trace.cut import cut
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Lora, Peft, Setting, Stack, Validation

pytestmark = pytest.mark.reference

PEAK, ELSEWHERE = 0.001, 0.002
BERT, BLOOM, QWEN = "distilbert/distilbert-base-uncased", "bigscience/bloom-560m", "Qwen/Qwen3-0.6B"
ADAPTED: dict[str, Any] = {
    "method": "lora", "weights": "bf16", "gradients": "fp32", "optimizer_states": "fp32", "lora": Lora(8, 16),
}  # fmt: skip


@pytest.mark.parametrize("weights", ["bf16", "nf4", "int8"])
@pytest.mark.parametrize("checkpointing", ["reentrant", "non-reentrant"])
def test_bloom_holds_probabilities_of_the_layer_before_as_wide_as_quantized_products(
    weights: str, checkpointing: str
) -> None:
    """bitsandbytes gives results in the dtype of a norm's, which autocast leaves in float32; others are 16-bit."""
    method = "qlora" if weights == "nf4" else "lora"
    fields = {**ADAPTED, "method": method, "weights": weights, "amp": True, "stack": Stack("trl", "chunked")}
    if weights != "bf16":  # TRL casts adapters on quantized weights back
        fields |= {"gradients": "bf16", "optimizer_states": "bf16", "lora": Lora(8, 16, dtype="bf16")}
    _agrees(BLOOM, 3, {**fields, "gradient_checkpointing": checkpointing, "sequence_length": 1024})


@pytest.mark.parametrize("checkpointing", ["reentrant", "non-reentrant"])
@pytest.mark.parametrize(
    ("name", "stack", "head"),
    [
        (QWEN, Stack("plain", result="next"), "causal-lm"),
        (QWEN, Stack("plain", result="step"), "causal-lm"),
        (QWEN, Stack("plain", "sum"), "causal-lm"),
        (BERT, Stack("plain", "sum"), "masked-lm"),
        ("google/gemma-3-4b-it", Stack("plain", result="next"), "causal-lm"),
    ],
)
def test_a_named_result_keeps_the_embeddings_that_checkpoints_made_a_leaf_and_their_gradient(
    name: str, stack: Stack, head: str, checkpointing: str
) -> None:
    """The graph of logits ends in them; backward frees what nodes have saved, but neither a leaf nor its gradient."""
    _agrees(name, 2, {**ADAPTED, "stack": stack, "head": head, "gradient_checkpointing": checkpointing})


def test_so_it_does_where_a_tower_has_tables_of_its_own_before_them() -> None:
    """Mllama's first table is of tiles, each as wide as all the patches of one."""
    fields = {**ADAPTED, "stack": Stack("plain", result="next"), "gradient_checkpointing": "non-reentrant"}
    setting = Setting("meta-llama/Llama-3.2-11B-Vision-Instruct", batch_size=1, sequence_length=256, **fields)
    agree_on(setting, _with(setting.model, 5, cross_attention_layers=[3]), peak=PEAK, elsewhere=ELSEWHERE)


def test_trl_asks_text_models_for_no_cache_either() -> None:
    """As long as Gemma 3's window: keys of windows are repeated beside a mask, and a cache would hold others."""
    _agrees("google/gemma-3-4b-it", 6, {**ADAPTED, "sequence_length": 1024, "stack": Stack("trl", "chunked")})


def test_adafactor_comes_to_a_second_table_after_all_layers() -> None:
    """Gemma 4's embeddings of each layer's own inputs, made last: the update before theirs is a norm's."""
    fields = {"method": "full", "weights": "bf16", "optimizer": "adafactor", "gradient_checkpointing": "non-reentrant"}
    setting = Setting("google/gemma-4-E4B-it", batch_size=2, sequence_length=256, **fields)
    agree_on(setting, _with(setting.model, 9, num_kv_shared_layers=3), peak=PEAK, elsewhere=ELSEWHERE)


def test_whispers_tied_gradients_are_one_before_its_encoders_layers_give_theirs() -> None:
    """Its encoder has no embedding: with accumulation the output weight's new gradient waits in the decoder alone."""
    setting = Setting(
        "openai/whisper-small", method="full", weights="bf16", compute="bf16", amp=True, batch_size=8,
        sequence_length=64, gradient_accumulation=2, gradient_checkpointing="reentrant", optimizer="sgd",
    )  # fmt: skip
    agree_on(setting, cut(setting.model, 12), peak=PEAK, elsewhere=0.005)  # features, which a trace lets go of sooner


def test_a_validation_of_bloom_holds_probabilities_of_the_layer_before() -> None:
    """What training's graph holds is without a graph held by the name of a layer's result."""
    own = {"gradients": "fp32", "optimizer_states": "fp32", "validation": Validation(1, 1024), "sequence_length": 1024}
    fields = {"method": "full", "weights": "fp32", "batch_size": 1, "stack": Stack("trl", "chunked")}
    _agrees(BLOOM, 3, {**fields, **own})


def test_gemma_4_masks_no_window_that_no_image_needs() -> None:
    """Since transformers 5.13 a batch that names no image gets the masks of a text model."""
    _agrees("google/gemma-4-31B-it", 6, {**ADAPTED, "sequence_length": 512})


@pytest.mark.parametrize("name", ["microsoft/Phi-3-mini-4k-instruct", QWEN])
def test_a_magnitude_is_summed_when_what_a_checkpoint_unpacked_is_gone(name: str) -> None:
    """The engine sums the gradient of DoRA's factor once the node has returned, which lets go of the saved product.

    A GPU's kernel stages partial sums meanwhile, so that this is the fullest moment.
    """
    adapted = {**ADAPTED, "lora": Lora(8, 16, ("gate_proj", "up_proj", "gate_up_proj"), dora=True)}
    mixed = {"weights": "fp32", "amp": True, "gradient_checkpointing": "non-reentrant", "sequence_length": 1024}
    _agrees(name, 2, {**adapted, **mixed, "stack": Stack("trl", "chunked"), "gpu": "H100 SXM5 80GB"})


@pytest.mark.parametrize("further", [{}, {"amp": True}, {"gradient_checkpointing": "reentrant"}], ids=str)
@pytest.mark.parametrize(
    ("name", "embedding", "other"),
    [
        (QWEN, "embed_tokens", "q_proj"),
        ("microsoft/phi-2", "embed_tokens", "q_proj"),
        ("openai-community/gpt2", "wte", "c_attn"),
        (BLOOM, "word_embeddings", "query_key_value"),
    ],
)
def test_an_adapter_of_the_embedding_gives_the_first_layer_a_gradient_and_saves_what_it_looked_up(
    name: str, embedding: str, other: str, further: dict[str, Any]
) -> None:
    """Only the second layer and later ones stored anything that trains where adapters are on layers alone."""
    fields = {**ADAPTED, "lora": Lora(16, 16, (embedding, other)), "batch_size": 2, "sequence_length": 512, **further}
    agree_on(Setting(model=name, **fields), cut(name, 2), peak=PEAK / 5, elsewhere=PEAK)


def test_a_sum_of_both_16_bit_dtypes_is_a_float32_one() -> None:
    """Falcon's linears are none that bitsandbytes replaces: what TRL's bf16 adapters give is added to float16."""
    fields = {"compute": "fp16", "gradients": "bf16", "optimizer_states": "bf16", "sequence_length": 1024}
    adapted = {**ADAPTED, "method": "qlora", "weights": "nf4", "lora": Lora(8, 32, "all-linear", dtype="bf16")}
    _agrees("tiiuae/falcon-7b", 2, {**adapted, **fields, "stack": Stack("trl", "chunked")})


@pytest.mark.parametrize("weights", ["fp16", "bf16"])
def test_so_is_the_stream_where_autocast_has_the_other_dtype_than_the_weights(weights: str) -> None:
    """What a product gives is added to embeddings of the other dtype; every layer's norm then has float32 inputs."""
    fields = {**ADAPTED, "weights": weights, "compute": "bf16" if weights == "fp16" else "fp16", "amp": True}
    _agrees("mistralai/Mistral-7B-v0.1", 3, {**fields, "sequence_length": 512})


@pytest.mark.parametrize(("name", "layers"), [("deepseek-ai/DeepSeek-V2-Lite", 3), ("zai-org/GLM-4.5-Air", 2)])
def test_what_float32_routing_weights_multiply_gets_its_gradient_cast_when_the_node_has_returned(
    name: str, layers: int
) -> None:
    """What a checkpoint unpacked for it is gone by then.

    With gradients of earlier micro-batches no new one is larger, so that this is the fullest moment.
    """
    trained = {"method": "full", "weights": "bf16", "gradients": "bf16", "optimizer": "adamw"}
    fields = {**trained, "gradient_accumulation": 4, "gradient_checkpointing": "non-reentrant", "batch_size": 8}
    _agrees(name, layers, {**fields, "stack": Stack("trl", "chunked"), "sequence_length": 777})


def test_an_adapter_of_the_output_layer_is_refused_where_trl_refuses_it() -> None:
    """SFTTrainer.__init__ raises ValueError: its loss takes the weight alone, and the adapter would not be trained."""
    facts = cut(QWEN, 2)
    setting = Setting(**{**ADAPTED, "model": QWEN, "batch_size": 1, "sequence_length": 64})
    adapted = replace(setting, lora=Lora(8, 16, ("q_proj", "lm_head")))
    assert trace(adapted, facts).ledger.peak.total > 0  # the Trainer's loss calls the layer
    adapted = replace(adapted, stack=Stack("trl", "chunked"))
    for of in (estimate, trace):
        with pytest.raises((UnsupportedRow, UnsupportedTrace), match="TRL refuses an adapter on the output layer"):
            of(adapted, facts)


@pytest.mark.parametrize(
    ("name", "target"),
    [("microsoft/phi-2", "q_proj"), (BLOOM, "query_key_value"), ("EleutherAI/pythia-1.4b", "query_key_value")],
)
@pytest.mark.parametrize("method", ["full", "lora"])
def test_embeddings_that_the_first_norm_has_stored_are_held_once(name: str, target: str, method: str) -> None:
    """The model's code has a name for them, too. With a large vocabulary this is hidden beneath the logits."""
    saves = {"microsoft/phi-2": "embed_tokens", BLOOM: "word_embeddings"}.get(name, "embed_in")
    adapted = {**ADAPTED, "lora": Lora(16, 16, (target,), modules_to_save=(saves,))}
    trained = {"method": "full", "weights": "bf16", "gradients": "bf16"}
    _agrees(name, 2, {**(adapted if method == "lora" else trained), "sequence_length": 512})


def test_adapters_of_a_tower_that_no_text_reaches_get_no_gradient() -> None:
    """Of LoRA's that was known. Linears of the tower are a tenth of the model's that is cut to three layers."""
    peft = Peft("all-linear", 8, "fp32")
    fields = {**ADAPTED, "method": "loha", "lora": None, "peft": peft, "optimizer": "adamw"}
    _agrees("Qwen/Qwen3-VL-8B-Instruct", 3, {**fields, "stack": Stack("trl", "chunked"), "sequence_length": 100})


def _agrees(name: str, layers: int, fields: dict[str, Any]) -> None:
    setting = Setting(**{"model": name, "batch_size": 2, "sequence_length": 256, "optimizer": "sgd", **fields})
    agree_on(setting, _with_few_words(name, layers), peak=PEAK, elsewhere=ELSEWHERE)


def _with_few_words(name: str, layers: int) -> ModelFacts:
    """Logits of so few words are not the most, and leave room to see what lies beneath."""
    config = cut(name, layers).config
    inner = config.get("text_config") or config
    tokens = {key: 0 for key in ("pad_token_id", "bos_token_id", "eos_token_id") if key in inner}
    return _with(name, layers, **tokens, vocab_size=500)


def _with(name: str, layers: int, **changes: object) -> ModelFacts:
    """The model with so many layers, and with these changes of its text model's config."""
    facts = cut(name, layers)
    text = facts.config.get("text_config")
    if not isinstance(text, dict):
        return model_from_config({**facts.config, **changes}, facts.id)
    return model_from_config({**facts.config, "text_config": {**text, **changes}}, facts.id)
