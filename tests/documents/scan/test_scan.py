"""What is found in Markdown, and what is left alone; expected values by reading."""

import pytest

from tests.documents.scan.scanned import contexts, ends, found
from toolkit.documents.document import Document
from toolkit.documents.scan.scan import scan


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
        # cards whose memory is part of their name
        ("Measured on 8xA100-80GB.", [("gpu_memory", "80GB")]),
        ("Ein A100-SXM4-80G genügt.", [("gpu_memory", "80G")]),
        ("one A100-PCIE-40GB GPU", [("gpu_memory", "40GB")]),
        # Apple's machines share their memory
        ("We ran it on a MacBook Pro 16GB and a Mac mini (8 GB).", [("host_memory", "16GB"), ("host_memory", "8 GB")]),
        # counts of parameters by what they are of, and in cells
        ("It has 10 billion visual parameters and 7 billion language parameters.",
         [("parameters", "10 billion"), ("parameters", "7 billion")]),
        ("| Name | Parameters | VRAM |\n|---|---|---|\n| tiny | 39 M | 1 GB |\n",
         [("parameters", "39 M"), ("peak_memory", "1 GB")]),
        ("| Name | Model size | Memory |\n|---|---|---|\n| Owl Chat | 13B | 9.8 GB |\n",
         [("parameters", "13B"), ("peak_memory", "9.8 GB")]),
        ("| | A | B |\n|---|---|---|\n| trainable / total params | 0.2B / 14B | 14B / 14B |\n",
         [("trainable_parameters", "0.2B"), ("parameters", "14B"), ("trainable_parameters", "14B"),
          ("parameters", "14B")]),
        ("| | LoRA | P-tuning |\n|---|---|---|\n| Params (%) | 0.06% | 4.35% |\n",
         [("trainable_share", "0.06%"), ("trainable_share", "4.35%")]),
        ("| | Total params | Activated |\n|---|---|---|\n| A | 671B | 37B |\n",
         [("parameters", "671B"), ("parameters", "37B")]),
        # columns of sizes
        ("| Format | Latency, ms (1.5B) | File size, GB (1.5B) |\n|---|---|---|\n| Q4_0 | 76 | 1.53 |\n",
         [("disk", "1.53")]),
        ("| Technik | Modell | Original size | Optimized size |\n|---|---|---|---|\n| INT8 | A-7B | 13GB | 7GB |\n",
         [("weights", "13GB"), ("weights", "7GB")]),
        ("| Modelo | Tamaño |\n|---|---|\n| A-7B | 13GB |\n", [("weights", "13GB")]),
        ("| Model | Size |\n|---|---|\n| A | 790M |\n| B | 1.3G |\n", [("weights", "790M"), ("weights", "1.3G")]),
        # columns of machines, lists of what is stored, headings
        ("| Hardware | Runs |\n|---|---|\n| CPU server (128GB) | A-70B |\n", [("host_memory", "128GB")]),
        ("Needs a GPU with much GPU memory (VRAM).\n\n**Storage**\n\n- Models: 50-100GB\n", [("disk", "50-100GB")]),
        ("VRAM and GPU memory matter.\n\n## Models for 24 GB\n", [("peak_memory", "24 GB")]),
        # rows that a blank line keeps from their table
        ("| Part | What |\n|---|---|\n| CPU | 8 cores |\n\n| RAM | 32GB DDR4 |\n| Storage | 1TB NVMe |\n",
         [("host_memory", "32GB"), ("disk", "1TB")]),
        # shares and ratios of memory
        ("| Precision | Memory |\n|---|---|\n| INT8 | 25% |\n", [("change", "25%")]),
        ("| Model | VRAM gain vs FP16 |\n|---|---|\n| A-8B | -50% |\n", [("change", "-50%")]),
        ("It takes 90% of the GPU memory.", [("change", "90%")]),
        ("Plan 20% for the KV cache.", [("change", "20%")]),
        ("A 4x memory reduction.", [("change", "4x")]),
        ("It reduces memory usage by 4x.", [("change", "4x")]),
        ("| Method | Memory savings |\n|---|---|\n| NF4 | 4x |\n", [("change", "4x")]),
        ("Peak is 78.63 GiB (42.67%) of VRAM.", [("peak_memory", "78.63 GiB"), ("change", "42.67%")]),
        ("Memory of each:\n\n- Full: 100%\n- LoRA: 30%\n", [("change", "100%"), ("change", "30%")]),
        ("The footprint adds a flat 15% overhead.", [("change", "15%")]),
        # lists of amounts that share their words
        ("They require at least 4.5G, 7.5G, and 6.0G free RAM.",
         [("host_memory", "at least 4.5G"), ("host_memory", "7.5G"), ("host_memory", "6.0G")]),
        ("It does not fit on a single 40G card.", [("fits", "40G")]),
        ("It needs 32GB instances, or a 64 GB machine.", [("gpu_memory", "32GB"), ("host_memory", "64 GB")]),
        # other languages
        ("nur ~3B aktive Parameter je Token", [("parameters", "~3B")]),
        ("- **モデルサイズ**: 約100MB\n", [("weights", "100MB")]),
        ("Mindestens eine 7,5-GiB-Karte mit VRAM.", [("peak_memory", "7,5-GiB")]),
        # what a log says
        ("```\nload: memory_size = 2560.00 MB\n```", [("peak_memory", "2560.00 MB")]),
        # words of a recommendation, where the document is about memory
        ("VRAM and GPU memory matter.\n\n8GB is tight, 12 or 16GB recommended.\n",
         [("peak_memory", "8GB"), ("peak_memory", "12"), ("peak_memory", "16GB")]),
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
        "The repository teapot-A100-40GB-chat is on the hub, A100-40GB.json too.",
        "A 10 Gb/s link leads to the GPU memory of another node.",
        "| Size | Layers |\n|---|---|\n| 7B | 32 |\n",
        "Memory matters. A replay gives a 34% recall gain.",
        "| One | Two |\n\nA line with | bars | in it.",
        "The run is 4x faster and its memory is full.",
        "It slows training by 20% but saves memory.",
        "Checks of types add a 15% overhead.",
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


