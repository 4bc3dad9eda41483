"""The pytest plugin in runs of pytest of its own: what it collects, skips, counts, splits and leaves alone."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.memory.measure.jobs import CONFIG, WORKER

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = "# Needs\n\nFull fine-tuning needs ~1 GB of VRAM. Inference needs ~1 GB as well.\n"
SPEC = """\
document: document.md
scenarios:
  full: {model: config.json, method: full, weights: bf16, compute: bf16, amp: false, optimizer: adamw, batch_size: 1,
    sequence_length: 64, gradient_accumulation: 1, gradient_checkpointing: false, attention: sdpa, master_weights: null,
    stack: {trainer: transformers, torch: "2.11"}, gpu: H100}
  inference: {model: config.json, method: inference, weights: bf16, compute: bf16,
    sequence_length: 32, generated_length: 3, attention: sdpa, gpu: H100}
claims:
  - {quantity: peak_memory, scenario: full, quote: "tuning needs ~{1 GB} of VRAM"}
  - {quantity: peak_memory, scenario: inference, quote: "Inference needs ~{1 GB} as well"}
"""
NO_GPU = "def seen_gpu(): return 'no GPU is here'\n"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with one spec and one ordinary test, in which no GPU is seen."""
    import json

    specs = pytester.mkdir("specs")
    (specs / "claims.yaml").write_text(SPEC, "utf-8")
    (specs / "document.md").write_text(DOCUMENT, "utf-8")
    (specs / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    pytester.makepyfile(test_own="import pytest\n@pytest.mark.gpu\ndef test_own(): pass\ndef test_plain(): pass\n")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):  # this run's, where it has several processes
        monkeypatch.delenv(name, raising=False)
    return pytester


def run(project: pytest.Pytester, *arguments: str, plugin: str = "toolkit.plugins.pytest") -> pytest.RunResult:
    return project.runpytest_subprocess("-p", plugin, "-p", "no:cacheprovider", "--strict-markers", *arguments)


