"""The rule of records of any source: what they say of a run beyond their common fields, read by what words mean.

Nothing here knows a source. What a record leaves open stays open, so that its estimate is an interval.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.axolotl import axolotl_example, quotes_axolotl
from toolkit.accuracy.convert.beside import say_beside, say_spill, say_stated_releases
from toolkit.accuracy.convert.caches import say_cache
from toolkit.accuracy.convert.days import Days, say_releases
from toolkit.accuracy.convert.deepspeed_words import say_deepspeed
from toolkit.accuracy.convert.draft import MAX_REMARK, Draft, Record
from toolkit.accuracy.convert.evaluations import say_evaluated, say_labels
from toolkit.accuracy.convert.fitting import fit
from toolkit.accuracy.convert.fms import say_framework
from toolkit.accuracy.convert.loops import say_loop, say_loops_autocast, say_pass
from toolkit.accuracy.convert.passes import say_passes
from toolkit.accuracy.convert.peft_configs import lora_options, peft_method, say_cast, say_prepared
from toolkit.accuracy.convert.remarks import (
    pairs_of,
    remarks_of,
    say_allocator,
    say_autocast,
    say_beyond,
    say_engine,
    say_lengths,
    say_reading,
)
from toolkit.accuracy.convert.stated import as_stated
from toolkit.accuracy.convert.towers import say_text_alone
from toolkit.accuracy.convert.trainers import say_head, say_trainer
from toolkit.accuracy.convert.vocabulary import checkpoint_groups
from toolkit.accuracy.convert.words import reshards, weights_of
from toolkit.spec.fields import names
from toolkit.spec.fields.peft_methods import PEFT_METHODS

_GROUP = re.compile(r"\bgroup(?:[ _-]?size)?[ =:]*(-1|-(?!\d)|\d+)|(?<=-)(\d+)g\b|\bg ?=? ?(-1|\d+)\b")
_KERNEL = re.compile(r"\bkernel[ =:]*([\w-]+)")
_IN_ORDER = re.compile(r"\b(?:act[-_ ]order|desc_act)[ =:]*(yes|true|no|false)\b")
_EXPERTS_TOO = re.compile(
    r"\bquantize_moe_experts\b(?!\W{0,3}false)|\bexperts (?:too|quantized|in (?:nf4|4.?bit))\b|\bquantized experts\b"
)
"""What says that a mixture's fused experts are quantized, which bitsandbytes leaves as they are (axolotl's option)."""
_NO_DOUBLE = re.compile(r"\b(?:no|without) double.?quant|double_quant\W{0,3}false")
_DOUBLE = re.compile(r"\bdouble.?quant(?!\w*\W{0,3}(?:false|not))|\bnested quant")
_NOT_REENTRANT = re.compile(r"non-reentrant|use_reentrant\W{0,3}false")
_REENTRANT = re.compile(r"\breentrant\b|use_reentrant\W{0,3}true")
_OPTIMIZER = re.compile(r"\boptimizer (adamw?|sgd|adafactor|lion)\b(?! not)|\b(adamw) fused\b|default (adamw)\b")
_DORA = re.compile(r"\buse_dora\W{1,3}true\b")
_CHUNKED = re.compile(r"\bchunked (?:ce|cross.?entropy|loss)\b")
_BY_AUTO_GPTQ = re.compile(r"\bautogptqforcausallm\b|\bloaded by auto-?gptq\b")
_NO_EXLLAMA = re.compile(r"\bdisable_exllama ?= ?true\b(?=.*\bdisable_exllamav2 ?= ?true\b)|\bneither exllama kernel\b")
_NO_DTYPE = re.compile(r"\bno (?:torch_)?dtype (?:is )?(?:given|named|passed|set)\b|\bwithout a (?:torch_)?dtype\b")
_NO_OPTIMIZER = re.compile(r"\bno optimizer\b|without an? optimizer")
_NO_STEP = re.compile(r"\b(?:no|without an?) optimizer steps?\b")

TORCHTUNE_NAMES: Mapping[str, tuple[str, ...]] = {
    "output_proj": ("o_proj",), "mlp": ("gate_proj", "up_proj", "down_proj"),
}  # fmt: skip
"""What torchtune calls projections that transformers calls otherwise."""


def general(draft: Draft, record: Record, reading: dict[str, Any], days: Days | None = None) -> None:
    """The rule of a source that has none of its own: what a record says, and what of it a scenario may say.

    `days` are those between which the source's runs were made, where its records state releases.
    """
    as_recorded(draft, record, reading)
    say_releases(draft, record, days)
    say_text_alone(draft, record)
    as_stated(draft, record, reading)
    fit(draft)


def as_recorded(draft: Draft, record: Record, reading: dict[str, Any]) -> None:
    """Completes the draft of a run and one of its readings from all that a record of any source says."""
    if quotes_axolotl(record):
        axolotl_example(draft, record, reading)
    say_head(draft, record)
    say_stated_releases(draft, record)
    say_trainer(draft, record)
    say_allocator(draft, record)
    say_loop(draft, record)
    if draft.fields.get("stack.trainer") != "autoawq":
        draft.fields.pop("stack.autoawq", None)  # transformers runs its kernels, which are alike since 0.2
    _say_storage(draft, record)
    _say_task(draft, record)
    _say_adapters(draft, record)
    say_prepared(draft, remarks_of(record))
    say_cast(draft, remarks_of(record))
    say_framework(draft, record)
    say_autocast(draft, record)
    say_loops_autocast(draft, record)
    say_lengths(draft, record)
    say_engine(draft, record)
    say_cache(draft, record)
    _say_checkpointing(draft, record)
    _say_several(draft, record)
    say_deepspeed(draft, record)
    say_beyond(draft, record)
    say_beside(draft, record)
    say_passes(draft, record)
    say_labels(draft, record)
    say_reading(draft, record, reading)
    say_evaluated(draft, record, reading)
    say_pass(draft, record, reading)
    say_spill(draft, record, reading)


def _say_storage(draft: Draft, record: Record) -> None:
    """Groups, kernels and double quantization, and a quantization that is not one of weights."""
    stored = f"{record['quantization'] or ''} ; {record['weight_dtype'] or ''}".casefold()
    weights = draft.fields.get("weights")
    if record["quantization"] and weights_of(record["quantization"]) is None and "weights" in draft.fields:
        quantized = record["quantization"][:MAX_REMARK]
        draft.beyond["kv_cache" if re.search(r"\bkv\b", quantized.casefold()) else "quantization"] = quantized
    if _EXPERTS_TOO.search(f"{stored} ; {remarks_of(record)}"):
        draft.beyond["quantization"] = "of experts that are one tensor a layer, too"
    group, ordered, kernel = _GROUP.search(stored), _IN_ORDER.search(stored), _KERNEL.search(stored)
    grouped = bool(weights) and set(weights if isinstance(weights, list) else [weights]) <= set(names.GROUPED)
    if grouped:
        size = (group[1] or group[2] or group[3]) if group else ""
        known = checkpoint_groups(record["model"]) or checkpoint_groups(record["model_as_published"])
        draft.say("group_size", known if not size else -1 if size.startswith("-") else int(size))
    if ordered and grouped:
        draft.say("desc_act", ordered[1] in ("yes", "true"))
    if kernel and weights == "gptq-int4":
        draft.say("kernels.gptq", _GPTQ_KERNELS.get(kernel[1]))
    elif weights == "gptq-int4" and _BY_AUTO_GPTQ.search(remarks_of(record)) and _NO_EXLLAMA.search(remarks_of(record)):
        draft.say("kernels.gptq", ["cuda-old", "unpacked"])  # whether its CUDA extension was found, nobody says
    text = f"{stored} ; {remarks_of(record)}"
    if isinstance(weights, str) and weights in names.DOUBLE_QUANTIZED:
        off, on = _NO_DOUBLE.search(text), _DOUBLE.search(text)
        draft.say("double_quant", False if off else True if on else None)
    if weights == "int8" and draft.fields.get("method") == "inference" and _NO_DTYPE.search(text):
        five = str(draft.fields.get("stack.transformers", "")).startswith("5.")
        draft.say("compute", draft.fields.get("compute") or (None if five else "fp16"))  # update_dtype, until 5


_GPTQ_KERNELS: Mapping[str, str] = {"exllama": "exllama", "exllamav2": "exllamav2", "autogptq-cuda-old": "cuda-old",
                                    "cuda-old": "cuda-old", "triton": "triton"}  # fmt: skip


def _say_task(draft: Draft, record: Record) -> None:
    """The head and the optimizer that a task or remarks name; LoRA beside 4-bit weights is QLoRA."""
    task, text = record["task"].casefold(), remarks_of(record)
    weights = draft.fields.get("weights")
    four = set(weights if isinstance(weights, list) else [weights]) <= names.FOUR_BIT
    if draft.fields.get("method") == "lora" and four:
        draft.say("method", "qlora")
    elif draft.fields.get("method") == "qlora" and weights == "int8":
        draft.say("method", "lora")
    if draft.fields.get("method") in (None, "inference"):
        return
    if _NO_OPTIMIZER.search(task) or _NO_STEP.search(text):
        draft.say("optimizer", "none")
    elif record["optimizer"] is None and (named := _OPTIMIZER.search(text)):
        plain = next(one for one in named.groups() if one)
        draft.say("optimizer", names.OTHER_SPELLINGS.get(plain, plain))
    if _CHUNKED.search(text):
        draft.say("stack.loss", "chunked")


def _say_adapters(draft: Draft, record: Record) -> None:
    """What a config of peft says, and targets as torchtune calls them."""
    lora = record["lora"] or {}
    config = lora.get("peft_config") or _config_of(lora, draft.fields.get("method"))
    if isinstance(config, dict):
        if draft.fields.get("method") in names.LORA:
            lora_options(draft, config)
        else:
            draft.fields = {name: value for name, value in draft.fields.items() if not name.startswith("lora.")}
            peft_method(draft, draft.fields.get("method") or record["task"], config)
    dora = "dora" in record["task"].casefold() or _DORA.search(remarks_of(record)) or _names_dora(lora)
    if dora and draft.fields.get("method") in names.LORA:
        draft.say("lora.dora", True)
    targets = draft.fields.get("lora.targets")
    if draft.fields.get("stack.trainer") == "torchtune" and isinstance(targets, list):
        draft.say("lora.targets", [name for one in targets for name in TORCHTUNE_NAMES.get(one, (one,))])


def _names_dora(lora: Record) -> bool:
    """Whether a record's adapters name DoRA, as peft's option does or in a word."""
    return any(lora.get(name) is True for name in ("use_dora", "dora"))


def _config_of(lora: Record, method: Any) -> Record | None:
    """The config of a method of peft that a record's adapters name themselves: its options, and its targets.

    `method` is the one that the record's task is, whose rank and targets may be said as LoRA's are.
    """
    other = method in PEFT_METHODS and method not in names.LORA
    if str(lora.get("peft_type") or (method if other else "lora")).casefold() == "lora":
        return None
    targets = {"target_modules": lora["targets"]} if lora.get("targets") else {}
    dropout = {"lora_dropout": lora["dropout"]} if lora.get("dropout") else {}
    options = {name: value for name, value in lora.items() if name not in ("targets", "alpha", "dropout")}
    return {**options, **targets, **(dropout if not lora.get("peft_type") else {})} or None


def _say_checkpointing(draft: Draft, record: Record) -> None:
    """The form of checkpoints that remarks name, or a field that is a text."""
    said = record["gradient_checkpointing"]
    text = f"{said if isinstance(said, str) else ''} ; {remarks_of(record)}".casefold()
    if said in (None, False) or draft.fields.get("method") == "inference":
        return
    if (
        isinstance(said, str)
        and draft.fields.get("stack.trainer") == "torchtitan"
        and said.startswith("selective (op)")
    ):
        draft.say("gradient_checkpointing", "selective")
    elif _NOT_REENTRANT.search(text):
        draft.say("gradient_checkpointing", "non-reentrant")
    elif _REENTRANT.search(text):
        draft.say("gradient_checkpointing", "reentrant")
    elif isinstance(said, str) and said.casefold() in ("true", "yes", "on"):
        draft.say("gradient_checkpointing", True)
    if "gradient_checkpointing" in draft.fields:
        draft.beyond.pop("gradient_checkpointing", None)


def _say_several(draft: Draft, record: Record) -> None:
    """Several GPUs that share a run in a way that is not said."""
    kind = (record["parallelism"] or {}).get("kind") or ""
    if "no_shard" in kind.casefold():
        draft.beyond["parallel"] = kind[:MAX_REMARK]
    if draft.fields.get("parallel.strategy") in ("fsdp", "fsdp2") and reshards(kind) is False:
        draft.say("parallel.reshard_after_forward", False)
    if draft.fields.get("parallel.strategy") == "none" and draft.fields["parallel.gpus"] > 1:
        gpus = draft.fields.pop("parallel.gpus")
        del draft.fields["parallel.strategy"]
        draft.beyond["parallel"] = f"{gpus} GPUs, and not how they share the run"
    size = pairs_of(record).get("tensor_parallel_size", "")
    if size.isdigit() and int(size) > 1 and draft.fields.get("stack.trainer") == "vllm":
        draft.beyond.pop("parallel", None)
        draft.say("parallel.gpus", int(size))
        draft.say("parallel.strategy", "tensor")
