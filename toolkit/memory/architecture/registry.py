"""Which family reads which model type, and what each family calls its classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.facts.models import ModelFacts
from toolkit.facts.names import nearest
from toolkit.memory.architecture import (
    bert,
    bloom,
    deberta,
    deberta_first,
    deepseek,
    distilbert,
    falcon,
    falcon_h1,
    gemma,
    glm4_moe,
    gpt2,
    gpt_bigcode,
    gpt_neox,
    gpt_oss,
    granite,
    lfm2,
    llama,
    mamba,
    mamba_hybrids,
    minimax_m2,
    mixture,
    nemotron_h,
    olmoe,
    opt,
    phi,
    qwen,
    qwen2_moe,
    qwen_hybrid,
    stablelm,
    t5,
)
from toolkit.memory.architecture.config import Config, MalformedConfig, UnsupportedModel
from toolkit.memory.architecture.dense_families import DENSE
from toolkit.memory.architecture.encoder_families import ENCODER_FAMILIES, encoder_classes
from toolkit.memory.architecture.family import Family
from toolkit.memory.architecture.heads import (
    BASE,
    CAUSAL,
    HEADS,
    QUESTION,
    SEQUENCE,
    SPAN,
    TOKENS,
    Head,
    classes,
)
from toolkit.memory.architecture.model import Architecture
from toolkit.memory.architecture.routed_families import ROUTED
from toolkit.memory.architecture.vision_families import with_images

MAX_LABELS = 1 << 20
MAX_CACHED = 1024


_FIRST: Mapping[str, Family] = {
    "bamba": Family(
        mamba_hybrids.bamba, mamba_hybrids.BAMBA_DEFAULTS, {CAUSAL: "BambaForCausalLM", BASE: "BambaModel"}
    ),
    "bert": Family(bert.bert, bert.BERT_DEFAULTS, encoder_classes("Bert", "BertLMHeadModel")),
    "bloom": Family(bloom.bloom, bloom.BLOOM_DEFAULTS, classes("Bloom"), bloom.BLOOM_ALIASES),
    deberta_first.FAMILY: Family(
        deberta_first.deberta_first, deberta_first.DEBERTA_FIRST_DEFAULTS, encoder_classes("Deberta")
    ),
    "deberta-v2": Family(deberta.deberta, deberta.DEBERTA_DEFAULTS, encoder_classes("DebertaV2")),
    "deepseek_v2": Family(
        deepseek.deepseek,
        deepseek.DEEPSEEK_V2_DEFAULTS,
        classes("DeepseekV2", token=False),
        deepseek.V2_ALIASES,
    ),
    "deepseek_v3": Family(deepseek.deepseek, deepseek.DEEPSEEK_V3_DEFAULTS, classes("DeepseekV3"), deepseek.V3_ALIASES),
    "distilbert": Family(
        distilbert.distilbert,
        distilbert.DISTILBERT_DEFAULTS,
        encoder_classes("DistilBert"),
        distilbert.DISTILBERT_ALIASES,
    ),
    "falcon": Family(falcon.falcon, falcon.FALCON_DEFAULTS, classes("Falcon"), falcon.FALCON_ALIASES),
    "falcon_h1": Family(
        falcon_h1.falcon_h1, falcon_h1.FALCON_H1_DEFAULTS, {CAUSAL: "FalconH1ForCausalLM", BASE: "FalconH1Model"}
    ),
    mamba.FALCON_MAMBA: Family(mamba.mamba, mamba.FALCON_MAMBA_DEFAULTS, mamba.classes("FalconMamba")),
    "gemma": Family(gemma.gemma, gemma.GEMMA_DEFAULTS, classes("Gemma")),
    "gemma2": Family(gemma.gemma2, gemma.GEMMA2_DEFAULTS, classes("Gemma2")),
    "gemma3": Family(
        gemma.gemma3,
        gemma.GEMMA3_DEFAULTS,
        classes("Gemma3", token=False, causal="Gemma3ForConditionalGeneration"),
    ),
    "gemma3_text": Family(
        gemma.gemma3_text,
        gemma.GEMMA3_TEXT_DEFAULTS,
        classes("Gemma3", token=False, sequence="Gemma3TextForSequenceClassification", base="Gemma3TextModel"),
    ),
    "glm4_moe": Family(
        glm4_moe.glm4_moe,
        glm4_moe.GLM4_MOE_DEFAULTS,
        {CAUSAL: "Glm4MoeForCausalLM", BASE: "Glm4MoeModel"},
        glm4_moe.ALIASES,
    ),
    "gpt2": Family(gpt2.gpt2, gpt2.GPT2_DEFAULTS, classes("GPT2", causal="GPT2LMHeadModel"), gpt2.GPT2_ALIASES),
    "gpt_bigcode": Family(
        gpt_bigcode.gpt_bigcode, gpt_bigcode.GPT_BIGCODE_DEFAULTS, classes("GPTBigCode"), gpt2.GPT2_ALIASES
    ),
    "gpt_neox": Family(gpt_neox.gpt_neox, gpt_neox.GPT_NEOX_DEFAULTS, classes("GPTNeoX")),
    "gpt_oss": Family(gpt_oss.gpt_oss, gpt_oss.GPT_OSS_DEFAULTS, classes("GptOss"), mixture.EXPERT_ALIASES),
    "granite": Family(llama.llama, granite.GRANITE_DEFAULTS, {CAUSAL: "GraniteForCausalLM", BASE: "GraniteModel"}),
    "granitemoe": Family(
        granite.granite_moe,
        granite.GRANITE_MOE_DEFAULTS,
        {CAUSAL: "GraniteMoeForCausalLM", BASE: "GraniteMoeModel"},
        mixture.EXPERT_ALIASES,
    ),
    "granitemoehybrid": Family(
        mamba_hybrids.granite_hybrid,
        mamba_hybrids.GRANITE_HYBRID_DEFAULTS,
        {CAUSAL: "GraniteMoeHybridForCausalLM", BASE: "GraniteMoeHybridModel"},
        mamba_hybrids.GRANITE_HYBRID_ALIASES,
    ),
    "lfm2": Family(lfm2.lfm2, lfm2.LFM2_DEFAULTS, {CAUSAL: "Lfm2ForCausalLM", BASE: "Lfm2Model"}, lfm2.LFM2_ALIASES),
    "lfm2_moe": Family(
        lfm2.lfm2_moe,
        lfm2.LFM2_MOE_DEFAULTS,
        {CAUSAL: "Lfm2MoeForCausalLM", BASE: "Lfm2MoeModel"},
        lfm2.LFM2_MOE_ALIASES,
    ),
    "llama": Family(llama.llama, llama.LLAMA_DEFAULTS, classes("Llama")),
    mamba.MAMBA: Family(mamba.mamba, mamba.MAMBA_DEFAULTS, mamba.classes("Mamba")),
    mamba.MAMBA2: Family(mamba.mamba2, mamba.MAMBA2_DEFAULTS, mamba.classes("Mamba2")),
    "minimax_m2": Family(
        minimax_m2.minimax_m2, minimax_m2.MINIMAX_M2_DEFAULTS, {CAUSAL: "MiniMaxM2ForCausalLM", BASE: "MiniMaxM2Model"}
    ),
    "mistral": Family(llama.mistral, llama.MISTRAL_DEFAULTS, classes("Mistral")),
    "mixtral": Family(mixture.mixtral, mixture.MIXTRAL_DEFAULTS, classes("Mixtral"), mixture.EXPERT_ALIASES),
    "nemotron_h": Family(
        nemotron_h.nemotron_h,
        nemotron_h.NEMOTRON_H_DEFAULTS,
        {CAUSAL: "NemotronHForCausalLM", BASE: "NemotronHModel"},
        nemotron_h.NEMOTRON_H_ALIASES,
    ),
    "olmoe": Family(olmoe.olmoe, olmoe.OLMOE_DEFAULTS, {CAUSAL: "OlmoeForCausalLM", BASE: "OlmoeModel"}),
    "opt": Family(opt.opt, opt.OPT_DEFAULTS, classes("OPT", token=False)),
    "phi": Family(phi.phi, phi.PHI_DEFAULTS, classes("Phi")),
    "phi3": Family(phi.phi3, phi.PHI3_DEFAULTS, classes("Phi3")),
    "qwen": Family(qwen.qwen, qwen.QWEN_DEFAULTS, {CAUSAL: "QWenLMHeadModel", BASE: "QWenModel"}),
    "qwen2": Family(llama.qwen2, llama.QWEN2_DEFAULTS, classes("Qwen2")),
    "qwen2_moe": Family(qwen2_moe.qwen2_moe, qwen2_moe.QWEN2_MOE_DEFAULTS, classes("Qwen2Moe")),
    "qwen3": Family(llama.qwen3, llama.QWEN3_DEFAULTS, classes("Qwen3")),
    "qwen3_5": Family(
        qwen_hybrid.qwen3_5_vision, {}, {CAUSAL: "Qwen3_5ForConditionalGeneration", BASE: "Qwen3_5Model"}
    ),
    "qwen3_5_moe": Family(
        qwen_hybrid.qwen3_5_moe_vision, {}, {CAUSAL: "Qwen3_5MoeForConditionalGeneration", BASE: "Qwen3_5MoeModel"}
    ),
    "qwen3_5_moe_text": Family(
        qwen_hybrid.qwen3_5_moe,
        qwen_hybrid.QWEN3_5_MOE_DEFAULTS,
        {CAUSAL: "Qwen3_5MoeForCausalLM", BASE: "Qwen3_5MoeTextModel"},
    ),
    "qwen3_5_text": Family(
        qwen_hybrid.qwen3_5,
        qwen_hybrid.QWEN3_5_DEFAULTS,
        {CAUSAL: "Qwen3_5ForCausalLM", BASE: "Qwen3_5TextModel"},
    ),
    "qwen3_moe": Family(mixture.qwen3_moe, mixture.QWEN3_MOE_DEFAULTS, classes("Qwen3Moe"), mixture.EXPERT_ALIASES),
    "qwen3_next": Family(qwen_hybrid.qwen3_next, qwen_hybrid.QWEN3_NEXT_DEFAULTS, classes("Qwen3Next")),
    "roberta": Family(bert.roberta, bert.ROBERTA_DEFAULTS, encoder_classes("Roberta", "RobertaForCausalLM")),
    "stablelm": Family(stablelm.stablelm, stablelm.STABLELM_DEFAULTS, classes("StableLm")),
    "t5": Family(t5.t5, t5.T5_DEFAULTS, classes("T5", token=False, causal="T5ForConditionalGeneration"), t5.T5_ALIASES),
    "xlm-roberta": Family(
        bert.roberta, bert.XLM_ROBERTA_DEFAULTS, encoder_classes("XLMRoberta", "XLMRobertaForCausalLM")
    ),
}

_TEXT: Mapping[str, Family] = {**_FIRST, **DENSE, **ENCODER_FAMILIES, **ROUTED}

FAMILIES: Mapping[str, Family] = dict(sorted({**_TEXT, **with_images(_TEXT)}.items()))
"""The model types that are read, each by the function that turns its config into an architecture."""

SAME_CODE = {"kimi_k2": "deepseek_v3"}
"""Types of models with code of their own beside the weights, which is that of another type (Kimi K2)."""

_cache: dict[tuple[str, str, str, int], Architecture] = {}


def architecture_of(facts: ModelFacts, head: str = CAUSAL, labels: int = 0) -> Architecture:
    """The architecture of a model with a head; raises UnsupportedModel for what no family reads.

    `labels` counts the classes of a classification head; 0 takes the number that the config names, else
    transformers' 2.
    """
    key = (facts.id, facts.config_hash, head, labels)
    found = _cache.get(key)
    if found is None:
        found = _build(facts, head, labels)
        if len(_cache) >= MAX_CACHED:
            _cache.clear()
        _cache[key] = found
    return found


def _build(facts: ModelFacts, head: str, labels: int) -> Architecture:
    model_type = facts.config.get("model_type")
    if not isinstance(model_type, str):
        raise MalformedConfig(facts.id, "the config has no model_type")
    model_type = SAME_CODE.get(model_type, model_type)
    family = FAMILIES.get(model_type)
    if family is None:
        raise UnsupportedModel(facts.id, _unknown_type(model_type))
    if head not in HEADS:
        raise UnsupportedModel(facts.id, f"unknown head {head!r}; known: {', '.join(HEADS)}")
    class_name = family.classes.get(head)
    if class_name is None:
        known = ", ".join(name for name in HEADS if name in family.classes)
        raise UnsupportedModel(facts.id, f"transformers has no {head} head for {model_type}; it has {known}")
    config = Config(facts.id, model_type, facts.config, family.defaults, family.aliases)
    built = family.build(config, Head(head, _labels(config, head, labels), class_name))
    return replace(built, caches=False) if facts.config.get("use_cache") is False else built


def _labels(config: Config, head: str, labels: int) -> int:
    """The labels of a classification head: as asked, as in the config, or transformers' default of 2; of a span."""
    if head == QUESTION:
        return SPAN
    if head not in (SEQUENCE, TOKENS):
        return 0
    if labels:
        if not 0 < labels <= MAX_LABELS:
            raise config.refuse(f"a classification head cannot have {labels:,} labels")
        return labels
    listed = config.value("id2label")
    if isinstance(listed, dict) and listed:
        return len(listed)
    return config.whole("num_labels", 1, MAX_LABELS) if config.value("num_labels") is not None else 2


def _unknown_type(model_type: str) -> str:
    close = nearest(model_type, FAMILIES)
    hint = f"; nearest: {', '.join(close)}" if close else ""
    return f"no family here reads the model type {model_type[:60]!r} (known: {', '.join(FAMILIES)}){hint}"
