"""What is judged without a spec: expected verdicts by hand arithmetic and the makers' data sheets."""

import pytest

from toolkit.checks.registry import CHECKERS
from toolkit.checks.unspecified.remark import CODE_OF
from toolkit.checks.unspecified.repeats import check_repeats
from toolkit.checks.unspecified.run import CHECKS, judged
from toolkit.codes import CODES
from toolkit.documents.document import Document
from toolkit.documents.scan.scan import scan

TABLE = "| Part | Memory |\n|---|---|\n| Weights | 14 GB |\n| KV cache | 2 GB |\n| Total | {total} |\n"
FITS = "| Method | VRAM needed | Fits in 24 GB? |\n|---|---|---|\n| Full | {need} | {mark} |\n"
CARDS = "| GPU | VRAM |\n|---|---|\n| RTX 4090 | 24 GB |\n| {card} | {size} |\n"


def verdicts(text: str) -> set[tuple[str, str]]:
    """Code and verdict of everything that was judged."""
    claims = judged(scan(Document("guide.md", text)))
    return {(claim.code, claim.verdict.value) for claim in claims if claim.verdict.value != "unchecked"}


FALSE = [
    ("28 + 28 + 56 + 8 + 4 = ~134 GB", "A501"),
    ("28 + 28 + 56 = 114 GB", "A501"),
    ("7B × 2 bytes = 18 GB", "A501"),
    ("1,120,000,000 / 1,073,741,824 ≈ 1.14", "A501"),
    ("320 examples × 3 epochs = 860 steps", "A501"),
    ("2^10 × 4 = 4,196", "A501"),
    ("(3B × 2) + 0.8GB = 8.8GB", "A501"),
    ("4.16 GiB + 3–6 GiB = ~8–12 GiB", "A501"),
    ("$1.50-2.00/hour × 10 hours = $20-30", "A501"),
    (TABLE.format(total="18 GB"), "A501"),
    ("The model takes 14 GB (15.2 GiB) of VRAM.", "A501"),
    ("- 54% less GPU RAM (25GB → 14GB)", "A502"),
    ("VRAM drops from 25GB → 14GB, 34 % less", "A502"),
    ("Only 5GB more VRAM (14GB vs 10GB)", "A502"),
    ("We use an RTX 4080 (12GB).", "M309"),
    ("## RTX 3090 16GB\n", "M309"),
    (CARDS.format(card="RTX 4080", size="12 GB"), "M309"),
    ("Use a GPU with 16GB (T4, V100, RTX 4090).", "M309"),
    (FITS.format(need="~94 GB", mark="✅"), "M308"),
    (FITS.format(need="6 GB", mark="❌"), "M308"),
    ("Llama-2-13b has 15B parameters.", "P401"),
    ("# Qwen2.5-Coder-7B\n\nParameter count: ~7,000,000,000", "P401"),
    ("Llama-2-13b in fp16 needs 14 GB of VRAM.", "M301"),
]
TRUE = [
    ("28 + 28 + 56 + 8 + 4 = ~124 GB", "A501"),
    ("28 + 28 + 56 = 113 GB", "A501"),  # the sum of 28.4, 28.4 and 56.2
    ("7B × 2 bytes = 14 GB", "A501"),
    ("7B × 2 bytes = 15 GB", "A501"),  # 7.5 billion print as 7B
    ("1,120,000,000 / 1,073,741,824 ≈ 1.04 GiB", "A501"),
    ("4 bits / 8 = 0.5 bytes", "A501"),
    ("8 / 3 * 4096 = 10922", "A501"),  # 10,922.67 with its digits left off
    ("8 GB × 1024 = 8192 MB", "A501"),
    ("14 + 14.4 = 28 GB", "A501"),
    ("320/400 = 80%", "A501"),
    ("100 - 20 = 80", "A501"),
    (TABLE.format(total="16 GB"), "A501"),
    ("The model takes 14 GB (13.04 GiB) of VRAM.", "A501"),
    ("The model takes 16 GiB (16 GB) of VRAM.", "A501"),
    ("- 44% less GPU RAM (25GB → 14GB)", "A502"),
    ("- 67% faster training (24-30h → 8-10h)", "A502"),
    ("Only 4GB more VRAM (14GB vs 10GB)", "A502"),
    ("We use an A100 80GB.", "M309"),
    ("Split across an RTX 3090 (24 GB) + an RTX 5070 Ti (16 GB).", "M309"),
    ("An A10 GPU with 24 GB of VRAM.", "M309"),
    ("RTX 3060 (8GB) or RTX 3060 (12GB)", "M309"),
    ("Llama-2-13b has 13B parameters.", "P401"),
]
SILENT = [
    "Dual RTX 4080 (32GB) run it.",
    "RTX 4080 Laptop GPU (12GB)",
    "An RTX 4090 (18GB used) ran it.",
    "RTX 3080+ / RTX 4070+ (10-16GB VRAM)",
    "RTX 3060 (at least 6GB)",
    "Qwen2.5-7B has 7B parameters.",  # its name; 7.6 billion are counted
    "Llama-2-13b in 4-bit needs 9 GB of VRAM.",
    "Llama-2-13b in fp16 with CPU offload needs 14 GB of VRAM.",
    "Llama-2-13b in fp16 needs 14 GB per GPU.",
    "Llama-2-13b LoRA in bf16 saves 14 GB of VRAM.",
    "Mixtral activates 12.9B parameters.",
    "50% less memory: 25GB → 14GB → 7GB",
    "Accuracy went from 60% → 75%, 25% more.",
    FITS.format(need="20 GB", mark="❌"),
    FITS.format(need="30 GB with offload", mark="✅"),
    "| Part | Peak memory |\n|---|---|\n| Step 1 | 14 GB |\n| Peak | 20 GB |\n| Total | 20 GB |\n",
    "Step 25/100: Loss = 2.1234",
    "accepted `100/84` = 84 %",
    "checkpointing 60% + flash attention 50% = 0.4 * 0.5 = 20% remaining",
    "log(3/1) ≈ 0.585",
    "2×61×7168 = 874496 elem/token vs MLA 35136",
    "2 layers × ~100 MB = ~8 ms",
    "14B = 48 layers × ~0.5 GB",
    "L/4*(2*2*256*T) = 5.05 + 6.14",
    "split over 5070 Ti + 3090 (14620 + 19810 = 34.4 GB)",
    "400 prompts × ~30 s ≈ 3.3 h · subset (~80) ≈ 40 min",
    "split across RTX 3090 (23.4 GB) + RTX 5070 Ti (15 GB)",
    "| Cards | VRAM |\n|---|---|\n| RTX 5070 Ti + 3090 | 40 GB |\n",
    "A node of 4 RTX 4090 (48GB) GPUs.",
    "An A100 GPU with 32 GB of RAM.",
    "It is made of a vision encoder and Qwen3-8B with a total of 9B parameters.",
    "Qwen2.5-14B-Instruct (14.7B params)",  # 14.77 billion: cut off, not rounded
    "| Model | Params |\n|---|---|\n| BELLE(LLaMA/Bloom) | 7B |\n",
    "4 models × 8 files = 32/32 done",
    "chunk=7/50 success=699",
    "tier 1 = Phase 6 / tier 2 = Phase 8",
    "m(9.8)(40) = (1/2)mv^2",
    "(3x)/3 = 15/3",
    "customers with 1-5 million = (20 × 14) / 40 = 7",
    "30 min: $0.27/hr + $0.33/hr ≈ $0.30 all-in",
    "2 × 41653 = 83.306",  # thousands parted by a point
    "3/54 = 5.5%",  # 5.56: cut off, not rounded
    "4096 × 4096 = 16.7 million",
    "```python\nframes = (97 - 1) // (4 latents) + 1 = 25\n```",
    "# Models\n\nLLaMA 7B, F16, N_KV_MAX = 16384 (8GB)",
    "| Model | Total params | Activated params |\n|---|---|---|\n| DeepSeek-V3 | 671B | 37B |\n",
    "| Model | Params |\n|---|---|\n| Llama-2-13b + LoRA | 28M |\n",
    "| Model | Params |\n|---|---|\n| falcon-7b | 7.2B |\n",  # its checkpoint stores the tied head again
    "DeepSeek-V3 has 685B parameters.",  # with the layer that predicts more tokens at once
    "# DeepSeek-V3\n\n## Mixtral 8x7B\n\n- Total: 47B parameters\n",
    "In BLOOM the embedding layer takes 7.2GB of bf16 weights.",
]


