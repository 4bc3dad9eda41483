"""How a run is shared: DeepSpeed's stages, FSDP, and processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from toolkit.finding import Finding, Severity
from toolkit.spec.training_configs.config import Config
from toolkit.spec.yaml.node import Entries, Scalar

_STAGE = re.compile(r"(?:zero|z)_?([0123])(?![0-9])")
_OFFLOADED: Mapping[int, bool | str] = {1: "optimizer", 2: "optimizer", 3: True}
"""What a stage can keep in main memory."""
_SIZES = {
    "reduce_bucket_size": "reduce_bucket_size",
    "allgather_bucket_size": "allgather_bucket_size",
    "stage3_prefetch_bucket_size": "prefetch_bucket_size",
    "stage3_param_persistence_threshold": "param_persistence_threshold",
    "stage3_max_live_parameters": "max_live_parameters",
    "stage3_max_reuse_distance": "max_reuse_distance",
    "sub_group_size": "sub_group_size",
}
"""DeepSpeed's names of sizes in elements (runtime/zero/config.py), and ours."""
_NO_GPUS = "the file does not say on how many GPUs it runs"


def take_parallel(config: Config) -> None:
    """Takes `deepspeed`, `fsdp` and `fsdp_config`; that several GPUs have nothing else to share a run is ddp."""
    strategy = _deepspeed(config) or _fsdp(config)
    gpus = "parallel.gpus" in config.said or "parallel.gpus" in config.fields
    if strategy and not gpus and "parallel.strategy" not in config.said:
        place = config.place("deepspeed", "fsdp", "fsdp_config")
        config.findings.append(Finding(place, "S105", f"{strategy}: {_NO_GPUS}", "add --parallel-gpus N"))
        for name in [name for name in config.fields if name.startswith("parallel.")]:
            del config.fields[name]
    if not strategy and gpus:
        config.assume("parallel.strategy", "ddp", "several processes that share nothing else")


def _deepspeed(config: Config) -> str | None:
    node = config.node("deepspeed")
    if isinstance(node, Entries):
        return _written_out(config)
    if not isinstance(node, Scalar):
        return None
    name = PurePosixPath(node.replace("\\", "/")).name.lower()
    found = _STAGE.search(name)
    if found is None:
        config.matters("deepspeed", "the file that it names is not read, and its name tells no ZeRO stage")
        return None
    message = "deepspeed: the stage is taken from the file's name; the file is not read"
    config.findings.append(Finding(config.place("deepspeed"), "S115", message, None, Severity.WARNING))
    stage = int(found[1])
    if "params" in name and "offload" in name:
        config.matters("deepspeed", "no formula for parameters alone in main memory yet")
    return _zero(config, stage, offload=_OFFLOADED.get(stage) if "offload" in name else None)


def _written_out(config: Config) -> str:
    """DeepSpeed's settings inside the file."""
    inside = "deepspeed.zero_optimization"
    stage = config.whole(f"{inside}.stage") or 0
    parts = {
        what: (config.word(f"{inside}.offload_{what}.device") or "none") != "none" for what in ("optimizer", "param")
    }
    if parts["param"] and not parts["optimizer"]:
        config.matters("deepspeed", "no formula for parameters alone in main memory yet")
    strategy = _zero(config, stage, offload="optimizer" if parts["optimizer"] and not parts["param"] else
                     True if parts["param"] else None)  # fmt: skip
    for key, name in _SIZES.items():
        said = config.word(f"{inside}.{key}")
        if said == "auto":
            config.put("parallel.buckets", "auto", f"{inside}.{key}")
        elif said is not None and (size := config.whole(f"{inside}.{key}")) is not None:
            config.put(f"parallel.{name}", size, f"{inside}.{key}")
    for name in ("overlap_comm", "contiguous_gradients"):
        value = config.truth(f"{inside}.{name}")
        if value is not None:
            config.put(f"parallel.{name}", value, f"{inside}.{name}")
    return strategy


def _zero(config: Config, stage: int, *, offload: bool | str | None) -> str:
    strategy = f"zero{stage}" if stage in (1, 2, 3) else "ddp"
    config.put("parallel.strategy", strategy, "deepspeed")
    if offload is not None:
        config.put("parallel.offload", offload, "deepspeed")
    return strategy


def _fsdp(config: Config) -> str | None:
    options = config.words("fsdp") or ()
    node = config.node("fsdp_config")
    settings = isinstance(node, Entries) and bool(node)
    if not options and not (settings and config.tool == "axolotl"):
        return None
    shard = config.word("fsdp_config.sharding_strategy", "fsdp_config.fsdp_sharding_strategy") or ""
    for name in ("shard_grad_op", "hybrid_shard", "hybrid_shard_zero2", "no_shard"):
        if name in options or shard.lower() == name:
            config.matters("fsdp" if name in options else "fsdp_config", f"no formula for {name} yet")
            return None
    version = config.whole("fsdp_version", "fsdp_config.fsdp_version", "fsdp_config.version")
    strategy = "fsdp2" if version == 2 else "fsdp"
    config.put("parallel.strategy", strategy, "fsdp", "fsdp_config")
    offload = config.truth("fsdp_config.offload_params", "fsdp_config.fsdp_offload_params")
    if "offload" in options or offload:
        config.put("parallel.offload", True, "fsdp_config", "fsdp")
    _units(config, strategy)
    return strategy


def _units(config: Config, strategy: str) -> None:
    """What FSDP does with a unit after its forward pass, and whether it computes it again."""
    kept = ("fsdp_config.reshard_after_forward", "fsdp_config.fsdp_reshard_after_forward")
    if strategy == "fsdp2" and config.truth(*kept) is False:
        config.put("parallel.reshard_after_forward", False, *kept)
    own = ("fsdp_config.activation_checkpointing", "fsdp_config.fsdp_activation_checkpointing")
    if config.truth(*own):
        config.put("gradient_checkpointing", "non-reentrant", *own)
