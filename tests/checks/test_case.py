"""What a claim's figure is read as: its own unit, or that of the column which its cell stands in."""

from datetime import date
from pathlib import Path

import pytest

from toolkit.checks.run import check_paths

SPEC = """document: guide.md
scenarios:
  run: {model: Qwen/Qwen2.5-7B, method: inference, weights: bf16}
claims:
  - {quantity: QUANTITY, scenario: run, cell: {table: {}, row: Qwen2.5-7B, column: "COLUMN"}}
"""


@pytest.mark.parametrize(
    ("quantity", "column", "cell", "verdict"),
    [
        ("weights", "Memory (GB)", "15.2", "agrees"),
        ("weights", "Memory (GB)", "30", "disagrees"),
        ("weights", "Memory (GiB)", "14.2", "agrees"),
        ("weights", "Memory (MB)", "15.2 GB", "agrees"),  # the cell's own unit counts
        ("parameters", "Parameters (B)", "7.6", "agrees"),
        ("weights", "Share (%)", "15.2 GB", "agrees"),  # a unit of another kind gives nothing
    ],
)
def test_a_column_gives_a_bare_number_its_unit(
    tmp_path: Path, quantity: str, column: str, cell: str, verdict: str
) -> None:
    (tmp_path / "guide.md").write_text(f"| Model | {column} |\n|---|---|\n| Qwen2.5-7B | {cell} |\n", "utf-8")
    text = SPEC.replace("QUANTITY", quantity).replace("COLUMN", column)
    (tmp_path / "claims.yaml").write_text(text, "utf-8")
    result = check_paths([tmp_path / "claims.yaml"], tmp_path, date(2026, 11, 21))
    assert result.all_findings == ()
    assert [one.verdict.value for one in result.judgements] == [verdict]
