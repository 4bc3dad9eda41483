"""Small specs and documents, judged through the public path, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from toolkit.checks.judge import judge_spec
from toolkit.checks.judgement import Judgement, Outcome
from toolkit.checks.result import SpecReport
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.finding import Finding
from toolkit.spec.load import load_specs

TODAY = date(2026, 1, 15)

SCENARIOS = """\
  qwen-fp32:
    model: Qwen/Qwen2.5-Coder-7B
    method: full
    weights: fp32
    amp: false
    batch_size: 1
    sequence_length: 512
    gradient_accumulation: 1
    gradient_checkpointing: false
    optimizer: adamw
    optimizer_implementation: fused
    stack: {trainer: transformers, loss: cross-entropy}
  qwen-bf16: {extends: qwen-fp32, weights: bf16}
  qwen-run: {extends: qwen-fp32, weights: bf16, gpu: 24 GB}
  oss-loaded:
    model: openai/gpt-oss-20b
    method: inference
    weights: nf4
    double_quant: true
    batch_size: 1
    sequence_length: 128
    generated_length: 0
    stack: {trainer: unsloth}
  oss-answers:
    model: openai/gpt-oss-20b
    method: inference
    weights: nf4
    lora: {rank: 16, targets: [q_proj, k_proj, v_proj, o_proj]}
  oss-lora:
    model: openai/gpt-oss-20b
    method: qlora
    weights: nf4
    batch_size: 2
    gradient_accumulation: 4
    sequence_length: 512
    gradient_checkpointing: true
    lora: {rank: 16, alpha: 16, dropout: 0.0, targets: [q_proj, k_proj, v_proj, o_proj]}
    stack: {trainer: unsloth, unsloth: "2025.11.1"}
    run: {examples: 320, epochs: 3}
  llama-bf16:
    model: meta-llama/Llama-3.1-8B
    method: inference
    weights: bf16
    batch_size: 1
    sequence_length: 4096
    generated_length: 0
    stack: {trainer: transformers}
  qwen-open: {model: Qwen/Qwen2.5-Coder-7B, method: full, weights: bf16, stack: {trainer: transformers}}
  qwen-run-open:
    model: Qwen/Qwen2.5-Coder-7B
    method: full
    weights: bf16
    gradient_accumulation: 1
    run: {examples: 320, epochs: 3}
  qwen-nf4: {model: Qwen/Qwen2.5-Coder-7B, method: qlora, weights: nf4}
  qwen-lora16:
    model: Qwen/Qwen2.5-Coder-7B
    method: lora
    weights: bf16
    lora: {rank: 16, targets: all-linear}
    stack: {trainer: transformers}
  qwen-lora-rank-open:
    model: Qwen/Qwen2.5-Coder-7B
    method: lora
    weights: bf16
    lora: {targets: all-linear}
    stack: {trainer: transformers}
  llama-open: {model: meta-llama/Llama-3.1-8B, method: inference, weights: bf16, generated_length: 0}
  super: {model: Qwen/Qwen2.5-Coder-7B, method: inference, gpu: RTX 4070 Ti SUPER}
  h100: {model: Qwen/Qwen2.5-Coder-7B, method: inference, gpu: H100 80GB}
  r3060: {model: Qwen/Qwen2.5-Coder-7B, method: inference, gpu: RTX 3060}
  no-gpu: {model: Qwen/Qwen2.5-Coder-7B, method: inference}
"""
"""Scenarios of real models: closed ones for exact answers, open ones for those that depend."""


@dataclass(frozen=True)
class Judged:
    """What came of one document: the report, and shortcuts to its judgements."""

    report: SpecReport

    @property
    def one(self) -> Judgement:
        """The only judgement."""
        assert len(self.report.judgements) == 1, (self.report.judgements, self.report.findings)
        return self.report.judgements[0]

    @property
    def outcome(self) -> Outcome:
        """The outcome of the only judgement."""
        return self.one.outcome

    def by_id(self, name: str) -> Judgement:
        """The judgement of the claim with that id."""
        return next(one for one in self.report.judgements if one.id == name)

    @property
    def codes(self) -> list[str]:
        """The codes of all findings."""
        return [finding.code for finding in self.report.findings]


def judged(
    folder: Path,
    document: str,
    claims: str,
    *,
    scenarios: str = SCENARIOS,
    head: str = "",
    today: date = TODAY,
) -> Judged:
    """A document and the claims of its spec (YAML list items, two spaces deep), judged."""
    (folder / "document.md").write_text(document, encoding="utf-8")
    text = f"document: document.md\n{head}scenarios:\n{scenarios}claims:\n{claims}\n"
    (folder / "claims.yaml").write_text(text, encoding="utf-8")
    specs, findings = load_specs([folder], folder)
    assert not findings, "\n".join(map(str, findings))
    read = read_document(specs[0].document_path, folder)
    assert isinstance(read, Document), read
    return Judged(judge_spec(specs[0], bind(specs[0], read), today))


def written(folder: Path, spec: str, guide: str) -> Path:
    """A new folder with a spec and the document that it calls guide.md."""
    folder.mkdir()
    (folder / "claims.yaml").write_text(spec, encoding="utf-8")
    (folder / "guide.md").write_text(guide, encoding="utf-8")
    return folder


def judge_text(folder: Path, text: str, claim: str, *, scenarios: str = SCENARIOS, head: str = "") -> Judged:
    """One claim, as the inside of a YAML flow mapping, whose slot is the text between two bars."""
    return judged(
        folder,
        f"# Guide\n\nIt says |{text}| here.\n",
        f'  - {{quote: "says |{{}}| here", {claim}}}',
        scenarios=scenarios,
        head=head,
    )


def outcome_of(folder: Path, text: str, claim: str, verdict: str, *, head: str = "") -> Outcome:
    """The outcome of one claim, whose verdict is as expected."""
    result = judge_text(folder, text, claim, head=head)
    outcome = result.outcome
    assert outcome.verdict == verdict, outcome
    assert (result.codes == ["D204"]) is (outcome.malformed is not None), result.report.findings
    assert outcome.reason
    assert (outcome.boundary is None) is (outcome.verdict != "depends"), outcome
    return outcome


def refusals(folder: Path, claims: str, document: str = "# Guide\n") -> list[Finding]:
    """What is wrong with a spec that must not load."""
    (folder / "document.md").write_text(document, encoding="utf-8")
    text = f"document: document.md\nscenarios:\n{SCENARIOS}claims:\n{claims}\n"
    (folder / "claims.yaml").write_text(text, encoding="utf-8")
    return list(load_specs([folder], folder)[1])
