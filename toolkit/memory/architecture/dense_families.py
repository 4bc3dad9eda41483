"""The table of dense decoders beside those that most others are copies of."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.memory.architecture import (
    cohere,
    gemma,
    gemma3n,
    gemma3n_towers,
    gemma4,
    gemma4_towers,
    glm,
    gpt_neo,
    gptj,
    llama,
    llama4,
    mllama,
    mpt,
    newer_relatives,
    olmo,
    persimmon,
    relatives,
    starcoder2,
    ungated,
)
from toolkit.memory.architecture.family import Family
from toolkit.memory.architecture.heads import BASE, CAUSAL, SEQUENCE, TOKENS, classes


def _pair(stem: str) -> Mapping[str, str]:
    """The classes of a type that has no classifiers."""
    return {CAUSAL: f"{stem}ForCausalLM", BASE: f"{stem}Model"}


def _with_images(stem: str) -> Mapping[str, str]:
    return {CAUSAL: f"{stem}ForConditionalGeneration", BASE: f"{stem}Model"}


def _without_sequence(stem: str) -> Mapping[str, str]:
    return {**_pair(stem), TOKENS: f"{stem}ForTokenClassification"}


def _without_tokens(stem: str) -> Mapping[str, str]:
    return {**_pair(stem), SEQUENCE: f"{stem}ForSequenceClassification"}


DENSE: Mapping[str, Family] = {
    "apertus": Family(ungated.apertus, ungated.APERTUS_DEFAULTS, _without_sequence("Apertus")),
    "arcee": Family(ungated.arcee, ungated.ARCEE_DEFAULTS, classes("Arcee")),
    "codegen": Family(gptj.codegen, gptj.GPTJ_DEFAULTS, _pair("CodeGen"), gptj.GPTJ_ALIASES),
    "cohere": Family(cohere.cohere, cohere.COHERE_DEFAULTS, _pair("Cohere")),
    "cohere2": Family(cohere.cohere2, cohere.COHERE2_DEFAULTS, _pair("Cohere2")),
    "cwm": Family(newer_relatives.cwm, newer_relatives.CWM_DEFAULTS, _pair("Cwm")),
    "ernie4_5": Family(relatives.ernie, relatives.ERNIE_DEFAULTS, _pair("Ernie4_5")),
    "exaone4": Family(relatives.exaone4, relatives.EXAONE4_DEFAULTS, classes("Exaone4")),
    "gemma3n": Family(gemma3n_towers.gemma3n, gemma3n_towers.DEFAULTS, gemma3n_towers.IMAGE_CLASSES),
    "gemma3n_text": Family(gemma3n.gemma3n_text, gemma3n.GEMMA3N_TEXT_DEFAULTS, gemma3n.CLASSES),
    "gemma4": Family(gemma4_towers.gemma4, gemma4_towers.GEMMA4_DEFAULTS, _with_images("Gemma4")),
    "gemma4_text": Family(gemma4.gemma4_text, gemma4.GEMMA4_TEXT_DEFAULTS, gemma4.TEXT_CLASSES),
    "gemma4_unified": Family(
        gemma4_towers.gemma4_unified, gemma4_towers.GEMMA4_DEFAULTS, _with_images("Gemma4Unified")
    ),
    "gemma4_unified_text": Family(gemma4.gemma4_text, gemma4.UNIFIED_TEXT_DEFAULTS, gemma4.UNIFIED_CLASSES),
    "glm": Family(glm.glm, glm.GLM_DEFAULTS, classes("Glm")),
    "glm4": Family(glm.glm4, glm.GLM_DEFAULTS, classes("Glm4")),
    "gpt_neo": Family(gpt_neo.gpt_neo, gpt_neo.GPT_NEO_DEFAULTS, classes("GPTNeo"), gpt_neo.GPT_NEO_ALIASES),
    "gptj": Family(gptj.gptj, gptj.GPTJ_DEFAULTS, _without_tokens("GPTJ"), gptj.GPTJ_ALIASES),
    "helium": Family(relatives.helium, relatives.HELIUM_DEFAULTS, classes("Helium")),
    "hunyuan_v1_dense": Family(relatives.hunyuan, relatives.HUNYUAN_DEFAULTS, _without_tokens("HunYuanDenseV1")),
    "hyperclovax": Family(newer_relatives.hyperclovax, newer_relatives.HYPERCLOVAX_DEFAULTS, _pair("HyperCLOVAX")),
    "internlm3": Family(
        llama.llama, newer_relatives.INTERNLM3_DEFAULTS, classes("Llama"), newer_relatives.INTERNLM3_ALIASES
    ),
    "iquestcoder": Family(llama.llama, newer_relatives.IQUEST_DEFAULTS, classes("Llama")),
    "jais2": Family(newer_relatives.jais2, newer_relatives.JAIS2_DEFAULTS, _pair("Jais2")),
    "llama4": Family(llama4.llama4, {"tie_word_embeddings": False}, llama4.IMAGE_CLASSES),
    "llama4_text": Family(llama4.llama4_text, llama4.LLAMA4_TEXT_DEFAULTS, llama4.TEXT_CLASSES),
    "ministral": Family(relatives.ministral, relatives.MINISTRAL_DEFAULTS, classes("Ministral")),
    "ministral3": Family(relatives.ministral3, relatives.MINISTRAL3_DEFAULTS, classes("Ministral3")),
    mllama.FAMILY: Family(mllama.mllama, mllama.DEFAULTS, mllama.CLASSES),
    "mpt": Family(mpt.mpt, mpt.MPT_DEFAULTS, classes("Mpt"), mpt.MPT_ALIASES),
    "nemotron": Family(ungated.nemotron, ungated.NEMOTRON_DEFAULTS, classes("Nemotron")),
    "olmo": Family(olmo.olmo, olmo.OLMO_DEFAULTS, _without_tokens("Olmo")),
    "olmo2": Family(olmo.olmo2, olmo.OLMO_DEFAULTS, _without_tokens("Olmo2")),
    "olmo3": Family(olmo.olmo3, olmo.OLMO3_DEFAULTS, _without_tokens("Olmo3")),
    "persimmon": Family(persimmon.persimmon, persimmon.PERSIMMON_DEFAULTS, classes("Persimmon")),
    "seed_oss": Family(relatives.seed_oss, relatives.SEED_OSS_DEFAULTS, classes("SeedOss")),
    "smollm3": Family(relatives.smollm3, relatives.SMOLLM3_DEFAULTS, classes("SmolLM3")),
    "starcoder2": Family(starcoder2.starcoder2, starcoder2.STARCODER2_DEFAULTS, classes("Starcoder2")),
    "vaultgemma": Family(gemma.vaultgemma, gemma.GEMMA2_DEFAULTS, _pair("VaultGemma")),
}
"""The model types, each as in the registry of all."""
