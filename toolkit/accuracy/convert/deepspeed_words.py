"""What remarks quote of DeepSpeed's configuration, by the names that it has there: sizes of buckets, overlaps.

Sources: DeepSpeed runtime/zero/config.py, whose keys of stage 3 begin with `stage3_`; runtime/precision_config.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from toolkit.accuracy.convert.draft import MAX_REMARK, Draft, Record
from toolkit.accuracy.convert.remarks import remarks_of
from toolkit.spec.fields.result import OWN_LOOP

_STAGES = ("zero1", "zero2", "zero3")
_OF_ANY = ("reduce_bucket_size", "overlap_comm", "contiguous_gradients")
_OF_THE_FIRST = ("allgather_bucket_size",)
_OF_THE_THIRD = (
    "prefetch_bucket_size", "param_persistence_threshold", "max_live_parameters", "max_reuse_distance",
    "sub_group_size",
)  # fmt: skip
_NAMES = "|".join((*_OF_ANY, *_OF_THE_FIRST, *_OF_THE_THIRD))
_SAID = re.compile(
    rf"(?<![\w.])(?:stage3_)?({_NAMES})\b[\"'`]?(?: is | of |[ :=]{{1,3}})"
    r"(true|false|\d[\d_]{0,14}(?:\.\d{1,3})?(?:e\+?\d{1,2})?)(?![\w.]*\w)"
)
_IN_HALF = re.compile(r"\b((?:bf16|fp16)_master_weights_and_grads)\b[\"'`]?(?: is | |[ :=]{1,3})true\b")
"""Master weights, gradients and with them states in 16 bits: in float16 only beside the GPU (DeepSpeed's assertion)."""
_ITS_ADAM = re.compile(r"\bfused_?adam\b|\badamw? of deepspeed\b")


def say_deepspeed(draft: Draft, record: Record) -> None:
    """Sizes and switches of ZeRO as remarks quote them; what they leave out in a loop is DeepSpeed's default."""
    stage = draft.fields.get("parallel.strategy")
    if stage not in _STAGES:
        return
    text = remarks_of(record)
    quoted = dict(_quoted(text, _OF_THE_THIRD if stage == "zero3" else _OF_THE_FIRST))
    for name, value in quoted.items():
        draft.say(f"parallel.{name}", value)
    if quoted and draft.fields.get("stack.trainer") == OWN_LOOP:
        draft.say("parallel.buckets", "deepspeed")
    if _ITS_ADAM.search(text) and draft.fields.get("optimizer") == "adamw":
        draft.say("optimizer_implementation", "fused")  # engine.py, _configure_basic_optimizer
    halved = _IN_HALF.search(text)
    if halved and halved[1].startswith("bf16"):
        draft.say("master_weights", "bf16")
    elif halved:
        draft.beyond["master_weights"] = halved[1][:MAX_REMARK]


def _quoted(text: str, of_the_stage: tuple[str, ...]) -> Iterator[tuple[str, int | bool]]:
    for name, value in _SAID.findall(text):
        if name in (*_OF_ANY, *of_the_stage):
            yield name, value == "true" if value in ("true", "false") else int(Decimal(value.replace("_", "")))
