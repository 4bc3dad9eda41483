"""The loss of a Trainer: label smoothing, and what TRL's `loss_type` means in each release."""

from __future__ import annotations

from packaging.version import Version

from toolkit.finding import Finding, Severity
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.stated_release import stated_release

SMOOTHING = "label_smoothing_factor"
SMOOTHED = (
    "label smoothing takes log-softmaxes of all logits, and leaves the loss of the model out, which is not followed"
)
"""The Trainer removes the labels, and its LabelSmoother needs all logits (transformers 5.23 trainer.py, compute_loss,
and trainer_pt_utils.py). SFTTrainer computes them for it beside its own head (trl 1.16 sft_trainer.py)."""

NLL_IN_PARTS = Version("1.15")
"""Until 1.14.2 `nll` needs all logits and `chunked_nll` those of a chunk (trl/trainer/sft_config.py). In 1.15.0 the
second is an older name of the first, which is computed in chunks."""
WHOLE_OR_PARTS = (
    "all logits at once until trl 1.14, and parts of them since 1.15, which are counted: --stack-trl says the release"
)
NLL, IN_PARTS = "nll", "chunked_nll"


def refuse_smoothing(config: Config) -> None:
    """Refuses label smoothing, which transformers' Trainer applies where the trainer has no loss of its own."""
    config.matters_where_said([(SMOOTHING, SMOOTHED)])


def take_trl_loss(config: Config, *, fused: bool) -> None:
    """Reads the loss of an SFTTrainer; Liger's kernel replaces the logits and their loss."""
    refuse_smoothing(config)
    kind = config.word("loss_type")
    if kind not in (None, NLL, IN_PARTS):
        config.matters("loss_type", f"no formula for the loss {str(kind)[:40]!r} yet", repair=None)
    release = stated_release(config, "trl")
    if fused:
        config.put("stack.loss", "fused", "use_liger_kernel", "use_liger")
    elif kind == IN_PARTS:
        config.put("stack.loss", "chunked", "loss_type")
    elif kind == NLL and release is not None:
        config.put("stack.loss", "chunked" if release >= NLL_IN_PARTS else "cross-entropy", "loss_type")
    elif "stack.trl" not in config.said:
        config.assume("stack.loss", "chunked", "what trl takes since 1.7")
        if kind == NLL and "stack.loss" not in config.said:
            place = config.place("loss_type")
            config.findings.append(Finding(place, "S115", f"loss_type: nll: {WHOLE_OR_PARTS}", None, Severity.WARNING))
