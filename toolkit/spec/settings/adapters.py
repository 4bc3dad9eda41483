"""The adapters, projections and kernels of a setting, from the stated fields and the defaults of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from toolkit.spec.fields import names
from toolkit.spec.fields.kernel_names import FSDP_IGNORES
from toolkit.spec.fields.objective import STEADY
from toolkit.spec.fields.peft_methods import BASE_DTYPE, PEFT_METHODS
from toolkit.spec.fields.value import Atom
from toolkit.spec.settings.setting import Galore, Kernels, Lora, Peft, Stack
from toolkit.spec.settings.stack_rules import adapter_dtype, osf_follows_weights

Said = Mapping[str, Atom]


def lora_of(said: Said, method: str, stack: Stack, weights: str, compute: str) -> Lora | None:
    """The adapters of LoRA; None for methods that have none. TRL turns dropout off for most (disable_dropout).

    Where a model answers with them, nothing is dropped out, and it is all the same which matrix was frozen.
    """
    if said.get("lora.rank") is None or said.get("lora.targets") is None or method not in (*names.LORA, "inference"):
        return None
    targets, trains = said["lora.targets"], method != "inference"
    kept = "a" if said["optimizer"] == names.LORA_FA else cast("str | None", said.get("lora.frozen"))
    steady = said.get("objective") in STEADY or not trains
    return Lora(
        rank=cast("int", said["lora.rank"]),
        alpha=cast("int | None", said.get("lora.alpha")),
        targets=targets if isinstance(targets, tuple) else str(targets),
        dropout=0.0 if steady else float(cast("float", said["lora.dropout"])),
        dtype=str(said.get("lora.dtype") or _dtype(said, method, stack, weights, compute)),
        dora=bool(said.get("lora.dora")),
        bias=bool(said.get("lora.bias")),
        modules_to_save=cast("tuple[str, ...]", said.get("lora.modules_to_save") or ()),
        frozen=kept if trains else None,
        blocks=cast("int", said.get("lora.blocks", 1)),
        blocked_a=cast("tuple[str, ...]", said.get("lora.blocked_a") or ()),
        blocked_b=cast("tuple[str, ...]", said.get("lora.blocked_b") or ()),
    )


def peft_of(said: Said, method: str, stack: Stack, weights: str, compute: str) -> Peft | None:
    """The adapters of another method of peft, with peft's defaults; None for other methods."""
    known = PEFT_METHODS.get(method)
    if known is None:
        return None
    own = weights if weights in names.FLOATS else compute
    if method in BASE_DTYPE:
        dtype = own
    else:
        follows = method == "osf" and osf_follows_weights(stack.versions)
        dtype = str(said.get("peft.dtype") or (own if follows else _dtype(said, method, stack, weights, compute)))
    options = tuple((name, said.get(f"peft.{name}", default)) for name, default in known.options.items())
    targets = said.get("peft.targets")
    return Peft(
        targets=targets if targets is None or isinstance(targets, tuple) else str(targets),
        rank=cast("int | None", said.get("peft.rank", known.rank)),
        dtype=dtype,
        options=options,
    )


def galore_of(said: Said) -> Galore | None:
    """The projection of gradients, with transformers' defaults; None for optimizers without one."""
    if said["optimizer"] not in names.PROJECTED or said["method"] == "inference":
        return None
    targets = said.get("galore.targets", "all-linear")
    return Galore(
        rank=cast("int", said.get("galore.rank", 128)),
        targets=targets if isinstance(targets, tuple) else str(targets),
        update_proj_gap=cast("int", said.get("galore.update_proj_gap", 200)),
    )


def kernels_of(said: Said) -> Kernels:
    """The kernels that run parts of a model; by default those of its own code."""
    return Kernels(
        gptq=cast("str | None", said.get("kernels.gptq")),
        adapters=cast("str | None", said.get("kernels.adapters")),
        norm=bool(said.get("kernels.norm")),
        rotary=bool(said.get("kernels.rotary")),
        awq=cast("str | None", said.get("kernels.awq")),
        liger=_liger(said.get("kernels.liger")),
        experts=cast("str | None", said.get("kernels.experts")),
        linear_attention=_beside_torch(said, "kernels.linear_attention"),
        convolution=_beside_torch(said, "kernels.convolution"),
        sdpa=cast("str | None", said.get("kernels.sdpa")) if said["method"] == "inference" else None,
    )


def _liger(value: Atom) -> bool | str:
    """The kernels of Liger that are used; `true` stands for `classes`."""
    return "instance" if value == "instance" else bool(value)


def _beside_torch(said: Said, name: str) -> str | None:
    """A kernel other than torch's own operation; None for torch's."""
    kernel = cast("str | None", said.get(name))
    return None if kernel == "torch" else kernel


def _dtype(said: Said, method: str, stack: Stack, weights: str, compute: str) -> str:
    sharded = said["parallel.strategy"] in names.SHARDS_WEIGHTS
    alone = said.get("kernels.adapters") in FSDP_IGNORES
    trains = method != "inference"
    return adapter_dtype(stack.trainer, weights, compute, stack.versions, sharded=sharded, ignored=alone, trains=trains)
