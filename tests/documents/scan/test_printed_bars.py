"""Tables with bars in output and in comments of code; expected by reading."""

from tests.documents.scan.scanned import contexts, ends, found

TABLE = (
    "# Memory\n\n```python\nprint(a | b | c)\n\n# Memory needed (GB):\n# Model |  Full FT | QLoRA\n# ------------\n"
    "#    7B |    112.0 |   4.2\n```\n"
)


def test_a_caption_gives_columns_their_unit() -> None:
    assert found(TABLE) == [("peak_memory", "112.0"), ("peak_memory", "4.2")]
    assert [unit for _, _, unit, _ in ends(TABLE)] == ["GB", "GB"]
    assert [claim["method"] for claim in contexts(TABLE)] == ["full", "qlora"]


def test_amounts_keep_their_own_unit() -> None:
    text = "```\nSetup | Peak VRAM | Time\n------+-----------+-----\nLoRA  | 18.2 GB   | 3 h\n```\n"
    assert found(text) == [("peak_memory", "18.2 GB")]


def test_boxes_and_pipes_are_no_tables() -> None:
    box = "```\n| Fan  Temp | Memory-Usage | Util |\n|====|====|====|\n| 62%  71C | 12034MiB / 24576MiB | 98% |\n```\n"
    assert found(box) == [("peak_memory", "12034MiB"), ("gpu_memory", "24576MiB")]
    assert found("```bash\nnvidia-smi | grep memory | head\nls | grep 16 | wc\n```\n") == []
