"""What AnswerDotAI/fsdp_qlora's page of benchmarks and its notebooks leave to their code (train.py at 05ed9f2)."""

from __future__ import annotations

from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record
from toolkit.accuracy.convert.qlora_notebooks import is_notebook, say_process

PAGE = "benchmarks_03_2024.md"


def fsdp_qlora(draft: Draft, record: Record, reading: dict[str, Any]) -> None:
    """A plain loop; what the notebooks leave to their code is beside this (qlora_notebooks.py).

    The page is of February and March 2024.
    """
    draft.say("stack.trainer", "plain")
    if record["source"]["path"] == PAGE:
        _say_template(draft, record)
    if record["task"].startswith("inference"):
        draft.say("generated_length", 0)
    if record["quantization"] == "bitsandbytes nf4, lm_head kept bf16, no double quant":
        draft.say("weights", "nf4")
        draft.say("double_quant", False)
        draft.beyond.pop("weights", None)
    if draft.fields.get("method") == "full":
        draft.say("optimizer", "none")
    path = record["source"]["path"]
    if is_notebook(path):
        cell = int(record["config_id"].split("-")[-2])
        again = say_process(draft, path, cell, record["seq_len"])
        if again and reading["metric"] == "allocated_at_load":
            reading["apart"] = again
    if reading["metric"] == "allocated" and "logits.mean" in (record["notes"] or ""):
        reading["apart"] = "the loss is the mean of the logits, without a cross-entropy"


def _say_template(draft: Draft, record: Record) -> None:
    """What the page's template command says, and what it leaves to train.py.

    It has a reentrant checkpoint, and no autocast for its bf16; and low_memory, with which rank 0 alone has the weights
    and sends them to the others. Its Linear4bit is made with bitsandbytes' own compress_statistics, which is a double
    quantization. The loop lets go of what the model gave once the optimizer has stepped. The README of the commit
    admits neither of the releases of transformers that came while the page was written (4.38 and 4.39).
    """
    draft.say("amp", False)
    draft.say("gradient_checkpointing", "reentrant")
    draft.say("stack.result", "step")
    draft.say("stack.transformers", "4.37.2")
    if record["weight_dtype"] == "nf4":
        draft.say("double_quant", True)
    if draft.fields.get("parallel.strategy") == "ddp":  # a footnote of the page says what it is
        draft.beyond["parallel"] = "FSDP that shards nothing (NO_SHARD)"
    if draft.fields.get("parallel.strategy") == "fsdp":
        draft.say("parallel.sync_module_states", True)
