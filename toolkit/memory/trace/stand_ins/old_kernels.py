"""Stand-ins for compiled packages that old releases call directly, where newer ones call an operator of torch.

Before transformers 4.53 a model attends by the flash_attn package or not at all; before bitsandbytes 0.46 its functions
call its CUDA library by ctypes. Both allocate in Python and in known shapes, which is what a trace needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from packaging.version import Version
from torch import nn

from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import installed, registers_attention

FLASH_NAME = "flash_attention_2"
FLASH_MODULE = "transformers.modeling_flash_attention_utils"
ROTARY_LENGTH = "rotary_seq_len"
"""What models call the largest of the length and of all positions."""
OPERATORS = Version("0.46.0")
"""Since then bitsandbytes' functions are operators, with shapes for meta tensors (bitsandbytes/_ops.py)."""
SUBMODULES: Mapping[str, tuple[str, ...]] = {
    "flash_attn": ("flash_attn_varlen_func",),
    "flash_attn.bert_padding": ("index_first_axis", "pad_input", "unpad_input"),
    "flash_attn.flash_attn_interface": ("flash_attn_varlen_qkvpacked_func",),
    "flash_attn.layers": (),
    "flash_attn.layers.rotary": ("apply_rotary_emb",),
    "flash_attn.ops": (),
    "flash_attn.ops.triton": (),
    "flash_attn.ops.triton.rotary": ("apply_rotary",),
}
"""What models import from the package besides; none of it is called by rows that are not padded."""
ASKED = ("is_flash_attn_2_available", "is_bitsandbytes_available")
"""What transformers asks before it imports a package that runs on GPUs alone."""


def prepare_old_releases() -> None:
    """Has old releases of transformers take the paths of a GPU; to be called before any model is imported."""
    if registers_attention() or "flash_attn" in sys.modules:
        return
    if "transformers.modeling_utils" in sys.modules:
        raise UnsupportedTrace("transformers before 4.53 was imported without FlashAttention: trace in a new process")
    _put_flash_attn()
    found = {ASKED[0]: True, ASKED[1]: find_spec("bitsandbytes") is not None}
    for name in ("transformers.utils.import_utils", "transformers.utils"):
        module = import_module(name)
        for asked, answer in found.items():
            setattr(module, asked, _always(answer=answer))
    if find_spec(FLASH_MODULE) is not None:
        _leave_out_positions(import_module(FLASH_MODULE))


def _always(*, answer: bool) -> Any:
    return lambda *_: answer


def _leave_out_positions(module: Any) -> None:
    """Since 4.44 transformers reads from position ids whether rows are packed; here they never are."""
    attend = module._flash_attention_forward

    def without(*args: Any, position_ids: object = None, **kwargs: Any) -> Any:
        del position_ids
        return attend(*args, **kwargs)

    module._flash_attention_forward = without


def _put_flash_attn() -> None:
    """A package flash_attn with the function that is called where nothing is padded; the others refuse."""
    for name, refusing in SUBMODULES.items():
        module = ModuleType(name)
        module.__spec__, module.__path__ = ModuleSpec(name, None), []
        module.__dict__.update(dict.fromkeys(refusing, _padded))
        sys.modules[name] = module
    sys.modules["flash_attn"].__dict__.update(flash_attn_func=flash_attn_func, __version__="2.1.0")
    sys.modules["flash_attn.layers.rotary"].__dict__["RotaryEmbedding"] = _Rotary


class _Rotary(nn.Module):
    """A class that others extend."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()
        _padded()


def flash_attn_func(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, dropout_p: float = 0.0, softmax_scale: float | None = None,
    causal: bool = False, window_size: tuple[int, int] = (-1, -1), **_: Any,
) -> torch.Tensor:  # fmt: skip
    """FlashAttention on tensors of (batch, length, heads, width), by torch's copy of the same kernel.

    A window changes which scores are worked out, and no size.
    """
    del window_size
    query, key, value = (part.transpose(1, 2) for part in (q, k, v))
    grouped = q.shape[2] != k.shape[2]
    # By its public name, so that what takes a GPU's paths chooses the kernel.
    out = F.scaled_dot_product_attention(
        query, key, value, dropout_p=dropout_p, is_causal=causal, scale=softmax_scale, enable_gqa=grouped
    )
    return out.transpose(1, 2)


def _padded(*_: Any, **__: Any) -> Any:
    raise UnsupportedTrace("FlashAttention over padded or packed rows depends on values, which a trace does not have")


@contextmanager
def positions_unread() -> Iterator[None]:
    """Until 4.46 flash attention asks for the largest position, to have sines for it; it is below the length.

    Where rows are not padded it never decides, so that any smaller number does; nothing else is answered.
    """
    if registers_attention():
        yield
        return
    read = torch.Tensor.item

    def item(tensor: torch.Tensor) -> Any:
        asking = sys._getframe(1).f_code.co_varnames
        return 0 if tensor.device.type == "meta" and ROTARY_LENGTH in asking else read(tensor)

    torch.Tensor.item = item
    try:
        yield
    finally:
        torch.Tensor.item = read


class _NoKernels:
    """A compiled library whose functions write into memory that Python made, and here do nothing."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: None


def calls_its_library() -> bool:
    """Whether bitsandbytes is of a release that calls its CUDA library by ctypes."""
    return find_spec("bitsandbytes") is not None and installed("bitsandbytes") < OPERATORS


@contextmanager
def library_uncalled() -> Iterator[None]:
    """Has old releases of bitsandbytes allocate what they allocate, and run no kernel."""
    if not calls_its_library():
        yield
        return
    functional: Any = import_module("bitsandbytes.functional")
    stand_ins: dict[str, Any] = {
        "lib": _NoKernels(),
        "is_on_gpu": lambda _: True,
        "get_ptr": lambda _: None,
        "pre_call": lambda _: None,
        "post_call": lambda _: None,
        "_cuda_device_of": lambda _: nullcontext(),
        "get_tensor_stream": lambda _: None,
        "_get_tensor_stream": lambda _: None,
    }
    before = {name: getattr(functional, name) for name in stand_ins if hasattr(functional, name)}
    for name in before:
        setattr(functional, name, stand_ins[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(functional, name, value)
