"""Sizes of models that no word "parameters" follows; expected by reading."""

import pytest

from tests.documents.scan.scanned import found

_MODELS = "Models, LoRA, inference, quantized weights.\n\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We pre-train the GPT2 series (125M, 330M, 1.5B).", ["125M", "330M", "1.5B"]),
        ("You can train Llama models from 39M to 1B.", ["39M", "1B"]),
        ("FLUX.2 [dev] is a 32B transformer.", ["32B"]),
        ("16GB vRAM for the first (IF-I-XL (4.3B text to 64x64 base module)).", ["4.3B"]),
        ("发布 7B 尺寸的模型。", ["7B"]),
        ("Dicht (alle 32B je Token).", ["32B"]),
        ("It tracks few params vs 7.25B of the whole.", ["7.25B"]),
        ("It has three variants, with 1.0B, 2.8B and 4.5B activated parameters.", ["1.0B", "2.8B", "4.5B"]),
        ("un modelo de ~40B parametros", ["~40B"]),
        ("| Model size | 4-bit |\n|---|---|\n| **7B** | FP16 |\n", ["7B"]),
    ],
)
def test_words_around_a_count_make_it_the_size_of_a_model(text: str, expected: list[str]) -> None:
    assert [figure for quantity, figure in found(_MODELS + text) if quantity == "parameters"] == expected


@pytest.mark.parametrize(
    "text",
    [
        "Llama-2-7B and Mistral 7B Instruct",
        "The step took about 22s (1B) of all.",
        "Bytes each: FP32 (4B), FP16 (2B)",
        "Firefly-train (1.1M)",
        "[notebook](https://example.org/Qwen3_5_(4B)_Vision.ipynb)",
        "## Small Model (7B)",
        "It saw 1.1B tokens (1.1B tokens).",
    ],
)
def test_names_and_other_counts_are_none(text: str) -> None:
    assert found(_MODELS + text) == []
