"""DeepSeek V3.2 and GLM 5: DeepSeek V3 with an indexer, which chooses the tokens that each token attends to.

Source: transformers 5.23 modeling_deepseek_v32.py, modeling_glm_moe_dsa.py and their configurations.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.deepseek import DEEPSEEK_V3_DEFAULTS, deepseek
from toolkit.memory.architecture.heads import BASE, Head
from toolkit.memory.architecture.model import Architecture, Module

FAMILIES = ("deepseek_v32", "glm_moe_dsa")
"""The types whose passes are alike."""

DEEPSEEK_V32_DEFAULTS = {
    **DEEPSEEK_V3_DEFAULTS,
    "max_position_embeddings": 163840,
    "index_topk": 2048,
    "index_head_dim": 128,
    "index_n_heads": 64,
}

GLM_MOE_DSA_DEFAULTS = {
    **DEEPSEEK_V32_DEFAULTS,
    "vocab_size": 154880,
    "hidden_size": 6144,
    "intermediate_size": 12288,
    "num_hidden_layers": 78,
    "num_attention_heads": 64,
    "max_position_embeddings": 202752,
    "q_lora_rank": 2048,
    "qk_nope_head_dim": 192,
    "v_head_dim": 256,
    "index_n_heads": 32,
}

_SHARING = ("index_topk_pattern", "index_topk_freq", "indexer_types")


def deepseek_sparse(config: Config, head: Head) -> Architecture:
    """The main model, with an indexer in every layer; its keys are kept beside the latents."""
    if any(config.value(key) not in (None, 1) for key in _SHARING):
        raise config.refuse("layers that take the choice of an earlier indexer are not covered")
    if config.value("q_lora_rank") is None:
        raise config.refuse("an indexer reads the latent of queries (q_lora_rank), which this config does not have")
    found = deepseek(config, head)
    kinds = tuple(
        replace(
            kind,
            attention=replace(
                kind.attention,
                always_masked=True,
                index_heads=config.heads("index_n_heads"),
                index_width=config.size("index_head_dim"),
                index_chosen=config.size("index_topk"),
            ),
        )
        for kind in found.layers
    )
    prefix = "" if head.kind == BASE else "model."
    indexers = _indexers(config, f"{prefix}layers.{{}}.self_attn.indexer", parts.layer_names(0, found.layer_count))
    return replace(found, modules=found.modules + indexers, layers=kinds)


def _indexers(config: Config, path: str, layers: tuple[str, ...]) -> tuple[Module, ...]:
    hidden, width = config.size("hidden_size"), config.size("index_head_dim")
    heads = config.heads("index_n_heads")
    return (
        parts.linear(f"{path}.wq_b", config.size("q_lora_rank"), heads * width, layers),
        parts.linear(f"{path}.wk", hidden, width, layers),
        parts.layer_norm(f"{path}.k_norm", width, layers),
        parts.linear(f"{path}.weights_proj", hidden, heads, layers),
    )
