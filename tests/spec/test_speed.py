"""Loading is linear, and quick enough for thousands of claims."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.work import calls
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


def load(path: Path) -> int:
    """How much work it takes to load a spec without mistakes."""

    def loaded() -> None:
        spec, findings = load_spec(path, path.parent)
        assert spec is not None
        assert findings == []

    return calls(loaded)


def test_work_grows_with_claims_and_no_faster(tmp_path: Path) -> None:
    load(write(tmp_path, 100, 10))  # what is read once for all
    assert load(write(tmp_path, 2_000, 100)) < 2.3 * load(write(tmp_path, 1_000, 50))


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
def test_work_grows_with_mistakes_and_no_faster(line: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    head = "document: d.md\nscenarios: {full: {model: Qwen/Qwen2.5-7B, method: full}}\nclaims:\n"

    def refuse(count: int) -> int:
        path.write_text(head + "\n".join(line.format(i=i) for i in range(count)))

        def refused() -> None:
            spec, findings = load_spec(path, tmp_path)
            assert spec is None
            assert len(findings) >= 0.9 * count

        return calls(refused)

    refuse(10)
    assert refuse(1_000) < 2.3 * refuse(500)


def names(count: int) -> str:
    """Scenarios whose models and GPUs nobody knows."""
    lines = [f"  s{i}: {{model: Qwen/Qwen2.5-{i}B, method: full, gpu: RTX {i}9}}" for i in range(count)]
    return "document: d.md\nscenarios:\n" + "\n".join(lines)


HOSTILE: dict[str, Callable[[int], str]] = {
    "unknown models and GPUs": lambda n: names(n) + "\nclaims: [{quantity: steps, quote: 'a {}'}]",
    "unknown scenarios": lambda n: (
        "document: d.md\nscenarios:\n"
        + "".join(f"  scen{i}: {{model: Qwen/Qwen2.5-7B, method: full}}\n" for i in range(n))
        + "claims:\n"
        + "".join(f"  - {{quantity: weights, scenario: scem{i}, quote: 'a {{}}'}}\n" for i in range(n))
    ),
    "a chain": lambda n: (
        "document: d.md\nscenarios:\n"
        + "".join(f"  s{i}: {{extends: s{i + 1}}}\n" for i in range(n))
        + "claims: [{quantity: steps, quote: 'a {}'}]"
    ),
    "tables": lambda n: (
        "document: d.md\nclaims:\n"
        + f"  - {{table: T, quantity: steps, rows: {list(range(320))}, columns: {list(range(320))}}}\n" * (n // 500 + 1)
    ),
    "unknown fields": lambda n: "document: d.md\nscenarios:\n  a:\n" + "".join(f"    kkk{i}: 1\n" for i in range(n)),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_work_grows_with_hostile_files_and_no_faster(text: Callable[[int], str], tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"

    def refuse(count: int) -> int:
        path.write_text(text(count))

        def refused() -> None:
            spec, findings = load_spec(path, tmp_path)
            assert spec is None
            assert findings

        return calls(refused)

    refuse(100)
    assert refuse(1_000) < 2.3 * refuse(500)
