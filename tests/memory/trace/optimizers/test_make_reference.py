"""Optimizers: states by hand from their sources, and whole steps of the real classes against the formulas."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("bitsandbytes")

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from toolkit.facts.models import model_from_config
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace.trace import UnsupportedTrace, trace
from toolkit.spec.fields.names import ESTIMATED_ALONE, OPTIMIZERS, TORCH_OPTIMIZERS
from toolkit.spec.settings.setting import Galore, Lora, Setting, Stack
from toolkit.spec.settings.stack_rules import states_dtype

pytestmark = pytest.mark.reference

NAME = "Qwen/Qwen2.5-0.5B"
FULL = Setting(
    NAME, "full", "fp32", amp=True, gradients="fp32", optimizer_states="int8", sequence_length=64,
    optimizer="adamw_8bit",
)  # fmt: skip
EMBEDDING = 151_936 * 896
SHAPES = (
    (896, 896), (896,), (128, 896), (128,), (128, 896), (128,), (896, 896),
    (4864, 896), (4864, 896), (896, 4864), (896,), (896,), (896,),
)  # fmt: skip
"""Of one layer and the last norm: q, k, v with biases, o; gate, up, down; norms."""
SIZES = [prod(shape) for shape in SHAPES]
BLOCK, SMALL, PAGED = 256, 4096, 100_000


def states(setting: Setting) -> int:
    step = trace(setting, cut(NAME, 1)).ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    return step.of(Category.OPTIMIZER_STATES)


def scales(size: int) -> int:
    return 4 * -(-size // BLOCK)


def test_states_in_8_bit_but_those_of_embeddings_and_of_small_tensors() -> None:
    """Trainer keeps the states of embeddings in 32 bit (transformers/trainer.py)."""
    small = sum(8 * size for size in SIZES if size < SMALL)
    large = sum(2 * (size + scales(size)) for size in SIZES if size >= SMALL)
    tables = 2 * BLOCK * 4
    assert states(FULL) == pytest.approx(8 * EMBEDDING + small + large + tables, rel=1e-5)


def test_a_plain_loop_quantizes_the_states_of_embeddings_too() -> None:
    every = [EMBEDDING, *SIZES]
    expected = sum(8 * size if size < SMALL else 2 * (size + scales(size)) for size in every)
    assert states(replace(FULL, stack=Stack("plain"))) == pytest.approx(expected, rel=1e-4)


def test_paged_states_are_not_counted_but_their_scales_are() -> None:
    expected = sum(2 * scales(size) if size >= PAGED else 8 * size for size in SIZES)
    found = states(replace(FULL, optimizer="paged_adamw_8bit"))
    assert found == pytest.approx(expected + 2 * BLOCK * 4, abs=len(SIZES) * 2 * 512)


def test_states_of_32_bit_optimizers_are_float32_beside_16_bit_parameters() -> None:
    """Lion has one state, paged AdamW leaves the two of small tensors on the GPU."""
    short = replace(FULL, weights="bf16", amp=False, gradients="bf16", optimizer_states="fp32")
    lion = 4 * (EMBEDDING + sum(SIZES))
    assert states(replace(short, optimizer="lion")) == pytest.approx(lion, rel=1e-4)
    paged = sum(8 * size for size in SIZES if size < PAGED)
    assert states(replace(short, optimizer="paged_adamw")) == pytest.approx(paged, abs=len(SIZES) * 2 * 512)


def test_states_that_the_library_would_not_make_are_refused() -> None:
    with pytest.raises(UnsupportedTrace, match="lion keeps fp32"):
        trace(replace(FULL, optimizer="lion", optimizer_states="bf16"), cut(NAME, 1))


MIXTRAL, LLAMA = "mistralai/Mixtral-8x7B-v0.1", "meta-llama/Llama-3.1-8B"
SHORT = Setting(NAME, "full", "bf16", sequence_length=16, stack=Stack("plain"))
CLOSE = 5e-5
"""The share by which a step may differ: blocks of 512 bytes, and tensors of a single number."""


def setting_with(optimizer: str, dtype: str, **fields: object) -> Setting:
    """A step of full fine-tuning; the optimizer of torch in lists of tensors where nothing else is said."""
    galore = Galore(16, "all-linear") if optimizer.startswith("galore") else None
    said = {"optimizer_implementation": "foreach", "galore": galore, **fields}
    dtypes = {"weights": dtype, "gradients": dtype, "amp": dtype == "fp32"}
    states = states_dtype(optimizer, dtype, None)
    return replace(SHORT, **dtypes, optimizer=optimizer, optimizer_states=states, **said)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name not in ("none", *ESTIMATED_ALONE)])
def test_every_optimizer_needs_what_its_formula_says(optimizer: str) -> None:
    """But for those of libraries that no trace runs: their states are held against the libraries by test_optimizer."""
    if optimizer.startswith("galore"):
        pytest.importorskip("galore_torch")
    agree(setting_with(optimizer, "bf16"), 1, peak=CLOSE, elsewhere=3 * CLOSE)


@pytest.mark.parametrize("optimizer", sorted(TORCH_OPTIMIZERS - {"sgd", "sgd_momentum"}))
@pytest.mark.parametrize("model", [MIXTRAL, LLAMA])
def test_loops_over_parameters_hold_what_the_last_one_left(optimizer: str, model: str) -> None:
    setting = setting_with(optimizer, "bf16", model=model, optimizer_implementation="for-loop")
    agree(setting, 1, peak=CLOSE, elsewhere=CLOSE)


@pytest.mark.parametrize("optimizer", ["muon", "adafactor", "galore_adamw", "galore_adamw_8bit", "galore_adafactor"])
@pytest.mark.parametrize("model", [MIXTRAL, LLAMA])
def test_steps_on_float32_matrices_and_on_experts(optimizer: str, model: str) -> None:
    """Experts that are one tensor of three dimensions are AdamW's beside Muon, and are not projected."""
    if optimizer.startswith("galore"):
        pytest.importorskip("galore_torch")
    agree(setting_with(optimizer, "fp32", model=model), 2, peak=CLOSE, elsewhere=CLOSE)


