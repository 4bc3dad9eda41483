"""LLM.int8(): bitsandbytes' 8-bit layers as they are once loaded, and what their CUDA kernels allocate, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import not_quantized
from toolkit.memory.trace.stand_ins.old_kernels import OPERATORS, calls_its_library

OUTLIERS = 1
"""Feature columns that a layer keeps out of its 8-bit product: their number follows from values, and is small."""


def quantize_8bit(model: nn.Module, compute: torch.dtype) -> None:
    """Puts bitsandbytes' Linear8bitLt where transformers would: a byte a weight, a float32 scale a row."""
    import bitsandbytes as bnb

    if calls_its_library():
        raise UnsupportedTrace(f"LLM.int8() of bitsandbytes before {OPERATORS} is not traced: it calls no operators")
    for layer in put_8bit_layers(model):
        stored = torch.empty(layer.weight.shape, dtype=torch.int8)
        scales = torch.empty(layer.weight.shape[0], dtype=torch.float32)
        layer.weight = bnb.nn.Int8Params(stored, requires_grad=False, has_fp16_weights=False, CB=stored, SCB=scales)
        if layer.bias is not None:
            layer.bias = nn.Parameter(torch.empty(layer.bias.shape, dtype=compute), requires_grad=False)


def put_8bit_layers(model: nn.Module) -> list[nn.Module]:
    """Puts Linear8bitLt, with weights on meta tensors, where transformers would, and returns them."""
    import bitsandbytes as bnb
    from transformers import BitsAndBytesConfig
    from transformers.integrations.bitsandbytes import replace_with_bnb_linear

    skipped = not_quantized(model)
    config = BitsAndBytesConfig(load_in_8bit=True)
    replace_with_bnb_linear(model, modules_to_not_convert=skipped, quantization_config=config)
    model.is_loaded_in_8bit = True
    model.is_quantized = True
    return [module for module in model.modules() if isinstance(module, bnb.nn.Linear8bitLt)]


def _quantize_rows(values: torch.Tensor, threshold: float = 0.0) -> tuple[torch.Tensor, ...]:
    """int8_vectorwise_quant (backends/cuda/ops.py): magnitudes and which of them are outliers live until it returns."""
    scales = torch.empty(values.numel() // values.shape[-1], dtype=torch.float32, device="meta")
    rows = torch.empty(values.shape, dtype=torch.int8, device="meta")
    if not threshold:
        return rows, scales, torch.empty(0, dtype=torch.long, device="meta")
    outliers = values.abs() >= threshold
    outliers.any()
    outliers.any(dim=0)
    columns = torch.empty(OUTLIERS, dtype=torch.long, device="meta")
    return rows, scales, columns


def _mixed_product(
    inputs: torch.Tensor, rows: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor, weight_scales: torch.Tensor,
    outliers: torch.Tensor | None = None, bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """int8_mixed_scaled_mm (backends/default/ops.py): the outliers' share is added to a second tensor."""
    assert outliers is not None
    if rows.dim() > 2:
        raise UnsupportedTrace(f"bitsandbytes does not multiply inputs of {rows.dim()} dimensions in 8 bit")
    some = torch.empty((inputs.shape[0], OUTLIERS), dtype=inputs.dtype, device="meta")
    picked = torch.empty((weight.shape[0], OUTLIERS), dtype=torch.int8, device="meta")
    others = (picked * weight_scales.view(-1, 1) * 1.0).to(inputs.dtype).t()
    out = _product(rows, weight, scales, weight_scales, bias, inputs.dtype)
    return out.addmm(some, others), some


def _product(
    rows: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor, weight_scales: torch.Tensor,
    bias: torch.Tensor | None = None, dtype: torch.dtype | None = None,
) -> torch.Tensor:  # fmt: skip
    """int8_scaled_mm: an int32 product, its float16 form, and that cast (int8_mm_dequant of backends/cuda/ops.py)."""
    del scales, weight_scales
    whole = torch.empty((*rows.shape[:-1], weight.shape[0]), dtype=torch.int32, device="meta")
    out = torch.empty_like(whole, dtype=torch.float16)
    if bias is not None and bias.dtype != torch.float16:
        out.add_(bias)
    return out.to(dtype or torch.float16)


def _dequantized(weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """int8_vectorwise_dequant (bitsandbytes _ops.py, "default"): times the scales, then times 1/127."""
    return weight * scales.view(-1, 1) * (1 / 127)


SEQUENCES: Mapping[str, Callable[..., Any]] = {
    "bitsandbytes::int8_vectorwise_quant": _quantize_rows,
    "bitsandbytes::int8_mixed_scaled_mm": _mixed_product,
    "bitsandbytes::int8_scaled_mm": _product,
    "bitsandbytes::int8_vectorwise_dequant": _dequantized,
}
"""What runs for an operator, with every allocation seen."""
