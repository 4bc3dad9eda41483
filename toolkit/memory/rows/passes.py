"""The rows of a pass through the model: what its tapes keep alive. Letters: T = batch x sequence, V = vocabulary.

Each row has its bytes at the fullest moment of a phase, so it is 0 where it holds nothing at that moment.
"""

from __future__ import annotations

from toolkit.memory.ledger import Category
from toolkit.memory.parallel.rows import SHARING_ROWS
from toolkit.memory.rows.caches import CACHE_ROWS
from toolkit.memory.rows.logits import LOGITS_ROWS
from toolkit.memory.rows.quantized import QUANTIZED_ROWS
from toolkit.memory.rows.rule import BACKWARD, DECODE, FORWARD, PASS, RUNNING, RowRule, at_fullest, pass_row

ACTIVATIONS, LOGITS, TEMPORARY = Category.ACTIVATIONS, Category.LOGITS, Category.TEMPORARY


PASS_ROWS = (
    *SHARING_ROWS,
    pass_row(
        "new_gradient",
        TEMPORARY,
        "bytes of one weight, in the dtype of the product that makes its gradient",
        "torch/csrc/autograd/functions/accumulate_grad.h",
        "A weight's new gradient before it is cast, or added to that of earlier micro-batches or of a tied weight; and "
        "all those of AdaLoRA's penalty, which wait for the loss's.",
        (FORWARD, BACKWARD),
    ),
    RowRule(
        "reduction_buffer",
        TEMPORARY,
        (BACKWARD,),
        "4 x outputs x blocks that share an output x outputs of a block: up to 512 bytes or so for each thread that the"
        " GPU's multiprocessors hold",
        "aten/src/ATen/native/cuda/Reduce.cuh, ReduceConfig::global_memory_size",
        at_fullest("reduction_buffer"),
        (*PASS, "gpu"),
        "Partial sums of the gradient of a bias, or of a vector of a norm or an adapter, while it is summed over the "
        "tokens: from 1,021 tokens on.",
    ),
    *CACHE_ROWS,
    pass_row(
        "layer_inputs",
        ACTIVATIONS,
        "layers x T x hidden width x bytes",
        "torch/utils/checkpoint.py",
        "Gradient checkpointing keeps the input of every layer and recomputes the rest in backward.",
        RUNNING,  # offloading leaves the first layer's, and its gradient, until the next pass goes back
    ),
    pass_row(
        "residual_stream",
        ACTIVATIONS,
        "T x hidden width x bytes, for each sum that is kept or still held",
        "transformers modeling_llama.py, LlamaDecoderLayer",
        "The residual stream after each addition of the results of attention and feed-forward.",
    ),
    pass_row(
        "norm_states",
        ACTIVATIONS,
        "T x width x (4 for the float32 copy + bytes of the normed copy + bytes of the result)",
        "transformers modeling_llama.py, LlamaRMSNorm; aten native_layer_norm",
        "RMSNorm computes in float32 and saves the float32 input, and the normalized copy where its weight is trained; "
        "the next operation saves the result. LayerNorm saves its input and two numbers per token.",
    ),
    pass_row(
        "attention_states",
        ACTIVATIONS,
        "T x (query heads + 2 x key-value heads) x head width x bytes",
        "transformers modeling_llama.py; aten flash_attn/flash_api.cpp",
        "Queries, keys and values; older versions, eager attention and masks repeat keys and values for every query "
        "head.",
    ),
    pass_row(
        "convolution_states",
        ACTIVATIONS,
        "T x channels x bytes x 2, for its input and its result",
        "transformers modeling_qwen3_5.py, causal_conv1d_fn; causal_conv1d_interface.py, CausalConv1dFn",
        "A short convolution of each channel over preceding tokens, and its activation.",
    ),
    pass_row(
        "recurrence_states",
        ACTIVATIONS,
        "T x (key heads x key width + value heads x value width) x 4 for each step that is kept; for each 64 tokens a "
        "state of value heads x key width x value width x 4",
        "transformers modeling_qwen3_5.py, torch_chunk_gated_delta_rule; fla ops/gated_delta_rule/chunk.py",
        "What linear attention saves: its projections, and the states of the recurrence, in float32 where torch's "
        "operations run it. Kernels recompute most of it in backward.",
    ),
    pass_row(
        "rotary_states",
        ACTIVATIONS,
        "T x heads x head width x bytes, while positions are turned in",
        "transformers modeling_llama.py, apply_rotary_pos_emb",
        "Products of queries and keys with cosines and sines. None is saved for backward.",
    ),
    pass_row(
        "attention_mask",
        ACTIVATIONS,
        "batch x sequence x sequence x (bytes for eager, 1 for sdpa), for each window among the layers; DeBERTa: x 8, "
        "and x 1 in each layer",
        "transformers masking_utils.py; modeling_deberta_v2.py, get_attention_mask",
        "The mask that eager attention adds, or that sdpa needs for padded or packed rows or a window shorter than the "
        "sequence. For full rows all sequences share sdpa's mask, and encoders have none. DeBERTa makes one mask of "
        "64-bit integers for all layers, and keeps a boolean one in each layer.",
    ),
    pass_row(
        "copied_inputs",
        ACTIVATIONS,
        "layers x sequence x head width x 2 x bytes, and masks; of one layer where layers run again",
        "accelerate hooks.py, AlignDevicesHook.pre_forward",
        "Where a model's layers are spread over several GPUs, each layer gets copies of cosines, sines and masks that "
        "were made on another GPU.",
    ),
    pass_row(
        "relative_positions",
        ACTIVATIONS,
        "layers x (2 x sequence x sequence x 8 + rows x hidden width x (bytes + 1) + 2 x batch x rows x hidden width x "
        "bytes)",
        "transformers modeling_deberta_v2.py, disentangled_attention_bias",
        "DeBERTa: for each layer the indices of relative positions, the table of their embeddings after dropout, and "
        "its projections, repeated for every sequence. The first DeBERTa projects only the rows within reach of the "
        "sequence, which are twice its length.",
    ),
    pass_row(
        "embedding_states",
        ACTIVATIONS,
        "T x hidden width x (bytes + 1 for dropout)",
        "transformers modeling_bert.py, BertEmbeddings",
        "What the norm and the dropout of an encoder's embeddings save until the end of backward.",
    ),
    pass_row(
        "attention_scores",
        ACTIVATIONS,
        "T x sequence x query heads x (4 + bytes): float32 softmax and its 16-bit copy",
        "transformers modeling_llama.py, eager_attention_forward",
        "Eager attention writes the scores of every pair of positions; sdpa with a mask keeps one bias for each pair, "
        "and in T5 one for each pair and head.",
    ),
    pass_row(
        "attention_output",
        ACTIVATIONS,
        "T x query heads x (value width x bytes + 4)",
        "aten flash_attn/flash_api.cpp",
        "The result of attention, and FlashAttention's float32 log-sum-exp of each row.",
    ),
    pass_row(
        "attention_backward",
        ACTIVATIONS,
        "padded T x query heads x (head width + 1) x 4, and expanded dk and dv for grouped heads",
        "aten flash_attn/flash_api.cpp, mha_bwd; mem_eff_attention/kernel_backward.h, workspace_size",
        "FlashAttention sums dq in float32 over lengths padded to 128 (with padded or packed rows over 128 more tokens "
        "per sample), and makes dk and dv for every query head. The memory-efficient kernel does so in blocks of 64.",
        (BACKWARD,),
    ),
    pass_row(
        "feed_forward_states",
        ACTIVATIONS,
        "T x intermediate x bytes x 4: gate, its activation, up, their product",
        "transformers modeling_llama.py, LlamaMLP",
        "The inputs of the activation function and of its product with up, and of the down projection where it is "
        "trained.",
    ),
    pass_row(
        "expert_states",
        ACTIVATIONS,
        "T x experts per token x (widths of what a dense layer keeps, and of the gathered tokens)",
        "transformers integrations/moe.py, grouped_mm_experts_forward",
        "Tokens gathered by expert, the experts' gates and results, and their weighted results.",
    ),
    pass_row(
        "chosen_experts",
        ACTIVATIONS,
        "batch x experts per token x elements of one expert x bytes",
        "transformers integrations/moe.py, batched_mm_experts_forward; generation/utils.py, _optimize_model_for_decode",
        "While decoding, transformers copies the weights of the experts that are chosen for each sequence's token.",
        (DECODE,),
    ),
    pass_row(
        "router_states",
        ACTIVATIONS,
        "T x (experts x bytes + experts per token x (4 + 8))",
        "transformers modeling_mixtral.py, MixtralTopKRouter",
        "Router logits and probabilities, the chosen weights, and the indices of the gathered rows.",
    ),
    pass_row(
        "adapter_states",
        ACTIVATIONS,
        "for each adapted module T x (inputs x bytes of the copy + 1 for dropout + rank x bytes)",
        "peft tuners/lora/layer.py, bnb.py and gptq.py; unsloth kernels/fast_lora.py",
        "The copy of a module's input in the adapter's dtype, the dropout mask, and the narrow product. Fused adapters "
        "keep the input after dropout instead, one for each module.",
    ),
    pass_row(
        "dora_matrices",
        TEMPORARY,
        "(3 or 4 x inputs x outputs + inputs squared) x bytes of the adapters, of one module at a time",
        "peft tuners/lora/dora.py, DoraLinearLayer.forward",
        "In every pass DoRA applies the adapter to a unit matrix and takes the norms of the changed weight's rows.",
    ),
    pass_row(
        "adapter_matrices",
        TEMPORARY,
        "for each adapted module so many matrices of inputs x outputs, or of inputs squared, x bytes of the adapters",
        "peft tuners/*/layer.py, forward and get_delta_weight",
        "Methods whose parameters define a change of the weight, a changed weight or a rotation compute that matrix in "
        "every pass, and autograd saves what it needs of it until backward.",
    ),
    pass_row(
        "merged_experts",
        TEMPORARY,
        "elements of all experts of a layer x bytes, for each of their parameters that has an adapter",
        "peft tuners/lora/layer.py, ParamWrapper",
        "Experts stored as one parameter have no adapter branch: the adapter is added to a copy of all of them.",
    ),
    pass_row(
        "cast_copies",
        ACTIVATIONS,
        "T x inputs x bytes, for each product whose input has another dtype",
        "torch/csrc/autograd autocast_mode; bitsandbytes nn/modules.py, Linear4bit.forward",
        "Inputs cast to the dtype of a product; saved where the weight is trained.",
    ),
    pass_row(
        "activation_gradients",
        ACTIVATIONS,
        "T x width x bytes of what is being differentiated",
        "torch/csrc/autograd/engine.cpp, input_buffer.cpp",
        "Gradients of activations during backward; the engine frees each once it was used.",
    ),
    pass_row(
        "autocast_copies",
        TEMPORARY,
        "elements x 2 of float32 weights that autocast has cast",
        "aten/src/ATen/autocast_mode.cpp; accelerate issue 1737",
        "Autocast keeps 16-bit copies of float32 weights: those of trained weights to the end of the forward pass, and "
        "those that backward needs until backward has used them.",
    ),
    *QUANTIZED_ROWS,
    *LOGITS_ROWS,
)
"""The rows that a tape fills."""
