"""The tools' optimizers: their names here, how torch runs them, and their arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping

from toolkit.finding import Finding
from toolkit.spec.fields.names import PROJECTED
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.optimizers_refused import REFUSED
from toolkit.spec.training_configs.training_arguments import facts_of
from toolkit.spec.yaml.known import shown, unknown
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar

OPTIMIZERS: Mapping[str, tuple[str, str | None]] = {
    "adamw_torch": ("adamw", "foreach"),
    "adamw_torch_fused": ("adamw", "fused"),
    "adamw_bnb_8bit": ("adamw_8bit", None),
    "adamw_8bit": ("adamw_8bit", None),
    "paged_adamw": ("paged_adamw", None),
    "paged_adamw_32bit": ("paged_adamw", None),
    "paged_adamw_8bit": ("paged_adamw_8bit", None),
    "adamw_torch_8bit": ("adamw_torchao_8bit", None),
    "adamw_torch_4bit": ("adamw_torchao_4bit", None),
    "ao_adamw_8bit": ("adamw_torchao_8bit", None),
    "ao_adamw_4bit": ("adamw_torchao_4bit", None),
    "schedule_free_adamw": ("schedule_free_adamw", None),
    "schedule_free_radam": ("schedule_free_radam", None),
    "schedule_free_sgd": ("schedule_free_sgd", None),
    "stable_adamw": ("stable_adamw", None),
    "lion_pytorch": ("lion_pytorch", None),
    "adafactor": ("adafactor", None),
    "sgd": ("sgd", "foreach"),
    "lion": ("lion", None),
    "lion_32bit": ("lion", None),
    "lion_8bit": ("lion_8bit", None),
    "paged_lion": ("paged_lion", None),
    "paged_lion_32bit": ("paged_lion", None),
    "paged_lion_8bit": ("paged_lion_8bit", None),
    "ademamix": ("ademamix", None),
    "ademamix_8bit": ("ademamix_8bit", None),
    "paged_ademamix": ("paged_ademamix", None),
    "paged_ademamix_32bit": ("paged_ademamix", None),
    "paged_ademamix_8bit": ("paged_ademamix_8bit", None),
    "rmsprop": ("rmsprop", "foreach"),
    "rmsprop_bnb": ("rmsprop_bnb", None),
    "rmsprop_bnb_32bit": ("rmsprop_bnb", None),
    "rmsprop_bnb_8bit": ("rmsprop_bnb_8bit", None),
    "adagrad": ("adagrad", "foreach"),
    "galore_adamw": ("galore_adamw", None),
    "galore_adamw_8bit": ("galore_adamw_8bit", None),
    "galore_adafactor": ("galore_adafactor", None),
    "apollo_adamw": ("apollo_adamw", None),
    "ao_adamw_fp8": ("adamw_torchao_fp8", None),
    "adopt_adamw": ("adopt", None),
    "came_pytorch": ("came", None),
    "grokadamw": ("grokadamw", None),
    "lomo": ("lomo", None),
    "adalomo": ("adalomo", None),
}
"""transformers training_args.py, OptimizerNames, and trainer_optimizer.py. torch.optim takes foreach on a GPU unless
told to fuse (torch/optim/optimizer.py, _default_to_fused_or_foreach)."""

COMPONENTS: Mapping[str, str] = {
    "torch.optim.AdamW": "adamw",
    "torch.optim.SGD": "sgd",
    "torch.optim.RMSprop": "rmsprop",
    "torch.optim.Adagrad": "adagrad",
    "torchao.optim.AdamW8bit": "adamw_torchao_8bit",
    "torchao.optim.AdamW4bit": "adamw_torchao_4bit",
    "torchao.prototype.low_bit_optim.AdamW8bit": "adamw_torchao_8bit",
    "torchao.prototype.low_bit_optim.AdamW4bit": "adamw_torchao_4bit",
    "bitsandbytes.optim.AdamW8bit": "adamw_8bit",
    "bitsandbytes.optim.PagedAdamW": "paged_adamw",
    "bitsandbytes.optim.PagedAdamW8bit": "paged_adamw_8bit",
    "bitsandbytes.optim.Lion": "lion",
    "bitsandbytes.optim.Lion8bit": "lion_8bit",
    "bitsandbytes.optim.PagedLion": "paged_lion",
    "bitsandbytes.optim.PagedLion8bit": "paged_lion_8bit",
    "bitsandbytes.optim.AdEMAMix": "ademamix",
    "bitsandbytes.optim.AdEMAMix8bit": "ademamix_8bit",
    "bitsandbytes.optim.PagedAdEMAMix": "paged_ademamix",
    "bitsandbytes.optim.PagedAdEMAMix8bit": "paged_ademamix_8bit",
}
"""torchtune's optimizers by their Python path."""

