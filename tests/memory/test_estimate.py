"""What must hold of every estimate, whatever the setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model
from toolkit.memory.architecture import UnsupportedModel
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.rows.registry import ROWS
from toolkit.memory.rows.rule import RowRule
from toolkit.memory.weights.quantization import UnsupportedStorage
from toolkit.spec.fields.names import OPTIMIZERS, STRATEGIES
from toolkit.spec.settings.setting import Cache, Galore, Kernels, Lora, Parallel, Run, Setting, Stack, Validation, Zero

REFUSALS = (UnsupportedModel, UnsupportedStorage, UnsupportedRow)
SMALL, SMALL_HIDDEN = "HuggingFaceTB/SmolLM2-135M", 576

FULL = Setting(SMALL, "full", "bf16", optimizer_implementation="foreach", batch_size=2)
CHECKPOINTED = replace(FULL, gradient_checkpointing="non-reentrant")
AUTOCAST = replace(FULL, weights="fp32", amp=True, gradients="fp32", optimizer_states="fp32")
LORA = replace(FULL, method="lora", gradients="fp32", optimizer_states="fp32", lora=Lora(16, dropout=0.1))
QLORA = replace(LORA, method="qlora", weights="nf4", amp=True, gradient_checkpointing="reentrant")
INT8 = replace(LORA, weights="int8", amp=True)
INFERENCE = Setting(SMALL, "inference", "bf16", batch_size=2, generated_length=64)
SHARDED = replace(FULL, parallel=Parallel(2, "fsdp"))
MIXED = replace(AUTOCAST, parallel=Parallel(2, "fsdp"))
SHARDED_LORA = replace(QLORA, parallel=Parallel(2, "fsdp"))
CUT_BY_ROWS = replace(AUTOCAST, parallel=Parallel(2, "fsdp2"))
ZERO_2, ZERO_3 = (replace(FULL, parallel=Parallel(2, name, zero=Zero())) for name in ("zero2", "zero3"))
ZERO_LORA = replace(LORA, parallel=Parallel(2, "zero1", zero=Zero()))
STAGES, SPLIT = (replace(INFERENCE, parallel=Parallel(3, name)) for name in ("pipeline", "tensor"))
PROMPT = replace(INFERENCE, generated_length=0, stack=Stack(versions={"transformers": "4.40.0"}))
MUON = replace(FULL, optimizer="muon")
GALORED, GALORED_8BIT = (
    replace(AUTOCAST, optimizer=name, galore=Galore(16, ("mlp",))) for name in ("galore_adamw", "galore_adamw_8bit")
)
PACKED = replace(PROMPT, weights="gptq-int4", compute="fp16", desc_act=True)
ONE_ROW = replace(CHECKPOINTED, attention="flash", packing="padding-free", samples_per_row=2000)
MOVING = replace(CHECKPOINTED, sequence_length=2048, stack=Stack("trl", "chunked"))
STEPPING = replace(FULL, optimizer_implementation="fused", stack=Stack("plain"))
PAIRED = replace(FULL, objective="dpo", reference="model", stack=Stack("trl", "chunked"))
EVALUATED = replace(AUTOCAST, validation=Validation(2, 256, 3))
TYPICAL = (
    *(FULL, CHECKPOINTED, AUTOCAST, LORA, QLORA, INT8, INFERENCE, SHARDED, MIXED, SHARDED_LORA),
    *(CUT_BY_ROWS, ZERO_2, ZERO_3, ZERO_LORA, STAGES, SPLIT, PROMPT, PACKED, MUON, GALORED, GALORED_8BIT, ONE_ROW),
    PAIRED,
    STEPPING,
    MOVING,
    EVALUATED,
)

OTHERS: dict[str, tuple[object, ...]] = {
    "method": (),
    "head": (),
    "labels": (),
    "model": ("Qwen/Qwen2.5-0.5B",),
    "weights": ("fp16", "fp32"),
    "double_quant": (True, False),
    "compute": ("fp16", "fp32", "bf16"),
    "amp": (True, False),
    "master_weights": ("fp32",),
    "gradients": ("fp32", "bf16"),
    "optimizer": tuple(OPTIMIZERS),
    "optimizer_implementation": ("fused", "for-loop"),
    "optimizer_states": ("fp32", "bf16"),
    "batch_size": (3, 16),
    "sequence_length": (100, 4096),
    "generated_length": (1000,),
    "gradient_accumulation": (4,),
    "gradient_checkpointing": ("false", "reentrant", "non-reentrant"),
    "padding": (True,),
    "packing": ("padding-free", "rows"),
    "samples_per_row": (8,),
    "optimizer_in_backward": (True, False),
    "activation_offloading": (True, False),
    "objective": ("dpo", "grpo", "next-token"),
    "reference": ("precomputed", "adapters-off"),
    "answer_length": (),
    "warmup": (True,),
    "evaluation": (),
    "validation": (Validation(8, 512), Validation(1, 4096), Validation(4, 128, 20)),
    "uncached": (True,),
    "sampling": ("top-k", "top-p"),
    "loading": ("device-map", "moved"),
    "checkpoint_dtype": (),
    "earlier_passes": ("inference", "training"),
    "expandable_segments": (True,),
    "attention": ("eager", "flash"),
    "lora": (Lora(64), Lora(16, targets=("q_proj",)), Lora(16, dropout=0.1)),
    "peft": (),
    "galore": (Galore(64, ("mlp",)), Galore(16, "all-linear"), Galore(16, ("attn", "mlp"), update_proj_gap=50)),
    "cache": (
        Cache("static"),
        Cache("static", 9000),
        Cache("quantized", backend="fp8"),
        Cache("quantized", None, "quanto", 2, 0, -1, 64, 32),
        Cache("quantized", None, "hqq", 3, 0, 0, 64, 128),
    ),
    "gpu": ("H100",),
    "stack": (Stack("trl"), Stack(loss="chunked"), Stack(loss="fused"), Stack(versions={"transformers": "4.40.0"})),
    "parallel": (
        Parallel(2, "ddp"),
        Parallel(4, "ddp"),
        Parallel(2, "fsdp"),
        Parallel(4, "fsdp"),
        Parallel(2, "fsdp", offload=True),
        Parallel(2, "fsdp2"),
        Parallel(4, "fsdp2", reshard_after_forward=False),
        Parallel(4, "zero1"),
        Parallel(4, "zero2", offload="optimizer"),
        Parallel(4, "zero3", zero=Zero("auto")),
        Parallel(4, "zero3", offload=True),
        Parallel(2, "pipeline"),
        Parallel(3, "tensor"),
    ),
    "upcast": (True, False),
    "desc_act": (True, False),
    "group_size": (32, -1),
    "kernels": (
        *(Kernels(gptq=name) for name in ("cuda-old", "exllama", "exllamav2")),
        Kernels(adapters="unsloth"),
        Kernels(norm=True),
        Kernels(rotary=True),
    ),
    "engine": (),
    "run": (Run(320, 3),),
}
"""Other values of each field; those without any are refused, or need other fields to change with them."""


def facts(model: str) -> ModelFacts:
    found = load_model(model)
    assert isinstance(found, ModelFacts)
    return found


def of(setting: Setting) -> Estimate:
    return estimate(setting, facts(setting.model))


def rows(found: Estimate) -> dict[tuple[str, str], int]:
    return {(phase.name.value, row.name): row.bytes for phase in found.ledger.phases for row in phase.rows}


def moved_by(setting: Setting, field: str) -> Iterator[tuple[object, dict[tuple[str, str], int]]]:
    """The rows with each other value of a field that is not refused."""
    for value in OTHERS[field]:
        if field in ("lora", "galore") and getattr(setting, field) is None:
            continue
        with suppress(*REFUSALS):
            yield value, rows(of(replace(setting, **{field: value})))


def test_every_field_has_other_values_here() -> None:
    assert set(OTHERS) == {field.name for field in fields(Setting)}


@pytest.mark.parametrize(
    "setting", TYPICAL, ids=lambda setting: f"{setting.method}-{setting.weights}-{setting.parallel.strategy}"
)
@pytest.mark.parametrize("field", OTHERS)
def test_a_field_moves_only_rows_that_declare_it(setting: Setting, field: str) -> None:
    declared = {rule.name for rule in ROWS if field in rule.fields}
    before = rows(of(setting))
    for value, after in moved_by(setting, field):
        new = {phase for phase, _ in after} - {phase for phase, _ in before} if field == "validation" else set()
        moved = {name for phase, name in before.keys() ^ after.keys() if phase not in new}
        moved |= {name for key, size in before.items() if (name := key[1]) and after.get(key) != size}
        assert moved <= declared, f"{field}={value} moves {moved - declared}"


OF_NO_ROW = ("run", "expandable_segments")
"""How long something runs, and what lies free between tensors."""


@pytest.mark.parametrize("field", [name for name, values in OTHERS.items() if values and name not in OF_NO_ROW])
def test_a_field_moves_something(field: str) -> None:
    assert any(after != rows(of(setting)) for setting in TYPICAL for _, after in moved_by(setting, field))


@pytest.mark.parametrize("rule", ROWS, ids=lambda rule: rule.name)
def test_a_row_says_what_it_is(rule: RowRule) -> None:
    assert rule.formula
    assert rule.source
    assert rule.explanation.endswith(".")
    assert rule.phases
    assert set(rule.fields) <= {field.name for field in fields(Setting)}


def test_rows_have_names_of_their_own() -> None:
    assert len({rule.name for rule in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    "setting", TYPICAL, ids=lambda setting: f"{setting.method}-{setting.weights}-{setting.parallel.strategy}"
)
def test_doubling_the_batch_doubles_rows_or_leaves_them(setting: Setting) -> None:
    once, twice = of(replace(setting, batch_size=8)), of(replace(setting, batch_size=16))
    for first, second in zip(once.ledger.phases, twice.ledger.phases, strict=True):
        before = {row.name: row.bytes for row in first.rows}
        after = {row.name: row.bytes for row in second.rows}
        if first.moment == second.moment and before.keys() == after.keys():
            for name, size in before.items():
                assert after[name] in (size, 2 * size), name
        assert second.of(Category.WEIGHTS, Category.OPTIMIZER_STATES) == first.of(
            Category.WEIGHTS, Category.OPTIMIZER_STATES
        )


def test_the_peak_is_the_largest_phase_and_lies_in_every_interval() -> None:
    for setting in TYPICAL:
        found = of(setting)
        assert found.allocated == max(phase.total for phase in found.ledger.phases)
        assert found.allocated <= found.reserved[0] <= found.reserved[1]
        assert found.reserved[0] < found.device[0] < found.device[1]


SIZES = st.integers(1, 64)
LENGTHS = st.integers(1, 8192)
METHODS = st.sampled_from(TYPICAL)


@given(setting=METHODS, batch=SIZES, length=LENGTHS, more=st.integers(1, 64))
@settings(max_examples=60, deadline=None)
def test_more_batch_or_sequence_never_needs_less(setting: Setting, batch: int, length: int, more: int) -> None:
    base = of(replace(setting, batch_size=batch, sequence_length=length)).allocated
    assert of(replace(setting, batch_size=batch + more, sequence_length=length)).allocated >= base
    assert of(replace(setting, batch_size=batch, sequence_length=length + more)).allocated >= base


@given(setting=st.sampled_from((LORA, QLORA, INT8)), rank=st.integers(1, 256), more=st.integers(1, 256))
@settings(max_examples=30, deadline=None)
def test_more_rank_never_needs_less(setting: Setting, rank: int, more: int) -> None:
    assert of(replace(setting, lora=Lora(rank + more))).allocated >= of(replace(setting, lora=Lora(rank))).allocated


@given(
    setting=st.sampled_from(TYPICAL[:6]),
    form=st.sampled_from(("reentrant", "non-reentrant")),
    batch=SIZES,
    length=LENGTHS,
)
@settings(max_examples=60, deadline=None)
def test_checkpointing_never_raises_activations(setting: Setting, form: str, batch: int, length: int) -> None:
    """Beyond the layer's input, its result and their gradients, which a single recomputed layer holds."""
    sized = replace(setting, batch_size=batch, sequence_length=length)
    kept, again = (of(replace(sized, gradient_checkpointing=name)) for name in ("false", form))
    held = 4 * batch * length * SMALL_HIDDEN * 4
    for phase in (PhaseName.FORWARD_END, PhaseName.BACKWARD):
        with_all, with_inputs = kept.ledger.phase(phase), again.ledger.phase(phase)
        assert with_all is not None
        assert with_inputs is not None
        grown = (Category.ACTIVATIONS, Category.LOGITS)
        assert with_inputs.of(*grown) <= with_all.of(*grown) + held


