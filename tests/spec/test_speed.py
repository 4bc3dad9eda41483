"""Loading is linear, and quick enough for thousands of claims."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from toolkit.spec import load_spec


def write(folder: Path, claims: int, scenarios: int) -> Path:
    """A spec of many claims over many scenarios."""
    lines = ["document: d.md", "defaults: {model: Qwen/Qwen2.5-7B}", "scenarios:"]
    lines += [
        f"  s{i}: {{method: qlora, weights: nf4, batch_size: {i % 7 + 1}, lora: {{rank: 16}}, gpu: RTX 4090}}"
        for i in range(scenarios)
    ]
    lines.append("claims:")
    lines += [
        f'  - {{quantity: weights, scenario: s{i % scenarios}, under: "Part {i}", quote: "{{}} for {i}"}}'
        for i in range(claims)
    ]
    path = folder / "many.claims.yaml"
    path.write_text("\n".join(lines))
    return path


def seconds(path: Path) -> float:
    start = time.perf_counter()
    spec, findings = load_spec(path, path.parent)
    taken = time.perf_counter() - start
    assert spec is not None
    assert findings == []
    return taken


def test_ten_thousand_claims_take_seconds_at_most(tmp_path: Path) -> None:
    path = write(tmp_path, 10_000, 500)
    assert min(seconds(path) for _ in range(2)) < 3


@pytest.mark.benchmark(group="load")
def test_load_ten_thousand_claims(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    path = write(tmp_path, 10_000, 500)
    spec, _ = benchmark.pedantic(load_spec, (path, tmp_path), rounds=3, warmup_rounds=1)
    assert spec is not None
    assert len(spec.claims) == 10_000


@pytest.mark.parametrize(
    "line",
    [
        "  - {{quantity: weights, scenario: nope{i}, quote: 'a {{}}'}}",
        "  - {{quantity: wieghts{i}, scenario: full, quote: 'a {{}}'}}",
        "  - {{quantity: weights, qoute{i}: x}}",
        "  - 5",
        "  - {{quantity: steps, quote: 'same {{}}'}}",
    ],
)
def test_thousands_of_mistakes_cost_no_more_than_a_few_seconds(line: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    head = "document: d.md\nscenarios: {full: {model: Qwen/Qwen2.5-7B, method: full}}\nclaims:\n"
    path.write_text(head + "\n".join(line.format(i=i) for i in range(2_000)))
    start = time.perf_counter()
    spec, findings = load_spec(path, tmp_path)
    assert time.perf_counter() - start < 6
    assert spec is None
    assert len(findings) >= 1_900


def names(count: int) -> str:
    """Scenarios whose models and GPUs nobody knows."""
    lines = [f"  s{i}: {{model: Qwen/Qwen2.5-{i}B, method: full, gpu: RTX {i}9}}" for i in range(count)]
    return "document: d.md\nscenarios:\n" + "\n".join(lines)


HOSTILE = {
    "unknown models and GPUs": names(3_000) + "\nclaims: [{quantity: steps, quote: 'a {}'}]",
    "unknown scenarios": "document: d.md\nscenarios:\n"
    + "".join(f"  scen{i}: {{model: Qwen/Qwen2.5-7B, method: full}}\n" for i in range(3_000))
    + "claims:\n"
    + "".join(f"  - {{quantity: weights, scenario: scem{i}, quote: 'a {{}}'}}\n" for i in range(3_000)),
    "a chain": "document: d.md\nscenarios:\n"
    + "".join(f"  s{i}: {{extends: s{i + 1}}}\n" for i in range(3_000))
    + "claims: [{quantity: steps, quote: 'a {}'}]",
    "tables": "document: d.md\nclaims:\n"
    + f"  - {{table: T, quantity: steps, rows: {list(range(400))}, columns: {list(range(400))}}}\n" * 20,
    "unknown fields": "document: d.md\nscenarios:\n  a:\n" + "".join(f"    kkk{i}: 1\n" for i in range(50_000)),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_cost_seconds_at_most(text: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    start = time.perf_counter()
    spec, findings = load_spec(path, tmp_path)
    assert time.perf_counter() - start < 12
    assert spec is None
    assert findings
