"""Which GB a document means. Llama-3.1-8B in bf16: 16,060,522,496 bytes are 16.06 × 10^9 and 14.96 × 2^30."""

from __future__ import annotations

from pathlib import Path

from tests.checks.build import Judged, judged
from toolkit.finding import Severity

DECIMAL = "The weights of Llama take 16.1 GB."
BINARY = "Held in memory they take 15.0 GB."
EITHER = "Qwen takes about 29.5 GB."  # 30.46 × 10^9 and 28.37 × 2^30, both within 5 %
NEITHER = "On disk it is 12.0 GB."
CLAIMS = {
    DECIMAL: '  - {id: decimal, quantity: weights, scenario: llama-bf16, quote: "of Llama take {}."}',
    BINARY: '  - {id: binary, quantity: weights, scenario: llama-bf16, quote: "they take {}."}',
    EITHER: '  - {id: either, quantity: weights, scenario: qwen-fp32, quote: "Qwen takes {}."}',
    NEITHER: '  - {id: neither, quantity: disk, scenario: llama-bf16, quote: "it is {}."}',
}


def said(folder: Path, *sentences: str, units: str = "") -> Judged:
    document = "# G\n\n1 GB is what it is.\n\n" + "\n\n".join(sentences) + "\n"
    return judged(folder, document, "\n".join(CLAIMS[one] for one in sentences), head=units)


def verdicts(result: Judged) -> dict[str, str]:
    return {one.id: str(one.verdict) for one in result.report.judgements}


def declared(reading: str) -> str:
    return f'units: {{GB: {reading}, quote: "1 GB is what it is"}}\n'


def test_a_declared_reading_holds_for_all(tmp_path: Path) -> None:
    for reading, other in (("decimal", "binary"), ("binary", "decimal")):
        result = said(tmp_path, DECIMAL, BINARY, units=declared(reading))
        assert verdicts(result) == {reading: "agrees", other: "disagrees"}
        assert result.codes == []


def test_the_reading_under_which_exact_statements_agree_is_taken(tmp_path: Path) -> None:
    for sentence, reading in ((DECIMAL, "decimal"), (BINARY, "binary")):
        result = said(tmp_path, sentence, EITHER, NEITHER)
        assert verdicts(result) == {reading: "agrees", "either": "agrees", "neither": "disagrees"}
        assert result.codes == []
        claimed = result.by_id("neither").outcome.claimed
        assert claimed is not None
        assert set(claimed.readings) == {reading}


def test_a_document_that_needs_both_is_told_and_read_either_way(tmp_path: Path) -> None:
    result = said(tmp_path, DECIMAL, BINARY, NEITHER)
    assert verdicts(result) == {"decimal": "agrees", "binary": "agrees", "neither": "disagrees"}
    assert result.codes == ["D207"]
    warning = result.report.findings[0]
    assert warning.severity is Severity.WARNING
    assert "document.md:5" in warning.message
    assert "document.md:7" in warning.message
    claimed = result.by_id("neither").outcome.claimed
    assert claimed is not None
    assert set(claimed.readings) == {"decimal", "binary"}


def test_a_document_that_tells_nothing_is_read_either_way(tmp_path: Path) -> None:
    result = said(tmp_path, EITHER)
    assert verdicts(result) == {"either": "agrees"}
    claimed = result.by_id("either").outcome.claimed
    assert claimed is not None
    assert set(claimed.readings) == {"decimal", "binary"}


def test_an_unchecked_statement_tells_nothing(tmp_path: Path) -> None:
    document = f"# G\n\n{DECIMAL}\n\n{BINARY}\n"
    claims = "\n".join((CLAIMS[DECIMAL].replace("quote", "unchecked: no record, quote"), CLAIMS[BINARY]))
    result = judged(tmp_path, document, claims)
    assert result.codes == []
    assert result.by_id("binary").verdict == "agrees"


def test_gib_has_one_meaning_and_tells_nothing(tmp_path: Path) -> None:
    document = "# G\n\nThe weights of Llama take 14.96 GiB.\n\nHeld they take 16.1 GB.\n"
    result = judged(tmp_path, document, f"{CLAIMS[DECIMAL]}\n{CLAIMS[BINARY]}")
    assert verdicts(result) == {"decimal": "agrees", "binary": "agrees"}
    assert result.codes == []