COMPILED = frozenset({"adamw_torchao_8bit", "adamw_torchao_4bit", "adamw_torchao_fp8"})
"""Optimizers whose step torch.compile compiles into its own kernels."""

NEWEST = "adamw_torch_fused"
"""The default of transformers with torch 2.8 and later."""

TARGETS, ARGUMENTS = "optim_target_modules", "optim_args"
_MORE_STATES = {"sgd": ("dampening", "nesterov"), "rmsprop": ("momentum", "centered")}
_DECAYED_ANEW = frozenset({"sgd", "sgd_momentum", "rmsprop", "adagrad"})
"""torch's optimizers that add decayed weights to copies of the gradients."""
_TOLD_MORE = PROJECTED | {"sgd", "rmsprop"}
"""Optimizers whose states depend on their arguments."""
_PATTERN = re.compile(r"[][\\(){}|*+?^$]")


def take_optimizer(config: Config, *keys: str, default: str = NEWEST) -> None:
    """Reads the optimizer and its implementation, or refuses one that is not followed."""
    said = config.word(*keys)
    name = (said or default).removeprefix("OptimizerNames.").lower()
    targets, told = config.node(TARGETS), _arguments(config.node(ARGUMENTS))
    if name not in OPTIMIZERS:
        _refuse(config, name, *keys)
        return
    optimizer, implementation = OPTIMIZERS[name]
    if told is None and "optimizer" not in config.said and optimizer in _TOLD_MORE:
        config.matters(ARGUMENTS, "is not text such as rank=64, update_proj_gap=100")
    arguments = told or {}
    if optimizer == "sgd" and _is_positive(arguments.get("momentum")):
        optimizer = "sgd_momentum"
    if said is None:
        config.assume("optimizer", optimizer, f"{default}, the default of {config.tool}")
    else:
        config.put("optimizer", optimizer, *keys)
    if "optimizer" in config.said:
        return
    if implementation is not None:
        config.assume("optimizer_implementation", implementation, f"that of {shown(name)}")
    if optimizer == "rmsprop" and any(_is_said(arguments.get(one)) for one in _MORE_STATES["rmsprop"]):
        config.matters(ARGUMENTS, "no formula for RMSprop with momentum or centered yet")
    note_decay(config, optimizer)
    _note_compiled(config, optimizer, arguments, *keys)
    if optimizer in PROJECTED:
        _take_galore(config, targets, arguments)


def take_muon(config: Config, key: str) -> None:
    """Reads Muon as axolotl and LLaMA-Factory have it: torch's states, and a step that torch.compile fuses.

    LLaMA-Factory's is for tensors of two dimensions (train/trainer_utils.py), axolotl's for two and more
    (axolotl-contribs-mit, muon.py); axolotl's does not update vectors at all.
    """
    if "optimizer" in config.said:
        return
    config.put("optimizer", "muon", key)
    config.assume("optimizer_implementation", "for-loop", "AdamW beside it goes one parameter after the other")
    reason = f"the step of {config.tool} is compiled and its own: what it needs meanwhile is taken for that of torch"
    config.matters(key, reason, stops=False)
    facts = facts_of(config)
    if config.tool == "axolotl" and facts and any("experts" in name for name in facts.config):
        config.matters(key, "muon: axolotl's updates experts that are one tensor, too, which is not followed")


