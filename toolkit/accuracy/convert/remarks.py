"""What the remarks of a record say in a way that any source says it in: lengths, options, memory that was read.

Remarks are the notes, the remark on the unit, and pairs `key=value` of the quoted line. Only what is said outright is
read: that a length is a cap, that a batch is padded, that a figure is a sum over GPUs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from toolkit.accuracy.convert.draft import MAX_REMARK, Draft, Record
from toolkit.spec.fields import names

MAX_READ = 4_000
"""Characters of a remark that are read."""

_CAP = re.compile(
    r"\b(?:truncation|length is a) cap\b|\b(?:is|as) a cap\b|\bare caps\b|padded to (?:(?:the|their|its) )?longest"
    r"|\bunpacked\b|\breal lengths\b"
    r"|\b(?:row|sequence|sample|example|text)(?:s|'s|s')? (?:own )?lengths? (?:(?:is|are|was|were) )?not stated"
    r"|\blengths (?:(?:is|are|was|were) )?not stated"
    r"|longest (?:batch|sample) not stated|\bcut (?:off )?at\b|\btruncated (?:at|to)\b|dynamic padding"
)
_PADDED = re.compile(
    r"\bpad(?:s|ded|ding)? (?:every|each|all)\b[^;.]{0,40}\bto\b|\bpadding\W{1,3}max_length\b|\bcut and padded to\b"
    r"|\b(?:padded|filled|padding) (?:up )?to (?:max|model_max|a? ?length|\d)"
)
_UNMASKED = re.compile(
    r"\b(?:no |without (?:an? |the )?|never an? )(?:attention[ _]?)?mask\b(?! of (?:labels|the loss))"
    r"|\battention[ _]mask (?:is|was) (?:not|never) (?:passed|given|used)\b"
)
"""What says that a model does not know which tokens fill its rows up."""
_UNPACKED = re.compile(r"\b(?:no|not|without) pack(?:ing|ed)\b|\bpacking\W{1,3}(?:false|off|no)\b")
_FILLED = re.compile(
    r"\bpack(?:ed|s|ing)?\b|\bpadded\b|\bfilled\b|\b(?:chunk|block|window|segment)s?\b|\b(?:synthetic|random|dummy)\b"
    r"|\b(?:every|each|all) (?:row|sample|sequence|text)s?\b|\bexactly\b|\bfixed\b"
)
"""What says that rows are as long as they may be, or may say it."""
_LONGEST = re.compile(
    r"\blongest (?:(?:of|among) (?:all |the |its |their |these )*)?(?:train(?:ing)? )?"
    r"(?:row|sample|example|sequence|text)s?\b[^;.,]{0,20}?\b(\d{1,7}) tokens\b"
)
_MEAN = re.compile(r"(?:=|\bmean\D{0,12}) ?(\d{2,6}) tokens/sample")
_LIMIT = re.compile(r"\bmax_(?:seq_)?len(?:gth)?\b\D{0,3}(\d{2,7})")
_ONE_BY_ONE = re.compile(r"tokens one (?:by|after) (?:one|the other)|token[- ]by[- ]token")
_AFTER_EACH = re.compile(
    r"(?:sampled|read) (?:after|between) (?:each|every|the)? ?(?:step|token)s?|not max_memory_allocated"
)
_MAXIMUM = re.compile(r"(?<!not )(?<!not torch\.cuda\.)\bmax_memory_allocated")

_SUM = re.compile(r"\bsums? over (?:all )?(?:the )?(?:gpus|devices|cards)\b|\bsummed over\b|\bare sums over\b")
_MEAN_OVER = re.compile(r"\bmean over (?:all )?(?:the )?(?:gpus|devices|cards)\b")
_FIRST = re.compile(r"\brank 0\b|\bfirst gpu\b")

_EVALUATION = re.compile(r"training and (?:the )?(?:validation|evaluation|test)[^;.]{0,20}generation")
_OTHER_LOSS = re.compile(r"loss is (?!the model)[^;]{0,200}(?:no cross.?entropy|\.mean\(\)|\.sum\(\))")
_EXPANDABLE = re.compile(r"\bexpandable_segments\W{1,3}(?:true|1|on)\b")
_IMAGE = re.compile(r"\b(?:one|an?|each|per) image\b|\+ image\b|\bimage (?:a|per) sample\b")
_UNDER_AUTOCAST = re.compile(r"\b(?:runs?|is|are|both|loss|forward|pass) (?:under|within|in) (?:torch\.)?autocast\b")
NO_AUTOCAST = re.compile(r"\b(?:no|without|not under) (?:autocast|amp|mixed[ -]precision)\b")
_COMPILED = re.compile(
    r"(?<!no )(?<!not )(?<!without )\btorch[._]compiled?\b(?!\s*=\s*false| (?:is )?(?:not|off|unused|disabled)\b)"
    r"|(?<![\w.])compile=true"
)

_OTHER_COMPILER = re.compile(
    r"\bthunder\.jit\b|--compile[ =](?!eager|false|none|no\b|off)[\w+.-]+|\bcompiled with (?!torch)[\w.-]+"
)
_OWN_MODEL = re.compile(
    r"(?<!not )\bfrom[- ]scratch (?:model|implementation|code|version)\b"
    r"|(?<!no )\b(?:own|custom|hand-?written) (?:model|implementation|architecture|transformer|gpt)\b(?! (?:size|name))"
)
_OWN_ATTENTION = re.compile(r"^(?:own|custom|hand-?written|from[- ]scratch|manual)\b")
_CUT = re.compile(
    r"\b(?:cut|reduced|shortened|truncated) to (?:the )?(?:first )?\d+ layers?\b|--n[_-]?layers?[ =]\d+"
    r"|\bonly (?:the )?(?:first )?\d+ (?:of (?:its |the )?\d+ )?layers\b"
)

_PAIR = re.compile(r"(?<![\w-])(?:--([a-z][\w-]{1,40})[= ]|([A-Za-z][\w-]{1,40})(?:=|: ?))\"?(-?[\w./][\w./-]{0,59})")
_VLLM_FLAGS: Mapping[str, tuple[str, type]] = {
    "gpu_memory_utilization": ("engine.gpu_memory_utilization", float),
    "max_model_len": ("engine.max_model_len", int),
    "max_num_seqs": ("engine.max_num_seqs", int),
    "max_num_batched_tokens": ("engine.max_num_batched_tokens", int),
}


_VLLM_UNFOLLOWED = frozenset({
    "kv_cache_memory_bytes", "cpu_offload_gb", "num_gpu_blocks_override", "speculative_config", "max_loras",
})  # fmt: skip
"""Options of vLLM that move memory and that no field says."""


_NARROW_KEYS = re.compile(r"(?<!no )\bfp8(?:_e\dm\d)? kv[- ]cache\b|\bkv[- ]cache (?:in |dtype )?fp8\b")


def remarks_of(record: Record) -> str:
    """All remarks of a record in small letters."""
    said = (record["notes"], record.get("unit_note"))
    return "; ".join(text[:MAX_READ] for text in said if text).casefold()


def pairs_of(record: Record) -> dict[str, str]:
    """What remarks and the quoted line say as `key=value` or `--key value`; of a key that is said twice, the first."""
    found: dict[str, str] = {}
    for text in (record["notes"], record["verbatim"]):
        for flag, name, value in _PAIR.findall((text or "")[:MAX_READ]):
            found.setdefault((flag or name).casefold().replace("-", "_"), value.rstrip(".").casefold())
    return found


def say_lengths(draft: Draft, record: Record) -> None:
    """A length that is a cap stays open below it, unless rows are filled; a prompt fed token by token is generated."""
    text, length = remarks_of(record), record["seq_len"]
    if isinstance(length, list):
        return
    mean, limit = _MEAN.search(text), _LIMIT.search(text)
    if _PADDED.search(text) and draft.fields.get("method") not in (None, "inference"):
        flash = draft.fields.get("attention") == "flash"  # which leaves filled places out: how many, nobody says
        draft.say("padding", False if _UNMASKED.search(text) else [True, False] if flash else True)
        draft.say("sequence_length", length)
        return
    if length is None and limit and (mean or draft.fields.get("method") not in (None, "inference")):
        least = min(int(mean[1]), int(limit[1])) if mean and "multipack" not in text else 1
        draft.say("sequence_length", {"from": least, "to": int(limit[1])})
    elif length and draft.fields.get("method") != "inference":
        if _is_cap(text, length, limit) and not any(int(one) == length for one in _LONGEST.findall(text)):
            draft.say("sequence_length", {"from": 1, "to": length})  # the row that is longest is as long as it is
    elif (
        length
        and length > 1
        and not record["gen_len"]  # else the words are of the tokens that are generated, and the prompt is one pass
        and draft.fields.get("method") == "inference"
        and _ONE_BY_ONE.search(text)
    ):
        draft.say("sequence_length", 1)
        draft.say("generated_length", length - 1)
    elif record["gen_len"] == 0 and draft.fields.get("method") == "inference" and "stack.trainer" not in draft.fields:
        draft.say("stack.trainer", "plain")  # generate() makes one token at least: a pass alone is somebody's own call


def _is_cap(text: str, length: int, limit: re.Match[str] | None) -> bool:
    """Whether rows may be shorter than a length: words say so, or it is a maximum, and nothing fills rows up to it."""
    most = limit is not None and int(limit[1]) == length
    unpacked = _UNPACKED.search(text) is not None and (most or limit is None)
    return unpacked or _CAP.search(text) is not None or (most and not _FILLED.search(text))


def say_engine(draft: Draft, record: Record) -> None:
    """Options of vLLM; the length of a server's record is the longest that it accepts."""
    if draft.fields.get("stack.trainer") != "vllm":
        return
    draft.unread.pop("attention", None)  # an engine attends in a way of its own
    if "batch_size" not in draft.fields:
        draft.say("engine.max_model_len", draft.fields.pop("sequence_length", None))
    pairs = pairs_of(record)
    for key, (name, kind) in _VLLM_FLAGS.items():
        if key in pairs:
            try:
                draft.say(name, kind(pairs[key].rstrip("%")))
            except ValueError:
                draft.beyond[name] = pairs[key]
    for key in _VLLM_UNFOLLOWED & pairs.keys():
        draft.beyond[f"engine.{key}"] = pairs[key]
    kept = pairs.get("kv_cache_dtype") or ("fp8" if _NARROW_KEYS.search(remarks_of(record)) else None)
    if kept is not None:
        known = "fp8" if kept.startswith("fp8") else names.OTHER_SPELLINGS.get(kept, kept)
        draft.say_read("engine.kv_cache_dtype", kept, known if known in names.KV_CACHE_DTYPES else None)
    if "--enforce-eager" in (record["notes"] or "") or pairs.get("enforce_eager") == "true":
        draft.say("engine.enforce_eager", True)


