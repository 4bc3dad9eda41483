"""The table of encoders beside BERT's nearest kin, and of decoders that are built as those are."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.memory.architecture import albert, bart, bert, biogpt, electra, eurobert, modernbert, mpnet, nomic_bert, t5
from toolkit.memory.architecture.family import Family
from toolkit.memory.architecture.heads import BASE, CAUSAL, MASKED, QUESTION, SEQUENCE, TOKENS, classes


def encoder_classes(stem: str, causal: str | None = None, *, answers: bool = True) -> Mapping[str, str]:
    """The transformers classes of an encoder by head, from the stem of their names; some have none that `answers`."""
    table = {
        MASKED: f"{stem}ForMaskedLM",
        SEQUENCE: f"{stem}ForSequenceClassification",
        TOKENS: f"{stem}ForTokenClassification",
        BASE: f"{stem}Model",
    }
    table = {**table, QUESTION: f"{stem}ForQuestionAnswering"} if answers else table
    return {**table, CAUSAL: causal} if causal else table


def _of_pairs(stem: str, *, sequence: bool = False) -> Mapping[str, str]:
    """The classes of an encoder-decoder."""
    table = {CAUSAL: f"{stem}ForConditionalGeneration", BASE: f"{stem}Model"}
    return {**table, SEQUENCE: f"{stem}ForSequenceClassification"} if sequence else table


ENCODER_FAMILIES: Mapping[str, Family] = {
    "albert": Family(albert.albert, albert.ALBERT_DEFAULTS, encoder_classes("Albert")),
    "bart": Family(bart.bart, bart.BART_DEFAULTS, _of_pairs("Bart", sequence=True), bart.BART_ALIASES),
    "biogpt": Family(biogpt.biogpt, biogpt.BIOGPT_DEFAULTS, classes("BioGpt")),
    "camembert": Family(bert.roberta, bert.CAMEMBERT_DEFAULTS, encoder_classes("Camembert", "CamembertForCausalLM")),
    "electra": Family(electra.electra, electra.ELECTRA_DEFAULTS, encoder_classes("Electra", "ElectraForCausalLM")),
    "eurobert": Family(eurobert.eurobert, eurobert.EUROBERT_DEFAULTS, encoder_classes("EuroBert", answers=False)),
    "m2m_100": Family(bart.bart, bart.M2M_DEFAULTS, _of_pairs("M2M100"), bart.BART_ALIASES),
    "marian": Family(
        bart.bart, bart.MARIAN_DEFAULTS, {CAUSAL: "MarianMTModel", BASE: "MarianModel"}, bart.BART_ALIASES
    ),
    "mbart": Family(bart.bart, bart.MBART_DEFAULTS, _of_pairs("MBart", sequence=True), bart.BART_ALIASES),
    "modernbert": Family(
        modernbert.modernbert, modernbert.MODERNBERT_DEFAULTS, encoder_classes("ModernBert", answers=False)
    ),
    "mpnet": Family(mpnet.mpnet, mpnet.MPNET_DEFAULTS, encoder_classes("MPNet")),
    nomic_bert.FAMILY: Family(
        nomic_bert.nomic_bert, nomic_bert.NOMIC_DEFAULTS, encoder_classes("NomicBert", answers=False)
    ),
    "mt5": Family(t5.t5, t5.MT5_DEFAULTS, _of_pairs("MT5", sequence=True), t5.T5_ALIASES),
    "umt5": Family(t5.t5, t5.MT5_DEFAULTS, _of_pairs("UMT5", sequence=True), t5.T5_ALIASES),
    "pegasus": Family(bart.bart, bart.PEGASUS_DEFAULTS, _of_pairs("Pegasus"), bart.BART_ALIASES),
    "whisper": Family(bart.whisper, bart.WHISPER_DEFAULTS, _of_pairs("Whisper"), bart.BART_ALIASES),
}