def note_decay(config: Config, optimizer: str, key: str = "weight_decay") -> None:
    """Notes where weight decay makes copies of the gradients."""
    if optimizer in _DECAYED_ANEW and _is_positive(config.node(key)):
        reason = f"with {optimizer} it makes a copy of all gradients in the step, which is not counted"
        config.matters(key, reason, stops=False)


def _note_compiled(config: Config, optimizer: str, arguments: Mapping[str, Node], *keys: str) -> None:
    """Notes what is not counted of a compiled step, and refuses blocks of another size."""
    if optimizer not in COMPILED:
        return
    reason = "what torch.compile makes of its step is taken to need no memory of its own"
    config.matters(config.present(*keys), reason, stops=False)
    if "block_size" in arguments:
        config.matters(ARGUMENTS, "no formula for torchao's optimizers with blocks of another size yet")


def _refuse(config: Config, name: str, *keys: str) -> None:
    """Refuses an optimizer with the reason, unless the command line states another."""
    if "optimizer" in config.said:
        return
    if name in REFUSED:
        config.matters(config.present(*keys), f"{name}: {REFUSED[name]}")
        return
    message, repair = unknown("an optimizer that is followed", name, OPTIMIZERS)
    config.findings.append(Finding(config.place(*keys), "S107", f"{keys[0]}: {message}", repair))


def _arguments(node: Node | None) -> dict[str, Node] | None:
    """`optim_args`: a text of name=value pairs separated by commas, or a mapping; None for anything else."""
    if isinstance(node, Entries):
        return dict(node)
    parts = [part.split("=") for part in str(node or "").replace(" ", "").split(",") if part]
    if isinstance(node, Items) or any(len(part) != len(("name", "value")) for part in parts):
        return None
    return {name: _plain(value) for name, value in parts}


def _plain(text: str) -> Scalar:
    made = Scalar(text)
    made.plain = True
    return made


def _is_positive(node: Node | None) -> bool:
    """Whether a value is stated and is not zero."""
    return isinstance(node, Scalar) and re.fullmatch(r"[-+0.eE]*", node) is None


def _is_said(node: Node | None) -> bool:
    return _is_positive(node) and str(node).lower() not in ("false", "no", "off")


def _take_galore(config: Config, targets: Node | None, arguments: Mapping[str, Node]) -> None:
    for name in ("rank", "update_proj_gap"):
        if name in arguments:
            _put_whole(config, f"galore.{name}", arguments[name])
    if str(arguments.get("proj", "random")) != "random":
        config.matters(ARGUMENTS, "no formula for APOLLO's projectors yet, except random ones")
    if str(arguments.get("proj_type", "std")) != "std":
        config.matters(ARGUMENTS, "no formula for GaLore's projections of other types than std yet")
    take_galore_targets(config, targets, TARGETS)


def _put_whole(config: Config, field: str, node: Node) -> None:
    text = str(node)
    if text.isdecimal() and text.isascii() and len(text) < len("1000000000000"):
        config.put(field, int(text), ARGUMENTS)
    else:
        config.matters(ARGUMENTS, f"{shown(text)} is no {field.rpartition('.')[2]}")


def take_galore_targets(config: Config, node: Node | None, key: str) -> None:
    """Reads the linear layers whose gradients are projected, which transformers requires."""
    if "galore.targets" in config.said:
        return
    names = list(map(str, node)) if isinstance(node, Items) else [] if node is None else [str(node)]
    if names == ["all-linear"] or names == ["all_linear"]:
        config.put("galore.targets", "all-linear", key)
    elif not isinstance(node, Items) and names:
        config.matters(key, "a pattern of module names is not followed: list parts of the names, or write all-linear")
    elif any(_PATTERN.search(name) for name in names):
        config.matters(key, "a pattern of module names is not followed: list parts of the names")
    elif names:
        config.put("galore.targets", tuple(names), key)
    else:
        message = f"GaLore needs {key}: the linear layers whose gradients are projected"
        config.findings.append(Finding(config.place(key), "S105", message, f"add {key}: all-linear"))
