"""What is said beside a verdict: acknowledgements, drift, what the spec leaves unchecked."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.checks.build import SCENARIOS, TODAY, judge_text, judged
from toolkit.checks.case import Case
from toolkit.checks.judge import judge_spec
from toolkit.checks.judgement import Outcome, Verdict
from toolkit.checks.registry import CHECKERS
from toolkit.checks.run import check_paths
from toolkit.documents.bind import BoundClaim, bind
from toolkit.documents.document import Document
from toolkit.finding import Severity
from toolkit.quantity import Reading
from toolkit.spec.fields.names import ABOUT_SCENARIO, QUANTITIES
from toolkit.spec.load import load_spec

DOCUMENT = """\
# Guide

The model has **{parameters}** parameters.

Training takes {steps} steps.
"""
CLAIMS = """\
  - {id: size, quantity: parameters, scenario: qwen-fp32, quote: "has **{}** parameters"%s}
  - {id: run, quantity: steps, scenario: oss-lora, quote: "takes {} steps"}
"""


def text(parameters: str = "7.6B", steps: str = "120") -> str:
    return DOCUMENT.format(parameters=parameters, steps=steps)


def test_all_is_well(tmp_path: Path) -> None:
    result = judged(tmp_path, text(), CLAIMS % "")
    assert result.codes == []
    assert [one.verdict for one in result.report.judgements] == ["agrees", "agrees"]
    assert not any(one.gates for one in result.report.judgements)
    assert sum(result.report.counts.values()) == 2


def test_a_changed_number_is_judged_anew_at_its_line(tmp_path: Path) -> None:
    result = judged(tmp_path, text(steps="960"), CLAIMS % "")
    run = result.by_id("run")
    assert (run.verdict, run.code, run.gates) == ("disagrees", "R601", True)
    assert (run.place.path, run.place.line, run.place.column) == ("document.md", 5, 16)
    assert run.outcome.claimed is not None
    assert run.outcome.claimed.text == "960"
    assert run.outcome.repair == "print 120"


def test_a_deleted_sentence_is_missed_by_the_name_of_its_claim(tmp_path: Path) -> None:
    result = judged(tmp_path, text().replace("Training takes 120 steps.", ""), CLAIMS % "")
    assert result.codes == ["D201"]
    assert "run" in result.report.findings[0].message
    assert result.report.findings[0].severity is Severity.ERROR
    assert [one.id for one in result.report.judgements] == ["size"]


def test_an_acknowledged_error_stays_red_and_does_not_gate(tmp_path: Path) -> None:
    result = judged(tmp_path, text("7.0B"), CLAIMS % ", acknowledged: {reason: of the source}")
    size = result.by_id("size")
    assert (size.verdict, size.gates) == ("disagrees", False)
    assert size.acknowledged is not None
    assert size.acknowledged.reason == "of the source"
    assert result.codes == []


@pytest.mark.parametrize(("until", "codes"), [("2026-01-14", ["K901"]), ("2026-01-15", []), ("2026-01-16", [])])
def test_an_acknowledgement_ends_with_its_last_day(tmp_path: Path, until: str, codes: list[str]) -> None:
    said = f", acknowledged: {{reason: of the source, until: {until}}}"
    result = judged(tmp_path, text("7.0B"), CLAIMS % said, today=date(2026, 1, 15))
    assert result.codes == codes
    for finding in result.report.findings:
        assert finding.place.path == "claims.yaml"
        assert until in finding.message
        assert finding.severity is Severity.ERROR


@pytest.mark.parametrize("until", ["", ", until: 2020-01-01"])
@pytest.mark.parametrize("printed", ["7.6B", "unknown"])
def test_an_acknowledgement_of_what_does_not_disagree_is_needless(tmp_path: Path, printed: str, until: str) -> None:
    result = judged(tmp_path, text(printed), CLAIMS % f", acknowledged: {{reason: of the source{until}}}")
    assert [code for code in result.codes if code != "D204"] == ["K902"]
    finding = next(one for one in result.report.findings if one.code == "K902")
    assert finding.place.path == "claims.yaml"
    assert "size" in finding.message


def test_an_acknowledgement_of_what_depends_is_needless(tmp_path: Path) -> None:
    claim = "quantity: weights, scenario: qwen-nf4, acknowledged: {reason: of the source}"
    assert judge_text(tmp_path, "5.55 GB", claim).codes == ["K902"]


@pytest.mark.parametrize("quantity", sorted(QUANTITIES))
def test_what_the_spec_leaves_unchecked_stays_so_with_its_reason(tmp_path: Path, quantity: str) -> None:
    scenario = ", scenario: oss-lora" if quantity in ABOUT_SCENARIO else ""
    claim = f"quantity: {quantity}{scenario}, {NEEDS.get(quantity, '')}unchecked: nobody wrote it down"
    head = VALUES if quantity == "change" else ""
    result = judge_text(tmp_path, "a word that is no value", claim, head=head)
    assert (result.outcome.verdict, result.outcome.reason) == ("unchecked", "nobody wrote it down")
    assert result.codes == []


NEEDS = {
    "software": "subject: {package: trl}, ",
    "hyperparameter": "subject: {field: batch_size}, ",
    "change": "from: one, to: two, ",
    "arithmetic": "",
}
VALUES = 'values:\n  one: "says |{}| here"\n  two: "says |{}| here"\n'


def test_whole_folders_are_checked_and_counted(tmp_path: Path) -> None:
    judged(tmp_path, text("7.0B", "960"), CLAIMS % ", acknowledged: {reason: of the source}")
    result = check_paths([tmp_path], tmp_path, TODAY)
    assert result.counts[Verdict.DISAGREES] == 2
    assert result.acknowledged == 1
    assert result.documents == 1
    assert result.gates(frozenset())
    assert not result.unreadable


def test_nothing_gates_when_all_errors_are_acknowledged(tmp_path: Path) -> None:
    judged(tmp_path, text("7.0B"), CLAIMS % ", acknowledged: {reason: of the source}")
    result = check_paths([tmp_path], tmp_path, TODAY)
    assert not result.gates(frozenset())
    assert not result.gates(frozenset({Verdict.DISAGREES}))


def test_a_missing_document_is_no_pass(tmp_path: Path) -> None:
    judged(tmp_path, text(), CLAIMS % "")
    (tmp_path / "document.md").unlink()
    result = check_paths([tmp_path], tmp_path, TODAY)
    assert result.unreadable
    assert result.gates(frozenset())


def bound_cases(folder: Path) -> list[BoundClaim]:
    """One bound claim of every quantity, some with scenarios that leave much open."""
    lines = []
    for quantity in QUANTITIES:
        for scenario in ("oss-lora", "llama-open") if quantity in ABOUT_SCENARIO else (None,):
            needs = {**NEEDS, "software": 'subject: {package: trl, with: {unsloth: "2025.11.1"}}, '}.get(quantity, "")
            where = f"scenario: {scenario}, " if scenario else ""
            lines.append(
                f'  - {{id: {quantity}-{scenario}, quantity: {quantity}, {where}{needs}quote: "says |{{}}| here"}}'
            )
    lines.append('  - {id: formula, quantity: arithmetic, formula: one + 1, quote: "says |{}| here"}')
    (folder / "document.md").write_text("# G\n\nIt says |1| here.\n\nOne is 40 GB, two is 10 GB.\n", encoding="utf-8")
    head = 'document: document.md\nvalues:\n  one: "One is {},"\n  two: "two is {}."\n'
    (folder / "claims.yaml").write_text(f"{head}scenarios:\n{SCENARIOS}claims:\n" + "\n".join(lines), encoding="utf-8")
    return lines


PIECES = st.sampled_from(
    ["7", "0", "-1", "28", "1e99", "10^99", "0.000", "GB", "GiB", "B", "%", "x", "~", "≥", "<",
     "up to ", "at least ",
     "–", " - ", " to ", "=", "+", "×", "/", "(", ")", " ", "❌", "✅", "yes", "no", "all-linear",
     "q_proj", "q_proj.",
     "0.19.0",
     "mxfp4", "unquantized", "$", "hours", "|", "**", "`", "\u2028", "\x00", "é", "²", "9" * 50]
)  # fmt: skip
SLOTS = st.one_of(st.lists(PIECES, max_size=8).map("".join), st.text(max_size=30))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SLOTS, st.sampled_from([("decimal",), ("binary",), ("decimal", "binary")]))
@example("0 GB", ("decimal",))
@example("up to 0 GB", ("decimal", "binary"))
@example("-5 GB", ("decimal", "binary"))
@example("0%", ("decimal",))
@example("1/0 = 1", ("binary",))
def test_no_text_in_a_slot_makes_a_checker_raise(cases: list[Case], slot: str, readings: tuple[Reading, ...]) -> None:
    """Whatever stands there, every checker answers with an outcome, under every reading."""
    for case in cases:
        bound = replace(case.bound, slot_text=slot, quote_text=f"says |{slot}| here")
        outcome = CHECKERS[case.claim.quantity].judge(replace(case, bound=bound, readings=readings))
        assert isinstance(outcome, Outcome)
        assert isinstance(outcome.verdict, Verdict)
        assert outcome.reason
        if outcome.verdict is Verdict.DISAGREES:
            assert outcome.evidence


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """A case of every quantity, bound once."""
    import toolkit.checks.judge as module

    folder = tmp_path_factory.mktemp("slots")
    bound_cases(folder)
    spec, findings = load_spec(folder / "claims.yaml", folder)
    assert spec is not None, findings
    assert not findings, findings
    read = module_document(folder)
    seen: list[Case] = []
    original = module._judged
    module._judged = lambda case: seen.append(case) or original(case)
    try:
        judge_spec(spec, bind(spec, read), TODAY)
    finally:
        module._judged = original
    assert {case.claim.quantity for case in seen} == set(QUANTITIES)
    return seen


def module_document(folder: Path) -> Document:
    return Document("document.md", (folder / "document.md").read_text(encoding="utf-8"))


def test_judgements_are_in_the_order_of_the_document(tmp_path: Path) -> None:
    lines = (CLAIMS % "").splitlines(keepends=True)
    result = judged(tmp_path, text(), "".join(reversed(lines)))
    assert [one.id for one in result.report.judgements] == ["size", "run"]


def test_the_line_that_settles_a_claim_settles_it(tmp_path: Path) -> None:
    """The repair of a claim that depends, put into its scenario, makes it agree."""
    for claim, slot in (
        ("weights, scenario: qwen-nf4", "5.55 GB"),
        ("steps, scenario: qwen-run-open", "480"),
        ("trainable_parameters, scenario: qwen-lora-rank-open", "40,370,176"),
        ("peak_memory, scenario: qwen-open", "90 GB"),
        ("kv_cache, scenario: llama-open", "2 GiB"),
    ):
        outcome = judge_text(tmp_path, slot, f"quantity: {claim}").outcome
        assert outcome.verdict == "depends", (claim, outcome)
        assert outcome.repair is not None
        stated = outcome.repair if outcome.repair.startswith("{") else f"{{{outcome.repair}}}"
        assert yaml.safe_load(stated)
        again = judge_text(tmp_path, slot, f"quantity: {claim}, with: {stated}").outcome
        assert again.verdict == "agrees", (claim, outcome.repair, again)
