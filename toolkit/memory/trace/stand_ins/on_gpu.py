"""Makes code on meta tensors take the paths that it takes on a GPU: attention kernels, dropout, autocast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from toolkit.memory.libraries.unfused_attention import ALL, GROUPED
from toolkit.memory.timeline.sizes import MASK_ALIGNMENT
from toolkit.memory.trace.batches.routing import Routing
from toolkit.memory.trace.stand_ins.chances import chance, choice, infinite
from toolkit.memory.trace.stand_ins.switches import SWITCH, modules_with_switches

LOW = frozenset([
    "linear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "addmm", "addmv", "addbmm", "baddbmm",
    "einsum", "conv1d", "conv2d", "conv3d", "scaled_dot_product_attention", "multi_head_attention_forward",
    "prelu", "chain_matmul",
])  # fmt: skip
"""What autocast runs in its low-precision dtype (torch's list of operators under CUDA autocast)."""

HIGH = frozenset([
    "layer_norm", "group_norm", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss",
    "binary_cross_entropy_with_logits", "kl_div", "cosine_similarity", "norm", "exp", "expm1", "log", "log10", "log2",
    "log1p", "pow", "square", "__pow__", "__rpow__", "rsqrt", "reciprocal", "acos", "asin", "cosh", "sinh", "tan",
    "softplus", "softmin", "erfinv", "dist", "cdist", "renorm",
])  # fmt: skip
"""What autocast runs in float32."""

WIDE_RESULTS = frozenset(["softmax", "log_softmax", "sum", "prod", "cumsum", "cumprod"])
"""What autocast asks for a float32 result where the call names no dtype (autocast_mode.h, fp32_set_opt_dtype)."""

SOFTMAXES = frozenset(["softmax", "log_softmax"])
"""What has a kernel that takes float16 and gives float32 (aten/src/ATen/native/SoftMax.cpp, half_to_float)."""

LARGEST_HEAD = 256
"""The widest head of torch's flash kernels."""


class Autocast:
    """A region of autocast, with its cache of cast parameters: a leaf, no view, is cast once until all of it ends."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.enabled = True
        self._cast: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def low(self, value: Any) -> Any:
        """A floating tensor in the low-precision dtype."""
        if not _floats(value) or value.dtype == self.dtype:
            return value
        if not (value.requires_grad and value.is_leaf and value.dtype == torch.float32) or value._is_view():
            return value.to(self.dtype)
        if id(value) not in self._cast:
            self._cast[id(value)] = value, value.to(self.dtype)
        return self._cast[id(value)][1]

    @staticmethod
    def high(value: Any) -> Any:
        """A 16-bit tensor in float32."""
        return value.float() if _floats(value) and value.dtype != torch.float32 else value

    def forget(self) -> None:
        """Lets the cast parameters go."""
        self._cast.clear()


class OnGpu(TorchFunctionMode):
    """Stands between torch's functions and meta tensors for as long as it is entered."""

    def __init__(self, routing: Routing | None = None, unfused: str = "") -> None:
        super().__init__()
        self.autocast: Autocast | None = None
        self._stand_ins = {**_STAND_INS, "one_hot": (routing or Routing()).one_hot}
        if unfused:
            self._stand_ins["scaled_dot_product_attention"] = partial(attention, unfused=unfused)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs a function as a GPU would, under the autocast region that is open."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        region = self.autocast
        if name in SOFTMAXES and _widens(args, kwargs, region):
            return getattr(torch, f"_{name}")(args[0], kwargs.get("dim", args[1] if len(args) > 1 else -1), True)
        if region is not None and region.enabled and name in WIDE_RESULTS and _wants_width(args, kwargs):
            kwargs = {**kwargs, "dtype": torch.float32}
        elif region is not None and region.enabled and func is F.cross_entropy:
            return cross_entropy(*args, **kwargs)
        elif region is not None and region.enabled and name in LOW | HIGH:
            convert = region.low if name in LOW else region.high
            # The last argument first, as compilers of torch's releases evaluate a call: backward goes by that order.
            kwargs = {key: _each(convert, value) for key, value in reversed(kwargs.items())}
            args = tuple(_each(convert, value) for value in reversed(args))[::-1]
        stand_in = self._stand_ins.get(name) if func in _REPLACED else None
        return (stand_in or func)(*args, **kwargs)

    @contextmanager
    def region(self, dtype: torch.dtype | None) -> Iterator[None]:
        """Autocast to a dtype; None: no autocast. Regions nest and share the outermost one's cache."""
        if dtype is None or self.autocast is not None:
            yield
            return
        self.autocast = Autocast(dtype)
        own = [(module, vars(module)[SWITCH]) for module in modules_with_switches()]
        for module, _ in own:
            setattr(module, SWITCH, _switch_of(self))
        try:
            yield
        finally:
            for module, function in own:
                setattr(module, SWITCH, function)
            self.autocast.forget()
            self.autocast = None

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Lets libraries that ask whether autocast is on, or turn it off for a while, find this one."""
        names = ("is_autocast_enabled", "autocast", "get_autocast_dtype", "get_autocast_gpu_dtype")
        before = {name: getattr(torch, name) for name in names}
        outer = self

        def enabled(*_: Any) -> bool:
            return outer.autocast is not None and outer.autocast.enabled

        def kind(*_: Any) -> torch.dtype:
            return torch.float16 if outer.autocast is None else outer.autocast.dtype

        for name, stand_in in zip(names, (enabled, _switch_of(self), kind, kind), strict=True):
            setattr(torch, name, stand_in)
        try:
            yield
        finally:
            for name, function in before.items():
                setattr(torch, name, function)


def _switch_of(outer: OnGpu) -> type:
    """What stands for torch.autocast: it turns the region that is open on or off for a while."""

    class Switch:
        def __init__(self, *_: Any, enabled: bool = True, **__: Any) -> None:
            self._enabled = enabled

        def __enter__(self) -> None:
            region = outer.autocast
            self._before = region.enabled if region else True
            if region:
                region.enabled = self._enabled

        def __exit__(self, *_: object) -> None:
            if outer.autocast:
                outer.autocast.enabled = self._before

    return Switch


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    unfused: str = "",
) -> torch.Tensor:
    """Scaled dot-product attention by the kernel that a GPU would choose (aten/.../cuda/sdp_utils.cpp).

    Flash takes 16-bit tensors without a mask; the memory-efficient kernel takes masks and float32, but, up to torch
    2.13, no grouped heads (F.scaled_dot_product_attention says so of enable_gqa); what neither takes is written out
    with its scores; so are 16-bit heads that are `unfused` (unfused_attention).
    """
    kernels = torch.ops.aten
    grouped = enable_gqa and query.shape[1] != key.shape[1]
    lone = unfused == ALL or (unfused == GROUPED and grouped)
    short = query.dtype in (torch.float16, torch.bfloat16)
    if short and not lone and attn_mask is None and query.shape[-1] == value.shape[-1] <= LARGEST_HEAD:
        return kernels._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, scale=scale)[0]
    if grouped or (lone and short):
        shared = {"enable_gqa": True} if grouped else {}
        written_out = kernels._scaled_dot_product_attention_math
        if not dropout_p:
            return written_out(query, key, value, attn_mask, 0.0, is_causal, scale=scale, **shared)[0]
        # Dropout inside of it would be that of a CPU, whose mask is as large as what it masks.
        wide = [part.float() for part in (query, key, value)]
        probabilities = written_out(*wide, attn_mask, 0.0, is_causal, scale=scale, **shared)[1]
        values = wide[2].repeat_interleave(query.shape[1] // value.shape[1], 1) if grouped else wide[2]
        return (dropout(probabilities, dropout_p) @ values).to(query.dtype)
    bias = None if attn_mask is None else _aligned(attn_mask, query.dtype)
    if bias is not None:
        bias = bias.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    efficient = kernels._scaled_dot_product_efficient_attention
    return efficient(query, key, value, bias, query.requires_grad, dropout_p, is_causal, scale=scale)[0]


def _aligned(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A mask as a sum, its rows padded to 8 columns where they are not multiples of them.

    Source: aten/src/ATen/native/transformers/attention.cpp, convert_boolean_attn_mask, preprocess_mask and pad_bias.
    """
    if mask.dtype == torch.bool:
        mask = torch.where(mask, 0.0, torch.scalar_tensor(float("-inf"), dtype=dtype, device="cpu"))
    columns = mask.shape[-1]
    if mask.stride(-1) == 1 and not any(stride % MASK_ALIGNMENT for stride in mask.stride()[:-1]):
        return mask
    return F.pad(mask, (0, MASK_ALIGNMENT - columns % MASK_ALIGNMENT))[..., :columns]


def dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:  # noqa: A002
    """Dropout as one kernel: it keeps a mask of one byte for each element."""
    del inplace
    return torch.native_dropout(input, p, True)[0] if training and 0 < p < 1 else input


def cross_entropy(input: torch.Tensor, target: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: A002
    """Cross-entropy under autocast, which knows its parts alone: log_softmax keeps the dtype that it is told.

    Source: aten/src/ATen/native/LossNLL.cpp, cross_entropy_loss; ATen/autocast_mode.h, AT_FORALL_FP32, set_opt_dtype.
    """
    if args or kwargs.get("label_smoothing") or target.is_floating_point() or input.dtype == torch.float32:
        return F.cross_entropy(Autocast.high(input), target, *args, **kwargs)
    kwargs.pop("label_smoothing", None)
    logs = torch.log_softmax(input, 0 if input.dim() == 1 else 1, dtype=input.dtype)
    return F.nll_loss(logs.float(), target, **kwargs)


def contains(values: torch.Tensor, element: Any) -> bool:
    """Whether a value is among others: never, as what transformers asks for is padding and there is none."""
    (element == values).any()
    return False


_STAND_INS: dict[str, Callable[..., Any]] = {
    "rand": chance,
    "randint": choice,
    "isinf": infinite,
    "__contains__": contains,
    "scaled_dot_product_attention": attention,
    "dropout": dropout,
}
_REPLACED = frozenset({
    F.scaled_dot_product_attention, F.dropout, F.one_hot, torch.rand, torch.randint, torch.Tensor.isinf,
    torch.Tensor.__contains__,
})  # fmt: skip


def _widens(args: Any, kwargs: Any, region: Autocast | None) -> bool:
    """Whether a softmax of a float16 tensor is asked for in float32: by name, or by autocast."""
    half = bool(args) and _floats(args[0]) and args[0].dtype == torch.float16
    named = _named_dtype(args, kwargs)
    return half and (named is torch.float32 or (named is None and region is not None and region.enabled))


def _wants_width(args: Any, kwargs: Any) -> bool:
    """Whether a call takes a 16-bit tensor first, and names no dtype for its result."""
    return bool(args) and _floats(args[0]) and args[0].dtype != torch.float32 and not _named_dtype(args, kwargs)


def _named_dtype(args: Any, kwargs: Any) -> torch.dtype | None:
    return next((one for one in (kwargs.get("dtype"), *args) if isinstance(one, torch.dtype)), None)


def _floats(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype in (torch.float32, torch.float16, torch.bfloat16)


def _each(convert: Callable[[Any], Any], value: Any) -> Any:
    return type(value)(convert(item) for item in value) if isinstance(value, (list, tuple)) else convert(value)