def test_a_row_of_sixteen_bits_takes_no_method_from_words_on_qlora() -> None:
    text = "# Memory of Owl-7B\n\nWith QLoRA it is small.\n\n| Setting | VRAM |\n|---|---|\n"
    text += "| fp16 | 60 GB |\n| nf4 | 9 GB |\n| Full | 120 GB |\n"
    assert [claim.get("method") for claim in contexts(text)] == [None, "qlora", "full"]


def test_a_chip_that_is_called_max_bounds_nothing() -> None:
    assert ends("A Mac with an M4 Max 128 GB.") == [("128", "128", "GB", None)]
    assert ends("Needs max 128 GB of VRAM.") == [(None, "128", "GB", None)]


def test_abbreviations_end_no_sentence() -> None:
    assert found("Für GPUs mit wenig VRAM (z. B. 12 GB) reicht es.") == [("peak_memory", "12 GB")]


def test_text_of_figures_alone_is_not_read_for_values() -> None:
    scanned = scan(Document("guide.md", "12 GB 34 GB 56 GB\n" * 50))
    assert [vars(read).get("values") for read in scanned.pieces] == [None]
    assert len(scanned.pieces[0].values) == 150


def test_cells_beside_a_figure_say_how_it_was_come_by_and_no_more() -> None:
    """A card or a model that another cell of the row names may be one to compare with."""
    text = "| Model | Finetuning Method | Runnable On | Peak memory per GPU | Speed |\n|---|---|---|---|---|\n"
    text += "| Owl 8B | Full finetune | 1x A6000 | 37.4 GiB | 2579 |\n| Owl 8B | QLoRA | 1x A6000 | 7.4 GiB | 2413 |\n"
    assert [claim.get("method") for claim in contexts(text)] == ["full", "qlora"]
    assert all("gpu" not in claim for claim in contexts(text))


def test_cells_with_figures_of_their_own_or_that_differ_say_nothing_of_their_neighbours() -> None:
    text = "| Model | Small | VRAM | Notes |\n|---|---|---|---|\n"
    text += "| Owl 8B | 6 GB with QLoRA | 16 GB | |\n| Owl 9B | QLoRA | 17 GB | LoRA |\n"
    assert [written for _, written in found(text)] == ["6 GB", "16 GB", "17 GB"]
    assert [claim.get("method") for claim in contexts(text)] == ["qlora", None, None]
