"""What the notebooks of fsdp_qlora state of the process that each of their readings is of.

Source: nbs/00-profile_lora_qlora.ipynb and nbs/00-profile_lora_qlora_hqq.ipynb at commit 05ed9f2, cell by cell. A cell
makes its model in main memory and moves it to the GPU (`model.to("cuda", torch.bfloat16)`, adapters and all), once for
each length, in one process with the cells before. What it prints when all is let go of ([finish]), and how far its
second model lies above its first, says how many workspaces of cuBLAS were there before each.
"""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.accuracy.convert.draft import Draft

LORA, HQQ = "nbs/00-profile_lora_qlora.ipynb", "nbs/00-profile_lora_qlora_hqq.ipynb"
FIRST_LENGTH = 512

CUDA = "11.8"
"""What the README's own command takes, of the three releases that it was tested on."""

RELEASES: Mapping[str, Mapping[str, str]] = {
    LORA: {"transformers": "4.36.2", "torch": "2.1.2", "cuda": CUDA, "bitsandbytes": "0.42.0"},
    HQQ: {"transformers": "4.38.1", "torch": "2.2.0", "cuda": CUDA, "bitsandbytes": "0.42.0"},
}
"""LORA: the newest when all but its last cell were committed (d0ba7be, 16 January 2024); its warning of use_cache ends
as until 4.37. HQQ: its warning ends as since 4.38, and it was committed on 22 February 2024 (0719cd0), when 4.38.0 and
4.38.1 were there, whose modeling_llama.py is the same. torch and bitsandbytes: the newest by then, the latter until
8 March 2024, four days after the last commit of the first notebook (c21fff0)."""

THREADS = ("none", "inference", "training")
"""By how many threads had multiplied."""

BEFORE: Mapping[tuple[str, int], tuple[int, int]] = {
    (LORA, 12): (1, 1), (LORA, 13): (1, 2), (LORA, 16): (2, 2), (LORA, 17): (2, 2), (LORA, 19): (1, 2),
    (LORA, 23): (0, 1), (LORA, 24): (1, 2), (LORA, 26): (2, 2), (HQQ, 14): (1, 1), (HQQ, 15): (1, 2),
    (HQQ, 18): (0, 1), (HQQ, 19): (1, 2), (HQQ, 21): (2, 2), (HQQ, 27): (0, 1), (HQQ, 28): (1, 2),
}  # fmt: skip
"""Workspaces before a cell's first model, and before the others, by notebook and cell."""

ADAPTED = frozenset({(LORA, 16), (LORA, 23), (HQQ, 18)})
"""Cells that let a model with adapters read (create_lora_model, create_qlora_model; peft's targets for Llama)."""
_ADAPTERS = {"rank": 8, "alpha": 32, "targets": ["q_proj", "v_proj"], "dropout": 0.1}

READS_FIRST = frozenset({(LORA, 27), (HQQ, 35)})
"""Cells that let each model read 512 tokens first, of which its layers keep the angles; the first has run with a
transformers since 4.38, by its warning."""
READ_AFTER = "read after the model had run a pass over 512 tokens, of which it keeps what no load leaves"


def is_notebook(path: str) -> bool:
    """Whether a record is of one of the notebooks."""
    return path in RELEASES


def say_process(draft: Draft, path: str, cell: int, length: int) -> str | None:
    """Says how the model came to the GPU and what ran before; returns why a reading at load is none, if it is not.

    The loss is the mean of the logits, of which a sum leaves as much at the stages that were read.
    """
    draft.say("loading", "moved")
    if draft.fields.get("method") != "inference":
        draft.say("stack.loss", "sum")
    if (path, cell) in ADAPTED:
        for name, value in _ADAPTERS.items():
            draft.say(f"lora.{name}", value)
    if draft.fields.get("method") in ("lora", "qlora") or draft.fields.get("lora.rank") is not None:
        draft.say("lora.dtype", "bf16")
    if draft.fields.get("method") == "qlora":
        draft.say("amp", False)
        draft.say("upcast", False)
    if draft.fields.get("gradient_checkpointing"):  # create_lora_model, create_qlora_model: use_reentrant=False
        draft.say("gradient_checkpointing", "non-reentrant")
    if (path, cell) in READS_FIRST:
        draft.say("stack.bitsandbytes", RELEASES[path]["bitsandbytes"])
        return READ_AFTER
    for package, version in RELEASES[path].items():
        draft.say(f"stack.{package}", version)
    first, others = BEFORE[path, cell]
    draft.say("earlier_passes", THREADS[first if length == FIRST_LENGTH else others])
    return None
