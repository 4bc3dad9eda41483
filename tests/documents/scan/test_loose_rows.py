"""Rows between bars that are no table to Markdown; expected by reading."""

import pytest

from tests.documents.scan.scanned import contexts, found


@pytest.mark.parametrize(
    "gap",
    ["\n", "\n\n", "\n \n"],
)
def test_rows_behind_a_gap_go_on_under_the_headings(gap: str) -> None:
    text = f"| Model | bf16 VRAM |\n|---|---|\n| Owl-7B | 15 GB |\n{gap}| Owl-13B | 27 GB |\n"
    assert found(text) == [("peak_memory", "15 GB"), ("peak_memory", "27 GB")]
    assert [claim["precision"] for claim in contexts(text)] == ["bf16", "bf16"]


def test_other_words_between_end_the_table() -> None:
    text = "| Model | bf16 VRAM |\n|---|---|\n| Owl-7B | 15 GB |\n\nMore:\n\n| RAM | 27 GB |\n"
    assert contexts(text)[1] == {}
    assert found(text)[1] == ("host_memory", "27 GB")


def test_rows_of_another_width_have_no_headings() -> None:
    text = "| Model | bf16 VRAM |\n|---|---|\n| Owl-7B | 15 GB |\n\n| Owl-13B | VRAM | 27 GB |\n"
    assert "precision" not in contexts(text)[1]


def test_escaped_bars_part_no_cells_and_code_is_left() -> None:
    assert found("| RAM \\| VRAM | 16 GB |\n") == [("host_memory", "16 GB")]
    assert found("```python\n| RAM | 16 |\n```\n") == []


def test_a_fenced_table_is_read_by_its_headings() -> None:
    table = "| Clé | Paramètres | RAM min |\n| --- | --- | --- |\n| `a` | 7B | 8 Go |\n"
    assert found(f"```\n{table}```\n") == [("parameters", "7B"), ("host_memory", "8 Go")]
