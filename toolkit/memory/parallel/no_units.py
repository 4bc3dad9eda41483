"""Models that accelerate does not share out layer by layer with fully_shard.

It makes units of the modules that a model of transformers names (`_no_split_modules`), and then one of the token
embedding and one of the end (accelerate utils/fsdp_utils.py, fsdp2_prepare_model).
"""

from __future__ import annotations

from toolkit.memory.architecture import Architecture
from toolkit.memory.libraries.trainers import LOOPS_IN_TORCH
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.fully_shard import ENDS_APART
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting

UNNAMED = frozenset({"albert", "biogpt", "deberta", "deberta-v2", "distilbert", "electra", "mpnet"})
"""Families whose models name no module, as of transformers 5.23."""

NAMED_EMBEDDINGS = frozenset({"bert", "camembert", "modernbert", "roberta", "xlm-roberta"})
"""Families whose models name the module that all their embeddings are in."""

NAMED_WITHIN = frozenset({"falcon_mamba", "mamba"})
"""Families whose models name a layer and the mixer within it."""


def refuse_units(architecture: Architecture, setting: Setting) -> None:
    """Raises UnsupportedRow for a model whose units are not its layers, or that accelerate cannot share out at all."""
    if setting.stack.trainer in LOOPS_IN_TORCH:
        return
    family = architecture.family
    if family in UNNAMED:
        reason = "transformers names no layers of it (_no_split_modules), so that accelerate makes one unit of all"
        raise UnsupportedRow("parallel", f"no formula for {family} with fsdp2: {reason}")
    if family in NAMED_WITHIN:
        reason = "transformers names its mixers beside its layers (_no_split_modules), and both are units"
        raise UnsupportedRow("parallel", f"no formula for {family} with fsdp2: {reason}")
    if family in NAMED_EMBEDDINGS and not older(setting, "accelerate", ENDS_APART):
        reason = f"accelerate shards the token embedding of {family} twice, by itself and within all embeddings"
        raise UnsupportedRow("parallel", f"{reason}, which fails (utils/fsdp_utils.py, since {ENDS_APART})")