def say_autocast(draft: Draft, record: Record) -> None:
    """Whether autocast is on: by an argument of a Trainer, in words, or since weights differ from products."""
    if "amp" in draft.fields or draft.fields.get("method") == "inference":
        return
    weights, compute = draft.fields.get("weights"), draft.fields.get("compute")
    pairs = pairs_of(record)
    if any(pairs.get(name) == "true" for name in ("fp16", "bf16")):
        draft.say("amp", True)
    elif NO_AUTOCAST.search(remarks_of(record)):
        draft.say("amp", False)
    elif _UNDER_AUTOCAST.search(remarks_of(record)):
        draft.say("amp", True)
    elif weights == "fp32" and compute in names.FLOATS:
        draft.say("amp", compute != "fp32")
    elif draft.fields.get("stack.trainer") in _WHOLE and weights == compute:
        draft.say("amp", False)


_WHOLE = ("torchtune", "litgpt")
"""Trainers whose models have the dtype they are computed in, without autocast: torchtune's dtype, litgpt's -true."""


def say_beyond(draft: Draft, record: Record) -> None:
    """What moves memory and no field says: compiled layers, images, kernels that a configuration names."""
    text = f"{record['config_id'].casefold()} {remarks_of(record)}"
    if _COMPILED.search(text):
        draft.beyond["kernels"] = "torch.compile"
    elif other := _OTHER_COMPILER.search(text):
        draft.beyond["kernels"] = other[0][:MAX_REMARK]
    for sign in (_OWN_MODEL, _CUT):
        if (found := sign.search(text)) and "model" not in (record.get("fields") or {}):
            draft.beyond.setdefault("model", found[0][:MAX_REMARK])
    attention = record["attn_impl"] or ""
    if "attention" not in draft.fields and _OWN_ATTENTION.search(attention.casefold()):
        draft.unread.pop("attention", None)
        draft.beyond["attention"] = attention[:MAX_REMARK]
    if _IMAGE.search(text):
        draft.beyond["input"] = "images"


