"""The rows of the optimizer: what it keeps for each parameter, and what its step needs while it runs."""

from __future__ import annotations

from toolkit.memory.formula.optimizers.optimizer import optimizer_states
from toolkit.memory.formula.optimizers.optimizer_step import newton_schulz, optimizer_temporary, projector_update
from toolkit.memory.ledger import Category
from toolkit.memory.rows.rule import BACKWARD, FORM, PASS, STEP, TRAINING, RowRule

TRAINED = (*FORM, "lora", "peft", "compute", "amp", "kernels", "parallel")
"""Fields that decide what is trained, and in which dtype."""

STEPPED = (*TRAINED, "optimizer", "optimizer_states", "galore", "gradients")
"""Fields that decide what the optimizer's step needs."""

OPTIMIZER_ROWS = (
    RowRule(
        "optimizer_states",
        Category.OPTIMIZER_STATES,
        TRAINING,
        "AdamW: 2 x n; 8 bit: 2 x (n + 4 x n / 256), n < 4,096 in float32; Adafactor: 4 x (rows + columns); Lion, "
        "momentum, RMSprop: n; AdEMAMix: 3 x n; Muon: n of a matrix, else 2 x n; GaLore, APOLLO: of rank x longer "
        "side, and the projector; CAME: 4 x (n + 2 x (rows + columns)); Adam-mini: n + rows; GrokAdamW, LOMO: 0; "
        "LoRA-FA: 2 x n of B",
        "torch/optim/adamw.py, _muon.py; bitsandbytes optim/optimizer.py; transformers optimization.py (Adafactor); "
        "galore_torch galore_projector.py; came_pytorch, adam_mini, apollo_torch, grokadamw, lomo_optim; "
        "peft optimizers/lorafa.py",
        optimizer_states,
        (*TRAINED, "optimizer", "optimizer_states", "galore", "gradients"),
        "The optimizer's states of each parameter, as they are from the second training step on. States in managed "
        "memory (paged optimizers) are outside torch's count and are not in this row. A Trainer keeps those of "
        "embeddings in 32 bit. Under FSDP and ZeRO the optimizer has flat parts, of which n elements are the first "
        "GPU's.",
    ),
    RowRule(
        "optimizer_temporary",
        Category.TEMPORARY,
        (BACKWARD, STEP),
        "AdamW foreach: n x bytes of a state, over all parameters; for-loop: 2 x that of a tensor and that of the one "
        "before; fused: 0; Adafactor: 4 x 2 x n, and as much again for copies of 16-bit tensors; CAME: 4 x 4 x n; "
        "Adam-mini: 2 x n; GrokAdamW: 5 x n; ADOPT: roots and quotients of all; LOMO: 8 bytes of one, AdaLomo: 12; "
        "LoRA-FA: 3 x n of B",
        "torch/optim/adamw.py, _multi_tensor_adamw and _single_tensor_adamw; pytorch issue 97712; transformers "
        "optimization.py (Adafactor); galore_torch adamw.py, adamw8bit.py, adafactor.py",
        optimizer_temporary,
        tuple(dict.fromkeys((*STEPPED, "optimizer_implementation", "master_weights", *PASS))),
        "The square roots of the second moments, all at once or one at a time. Float32 states of 16-bit parameters "
        "need the gradient and the update of one parameter in float32, unless a fused kernel makes them. GaLore's "
        "updates are projected back and scaled, one matrix after the other. Steps inside backward need this for one "
        "parameter.",
    ),
    RowRule(
        "newton_schulz",
        Category.TEMPORARY,
        (STEP,),
        "Muon: m x n x bytes of a gradient + 2 x (2 x m x n + 2 x min(m, n) squared), for the largest matrix",
        "torch/optim/_muon.py, _zeropower_via_newtonschulz; kellerjordan.github.io/posts/muon",
        newton_schulz,
        (*STEPPED, "optimizer_implementation"),
        "One update while it is made orthogonal in bfloat16: the update, two steps of the iteration, and two products "
        "of its shorter side. Shown where that is more than AdamW's step over all other parameters needs.",
    ),
    RowRule(
        "projector_update",
        Category.TEMPORARY,
        (STEP,),
        "GaLore: 4 x (2 x m x n + min(m, n) squared), and 4 x m x n for a 16-bit gradient",
        "galore_torch galore_projector.py, get_orthogonal_matrix; aten/src/ATen/native/cuda/linalg/"
        "BatchLinearAlgebraLib.cpp, svd_cusolver; arXiv 2403.03507",
        projector_update,
        STEPPED,
        "One gradient and its singular vectors in float32 while its projector is updated: in the first step, and then "
        "once in update_proj_gap steps. cuSOLVER's own workspace is not counted.",
    ),
)
"""The rows of the optimizer, in the order in which they are shown."""
