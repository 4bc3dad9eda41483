"""The models that were added by their ids, each counted to the unit against the number that somebody published."""

from __future__ import annotations

import pytest

from tests.memory.architecture.samples import facts_of
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import architecture_of

# as the Hub counts the safetensors (AlexsJones/llmfit llmfit-core/data/hf_models.json, parameters_raw): of the
# repository itself, or of one with the same tensors that its record names.
HUB = {
    "01-ai/Yi-1.5-9B": 8_829_407_232,
    "01-ai/Yi-Coder-9B": 8_829_407_232,
    "BSC-LT/salamandra-7b": 7_768_117_248,
    "ByteDance-Seed/Seed-OSS-36B-Instruct": 36_151_104_512,
    "CohereLabs/aya-23-8B": 8_028_033_024,
    "HuggingFaceTB/SmolLM3-3B": 3_075_098_624,
    "LGAI-EXAONE/EXAONE-4.0-1.2B": 1_279_391_488,
    "LGAI-EXAONE/EXAONE-4.0-32B": 32_003_216_384,
    "NousResearch/Hermes-2-Pro-Llama-3-8B": 8_030_523_392,
    "NousResearch/Nous-Hermes-2-Mixtral-8x7B-DPO": 46_702_809_088,
    "Qwen/QwQ-32B": 32_763_876_352,
    "Qwen/Qwen1.5-110B": 111_209_914_368,
    "Qwen/Qwen2-57B-A14B": 57_408_658_944,
    "Qwen/Qwen2.5-14B-Instruct-1M": 14_770_033_664,
    "Qwen/Qwen2.5-7B-Instruct-1M": 7_615_616_512,
    "Qwen/Qwen3-Coder-30B-A3B-Instruct": 30_532_122_624,
    "Qwen/Qwen3-Coder-480B-A35B-Instruct": 480_154_875_392,
    "Qwen/Qwen3-Embedding-0.6B": 595_776_512,
    "Qwen/Qwen3.5-122B-A10B": 122_562_817_776,
    "allenai/Llama-3.1-Tulu-3-8B": 8_030_326_784,
    "allenai/OLMo-1B-hf": 1_176_764_416,
    "allenai/OLMo-2-0325-32B": 32_234_279_936,
    "allenai/OLMo-2-0325-32B-Instruct": 32_234_279_936,
    "allenai/OLMo-2-1124-13B": 13_716_198_400,
    "allenai/OLMo-2-1124-13B-Instruct": 13_716_198_400,
    "allenai/OLMo-2-1124-7B": 7_298_617_344,
    "allenai/OLMo-2-1124-7B-Instruct": 7_298_617_344,
    "allenai/Olmo-3-1025-7B": 7_298_011_136,
    "allenai/Olmo-3-1125-32B": 32_233_522_176,
    "arcee-ai/AFM-4.5B-Base": 4_619_184_640,
    "bigcode/gpt_bigcode-santacoder": 1_124_886_528,
    "bigcode/starcoder2-3b": 3_030_371_328,
    "bigcode/starcoder2-7b": 7_173_923_840,
    "bigcode/tiny_starcoder_py": 164_144_128,
    "codellama/CodeLlama-13b-hf": 13_016_028_160,
    "codellama/CodeLlama-34b-hf": 33_743_970_304,
    "codellama/CodeLlama-7b-hf": 6_738_546_688,
    "deepseek-ai/deepseek-coder-6.7b-base": 6_740_512_768,
    "deepseek-ai/deepseek-llm-7b-base": 6_910_365_696,
    "dphn/dolphin-2.6-mistral-7b": 7_241_740_288,
    "ibm-granite/granite-3.0-2b-base": 2_533_531_648,
    "ibm-granite/granite-3.1-2b-base": 2_533_531_648,
    "ibm-granite/granite-3.3-8b-instruct": 8_170_864_640,
    "ibm-granite/granite-34b-code-base-8k": 33_715_603_456,
    "ibm-granite/granite-3b-code-base-2k": 3_482_503_680,
    "ibm-granite/granite-4.1-30b": 28_865_728_512,
    "ibm-granite/granite-8b-code-base-4k": 8_054_910_976,
    "ibm/PowerLM-3b": 3_512_017_152,
    "microsoft/Phi-3-medium-4k-instruct": 13_960_238_080,
    "microsoft/Phi-3.5-mini-instruct": 3_821_079_552,
    "microsoft/Phi-4-mini-instruct": 3_836_021_760,
    "microsoft/phi-1_5": 1_418_270_720,
    "mistralai/Codestral-22B-v0.1": 22_247_282_688,
    "mistralai/Devstral-Small-2507": 23_572_403_200,
    "mistralai/Mistral-Large-Instruct-2407": 122_610_069_504,
    "nvidia/Llama-3.1-Nemotron-Nano-4B-v1.1": 4_512_746_496,
    "nvidia/Mistral-NeMo-Minitron-8B-Base": 8_414_105_600,
    "stabilityai/stable-code-3b": 2_795_443_200,
    "swiss-ai/Apertus-8B-2509": 8_053_338_176,
    "teknium/OpenHermes-2.5-Mistral-7B": 7_241_748_480,
    "tiiuae/Falcon3-1B-Base": 1_669_408_768,
    "tiiuae/Falcon3-7B-Base": 7_455_550_464,
    "unsloth/phi-4": 14_659_507_200,
    "upstage/SOLAR-10.7B-v1.0": 10_731_524_096,
    "zai-org/GLM-4-9B-0414": 9_400_279_040,
    "zai-org/glm-4-9b-chat-hf": 9_399_951_360,
}