def needs_torch_and_peft() -> None:
    """Looks without importing: what is imported beside `pytester` is forgotten, and torch cannot be imported twice."""
    for name in ("torch", "peft"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


def lines(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines)


def test_without_a_gpu_every_measurement_is_skipped_and_the_run_is_green(project: pytest.Pytester) -> None:
    result = run(project, "-m", "gpu", "specs")
    result.assert_outcomes(skipped=3)
    assert result.ret == 0
    assert re.search(r"measurements: 0 made, 3 not measured; \S", lines(result))


def test_a_scenario_is_an_item_for_its_first_its_smallest_and_its_largest_setting(project: pytest.Pytester) -> None:
    found = lines(run(project, "-m", "gpu", "--collect-only", "-q", "specs"))
    assert [line for line in found.splitlines() if "::" in line] == [
        "specs/claims.yaml::full",
        "specs/claims.yaml::inference",
        "specs/claims.yaml::inference[batch_size=8]",
    ]


def test_a_scenario_that_nothing_measures_is_an_item_that_says_why(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_card(project, 80)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{project.path}")
    spec = project.path / "specs" / "claims.yaml"
    spec.write_text(SPEC.replace("generated_length: 3", "generated_length: 3, loading: moved"), "utf-8")
    result = run(project, "-p", "fake_card", "-m", "gpu", "-k", "inference", "specs")
    result.assert_outcomes(skipped=1, deselected=1)
    assert "1 not measured; loading moved is not measured: the model is made on the GPU" in lines(result)


@pytest.mark.parametrize("arguments", [(), ("-m", "not gpu"), ("-m", "not slow"), ("-k", "gpu")])
def test_a_run_that_asks_for_no_measurement_collects_none(project: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    result = run(project, *arguments)
    assert "claims.yaml" not in lines(result)
    assert "measurements:" not in lines(result)


def test_tests_of_others_are_left_alone_unless_asked(project: pytest.Pytester) -> None:
    run(project, "-m", "gpu", "test_own.py").assert_outcomes(passed=1, deselected=1)
    project.makeini("[pytest]\nvram_markers = true\n")
    run(project, "test_own.py").assert_outcomes(passed=1, skipped=1)


def test_a_plain_run_imports_nothing_of_the_toolkit_but_the_plugin(project: pytest.Pytester) -> None:
    project.makeconftest(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    print('LOADED', sorted(name for name in sys.modules if name.split('.')[0] in"
        " ('toolkit', 'torch', 'transformers', 'pydantic', 'yaml')))\n"
    )
    found = lines(run(project, "-s", "test_own.py"))
    assert "LOADED ['toolkit', 'toolkit.plugins', 'toolkit.plugins.pytest']" in found


def test_parts_of_a_campaign_are_disjoint_and_whole(project: pytest.Pytester) -> None:
    every = []
    for number in (1, 2, 3):
        found = lines(run(project, "-m", "gpu", "--collect-only", "-q", "--vram-shard", f"{number}/3", "specs"))
        every += [line for line in found.splitlines() if "::" in line]
    assert len(every) == len(set(every)) == 3


@pytest.mark.parametrize("shard", ["0/3", "4/3", "a", "1/0"])
def test_a_part_that_there_is_not_is_refused(project: pytest.Pytester, shard: str) -> None:
    result = run(project, "-m", "gpu", "--vram-shard", shard, "specs")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "K/N" in "\n".join(result.errlines)


def test_a_broken_spec_is_an_error_of_collection(project: pytest.Pytester) -> None:
    (project.path / "specs" / "claims.yaml").write_text("document: document.md\nscenarios: [", "utf-8")
    result = run(project, "-m", "gpu", "specs")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "claims.yaml:2" in lines(result)


def with_card(project: pytest.Pytester, gib: int, name: str = "NVIDIA H100 80GB HBM3") -> None:
    """A card by name alone; processes that measure run on the accounting device of these tests."""
    project.makepyfile(
        fake_card=f"""
        import sys
        from toolkit.memory.measure import gpu, process
        card = gpu.SeenGpu({name!r}, {gib} << 30, 0, "1")
        gpu.seen_gpu = lambda: card
        from toolkit.plugins import measurement
        measurement.seen_gpu = gpu.seen_gpu
        process.WORKER = ({sys.executable!r}, {str(WORKER)!r})
        """
    )
    project.syspathinsert()


def test_a_card_that_is_too_small_is_a_reason(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    with_card(project, 0)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{project.path}")
    result = run(project, "-p", "fake_card", "-m", "gpu", "specs")
    result.assert_outcomes(skipped=3)
    assert "needs 1 GiB, and NVIDIA H100 80GB HBM3 has 0.0" in lines(result)


def test_gpu_name_is_a_word_of_the_cards_name(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    with_card(project, 80)
    project.makeini("[pytest]\nvram_markers = true\n")
    project.makepyfile(
        test_names="import pytest\n"
        "@pytest.mark.gpu_name('a100', 'h100')\ndef test_one(): pass\n"
        "@pytest.mark.gpu_name('A100')\ndef test_other(): pass\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{project.path}")
    result = run(project, "-p", "fake_card", "-rs", "test_names.py")
    result.assert_outcomes(passed=1, skipped=1)
    assert "needs A100, and the GPU is NVIDIA H100 80GB HBM3" in lines(result)


@pytest.mark.reference
def test_a_measurement_is_compared_and_its_ledgers_shown_side_by_side(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Peaks of the accounting device are a CPU's, without workspaces: they fail, and exact rows do not."""
    needs_torch_and_peft()
    with_card(project, 80)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{project.path}")
    result = run(project, "-p", "fake_card", "-m", "gpu", "-k", "full", "--vram-write", "specs")
    result.assert_outcomes(failed=1, deselected=2)
    found = lines(result)
    assert re.search(r"computed +traced +measured", found)
    assert "peak allocated: computed" in found
    assert "exact rows" not in found
    assert "measurements: 1 made, 0 not measured" in found
    (record,) = (project.path / "specs" / "evidence").iterdir()
    assert record.name.startswith("measured-full-")
