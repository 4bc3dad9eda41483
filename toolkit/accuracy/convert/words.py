"""Words of published records: by the tables where these have them, else by what they are made of.

A table holds what one source calls a thing. What is here holds for any: "DeepSpeed ZeRO stage 2" is zero2, "bf16 AMP"
is bfloat16 under autocast. A text that may mean two things, or that names one which no scenario has, is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from toolkit.accuracy.convert.vocabulary import vocabulary, word
from toolkit.spec.fields import names

_FLOATS = re.compile(r"\b(?:torch\.)?(bf16|bfloat16|fp16|float16|half|fp32|float32|tf32)\b")
_FLOAT_NAMES: Mapping[str, str] = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32",
                                   "tf32": "fp32"}  # fmt: skip
_MASTER = re.compile(r"\bfp32 master\b")
_REMARK = re.compile(r"[({].*", re.DOTALL)
_FLASH_OFF = re.compile(r"(?<![a-z])flash[\w-]*[ \"']*[:=][ \"']*(?:false|off|no|0)\b|\bnot flash[\w-]*")
_AUTOCAST = re.compile(r"\b(?:amp|autocast|mixed(?:[ -]precision)?)\b")

_UNSTORED = re.compile(
    r"\b(?:hqq|gguf|q[2-8]_[k01]|aqlm|eetq|quip|quanto|higgs|vptq|nvfp4|mxfp8|fbgemm\w*|tensorwise|rowwise|kv|linear|training)\b"
)
"""Words beside which a number of bits says another storage than those of a scenario, or none of weights."""

_BITS = re.compile(r"(?<![\d.])([2-8])(?:\.\d+)?[ -]?bits?\b|\bint([248])\b")
_LOAD_IN = re.compile(r"\bload_in_([48])bit\b(?!\s*=\s*false)")
_BITSANDBYTES = re.compile(r"\b(?:bitsandbytes|bnb|llm\.int8)\b")

_SPLIT = re.compile(
    r"\b(?:tp|pp|cp|ep|sp)[ =x]?\d|megatron|expert|context|sequence|ulysses|no_shard|hybrid|size.based|min_num_params"
    r"|not stated| x tp"
)
"""Words of a run that is shared out in two ways, or in one that no scenario has."""

_STRATEGIES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:zero|deepspeed)[ _-]*(?:stage)?[ _-]*1\b"), "zero1"),
    (re.compile(r"(?:zero|deepspeed)[ _-]*(?:stage)?[ _-]*2\b"), "zero2"),
    (re.compile(r"(?:zero|deepspeed)[ _-]*(?:stage)?[ _-]*3\b"), "zero3"),
    (re.compile(r"\b(?:fsdp2|fully_shard)\b"), "fsdp2"),
    (re.compile(r"\bfsdp\b|fully[ -]sharded"), "fsdp"),
    (re.compile(r"\bddp\b|distributed ?data ?parallel"), "ddp"),
    (re.compile(r"\btensor[ -]parallel|^tp$"), "tensor"),
    (re.compile(r"\bdevice_map\b|\bpipeline\b|^pp$"), "pipeline"),
    (re.compile(r"^(?:none|single|single gpu|one gpu)$"), "none"),
)
_OFFLOAD = re.compile(r"(?<!no )(?<!without )(?<!without cpu )(?<!no cpu )(?:cpu )?offload")

_METHODS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(?:dpo|ppo|grpo|rlhf|orpo|kto|reward)\b"), ""),
    (re.compile(r"\b(?:inference|generation|generate|decod\w*|prefill|serving)\b"), "inference"),
    (re.compile(r"\bq-?(?:lora|dora)\b"), "qlora"),
    (re.compile(r"\b(?:lora|dora|rslora|pissa)\b"), "lora"),
    (re.compile(r"\b(?:full|pre-?train\w*|full[ -]parameter|sft|fine-?tun\w*)\b"), "full"),
)


def weights_of(published: str | None) -> str | tuple[str, ...] | None:
    """The storage of a published one, several where it may be either, None for one that no scenario has."""
    if published is None:
        return None
    known = word("weights", published)
    if known is not None:
        return str(known)
    text = published.casefold()
    if published in vocabulary()["open_weights"] or _UNSTORED.search(text) or _MASTER.search(text):
        return None
    return _quantized(text) or (None if _BITS.search(text) else float_of(text))


def _quantized(text: str) -> str | tuple[str, ...] | None:
    """Quantized weights by the words of their name and their bits."""
    for name in ("mxfp4", "nf4"):
        if re.search(rf"\b{name}\b", text):
            return name
    if asked := _LOAD_IN.search(text):  # BitsAndBytesConfig: 4 bits are fp4 unless a type is named
        return "int8" if asked[1] == "8" else "fp4"
    found = _BITS.search(text)
    bits = (found[1] or found[2]) if found else ""
    if re.search(r"\bgptq|autogptq|gptqmodel", text):
        return {"4": "gptq-int4", "8": "gptq-int8"}.get(bits)
    if "awq" in text:
        return "awq-int4" if bits in ("", "4") else None
    if re.search(r"\bfp4\b", text):
        return "fp4"
    if _BITSANDBYTES.search(text):
        return ("nf4", "fp4") if bits == "4" else "int8" if bits == "8" else None
    return "fp8" if re.search(r"\bfp8\b|\bfloat8\b", text) else None


def float_of(published: str | None) -> str | None:
    """The one dtype of floats that a text names, None where it names none or two."""
    if published is None:
        return None
    found = {_FLOAT_NAMES.get(one, one) for one in _FLOATS.findall(published.casefold())}
    return found.pop() if len(found) == 1 else None


def compute_of(published: str | None) -> tuple[str | None, bool]:
    """The dtype of products, and whether autocast chooses it."""
    if published is None:
        return None, False
    autocast = published in vocabulary()["autocast"] or bool(_AUTOCAST.search(published.casefold()))
    known = word("compute", published)
    return known or (None if "fp8" in published.casefold() else float_of(published)), autocast


def attention_of(published: str | None) -> str | tuple[str, ...] | None:
    """How attention is computed, both where it may be flash or not, None where a text names what no scenario has."""
    if published is None:
        return None
    known = word("attention", published)
    text = published.casefold()
    if known is not None:
        return str(known)
    if re.search(r"^flash\S* or not\b", text):
        return "flash", "sdpa"
    if re.search(r"\bor\b|\bno flash|without|vllm|xformers|exllama", text):
        return None
    text = _FLASH_OFF.sub("", text)
    for said in (_REMARK.sub("", text), text):  # what stands in brackets is the kernel that it came to
        for name, sign in (("flash", "flash"), ("sdpa", "sdpa|scaled.dot.product"), ("eager", "eager")):
            if re.search(sign, said):
                return name
    return None


def optimizer_of(published: str | None) -> str | None:
    """The optimizer by its name alone: what stands in brackets behind it are its rates."""
    if published is None:
        return None
    known = word("optimizers", published)
    if known is not None:
        return str(known)
    if "+" in published:
        return None
    plain = _REMARK.sub("", published).strip().casefold().replace("-", "_").replace(" ", "_")
    plain = plain.removeprefix("torch.optim.").removeprefix("torch.").removesuffix("_fused").removesuffix("_foreach")
    spelled = names.OTHER_SPELLINGS.get(plain, plain)
    return spelled if spelled in names.OPTIMIZERS else _EIGHT_BIT.get(plain)


_EIGHT_BIT: Mapping[str, str] = {"8bit_adamw": "adamw_8bit", "8_bit_adamw": "adamw_8bit", "adamw8bit": "adamw_8bit",
                                 "pagedadamw8bit": "paged_adamw_8bit", "pagedadamw32bit": "paged_adamw",
                                 "adam_8bit": "adamw_8bit", "paged_adamw_32bit": "paged_adamw"}  # fmt: skip


_DEFAULT = re.compile(
    r"(?:the |its )?(?:(?:hf |transformers )?(?:sft)?trainer(?:['\u2019]?s)? |trl(?:['\u2019]s)? )?"
    r"defaults?(?: optimizer)?"
)
"""What stands for the optimizer of whatever trains: no name of one."""


def is_default_optimizer(published: str) -> bool:
    """Whether a text says of the optimizer only that nobody chose it: what it is follows from the trainer."""
    return _DEFAULT.fullmatch(published.strip().casefold()) is not None


def implementation_of(published: str | None) -> str | None:
    """How torch runs the optimizer, where its name says so."""
    known = word("implementations", published)
    if known is not None or published is None:
        return known  # type: ignore[no-any-return]
    found = re.search(r"\b(?:adam|adamw|adamw_torch|sgd)[ _-](fused|foreach)\b", published.casefold())
    return found[1] if found else None


def strategy_of(kind: str) -> tuple[str | None, bool]:
    """How GPUs share a run, None for a way that no scenario has; and whether it offloads to main memory."""
    known, text = word("strategies", kind), kind.casefold().strip()
    offloads = kind in vocabulary()["offloads"] or bool(_OFFLOAD.search(text))
    if known is not None:
        return str(known), offloads
    found = {name for sign, name in _STRATEGIES if sign.search(text)}
    if found & {"fsdp", "fsdp2"}:
        found -= {"zero2", "zero3"}  # whose names FSDP's two ways to shard have, too
    if _SPLIT.search(text) or len(found) != 1:
        return None, offloads
    return found.pop(), offloads


def reshards(kind: str) -> bool | None:
    """Whether FSDP frees the weights of a layer after its forward pass, None where its kind does not say."""
    text = kind.casefold()
    if re.search(r"\bgrad_op\b|shard_grad_op|reshard_after_forward\W{0,3}false|\bzero[ _-]?2\b", text):
        return False
    return True if re.search(r"full_shard|reshard_after_forward\W{0,3}true|\bzero[ _-]?3\b", text) else None


def method_of(task: str) -> str | None:
    """What is done with the model, None for a task that no scenario has."""
    known = word("methods", task)
    if known is not None:
        return str(known)
    plain = task.casefold().strip()
    if plain in names.METHODS:
        return plain
    return next((name or None for sign, name in _METHODS if sign.search(plain)), None)
