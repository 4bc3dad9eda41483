"""Which family reads which model type, and what each family calls its classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from toolkit.facts.models import ModelFacts
from toolkit.facts.names import nearest
from toolkit.frozen import frozen
from toolkit.memory.architecture import (
    bert,
    bloom,
    deberta,
    deepseek,
    distilbert,
    falcon,
    gemma,
    gpt2,
    gpt_bigcode,
    gpt_neox,
    gpt_oss,
    granite,
    llama,
    mixture,
    opt,
    phi,
    qwen,
    stablelm,
    t5,
)
from toolkit.memory.architecture.config import Config, UnsupportedModel
from toolkit.memory.architecture.heads import (
    BASE,
    CAUSAL,
    HEADS,
    MASKED,
    SEQUENCE,
    TOKENS,
    Head,
    classes,
)
from toolkit.memory.architecture.model import Architecture

MAX_LABELS = 1 << 20
MAX_CACHED = 1024


@frozen
class Family:
    """How a type is read: function, config defaults of transformers 5.23, classes by head, other keys."""

    build: Callable[[Config, Head], Architecture]
    defaults: Mapping[str, Any]
    classes: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)


def _encoder_classes(stem: str, causal: str | None = None) -> Mapping[str, str]:
    table = {
        MASKED: f"{stem}ForMaskedLM",
        SEQUENCE: f"{stem}ForSequenceClassification",
        TOKENS: f"{stem}ForTokenClassification",
        BASE: f"{stem}Model",
    }
    return {**table, CAUSAL: causal} if causal else table


FAMILIES: Mapping[str, Family] = {
    "bert": Family(bert.bert, bert.BERT_DEFAULTS, _encoder_classes("Bert", "BertLMHeadModel")),
    "bloom": Family(bloom.bloom, bloom.BLOOM_DEFAULTS, classes("Bloom"), bloom.BLOOM_ALIASES),
    "deberta-v2": Family(deberta.deberta, deberta.DEBERTA_DEFAULTS, _encoder_classes("DebertaV2")),
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
        _encoder_classes("DistilBert"),
        distilbert.DISTILBERT_ALIASES,
    ),
    "falcon": Family(falcon.falcon, falcon.FALCON_DEFAULTS, classes("Falcon"), falcon.FALCON_ALIASES),
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
    "llama": Family(llama.llama, llama.LLAMA_DEFAULTS, classes("Llama")),
    "mistral": Family(llama.mistral, llama.MISTRAL_DEFAULTS, classes("Mistral")),
    "mixtral": Family(mixture.mixtral, mixture.MIXTRAL_DEFAULTS, classes("Mixtral"), mixture.EXPERT_ALIASES),
    "opt": Family(opt.opt, opt.OPT_DEFAULTS, classes("OPT", token=False)),
    "phi": Family(phi.phi, phi.PHI_DEFAULTS, classes("Phi")),
    "phi3": Family(phi.phi3, phi.PHI3_DEFAULTS, classes("Phi3")),
    "qwen": Family(qwen.qwen, qwen.QWEN_DEFAULTS, {CAUSAL: "QWenLMHeadModel", BASE: "QWenModel"}),
    "qwen2": Family(llama.qwen2, llama.QWEN2_DEFAULTS, classes("Qwen2")),
    "qwen3": Family(llama.qwen3, llama.QWEN3_DEFAULTS, classes("Qwen3")),
    "qwen3_moe": Family(mixture.qwen3_moe, mixture.QWEN3_MOE_DEFAULTS, classes("Qwen3Moe"), mixture.EXPERT_ALIASES),
    "roberta": Family(bert.roberta, bert.ROBERTA_DEFAULTS, _encoder_classes("Roberta", "RobertaForCausalLM")),
    "stablelm": Family(stablelm.stablelm, stablelm.STABLELM_DEFAULTS, classes("StableLm")),
    "t5": Family(t5.t5, t5.T5_DEFAULTS, classes("T5", token=False, causal="T5ForConditionalGeneration"), t5.T5_ALIASES),
    "xlm-roberta": Family(
        bert.roberta, bert.XLM_ROBERTA_DEFAULTS, _encoder_classes("XLMRoberta", "XLMRobertaForCausalLM")
    ),
}
"""The model types that are read, each by the function that turns its config into an architecture."""

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
        raise UnsupportedModel(facts.id, "the config has no model_type")
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
    return family.build(config, Head(head, _labels(config, head, labels), class_name))


def _labels(config: Config, head: str, labels: int) -> int:
    """The labels of a classification head: as asked, as in the config, or transformers' default of 2."""
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
