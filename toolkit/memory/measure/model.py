"""The real model of a setting with random weights, made on the device part by part: never in host memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from toolkit.facts.models import ModelFacts
from toolkit.memory.trace.build import DTYPES, architecture, refuse
from toolkit.memory.trace.stand_ins.eight_bit import put_8bit_layers
from toolkit.memory.trace.stand_ins.quantized import put_4bit_layers
from toolkit.memory.weights.linear_storage import EIGHT_BIT, FOUR_BIT, working_dtype
from toolkit.spec.settings.setting import Setting

SPREAD = 0.02
"""The standard deviation of random weights, as most configs have it (`initializer_range`)."""


def load_on_device(setting: Setting, facts: ModelFacts) -> nn.Module:
    """The model on torch's default device, quantized by bitsandbytes where it is. Raises UnsupportedTrace.

    A quantized model is never whole in 16 bit: as when a checkpoint is loaded, one layer is made, packed, and the next.
    """
    refuse(setting)
    if setting.weights in FOUR_BIT or setting.weights in EIGHT_BIT:
        with parameters_on_meta():
            model = architecture(setting, facts)
        _quantize(model, setting)
    else:
        model = architecture(setting, facts)
    fill(model)
    return model.eval()


def _quantize(model: nn.Module, setting: Setting) -> None:
    compute, stored = DTYPES[setting.compute], DTYPES[working_dtype(setting)]
    if setting.weights in FOUR_BIT:
        layers = put_4bit_layers(model, setting.weights, compute, double=setting.double_quant, stored=stored)
    else:
        layers = put_8bit_layers(model)
    for layer in layers:
        if setting.weights in FOUR_BIT:
            _pack_4bit(layer, setting.weights, stored, double=setting.double_quant)
        else:
            _pack_8bit(layer, compute)
        if layer.bias is not None:
            layer.bias = nn.Parameter(torch.zeros(layer.bias.shape, dtype=stored), requires_grad=False)


def _pack_4bit(layer: nn.Module, kind: str, stored: torch.dtype, *, double: bool) -> None:
    """Packs a weight on the device, as bitsandbytes does when one is moved there."""
    import bitsandbytes as bnb

    whole = _random(layer.weight.shape, stored)
    unpacked = bnb.nn.Params4bit(
        whole, requires_grad=False, quant_type=kind, compress_statistics=double, module=layer, bnb_quantized=False
    )
    layer.weight = unpacked.to(whole.device)


def _pack_8bit(layer: nn.Module, compute: torch.dtype) -> None:
    """Rounds the rows of a weight on the device: bitsandbytes itself does so only for one that comes from the host."""
    import bitsandbytes as bnb

    whole = _random(layer.weight.shape, compute)
    rows, scales, _ = bnb.functional.int8_vectorwise_quant(whole.to(torch.float16))
    layer.weight = bnb.nn.Int8Params(rows, requires_grad=False, has_fp16_weights=False, CB=rows, SCB=scales)


def fill(model: nn.Module) -> None:
    """Random matrices, ones for scales, zeros for biases; what is still on meta tensors is made on the device."""
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.is_floating_point():
                continue
            if parameter.is_meta and id(parameter) not in made:
                here = torch.empty_like(parameter, device=torch.get_default_device())
                made[id(parameter)] = nn.Parameter(here, requires_grad=parameter.requires_grad)
            filled = made.get(id(parameter), parameter)
            if filled is not parameter:
                setattr(module, name, filled)
            _fill_one(name, filled.data)
    model.tie_weights()


def _fill_one(name: str, values: torch.Tensor) -> None:
    here = getattr(values, "_local_tensor", values)  # a rank fills its own part, and asks no other
    if values.dim() > 1:
        here.normal_(0, SPREAD)
    else:
        here.fill_(0 if "bias" in name else 1)


def _random(shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype).normal_(0, SPREAD)


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Modules keep their parameters as meta tensors, and make their buffers, which have values, on the device."""
    register = nn.Module.register_parameter

    def on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        register(module, name, parameter)
        if parameter is not None and not parameter.is_meta:
            moved = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
            module._parameters[name] = moved

    nn.Module.register_parameter = on_meta
    try:
        yield
    finally:
        nn.Module.register_parameter = register
