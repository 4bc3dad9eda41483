"""Which implementation of a loss runs, by the releases of a stack."""

from __future__ import annotations

from packaging.version import Version

from toolkit.memory.libraries.trainers import TORCHTUNE
from toolkit.memory.libraries.transformers_versions import FROM_LOGITS
from toolkit.memory.libraries.versions import older
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.fields.objective import DPO, SIMPO, WHOLE_PAIRS
from toolkit.spec.fields.result import UNTIL_NEXT, UNTIL_STEP
from toolkit.spec.settings.setting import Setting

TRL_TILES = Version("1.15")
"""Since then what TRL calls a chunked loss works on tiles of logits (trl/kernels/chunked_logprob.py)."""
TRL_STAYS_SHORT = Version("1.13")
"""Since then a chunk is multiplied in the hidden states' dtype, not in float32 (trl/trainer/sft_trainer.py, _chunk)."""
SHORT = "chunked short"
TILED, TILED_AGAIN = "tiled", "tiled again"
"""A loss whose gradient of the output weight is a tensor of its own, to which autograd adds in place.

It goes through the vocabulary once, or again for every further tile of tokens.
"""
TILES = (TILED, TILED_AGAIN)
TILE_TOKENS = 4096
"""Tokens of one tile (trl/kernels/chunked_logprob.py, TOKEN_CHUNK_SIZE)."""
SUMS_CHUNKS = ("chunked", SHORT)
"""Losses whose chunks each give the output weight a gradient: autograd adds them in one new tensor."""
LIGER_STAYS_SHORT = Version("0.5")
"""Before, the logits of a chunk were made float32 for the loss (liger_kernel/ops/fused_linear_cross_entropy.py)."""
LIGER_WIDENS = Version("0.6.2")
"""Since then what a chunk gives the output weight is made float32 before it is added; before, addmm added in place."""
ADDS_IN_PLACE = "fused in place"
TORCHTUNE_LINEAR_LOSS = Version("0.7")
"""Since then its chunked loss forms logits by itself; until 0.6.1 the model handed out those of all tokens in parts."""
TORCHTUNE_LOSSES = {
    "chunked": ("output chunks", "linear chunks"),
    "cross-entropy": ("whole outputs", "whole outputs"),
}
"""What runs by the names of losses: before that release, and since."""
PAIRS, PAIR_AND_TARGETS, PAIRS_AND_TARGETS = "pairs", "a pair and its targets", "pairs and their targets"
"""Losses on pairs without a reference: of log-probabilities alone, or of the next token of one answer, too."""
BY_ROWS = ", row by row"
"""Before TRL had a kernel for log-probabilities: with the logits of one sequence at a time."""
WHOLE_ANSWERS = "answers" + BY_ROWS
"""What DPOTrainer took of all logits until then, with metrics of copies of them."""
OF_PAIRS = ("t5", "mt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "whisper")
"""Families that make a sequence of another."""


def loss_of(setting: Setting) -> str:
    """The loss that runs: of the one that is named, the implementation of the stack's version."""
    loss = setting.stack.loss
    if setting.trains and setting.objective in WHOLE_PAIRS:
        name = PAIRS if setting.objective == SIMPO else PAIRS_AND_TARGETS if several(setting) else PAIR_AND_TARGETS
        return name + BY_ROWS if older(setting, "trl", TRL_TILES) else name
    if setting.trains and setting.objective == DPO and loss == "cross-entropy":
        return WHOLE_ANSWERS
    if setting.stack.trainer == TORCHTUNE and loss in TORCHTUNE_LOSSES:
        outputs, newer = TORCHTUNE_LOSSES[loss]
        return outputs if older(setting, TORCHTUNE, TORCHTUNE_LINEAR_LOSS) else newer
    if loss == "fused" and older(setting, "liger-kernel", LIGER_STAYS_SHORT):
        return "fused wide"
    if loss == "fused" and older(setting, "liger-kernel", LIGER_WIDENS):
        return ADDS_IN_PLACE
    return _chunked(setting) if loss == "chunked" else loss


def held_result(setting: Setting, family: str = "") -> str:
    """How long a loop of somebody's own has a name for the logits, once there is the loss; empty where it has none."""
    names = setting.trains and _is_followed(setting, family)
    if names and setting.parallel.schedule is not None:  # the schedule's code has one, the stage another
        return UNTIL_NEXT
    if not names or setting.stack.result not in (UNTIL_STEP, UNTIL_NEXT):
        return ""
    return setting.stack.result if loss_of(setting) in ("cross-entropy", FROM_LOGITS) else ""


def several(setting: Setting) -> bool:
    """Whether a batch, as the model sees it, has more than one pair of answers."""
    return setting.batch_size > len(("chosen", "rejected"))


def _is_followed(setting: Setting, family: str) -> bool:
    return setting.stack.trainer == "plain" and setting.head == "causal-lm" and family not in OF_PAIRS


def _chunked(setting: Setting) -> str:
    if not older(setting, "trl", TRL_TILES):
        scored = setting.batch_size * (setting.sequence_length - 1)  # every token but the last of each sequence
        return TILED if scored <= TILE_TOKENS else TILED_AGAIN
    return "chunked" if older(setting, "trl", TRL_STAYS_SHORT) else SHORT


def refuse_sum(setting: Setting, family: str) -> None:
    """Raise where no formula follows a loss that a loop takes of the logits itself."""
    if setting.trains and setting.stack.loss == FROM_LOGITS and not _is_followed(setting, family):
        raise UnsupportedRow(
            "logits", f"no formula for the loss {FROM_LOGITS} except of language models in plain loops"
        )
    encodes = setting.head == "masked-lm" and setting.stack.trainer == "plain"
    if setting.trains and setting.stack.loss == "named" and not encodes and not _is_followed(setting, family):
        raise UnsupportedRow("logits", "no formula for the loss `named` except of language models in a plain loop")
    own = family in OF_PAIRS
    if setting.trains and setting.stack.loss == "sum" and (setting.stack.trainer != "plain" or own):
        whose = family if own else setting.stack.trainer
        raise UnsupportedRow("logits", f"no formula for the sum of the logits as the loss with {whose}")
