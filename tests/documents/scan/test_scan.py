"""What is found in Markdown, and what is left alone; expected values by reading."""

import pytest

from tests.documents.scan.scanned import contexts, ends, found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Full fine-tuning needs ~94 GB of VRAM.", [("peak_memory", "~94 GB")]),
        ("The KV cache takes 2 GB and the gradients 14 GB.", [("kv_cache", "2 GB"), ("gradients", "14 GB")]),
        ("Weights (14 GB), optimizer states (56 GB)", [("weights", "14 GB"), ("optimizer_states", "56 GB")]),
        ("It needs 32 GB of system RAM.", [("host_memory", "32 GB")]),
        ("You need 50 GB of disk space.", [("disk", "50 GB")]),
        ("The model has 7B parameters.", [("parameters", "7B")]),
        ("There are 20M trainable parameters (0.3% of all parameters).",
         [("trainable_parameters", "20M"), ("trainable_share", "0.3%")]),
        ("Fits on a 24GB GPU.", [("fits", "24GB")]),
        ("We used an RTX 4090 (24GB).", [("gpu_memory", "24GB")]),
        ("Runs on 24 GB cards: the model fits within 16 GB VRAM.", [("fits", "24 GB"), ("fits", "16 GB")]),
        ("This cuts VRAM by 40%.", [("change", "40%")]),
        ("It saves 3 GB of GPU memory.", [("change", "3 GB")]),
        ("> [!NOTE]\n> Training takes 18 GB of VRAM.", [("peak_memory", "18 GB")]),
        ("- Setup\n  - LoRA\n    - VRAM: 18 GB", [("peak_memory", "18 GB")]),
        ("## RTX 3060 (12GB)\n", [("gpu_memory", "12GB")]),
        ("```bash\n# needs 14GB of VRAM\npython run.py --memory 24GB\n```", [("peak_memory", "14GB")]),
        ("```\nPeak VRAM: 11.67GB\n```", [("peak_memory", "11.67GB")]),
        ("---\nvram: 16 GB\n---\n# Card\n", [("peak_memory", "16 GB")]),
        ("---\nvram_required: 16 GB\ndatasets:\n- squad\n---\n# Card\n", [("peak_memory", "16 GB")]),
        ("```bash\n$ train --memory 24GB\nMax memory allocated: 8.32 GB\n```", [("peak_memory", "8.32 GB")]),
        ("```\n| 62%   71C   331W / 350W |  12034MiB / 24576MiB |  98% |\n```",
         [("peak_memory", "12034MiB"), ("gpu_memory", "24576MiB")]),
        ("Memory that each needs:\n\n- LoRA: 18 GB\n- Full: 60 GB\n",
         [("peak_memory", "18 GB"), ("peak_memory", "60 GB")]),
        ("- Training\n  - VRAM by method\n    - LoRA: 18 GB\n- Port 80\n", [("peak_memory", "18 GB")]),
        ("| | 7B | 13B |\n|---|---|---|\n| QLoRA | 6GB | 12GB |\n", [("peak_memory", "6GB"), ("peak_memory", "12GB")]),
        ("We train on 8xA100 80GB and 2 x A6000s (48GB).", [("gpu_memory", "80GB"), ("gpu_memory", "48GB")]),
        ("# LoRA (1x48GB @ ~34GiB/GPU)\n", [("gpu_memory", "48GB"), ("peak_memory", "~34GiB")]),
        ("Training needs only 7 GB GPU memory.", [("peak_memory", "7 GB")]),
        ("It ran on 24 GB VRAM with 382G DRAM.", [("gpu_memory", "24 GB"), ("host_memory", "382G")]),
        ("- GPU: 4090D 24G VRAM", [("gpu_memory", "24G")]),
        ("CogVLM-17B拥有100亿的视觉参数。", [("parameters", "100亿")]),
        ("A mixture of 744B total parameters / ~40B active.", [("parameters", "744B"), ("parameters", "~40B")]),
        ("Qwen3.5-35B-A3B goes from 64.6 GB to 12.2 GB.", [("weights", "64.6 GB"), ("weights", "12.2 GB")]),
        ("| Build | resident |\n|---|---|\n| ds4 | 90.9 GiB |\n", [("peak_memory", "90.9 GiB")]),
        ("| model | file size | GPU memory |\n|---|---|---|\n| base | 27G | 28.2G |\n",
         [("disk", "27G"), ("peak_memory", "28.2G")]),
        ("| Model | Measure | Q4_0 |\n|---|---|---|\n| 7B | file size | 3.5G |\n", [("disk", "3.5G")]),
        ("| Model | GPU 0 use | CPU use |\n|---|---|---|\n| OPT-30B | 20.7GB | 14.1GB |\n",
         [("peak_memory", "20.7GB"), ("host_memory", "14.1GB")]),
        ("# VRAM\n\n| Tokens | No checkpoint |\n|---|---|\n| 1024 | 0.05s / 4.4 GiB |\n", [("peak_memory", "4.4 GiB")]),
        ("```bash\nollama pull qwen3:8b   # Q4_K_M, ~5.2 GB\n```", [("weights", "~5.2 GB")]),
        ("You need 64 GB of system RAM and 120 GB of free disk space.", [("host_memory", "64 GB"), ("disk", "120 GB")]),
        ("Is 8 GB enough for LoRA?", [("fits", "8 GB")]),
        ("LoRA trains 40M of 6.7B parameters.", [("trainable_parameters", "40M"), ("parameters", "6.7B")]),
        ("The model went from 34B → 13B.", [("parameters", "34B"), ("parameters", "13B")]),
    ],
)  # fmt: skip
def test_finds(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Released 2024-05-01 with CUDA 12.1 and Python 3.11 on port 8080.",
        "We use Llama-2-7B and Qwen2.5-14B-Instruct on 8 GPUs.",
        "The learning rate is 2e-4, the batch size 4, the context 4096 tokens.",
        "1. First\n2. Second\n\n## 3.1 Memory\n",
        "Set `max_memory=24GB` or `--gpu-memory 20GB`.",
        "Bandwidth is 900 GB/s; each parameter takes 2 bytes.",
        "Accuracy rises by 12% over 3 epochs.",
        "We trained on 15 million tokens with 400 examples.",
        "<!-- needs 24 GB of VRAM -->",
        "[guide](https://example.org/24GB-vram.html)",
        "The video is 30 MB.",
        "It cuts memory at <1% accuracy loss.",
        "4-bit loading is 20% slower but frees memory.",
        "```python\nmemory = '24 GB of VRAM'\n```",
        "Pretrained on 600 GB of text for GPU memory research.",
        "The VRAM dataset (24.2 MB) has 52,002 rows.",
        "1 GB = 10^9 bytes, in a guide to VRAM.",
        "All VRAM readings are within 500 MB.",
        "We send a payload of 4 GiB between the memory of two nodes.",
        "Set `max_steps: 10000` parameters.",
        "| Status on M5/32GB | State |\n|---|---|\n| MLX weights | ✅ Supported |\n",
        "| VRAM | Process | Closable? |\n|---|---|---|\n| no | Chrome | yes |\n",
        "The KL mean of perplexity is a 3.8% increase of the F16 model.",
        "| DDP | Supported |\n|---|---|\n| VRAM | ✅ |\n",
        "| GPU | Offload |\n|---|---|\n| T4 16GB | True |\n| L4 24GB | False |\n".replace("16GB", "").replace(
            "24GB", ""
        ),
    ],
)
def test_leaves_alone(text: str) -> None:
    assert found(text) == []


