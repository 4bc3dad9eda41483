"""Modules as torch and transformers make them, with the shapes of their parameters."""

from __future__ import annotations

from functools import lru_cache

from toolkit.memory.architecture.model import Module, ModuleKind, Tensor

ONCE = ("",)
"""The layers of a module that stands outside the layers."""


@lru_cache(maxsize=256)
def layer_names(first: int, end: int) -> tuple[str, ...]:
    """The indices of layers, from `first` up to but not including `end`."""
    return tuple(str(index) for index in range(first, end))


def linear(
    path: str,
    inputs: int,
    outputs: int,
    layers: tuple[str, ...] = ONCE,
    *,
    bias: bool = False,
    kind: ModuleKind = ModuleKind.LINEAR,
    quantized: bool = True,
    float32_with_fp16: bool = False,
    float32: bool = False,
) -> Module:
    """A torch.nn.Linear: a weight of (outputs, inputs), and a bias."""
    tensors = (Tensor("weight", (outputs, inputs)),) + ((Tensor("bias", (outputs,)),) if bias else ())
    return Module(path, kind, tensors, layers, inputs, outputs, quantized, float32_with_fp16, float32)


def conv1d(path: str, inputs: int, outputs: int, layers: tuple[str, ...]) -> Module:
    """A transformers Conv1D (GPT-2): a weight of (inputs, outputs), and a bias."""
    tensors = (Tensor("weight", (inputs, outputs)), Tensor("bias", (outputs,)))
    return Module(path, ModuleKind.CONV1D, tensors, layers, inputs, outputs)


def head(path: str, inputs: int, outputs: int, *, bias: bool = False, tied: bool = False) -> Module:
    """An output projection. With `tied` its weight is the embedding's; a bias is its own."""
    weight = () if tied else (Tensor("weight", (outputs, inputs)),)
    own_bias = (Tensor("bias", (outputs,)),) if bias else ()
    return Module(path, ModuleKind.HEAD, weight + own_bias, ONCE, inputs, outputs)


def embedding(path: str, rows: int, width: int, layers: tuple[str, ...] = ONCE, *, tied: bool = False) -> Module:
    """A torch.nn.Embedding of (rows, width); with `tied` its weight is another module's."""
    tensors = () if tied else (Tensor("weight", (rows, width)),)
    return Module(path, ModuleKind.EMBEDDING, tensors, layers, rows, width)


def norm(
    path: str,
    width: int,
    layers: tuple[str, ...] = ONCE,
    *,
    bias: bool = False,
    float32_with_fp16: bool = False,
) -> Module:
    """A normalisation over `width` features: RMSNorm without, LayerNorm mostly with a bias."""
    tensors = (Tensor("weight", (width,)),) + ((Tensor("bias", (width,)),) if bias else ())
    return Module(path, ModuleKind.NORM, tensors, layers, float32_with_fp16=float32_with_fp16)


def layer_norm(path: str, width: int, layers: tuple[str, ...] = ONCE) -> Module:
    """A torch.nn.LayerNorm with weight and bias."""
    return norm(path, width, layers, bias=True)


def bare(path: str, tensors: tuple[Tensor, ...], layers: tuple[str, ...] = ONCE) -> Module:
    """A module of bare parameters, such as a router: nothing that quantization or LoRA takes."""
    return Module(path, ModuleKind.OTHER, tensors, layers)


def statistics(path: str, tensor: Tensor, layers: tuple[str, ...]) -> Module:
    """What counts how often experts are chosen: a parameter that stays in float32 and gets no gradient."""
    return Module(path, ModuleKind.OTHER, (tensor,), layers, float32=True, trainable=False)


def experts(path: str, tensors: tuple[Tensor, ...], layers: tuple[str, ...]) -> Module:
    """The experts of a mixture, fused into parameters whose first dimension is the expert."""
    return Module(path, ModuleKind.EXPERTS, tensors, layers)


def patches(path: str, channels: int, width: int, patch: int) -> Module:
    """The Conv2d that cuts an image into patches: a weight of (width, channels, patch, patch), and a bias."""
    tensors = (Tensor("weight", (width, channels, patch, patch)), Tensor("bias", (width,)))
    return Module(path, ModuleKind.OTHER, tensors, ONCE, channels * patch * patch, width)
