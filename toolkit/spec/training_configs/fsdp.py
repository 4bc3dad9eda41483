"""`fsdp` and `fsdp_config` of TrainingArguments, and of the tools that pass them on.

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
"""accelerate's names and numbers for when a unit is prefetched in backward, each with the name used here."""
UNSAID = "what transformers asks for where nothing is said (training_args.py)"
SECOND_FROM = Version("5.10")
"""Since then fsdp_config's version is 2 by default (training_args.py; 5.9 has 1)."""
BY_LAYERS = "TRANSFORMER_BASED_WRAP"
_A_LAYER = re.compile(r"\w*(?:Layer|Block)")
"""The names of the layer classes of decoders and encoders in transformers."""
EMBEDDING = "Embedding"
"""The class of torch that a model's token embedding is of."""
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
    """Reads how FSDP shards a run; returns the strategy, or None where the file does not ask for FSDP."""
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
    _units(config, said, strategy)
    if strategy == "fsdp":
        _gathers(config, said)
    if config.truth(*_keys("activation_checkpointing")):
        config.put("gradient_checkpointing", "non-reentrant", *_keys("activation_checkpointing"))
    return strategy


def take_storage(config: Config, key: str, dtypes: Mapping[str, str]) -> None:
    """Reads the dtype in which 4-bit weights are packed; it moves memory where they are sharded."""
    said = config.word(key)
    if said is not None and config.value("parallel.strategy") in SHARDS_WEIGHTS:
        config.put("parallel.quant_storage", dtypes.get(said, said), key)


def _options(config: Config) -> tuple[str, ...] | None:
    """The options of `fsdp`; None where FSDP is off: a dump of arguments may have false or an empty text."""
    words = config.words("fsdp") or ()
    asked = tuple(word for word in words if word.lower() != "false")
    return asked or None


def _strategy(config: Config) -> str:
    """Which FSDP it is: since 5.10 transformers' own arguments mean fully_shard by default."""
    version = config.whole("fsdp_version", "fsdp_config.fsdp_version", "fsdp_config.version")
    if version is None and config.tool in ("transformers", "trl"):
        release = stated_release(config, "transformers")
        version = 1 if release is not None and release < SECOND_FROM else 2
    return "fsdp2" if version == 2 else "fsdp"


def _keys(name: str) -> tuple[str, str]:
    """Both spellings of a key: accelerate's has a prefix, which transformers strips."""
    return f"fsdp_config.{name}", f"fsdp_config.fsdp_{name}"


_CLASSES = (*_keys("transformer_layer_cls_to_wrap"), "fsdp_transformer_layer_cls_to_wrap")
_LEAST = (*_keys("min_num_params"), "fsdp_min_num_params")
_PREFETCH = (*_keys("backward_prefetch"), *_keys("backward_prefetch_policy"))

_TRUTHS = {"true": True, "false": False}
"""Truth values may be quoted: transformers converts every value to text before it reads it (training_args.py)."""


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


def _units(config: Config, said: _Said, strategy: str) -> None:
    """Refuses or notes units other than layers: by size, the whole model, or further modules."""
    if said.policy == "NO_WRAP":
        config.matters(
            config.present(*_keys("auto_wrap_policy")), "no formula for a whole model as one unit yet", repair=None
        )
    elif said.policy == "SIZE_BASED_WRAP" or (said.least and said.policy != BY_LAYERS):
        config.matters(config.present(*_keys("auto_wrap_policy"), *_LEAST), BY_SIZE, stops=False)
    for name in said.classes:
        if name == EMBEDDING and strategy == "fsdp":
            config.put("parallel.wraps_embeddings", True, *_CLASSES)
        elif not _A_LAYER.fullmatch(name):
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