def test_unit_in_a_heading_is_that_of_its_column() -> None:
    table = "| Model | VRAM (GB) | Epochs |\n|---|---|---|\n| Llama 2 13B | 28 | 3 |\n"
    assert found(table) == [("peak_memory", "28")]
    assert ends(table) == [("28", "28", "GB", None)]


def test_cells_take_quantity_from_column_or_row() -> None:
    table = "| Part | Memory |\n|---|---|\n| Weights | 14 GB |\n| KV cache | 2 GB |\n| Total | 16 GB |\n"
    assert [quantity for quantity, _ in found(table)] == ["weights", "kv_cache", "peak_memory"]


def test_marks_say_what_fits() -> None:
    table = "| Method | Fits in 24 GB? | Fast? |\n|---|---|---|\n| LoRA | ✅ | ✅ |\n| Full | ❌ No | ✅ |\n"
    assert found(table) == [("fits", "✅"), ("fits", "❌ No")]


def test_marks_in_the_rows_of_cards() -> None:
    table = "| GPU | VRAM | 7B | Notes |\n|---|---|---|---|\n| T4 | 16 GB | ✅ | slow |\n| L4 | 24 GB | ✅ | good |\n"
    assert found(table)[:2] == [("gpu_memory", "16 GB"), ("fits", "✅")]


