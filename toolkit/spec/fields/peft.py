"""The fields of peft's methods beside LoRA: data only, one entry a field."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields import names
from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Boolean, Integer, Kind, Number, one_of
from toolkit.spec.fields.named_kind import Targets
from toolkit.spec.fields.rank_kind import Rank, Ranks

_AFFECTS = frozenset({
    "parameters", "adapters", "gradients", "optimizer_states", "temporary", "activations", "logits", "time",
})  # fmt: skip
_SIZED_ALIKE = frozenset({"activations", "logits", "temporary", "time"})
_STEADY = frozenset({"parameters", "adapters", "gradients", "optimizer_states"})
_POSITIVE = Integer("a positive integer", 1, 10**9)
_COUNT = Integer("a whole number", 0, 10**9)


def peft_fields() -> Iterator[FieldSpec]:
    """Every field of `peft`."""
    yield _field("targets", Targets(), "The modules that the method adapts.", "[q_proj, v_proj]")
    yield _field("rank", _COUNT, "The method's rank: r, or AdaLoRA's init_r; for OFT 0 leaves it to block_size.", "8")
    yield _field(
        "dtype",
        one_of("a dtype of adapters", names.FLOATS, nullable=True),
        "The dtype of what is trained; null for the one that the stack chooses.",
        "fp32",
        _AFFECTS - {"parameters"},
    )
    yield from _tokens()
    yield from _blocks()
    yield from _factors()
    yield from _clusters()
    yield _field(
        "dropout",
        Number("a share from 0 to 1", 0.0, 1.0),
        "AdaLoRA: the dropout on the adapters' inputs.",
        "0.1",
        frozenset({"activations", "logits", "temporary"}),
    )
    yield from _paths()


def _tokens() -> Iterator[FieldSpec]:
    yield _field("num_virtual_tokens", _POSITIVE, "Prompts: how many virtual tokens are trained.", "20")
    yield _field("prefix_projection", Boolean(), "Prefix tuning: whether a network makes the keys and values.", "true")
    yield _field(
        "encoder_hidden_size",
        _POSITIVE,
        "Prompts: the hidden width of the network that makes them; by default that of its output.",
        "128",
    )
    yield _field("num_tokens", _POSITIVE, "Trainable tokens: how many embeddings are trained.", "2")
    yield _field("adapter_len", _POSITIVE, "Adaption prompt: how many tokens a layer has.", "10")
    yield _field("adapter_layers", _POSITIVE, "Adaption prompt: how many of the last layers have such tokens.", "30")


def _blocks() -> Iterator[FieldSpec]:
    scaled_inputs = "IA3: the targets whose inputs are scaled, not their outputs."
    yield _field("feedforward_modules", Targets("a list of module names"), scaled_inputs, "[down_proj]")
    yield _field("block_size", _COUNT, "OFT, BOFT, C3A: the side of a block; for OFT 0 leaves it to the rank.", "32")
    yield _field("block_share", Boolean(), "OFT: whether the blocks of a layer share their weights.", "true")
    yield _field("n_frequency", _POSITIVE, "FourierFT, WaveFT: trained coefficients per layer.", "1000")
    yield _field("decompose_both", Boolean(), "LoKr: whether the first factor may be low-rank as well.", "true")
    yield _field(
        "decompose_factor",
        Integer("-1 or a positive integer", -1, 10**9),
        "LoKr: the side of the first factor; -1 for one near the square root.",
        "8",
    )
    yield _field("form", one_of("a form of MiSS", names.MISS_FORMS), "MiSS: the form, init_weights in peft.", "bat")
    yield _field("mini_r", _POSITIVE, "MiSS: the width in the form `mini`.", "64")
    yield _field("num_vectors", _POSITIVE, "VB-LoRA: how many vectors the bank has.", "256")
    yield _field("vector_length", _POSITIVE, "VB-LoRA: elements of a vector.", "256")
    yield _field("gralora_k", _POSITIVE, "GraLoRA: how many blocks a side is divided into.", "2", _SIZED_ALIKE)
    yield _field("hybrid_r", _COUNT, "GraLoRA: the rank of a plain adapter beside the blocks.", "4")
    yield _field("variant", one_of("a variant of RoAd", names.ROAD_VARIANTS), "RoAd: the variant.", "road_2")


def _factors() -> Iterator[FieldSpec]:
    yield _field("stride_a", _POSITIVE, "Lily: how many layers share an adapter's A.", "4")
    yield _field("num_b", Integer("a number from 2 on", 2, 10**9), "Lily: how many B matrices are mixed.", "2")
    yield _field("u", _POSITIVE, "TinyLoRA: elements of a trained vector.", "13")
    yield _field(
        "weight_tying",
        Number("a share from 0 to 1", 0.0, 1.0),
        "TinyLoRA: the share of modules that have no vector of their own.",
        "0.5",
    )
    yield _field("psoft_orth", Boolean(), "PSOFT: whether the matrix is a rotation, stored as a triangle.", "false")
    yield _field("psoft_mag_a", Boolean(), "PSOFT: whether columns of the matrix are scaled.", "false")
    yield _field("psoft_mag_b", Boolean(), "PSOFT: whether rows of the matrix are scaled.", "false")
    solvers = one_of("a way to find singular vectors", names.PSOFT_SOLVERS)
    yield _field("psoft_svd", solvers, "PSOFT: how a weight's factors are found.", "lowrank", frozenset({"adapters"}))
    factors = one_of("a form of PSOFT's factors", names.PSOFT_FACTORS)
    yield _field(
        "ab_svd_init", factors, "PSOFT: how the factors are initialized.", "pissa_init", frozenset({"adapters"})
    )


def _clusters() -> Iterator[FieldSpec]:
    yield _field(
        "num_subspaces", _POSITIVE, "AdaMSS: how many clusters a weight's rows are divided into.", "32", _STEADY
    )
    yield _field("subspace_rank", _POSITIVE, "AdaMSS: the rank of a cluster's adapter.", "1", _STEADY)
    yield _field(
        "effective_rank",
        Rank(),
        "OSF: how many singular vectors stay frozen, or their share of the smaller side.",
        "128",
    )
    yield _field(
        "rank_pattern", Ranks(), "OSF: the effective rank of modules by name; the first match counts.", "[v_proj=896]"
    )


def _paths() -> Iterator[FieldSpec]:
    yield _field("para", Boolean(), "DEFT: whether nothing replaces what is removed from the weights.", "true")
    of_weights = one_of("a form of a change", names.GLORA_PATHS)
    beside = one_of("a form of a change", {name: names.GLORA_PATHS[name] for name in ("lora", "vector", "none")})
    of_biases = one_of("a form of a change", {name: names.GLORA_PATHS[name] for name in ("vector", "constant", "none")})
    yield _field("config_a_b", of_weights, "GLoRA: the form of a weight's factor and of what is added to it.", "vector")
    yield _field("config_c", beside, "GLoRA: the form of what a weight adds to its bias.", "vector", _STEADY)
    yield _field(
        "config_d_e", of_biases, "GLoRA: the form of a bias's factor and of what is added to it.", "vector", _STEADY
    )
    yield _field("theta_d_length", _POSITIVE, "Uni-LoRA: elements of the trained vector.", "256", _STEADY)


def _field(name: str, kind: Kind, doc: str, example: str, affects: frozenset[str] = _AFFECTS) -> FieldSpec:
    return FieldSpec(f"peft.{name}", kind, doc, (example,), affects, "peft")
