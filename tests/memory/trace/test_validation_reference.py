"""Passes without gradients between two steps of training: the formula against the libraries' own code."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.cut import cut
from tests.memory.whole_blocks import as_traced
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.timeline.stream import settled
from toolkit.memory.trace.ledger import ledger_of
from toolkit.memory.trace.run import run
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack, Validation

pytestmark = pytest.mark.reference

LLAMA, GEMMA, PYTHIA = "meta-llama/Llama-3.2-1B", "google/gemma-2-2b", "EleutherAI/pythia-410m"
QWEN = "Qwen/Qwen3-0.6B"
BERT, T5, BART = "google-bert/bert-base-uncased", "google-t5/t5-small", "facebook/bart-base"
FULL: dict[str, Any] = {"method": "full", "weights": "bf16"}
MIXED: dict[str, Any] = {
    "method": "full", "weights": "fp32", "amp": True, "gradients": "fp32", "optimizer_states": "fp32",
}  # fmt: skip
WIDE = {**MIXED, "amp": False, "compute": "fp32"}
ADAPTED = {**MIXED, "method": "lora", "weights": "bf16", "lora": Lora(8, 16, "all-linear", 0.05)}
QLORA = {**ADAPTED, "method": "qlora", "weights": "nf4", "double_quant": True}
CLASSIFIER = {"head": "sequence-classification", "labels": 2}
SORTER = {"head": "token-classification", "labels": 9, "batch_size": 8}
TRL = {"stack": Stack("trl", "chunked")}

CASES: dict[str, tuple[str, Validation, dict[str, Any]]] = {
    "larger batches than those of training": (LLAMA, Validation(8, 512), FULL),
    "layers that training checkpoints": (LLAMA, Validation(8, 512), {**FULL, "gradient_checkpointing": "reentrant"}),
    "casts of weights, which autocast keeps": (LLAMA, Validation(8, 512), MIXED),
    "adapters": (LLAMA, Validation(8, 512), ADAPTED),
    "adapters beside 4-bit weights": (LLAMA, Validation(8, 512), QLORA),
    "adapters, and logits with a softcap": (GEMMA, Validation(4, 256), ADAPTED),
    "logits that are kept": (LLAMA, Validation(4, 256, 3), FULL),
    "logits that are kept, made float32": (LLAMA, Validation(4, 256, 5), MIXED),
    "more batches than are run": (LLAMA, Validation(1, 16, 50), FULL),
    "a loss that never has all logits": (LLAMA, Validation(8, 512), {**ADAPTED, **TRL}),
    "a loop of one's own, which fills a cache": (LLAMA, Validation(8, 512), {**FULL, "stack": Stack("plain")}),
    "a loop with a name for results": (LLAMA, Validation(4, 256), {**FULL, "stack": Stack("plain", result="next")}),
    "a loop with a name for logits of a head that was cast": (
        LLAMA,
        Validation(4, 256),
        {**QLORA, "stack": Stack("plain", result="next")},
    ),
    "a loop with a name until the step": (LLAMA, Validation(4, 256), {**FULL, "stack": Stack("plain", result="step")}),
    "padded rows": (LLAMA, Validation(8, 512), {**ADAPTED, "padding": True}),
    "attention that is written out": (LLAMA, Validation(8, 512), {**FULL, "attention": "eager"}),
    "a parallel block": (PYTHIA, Validation(8, 512), MIXED),
    "a classifier": (BERT, Validation(8, 512), {**WIDE, **CLASSIFIER}),
    "a classifier under autocast": (BERT, Validation(64, 128, 10), {**MIXED, **CLASSIFIER}),
    "words that are sorted": (
        BERT,
        Validation(8, 128, 5),
        {**MIXED, **SORTER},
    ),
    "masked words": (BERT, Validation(8, 128, 3), {**MIXED, "head": "masked-lm"}),
    "logits of all GPUs": (LLAMA, Validation(4, 256, 3), {**FULL, "parallel": Parallel(2, "ddp")}),
    "values as wide as keys under autocast": (QWEN, Validation(4, 256), {**MIXED, "stack": Stack("plain")}),
    "spans of answers": (BERT, Validation(16, 384, 3), {**MIXED, "head": "question-answering"}),
    "an encoder and a decoder": (T5, Validation(8, 512), WIDE),
    "an encoder and a decoder under autocast": (T5, Validation(8, 512), MIXED),
    "an encoder and a decoder with biases": (BART, Validation(8, 512), WIDE),
    "a cache of an encoder and a decoder": (T5, Validation(8, 512), {**WIDE, "stack": Stack("plain")}),
    "labels beside which nothing is cached": (BART, Validation(8, 512), {**WIDE, "stack": Stack("plain")}),
    "gradients in buckets": (LLAMA, Validation(8, 512), {**FULL, "parallel": Parallel(2, "ddp")}),
}
STACKS = {T5, BART}
"""Models of two stacks, whose order of events is not followed."""


def setting_of(name: str) -> Setting:
    model, validation, said = CASES[name]
    return Setting(model, **{"batch_size": 1, "sequence_length": 512, **said}, validation=validation)


@pytest.mark.parametrize("name", CASES)
def test_each_phase_is_what_the_code_asks_for(name: str) -> None:
    setting = setting_of(name)
    facts = cut(setting.model, 2)
    seen, found = settled(run(setting, facts), PhaseName.LOAD), estimate(setting, facts)
    phases = ledger_of(seen.timeline, seen.kinds).phases
    assert phases[-1].name is PhaseName.VALIDATION
    for phase in phases:
        computed = found.ledger.phase(phase.name)
        assert computed is not None
        assert as_traced(computed) == pytest.approx(phase.total, rel=0.0006), (name, phase.name)
    if setting.model in STACKS:
        return
    low, high = replayed(found)
    for warm in (False, True):
        assert low <= seen.timeline.replay(PhaseName.LOAD, warm=warm).reserved <= high, name
