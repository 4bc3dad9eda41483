"""Sources that no rule was written for: what is committed of them is what the general rule makes of their records."""

from __future__ import annotations

import pytest

from tests.accuracy.build import PUBLISHED
from toolkit.accuracy.convert.sources import RULES
from toolkit.accuracy.convert.write import convert

UNSEEN = (
    "accelerate_big_models", "inference_quantization", "pythia_prefill_flash", "pythia_streaming_baselines",
    "qwen25_oom_sweep", "vllm026_a40", "vllm090_qwen3_tp4",
    "amharic_gemma3", "medqa_qwen", "qlora_analytics_agent", "qwen3_stage3_lora", "support_tickets_bert",
    "wikisql_qlora", "llama7b_generate_2023", "pythia_window_a800", "summer_camp_vllm", "t4_serving", "vllm066_mistral",
    "banglabert_nli", "glue_vram_roberta_deberta", "medical_vqa_peft", "qwen3_sft_adapters",
    "peft_systems_phi2", "day21_trl_lab", "imdb_distilbert_peft", "onepercent_lora", "qwen3_lora_speed_bench",
    "llama3_stages_pro6000",
    "zero3_gpt2_h200",
    "laptop_1650ti_quant",
    "quant_bench_qwen3b",
)  # fmt: skip


def test_none_has_a_rule() -> None:
    assert not set(UNSEEN) & set(RULES)


@pytest.mark.parametrize("slug", UNSEEN)
def test_what_is_committed_is_what_the_general_rule_makes(slug: str) -> None:
    folder = PUBLISHED / slug
    found = convert(slug, (folder / f"{slug}.jsonl").read_text(encoding="utf-8").splitlines())
    assert found.sound
    assert found.readings == (folder / "readings.jsonl").read_text(encoding="utf-8")
    assert found.header == (folder / "source.yaml").read_text(encoding="utf-8")
