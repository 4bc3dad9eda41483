"""The tensors that a model's weights are stored in, with their exact bytes.

Buffers that no config sets (rotary frequencies, a router's correction) are not counted: a few KB a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from toolkit.frozen import frozen
from toolkit.memory.architecture.model import Architecture, Module, ModuleKind, Tensor
from toolkit.memory.architecture.stack import as_built
from toolkit.memory.device import segment_rounding
from toolkit.memory.engines.storage import served_scheme
from toolkit.memory.weights.linear_storage import working_dtype
from toolkit.memory.weights.quantization import SCHEMES, Part, Scheme, UnsupportedStorage, for_vectors, in_groups
from toolkit.spec.fields.names import GROUPED
from toolkit.spec.settings.setting import Setting

ITEM_BYTES: Mapping[str, int] = {
    "fp32": 4,
    "bf16": 2,
    "fp16": 2,
    "int32": 4,
    "int8": 1,
    "uint8": 1,
    "fp8": 1,
}
FLOATS = ("fp32", "bf16", "fp16")

ALLOCATION = 512
"""Bytes to which the CUDA caching allocator of torch rounds a block up."""


@frozen
class StoredTensor:
    """A tensor as it lies in memory, once for each layer of its module.

    `also` are the names of others whose weight it is.
    """

    module: Module
    tensor: Tensor
    part: Part
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name, with `{}` for the layer."""
        return f"{self.module.path}.{self.tensor.name}{self.part.name}"

    @property
    def is_packed(self) -> bool:
        """Whether it belongs to a quantized weight."""
        return self.part.dtype not in FLOATS or self.part.name != ""

    @property
    def elements(self) -> int:
        """Stored elements over all layers; two 4-bit values are one byte, one element."""
        return self.module.count * self.part.elements

    @property
    def bytes(self) -> int:
        """Bytes over all layers."""
        return self.elements * ITEM_BYTES[self.part.dtype]

    @property
    def allocated(self) -> int:
        """Bytes over all layers, each tensor rounded up as the allocator does."""
        single = self.part.elements * ITEM_BYTES[self.part.dtype]
        return self.module.count * (-(-single // ALLOCATION) * ALLOCATION)


def storage_of(architecture: Architecture, setting: Setting, rest: str | None = None) -> tuple[StoredTensor, ...]:
    """Every tensor of the weights in its stored form; tied weights once.

    `rest` is the dtype of what a quantized form leaves as it is (norms, embeddings, heads, biases): by default the
    one it works in. Raises UnsupportedStorage for a form that no rule covers.
    """
    built = as_built(architecture, setting)
    if setting.weights in FLOATS:
        return _stored(built, None, rest or setting.weights)
    scheme = _scheme(built, setting)
    return _stored(built, scheme, rest or working_dtype(setting))


def stored_elements(architecture: Architecture, setting: Setting) -> int:
    """What `sum(p.numel() for p in model.parameters())` says of the model as stored, without adapters."""
    return sum(stored.elements for stored in storage_of(architecture, setting) if stored.part.parameter)


def weight_bytes(architecture: Architecture, setting: Setting, rest: str | None = None) -> int:
    """The bytes of all weights as stored."""
    return sum(stored.bytes for stored in storage_of(architecture, setting, rest))


def allocated_weight_bytes(architecture: Architecture, setting: Setting, rest: str | None = None) -> int:
    """The bytes of all weights as stored, each tensor rounded up to 512 as torch's CUDA allocator does."""
    return sum(stored.allocated for stored in storage_of(architecture, setting, rest))


_STORED: dict[int, tuple[tuple[StoredTensor, ...], tuple[int, int, int]]] = {}
"""By the id of tensors, which are kept with it, so that the id stays their own."""

MAX_STORED = 1024


def sizes_of(tensors: tuple[StoredTensor, ...]) -> tuple[int, int, int]:
    """The bytes of tensors, and what blocks and segments add to them: once for all ways to train a model."""
    found = _STORED.get(id(tensors))
    if found is None:
        if len(_STORED) >= MAX_STORED:
            _STORED.clear()
        weights = sum(stored.bytes for stored in tensors)
        rounding = sum(stored.allocated for stored in tensors) - weights
        segments = sum(s.module.count * segment_rounding(s.allocated // s.module.count) for s in tensors)
        found = _STORED[id(tensors)] = tensors, (weights, rounding, segments)
    return found[1]


def _scheme(architecture: Architecture, setting: Setting) -> Scheme:
    weights, double_quant = setting.weights, setting.double_quant
    if setting.stack.trainer == "vllm" and (served := served_scheme(setting)) is not None:
        return served
    scheme = SCHEMES.get((weights, double_quant))
    if weights == "awq-int4" and setting.kernels.awq == "gemv":
        return for_vectors(setting.group_size)
    if weights in GROUPED:
        return in_groups(weights, setting.group_size)
    if scheme is None and (weights, False) in SCHEMES:
        raise UnsupportedStorage(weights, "double quantization is a feature of bitsandbytes' 4-bit weights")
    if scheme is None:
        known = ", ".join(dict.fromkeys([*FLOATS, *(name for name, _ in SCHEMES)]))
        raise UnsupportedStorage(weights, f"no rule covers this form of weights; known: {known}")
    if weights == "mxfp4" and not any(module.kind is ModuleKind.EXPERTS for module in architecture.modules):
        raise UnsupportedStorage(weights, f"only fused experts are stored so, and {architecture.class_name} has none")
    return scheme


@lru_cache(maxsize=1024)
def _stored(architecture: Architecture, scheme: Scheme | None, rest: str) -> tuple[StoredTensor, ...]:
    return tuple(
        StoredTensor(module, tensor, part, _tied_to(architecture, module, tensor))
        for module in architecture.modules
        for tensor in module.tensors
        for part in _parts(module, tensor, scheme, rest)
    )


def _tied_to(architecture: Architecture, module: Module, tensor: Tensor) -> tuple[str, ...]:
    """The names that a table of all tokens has beside its own."""
    whole = module.kind is ModuleKind.EMBEDDING and tensor.shape[0] == architecture.vocabulary
    return architecture.tied if whole else ()


def _parts(module: Module, tensor: Tensor, scheme: Scheme | None, rest: str) -> tuple[Part, ...]:
    parts = scheme(module, tensor) if scheme is not None else None
    if parts is not None:
        return parts
    dtype = "fp32" if module.float32 or (rest == "fp16" and module.float32_with_fp16) else rest
    return (Part("", dtype, tensor.elements, parameter=True),)
