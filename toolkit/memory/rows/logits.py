"""The rows of the end of a model: heads, logits, losses, and what loops keep of them. Letters as in `passes`."""

from __future__ import annotations

from toolkit.memory.formula.ends.predictions import PREDICTIONS
from toolkit.memory.ledger import Category
from toolkit.memory.rows.rule import BACKWARD, DECODE, PREFILL, STEP, VALIDATION, pass_row

LOGITS, TEMPORARY = Category.LOGITS, Category.TEMPORARY
GENERATES = (PREFILL, DECODE)

LOGITS_ROWS = (
    pass_row(
        "logits",
        LOGITS,
        "T x V x bytes; when generating batch x V x bytes",
        "transformers modeling_llama.py, LlamaForCausalLM.forward",
        "The output of the language model, held until its forward returns.",
    ),
    pass_row(
        "pooled_states",
        LOGITS,
        "batch x hidden width x bytes, for each step of the head",
        "transformers modeling_bert.py, BertPooler; modeling_roberta.py, RobertaClassificationHead",
        "The first token of every sequence on its way to the classifier.",
    ),
    pass_row(
        "head_states",
        LOGITS,
        "T x hidden width x bytes x 2",
        "transformers modeling_bert.py, BertPredictionHeadTransform",
        "The transform of a masked language model's head, and its activation.",
    ),
    pass_row(
        "logits_float32",
        LOGITS,
        "T x V x 4, twice in versions that shift the logits",
        "transformers loss/loss_utils.py, ForCausalLMLoss",
        "The float32 copy from which the loss is computed. Chunked losses hold that of one chunk.",
    ),
    pass_row(
        "log_probabilities",
        LOGITS,
        "T x V x 4; of 16-bit logits under autocast T x V x (2 + 4)",
        "aten log_softmax, saved for backward; aten/src/ATen/native/LossNLL.cpp, cross_entropy_loss",
        "The logarithms of the probabilities, kept from the loss to its backward, and autocast's float32 copy of them.",
    ),
    pass_row(
        PREDICTIONS,
        LOGITS,
        "kept batches x T x (V x bytes + 8), twice while the last are joined",
        "transformers trainer.py, evaluation_loop; trainer_pt_utils.py, EvalLoopContainer, nested_concat",
        "Logits and labels of an evaluation, which a Trainer with compute_metrics keeps on the GPU: those of all "
        "batches, or of eval_accumulation_steps.",
        (VALIDATION,),
    ),
    pass_row(
        "logits_gradient",
        LOGITS,
        "2 x T x V x 4 at the fullest moment; of 16-bit logits under autocast T x V x 4",
        "aten nll_loss_backward and log_softmax_backward_data",
        "The gradient of the log-probabilities and that of the logits, one after the other, then the 16-bit one.",
        (BACKWARD,),
    ),
    pass_row(
        "named_result",
        LOGITS,
        "T x V x bytes, and layers x T x (keys + values) x bytes where the result has a cache",
        "litgpt finetune/lora.py, fit; a loop that says outputs = model(**batch)",
        "The result of the last pass, which stays while the optimizer steps if the training loop keeps a reference.",
        (STEP, VALIDATION),
    ),
    pass_row(
        "drawn_scores",
        LOGITS,
        "batch x V x 4, twice and batch x V without top_p; twice more after the first token",
        "transformers generation/utils.py, _sample; generation/logits_process.py",
        "Scores that logits processors make while a token is sampled, beside the scores and probabilities of the token "
        "before.",
        GENERATES,
    ),
    pass_row(
        "sorted_scores",
        LOGITS,
        "batch x V x (4 + 8)",
        "transformers generation/logits_process.py, TopPLogitsWarper",
        "With top_p, all scores in sorted order and their indices.",
        GENERATES,
    ),
    pass_row(
        "sort_scratch",
        TEMPORARY,
        "V x 20 for one sequence; batch x V x 32 for several, x 20 from 128 on",
        "aten/src/ATen/native/cuda/SortStable.cu; cub/device/dispatch/dispatch_radix_sort.cuh",
        "What a sort of scores needs: indices or pairs of sequence and index, sorted keys, and second buffers.",
        GENERATES,
    ),
    pass_row(
        "loss_hidden_states",
        LOGITS,
        "T x hidden width x bytes",
        "trl sft_trainer.py, _chunked_cross_entropy_loss; liger_kernel ops/fused_linear_cross_entropy.py; apple cce.py",
        "Losses without all logits: the gathered hidden states, their copy for the product, or the gradients that a "
        "fused loss already makes in forward.",
    ),
    pass_row(
        "loss_weight_copy",
        TEMPORARY,
        "V x hidden width x 4",
        "trl sft_trainer.py, _chunk; apple cut_cross_entropy/cce.py",
        "chunked_nll casts the whole output weight to float32 for every chunk, cut cross-entropy to autocast's dtype.",
    ),
)
"""The rows that the tapes of a model's end fill."""
