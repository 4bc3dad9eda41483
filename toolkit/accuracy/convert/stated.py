"""The rule of records that were collected for this project: they state themselves what no common field is for."""

from __future__ import annotations

from typing import Any

from toolkit.accuracy.convert.draft import Draft, Record

COLLECTED = (
    "autoawq",
    "backpropagate_receipts",
    "bert_large_trainer",
    "bitsandbytes_1569",
    "care_kv_fp16",
    "colossalai_lightning",
    "day21_unsloth_lab",
    "deepspeed_chat",
    "efficient_llm_finetuning",
    "finetune_bench_amp",
    "galore_scripts",
    "gpt2_homework",
    "gptlearning_accelerate",
    "h100_fp8_serving",
    "hpml_distilbert_lora",
    "hpml_longctx",
    "hpml_peft_benchmark",
    "hpml_quant_vllm",
    "hf_quantization_benchmarks",
    "imdb_peft_comparison",
    "indic_tokenization_tax",
    "inferbench_l40s",
    "kv_cache_thesis",
    "litgpt",
    "llama_cookbook",
    "llm_benchmarking_notebook",
    "llm_inference_profiling",
    "llm_quantization_study",
    "long_context_offload",
    "megatron_golden",
    "ml_engineering_upgrade",
    "ml_sys_gpt2_zero",
    "mli_transformers_benchmarks",
    "ms_swift",
    "mscherrmann_bert_memory",
    "onlybooks_llm",
    "optimum_benchmark",
    "optimum_benchmark_nvml",
    "peft_docs",
    "peft_examples_notes",
    "peft_glue_benchmark",
    "philschmid_gptq",
    "qwen25_a6000_load",
    "qwen3_14b_nf4",
    "qwen_peft_benchmark",
    "rasbt_finetuning_scripts",
    "rasbt_memory_optim",
    "research_neutrality_cost",
    "sagarsrc_lora_experiments",
    "sdpa_albert_v2",
    "sdpa_benchmarks",
    "teamkv_llama2",
    "summerquest_parallel",
    "lambda_training_guide",
    "reverse_eng_deepspeed",
    "textwiz",
    "torchao",
    "torchtune",
    "trainer_memory_metrics",
    "transformers_docs",
    "trl_notebooks",
    "universal_llm_trainer",
    "unsloth_notebooks",
    "vllm_benchmarking_a100",
    "vllm_logs",
)
"""Their records lie beside what is made of them."""


STATES = frozenset({"fields", "beyond", "apart", "over"})
"""What such a record has beside the common fields."""


def as_stated(draft: Draft, record: Record, reading: dict[str, Any]) -> None:
    """Fields by name, what a scenario has no field for, and what sets a reading apart."""
    for name, value in (record.get("fields") or {}).items():
        draft.say(name, value)
        draft.beyond.pop(name, None)
    draft.beyond |= record.get("beyond") or {}
    reading |= {key: record[key] for key in ("apart", "over") if record.get(key) is not None}
