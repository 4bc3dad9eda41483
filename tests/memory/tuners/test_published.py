"""Counts and rows of methods against what peft's own comparison printed of Llama-3.2-3B, and arithmetic by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.memory.architecture.samples import facts_of
from toolkit.memory.estimate import estimate, holdings
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.adapters import peft_of
from toolkit.spec.settings.setting import Lora, Setting, Stack

MODEL = "meta-llama/Llama-3.2-3B"
QV = ("q_proj", "v_proj")
SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj")
RANKS = tuple(f"{name}={896 if name[0] in 'kv' else 2944}" for name in SEVEN)
STAYS = 28 * (2 * 2944 * (3072 + 3072 + 1) + 2 * 896 * (1024 + 3072 + 1) + 3 * 2944 * (3072 + 8192 + 1))
"""Elements of singular vectors and values of which OSF trains none, with those ranks."""
NORMS = ("input_layernorm", "norm", "post_attention_layernorm")


def setting_of(method: str, trainer: str = "plain", **options: Any) -> Setting:
    said: dict[str, Any] = {f"peft.{name}": value for name, value in options.items()}
    said["parallel.strategy"] = "none"
    stack = Stack(trainer)
    peft = peft_of(said, method, stack, "bf16", "bf16")
    assert peft is not None
    return Setting(MODEL, method, "bf16", peft=peft, gradients=peft.dtype, optimizer_states=peft.dtype, stack=stack)


@pytest.mark.parametrize(
    ("method", "options", "printed"),
    [
        ("adamss", {"targets": QV, "num_subspaces": 32}, 293_888),
        ("adaption_prompt", {"adapter_len": 100, "adapter_layers": 28}, 8_601_628),
        ("beft", {"targets": ("v_proj",)}, 28_672),
        ("boft", {"targets": QV}, 802_816),
        ("c3a", {"targets": QV, "block_size": 64}, 5_505_024),
        ("deft", {"targets": QV, "rank": 32}, 9_175_040),
        ("deft", {"targets": QV, "rank": 32, "para": True}, 3_670_016),
        ("delora", {"targets": QV, "rank": 32}, 9_175_096),
        ("fourierft", {"targets": QV, "n_frequency": 5000}, 280_000),
        ("glora", {"targets": QV}, 4_587_520),
        ("glora", {"targets": QV, "config_a_b": "vector", "config_c": "vector"}, 229_376),
        ("gralora", {"targets": QV}, 9_175_040),
        ("hira", {"targets": QV}, 9_175_040),
        ("ia3", {"targets": ("k_proj", "v_proj", "down_proj")}, 286_720),
        ("lily", {"targets": ("gate_proj", "up_proj", "down_proj"), "rank": 140, "stride_a": 14}, 9_485_280),
        ("lily", {"targets": QV, "rank": 896, "stride_a": 14}, 18_450_432),
        ("ln_tuning", {"targets": NORMS}, 175_104),
        ("loha", {"targets": QV, "rank": 32}, 18_350_080),
        ("lokr", {"targets": QV, "rank": 32}, 279_552),
        ("miss", {"targets": QV}, 7_340_032),
        ("miss", {"targets": QV, "form": "mini", "mini_r": 64}, 229_376),
        ("oft", {"targets": QV, "rank": 32, "block_size": 0}, 8_171_520),
        ("osf", {"targets": SEVEN, "rank_pattern": RANKS}, 194_535_936),
        ("osf", {"targets": SEVEN, "effective_rank": 2944, "rank_pattern": ("k_=896", "v_=896")}, 194_535_936),
        ("p_tuning", {"num_virtual_tokens": 20, "encoder_hidden_size": 3072}, 28_382_208),
        ("pvera", {"targets": QV}, 143_360),
        ("pvera", {"targets": QV, "rank": 64}, 121_856),
        ("unilora", {"targets": QV, "rank": 32}, 256),
        ("peanut", {"targets": QV, "rank": 1}, 229_376),
        ("prefix_tuning", {"num_virtual_tokens": 200}, 11_468_800),
        ("prompt_tuning", {"num_virtual_tokens": 200}, 614_400),
        ("psoft", {"targets": QV, "rank": 256}, 1_856_512),
        ("randlora", {"targets": QV}, 9_289_728),
        ("road", {"targets": QV, "variant": "road_2"}, 229_376),
        ("shira", {"targets": QV}, 9_175_040),
        ("tinylora", {"targets": QV}, 3_584),
        ("tinylora", {"targets": QV, "weight_tying": 1.0}, 64),
        ("trainable_tokens", {"num_tokens": 2}, 6_144),
        ("vblora", {"targets": QV}, 1_212_416),
        ("vera", {"targets": QV}, 129_024),
        ("waveft", {"targets": QV, "n_frequency": 5000}, 280_000),
    ],
)
def test_published_counts(method: str, options: dict[str, Any], printed: int) -> None:
    held = holdings(setting_of(method, **options), facts_of(MODEL))
    assert held.parameters_trainable == printed
    assert held.parameters_total == 3_212_749_824 + printed
    rows = {row.name: row.bytes for row in held.ledger.phases[-1].rows}
    each = 2 if method in ("adaption_prompt", "ln_tuning") else 4
    assert rows["adapters"] == each * printed
    # Half of the gradient of OSF's 128 right vectors, over the inputs of seven linears, beside what they were made of.
    beside = 28 * 128 * (6 * 3072 + 8192) if method == "osf" else 0
    assert rows["gradients"] == each * (printed + beside)
    assert rows["optimizer_states"] == 2 * each * printed
    assert rows["weights"] == 2 * 3_212_749_824


@pytest.mark.parametrize(("dora", "bias", "trained"), [(True, False, 9_289_728), (False, True, 9_289_728)])
def test_vectors_beside_lora(dora: bool, bias: bool, trained: int) -> None:
    lora = Lora(32, targets=QV, dtype="fp32", dora=dora, bias=bias)
    setting = Setting(MODEL, "lora", "bf16", lora=lora, gradients="fp32", optimizer_states="fp32")
    assert holdings(setting, facts_of(MODEL)).parameters_trainable == trained


@pytest.mark.parametrize(
    ("options", "release", "trained"),
    [
        # 32 blocks of 96 x 96 over 3,072 inputs, and a factor for each of 3,072 and 1,024 outputs.
        ({"rank": 32, "block_size": 0}, "0.15.2", 28 * (2 * 32 * 96 * 96 + 3072 + 1024)),
        ({"rank": 0, "block_size": 64}, "0.14.0", 28 * (2 * 48 * 64 * 64 + 3072 + 1024)),
        # Blocks of the outputs, of 96 and 32.
        ({"rank": 32, "block_size": 0}, "0.13.2", 28 * (32 * 96 * 96 + 32 * 32 * 32)),
        ({"rank": 32, "block_size": 0, "block_share": True}, "0.12.0", 28 * (96 * 96 + 32 * 32)),
        # Triangles of blocks.
        ({"rank": 32, "block_size": 0}, "0.16.0", 28 * 2 * 32 * 96 * 95 // 2),
    ],
)
def test_oft_trained_whole_matrices_before(options: dict[str, Any], release: str, trained: int) -> None:
    setting = setting_of("oft", targets=QV, **options)
    old = replace(setting, stack=Stack("plain", versions={"peft": release}))
    assert holdings(old, facts_of(MODEL)).parameters_trainable == trained


@pytest.mark.parametrize(
    ("release", "dtype", "kept"),
    [
        # What stays of each weight, as wide as the weight: vectors over outputs and inputs, and values.
        ("0.18.1", "bf16", 2 * STAYS),
        ("0.20.0", "fp32", 4 * STAYS),
        # What is trained, as it was; of what stays the vectors over the inputs of v_proj and of down_proj, and over
        # the outputs of gate_proj and up_proj.
        ("0.21.0", "fp32", 4 * (194_535_936 + 28 * (2 * 896 * 3072 + 3 * 2944 * 8192))),
    ],
)
def test_what_osf_keeps_by_release(release: str, dtype: str, kept: int) -> None:
    stack = Stack("plain", versions={"peft": release})
    said = {"peft.targets": SEVEN, "peft.rank_pattern": RANKS, "parallel.strategy": "none"}
    peft = peft_of(said, "osf", stack, "bf16", "bf16")
    assert peft is not None
    assert peft.dtype == dtype
    held = holdings(Setting(MODEL, "osf", "bf16", peft=peft, stack=stack), facts_of(MODEL))
    assert {row.name: row.bytes for row in held.ledger.phases[-1].rows}["adapter_buffers"] == kept


@pytest.mark.parametrize(
    ("method", "options", "trainer", "kept"),
    [
        # A: 256 x 3,072 and B: 3,072 x 256, once for all modules.
        ("vera", {"targets": QV}, "plain", 2 * 256 * 3072 * 4),
        # Rows and columns of each weight in 32 bit.
        ("shira", {"targets": QV}, "plain", 2 * 9_175_040 * 4),
        # A square of the inputs for each of 56 modules, which peft leaves in main memory and a Trainer moves.
        ("boft", {"targets": QV}, "transformers", 56 * 3072 * 3072 * 4),
        ("boft", {"targets": QV}, "plain", 0),
        # Factors of ranks 2 and 64 matrices of 2 x 2 for each of 56 modules.
        ("tinylora", {"targets": QV}, "plain", 28 * 4 * (2 * (3072 + 3072) + 2 * (3072 + 1024) + 2 * 64 * 4)),
        # All right singular vectors where they are found on the GPU, those of the rank where they are moved there;
        # the other factor, and rows and columns of a triangle in 64 bit.
        (
            "psoft",
            {"targets": QV, "rank": 256},
            "plain",
            28 * (4 * 3072 * (3072 + 1024) + 4 * 256 * (3072 + 1024) + 2 * 2 * 8 * 256 * 255 // 2),
        ),
        (
            "psoft",
            {"targets": QV, "rank": 256},
            "transformers",
            28 * (4 * 256 * (3072 + 3072) + 4 * 256 * (3072 + 1024) + 2 * 2 * 8 * 256 * 255 // 2),
        ),
        ("loha", {"targets": QV}, "transformers", 0),
    ],
)
def test_what_is_kept_beside(method: str, options: dict[str, Any], trainer: str, kept: int) -> None:
    held = holdings(setting_of(method, trainer, **options), facts_of(MODEL))
    rows = {row.name: row.bytes for row in held.ledger.phases[-1].rows}
    assert rows.get("adapter_buffers", 0) == kept
    assert held.ledger.phases[0].name is PhaseName.LOAD
    assert "adapter_buffers" not in {row.name for row in held.ledger.phases[0].rows}


@pytest.mark.parametrize(
    ("method", "options", "reason"),
    [
        ("c3a", {"targets": QV, "block_size": 100}, "blocks of 100 that do not divide 3072"),
        ("oft", {"targets": QV, "rank": 4, "block_size": 4}, "a rank or a block_size"),
        ("ia3", {"targets": ("q_proj",)}, "not among the targets"),
        ("vera", {"targets": ("nothing",)}, "has one of these names"),
        ("vera", {"targets": ("embed_tokens",)}, "no rule for vera on embed_tokens"),
        ("vblora", {"targets": QV, "vector_length": 100}, "vectors of 100"),
        ("adaption_prompt", {"adapter_len": 1, "adapter_layers": 99}, "28 layers, not 99"),
        ("ln_tuning", {"targets": ("q_proj",)}, "which is not a norm"),
        ("psoft", {"targets": QV, "rank": 2000}, "a rank of 2000 on v_proj, which has 1024"),
        ("tinylora", {"targets": QV, "rank": 0}, "a rank of 0"),
        ("adamss", {"targets": QV, "subspace_rank": 2}, "the rows of each cluster of the weights decide"),
        ("osf", {"targets": QV, "effective_rank": 0.0001}, "effective_rank of 0 on q_proj"),
        ("lily", {"targets": ("self_attn.q_proj", "q_proj")}, "shares with self_attn.q_proj, q_proj"),
        ("lily", {"targets": "all-linear"}, "targets that are not a list of names"),
        ("lily", {"targets": ("layers.3.self_attn.q_proj",)}, "lily on some layers alone"),
    ],
)
def test_what_peft_refuses_is_refused(method: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=reason):
        holdings(setting_of(method, **options), facts_of(MODEL))


def test_passes_of_old_rotations_are_refused_by_name_after_those_of_new_ones() -> None:
    rotations = setting_of("oft", targets=QV, rank=32, block_size=0)
    assert estimate(rotations, facts_of(MODEL)).allocated > 0
    with pytest.raises(UnsupportedRow, match="no formula for a pass with oft of peft before 0"):
        estimate(replace(rotations, stack=Stack("plain", versions={"peft": "0.15.2"})), facts_of(MODEL))


@pytest.mark.parametrize("method", ["waveft", "adamss", "shira"])
def test_passes_are_refused_by_the_name_of_the_method(method: str) -> None:
    with pytest.raises(UnsupportedRow, match=f"activations: no formula for a pass with {method} yet"):
        estimate(setting_of(method, targets=QV), facts_of(MODEL))


@pytest.mark.parametrize(
    ("method", "options", "changed", "reason"),
    [
        ("vera", {"targets": QV}, {"weights": "nf4"}, "vera and nf4 weights"),
        ("vera", {"targets": ("lm_head",)}, {}, "vera and an output layer"),
        ("vera", {"targets": ("layers.3.self_attn.q_proj",)}, {}, "vera and some layers alone"),
        ("hra", {"targets": QV}, {"stack": Stack("unsloth")}, "hra and unsloth"),
        ("lily", {"targets": QV}, {"gradient_checkpointing": "reentrant"}, "lily and gradient checkpoints"),
        ("osf", {"targets": QV, "rank_pattern": ("layers.3.=8",)}, {}, "osf and ranks that differ by layer"),
        ("prompt_tuning", {"num_virtual_tokens": 8}, {"padding": True}, "prompt_tuning and padded rows"),
        ("prefix_tuning", {"num_virtual_tokens": 8}, {"attention": "eager"}, "prefix_tuning and eager attention"),
        (
            "prefix_tuning", {"num_virtual_tokens": 8}, {"gradient_checkpointing": "reentrant"},
            "prefix_tuning and gradient checkpoints",
        ),
        (
            "prefix_tuning", {"num_virtual_tokens": 8, "prefix_projection": True}, {},
            "prefix_tuning and a projection",
        ),
        ("ln_tuning", {"targets": ("layers.3.input_layernorm",)}, {}, "ln_tuning and some layers alone"),
    ],
)  # fmt: skip
def test_what_is_not_followed_is_refused(
    method: str, options: dict[str, Any], changed: dict[str, Any], reason: str
) -> None:
    setting = replace(setting_of(method, **options), **changed)
    with pytest.raises(UnsupportedRow, match=f"no formula for a pass with {reason}"):
        estimate(setting, facts_of(MODEL))


def test_an_activation_scaled_by_a_vector_is_kept() -> None:
    """IA3 on k_proj, too: a layer keeps its result of 1,024 features in 16 bit, which the vector's gradient needs."""
    tokens = 4 * 128
    frozen, scaled = (
        estimate(replace(setting_of("ia3", **options), batch_size=4, sequence_length=128), facts_of(MODEL))
        for options in (
            {"targets": ("v_proj", "down_proj")},
            {"targets": ("k_proj", "v_proj", "down_proj")},
        )
    )
    more = scaled.allocated - frozen.allocated
    assert more == pytest.approx(28 * tokens * 1024 * 2, rel=0.1)
