"""What is said of the committed documents, where arithmetic by hand or a published fact says what it has to be."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import pytest

from toolkit.checks.judge import judge_spec
from toolkit.checks.result import SpecReport
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.spec.load import load_spec

ROOT = Path(__file__).parents[2]

Said = tuple[str, str | None, str]
"""A quantity, the scenario and the claimed text."""

VERDICTS: dict[str, dict[Said, list[str]]] = {
    # 278,810,882 parameters: 1.0387 GiB in float32, 0.5193 GiB in 16 bit; two float32 states take 2.0773 GiB.
    "jailbreak-detector-large": {
        ("parameters", "inference", "~280 million"): ["agrees"],
        ("parameters", "inference", "0.28B"): ["agrees"],
        ("parameters", "inference", "~0.3B"): ["agrees"],
        ("parameters", "inference", "280,000,000"): ["agrees", "agrees"],
        # 278,810,882 × 4 = 1,115,243,528, and the printed figure stands for 1.115 to 1.125 × 10^9
        ("weights", "inference", "1,120,000,000 bytes"): ["agrees"],
        ("weights", "inference", "≈ 1.04 GiB"): ["agrees"],
        ("weights", "inference", "≈ **1.0–1.1 GiB**"): ["agrees"],
        ("arithmetic", "inference", "≈ 1.04 GiB"): ["agrees"],
        ("arithmetic", "inference", "1,073,741,824"): ["agrees"],
        ("weights", "full", "0.52 GiB"): ["agrees"],
        ("master_weights", "full", "1.04 GiB"): ["agrees"],
        ("gradients", "full", "0.52 GiB"): ["agrees"],
        ("optimizer_states", "full", "2.08 GiB"): ["agrees"],
        # 278,810,882 × 16 bytes = 4.1547 GiB
        ("weights", "full", "4.16 GiB"): ["agrees", "agrees"],
        ("arithmetic", "full", "4.16 GiB"): ["agrees", "agrees", "agrees"],
        # 4.16 + 3 to 4.16 + 6 is 7.16 to 10.16, and with the 2 to 6 that is printed above it 6.16 to 10.16
        ("arithmetic", "full", "~8–12 GiB"): ["disagrees", "disagrees"],
        # The T4 has 16 GB and the V100 16 or 32; the A10G and the RTX 4090 have 24.
        ("gpu_memory", "full", "16GB"): ["agrees", "agrees", "disagrees", "disagrees"],
        ("fits", "full", "24GB"): ["agrees"],
        # At most rank 64 on 4 × 12 layers of 768 × 768 and 2 × 12 of 768 × 3,072, all with 12 bytes: 0.12 GiB.
        ("adapters", "lora", "~0.2–0.5 GiB"): ["disagrees"],
        ("weights", "lora", "~0.52 GiB"): ["agrees"],
        # 0.52 + 0.2 + 2 = 2.72 rounds to 3, and 0.52 + 0.5 + 4 to 5.02 is 6 within the rounding of 4 and 6
        ("arithmetic", "lora", "~3–6 GiB"): ["agrees"],
        ("arithmetic", None, "20 million"): ["agrees", "agrees"],
        ("fits", "inference", "manageable"): ["agrees"],
        ("fits", "inference", "Easy"): ["agrees"],
        ("quality", None, "~98%"): ["unchecked"],
        ("disk", None, "negligible"): ["unchecked"],
    },
}


@cache
def report(slug: str) -> SpecReport:
    spec, findings = load_spec(ROOT / "specs" / "documents" / slug / "claims.yaml", ROOT)
    assert spec is not None, findings
    read = read_document(spec.document_path, ROOT)
    assert isinstance(read, Document), read
    return judge_spec(spec, bind(spec, read), date(2026, 1, 15))


@pytest.mark.parametrize(
    ("slug", "said", "verdicts"),
    [(slug, said, verdicts) for slug, table in VERDICTS.items() for said, verdicts in table.items()],
)
def test_verdict_of_a_figure(slug: str, said: Said, verdicts: list[str]) -> None:
    found = [
        one
        for one in report(slug).judgements
        if (one.quantity, one.scenario, one.outcome.claimed and one.outcome.claimed.text) == said
    ]
    assert sorted(one.verdict for one in found) == verdicts, [one.outcome for one in found]


@pytest.mark.parametrize("slug", VERDICTS)
def test_what_disagrees_is_acknowledged_and_nothing_else(slug: str) -> None:
    assert report(slug).findings == ()
    for one in report(slug).judgements:
        assert (one.acknowledged is not None) is (one.verdict == "disagrees"), one
