"""How vLLM stores quantized weights after its kernels have rearranged them.

Sources: vllm model_executor/layers/quantization/gptq_marlin.py, awq_marlin.py, gptq.py, mxfp4.py,
utils/marlin_utils_fp4.py and kernels/mixed_precision/marlin.py and machete.py of 0.6.6, 0.8.5 and 0.11.0; and
model_executor/model_loader/bitsandbytes_loader.py with vllm pull request 19742 (dequantize_dq).
"""

from __future__ import annotations

from functools import lru_cache

from packaging.version import Version

from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.memory.architecture.model import Module, ModuleKind, Tensor
from toolkit.memory.weights.quantization import (
    LINEARS,
    ROUTERS,
    Part,
    Parts,
    Scheme,
    UnsupportedStorage,
    blocks,
    four_bit,
)
from toolkit.spec.settings.setting import Setting
from toolkit.spec.settings.stack_rules import release

HOPPER, BEFORE_AMPERE = "sm_90", ("sm_60", "sm_61", "sm_70", "sm_75")
"""Marlin's kernels drop zero points without information; Machete's, for Hopper, and those for older cards keep them."""

SCALES_OF_ONCE = Version("0.9.2")
"""Since then double-quantized scales of bitsandbytes are float32 once a model is loaded."""

MARLIN_FP4 = frozenset({"sm_80", "sm_86", "sm_89"})
"""Cards on which Marlin multiplies mxfp4 experts; on newer ones it depends on what is installed beside vLLM."""

JOINED = ("k_proj", "v_proj", "up_proj")
"""Linears that vLLM merges into another one, which holds the order of their inputs (packed_modules_mapping)."""

INPUTS_UNIT, OUTPUTS_UNIT, FP4_BLOCK = 128, 256, 32
"""Multiples to which Marlin's kernel pads experts' inputs and outputs, and the inputs that share a scale."""


def served_scheme(setting: Setting) -> Scheme | None:
    """How vLLM stores quantized weights; None for forms that it stores as transformers does."""
    if setting.weights == "nf4":
        return _plain_scales(setting)
    if setting.weights == "mxfp4":
        if not _architectures(setting) <= MARLIN_FP4:
            raise UnsupportedStorage(
                "mxfp4", "how vLLM pads experts on this GPU depends on which other packages are installed"
            )
        return padded_fp4
    if setting.weights.startswith("awq"):
        return packed(4, setting.group_size, zeros=True)
    if not setting.weights.startswith("gptq"):
        return None
    bits, zeros = 8 if setting.weights.endswith("int8") else 4, _keeps_zeros(setting)
    ordered = setting.desc_act and setting.group_size != -1  # gptq_marlin.py: one group for all has no order
    if ordered and (zeros or setting.parallel.gpus > 1):
        reason = "no formula for how vLLM orders the inputs of GPTQ weights yet, except for Marlin on one GPU"
        raise UnsupportedStorage(setting.weights, reason)
    return packed(bits, setting.group_size, zeros=zeros, ordered=ordered)


def _keeps_zeros(setting: Setting) -> bool:
    """Whether the kernel that vLLM chooses on the card keeps GPTQ's zero points."""
    kinds = {kind in (HOPPER, *BEFORE_AMPERE) for kind in _architectures(setting)}
    if len(kinds) != 1:
        raise UnsupportedStorage(setting.weights, f"cards of {setting.gpu} differ in the kernels that vLLM takes")
    return kinds.pop()


def _architectures(setting: Setting) -> set[str]:
    found = None if setting.gpu is None else find_gpu(setting.gpu)
    if found is None or isinstance(found, UnknownName):
        raise UnsupportedStorage(setting.weights, "the kernel that vLLM uses depends on the GPU: state gpu")
    return {member.architecture for member in found.members}


