"""A draft says of a figure what the document states of it, and asks about the rest."""

import pytest

from tests.documents.draft.drafts import claim, drafted, fields

QWEN = "Qwen/Qwen2.5-7B"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # its own sentence
        (
            "In inference, Qwen2.5-7B in bf16 takes 16 GB of GPU memory.",
            {"model": QWEN, "method": "inference", "weights": "bf16"},
        ),
        ("QLoRA on Qwen2.5-7B takes 9 GB of GPU memory.", {"model": QWEN, "method": "qlora"}),
        ("LoRA on Qwen2.5-7B with bitsandbytes in 4-bit takes 9 GB of VRAM.", {"model": QWEN, "method": "qlora"}),
        (
            "LoRA on Qwen2.5-7B in int8 (bitsandbytes) takes 12 GB of VRAM.",
            {"model": QWEN, "method": "lora", "weights": "int8"},
        ),
        # a document without a word of training
        ("Qwen2.5-7B in fp16 takes 16 GB of GPU memory.", {"model": QWEN, "method": "inference", "weights": "fp16"}),
        # headings and the title
        (
            "# Qwen2.5-7B\n\n## Full fine-tuning in FP32\n\nIt takes 124 GB of VRAM.\n",
            {"model": QWEN, "method": "full", "weights": "fp32"},
        ),
        # of training in 16 bits weights or products alone may be meant
        ("# Full fine-tuning of Qwen2.5-7B in BF16\n\nIt takes 94 GB of VRAM.\n", {"model": QWEN, "method": "full"}),
        # labels of a cell
        (
            "# Inference\n\n| Model | bf16 VRAM |\n|---|---|\n| Qwen2.5-7B | 16 GB |\n",
            {"model": QWEN, "method": "inference", "weights": "bf16"},
        ),
        # the only model of a document
        (
            "# A\n\nWe serve Qwen2.5-7B.\n\n# B\n\nInference in bf16 takes 16 GB of VRAM.\n",
            {"model": QWEN, "method": "inference", "weights": "bf16"},
        ),
        # a family and size that the document names in full
        (
            "# A\n\nQwen2.5-3B and Llama-2-7B run.\n\n# B\n\nInference with Qwen 3B in bf16 takes 7 GB of VRAM.\n",
            {"model": "Qwen/Qwen2.5-3B", "method": "inference", "weights": "bf16"},
        ),
        # the published head of a model that is no language model
        (
            "Inference with roberta-large in fp32 takes 2 GB of VRAM.",
            {"model": "FacebookAI/roberta-large", "head": "masked-lm", "method": "inference", "weights": "fp32"},
        ),
    ],
)
def test_what_is_stated_is_said(text: str, expected: dict[str, str]) -> None:
    assert fields(text, "peak_memory") == expected


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("It takes 16 GB of GPU memory in all.", "which model?"),
        ("Qwen2.5-7B or Llama-2-7B take 16 GB of GPU memory.", "which model? several may be meant here"),
        ("# Qwen2.5-7B\n\nInference of the 14B takes 30 GB of GPU memory.", "which model? several may be meant here"),
        ("# From Yi-34B to Llama-2-13B\n\nInference takes 30 GB of VRAM.", "which model? several may be meant here"),
        ("# Training Qwen2.5-7B\n\nIt takes 30 GB of GPU memory.", "inference, full fine-tuning, LoRA or QLoRA?"),
        ("Qwen2.5-7B in 4-bit takes 6 GB of GPU memory.", "in which form are the weights? several may be meant here"),
        ("Qwen2.5-7B in fp16 takes 16 GB of GPU memory with vLLM.", 'what does "vLLM" change here?'),
        ("Qwen2.5-7B in fp16 takes 16 GB of GPU memory per GPU.", 'what does "per GPU" change here?'),
        (
            "# Serving\n\nOne way is vLLM.\n\n## Need\n\nQwen2.5-7B in fp16 takes 16 GB of GPU memory.",
            'with "vLLM"? the document speaks of it',
        ),
        ("QLoRA on Qwen2.5-7B takes less: 9 GB of GPU memory.", "of which of the two that are compared?"),
        ("Inference with Qwen2.5-7B in bf16: 20 GB of VRAM recommended.", "what is used, or a card to have?"),
        ("QLoRA on Qwen2.5-7B does not take 24 GB of VRAM.", "is this certain? the sentence denies or limits it"),
        (
            "# Full fine-tuning of Qwen2.5-7B\n\nWith LoRA a rank is set.\n\nTraining takes 94 GB of VRAM.",
            "still about full? lora is named just before",
        ),
        ("Inference of Qwen2.5-7B with a context of 8k takes 16 GB of VRAM.", "at which length?"),
        ("# Qwen2.5-7B inference\n\n8 GB + 4 GB = 12 GB of VRAM\n", "which part of the sum is this?"),
    ],
)
def test_what_is_not_stated_is_asked(text: str, asked: str) -> None:
    found = claim(text, "peak_memory")
    assert found.question is not None
    assert found.question.startswith(asked)