def test_html_tables_are_read() -> None:
    table = "<table>\n<tr><th>Method</th><th>VRAM</th></tr>\n<tr><td>LoRA</td><td><b>18 GB</b></td></tr>\n</table>\n"
    assert found(table) == [("peak_memory", "18 GB")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("VRAM: 12–16 GB", ("12", "16", "GB", None)),
        ("VRAM: ~94 GB", ("94", "94", "GB", "~")),
        ("VRAM: at least 16 GiB", ("16", None, "GiB", None)),
        ("VRAM: up to 16 GB", (None, "16", "GB", None)),
        ("VRAM: 16GB+", ("16", None, "GB", None)),
    ],
)
def test_values_as_printed(text: str, expected: tuple[str | None, str | None, str | None, str | None]) -> None:
    assert ends(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Il faut environ 14,5 Go de mémoire GPU.", ("14.50", "14.50", "GB", "environ")),
        ("Das Modell braucht etwa 11,7 GB Grafikspeicher.", ("11.70", "11.70", "GB", "etwa")),
        ("微调需要约24G显存。", ("24", "24", "GB", "约")),
        ("Требуется 16 ГБ видеопамяти.", ("16", "16", "GB", None)),
    ],
)
def test_other_languages(text: str, expected: tuple[str, str, str, str | None]) -> None:
    [(low, high, unit, hedge)] = ends(text)
    assert (low and low.rstrip("0").rstrip("."), unit, hedge) == (expected[0].rstrip("0").rstrip("."), *expected[2:])
    assert low == high


def test_context_is_read_from_headings_rows_columns_and_sentence() -> None:
    text = (
        "# Guide\n\n## QLoRA of Llama 2 13B\n\nWith batch size 2 and 512 tokens it needs 12 GB of VRAM.\n\n"
        "| GPU | fp16 VRAM |\n|---|---|\n| RTX 4090 | 30 GB used |\n"
    )
    first, second = contexts(text)
    assert first == {
        "model": "meta-llama/Llama-2-13b-hf", "method": "qlora", "batch_size": "2", "sequence_length": "512",
    }  # fmt: skip
    assert second["gpu"] == "GeForce RTX 4090"
    assert second["precision"] == "fp16"


def test_two_things_said_are_neither() -> None:
    assert contexts("LoRA and full fine-tuning need 40 GB of VRAM.") == [{}]


def test_parts_of_a_long_paragraph_are_all_read() -> None:
    """Nothing is left out for being late: a paragraph of a thousand figures, and one line of many characters."""
    assert len(found("Needs 24 GB of VRAM\n" * 1_000)) == 1_000
    assert len(found("Needs 24 GB of VRAM, said once more; " * 2_000)) == 2_000


def test_one_place_is_one_claim_where_tables_of_both_kinds_overlap() -> None:
    text = "<table>\n<tr><td>VRAM</td><td>\n\n| a | VRAM |\n|---|---|\n| b | 24 GB |\n\n</td></tr>\n</table>\n"
    assert found(text).count(("peak_memory", "24 GB")) == 1
