"""The fields that name the kernels that run parts of a model in place of its own code: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields import kernel_names
from toolkit.spec.fields.field import Applies, FieldSpec
from toolkit.spec.fields.kind import Boolean, Kind, one_of
from toolkit.spec.fields.named_kind import Switch

_PASS = ("activations", "temporary", "time")


def kernel_fields() -> Iterator[FieldSpec]:
    """Every field of `kernels`. The Triton kernels are Unsloth's, which fms-acceleration and axolotl adopted."""
    yield _field(
        "gptq",
        one_of("a kernel for GPTQ weights", kernel_names.GPTQ_KERNELS),
        "The kernel that multiplies by GPTQ weights; training requires one.",
        "triton",
        _PASS,
        "groups",
    )
    yield _field(
        "awq",
        one_of("a kernel for AWQ weights", kernel_names.AWQ_KERNELS),
        "The kernel that multiplies by AWQ weights in AutoAWQ's fused modules, and decides how they are packed; "
        "gemm by default.",
        "gemv",
        ("weights", *_PASS),
        "autoawq",
    )
    yield _field(
        "sdpa",
        one_of("a kernel of sdpa", kernel_names.SDPA_KERNELS),
        "The kernel of torch's scaled_dot_product_attention where nothing is masked; by default a fused one.",
        "math",
        _PASS,
        "inference",
    )
    yield _field(
        "adapters",
        one_of("kernels for adapters", kernel_names.ADAPTER_KERNELS),
        "The fused operation that runs linear layers with their adapters, with a backward of its own.",
        "unsloth",
        (*_PASS, "adapters", "gradients", "optimizer_states"),
    )
    yield _field(
        "norm",
        Boolean(),
        "Whether RMSNorm is a Triton kernel that saves its input and one number per token (Unsloth's rms_layernorm).",
        "true",
        (*_PASS, "gradients", "optimizer_states"),
    )
    yield _field(
        "rotary",
        Boolean(),
        "Whether a Triton kernel rotates queries and keys in place (Unsloth's rope_embedding).",
        "true",
        _PASS,
    )
    yield _field(
        "experts",
        one_of("a kernel for experts", kernel_names.EXPERT_KERNELS),
        "The kernel that multiplies tokens by their experts without gathering them first.",
        "scattermoe",
        (*_PASS, "gradients"),
    )
    yield _field(
        "liger",
        Switch("true, false, classes or instance", "where Liger's kernels are put", kernel_names.LIGER_PLACES),
        "Whether Liger's Triton kernels run norms, rotary positions and gated feed-forwards: patched in before the "
        "model is made (true) or into an existing model (instance); for Liger's loss see stack.loss.",
        "true",
        _PASS,
    )
    yield _field(
        "linear_attention",
        one_of("kernels for linear attention", kernel_names.LINEAR_ATTENTION_KERNELS),
        "The kernels for the recurrence of linear attention (Qwen3-Next, Qwen3.5); by default torch's operations.",
        "fla",
        _PASS,
        "always",
    )
    yield _field(
        "convolution",
        one_of("kernels for short convolutions", kernel_names.CONVOLUTION_KERNELS),
        "The kernel for short convolutions, also beside linear attention; by default torch's operations.",
        "causal-conv1d",
        _PASS,
        "always",
    )


def _field(
    name: str, kind: Kind, doc: str, example: str, affects: tuple[str, ...], applies: Applies = "training"
) -> FieldSpec:
    return FieldSpec(f"kernels.{name}", kind, doc, (example,), frozenset(affects), applies)
