"""The rule of records that were collected for this project: they state themselves what no common field is for."""

from __future__ import annotations

from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record

COLLECTED = (
    "autoawq",
    "backpropagate_receipts",
    "bitsandbytes_1569",
    "deepspeed_chat",
    "efficient_llm_finetuning",
    "galore_scripts",
    "hpml_distilbert_lora",
    "hf_quantization_benchmarks",
    "indic_tokenization_tax",
    "litgpt",
    "llama_cookbook",
    "llm_quantization_study",
    "ml_engineering_upgrade",
    "ms_swift",
    "optimum_benchmark",
    "optimum_benchmark_nvml",
    "peft_docs",
    "peft_examples_notes",
    "peft_glue_benchmark",
    "philschmid_gptq",
    "rasbt_finetuning_scripts",
    "rasbt_memory_optim",
    "research_neutrality_cost",
    "sdpa_albert_v2",
    "sdpa_benchmarks",
    "textwiz",
    "torchao",
    "torchtune",
    "trainer_memory_metrics",
    "transformers_docs",
    "trl_notebooks",
    "universal_llm_trainer",
    "unsloth_notebooks",
    "vllm_logs",
)
"""Their records lie beside what is made of them."""


def as_stated(draft: Draft, record: Record, reading: dict[str, Any]) -> None:
    """Fields by name, what a scenario has no field for, and what sets a reading apart."""
    for name, value in record.get("fields", {}).items():
        draft.say(name, value)
        draft.beyond.pop(name, None)
    draft.beyond |= record.get("beyond", {})
    reading |= {key: record[key] for key in ("apart", "over") if key in record}
