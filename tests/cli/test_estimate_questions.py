"""`toolkit estimate --solve`, `--compare`, `--advise`, `--from` and `--print-scenario`."""

import json
from pathlib import Path

import pytest

from tests.cli.command import Ran, run
from toolkit.checks.questions.limit import OTHER_NAMES, SOLVABLE
from toolkit.facts.gpus import gpus
from toolkit.spec.training_configs import TOOLS

BASE = ("--model", "Qwen/Qwen2.5-0.5B", "--method", "full", "--weights", "bf16", "--sequence-length", "512")
CONFIG = """\
base_model: Qwen/Qwen2.5-Coder-7B
adapter: qlora
load_in_4bit: true
lora_r: 16
lora_target_linear: true
sequence_len: 2048
micro_batch_size: 2
bf16: auto
gradient_checkpointing: true
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yml").write_text(CONFIG, encoding="utf-8")


def said(ran: Ran) -> dict:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_solving_for_one_card(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("estimate", *BASE, "--solve", "batch_size", "--gpu", "RTX 4090")
    answer = said(run(capsys, *asked, "--format", "json"))["solve"]
    (card,) = answer["gpus"]
    assert answer["field"] == "batch_size"
    assert card["gpu"] == "GeForce RTX 4090"
    assert 1 <= card["surely"]["value"] <= card["perhaps"]["value"]
    assert card["surely"]["peak"]["device"][1] < card["usable"][0]
    assert card["surely"]["one_more"]["bytes"] > 0
    text = run(capsys, *asked).out
    assert f"batch_size {card['surely']['value']:,} surely fits" in text
    assert f"largest row: {card['surely']['largest_row']['row']}" in text
    assert "one more takes " in text


def test_solving_for_a_list_of_cards_and_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("estimate", *BASE, "--gradient-checkpointing", "true", "--solve", "batch_size")
    two = said(run(capsys, *asked, "--gpu", "RTX 4090,A100 80GB", "--format", "json"))["solve"]["gpus"]
    assert [card["gpu"] for card in two] == ["GeForce RTX 4090", "A100 80GB"]
    every = said(run(capsys, *asked, "--format", "json"))["solve"]["gpus"]
    assert len(every) == len(gpus())
    same = {card["gpu"]: card for card in every}["GeForce RTX 4090"]
    assert 1 <= same["surely"]["value"] <= two[0]["surely"]["value"], "of many cards nothing is replayed"
    text = run(capsys, *asked).out
    assert "GeForce RTX 4090" in text
    assert "largest row" in text


@pytest.mark.parametrize(("name", "field"), OTHER_NAMES.items())
def test_a_field_may_be_called_as_other_tools_call_it(
    capsys: pytest.CaptureFixture[str], name: str, field: str
) -> None:
    assert field in SOLVABLE
    if field == "batch_size":
        asked = ("estimate", *BASE, "--gpu", "L4", "--format", "json", "--solve")
        assert said(run(capsys, *asked, name))["solve"] == said(run(capsys, *asked, field))["solve"]


def test_nothing_and_everything(capsys: pytest.CaptureFixture[str]) -> None:
    big = ("--model", "meta-llama/Llama-3.1-70B", "--method", "full", "--solve", "batch_size", "--gpu", "RTX 4090")
    none = run(capsys, "estimate", *big)
    assert none.code == 0
    assert "no batch_size fits, not even 1" in none.out
    assert "largest row: optimizer_states" in none.out
    tiny = ("--model", "Qwen/Qwen2.5-0.5B", "--method", "inference", "--generated-length", "0", "--batch-size", "1")
    every = run(capsys, "estimate", *tiny, "--solve", "sequence_length", "--gpu", "B200")
    assert "every sequence_length up to 32,768 fits; the model has 32,768 positions" in every.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*BASE, "--solve", "btch_size"), "did you mean batch_size?"),
        ((*BASE, "--solve", "lora.r"), "method full has no adapters"),
        ((*BASE, "--solve", "generated_length"), "training generates nothing"),
        ((*BASE, "--solve", "max_model_len"), "is for stack.trainer vllm"),
        ((*BASE, "--solve", "batch_size", "--gpu", "RTX 4091"), "RTX 4090"),
        ((*BASE, "--solve", "batch_size", "--advise"), "not allowed with"),
        ((*BASE, "--compare", "optimiser=adamw_8bit"), "did you mean optimizer"),
        ((*BASE, "--compare", "optimizer"), "says no value of optimizer"),
        ((*BASE, "--compare", "optimizer=adamw_9bit"), "write adamw_8bit"),
        ((*BASE, "--compare", "lora.rank=8"), "lora.rank is for adapters"),
        (("--from", "axolotl", "nowhere.yml"), "S111"),
        (("--from", "axlotl", "config.yml"), "invalid choice"),
    ],
)
def test_trouble_is_two(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    ran = run(capsys, "estimate", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert message in ran.err


def test_comparing(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("estimate", *BASE, "--batch-size", "4", "--compare", "optimizer=adamw_8bit")
    answer = said(run(capsys, *asked, "--compare", "gradient_checkpointing=true,batch_size=2", "--format", "json"))[
        "comparisons"
    ]
    assert [one["change"] for one in answer] == ["optimizer=adamw_8bit", "gradient_checkpointing=true,batch_size=2"]
    for one in answer:
        for phase in one["phases"]:
            for row in (*phase["rows"], phase["total"]):
                assert row["after"] - row["before"] == row["difference"]
            assert phase["total"]["before"] == sum(row["before"] for row in phase["rows"])
            assert phase["total"]["after"] == sum(row["after"] for row in phase["rows"])
        assert one["peak"]["before"] == max(phase["total"]["before"] for phase in one["phases"])
    text = run(capsys, *asked).out
    assert "with optimizer=adamw_8bit" in text
    assert "optimizer_states" in text
    assert "no GPU fits that did not" in text  # backward is the peak, before and after
    fewer = ("estimate", *BASE, "--batch-size", "4", "--compare", "gradient_checkpointing=true,batch_size=1")
    assert "newly fits: " in run(capsys, *fewer).out


def test_a_list_within_a_change_is_one_value(capsys: pytest.CaptureFixture[str]) -> None:
    change = "method=lora,lora.rank=8,lora.targets=[q_proj,v_proj]"
    found = said(run(capsys, "estimate", *BASE, "--compare", change, "--format", "json"))["comparisons"][0]
    assert found["change"] == change
    assert found["peak"]["difference"] < 0


def test_advice(capsys: pytest.CaptureFixture[str]) -> None:
    answer = said(run(capsys, "estimate", *BASE, "--batch-size", "4", "--advise", "--format", "json"))["advice"]
    savings = [one["peak"]["difference"] for one in answer]
    assert savings == sorted(savings)
    assert "optimizer=adamw_8bit" in {one["change"] for one in answer}
    assert "needs bitsandbytes" in run(capsys, "estimate", *BASE, "--batch-size", "4", "--advise").out


def test_another_tools_file_is_a_scenario_like_any(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    direct = said(run(capsys, "estimate", "--from", "axolotl", "config.yml", "--format", "json"))
    kept = run(capsys, "estimate", "--from", "axolotl", "config.yml", "--print-scenario")
    assert kept.out.startswith("# read from config.yml, a configuration of axolotl\nmodel: Qwen/Qwen2.5-Coder-7B")
    (tmp_path / "scenario.yaml").write_text(kept.out, encoding="utf-8")
    again = said(run(capsys, "estimate", "scenario.yaml", "--format", "json"))
    for part in ("phases", "peak", "parameters", "fits", "open"):
        assert direct[part] == again[part]
    as_json = run(capsys, "estimate", "--from", "axolotl", "config.yml", "--as-spec", "--format", "json")
    assert said(as_json)["batch_size"] == 2


def test_the_tool_may_be_told_by_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "estimate", "--from", "auto", "config.yml", "--gpu", "RTX 4090", "--solve", "batch_size")
    assert ran.code == 0
    assert "read as a configuration of axolotl, by its keys" in ran.err
    assert "batch_size of the scenario is asked for anew" in ran.err


def test_a_field_of_a_file_and_one_of_a_flag_are_asked_anew_alike(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The rank that is found does not hang on the one that is said, nor on where it is said."""
    asked = ("--solve", "lora.rank", "--gpu", "L4", "--format", "json")
    lora = ("--model", "Qwen/Qwen2.5-0.5B", "--method", "lora", *BASE[4:], "--batch-size", "4")
    text = "model: Qwen/Qwen2.5-0.5B\nmethod: lora\nweights: bf16\nsequence_length: 512\nbatch_size: 4\n"
    (tmp_path / "scenario.yaml").write_text(f"{text}lora:\n  rank: 16\n", encoding="utf-8")
    answers = [
        run(capsys, "estimate", *said, *asked) for said in (lora, (*lora, "--lora-rank", "16"), ("scenario.yaml",))
    ]
    assert ["lora.rank of the scenario is asked for anew" in ran.err for ran in answers] == [False, True, True]
    assert len({json.dumps(said(ran)["solve"]) for ran in answers}) == 1
    ran = run(capsys, "estimate", *lora, "--solve", "batch_size", "--gpu", "L4")
    assert "batch_size of the scenario is asked for anew" in ran.err


def test_what_is_not_read_is_on_stderr_and_stops_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(CONFIG + "torch_compile: true\nstrange: 1\n", encoding="utf-8")
    ran = run(capsys, "estimate", "--from", "axolotl", "config.yml")
    assert ran.code == 0
    assert "config.yml:10:16: S115 torch_compile: " in ran.err
    assert "config.yml:11:1: S116 strange is not read" in ran.err
    for question in ((), ("--advise",), ("--compare", "batch_size=1"), ("--solve", "batch_size", "--gpu", "L4")):
        asked = ("estimate", "--from", "axolotl", "config.yml", *question, "--format", "json")
        read = said(run(capsys, *asked))["read"]
        assert read["tool"] == "axolotl"
        assert read["fields"]["batch_size"] == "micro_batch_size"
        # torch_compile and the strange key; axolotl's own kernels for adapters are followed
        assert [one["code"] for one in read["findings"]] == ["S115", "S116"]


def test_help_names_the_tools_and_the_questions(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "estimate", "--help").out
    for word in (*TOOLS, "--solve", "--compare", "--advise", "--print-scenario"):
        assert word in shown
