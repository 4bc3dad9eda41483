"""How long the check takes: cold on the repository's own documents, and on ten thousand claims.

Run by `make bench`; the bounds hold on an ordinary machine and are checked there only.
"""

import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.work import calls
from toolkit.checks.judgement import Verdict
from toolkit.checks.result import CheckResult
from toolkit.checks.run import check_paths

REPOSITORY = Path(__file__).parents[2]
TODAY = date(2026, 11, 21)
COLD_SECONDS = {"specs/documents": 0.8, "specs/documents/qwen2.5-coder-7b specs/documents/gpt-oss-20b": 0.6}
"""Five documents with about eight hundred claims, and two of them, on two cores."""
IMPORT_SECONDS = 0.35
MANY_SECONDS = 5.0
CLAIMS_PER_SCENARIO = 20
MODELS = (
    "Qwen/Qwen2.5-Coder-7B",
    "mistralai/Mistral-7B-v0.1",
    "HuggingFaceTB/SmolLM2-135M",
    "google/gemma-2-2b",
)


def generate(root: Path, scenarios: int, per_document: int = 50) -> None:
    """Specs and documents with twenty claims about each scenario, each scenario unlike all others."""
    for first in range(0, scenarios, per_document):
        folder = root / f"document-{first}"
        folder.mkdir(parents=True)
        numbers = range(first, min(first + per_document, scenarios))
        (folder / "document.md").write_text("\n".join(map(_section, numbers)), encoding="utf-8")
        written = "".join(map(_scenario, numbers)), "".join(map(_claims, numbers))
        (folder / "claims.yaml").write_text(
            f"document: document.md\nscenarios:\n{written[0]}claims:\n{written[1]}", encoding="utf-8"
        )


def _scenario(number: int) -> str:
    return (
        f"  s{number}: {{model: {MODELS[number % len(MODELS)]}, method: lora, weights: bf16,"
        f" batch_size: {1 + number % 8}, sequence_length: {512 + number}, gradient_accumulation: 8,"
        f" gradient_checkpointing: true, amp: true, lora: {{rank: {4 + number % 60}, targets: all-linear}},"
        " stack: {trainer: transformers, loss: cross-entropy}, optimizer: adamw,"
        " optimizer_implementation: fused}\n"
    )


_KINDS = (("weights", "GB"), ("peak_memory", "GB"), ("optimizer_states", "GB"), ("trainable_parameters", "M"))


def _section(number: int) -> str:
    lines = [f"## Scenario {number}\n"]
    for claim in range(CLAIMS_PER_SCENARIO):
        kind, unit = _KINDS[claim % len(_KINDS)]
        lines.append(f"Statement {claim}, the {kind}: {1 + claim + number % 7}.5 {unit} here.\n")
    return "\n".join(lines)


def _claims(number: int) -> str:
    lines = [f'  - scenario: s{number}\n    under: "Scenario {number}"\n    claims:\n']
    for claim in range(CLAIMS_PER_SCENARIO):
        kind = _KINDS[claim % len(_KINDS)][0]
        lines.append(f'      - {{quantity: {kind}, quote: "Statement {claim}, the {kind}: {{}} here"}}\n')
    return "".join(lines)


def judged(root: Path) -> CheckResult:
    return check_paths([root], root, TODAY)


def test_generated_claims_are_judged(tmp_path: Path) -> None:
    generate(tmp_path, scenarios=6, per_document=3)
    result = judged(tmp_path)
    assert result.all_findings == ()
    assert len(result.judgements) == 6 * CLAIMS_PER_SCENARIO
    assert result.documents == 2
    assert result.counts[Verdict.UNCHECKED] == 0


def test_work_grows_with_claims_and_no_faster(tmp_path: Path) -> None:
    """Work is counted in calls of Python functions, which no other load of the machine changes."""
    sizes = (20, 40, 80)
    for scenarios in sizes:
        generate(tmp_path / str(scenarios), scenarios, per_document=20)
    judged(tmp_path / str(sizes[-1]))  # what is read or worked out once for all, however many claims there are
    work = [calls(lambda root=tmp_path / str(scenarios): judged(root)) for scenarios in sizes]
    assert work[1] / work[0] < 2.3
    assert work[2] / work[1] < 2.3


@pytest.mark.benchmark(group="check")
@pytest.mark.parametrize("paths", COLD_SECONDS)
def test_cold_check_of_the_documents(benchmark: BenchmarkFixture, paths: str) -> None:
    command = [sys.executable, "-m", "toolkit", "check", *paths.split()]

    def cold() -> int:
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False).returncode

    assert cold() in {0, 1}  # bytecode is compiled now
    benchmark.pedantic(cold, rounds=7, iterations=1)
    assert benchmark.stats.stats.min < COLD_SECONDS[paths]


@pytest.mark.benchmark(group="check")
def test_cold_imports_of_the_check(benchmark: BenchmarkFixture) -> None:
    timed = "import toolkit.cli.check, toolkit.report.text, toolkit.spec.load"
    code = f"from time import perf_counter as now; start = now(); {timed}; print(now() - start)"

    def imported() -> float:
        command = [sys.executable, "-c", code]
        return float(subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout)

    imported()
    seconds = [benchmark.pedantic(imported, rounds=1, iterations=1), *(imported() for _ in range(6))]
    assert min(seconds) < IMPORT_SECONDS


@pytest.mark.benchmark(group="check")
def test_ten_thousand_claims(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    generate(tmp_path, scenarios=500)
    start = time.perf_counter()
    result = benchmark.pedantic(judged, args=(tmp_path,), rounds=1, iterations=1)
    assert len(result.judgements) == 500 * CLAIMS_PER_SCENARIO
    assert time.perf_counter() - start < MANY_SECONDS