def say_allocator(draft: Draft, record: Record) -> None:
    """Whether torch's allocator had expandable segments, where a record's remarks say that it had them."""
    if _EXPANDABLE.search(remarks_of(record)):
        draft.say("expandable_segments", True)


def say_reading(draft: Draft, record: Record, reading: dict[str, Any]) -> None:
    """Over which GPUs a figure is, and why it is no peak of what the run is of."""
    unit, text = (record.get("unit_note") or "").casefold(), remarks_of(record)
    gpus = draft.fields.get("parallel.gpus") or (2 if "parallel" in draft.beyond else 1)
    if gpus > 1 and "over" not in reading:
        for sign, over in ((_SUM, "sum"), (_MEAN_OVER, "mean"), (_FIRST, "first")):
            if sign.search(unit) or (sign.search(text) and "per gpu" not in unit):
                reading["over"] = over
                break
    metric, amounts = reading["metric"], reading["bytes"]
    if min(amounts if isinstance(amounts, list) else [amounts]) < 0:
        reading["apart"] = "less than nothing"
    sampled = _AFTER_EACH.search(text) and not _MAXIMUM.search(text)
    if metric == "allocated" and draft.fields.get("method") == "inference" and sampled:
        reading["metric"] = "allocated_between_tokens"
    if metric in ("allocated", "reserved", "device") and _EVALUATION.search(text):
        reading["apart"] = "the maximum over a run whose evaluation generates, too"
    if metric in ("allocated", "reserved", "device") and _OTHER_LOSS.search(text):
        reading["apart"] = "of a loss of its own, without a cross-entropy"
