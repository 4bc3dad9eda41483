"""Measured records beside a spec: the strongest evidence of a peak, and the only one of a speed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.memory.measure.jobs import CONFIG, reading
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.checks.run import check_paths
from toolkit.checks.situations.measurable import measurables
from toolkit.evidence.evidence import EvidenceKind
from toolkit.memory.measure.outcome import Outcome, OutcomeKind
from toolkit.memory.measure.records import keep, record_of

GIB = 1 << 30
MADE = "compute: bf16, head: causal-lm, attention: sdpa, batch_size: 1, sequence_length: 64"
SPEC = f"""\
document: document.md
scenarios:
  slow: {{model: config.json, method: inference, weights: bf16, generated_length: 4, {MADE}, gpu: H100}}
  fast: {{model: config.json, method: inference, weights: nf4, generated_length: 4, {MADE}, gpu: H100}}
  elsewhere: {{model: config.json, method: inference, weights: nf4, generated_length: 4, {MADE}, gpu: A100 80GB}}
claims:
  - {{quantity: peak_memory, scenario: slow, metric: allocated, quote: "allocates {{3 GiB}} at once"}}
  - quantity: speed_ratio
    quote: "it is {{2.5x}} as fast"
    of: duration
    from: slow
    to: fast
    scenario: fast
    subject: {{work: decode}}
  - quantity: speed_ratio
    quote: "elsewhere {{2.5x}} as fast"
    of: duration
    from: slow
    to: elsewhere
    scenario: elsewhere
    subject: {{work: decode}}
"""
DOCUMENT = "A run allocates 3 GiB at once.\n\nIn 4 bits it is 2.5x as fast.\n\nAnd elsewhere 2.5x as fast.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "claims.yaml").write_text(SPEC, "utf-8")
    (tmp_path / "document.md").write_text(DOCUMENT, "utf-8")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    return tmp_path


def measured(folder: Path, scenario: str, **more: Any) -> None:
    """Keeps records of a scenario, as if they had been read on a card."""
    for one in measurables([folder / "claims.yaml"], folder, [scenario]).jobs:
        found = reading(**more)
        record = record_of(one, Outcome(OutcomeKind(found["kind"]), "", found, 1.0))
        assert record is not None
        assert keep(record, folder / one.folder) == ""


def judged(folder: Path) -> list[Judgement]:
    result = check_paths([folder / "claims.yaml"], folder, date(2026, 1, 1))
    return sorted(result.judgements, key=lambda one: one.place.line)


def test_a_measured_peak_outranks_the_formulas_and_says_where_it_was_read(folder: Path) -> None:
    before, *_ = judged(folder)
    assert before.verdict is Verdict.DISAGREES
    measured(folder, "slow", allocated=3 * GIB, phase="decode")
    after, *_ = judged(folder)
    assert after.verdict is Verdict.AGREES
    (evidence,) = (one for one in after.outcome.evidence if one.kind is EvidenceKind.MEASURED)
    assert "on NVIDIA H100 80GB HBM3" in evidence.facts[0]


def test_a_full_card_is_no_evidence_of_a_peak(folder: Path) -> None:
    measured(folder, "slow", kind="does not fit", allocated=3 * GIB, card=None)
    first, *_ = judged(folder)
    assert first.verdict is Verdict.DISAGREES


@pytest.mark.parametrize(("token", "verdict"), [(0.016, Verdict.AGREES), (0.02, Verdict.DISAGREES)])
def test_a_ratio_of_two_scenarios_is_judged_by_their_records(folder: Path, token: float, verdict: Verdict) -> None:
    _, before, _ = judged(folder)
    assert before.verdict is Verdict.UNCHECKED
    measured(folder, "slow", laps={"prefill": [0.1], "decode": [0.04]})
    measured(folder, "fast", laps={"prefill": [0.1], "decode": [token]})
    _, after, _ = judged(folder)
    assert after.verdict is verdict, after.outcome.reason
    assert "in decode, measured on NVIDIA H100" in after.outcome.reason


def test_a_ratio_is_not_said_of_a_card_on_which_nothing_was_measured(folder: Path) -> None:
    measured(folder, "slow", laps={"decode": [0.04]})
    measured(folder, "elsewhere", laps={"decode": [0.02]})
    *_, last = judged(folder)
    assert last.verdict is Verdict.UNCHECKED
    assert "the claim is about A100 80GB" in last.outcome.reason
