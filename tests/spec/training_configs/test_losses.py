"""Losses of Trainers: what `loss_type` is in which release of TRL, and label smoothing, which takes all logits."""

from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, remarked

TRL = "model_name_or_path: Qwen/Qwen2.5-0.5B\nmax_length: 512\n"
SAID = {"model": "Qwen/Qwen2.5-0.5B", "method": "full", "sequence_length": "512"}
LLAMAFACTORY = "model_name_or_path: Qwen/Qwen2.5-0.5B\nstage: sft\ndo_train: true\nfinetuning_type: lora\n"


@pytest.mark.parametrize(
    ("release", "kind", "loss"),
    [  # trl/trainer/sft_config.py of each: nll beside chunked_nll until 1.14.2, and two names of one in 1.15.0
        ("1.5.1", "chunked_nll", "chunked"),
        ("1.5.1", "nll", "cross-entropy"),
        ("1.10.0", "nll", "cross-entropy"),
        ("1.14.2", "nll", "cross-entropy"),
        ("1.14.2", "chunked_nll", "chunked"),
        ("1.15.0", "nll", "chunked"),
        ("1.16.0", "chunked_nll", "chunked"),
    ],
)
def test_what_nll_is_depends_on_the_release(tmp_path: Path, release: str, kind: str, loss: str) -> None:
    assert fields(tmp_path, TRL + f"loss_type: {kind}\n", "trl", stack__trl=release)["stack.loss"] == loss


def test_nll_of_no_release_is_said_to_be_either(tmp_path: Path) -> None:
    text = TRL + "loss_type: nll\n"
    (found,) = remarked(tmp_path, text, "trl")
    assert found.startswith("3:12 S115 loss_type: nll: all logits at once until trl 1.14")
    assert fields(tmp_path, text, "trl")["stack.loss"] == "chunked"
    assert remarked(tmp_path, text, "trl", stack__loss="cross-entropy") == []
    assert remarked(tmp_path, TRL + "loss_type: chunked_nll\n", "trl") == []


def test_ligers_loss_goes_before_nll(tmp_path: Path) -> None:
    text = TRL + "loss_type: nll\nuse_liger_kernel: true\n"
    assert fields(tmp_path, text, "trl", stack__trl="1.10.0")["stack.loss"] == "fused"


@pytest.mark.parametrize(
    ("tool", "text", "said"), [("transformers", "", SAID), ("trl", TRL, {}), ("llamafactory", LLAMAFACTORY, {})]
)
def test_label_smoothing_is_refused_where_it_takes_all_logits(
    tmp_path: Path, tool: str, text: str, said: dict[str, str]
) -> None:
    text += "per_device_train_batch_size: 2\nlabel_smoothing_factor: "
    (found,) = mistakes(tmp_path, f"{text}0.1\n", tool, **said)
    assert "S115 label_smoothing_factor: label smoothing takes log-softmaxes of all logits" in found
    assert not [one for one in remarked(tmp_path, f"{text}0.0\n", tool, **said) if "smoothing" in one]


def test_label_smoothing_leaves_trainers_with_losses_of_their_own_alone(tmp_path: Path) -> None:
    text = TRL + "loss_type: sigmoid\nbeta: 0.1\nlabel_smoothing_factor: 0.1\n"
    assert remarked(tmp_path, text, "trl", objective="dpo") == []