@pytest.mark.parametrize("rank", [8, 2000])
@pytest.mark.parametrize("optimizer", ["galore_adamw", "galore_adamw_8bit", "galore_adafactor"])
def test_projections_of_some_layers_at_any_rank(optimizer: str, rank: int) -> None:
    """At 2,000 no matrix of Qwen2.5-0.5B has so many dimensions to leave out."""
    pytest.importorskip("galore_torch")
    galored = setting_with(optimizer, "bf16", galore=Galore(rank, ("mlp", "q_proj")))
    agree(galored, 2, peak=CLOSE, elsewhere=3 * CLOSE)


def test_muon_updates_adapters() -> None:
    lora = {"method": "lora", "lora": Lora(8, targets=("q_proj", "v_proj")), "gradients": "fp32", "amp": True}
    setting = replace(setting_with("muon", "bf16"), **lora, optimizer_states="fp32")  # type: ignore[arg-type]
    agree(setting, 2, peak=CLOSE, elsewhere=CLOSE)


@pytest.mark.parametrize("optimizer", ["muon", "ademamix_8bit", "sgd_momentum", "galore_adamw", "galore_adamw_8bit"])
def test_a_trace_of_few_layers_is_one_of_many(optimizer: str) -> None:
    """What is said of eight layers by tracing fewer is what a trace of all eight says."""
    if optimizer.startswith("galore"):
        pytest.importorskip("galore_torch")
    facts = cut(NAME, 8)
    small = model_from_config({**facts.config, "vocab_size": 2048}, facts.id)
    setting = setting_with(optimizer, "bf16")
    whole, short = trace(setting, small, whole=True), trace(setting, small)
    assert {phase.name: phase.total for phase in short.ledger.phases} == {
        phase.name: phase.total for phase in whole.ledger.phases
    }


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.memory.trace.optimizers.galore.find_spec", lambda _: None)
    with pytest.raises(UnsupportedTrace, match="galore_adamw is galore_torch's, which is not installed"):
        trace(setting_with("galore_adamw", "bf16"), cut(NAME, 1))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"optimizer": "rmsprop", "optimizer_implementation": "fused"}, "torch has no fused rmsprop"),
        ({"optimizer": "galore_adamw", "galore": None}, "projects the gradients of whole matrices"),
        ({"optimizer": "muon", "optimizer_states": "fp32"}, "muon keeps bf16"),
    ],
)
def test_what_a_library_has_not_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(UnsupportedTrace, match=words):
        trace(replace(SHORT, **fields), cut(NAME, 1))  # type: ignore[arg-type]