# params of the preset (keras-team/keras-hub).
KERAS = {
    "Qwen/Qwen3.5-0.8B": 852_985_920,
    "Qwen/Qwen3.5-2B": 2_213_241_664,
    "mistralai/Magistral-Small-2506": 23_572_403_200,
    "mistralai/Mistral-Small-24B-Base-2501": 23_572_403_200,
    "tiiuae/falcon-rw-1b": 1_311_625_216,
}

# printed on the model card or in the README of its makers.
CARD = {
    "BSC-LT/salamandra-2b": 2_253_490_176,
    "EleutherAI/gpt-neox-20b": 20_554_567_680,
    "EleutherAI/polyglot-ko-1.3b": 1_331_810_304,
}

# public tables and logs that name the count; each model's record says which.
TABLE = {
    "EleutherAI/gpt-j-6b": 6_050_882_784,
    "Qwen/Qwen3-Embedding-4B": 4_021_774_336,
    "allenai/OLMo-7B-hf": 6_888_095_744,
    "baidu/ERNIE-4.5-0.3B-PT": 360_748_032,
    "bigcode/starcoderbase-1b": 1_137_207_296,
    "databricks/dolly-v2-3b": 2_775_086_080,
    "deepseek-ai/deepseek-coder-1.3b-base": 1_346_471_936,
    "deepseek-ai/deepseek-coder-33b-base": 33_342_991_360,
    "ibm-granite/granite-3.3-2b-instruct": 2_533_539_840,
    "mistralai/Ministral-8B-Instruct-2410": 8_019_808_256,
    "openchat/openchat_3.5": 7_241_748_480,
    "openlm-research/open_llama_3b": 3_426_473_600,
    "tiiuae/Falcon3-3B-Base": 3_227_655_168,
}

# Encoders without a head, as Keras counts them (and an engine's test, of the last); BART, mBART and the first DeBERTa
# as others printed of models that they had loaded.
ENCODERS = {
    "albert/albert-base-v1": 11_683_584,
    "albert/albert-large-v1": 17_683_968,
    "albert/albert-large-v2": 17_683_968,
    "albert/albert-xlarge-v1": 58_724_864,
    "albert/albert-xlarge-v2": 58_724_864,
    "albert/albert-xxlarge-v1": 222_595_584,
    "albert/albert-xxlarge-v2": 222_595_584,
    "facebook/bart-base": 139_420_416,
    "facebook/bart-large": 406_291_456,
    "facebook/mbart-large-50-many-to-many-mmt": 610_879_488,
    "microsoft/deberta-base": 138_601_728,
    "microsoft/deberta-large": 405_163_008,
    "microsoft/deberta-xlarge": 757_804_032,
    "distilbert/distilbert-base-cased": 65_190_912,
    "google-bert/bert-base-cased": 108_310_272,
    "google-bert/bert-base-chinese": 102_267_648,
    "google-bert/bert-large-cased": 333_579_264,
    "sentence-transformers/all-MiniLM-L6-v2": 22_713_216,
}

# Whisper as the Hub counts its safetensors, by a public page.
SOUNDS = {
    "openai/whisper-base": 72_593_920,
    "openai/whisper-large-v2": 1_543_304_960,
    "openai/whisper-large-v3": 1_543_490_560,
    "openai/whisper-large-v3-turbo": 808_878_080,
    "openai/whisper-medium": 763_857_920,
    "openai/whisper-small": 241_734_912,
    "openai/whisper-tiny": 37_760_640,
}

# Encoders with their masked head; of MPNet the Hub's count, with the 514 indices of positions that are stored, too.
MASKED = {"answerdotai/ModernBERT-base": 149_655_232, "answerdotai/ModernBERT-large": 395_881_664}
MPNET = 109_486_978

# What a checkpoint stores beside its parameters: a tied output weight once more, masks, routers' biases, added layers.
BESIDE = {
    "bigcode/starcoder": (15_819_446_272, 49_152 * 6_144),
    "tiiuae/falcon-180B": (179_522_565_120, 65_024 * 14_848),
    "EleutherAI/gpt-neo-125m": (150_364_416, 6 * 2048 * 2048),
    "EleutherAI/gpt-neo-1.3B": (1_365_907_456, 12 * 2048 * 2048),
    "EleutherAI/gpt-neo-2.7B": (2_718_416_384, 16 * 2048 * 2048),
    "zai-org/GLM-4.5": (358_337_791_296, 90 * 160 + 3_988_069_632 + 2 * 151_552 * 5_120),
}


