"""The kernels of libraries that pack weights: how they store them, and when they write them out for a product."""

from __future__ import annotations

from packaging.version import Version

from toolkit.spec.settings.setting import Setting

GPTQ_OF_4_BITS = "gptq4"
CUDA_OLD = "cuda-old"
"""auto-gptq's first kernel, which multiplied by 4 bits before ExLlama's did, and by 8 after."""
UNPACKED = "unpacked"
"""The same where auto-gptq's CUDA extension cannot be imported: torch's operators write every weight out."""
OF_AUTO_GPTQ = (CUDA_OLD, UNPACKED)
"""Kernels that gptqmodel has not: the model was loaded by auto-gptq itself, whatever the release of transformers."""
PACKED = ("awq", "awq dense", "gptq", "gptq dense", GPTQ_OF_4_BITS, f"{GPTQ_OF_4_BITS} dense", "fp8")
"""Storage that no training is computed for, with kernels of its own."""
GEMV = "gemv"
"""Storage of AWQ weights for AutoAWQ's second kernel."""
DENSE_FROM = {"awq-int4": 1024, "gptq-int8": 128}
"""Rows from which a weight is written out in float16 for a product.

Sources: autoawq awq/modules/linear/gemm.py (FP16_MATMUL_HEURISTIC_CONDITION); auto-gptq
nn_modules/qlinear/qlinear_cuda_old.py (kernel_switch_threshold).
"""
AUTOAWQ_WRITES_OUT_FROM = Version("0.2")
"""Before, autoawq's first kernel did all products (awq/modules/linear.py, WQLinear_GEMM)."""


def dense_from(setting: Setting) -> int | None:
    """The rows from which a weight is written out in float16 for a product; None where none is by such a rule."""
    if setting.weights == "gptq-int4" and setting.kernels.gptq == UNPACKED:
        return 1
    old = setting.weights == "gptq-int4" and setting.kernels.gptq == CUDA_OLD
    return DENSE_FROM["gptq-int8" if old else setting.weights] if old or setting.weights in DENSE_FROM else None
