"""4-bit layers of bitsandbytes as they are once loaded, on meta tensors."""

from __future__ import annotations

import torch
from torch import nn

from toolkit.memory.trace.releases import not_quantized

BLOCK = 64
NESTED_BLOCK = 256


def quantize_4bit(
    model: nn.Module,
    kind: str,
    compute: torch.dtype,
    *,
    double: bool,
    stored: torch.dtype | None = None,
    storage: torch.dtype = torch.uint8,
) -> None:
    """Puts bitsandbytes' Linear4bit where transformers would, with packed weights and scales of the right sizes.

    bitsandbytes packs when a weight moves to a GPU; meta tensors never do, so that the packed state is made by hand
    (functional.py, quantize_4bit: two values a byte, a float32 scale for each 64; doubly quantized: a byte for each
    scale, with a scale for each 256 of them, a table and an offset). `stored` is the dtype of the weights before that,
    where it is not `compute`; `storage` that of the elements that two values a byte are written into.
    """
    for layer in put_4bit_layers(model, kind, compute, double=double, stored=stored):
        _pack(layer, kind, stored or compute, storage, double=double)


def put_4bit_layers(
    model: nn.Module, kind: str, compute: torch.dtype, *, double: bool, stored: torch.dtype | None = None
) -> list[nn.Module]:
    """Puts Linear4bit, with weights on meta tensors, where transformers would, and returns them."""
    import bitsandbytes as bnb
    from transformers import BitsAndBytesConfig
    from transformers.integrations.bitsandbytes import replace_with_bnb_linear

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=kind,
        bnb_4bit_use_double_quant=double,
        bnb_4bit_compute_dtype=compute,
    )
    skipped = not_quantized(model)
    replace_with_bnb_linear(model, modules_to_not_convert=skipped, quantization_config=config)
    model.config._pre_quantization_dtype = stored or compute  # to which older releases cast what flash attention takes
    model.is_loaded_in_4bit = True
    model.is_quantized = True
    return [module for module in model.modules() if isinstance(module, bnb.nn.Linear4bit)]


def _pack(layer: nn.Module, kind: str, stored: torch.dtype, storage: torch.dtype, *, double: bool) -> None:
    import bitsandbytes as bnb

    rows, columns = layer.weight.shape
    packed = torch.empty((-(-rows * columns // (2 * storage.itemsize)), 1), dtype=storage)
    weight = torch.Tensor._make_subclass(bnb.nn.Params4bit, packed, False)
    state = _state(torch.Size((rows, columns)), kind, stored, double=double)
    weight.blocksize, weight.quant_type, weight.compress_statistics = BLOCK, kind, double
    weight.quant_storage, weight.quant_state, weight.bnb_quantized = storage, state, True
    weight.module = layer
    layer.weight = weight
    layer.quant_storage, layer.quant_state = storage, state
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.empty(rows, dtype=stored), requires_grad=False)


def _state(shape: torch.Size, kind: str, stored: torch.dtype, *, double: bool) -> object:
    from bitsandbytes.functional import QuantState

    scales = -(-shape.numel() // BLOCK)
    table = torch.empty(16)
    if not double:
        return QuantState(
            absmax=torch.empty(scales), shape=shape, code=table, blocksize=BLOCK, quant_type=kind, dtype=stored
        )
    nested = QuantState(
        absmax=torch.empty(-(-scales // NESTED_BLOCK)), blocksize=NESTED_BLOCK, code=torch.empty(256),
        dtype=torch.float32,
    )  # fmt: skip
    return QuantState(
        absmax=torch.empty(scales, dtype=torch.uint8), shape=shape, code=table, blocksize=BLOCK, quant_type=kind,
        dtype=stored, offset=torch.empty(()), state2=nested,
    )  # fmt: skip
