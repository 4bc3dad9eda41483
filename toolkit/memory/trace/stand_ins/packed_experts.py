"""Experts in MXFP4 as they are stored: transformers' own modules, with what their Triton kernels allocate.

The kernels are those of kernels-community/gpt-oss-triton-kernels, a copy of triton_kernels. Of them stand here the
buffers that Python makes (matmul_ogs.py, init_allocation; routing.py). Left out are what Hopper's and Blackwell's
layouts add to odd widths, and the float32 buffers of products of few rows that are split along their inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.refusal import UnsupportedTrace

SCALED = 32
"""Inputs that share a scale of one byte."""
PROJECTIONS = ("gate_up_proj", "down_proj")


def pack_experts(model: nn.Module) -> None:
    """Puts transformers' packed experts where it would, with a scale of a byte for each 32 inputs."""
    try:
        integration = import_module("transformers.integrations.mxfp4")
        config = import_module("transformers").Mxfp4Config()
    except (ImportError, AttributeError) as error:
        raise UnsupportedTrace(f"this release of transformers has no MXFP4: {error}") from error
    with _kernels():
        integration.replace_with_mxfp4_linear(model, quantization_config=config)
    packed = [module for module in model.modules() if isinstance(module, integration.Mxfp4GptOssExperts)]
    if not packed:
        raise UnsupportedTrace(f"only experts are stored in MXFP4, and {type(model).__name__} has none of that kind")
    for module in packed:
        for name in PROJECTIONS:
            experts, outputs, *blocks = getattr(module, name).shape
            scales = 2 * torch.Size(blocks).numel() // SCALED
            held = torch.empty((experts, outputs, scales), dtype=torch.uint8)
            setattr(module, f"{name}_precision_config", SimpleNamespace(weight_scale=held))


@contextmanager
def _kernels() -> Iterator[None]:
    """Lets transformers find its kernels, which it would fetch from the Hub."""
    kernels: Any = import_module("transformers.integrations.hub_kernels")
    fetched = kernels.get_kernel
    kernels.get_kernel = lambda *_, **__: KERNELS
    try:
        yield
    finally:
        kernels.get_kernel = fetched


def _routing(logits: torch.Tensor, chosen: int) -> tuple[Any, Any, Any]:
    """Which rows go to which expert: weights, sorted positions and their inverse; and how many rows each expert has."""
    rows, experts = logits.shape
    weights = torch.empty((rows, chosen), dtype=logits.dtype)
    picked = torch.empty((rows, chosen), dtype=torch.int16)
    counts = torch.empty(experts, dtype=torch.int32)
    there, back = torch.empty((2, rows * chosen), dtype=torch.int32).unbind()
    gates = torch.empty(rows * chosen, dtype=logits.dtype)
    del weights, picked
    routing = SimpleNamespace(gate_scal=gates, expt_hist=counts, n_expts_act=chosen)
    return routing, SimpleNamespace(src_indx=there, dst_indx=back), SimpleNamespace(src_indx=back, dst_indx=there)


def _product(
    rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, routing: Any, gather_indx: Any = None,
    scatter_indx: Any = None, fused_activation: Any = None, **_: Any,
) -> torch.Tensor:  # fmt: skip
    """Rows gathered, multiplied and activated in one kernel; scattered ones are first written out for each expert."""
    del bias
    count = rows.shape[-2] if gather_indx is None else gather_indx.src_indx.shape[0]
    width = weight.shape[1]
    handed_on = count if scatter_indx is None else scatter_indx.src_indx.shape[0] // routing.n_expts_act
    halves = 1 if fused_activation is None else fused_activation.reduction_n
    out = torch.empty((handed_on, width // halves), dtype=rows.dtype)
    if scatter_indx is not None:
        _ = torch.empty((count, width), dtype=rows.dtype)
    return out


def _activation(specs: object, arguments: object, reduction_n: int) -> SimpleNamespace:
    del specs, arguments
    return SimpleNamespace(reduction_n=reduction_n)


KERNELS = SimpleNamespace(
    matmul_ogs=SimpleNamespace(matmul_ogs=_product, FnSpecs=lambda *_: None, FusedActivation=_activation),
    swiglu=SimpleNamespace(swiglu_fn=None),
    routing=SimpleNamespace(routing=_routing),
)
