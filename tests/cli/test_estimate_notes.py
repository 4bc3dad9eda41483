"""What `toolkit estimate` says beside an answer, and what it does not answer."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run

ASKED = ("--method", "lora", "--weights", "bf16", "--batch-size", "1", "--sequence-length", "64")
SMALL = ("estimate", "--model", "HuggingFaceTB/SmolLM2-135M", *ASKED)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--lora-rank", "65537"), "rank: 65,537 is too large: the most that can be said is 65,536"),
        (("--parallel-gpus", "1000000"), "gpus: 1,000,000 is too large: the most that can be said is 100,000"),
        (("--lora-rank", "0"), "rank: 0 is not a positive integer"),
    ],
)
def test_a_limit_is_said_to_be_one(capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], said: str) -> None:
    ran = run(capsys, *SMALL, *flags)
    assert ran.code == 2
    assert said in ran.err


def test_a_strategy_asks_on_how_many_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, *SMALL, "--parallel-strategy", "zero3")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "toolkit: parallel.strategy zero3: on how many GPUs it runs is not said (add --parallel-gpus N)\n"
    )
    assert run(capsys, *SMALL, "--parallel-strategy", "zero3", "--parallel-gpus", "2").code == 0
    assert run(capsys, *SMALL, "--parallel-strategy", "zero3", "--print-scenario").code == 0
    assert run(capsys, *SMALL, "--parallel-strategy", "none").code == 0


def test_releases_that_are_not_known_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, *SMALL, "--stack-torch", "99", "--stack-transformers", "0.0.1", "--stack-peft", "0.13.2")
    assert ran.code == 0
    newer, never = ran.err.splitlines()
    assert newer.startswith("toolkit: stack.torch 99: newer than every release of torch recorded on ")
    assert never.startswith("toolkit: stack.transformers 0.0.1: the package index had no transformers 0.0.1 on ")


def test_sizes_that_a_config_leaves_out_are_noted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sizes are those of transformers' LlamaConfig()."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    ran = run(capsys, "estimate", "--model", "bare.json", *ASKED)
    assert ran.code == 0
    assert ran.err.rstrip().endswith(
        "transformers' defaults for llama are taken, hidden_size 4,096, num_hidden_layers 32, vocab_size 32,000"
    )
    sizes = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100}
    (tmp_path / "bare.json").write_text(
        json.dumps({**sizes, "num_attention_heads": 4, "intermediate_size": 128}), encoding="utf-8"
    )
    assert run(capsys, "estimate", "--model", "bare.json", *ASKED).err == ""
    (tmp_path / "bare.json").write_text('{"model_type": "gpt2", "n_embd": 64, "n_layer": 2}', encoding="utf-8")
    assert "taken, vocab_size 50,257" in run(capsys, "estimate", "--model", "bare.json", *ASKED).err
    assert run(capsys, *SMALL).err == ""


@pytest.mark.parametrize(
    ("config", "offered"),
    [
        ({"model_type": "llama", "hidden_size": "abc"}, False),
        ({"model_type": "llama", "hidden_size": -1}, False),
        ({"model_type": "llama", "hidden_size": 100, "num_attention_heads": 3}, False),
        ({"model_type": "llama", "num_key_value_heads": 7}, False),
        ({"hidden_size": 64}, False),
        ({"model_type": "llama", "hidden_act": "gelu_fast"}, True),
    ],
)
def test_a_trace_is_offered_for_models_alone_that_a_library_may_build(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, object],
    *,
    offered: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.json").write_text(json.dumps(config), encoding="utf-8")
    ran = run(capsys, "estimate", "--model", "some.json", *ASKED)
    assert ran.code == 2
    assert "this cannot be computed: " in ran.err
    assert ("`toolkit trace` may do it" in ran.err) is offered


def test_what_may_fit_says_how_although_it_needs_more_than_the_card_has(capsys: pytest.CaptureFixture[str]) -> None:
    """The least that it needs, lowered by its known error, is what the card has."""
    asked = ("estimate", "--model", "Qwen/Qwen2.5-7B", "--method", "lora", "--weights", "bf16", "--batch-size", "1")
    text = run(capsys, *asked, "--solve", "sequence_length", "--gpu", "RTX 4090").out
    (line,) = [one for one in text.splitlines() if "may fit" in one]
    least, _, most = line.partition("device ")[2].partition(" GiB")[0].partition("–")
    assert float(least) * 0.9 < 23.99 < float(least) < float(most)
    share = 100 * (1 - 23.99 / float(least))
    assert f"GiB by what is open, the least of which fits if it is {share:.1f}"[:-2] in line
    assert "% too high (known to ±10 %)" in line
