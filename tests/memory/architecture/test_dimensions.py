"""The dimensions that activations follow."""

from __future__ import annotations

from tests.memory.architecture.samples import PUBLISHED, facts_of, small_config, small_facts
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import FAMILIES, Architecture, LayerKind, architecture_of


def of(model_id: str, head: str = "causal-lm") -> Architecture:
    return architecture_of(facts_of(model_id), head)


def windows(architecture: Architecture) -> dict[int | None, int]:
    return {kind.attention.window: kind.count for kind in architecture.layers}


def test_every_type_says_how_many_layers_it_has() -> None:
    for model_type in PUBLISHED:
        for head in FAMILIES[model_type].classes:
            architecture = architecture_of(small_facts(model_type), head)
            assert architecture.layer_count == (6 if model_type == "t5" else 3)
            assert all(isinstance(kind, LayerKind) and kind.count > 0 for kind in architecture.layers)


def test_windows_by_layer() -> None:
    assert windows(of("openai/gpt-oss-20b")) == {128: 12, None: 12}
    assert windows(of("google/gemma-2-9b")) == {4096: 21, None: 21}
    assert windows(of("google/gemma-3-4b-pt")) == {1024: 29, None: 5}
    assert windows(of("mistralai/Mistral-7B-v0.1")) == {4096: 32}
    assert windows(of("mistralai/Mistral-7B-v0.3")) == {None: 32}
    late = small_config("qwen2", {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 1})
    assert windows(architecture_of(model_from_config(late, "late"))) == {None: 1, 64: 2}


def test_heads_of_attention() -> None:
    qwen = of("Qwen/Qwen3-4B").layers[0].attention
    assert (qwen.query_heads, qwen.key_value_heads, qwen.head_dim, qwen.query_norm) == (32, 8, 128, True)
    falcon = of("tiiuae/falcon-40b").layers[0].attention
    assert (falcon.query_heads, falcon.key_value_heads, falcon.head_dim) == (128, 8, 64)
    assert of("tiiuae/falcon-7b").layers[0].attention.key_value_heads == 1
    assert of("openai/gpt-oss-20b").layers[0].attention.sinks
    assert of("google/gemma-2-2b").layers[0].attention.softcap
    assert not of("google/gemma-3-1b-pt").layers[0].attention.softcap


def test_latent_attention() -> None:
    attention = of("deepseek-ai/DeepSeek-V3").layers[0].attention
    assert (attention.latent_rank, attention.rope_dim, attention.query_latent_rank) == (512, 64, 1536)
    assert (attention.head_dim, attention.value_head_dim) == (192, 128)
    assert of("deepseek-ai/DeepSeek-V2-Lite").layers[0].attention.query_latent_rank is None


def test_mixtures() -> None:
    dense, mixed = of("deepseek-ai/DeepSeek-V3").layers
    assert (dense.count, mixed.count) == (3, 58)
    assert (mixed.feed_forward.experts, mixed.feed_forward.experts_per_token) == (256, 8)
    assert mixed.feed_forward.shared_intermediate == 2048
    sparse = architecture_of(small_facts("qwen3_moe", {"decoder_sparse_step": 2})).layers
    assert sorted((kind.count, kind.feed_forward.experts) for kind in sparse) == [(1, 128), (2, 0)]


def test_stacks_and_cross_attention() -> None:
    encoder, decoder = of("google/flan-t5-base").layers
    assert (encoder.stack, encoder.cross_attention) == ("encoder", None)
    assert decoder.cross_attention is not None
    assert (encoder.feed_forward.gated, encoder.feed_forward.activation) == (True, "gelu_new")


def test_dropout_and_residuals() -> None:
    gpt2 = of("openai-community/gpt2").layers[0]
    assert (gpt2.dropout, gpt2.attention.dropout, gpt2.norm) == (0.1, 0.1, "layer")
    assert of("microsoft/phi-2").layers[0].parallel_residual
    assert of("EleutherAI/pythia-70m").layers[0].parallel_residual
    assert not of("facebook/opt-125m").layers[0].parallel_residual
    assert of("google/gemma-2-2b").layers[0].norms == 4
    assert of("google/gemma-2-2b").logit_softcap


def test_relative_positions_of_deberta() -> None:
    architecture = of("microsoft/deberta-v3-base", "masked-lm")
    assert architecture.layers[0].attention.relative_positions == 512
    assert not architecture.is_decoder


def test_labels_come_from_the_question_the_config_or_transformers() -> None:
    facts = facts_of("madhurjindal/Jailbreak-Detector-Large")
    assert architecture_of(facts, "sequence-classification").labels == 2
    assert architecture_of(facts, "sequence-classification", 5).labels == 5
    named = model_from_config(small_config("bert", {"id2label": {"0": "a", "1": "b", "2": "c"}}), "three")
    assert architecture_of(named, "sequence-classification").labels == 3
    assert architecture_of(named, "base").labels == 0
