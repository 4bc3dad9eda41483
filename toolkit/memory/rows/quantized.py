"""The rows of products with quantized weights. Letters: T = batch x sequence."""

from __future__ import annotations

from toolkit.memory.ledger import Category
from toolkit.memory.rows.rule import DECODE, PREFILL, pass_row

TEMPORARY = Category.TEMPORARY

QUANTIZED_ROWS = (
    pass_row(
        "dequantized_weight",
        TEMPORARY,
        "inputs x outputs x bytes of one weight, and its float32 scales under double quantization",
        "bitsandbytes autograd/_functions.py, MatMul4Bit and MatMul8bitLt; autoawq awq/modules/linear/gemm.py; "
        "auto-gptq nn_modules/triton_utils/dequant.py; gptqmodel nn_modules/qlinear/torch.py",
        "A quantized weight is dequantized to 16 bit for a product, in forward and again in backward; AWQ does so for "
        "products of at least 1,024 rows. Fused adapters dequantize GPTQ's q, k and v together; gptqmodel dequantizes "
        "a weight once, and autograd saves it for backward.",
    ),
    pass_row(
        "split_products",
        TEMPORARY,
        "T x outputs x 8 x 2, of one product",
        "AutoAWQ_kernels awq_ext/quantization/gemm_cuda_gen.cu, gemm_forward_cuda",
        "AWQ's kernel for few rows multiplies an eighth of the inputs at a time, and adds the products at the end.",
        (PREFILL, DECODE),
    ),
    pass_row(
        "int8_products",
        TEMPORARY,
        "T x (inputs x (2 + 1 + 2 + 1)), then T x (inputs x 1 + outputs x (4 + 2)), of one product",
        "bitsandbytes backends/cuda/ops.py, int8_vectorwise_quant, int8_linear_matmul and int8_mm_dequant",
        "LLM.int8() quantizes a float16 copy of the input, after a search for outliers, and multiplies into int32, "
        "from which it makes a float16 result.",
    ),
)
"""What products with quantized weights need while they run."""
