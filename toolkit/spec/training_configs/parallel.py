"""How a run is distributed over GPUs: DeepSpeed's stages, FSDP (fsdp.py), and processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from toolkit.finding import Finding, Severity
from toolkit.spec.fields.names import DEEPSPEED
from toolkit.spec.fields.value import Fixed
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.deepspeed_file import beside_it
from toolkit.spec.training_configs.deepspeed_keys import take_deepspeed_settings
from toolkit.spec.training_configs.fsdp import take_fsdp
from toolkit.spec.training_configs.irrelevant import irrelevant
from toolkit.spec.yaml.node import Entries, Scalar

_STAGE = re.compile(r"(?:zero|z)_?([0123])(?![0-9])")
_OFFLOADED: Mapping[int, bool | str] = {1: "optimizer", 2: "optimizer", 3: True}
"""What each ZeRO stage can keep in main memory."""
_SIZES = {
    "reduce_bucket_size": "reduce_bucket_size",
    "allgather_bucket_size": "allgather_bucket_size",
    "stage3_prefetch_bucket_size": "prefetch_bucket_size",
    "stage3_param_persistence_threshold": "param_persistence_threshold",
    "stage3_max_live_parameters": "max_live_parameters",
    "stage3_max_reuse_distance": "max_reuse_distance",
    "sub_group_size": "sub_group_size",
}
"""DeepSpeed's names of sizes in elements (runtime/zero/config.py), each with the field here."""
_NO_GPUS = "the file does not say on how many GPUs it runs"


def take_parallel(config: Config) -> None:
    """Reads `deepspeed`, `fsdp` and `fsdp_config`; several GPUs without any of them are ddp."""
    strategy = _deepspeed(config) or take_fsdp(config)
    if is_alone(config):
        runs_alone(config, strategy, "deepspeed", "fsdp", "fsdp_config")
        return
    gpus = "parallel.gpus" in config.said or "parallel.gpus" in config.fields
    if strategy and not gpus and "parallel.strategy" not in config.said:
        place = config.place("deepspeed", "fsdp", "fsdp_config")
        config.findings.append(Finding(place, "S105", f"{strategy}: {_NO_GPUS}", "add --parallel-gpus N"))
        forget_parallel(config)
    if not strategy and gpus:
        config.assume("parallel.strategy", "ddp", "several processes that share nothing else")


def is_alone(config: Config) -> bool:
    """Whether the run is stated to have one GPU."""
    gpus = config.said.get("parallel.gpus") or config.fields.get("parallel.gpus")
    return gpus is not None and gpus.value == Fixed(1)


def runs_alone(config: Config, strategy: str | None, *keys: str) -> None:
    """Treats a run on one GPU as one without a strategy, except DeepSpeed's stages, which are followed there too.

    FSDP shards nothing with one rank (torch/distributed/fsdp/_init_utils.py).
    """
    if strategy in DEEPSPEED:
        text = f"{strategy} on one GPU shares nothing out: its buffers and copies are counted"
        config.findings.append(Finding(config.place(*keys), "S115", text, None, Severity.NOTE))
        return
    key = config.present(*keys)
    if config.value("parallel.offload"):
        config.matters(key, f"offloading of {strategy} on one GPU is not followed")
    elif strategy is not None and strategy != "ddp":
        config.matters(key, f"{strategy} shards nothing on one GPU: counted without it", stops=False)
    forget_parallel(config)


def forget_parallel(config: Config) -> None:
    """Drops all that the file says of several GPUs."""
    for name in [name for name in config.fields if name.startswith("parallel.") and name != "parallel.gpus"]:
        del config.fields[name]
        config.remarks.pop(name, None)


def _deepspeed(config: Config) -> str | None:
    node = config.node("deepspeed")
    if isinstance(node, Entries):
        return _written_out(config)
    if not isinstance(node, Scalar):
        return None
    if (strategy := take_deepspeed_file(config, node)) is not None:
        return strategy
    name = PurePosixPath(node.replace("\\", "/")).name.lower()
    found = _STAGE.search(name)
    if found is None:
        reason = "the file that it names does not lie below the configuration, and its name tells no ZeRO stage"
        config.matters("deepspeed", reason, repair="put it into the configuration's folder, and name it from there")
        return None
    message = "deepspeed: the stage is taken from the file's name; the file is not read"
    config.findings.append(Finding(config.place("deepspeed"), "S115", message, None, Severity.WARNING))
    stage = int(found[1])
    if "params" in name and "offload" in name:
        config.matters("deepspeed", "no formula for parameters alone in main memory yet")
    return _zero(config, stage, offload=_OFFLOADED.get(stage) if "offload" in name else None)


def take_deepspeed_file(config: Config, named: str) -> str | None:
    """Reads DeepSpeed's settings from a file in the configuration's folder; None where there is no such file."""
    beside = beside_it(config, named)
    if beside is None:
        return None
    strategy = _written_out(beside)
    config.lost |= beside.lost
    beside.unread(irrelevant(config.tool))
    return strategy


def _written_out(config: Config) -> str:
    """Reads DeepSpeed's settings written inside the configuration."""
    inside = "deepspeed.zero_optimization"
    stage = config.whole(f"{inside}.stage") or 0
    parts = {
        what: (config.word(f"{inside}.offload_{what}.device") or "none") != "none" or bool(config.truth(old))
        for what, old in (("optimizer", f"{inside}.cpu_offload"), ("param", f"{inside}.cpu_offload_param"))
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
    take_deepspeed_settings(config, stage)
    return strategy


def _zero(config: Config, stage: int, *, offload: bool | str | None) -> str:
    strategy = f"zero{stage}" if stage in (1, 2, 3) else "ddp"
    config.put("parallel.strategy", strategy, "deepspeed")
    if offload is not None:
        config.put("parallel.offload", offload, "deepspeed")
    return strategy
