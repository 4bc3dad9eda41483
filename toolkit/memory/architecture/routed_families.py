"""The table of mixtures of experts beside those that most others are copies of."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.memory.architecture import deepseek, deepseek_sparse, newer_relatives, phimoe, routed_relatives
from toolkit.memory.architecture.family import Family
from toolkit.memory.architecture.heads import BASE, CAUSAL, SEQUENCE, classes


def _pair(stem: str) -> Mapping[str, str]:
    """The classes of a type that has no classifiers."""
    return {CAUSAL: f"{stem}ForCausalLM", BASE: f"{stem}Model"}


ROUTED: Mapping[str, Family] = {
    "deepseek_v32": Family(
        deepseek_sparse.deepseek_sparse,
        deepseek_sparse.DEEPSEEK_V32_DEFAULTS,
        _pair("DeepseekV32"),
        deepseek.V3_ALIASES,
    ),
    "dots1": Family(
        routed_relatives.dots1, routed_relatives.DOTS1_DEFAULTS, _pair("Dots1"), routed_relatives.DOTS1_ALIASES
    ),
    "ernie4_5_moe": Family(
        routed_relatives.ernie_moe,
        routed_relatives.ERNIE_MOE_DEFAULTS,
        _pair("Ernie4_5_Moe"),
        routed_relatives.ERNIE_MOE_ALIASES,
    ),
    "exaone_moe": Family(routed_relatives.exaone_moe, routed_relatives.EXAONE_MOE_DEFAULTS, _pair("ExaoneMoe")),
    "glm4_moe_lite": Family(deepseek.deepseek, deepseek.GLM4_LITE_DEFAULTS, _pair("Glm4MoeLite"), deepseek.V3_ALIASES),
    "glm_moe_dsa": Family(
        deepseek_sparse.deepseek_sparse,
        deepseek_sparse.GLM_MOE_DSA_DEFAULTS,
        _pair("GlmMoeDsa"),
        {"n_routed_experts": "num_experts"},
    ),
    "hunyuan_v1_moe": Family(
        routed_relatives.hunyuan_moe,
        routed_relatives.HUNYUAN_MOE_DEFAULTS,
        {**_pair("HunYuanMoEV1"), SEQUENCE: "HunYuanMoEV1ForSequenceClassification"},
        routed_relatives.HUNYUAN_MOE_ALIASES,
    ),
    "phimoe": Family(
        phimoe.phimoe, phimoe.PHIMOE_DEFAULTS, {**_pair("Phimoe"), SEQUENCE: "PhimoeForSequenceClassification"}
    ),
    "solar_open": Family(
        routed_relatives.solar_open,
        newer_relatives.SOLAR_OPEN_DEFAULTS,
        _pair("SolarOpen"),
        routed_relatives.DOTS1_ALIASES,
    ),
    "mistral4": Family(deepseek.deepseek, deepseek.MISTRAL4_DEFAULTS, classes("Mistral4"), deepseek.V3_ALIASES),
}
"""The model types, each as in the registry of all."""
