"""How quantizable linear weights are stored, and the dtype in which their products run.

A version below is the release in which a library changed what it does. A stack that names no version has the newest.
"""

from __future__ import annotations

from packaging.version import Version

from toolkit.memory.libraries.packed_kernels import (
    AUTOAWQ_WRITES_OUT_FROM,
    GEMV,
    GPTQ_OF_4_BITS,
    OF_AUTO_GPTQ,
    dense_from,
)
from toolkit.memory.libraries.trainers import BY_FROM_PRETRAINED
from toolkit.memory.libraries.versions import older
from toolkit.spec.fields import names
from toolkit.spec.settings.setting import Setting

FOUR_BIT = ("nf4", "fp4")
EIGHT_BIT = ("int8",)
QUANTIZED = FOUR_BIT + EIGHT_BIT
"""Schemes of bitsandbytes."""
TRITON, UNPACKED = GPTQ_TRAINS = ("triton", "torch")
"""Storage of GPTQ weights in training, named after its kernel.

Triton's second kernel dequantizes the weights anew for each product; torch's keeps the dequantized ones for backward.
"""
AUTO_GPTQ_UNTIL = Version("4.49")
"""Before, transformers ran GPTQ weights by auto-gptq; since then gptqmodel multiplies by the packed weights."""
AUTO_AWQ_UNTIL = Version("5.0")
"""Before, transformers ran AWQ weights by autoawq; since then gptqmodel multiplies by the packed weights."""

FUSED_ROWS = 4
"""Rows up to which bitsandbytes multiplies by packed 4-bit weights on every GPU (gemm_4bit, its smallest M)."""
FUSED_ROWS_BEFORE = 1
"""The same before `BITSANDBYTES_FUSES_MORE`: the only such kernel took one row (gemv_4bit)."""
BITSANDBYTES_FUSES_MORE = Version("0.50")
"""bitsandbytes pull request 1949."""
BITSANDBYTES_FREES_INPUTS = Version("0.43.2")
"""Before, every 4-bit product kept its input for backward, which does not need it."""
BITSANDBYTES_KEEPS_COMPUTE = Version("0.47")
"""Before, a 4-bit layer took the dtype of its first input as compute dtype, except float16 (set_compute_type)."""
BITSANDBYTES_KEEPS_DTYPE = Version("0.43")
"""Before, Params4bit converted to float16 what it quantized (nn/modules.py), and dequantized to float16 first."""
LOADS_AS_FILED = Version("5")
"""Before, transformers loaded what bitsandbytes does not quantize in float16 unless told otherwise."""


def storage_of(setting: Setting) -> str:
    """The storage of quantizable linears: plain, 4bit, 8bit, fp8, awq, gptq (8 bits), gptq4, gemv, triton or torch.

    "dense" after a name says that a product of this many rows writes the dequantized weight out.
    """
    if setting.weights in FOUR_BIT:
        return "4bit"
    if setting.weights in EIGHT_BIT:
        return "8bit"
    if setting.trains and setting.weights == "gptq-int4" and setting.kernels.gptq in GPTQ_TRAINS:
        return str(setting.kernels.gptq)
    if setting.kernels.awq == GEMV:
        return GEMV
    least = dense_from(setting)
    if least is not None:
        return _packed_storage(setting, least)
    return "fp8" if setting.weights == "fp8" else "plain"


def _packed_storage(setting: Setting, least: int) -> str:
    """The storage of AWQ or GPTQ weights that are written out for products of `least` rows and more."""
    kernel = setting.weights.partition("-")[0]
    by_itself = kernel == "gptq" and setting.kernels.gptq in OF_AUTO_GPTQ
    if not by_itself and not older(setting, "transformers", AUTO_AWQ_UNTIL if kernel == "awq" else AUTO_GPTQ_UNTIL):
        return "plain"
    if kernel == "awq" and older(setting, "autoawq", AUTOAWQ_WRITES_OUT_FROM):
        return kernel
    rows = setting.batch_size * setting.sequence_length
    kernel = GPTQ_OF_4_BITS if setting.weights == "gptq-int4" else kernel
    return f"{kernel} dense" if rows >= least else kernel


def working_dtype(setting: Setting) -> str:
    """The dtype of unquantized linear layers: their own, or the compute dtype where weights are quantized.

    bitsandbytes multiplies 4-bit weights in float32 unless told otherwise. Beside such weights, from_pretrained loads
    the rest in the dtype of the file ("auto"), taken to be bfloat16; transformers before 5 loaded it in float16
    (quantizer_bnb_4bit.py, update_torch_dtype).
    """
    if setting.weights in names.FLOATS:
        return setting.weights
    if setting.weights in FOUR_BIT and setting.compute == "fp32" and setting.stack.trainer in BY_FROM_PRETRAINED:
        return "fp16" if older(setting, "transformers", LOADS_AS_FILED) else "bf16"
    return setting.compute


def is_halved(setting: Setting) -> bool:
    """Whether 4-bit weights dequantize to a 16-bit dtype that is not the compute dtype.

    Fabric quantizes from float16 (plugins/precision/bitsandbytes.py).
    """
    if setting.weights in FOUR_BIT and working_dtype(setting) != setting.compute:
        return True
    fabric = setting.stack.trainer == "litgpt"
    return setting.compute != "fp16" and (fabric or older(setting, "bitsandbytes", BITSANDBYTES_KEEPS_DTYPE))


def unpacks_at_once(setting: Setting) -> bool:
    """Whether bitsandbytes dequantizes straight to the dtype of a product; LitGPT's releases require older ones."""
    return setting.stack.trainer != "litgpt" and not older(setting, "bitsandbytes", BITSANDBYTES_FUSES_MORE)


def keeps_input(setting: Setting) -> bool:
    """Whether a 4-bit product keeps its input for backward."""
    return older(setting, "bitsandbytes", BITSANDBYTES_FREES_INPUTS)


def follows_input(setting: Setting) -> bool:
    """Whether a 4-bit layer computes in the dtype of its input."""
    return older(setting, "bitsandbytes", BITSANDBYTES_KEEPS_COMPUTE)


def fuses(setting: Setting) -> bool:
    """Whether one token of each sequence is few enough rows to be multiplied by the packed weights."""
    least = dense_from(setting)
    if least is not None:
        return setting.batch_size < least
    before = older(setting, "bitsandbytes", BITSANDBYTES_FUSES_MORE)
    return setting.batch_size <= (FUSED_ROWS_BEFORE if before else FUSED_ROWS)