@given(
    model=st.sampled_from(MODEL_IDS),
    method=st.sampled_from(("inference", "full", "lora", "qlora")),
    weights=st.sampled_from(
        ("fp32", "bf16", "fp16", "nf4", "fp4", "int8", "mxfp4", "fp8", "gptq-int4", "gptq-int8", "awq-int4")
    ),
    amp=st.booleans(),
    checkpointing=st.sampled_from(("false", "reentrant", "non-reentrant")),
    optimizer=st.sampled_from(OTHERS["optimizer"]),
    attention=st.sampled_from(("sdpa", "flash", "eager")),
    trainer=st.sampled_from(("transformers", "trl", "unsloth", "plain", "litgpt", "vllm")),
    version=st.sampled_from((None, "4.39.3", "4.45.2", "4.57.1")),
    head=st.sampled_from(("causal-lm", "sequence-classification", "masked-lm", "base")),
    gpus=st.sampled_from((1, 1, 1, 2)),
    strategy=st.sampled_from(("none", "none", *STRATEGIES)),
    batch=SIZES,
    length=LENGTHS,
)
@settings(max_examples=200, deadline=None)
def test_any_setting_is_estimated_or_refused_by_name(
    model: str,
    method: str,
    weights: str,
    amp: bool,
    checkpointing: str,
    optimizer: str,
    attention: str,
    trainer: str,
    version: str | None,
    head: str,
    gpus: int,
    strategy: str,
    batch: int,
    length: int,
) -> None:
    setting = Setting(
        model,
        method,
        weights,
        head=head,
        amp=amp,
        gradient_checkpointing=checkpointing,
        optimizer=optimizer,
        attention=attention,
        batch_size=batch,
        sequence_length=length,
        lora=Lora(8) if method in ("lora", "qlora") else None,
        parallel=Parallel(gpus, strategy),
        stack=Stack(trainer, versions={"transformers": version} if version else {}),
    )
    try:
        found = of(setting)
    except REFUSALS:
        return
    assert all(isinstance(row.bytes, int) and row.bytes > 0 for phase in found.ledger.phases for row in phase.rows)
    assert found.allocated >= found.ledger.phases[0].total


def test_gradients_of_weights_that_none_are_made_of_are_not_exchanged() -> None:
    with pytest.raises(UnsupportedRow, match="what is trained in place of nf4 weights"):
        of(Setting("Qwen/Qwen2.5-0.5B", "full", "nf4", head="causal-lm", parallel=Parallel(2, "ddp")))
