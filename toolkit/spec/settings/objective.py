"""The objective of training, from the stated fields and the defaults of TRL's trainers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from toolkit.spec.fields.objective import ADAPTERS_OFF, GRPO, MODEL, NEXT_TOKEN, PREFERENCES
from toolkit.spec.fields.value import Atom


def objective_of(said: Mapping[str, Atom]) -> tuple[str, str | None]:
    """The objective, and where a preference's reference comes from (trl/trainer/dpo_trainer.py, ref_model)."""
    objective = str(said.get("objective", NEXT_TOKEN))
    if said["method"] == "inference" or objective == NEXT_TOKEN:
        return NEXT_TOKEN, None
    if objective == GRPO:
        return GRPO, cast("str | None", said.get("reference"))
    if objective not in PREFERENCES:
        return objective, None
    return objective, str(said.get("reference") or (MODEL if said["method"] == "full" else ADAPTERS_OFF))