@pytest.mark.parametrize(("text", "code"), FALSE)
def test_false_statements_are_marked(text: str, code: str) -> None:
    assert (code, "disagrees") in verdicts(text)


@pytest.mark.parametrize(("text", "code"), TRUE)
def test_true_statements_agree(text: str, code: str) -> None:
    assert (code, "agrees") in verdicts(text)


@pytest.mark.parametrize("text", [text for text, _ in TRUE] + SILENT)
def test_what_may_be_true_is_never_marked(text: str) -> None:
    assert not {code for code, verdict in verdicts(text) if verdict == "disagrees"}


def test_every_quantity_has_its_code() -> None:
    assert {quantity: CHECKERS[quantity].code for quantity in CODE_OF} == dict(CODE_OF)
    assert set(CODE_OF.values()) <= set(CODES)


def test_every_check_finds_something_false_here() -> None:
    """A check that no longer finds anything would make the tests above pass by another's work."""
    scans = [scan(Document("guide.md", text)) for text, _ in FALSE]
    for check in CHECKS:
        if check is check_repeats:  # it remarks, and judges nothing
            continue
        assert any(remark.verdict.value == "disagrees" for scanned in scans for remark in check(scanned)), (
            check.__name__
        )


TWICE = (
    "# Guide\n\nLlama-2-13b in int4 needs 9 GB of VRAM.\n\n## Later\n\n{words}\n\n"
    "| Model | int4 VRAM | Tokens |\n|---|---|---|\n"
    "| Mistral-7B-v0.1 | 5 GB | 512 |\n| Mistral-7B-v0.1 | 7 GB | 4096 |\n"
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Llama-2-13b in int4 needs 12 GB of VRAM.", ["line 3 says 9 GB of the same model and precision"]),
        ("Llama-2-13b in int4 needs ~9 GB of VRAM.", []),
        ("Llama-2-13b in fp16 needs 28 GB of VRAM.", []),
        ("Llama-2-13b in int4 with batch size 8 needs 12 GB of VRAM.", []),
        ("Llama-2-7b in int4 needs 5 GB of VRAM.", []),
    ],
)
def test_what_is_stated_twice_and_differently_is_said_and_not_judged(words: str, expected: list[str]) -> None:
    claims = judged(scan(Document("guide.md", TWICE.format(words=words))))
    assert [claim.reason for claim in claims if "of the same" in claim.reason] == expected
    assert not any(claim.gates for claim in claims)


def test_marks_say_reason_and_repair() -> None:
    [claim] = [claim for claim in judged(scan(Document("guide.md", "An RTX 4080 (12GB)."))) if claim.gates]
    assert claim.text == "12GB"
    assert (claim.place.line, claim.place.column) == (1, 14)
    assert "16 GB" in claim.reason
    assert claim.repair == "print 16 GB"


@pytest.mark.parametrize("factor", [number for number in range(2, 60) if number % 5 != 4])
def test_sums_are_judged_by_their_digits(factor: int) -> None:
    """Integers without a unit are exact: one more is wrong, the sum is right. (A zero at the end may be rounding.)"""
    right = f"{factor} + {factor + 1} = {2 * factor + 1}"
    wrong = f"{factor} + {factor + 1} = {2 * factor + 2}"
    assert verdicts(right) == {("A501", "agrees")}
    assert verdicts(wrong) == {("A501", "disagrees")}
