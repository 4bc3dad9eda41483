"""The tensors that hold a quantized weight, scheme by scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from toolkit.frozen import frozen
from toolkit.memory.architecture.model import Module, ModuleKind, Tensor

LINEARS = (ModuleKind.LINEAR, ModuleKind.CONV1D)

NF4_BLOCK = 64
ABSMAX_BLOCK = 256
MXFP4_BLOCK = 32
FP8_BLOCK = 128
INT4_GROUP = 128
ROUTERS = ("gate", "shared_expert_gate")
"""Linears of mixtures that GPTQ and AWQ leave as they are (auto-gptq modeling/mixtral.py, inside_layer_modules)."""


@frozen
class Part:
    """A tensor of a stored weight: end of its name, dtype, elements, and whether `parameters()` yields it."""

    name: str
    dtype: str
    elements: int
    parameter: bool


Parts = tuple[Part, ...]


class UnsupportedStorage(Exception):  # noqa: N818 - a refusal by name
    """A form of storage that does not apply to an architecture, or that no rule here covers."""

    def __init__(self, weights: str, reason: str) -> None:
        super().__init__(f"{weights}: {reason}")
        self.weights = weights
        self.reason = reason


def packed_4bit(tensor: Tensor, *, double_quant: bool) -> Parts:
    """Two values a byte, a scale for each 64 values, a table of 16: bitsandbytes 0.50, quantize_4bit.

    With double quantization the scales are bytes, with a scale of their own for each 256, a table of 256
    and an offset. Nothing is shared between weights.
    """
    scales = blocks(tensor.elements, NF4_BLOCK)
    packed = Part("", "uint8", blocks(tensor.elements, 2), parameter=True)
    table = Part(".quant_map", "fp32", 16, parameter=False)
    if not double_quant:
        return packed, Part(".absmax", "fp32", scales, parameter=False), table
    return (
        packed,
        Part(".absmax", "uint8", scales, parameter=False),
        table,
        Part(".nested_absmax", "fp32", blocks(scales, ABSMAX_BLOCK), parameter=False),
        Part(".nested_quant_map", "fp32", 256, parameter=False),
        Part(".offset", "fp32", 1, parameter=False),
    )


def four_bit(module: Module, tensor: Tensor) -> Parts | None:
    """NF4 and FP4 of bitsandbytes, with plain scales."""
    return packed_4bit(tensor, double_quant=False) if _is_quantized_linear(module, tensor) else None


def four_bit_double(module: Module, tensor: Tensor) -> Parts | None:
    """NF4 and FP4 of bitsandbytes, with double quantization."""
    return packed_4bit(tensor, double_quant=True) if _is_quantized_linear(module, tensor) else None


def eight_bit(module: Module, tensor: Tensor) -> Parts | None:
    """LLM.int8() of bitsandbytes (Int8Params): a byte a value, a float32 scale for each output."""
    if not _is_quantized_linear(module, tensor):
        return None
    scales = Part(".SCB", "fp32", module.out_features, parameter=False)
    return Part("", "int8", tensor.elements, parameter=True), scales


def block_fp8(module: Module, tensor: Tensor) -> Parts | None:
    """FP8 (transformers, integrations/finegrained_fp8.py): a float32 scale for each 128 x 128 block."""
    if module.kind is ModuleKind.EXPERTS:
        if len(tensor.shape) < 3 or any(len(other.shape) < 3 for other in module.tensors):
            raise UnsupportedStorage("fp8", "experts with biases have no FP8 form in transformers")
    elif not _is_quantized_linear(module, tensor):
        return None
    *experts, rows, columns = tensor.shape
    scales = blocks(rows, FP8_BLOCK) * blocks(columns, FP8_BLOCK) * (experts[0] if experts else 1)
    return (
        Part("", "fp8", tensor.elements, parameter=True),
        Part("_scale_inv", "fp32", scales, parameter=True),
    )


def block_fp4(module: Module, tensor: Tensor) -> Parts | None:
    """MXFP4 (transformers, integrations/mxfp4.py): experts in 4 bits with a byte for each 32 inputs.

    Once loaded, the packed experts are no parameters any more, and the biases of experts are float32.
    """
    if module.kind is not ModuleKind.EXPERTS:
        return None
    if len(tensor.shape) < 3:
        return (Part("", "fp32", tensor.elements, parameter=True),)
    experts, inputs, outputs = tensor.shape
    scales = experts * outputs * blocks(inputs, MXFP4_BLOCK)
    return (
        Part("_blocks", "uint8", blocks(tensor.elements, 2), parameter=False),
        Part("_scales", "uint8", scales, parameter=False),
    )


@lru_cache
def in_groups(weights: str, size: int) -> Scheme:
    """GPTQ and AWQ with groups of so many inputs, -1 for all of them; GPTQ keeps the group of each input."""
    packed = 4 if weights.endswith("int8") else 8  # values in an int32

    def scheme(module: Module, tensor: Tensor) -> Parts | None:
        parts = _grouped(module, tensor, packed, size)
        return _with_groups(module, parts) if weights.startswith("gptq") else parts

    return scheme


def gptq(module: Module, tensor: Tensor) -> Parts | None:
    """GPTQ with 4 bits and groups of 128 inputs: as AWQ, with the group of each input."""
    return in_groups("gptq-int4", INT4_GROUP)(module, tensor)


def gptq_8bit(module: Module, tensor: Tensor) -> Parts | None:
    """GPTQ with 8 bits: four values in an int32."""
    return in_groups("gptq-int8", INT4_GROUP)(module, tensor)


def _with_groups(module: Module, parts: Parts | None) -> Parts | None:
    return parts and (*parts, Part(".g_idx", "int32", module.in_features, parameter=False))


def awq(module: Module, tensor: Tensor) -> Parts | None:
    """AWQ with 4 bits and groups of 128 inputs: values and zeros packed into int32, 16-bit scales."""
    return in_groups("awq-int4", INT4_GROUP)(module, tensor)


@lru_cache
def for_vectors(size: int) -> Scheme:
    """AWQ for AutoAWQ's GEMV: zeros in whole int32 of eight groups, of 16 or 32 with fewer inputs, and scales as many.

    Source: awq/modules/linear.py, calculate_zeros_width.
    """

    def scheme(module: Module, tensor: Tensor) -> Parts | None:
        if module.kind not in LINEARS or tensor.name != "weight" or module.leaf in ROUTERS:
            return None
        group = module.in_features if size < 1 else size
        unit = max(1, INT4_GROUP // group)
        width = blocks(blocks(module.in_features, group), 8 * unit) * unit
        return (
            Part(".qweight", "int32", blocks(tensor.elements, 8), parameter=False),
            Part(".qzeros", "int32", width * module.out_features, parameter=False),
            Part(".scales", "fp16", 8 * width * module.out_features, parameter=False),
        )

    return scheme


def _grouped(module: Module, tensor: Tensor, packed: int, size: int) -> Parts | None:
    if module.kind not in LINEARS or tensor.name != "weight" or module.leaf in ROUTERS:
        return None
    groups = blocks(module.in_features, module.in_features if size < 1 else size)
    return (
        Part(".qweight", "int32", blocks(tensor.elements, packed), parameter=False),
        Part(".qzeros", "int32", groups * blocks(module.out_features, packed), parameter=False),
        Part(".scales", "fp16", groups * module.out_features, parameter=False),
    )


Scheme = Callable[[Module, Tensor], Parts | None]

SCHEMES: Mapping[tuple[str, bool], Scheme] = {
    ("nf4", False): four_bit,
    ("nf4", True): four_bit_double,
    ("fp4", False): four_bit,
    ("fp4", True): four_bit_double,
    ("int8", False): eight_bit,
    ("fp8", False): block_fp8,
    ("mxfp4", False): block_fp4,
    ("gptq-int4", False): gptq,
    ("gptq-int8", False): gptq_8bit,
    ("awq-int4", False): awq,
}
"""How each form of weights, with or without double quantization, stores a tensor; None leaves it as it is."""


def blocks(elements: int, size: int) -> int:
    """How many blocks of a size some elements fill, the last one perhaps in part."""
    return -(-elements // size)


def _is_quantized_linear(module: Module, tensor: Tensor) -> bool:
    return module.quantized and module.kind in LINEARS and tensor.name == "weight"
