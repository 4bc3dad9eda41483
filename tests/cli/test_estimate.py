"""`toolkit estimate`: from a file and from flags, as text and as JSON."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cli.command import Ran, run
from toolkit.cli.field_flags import OTHER_FLAGS, flag_of
from toolkit.facts.gpus import gpus
from toolkit.spec.fields.registry import FIELDS

DECIDED = (
    *("--model", "Qwen/Qwen2.5-Coder-7B", "--method", "lora", "--weights", "bf16", "--batch-size", "2"),
    *("--sequence-length", "512", "--gradient-accumulation", "8", "--gradient-checkpointing", "true"),
    *(
        "--lora-rank",
        "16",
        "--lora-targets",
        "q_proj,v_proj",
        "--stack-trainer",
        "transformers",
        "--amp",
        "true",
    ),
    *("--stack-loss", "cross-entropy", "--optimizer", "adamw", "--optimizer-implementation", "fused"),
    *("--attention", "sdpa"),
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(ran: Ran) -> dict:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_a_decided_scenario_has_one_peak(capsys: pytest.CaptureFixture[str]) -> None:
    answer = said(run(capsys, "estimate", *DECIDED, "--format", "json"))
    assert answer["open"] == {}
    totals = [phase["total"] for phase in answer["phases"]]
    assert answer["peak"]["allocated"] == max(totals)
    for phase in answer["phases"]:
        assert phase["total"] == sum(row["bytes"] for row in phase["rows"])
        assert all(set(row) == {"row", "bytes", "formula"} for row in phase["rows"])
    assert answer["parameters"] == {"total": 7_620_662_784, "trainable": 5_046_272}
    assert answer["scenario"]["lora"]["targets"] == ["q_proj", "v_proj"]
    low, high = answer["peak"]["device"]
    assert answer["peak"]["allocated"] <= low <= high
    assert {fit["gpu"] for fit in answer["fits"]} == {gpu.name for gpu in gpus()}


def test_open_fields_give_an_interval_and_the_ledger_of_its_upper_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    open_batch = [*DECIDED[:7], "1..8", *DECIDED[8:]]
    answer = said(run(capsys, "estimate", *open_batch, "--format", "json"))
    low, high = answer["peak"]["allocated"]
    assert low < high == max(phase["total"] for phase in answer["phases"])
    assert answer["open"] == {"batch_size": {"from": 1, "to": 8}}
    assert answer["setting"] == {"batch_size": 8}
    listed = [*DECIDED[:7], "1,4,8", *DECIDED[8:]]
    assert said(run(capsys, "estimate", *listed, "--format", "json"))["peak"] == answer["peak"]


def test_a_file_says_the_same_as_flags(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(
        "model: Qwen/Qwen2.5-Coder-7B\nmethod: lora\nweights: bf16\nbatch_size: 2\nsequence_length: 512\n"
        "gradient_accumulation: 8\ngradient_checkpointing: true\n"
        "lora: {rank: 16, targets: [q_proj, v_proj]}\n"
        "amp: true\nstack: {trainer: transformers, loss: cross-entropy}\noptimizer: adamw\n"
        "optimizer_implementation: fused\nattention: sdpa\n",
        encoding="utf-8",
    )
    by_file = said(run(capsys, "estimate", "scenario.yaml", "--format", "json"))
    by_flags = said(run(capsys, "estimate", *DECIDED, "--format", "json"))
    for part in ("phases", "peak", "parameters", "fits"):
        assert by_file[part] == by_flags[part]


def test_text_shows_ledger_peak_and_cards(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "estimate", *DECIDED)
    assert ran.code == 0
    for word in (
        "weights",
        "backward",
        "allocated",
        "reserved",
        "device",
        "5,046,272 trained",
        "GPUs; the smallest:",
    ):
        assert word in ran.out
    named = run(capsys, "estimate", *DECIDED, "--gpu", "RTX 4090")
    assert "GeForce RTX 4090: it " in named.out


def test_a_named_card_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    answer = said(run(capsys, "estimate", *DECIDED, "--gpu", "RTX 3060 12GB", "--format", "json"))
    assert answer["fits"][0]["gpu"] == "GeForce RTX 3060 12GB"
    assert answer["fits"][0]["verdict"] == "no"
    assert len({fit["gpu"] for fit in answer["fits"]}) == len(answer["fits"])


def test_cards_are_sorted_and_larger_ones_fit_no_less(capsys: pytest.CaptureFixture[str]) -> None:
    fits = said(run(capsys, "estimate", *DECIDED, "--format", "json"))["fits"]
    assert all(first["usable"][0] <= second["usable"][0] for first, second in pairwise(fits))
    assert fits[0]["verdict"] == "no"
    assert fits[-1]["verdict"] == "yes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no scenario"),
        (["--model", "Qwen/Qwen2.5-Coder-7"], "Qwen/Qwen2.5-Coder-7B"),
        (["--model", "Qwen/Qwen2.5-Coder-7B", "--method", "qlora", "--weights", "nf5"], "write nf4"),
        (["--model", "Qwen/Qwen2.5-Coder-7B", "--method", "full", "--gpu", "RTX 4091"], "RTX 4090"),
        (["--model", "Qwen/Qwen2.5-Coder-7B", "--method", "full", "--batch-size", "8..1"], "backwards"),
        (["nowhere.yaml"], "S111"),
        (["--from", "trl", "--method", "full"], "no file to read"),
        (["--modle", "x"], "unrecognized"),
    ],
)
def test_trouble_is_two(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    ran = run(capsys, "estimate", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert message in ran.err


def test_a_flag_says_a_field_of_the_file_anew(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = [
        f"{flag.removeprefix('--').replace('-', '_')}: {value}"
        for flag, value in zip(DECIDED[::2], DECIDED[1::2], strict=True)
    ]
    flat = [one for one in lines if not one.startswith(("lora_", "stack_"))]
    text = "\n".join([*flat, "lora: {rank: 16, targets: [q_proj, v_proj]}", "stack: {trainer: transformers}", ""])
    (tmp_path / "scenario.yaml").write_text(text, encoding="utf-8")
    anew = said(run(capsys, "estimate", "scenario.yaml", "--batch-size", "4", "--format", "json"))
    assert anew["scenario"]["batch_size"] == 4
    full = said(run(capsys, "estimate", "scenario.yaml", "--method", "full", "--format", "json"))
    assert "lora" not in full["scenario"], "what does not belong to the changed scenario is left out"


def test_every_field_has_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "estimate", "--help").out
    for name in FIELDS:
        assert flag_of(name) in shown
    assert len({flag_of(name) for name in FIELDS}) == len(FIELDS)


def test_a_config_may_be_written_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(
        "model: {model_type: llama, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2,\n"
        "        num_attention_heads: 4, vocab_size: 100}\n"
        "method: inference\nweights: bf16\nbatch_size: 1\nsequence_length: 128\n",
        encoding="utf-8",
    )
    answer = said(run(capsys, "estimate", "scenario.yaml", "--format", "json"))
    assert answer["parameters"]["total"] == 95_040  # 2 x 100 x 64 + 2 x (4 x 64² + 3 x 64 x 128 + 2 x 64) + 64
    assert answer["scenario"]["model"]["hidden_size"] == 64
    assert "a config written out, inference" in run(capsys, "estimate", "scenario.yaml").out


def test_what_no_formula_covers_is_refused_by_name_with_the_command_that_may_do_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "scenario.yaml").write_text(
        "model: {model_type: rwkv, hidden_size: 64}\nmethod: inference\nweights: bf16\n", encoding="utf-8"
    )
    ran = run(capsys, "estimate", "scenario.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert "no family here reads the model type 'rwkv'" in ran.err
    assert "`toolkit trace` may do it" in ran.err
    for others in (("--stack-trainer", "autoawq"), ("--weights", "awq-int4", "--kernels-gptq", "exllama")):
        asked = ("--model", "meta-llama/Llama-3.1-8B", "--method", "inference", "--batch-size", "1", *others)
        ran = run(capsys, "estimate", *asked, "--sequence-length", "512")
        assert ran.code == 2
        assert "toolkit trace" not in ran.err


SPREAD = (
    *("--model", "Qwen/Qwen2.5-72B-Instruct", "--method", "inference", "--weights", "bf16", "--batch-size", "1"),
    *("--sequence-length", "6144", "--generated-length", "64", "--attention", "flash", "--gpu", "A100 80GB"),
    *("--stack-transformers", "4.46.0", "--stack-trainer", "transformers"),
    *("--parallel-gpus", "2", "--parallel-strategy", "pipeline"),
)


def test_an_estimate_of_several_gpus_says_which_one_it_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    answer = said(run(capsys, "estimate", *SPREAD, "--format", "json"))
    first, second = answer["gpus"]["each"]
    assert (answer["gpus"]["count"], answer["gpus"]["strategy"]) == (2, "pipeline")
    assert first["holds"] == "embeddings, layers 0 to 38"
    assert second["holds"] == "layers 39 to 79, the last norm, the output projection"
    assert answer["peak"]["allocated"] == max(first["allocated"], second["allocated"])
    text = run(capsys, "estimate", *SPREAD).out
    assert "GiB on GPU 1 of 2 GPUs" in text
    assert "on GPU 1 of 2 GPUs (pipeline), at prefill" in text


def test_where_gpus_are_alike_an_estimate_is_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    spread = ("--parallel-gpus", "8", "--parallel-strategy", "zero2", "--parallel-buckets", "deepspeed")
    full = [*DECIDED[:2], "--method", "full", *DECIDED[4:12], "--parallel-offload", "optimizer", *spread]
    rest = ("--stack-trainer", "plain", "--optimizer", "adamw", "--amp", "true", "--stack-loss", "cross-entropy")
    answer = said(run(capsys, "estimate", *full, *rest, "--format", "json"))
    assert answer["gpus"] == {"count": 8, "strategy": "zero2", "phases_of": "each"}
    assert "GiB on each of 8 GPUs" in run(capsys, "estimate", *full, *rest).out


def test_an_estimate_of_one_gpu_says_nothing_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert "gpus" not in said(run(capsys, "estimate", *DECIDED, "--format", "json"))
    assert "GPUs (" not in run(capsys, "estimate", *DECIDED).out


def test_a_field_that_is_assumed_without_another_choice_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--model", "meta-llama/Llama-3.1-8B", "--method", "inference", "--sequence-length", "512")
    ran = run(capsys, "estimate", *asked, "--batch-size", "1")
    assert "assumed without another choice: weights bf16, padding no, attention sdpa" in ran.out
    assert said(run(capsys, "estimate", *asked, "--format", "json"))["assumed"]["weights"] == "bf16"
    engine = ("--stack-trainer", "vllm", "--gpu", "RTX 4090", "--engine-max-model-len", "512")
    assert "assumed without another choice: weights bf16\n" in run(capsys, "estimate", *asked, *engine).out


@pytest.mark.parametrize("targets", ["mlp", "mlp,attn"])
def test_one_name_is_a_list_of_one_where_a_field_is_a_list(capsys: pytest.CaptureFixture[str], targets: str) -> None:
    ran = run(
        capsys, "estimate", "--model", "HuggingFaceTB/SmolLM2-135M", "--method", "full", "--batch-size", "1",
        "--sequence-length", "64", "--optimizer", "galore_adamw", "--galore-rank", "8", "--galore-targets", targets,
        "--format", "json",
    )  # fmt: skip
    assert said(ran)["scenario"]["galore"]["targets"] == targets.split(",")


def test_the_configuration_of_another_tool_asks_for_it_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "qlora.yml").write_text("base_model: a/b\nadapter: qlora\nmicro_batch_size: 2\n", encoding="utf-8")
    ran = run(capsys, "estimate", "qlora.yml")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "toolkit: qlora.yml:1:1: S105 this is a configuration of axolotl, no scenario (add --from axolotl)"
    ]


def test_a_quantized_copy_of_a_known_model_is_told_how_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "estimate", "--model", "Qwen/Qwen2.5-7B-Instruct-AWQ", "--method", "inference")
    assert ran.code == 2
    assert "(write Qwen/Qwen2.5-7B-Instruct with weights awq-int4, or" in ran.err


@pytest.mark.parametrize(
    "asked",
    [
        ("--model", "microsoft/deberta-v3-small"),  # which transformers has no language model's head for
        ("--model", "meta-llama/Llama-3.1-8B", "--weights", "fp8", "--parallel-gpus", "8",
         "--parallel-strategy", "tensor"),
    ],
)  # fmt: skip
def test_a_trace_is_not_offered_for_what_none_does(capsys: pytest.CaptureFixture[str], asked: tuple[str, ...]) -> None:
    ran = run(capsys, "estimate", *asked, "--method", "inference", "--batch-size", "1", "--sequence-length", "64")
    assert ran.code == 2
    assert "cannot be computed" in ran.err
    assert "toolkit trace" not in ran.err


SERVED = (
    *("--model", "meta-llama/Llama-3.1-8B-Instruct", "--method", "inference", "--stack-trainer", "vllm"),
    *("--gpu", "RTX 4090", "--engine-max-model-len", "8192", "--format", "json"),
)


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        # Its share is at least 21.1 GiB: 15 of weights, 1 of a sequence, and at most 1.2 of the profile run.
        (("--stack-vllm", "0.11.0"), "yes"),
        # Without a release nothing says what a profile run takes.
        ((), "maybe"),
        # A share that leaves the context no room.
        (("--stack-vllm", "0.11.0", "--engine-gpu-memory-utilization", "0.99"), "maybe"),
        # 15 GiB are more than a third of 24.
        (("--stack-vllm", "0.11.0", "--engine-gpu-memory-utilization", "0.33"), "no"),
    ],
)
def test_vllm_fits_where_it_surely_starts(
    capsys: pytest.CaptureFixture[str], more: tuple[str, ...], verdict: str
) -> None:
    assert said(run(capsys, "estimate", *SERVED, *more))["fits"][0]["verdict"] == verdict


@pytest.mark.parametrize(
    ("flag", "meant"),
    [("--seq-len", "--sequence-length"), ("--num-gpus", "--parallel-gpus"), ("--sequence-lenght", "--sequence-length")],
)
def test_a_flag_that_is_none_names_the_nearest(capsys: pytest.CaptureFixture[str], flag: str, meant: str) -> None:
    ran = run(capsys, "estimate", "--model", "Qwen/Qwen2.5-0.5B", "--method", "full", flag, "1")
    assert ran.code == 2
    assert f"unrecognized arguments: {flag}" in ran.err
    assert meant in ran.err.rpartition("did you mean ")[2]


def test_what_other_tools_flags_are_here_are_flags() -> None:
    flags = {flag_of(name) for name in FIELDS}
    assert not flags & OTHER_FLAGS.keys()
    meant = [word for text in OTHER_FLAGS.values() for word in text.split() if word.startswith("--")]
    assert set(meant) <= flags


def test_the_row_that_decides_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Llama 3.1 8B: 8,030,261,248 parameters of two bytes are 14.96 GiB, and 512 tokens next to nothing beside them."""
    asked = ("--model", "meta-llama/Llama-3.1-8B", "--method", "inference", "--weights", "bf16", "--batch-size", "1")
    ran = run(capsys, "estimate", *asked, "--sequence-length", "512", "--generated-length", "1")
    (shown,) = [text for text in ran.out.splitlines() if text.startswith("  largest row")]
    assert shown.split()[2:5] == ["weights,", "14.96", "GiB"]
    found = said(run(capsys, "estimate", *asked, "--sequence-length", "512", "--format", "json"))
    assert found["peak"]["largest_row"] == "weights"


def test_an_own_loop_has_both_ends_of_how_long_it_keeps_what_the_model_gives(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As any open setting: unless it is said, the peak is that of a loop that lets go, and of one that does not."""
    loop = [*("plain" if one == "transformers" else one for one in DECIDED), "--gpu", "RTX 4090"]

    def peak(*more: str) -> dict:
        return said(run(capsys, "estimate", *loop, *more, "--format", "json"))["peak"]

    each = [peak("--stack-result", result) for result in ("loss", "step", "next")]
    both, ends = peak(), [one["allocated"] for one in each]
    assert both["allocated"] == [min(ends), max(ends)]
    assert ends[0] == min(ends) < max(ends)
    for kind in ("reserved", "device"):
        assert both[kind] == [min(one[kind][0] for one in each), max(one[kind][1] for one in each)]
    text = run(capsys, "estimate", *loop).out
    assert "stack.result: loss | step | next" in text
    assert "stack.result" not in run(capsys, "estimate", *loop, "--stack-result", "loss").out.partition("\n")[2]
