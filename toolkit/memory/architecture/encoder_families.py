"""The table of encoders beside BERT's nearest kin, and of decoders that are built as those are."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.memory.architecture import albert, bert, biogpt, electra
from toolkit.memory.architecture.family import Family
from toolkit.memory.architecture.heads import BASE, CAUSAL, MASKED, SEQUENCE, TOKENS, classes


def encoder_classes(stem: str, causal: str | None = None) -> Mapping[str, str]:
    """The transformers classes of an encoder by head, from the stem of their names."""
    table = {
        MASKED: f"{stem}ForMaskedLM",
        SEQUENCE: f"{stem}ForSequenceClassification",
        TOKENS: f"{stem}ForTokenClassification",
        BASE: f"{stem}Model",
    }
    return {**table, CAUSAL: causal} if causal else table


ENCODER_FAMILIES: Mapping[str, Family] = {
    "albert": Family(albert.albert, albert.ALBERT_DEFAULTS, encoder_classes("Albert")),
    "biogpt": Family(biogpt.biogpt, biogpt.BIOGPT_DEFAULTS, classes("BioGpt")),
    "camembert": Family(bert.roberta, bert.CAMEMBERT_DEFAULTS, encoder_classes("Camembert", "CamembertForCausalLM")),
    "electra": Family(electra.electra, electra.ELECTRA_DEFAULTS, encoder_classes("Electra", "ElectraForCausalLM")),
}
