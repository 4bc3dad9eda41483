"""Which implementation of a loss runs, by the releases of a stack."""

from __future__ import annotations

from packaging.version import Version

from toolkit.memory.numerics import TORCHTUNE
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.versions import older
from toolkit.spec.setting import Setting

TRL_TILES = Version("1.16")
"""Since then what TRL calls a chunked loss works on tiles of logits (trl/kernels/chunked_logprob.py)."""
LIGER_STAYS_SHORT = Version("0.5")
"""Before, the logits of a chunk were made float32 for the loss (liger_kernel/ops/fused_linear_cross_entropy.py)."""
TORCHTUNE_LINEAR_LOSS = Version("0.7")
"""Since then its chunked loss forms logits by itself; until 0.6.1 the model handed out those of all tokens in parts."""
TORCHTUNE_LOSSES = {
    "chunked": ("output chunks", "linear chunks"),
    "cross-entropy": ("whole outputs", "whole outputs"),
}
"""What runs by the names of losses: before that release, and since."""


def loss_of(setting: Setting) -> str:
    """The loss that runs: of the one that is named, the implementation of the stack's version."""
    loss = setting.stack.loss
    if setting.stack.trainer == TORCHTUNE and loss in TORCHTUNE_LOSSES:
        outputs, newer = TORCHTUNE_LOSSES[loss]
        return outputs if older(setting, TORCHTUNE, TORCHTUNE_LINEAR_LOSS) else newer
    if loss == "fused" and older(setting, "liger-kernel", LIGER_STAYS_SHORT):
        return "fused wide"
    return "tiled" if loss == "chunked" and not older(setting, "trl", TRL_TILES) else loss


def refuse_sum(setting: Setting, family: str) -> None:
    """Raise where no formula follows the sum of the logits as a loss."""
    if setting.trains and setting.stack.loss == "sum" and (setting.stack.trainer != "plain" or family == "t5"):
        whose = "T5" if family == "t5" else setting.stack.trainer
        raise UnsupportedRow("logits", f"no formula for the sum of the logits but in a plain loop, and not of {whose}")