COUNTED = [*HUB.items(), *KERAS.items(), *CARD.items(), *TABLE.items(), *SOUNDS.items()]


@pytest.mark.parametrize(("model_id", "count"), COUNTED)
def test_parameters_are_as_many_as_published(model_id: str, count: int) -> None:
    facts = facts_of(model_id)
    assert architecture_of(facts).parameters == count
    assert facts.published_params in (count, None)
    assert facts.sources


@pytest.mark.parametrize(("model_id", "count"), ENCODERS.items())
def test_encoders_are_counted_without_a_head(model_id: str, count: int) -> None:
    assert architecture_of(facts_of(model_id), "base").parameters == count == facts_of(model_id).published_params


@pytest.mark.parametrize(("model_id", "count"), MASKED.items())
def test_encoders_are_counted_with_their_masked_head(model_id: str, count: int) -> None:
    assert architecture_of(facts_of(model_id), "masked-lm").parameters == count == facts_of(model_id).published_params


def test_mpnet_stores_its_indices_too() -> None:
    facts = facts_of("sentence-transformers/all-mpnet-base-v2")
    assert architecture_of(facts, "base").parameters + 514 == MPNET == facts.published_params


@pytest.mark.parametrize("model_id", BESIDE)
def test_what_is_stored_beside_the_parameters_is_explained(model_id: str) -> None:
    stored, beside = BESIDE[model_id]
    facts = facts_of(model_id)
    assert architecture_of(facts).parameters + beside == stored == facts.published_params


def test_the_added_layer_of_glm_4_5_by_hand() -> None:
    """One layer with 160 experts and a shared one, 96 heads and 8 of keys and values with biases and norms of 128,
    two norms of its inputs, the matrix that joins them, and a norm of its result."""
    width, expert, heads, pairs = 5_120, 3 * 5_120 * 1_536, 96 * 128, 8 * 128
    attention = 2 * width * heads + heads + 2 * (width * pairs + pairs) + 2 * 128
    layer = 161 * expert + 160 * width + attention + 2 * width
    assert layer + 2 * width * width + 3 * width == 3_988_069_632


def test_phi_3_5_moe_has_as_many_as_somebody_counted() -> None:
    """41,873,153,344, by a public digest of a thread that compares it with Phi-3.5-mini; sizes are the type's defaults.

    Its linears of attention and its head have biases.
    """
    config = {"model_type": "phimoe", "hidden_size": 4096, "attention_bias": True, "lm_head_bias": True}
    assert architecture_of(model_from_config(config, "phimoe")).parameters == 41_873_153_344


INDEXED = {"deepseek_v32": 671_877_929_216, "glm_moe_dsa": 743_911_199_232}
"""DeepSeek V3.2 as Megatron's bridge counted what it had converted, in a public log of that; GLM 5 as transformers
5.12.1 counted what a converter had written, on a public page of verified models. Neither has the layer that predicts
several tokens. Sizes are the types' defaults."""


@pytest.mark.parametrize(("kind", "count"), INDEXED.items())
def test_models_with_an_indexer_have_as_many_as_was_counted(kind: str, count: int) -> None:
    assert architecture_of(model_from_config({"model_type": kind}, kind)).parameters == count


def test_the_encoder_of_umt5_xxl_has_as_many_as_pages_about_wan_2_1_say() -> None:
    """5,680,910,336: 24 layers of 64 heads of 64, widths of 4,096 and 10,240, biases in every layer, 256,384 words."""
    sizes = {"d_model": 4096, "d_ff": 10240, "num_layers": 24, "num_heads": 64, "vocab_size": 256384}
    model = architecture_of(model_from_config({"model_type": "umt5", **sizes}, "umt5"))
    assert sum(one.elements for one in model.modules if one.path.startswith(("shared", "encoder"))) == 5_680_910_336


@pytest.mark.parametrize(
    ("name", "text", "count", "stored"),
    [
        ("google/gemma-3n-E2B-it", 4_435_182_688, 5_418_464_192, 10),
        ("google/gemma-3n-E4B-it", 6_835_235_568, 7_818_517_072, 15),
    ],
)
def test_gemma_3n_has_its_towers(name: str, text: int, count: int, stored: int) -> None:
    """As transformers 5.23 and timm 1.0 build them: 294,126,912 parameters see, 681,348,640 hear, 7,805,952 embed."""
    facts = facts_of(name)
    architecture = architecture_of(facts)
    assert architecture.parameters == count == text + 294_126_912 + 681_348_640 + 7_805_952
    tower = [one for one in architecture.modules if ".vision_tower." in one.path]
    assert sum(one.elements for one in tower) == 294_126_912
    assert architecture.layer_count - stored == sum(
        kind.count for kind in architecture.layers if not kind.attention.shares_keys
    )
