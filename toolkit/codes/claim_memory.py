"""Codes of claims about memory: each says what is compared with what."""

from __future__ import annotations

from toolkit.codes.code import Code

MEMORY_CODES: tuple[Code, ...] = (
    Code(
        code="M301",
        title="Peak memory",
        why="The printed number, as the interval that its digits and hedges stand for, is compared "
        "with the largest phase total of the ledger at every setting that the scenario leaves "
        "open. It is what nvidia-smi would show (tensors, allocator and CUDA context), unless "
        "the claim has `metric: allocated` or `reserved` because its quote says so. A mark in "
        "red means: beyond the stated error at every setting.",
        repair="Print the range that is shown, or state the fields that `depends` names (batch size, "
        "sequence length, checkpointing): they decide the peak.",
        example='"Full fine-tuning in bf16 needs ~94 GB" for Qwen2.5-Coder-7B at batch 1 of 512 tokens '
        "with one set of bf16 Adam states: weights, gradients and states are 60.9 GB, and "
        "little else is held at the peak.",
    ),
    Code(
        code="M302",
        title="Memory of the weights",
        why="Compared with the sum over all tensors of the model in the form in which the scenario "
        "holds them: packed 4-bit values with their scales, and embeddings, norms and fused "
        "experts in the form that the library leaves them in. Known to 0.5 %. A figure for several components "
        "names the others: `subject: {plus: [gradients, optimizer_states]}`.",
        repair="Print the computed size, and say of which form it is: loaded or downloaded, with or "
        "without double quantization.",
        example='"7B × 0.5 bytes = 3.5 GB" for Qwen2.5-Coder-7B in NF4: embeddings and output layer '
        "stay in 16 bit, and it is 5.85 GB.",
    ),
    Code(
        code="M303",
        title="Memory of the gradients",
        why="Compared with the number of trained parameters times the size of one gradient, at the "
        "moment when all of them are there: just before the optimizer's step.",
        repair="Multiply the trained parameters (not all of them, with adapters) by the size of the gradients' dtype.",
        example='"Gradients: 28 GB" for 7,615,616,512 parameters in fp32: 30.46 GB; right only where GB means 2^30.',
    ),
    Code(
        code="M304",
        title="Memory of the optimizer's states",
        why="Compared with what the optimizer holds after its first step: for AdamW two values for "
        "each trained parameter in the dtype of the states, with the scales of 8-bit states. A "
        "master copy of the weights is not among the states and has a row of its own.",
        repair="Name the dtype of the states: two fp32 states are 8 bytes a parameter, two bf16 states 4.",
        example='"Adam: 7B × 8 bytes = 56 GB" in bf16 training without a master copy: torch makes bf16 '
        "states, 4 bytes a parameter.",
    ),
    Code(
        code="M305",
        title="Memory of the activations",
        why="Compared with all that grows with the batch: what the forward pass keeps for the "
        "backward pass, what is computed again under checkpointing, and logits and loss, at the "
        "phase where they are largest. Known to 20 %: implementations of one layer differ by "
        "that.",
        repair="Say batch size, sequence length and whether checkpointing is on, and count the logits: "
        "for a vocabulary of 150,000 they are often the largest part.",
        example='"Activations: 4 GB" for Qwen2.5-Coder-7B at batch 1 of 512 tokens in fp32 without '
        "checkpointing: 6.70 GB.",
    ),
    Code(
        code="M306",
        title="Memory of the KV cache",
        why="Compared with 2 × layers × key-value heads × head size × tokens × batch × bytes of the "
        "cache's dtype at the end of decoding, layers with a sliding window up to that window.",
        repair="Count the key-value heads, not the attention heads, and say for how many tokens.",
        example='"The cache of Llama-3.1-8B takes 2 GiB at 4,096 tokens": with 8 key-value heads it is '
        "512 MiB; 2 GiB would be 32 of them.",
    ),
    Code(
        code="M307",
        title="Overhead",
        why="Compared with what the device holds beyond tensors at the peak: CUDA context, BLAS "
        "workspaces, and what the caching allocator holds unused. An interval, for the context "
        "differs by card and driver. With `subject: {beyond: 2 bytes}` it is all that the card shows beyond so many "
        'bytes for each parameter, as in "parameters × 2 bytes + overhead".',
        repair="Print a range, or say what else the figure includes (a display, other processes).",
        example='"PyTorch itself needs 50 MB": the CUDA context alone takes some 300 MB on any card.',
    ),
    Code(
        code="M308",
        title="Fits on a GPU",
        why="The device peak at every open setting, with its error on both sides but never below what is held "
        "from step to step, is compared with "
        'the memory that a program can use of the card, not with the number on its box. "Fits" '
        'is false only where the least need is above the most that is usable; "does not fit" '
        "only where the most need is below the least usable. Where a card or a command says so without a word, "
        "the claim has `subject: {says: fits}`.",
        repair="Say that it does not fit, name a larger card, or state the batch and sequence up to which it is true.",
        example="A tick for full fine-tuning of a 7B model on a 24 GB card: the weights, gradients and "
        "states alone take 57 GiB.",
    ),
    Code(
        code="M309",
        title="Memory of a GPU",
        why="Compared with the table of cards: the memory that a card is sold with (its GB are 2^30 "
        "bytes), or with `subject: {what: usable}` what drivers were seen to report of it. "
        "Names that several cards share admit the memory of each.",
        repair="Print the memory of the card that is meant, with the suffix that tells it from its namesakes.",
        example='"RTX 4070 Ti SUPER (12 GB)": that one is sold with 16 GB, the RTX 4070 Ti with 12 GB.',
    ),
    Code(
        code="M310",
        title="Memory of the adapters",
        why="Compared with the adapters' own weights in their dtype. Their gradients and optimizer "
        "states are claims of their own, or counted with them by `subject: {plus: [gradients, optimizer_states]}`.",
        repair="Multiply the adapters' parameters by the dtype in which they are trained; peft and "
        "Unsloth train them in fp32 beside 4-bit weights.",
        example='"LoRA weights: 16 MB" for 7,962,624 parameters: that is two bytes each; trained in '
        "fp32 they take 31.85 MB.",
    ),
    Code(
        code="M311",
        title="Memory of the master weights",
        why="Compared with the separate float32 copy of the trained parameters that mixed precision with "
        "16-bit weights keeps, where the scenario has one (`master_weights: fp32`).",
        repair="Multiply the trained parameters by 4 bytes; print nothing where the weights are float32 themselves, "
        "as under autocast.",
        example='"FP32 master weights: 14 GB" for Qwen2.5-Coder-7B: a float32 copy of 7,615,616,512 parameters '
        "takes 30.46 GB.",
    ),
)
