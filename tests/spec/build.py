"""Specs for the tests of this folder."""

from pathlib import Path

from toolkit.finding import Finding
from toolkit.spec import Spec, load_spec

HEAD = """\
document: guide.md
values: {train: "{} examples", rate: "a rate of {}"}
scenarios:
  full: {model: Qwen/Qwen2.5-7B, method: full, weights: bf16}
  qlora: {model: Qwen/Qwen2.5-7B, method: qlora, weights: nf4, lora: {rank: 16, targets: all-linear}}
"""
CLAIM = 'claims:\n  - {quantity: weights, scenario: full, quote: "needs {} of memory"}\n'


def load(folder: Path, text: str) -> tuple[Spec | None, list[Finding]]:
    """What comes of a spec with that text."""
    path = folder / "claims.yaml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path, folder)


def good(folder: Path, text: str) -> Spec:
    """The spec with that text, which has no mistake."""
    spec, findings = load(folder, text)
    assert not findings, [str(finding) for finding in findings]
    assert spec is not None
    return spec


def with_scenario(fields: str) -> str:
    """A spec with a scenario `s` of these fields, as a YAML flow mapping without its braces."""
    return f"{HEAD}  s: {{{fields}}}\n{CLAIM}"


def with_claim(claim: str) -> str:
    """A spec with one claim, as a YAML flow mapping without its braces."""
    return f"{HEAD}claims:\n  - {{{claim}}}\n"


def scenario_findings(folder: Path, fields: str) -> list[str]:
    """Code and message of what is wrong with a scenario of a 7B model with these fields."""
    return said(load(folder, with_scenario(f"model: Qwen/Qwen2.5-7B, {fields}"))[1])


def said(findings: list[Finding]) -> list[str]:
    """Code and message of each finding."""
    return [f"{finding.code} {finding.message}" for finding in findings]


def token_at(text: str, finding: Finding) -> str:
    """The text at the place of a finding."""
    place = finding.place
    line = text.split("\n")[place.line - 1]
    end = place.end_column if place.end_line == place.line and place.end_column else None
    return line[place.column - 1 : end - 1 if end else None]
