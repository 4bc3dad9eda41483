"""The fields that say whose kernels run parts of a model, where they are not its own code: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields import kernel_names
from toolkit.spec.fields.field import Applies, FieldSpec
from toolkit.spec.fields.kind import Boolean, Kind, one_of
from toolkit.spec.fields.named_kind import Switch

_PASS = ("activations", "temporary", "time")


def kernel_fields() -> Iterator[FieldSpec]:
    """Every field of `kernels`. Triton kernels are Unsloth's, which fms-acceleration and axolotl have taken over."""
    yield _field(
        "gptq",
        one_of("a kernel for GPTQ weights", kernel_names.GPTQ_KERNELS),
        "What multiplies by GPTQ weights; in training it has to be named.",
        "triton",
        _PASS,
        "groups",
    )
    yield _field(
        "awq",
        one_of("a kernel for AWQ weights", kernel_names.AWQ_KERNELS),
        "What multiplies by AWQ weights in AutoAWQ's fused modules, by which they are packed; by default gemm.",
        "gemv",
        ("weights", *_PASS),
        "autoawq",
    )
    yield _field(
        "sdpa",
        one_of("a kernel of sdpa", kernel_names.SDPA_KERNELS),
        "What torch's scaled_dot_product_attention runs where nothing masks; by default a fused kernel.",
        "math",
        _PASS,
        "inference",
    )
    yield _field(
        "adapters",
        one_of("kernels for adapters", kernel_names.ADAPTER_KERNELS),
        "What operation runs linear layers with their adapters, and writes its own backward.",
        "unsloth",
        (*_PASS, "adapters", "gradients", "optimizer_states"),
    )
    yield _field(
        "norm",
        Boolean(),
        "Whether RMSNorm is a Triton kernel that keeps its input and a number a token (Unsloth's rms_layernorm).",
        "true",
        (*_PASS, "gradients", "optimizer_states"),
    )
    yield _field(
        "rotary",
        Boolean(),
        "Whether queries and keys are turned in place by a Triton kernel (Unsloth's rope_embedding).",
        "true",
        _PASS,
    )
    yield _field(
        "experts",
        one_of("a kernel for experts", kernel_names.EXPERT_KERNELS),
        "What multiplies tokens by their experts without gathering them first.",
        "scattermoe",
        (*_PASS, "gradients"),
    )
    yield _field(
        "liger",
        Switch("true, false, classes or instance", "where Liger's kernels are put", kernel_names.LIGER_PLACES),
        "Whether Liger's Triton kernels run norms, positions and gated feed-forwards, put in before the model is made "
        "(true) or into one that is there (instance); for its loss see stack.loss.",
        "true",
        _PASS,
    )
    yield _field(
        "linear_attention",
        one_of("kernels for linear attention", kernel_names.LINEAR_ATTENTION_KERNELS),
        "What runs the recurrence of linear attention (Qwen3-Next, Qwen3.5); by default torch's operations.",
        "fla",
        _PASS,
        "always",
    )
    yield _field(
        "convolution",
        one_of("kernels for short convolutions", kernel_names.CONVOLUTION_KERNELS),
        "What runs convolutions over a few tokens, beside linear attention too; by default torch's operations.",
        "causal-conv1d",
        _PASS,
        "always",
    )


def _field(
    name: str, kind: Kind, doc: str, example: str, affects: tuple[str, ...], applies: Applies = "training"
) -> FieldSpec:
    return FieldSpec(f"kernels.{name}", kind, doc, (example,), frozenset(affects), applies)
