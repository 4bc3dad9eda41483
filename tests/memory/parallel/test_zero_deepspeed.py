"""What ZeRO 3 gathers, against DeepSpeed 0.19.8 itself on a CPU, as one of two ranks of a group that sends nothing.

The figures are bytes of all storages that `PartitionedParameterCoordinator.fetch_sub_module` made and that are alive,
the most of a place in the third step (torch 2.13, transformers 5.23, bitsandbytes 0.50, peft 0.21; models in bfloat16,
6 tokens, stage3_param_persistence_threshold and the other sizes as each row says). A storage counts for as long as
anything has a name for it, which with views and copies that share memory is longer than DeepSpeed knows.
"""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import architecture_of
from toolkit.memory.parallel import zero_visits as places
from toolkit.memory.parallel.two_stacks import BETWEEN
from toolkit.memory.parallel.zero import gathering
from toolkit.memory.parallel.zero_gather import gathered
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack, Zero

LLAMA: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 1000, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False, "max_position_embeddings": 128,
    "hidden_act": "silu", "rms_norm_eps": 1e-6,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "tied": {**LLAMA, "tie_word_embeddings": True},
    "gpt2": {"model_type": "gpt2", "vocab_size": 1000, "n_embd": 64, "n_layer": 4, "n_head": 4, "n_positions": 128},
    "mixtral": {
        **LLAMA, "model_type": "mixtral", "intermediate_size": 96, "num_local_experts": 4, "num_experts_per_tok": 2,
    },
    "t5": {
        "model_type": "t5", "d_model": 96, "d_kv": 32, "d_ff": 160, "num_layers": 3, "num_decoder_layers": 4,
        "num_heads": 3, "vocab_size": 2000, "relative_attention_num_buckets": 32, "feed_forward_proj": "relu",
        "dropout_rate": 0.0, "tie_word_embeddings": True,
    },
    "bart": {
        "model_type": "bart", "d_model": 96, "encoder_layers": 3, "decoder_layers": 4, "encoder_ffn_dim": 160,
        "decoder_ffn_dim": 160, "encoder_attention_heads": 3, "decoder_attention_heads": 3, "vocab_size": 2000,
        "max_position_embeddings": 300, "dropout": 0.0, "tie_word_embeddings": True, "activation_function": "gelu",
    },
}  # fmt: skip
ALL = 10**9

DECODERS = [
    ("llama", "false", 0, 0, ALL, 0, (20480, 128000, 128000, 20480, 20480, 128000)),
    ("llama", "false", 40000, 100000, ALL, 200, (686080, 600064, 600064, 472064, 214016, 128000)),
    ("llama", "non-reentrant", 20000, 0, ALL, 0, (646528, 729344, 601216, 473088, 358784, 272512)),
    ("llama", "reentrant", 5000, 10**6, 50000, 200, (472064, 600064, 600064, 472064, 214016, 128000)),
    ("tied", "false", 20000, 20000, 50000, 0, (230912, 256256, 128000, 164352, 256256, 256128)),
    ("tied", "non-reentrant", 40000, 100000, 50000, 200, (230400, 128000, 128000, 192512, 242688, 128000)),
    ("tied", "reentrant", 40000, 0, 50000, 0, (230912, 256256, 189312, 189184, 243072, 128000)),
    ("gpt2", "false", 20000, 0, ALL, 0, (706176, 706176, 544512, 544256, 244352, 194304)),
    ("mixtral", "false", 0, 0, ALL, 0, (738304, 717824, 717824, 885760, 443392, 128000)),
    ("mixtral", "non-reentrant", 0, 0, ALL, 0, (295936, 128000, 128000, 295936, 295936, 128000)),
    ("mixtral", "reentrant", 0, 0, ALL, 0, (295936, 128000, 128000, 443392, 443392, 128000)),
    ("mixtral", "false", 5000, 100000, 50000, 0, (689408, 718336, 718336, 689408, 394368, 256128)),
    ("mixtral", "reentrant", 20000, 0, ALL, 200, (1069568, 946176, 946176, 1113600, 740352, 272384)),
    ("mixtral", "reentrant", 10**6, 0, ALL, 0, (1894656, 1894656, 947328, 1114624, 596224, 128000)),
]
"""Prefetch bucket, reuse distance, live parameters, persistence threshold, and bytes at the places below.

Modules between the head and the last layer count as the loss in backward, and as the logits in forward.
"""
PLACES = (places.LAST, places.LOGITS, places.LOSS, places.LAST_BACK, places.FIRST_BACK, places.EMBEDDING)

PAIRS = [
    ("t5", "false", 0, 0, ALL, 0, (384000, 445632)),
    ("t5", "false", 40000, 0, ALL, 0, (2044224, 1715712)),
    ("t5", "non-reentrant", 0, 0, ALL, 0, (384000, 550464)),
    ("bart", "false", 0, 0, ALL, 0, (384000, 504064)),
    ("bart", "false", 20000, 100000, ALL, 200, (2155776, 1802496)),
    ("bart", "non-reentrant", 0, 0, ALL, 0, (384000, 640640)),
]
"""The same sizes, and the most in forward and in backward."""

