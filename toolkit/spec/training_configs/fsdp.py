"""`fsdp` and `fsdp_config` of TrainingArguments, and of the tools that hand them on.

Sources: transformers 5.23 training_args.py (_process_fsdp_args), accelerate 1.14 utils/dataclasses.py
(FullyShardedDataParallelPlugin), torch/distributed/fsdp/_runtime_utils.py (_prefetch_handle).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.spec.fields.names import SHARDS_WEIGHTS
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.stated_release import stated_release
from toolkit.spec.yaml.known import shown, unknown
from toolkit.spec.yaml.node import Entries

PREFETCHES: Mapping[str, str] = {
    "BACKWARD_PRE": "pre", "1": "pre", "BACKWARD_POST": "post", "2": "post", "NO_PREFETCH": "none",
}  # fmt: skip
"""accelerate's names and numbers of when a unit is gathered ahead in backward, and ours."""
UNSAID = "what transformers asks for where nothing is said (training_args.py)"
SECOND_FROM = Version("5.10")
"""Since then fsdp_config's version is 2 unless it is said (training_args.py; 5.9 has 1)."""
BY_LAYERS = "TRANSFORMER_BASED_WRAP"
_A_LAYER = re.compile(r"\w*(?:Layer|Block)")
"""How transformers calls what a decoder or an encoder is made of many of."""
BY_SIZE = "units that are made by their size are not followed: each layer is counted as one"
FORWARD = "a layer more is gathered ahead in forward, which is not followed"


@frozen
class _Said:
    """What a file says of units: how they are made, and when they are gathered."""

    policy: str
    least: int
    classes: tuple[str, ...]
    reshards: str
    prefetch: str | None
    forward: bool
    limit: bool | None
    sync: bool | None
    tensors: bool | None


def take_fsdp(config: Config) -> str | None:
    """Takes how FSDP shares a run out; the strategy, or None where the file does not ask for FSDP."""
    options = _options(config)
    node = config.node("fsdp_config")
    said = _said(config)  # read in any case, as a dump of arguments has them all
    if options is None and not (isinstance(node, Entries) and bool(node) and config.tool == "axolotl"):
        return None
    shares = {*(options or ()), (config.word(*_keys("sharding_strategy")) or "").lower(), said.reshards}
    for name in ("hybrid_shard", "hybrid_shard_zero2", "no_shard"):
        if name in shares:
            config.matters("fsdp" if name in (options or ()) else "fsdp_config", f"no formula for {name} yet")
            return None
    strategy = _strategy(config)
    config.put("parallel.strategy", strategy, "fsdp", "fsdp_config")
    if shares & {"shard_grad_op", "2", "false"}:
        config.put("parallel.reshard_after_forward", False, *_keys("reshard_after_forward"), "fsdp", "fsdp_config")
    if "offload" in shares or config.truth(*_keys("offload_params")) or config.truth(*_keys("cpu_offload")):
        config.put("parallel.offload", True, "fsdp_config", "fsdp")
    _units(config, said)
    if strategy == "fsdp":
        _gathers(config, said)
    if config.truth(*_keys("activation_checkpointing")):
        config.put("gradient_checkpointing", "non-reentrant", *_keys("activation_checkpointing"))
    return strategy


def take_storage(config: Config, key: str, dtypes: Mapping[str, str]) -> None:
    """Takes what 4-bit weights are packed in; it moves memory where they are shared out."""
    said = config.word(key)
    if said is not None and config.value("parallel.strategy") in SHARDS_WEIGHTS:
        config.put("parallel.quant_storage", dtypes.get(said, said), key)


def _options(config: Config) -> tuple[str, ...] | None:
    """What `fsdp` asks for; None where it does not: a dump of arguments may say false, or nothing in quotes."""
    words = config.words("fsdp") or ()
    asked = tuple(word for word in words if word.lower() != "false")
    return asked or None


def _strategy(config: Config) -> str:
    """Which FSDP it is: transformers' own arguments mean fully_shard where nothing is said, since 5.10."""
    version = config.whole("fsdp_version", "fsdp_config.fsdp_version", "fsdp_config.version")
    if version is None and config.tool in ("transformers", "trl"):
        release = stated_release(config, "transformers")
        version = 1 if release is not None and release < SECOND_FROM else 2
    return "fsdp2" if version == 2 else "fsdp"


def _keys(name: str) -> tuple[str, str]:
    """Both spellings of a key: accelerate's own has a prefix, which transformers takes off."""
    return f"fsdp_config.{name}", f"fsdp_config.fsdp_{name}"


_CLASSES = (*_keys("transformer_layer_cls_to_wrap"), "fsdp_transformer_layer_cls_to_wrap")
_LEAST = (*_keys("min_num_params"), "fsdp_min_num_params")
_PREFETCH = (*_keys("backward_prefetch"), *_keys("backward_prefetch_policy"))

_TRUTHS = {"true": True, "false": False}
"""In quotes, too: transformers makes text of what is said, and reads that (training_args.py)."""


def _said(config: Config) -> _Said:
    return _Said(
        policy=(config.word(*_keys("auto_wrap_policy")) or "").upper(),
        least=config.whole(*_LEAST) or 0,
        classes=config.words(*_CLASSES) or (),
        reshards=(config.word(*_keys("reshard_after_forward")) or "").lower(),
        prefetch=config.word(*_PREFETCH),
        forward=bool(config.truth(*_keys("forward_prefetch"))),
        limit=config.truth(*_keys("limit_all_gathers")),
        sync=config.truth(*_keys("sync_module_states")),
        tensors=_TRUTHS.get((config.word(*_keys("use_orig_params")) or "").lower()),
    )


def _units(config: Config, said: _Said) -> None:
    """What is not a layer as a unit: by size, the whole model, or other modules besides."""
    if said.policy == "NO_WRAP":
        config.matters(
            config.present(*_keys("auto_wrap_policy")), "no formula for a whole model as one unit yet", repair=None
        )
    elif said.policy == "SIZE_BASED_WRAP" or (said.least and said.policy != BY_LAYERS):
        config.matters(config.present(*_keys("auto_wrap_policy"), *_LEAST), BY_SIZE, stops=False)
    for name in said.classes:
        if not _A_LAYER.fullmatch(name):
            reason = f"that {shown(name)} is a unit of its own is not followed"
            config.matters(config.present(*_CLASSES), reason, stops=False)


def _gathers(config: Config, said: _Said) -> None:
    """When FSDP gathers a unit; fully_shard decides that itself."""
    if said.prefetch is None:
        config.assume("parallel.backward_prefetch", "none", UNSAID)
    elif said.prefetch.upper() in PREFETCHES:
        config.put("parallel.backward_prefetch", PREFETCHES[said.prefetch.upper()], *_PREFETCH)
    else:
        message, _ = unknown("a way to gather ahead", shown(said.prefetch), PREFETCHES)
        config.matters(config.present(*_PREFETCH), message)
    if said.forward:
        config.matters(config.present(*_keys("forward_prefetch")), FORWARD, stops=False)
    if said.limit is not None:
        config.put("parallel.limit_all_gathers", said.limit, *_keys("limit_all_gathers"))
    if said.sync is not None:
        config.put("parallel.sync_module_states", said.sync, *_keys("sync_module_states"))
    if said.tensors is not None:
        config.put("parallel.use_orig_params", said.tensors, *_keys("use_orig_params"))
