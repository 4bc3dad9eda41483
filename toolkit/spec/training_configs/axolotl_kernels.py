"""axolotl's kernels for adapters, and where it runs them.

Sources: axolotl 0.19, utils/schemas/config.py (check_auto_enable_lora_kernels).
"""

from __future__ import annotations

from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.training_arguments import facts_of

FOLLOWED_KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")
ADAPTER_KERNELS = (*FOLLOWED_KERNELS, "lora_embedding_kernel")
"""Keys of axolotl's kernels for adapters: the first three are followed only together."""
KERNEL_FAMILIES = frozenset(
    {
        "cwm", "ernie4_5", "exaone4", "gemma", "gemma2", "gemma3", "gemma3_text", "glm4", "granite", "helium",
        "hunyuan_v1_dense", "hyperclovax", "llama", "ministral", "ministral3", "mistral", "mixtral", "olmo2", "olmo3",
        "qwen2", "qwen3", "qwen3_moe", "seed_oss", "smollm3",
    }
)  # fmt: skip
"""Model types for which these kernels are followed: their norms keep 16 bit and their feed-forwards are gated."""
ELSEWHERE = "axolotl runs adapters by kernels of its own where it can: with this model peft's code is followed"
PARTLY = "axolotl's kernels for LoRA keep less than peft's code, which is followed unless all three are on"


def _turned_off(config: Config) -> bool:
    """Whether axolotl leaves its kernels for adapters off unless they are asked for."""
    sharded = config.value("parallel.strategy") == "fsdp"
    return sharded or config.node("rl") is not None or bool(config.truth("trust_remote_code"))


def take_adapter_kernels(config: Config) -> None:
    """Axolotl turns them on by default (0.19, schemas/config.py, check_auto_enable_lora_kernels)."""
    adapts = config.value("method") == "qlora" or (
        config.value("method") == "lora" and config.value("weights") != "int8"
    )
    said = [key for key in ADAPTER_KERNELS if config.node(key) is not None]
    on = [key for key in FOLLOWED_KERNELS if config.truth(key)]
    if said:
        if len(on) == len(FOLLOWED_KERNELS):
            config.put("kernels.adapters", "axolotl", *FOLLOWED_KERNELS)
        else:
            config.matters_where_said(((key, PARTLY) for key in ADAPTER_KERNELS), stops=False)
    elif adapts and not _turned_off(config):
        facts = facts_of(config)
        if facts is None or facts.config.get("model_type") not in KERNEL_FAMILIES:
            config.matters("adapter", ELSEWHERE, stops=False)
            return
        config.assume("kernels.adapters", "axolotl", "what axolotl turns on where no lora_*_kernel says otherwise")
        if config.value("lora.dropout"):
            reason = "axolotl's kernels for adapters are followed: before they knew dropout, peft's code ran instead"
            config.matters("lora_dropout", reason, stops=False)