PACKED = [
    ("qlora", "false", (73728, 201728, 201728, 79872, 79872)),
    ("qlora", "reentrant", (6144, 128000, 128000, 24576, 24576)),
    ("qlora", "non-reentrant", (73728, 201728, 201728)),
    ("lora", "non-reentrant", (24576, 128000, 128000, 98304, 98304)),
    ("lora", "reentrant", (24576, 128000, 128000, 98304, 98304)),
]
"""Adapters of rank 2 on q_proj of a Llama of three layers: nothing ahead and no reuse, with a threshold of 200."""


def most(
    name: str, checkpointing: str, ahead: int, reuse: int, live: int, threshold: int, **said: Any
) -> dict[str, int]:
    config = {**MODELS[name], **said.pop("config", {})}
    architecture = architecture_of(model_from_config(config, "tiny"), "causal-lm", 0)
    zero = Zero(
        prefetch_bucket_size=ahead, max_reuse_distance=reuse, param_persistence_threshold=threshold,
        max_live_parameters=live,
    )  # fmt: skip
    parallel = Parallel(2, "zero3", zero=zero, quant_storage=said.pop("quant_storage", None))
    stack = Stack("transformers", versions={"deepspeed": said.pop("deepspeed", "0.19.8")})
    usual: dict[str, Any] = {"method": "full", "weights": "bf16", "compute": "bf16"}
    setting = Setting("tiny", gradient_checkpointing=checkpointing, parallel=parallel, stack=stack, **usual | said)
    of = gathering(architecture, setting)
    item = 1 if setting.weights == "nf4" else 2
    return {place: size * item for place, size in gathered(of.order, of.sizes, of.held).items()}


@pytest.mark.parametrize(("name", "form", "ahead", "reuse", "live", "threshold", "seen"), DECODERS)
def test_a_decoder_is_gathered_as_deepspeed_gathers_it(
    name: str, form: str, ahead: int, reuse: int, live: int, threshold: int, seen: tuple[int, ...]
) -> None:
    found = most(name, form, ahead, reuse, live, threshold)
    assert tuple(found[place] for place in PLACES) == seen


@pytest.mark.parametrize(("name", "form", "ahead", "reuse", "live", "threshold", "seen"), PAIRS)
def test_an_encoder_and_a_decoder_are(
    name: str, form: str, ahead: int, reuse: int, live: int, threshold: int, seen: tuple[int, int]
) -> None:
    """No hook says when an embedding's backward is done: it stays beside all of the encoder's. A norm may differ."""
    found = most(name, form, ahead, reuse, live, threshold)
    back = {place for place in found if "backward" in place} | {BETWEEN, places.LOSS, places.EMBEDDING}
    assert max(size for place, size in found.items() if place not in back) == seen[0]
    assert max(found[place] for place in back) == pytest.approx(seen[1], abs=384)


@pytest.mark.parametrize(("method", "form", "seen"), PACKED)
def test_packed_and_frozen_weights_are(method: str, form: str, seen: tuple[int, ...]) -> None:
    """bitsandbytes' graph has a name for every packed weight of the model, unless checkpoints are reentrant."""
    packs = method == "qlora"
    found = most(
        "llama", form, 0, 0, ALL, 200, method=method, weights="nf4" if packs else "bf16",
        quant_storage="uint8" if packs else None, lora=Lora(2, targets=("q_proj",)),
        config={"intermediate_size": 192, "num_hidden_layers": 3},
    )  # fmt: skip
    assert tuple(found[place] for place in PLACES[: len(seen)]) == seen


def test_older_releases_gather_a_mixtures_modules_one_by_one() -> None:
    """Without a leaf for the whole mixture its experts are gathered by themselves, the router (512 bytes) before."""
    whole = most("mixtral", "reentrant", 0, 0, ALL, 0)
    alone = most("mixtral", "reentrant", 0, 0, ALL, 0, deepspeed="0.17.6")
    assert whole[places.LAST] - alone[places.LAST] == 2 * 512


def test_older_releases_let_go_of_frozen_weights_that_run_again() -> None:
    """One by one as in forward, the largest of which is a feed-forward's; since 0.19.3 all of a layer stay."""
    adapters: dict[str, Any] = {"method": "lora", "lora": Lora(2, targets=("q_proj",))}
    old = most("llama", "reentrant", 0, 0, ALL, 200, deepspeed="0.19.2", **adapters)
    new = most("llama", "reentrant", 0, 0, ALL, 200, deepspeed="0.19.3", **adapters)
    largest, layer = 2 * 64 * 160, 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 160)
    assert (old[places.LAST_BACK], new[places.LAST_BACK]) == (largest, layer)