def test_software_that_a_document_speaks_of_throughout_is_asked_about() -> None:
    usual = "# A\n\nOne.\n\n# B\n\nQLoRA on Qwen2.5-7B takes 9 GB of VRAM.\n\n# C\n\n"
    assert claim(usual + "Unsloth is another way.\n").question is None
    assert claim(usual + "Unsloth is the way. " * 15 + "\n").question == 'with "unsloth"? the document speaks of it'


def test_a_number_is_read_from_the_document() -> None:
    text = "# QLoRA on Qwen2.5-7B\n\nWith a batch size of 2 and a sequence length of 1024 it takes 9 GB of VRAM.\n"
    found = drafted(text)
    assert fields(text, "peak_memory")["batch_size"] == "{batch_size_line_3}"
    assert found.report is not None
    scenario = next(iter(found.report.spec.scenarios.values()))
    assert scenario.unresolved == ("batch_size", "sequence_length")
    assert "batch-2-length-1024" in scenario.name


def test_a_precision_beside_a_part_is_that_of_the_part() -> None:
    text = "# Full fine-tuning of Qwen2.5-7B\n\n| Part | Memory |\n|---|---|\n| Gradients (FP32) | 30 GB |\n"
    assert claim(text, "gradients").overrides == {"gradients": "fp32"}
    assert "weights" not in fields(text, "gradients")


def test_figures_of_one_situation_share_a_scenario() -> None:
    text = (
        "# Inference with Qwen2.5-7B in bf16\n\nIt takes 16 GB of VRAM.\n\n## Weights\n\nThe weights take 15.2 GB.\n\n"
        "The model has 7.6B parameters.\n"
    )
    assert list(drafted(text).draft.scenarios) == ["qwen2.5-7b-inference-bf16"]


def test_a_fit_takes_its_card_from_the_document() -> None:
    found = drafted("# Inference with Qwen2.5-7B in bf16\n\nIt fits in 24 GB of VRAM.\n")
    (fit,) = found.draft.claims
    assert (fit.quantity, fit.overrides, fit.subject) == ("fits", {"gpu": "{card_line_3}"}, {"says": "fits"})
    assert found.report is not None
    assert found.report.judgements[0].verdict.value == "agrees"


def test_a_mark_takes_its_card_from_its_heading() -> None:
    text = "# Inference in fp16\n\n| Model | On an RTX 4090? |\n|---|---|\n| Qwen2.5-7B | ✅ |\n| Qwen2.5-32B | ❌ |\n"
    found = drafted(text)
    assert [one.overrides for one in found.draft.claims] == [{"gpu": "{card_line_5}"}] * 2
    assert found.report is not None
    assert {one.verdict.value for one in found.report.judgements} == {"agrees"}


def test_a_change_is_between_the_figures_beside_it() -> None:
    found = claim("GPU RAM is 44% less (25GB → 14GB) with it.\n", "change")
    assert found.question is None
    assert (found.start, found.end) == ("figure_line_1", "figure_line_1_2")


def test_what_a_document_says_of_its_gigabytes_is_taken_over() -> None:
    text = "Here 1 GB = 10^9 bytes.\n\nThe weights of Qwen2.5-7B in bf16 take 15.2 GB of memory.\n"
    assert 'units: {GB: decimal, quote: "1 GB = 10^9 bytes"}' in drafted(text).text


def test_a_row_of_sixteen_bits_under_words_on_qlora_is_asked_about() -> None:
    text = "# QLoRA on Qwen2.5-7B\n\n| Setting | VRAM |\n|---|---|\n| fp16 | 60 GB |\n| nf4 | 9 GB |\n"
    assert claim(text).scenario is None
    assert "several are named" in (claim(text).question or "")
    assert fields(text, at=1)["method"] == "qlora"