def _plain_scales(setting: Setting) -> Scheme:
    """NF4 with a float32 scale per 64 values, whether the file has them so or vLLM double-quantizes as it loads."""
    version = release(setting.stack.versions, "vllm")
    if version is None or version < SCALES_OF_ONCE:
        raise UnsupportedStorage("nf4", f"no formula for vLLM before {SCALES_OF_ONCE}: state stack.vllm")
    if setting.parallel.gpus > 1:
        raise UnsupportedStorage("nf4", "no formula for how vLLM cuts them for several GPUs yet")
    return _of_linears


def _of_linears(module: Module, tensor: Tensor) -> Parts | None:
    if module.kind is ModuleKind.EXPERTS:
        raise UnsupportedStorage("nf4", "no formula for how vLLM joins the scales of experts yet")
    return four_bit(module, tensor)


def padded_fp4(module: Module, tensor: Tensor) -> Parts | None:
    """MXFP4 for Marlin: the hidden width in whole 256, an expert's width in whole 128, and 16-bit biases as wide."""
    if module.kind is not ModuleKind.EXPERTS:
        return None
    gated = tensor.name.startswith("gate_up_proj")
    if len(tensor.shape) < 3:
        experts, outputs = tensor.shape
        width = 2 * _whole(outputs // 2, INPUTS_UNIT) if gated else _whole(outputs, OUTPUTS_UNIT)
        return (Part("", "bf16", experts * width, parameter=True),)
    experts, inputs, outputs = tensor.shape
    if gated:
        inputs, outputs = _whole(inputs, OUTPUTS_UNIT), 2 * _whole(outputs // 2, INPUTS_UNIT)
    else:
        inputs, outputs = _whole(inputs, INPUTS_UNIT), _whole(outputs, OUTPUTS_UNIT)
    return (
        Part("", "uint8", experts * inputs * outputs // 2, parameter=True),
        Part("_scale", "uint8", experts * inputs * outputs // FP4_BLOCK, parameter=True),
    )


def _whole(size: int, unit: int) -> int:
    return blocks(size, unit) * unit


@lru_cache
def packed(bits: int, group: int, *, zeros: bool, ordered: bool = False) -> Scheme:
    """Values in int32 and 16-bit scales for groups of inputs, and zeros where they stay, as those of experts do.

    Where inputs are `ordered`, two numbers for each input of what vLLM makes one product of: its group, and its place
    (marlin_utils.py, marlin_sort_g_idx).
    """

    def scheme(module: Module, tensor: Tensor) -> Parts | None:
        if module.kind is ModuleKind.EXPERTS:
            if ordered:
                raise UnsupportedStorage("gptq", "no formula for how vLLM orders the inputs of experts yet")
            if any(len(other.shape) < 3 for other in module.tensors):
                raise UnsupportedStorage("gptq or awq", "no formula for experts with biases")
            experts, outputs, inputs = tensor.shape
            return _parts(bits, group, (inputs, outputs, experts), zeros=True)
        if module.kind not in LINEARS or tensor.name != "weight" or module.leaf in ROUTERS:
            return None
        parts = _parts(bits, group, (module.in_features, module.out_features, 1), zeros=zeros)
        if not ordered or module.leaf in JOINED:
            return parts
        numbers = (".g_idx", ".g_idx_sort_indices")
        return (*parts, *(Part(name, "int32", module.in_features, parameter=False) for name in numbers))

    return scheme


def _parts(bits: int, group: int, sizes: tuple[int, int, int], *, zeros: bool) -> Parts:
    inputs, outputs, times = sizes
    packs = 32 // bits
    groups = blocks(inputs, inputs if group < 1 else group)
    parts = (
        Part(".qweight", "int32", times * blocks(inputs * outputs, packs), parameter=False),
        Part(".scales", "fp16", times * groups * outputs, parameter=False),
    )
    if not zeros:
        return parts
    return (*parts, Part(".qzeros", "int32", times * groups * blocks(outputs, packs), parameter=False))
