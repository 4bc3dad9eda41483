"""What the optimizers of these tools are called here, and how torch runs them."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.finding import Finding
from toolkit.spec.known import shown, unknown
from toolkit.spec.training_configs.config import Config

OPTIMIZERS: Mapping[str, tuple[str, str | None]] = {
    "adamw_torch": ("adamw", "foreach"),
    "adamw_torch_fused": ("adamw", "fused"),
    "adamw_bnb_8bit": ("adamw_8bit", None),
    "adamw_8bit": ("adamw_8bit", None),
    "paged_adamw": ("paged_adamw", None),
    "paged_adamw_32bit": ("paged_adamw", None),
    "paged_adamw_8bit": ("paged_adamw_8bit", None),
    "adafactor": ("adafactor", None),
    "sgd": ("sgd", "foreach"),
    "lion": ("lion", None),
    "lion_32bit": ("lion", None),
}
"""transformers training_args.py, OptimizerNames, and trainer_optimizer.py. torch.optim takes foreach on a GPU unless
told to fuse (torch/optim/optimizer.py, _default_to_fused_or_foreach)."""

COMPONENTS: Mapping[str, str] = {
    "torch.optim.AdamW": "adamw",
    "torch.optim.SGD": "sgd",
    "bitsandbytes.optim.AdamW8bit": "adamw_8bit",
    "bitsandbytes.optim.PagedAdamW": "paged_adamw",
    "bitsandbytes.optim.PagedAdamW8bit": "paged_adamw_8bit",
}
"""Optimizers that torchtune names by their Python path."""

NEWEST = "adamw_torch_fused"
"""What transformers takes where nothing is said, with torch 2.8 and later."""


def take_optimizer(config: Config, *keys: str, default: str = NEWEST) -> None:
    """Takes the optimizer and its implementation, or refuses one that is not followed."""
    said = config.word(*keys)
    name = (said or default).removeprefix("OptimizerNames.").lower()
    if name not in OPTIMIZERS:
        if "optimizer" not in config.said:
            message, repair = unknown("an optimizer that is followed", name, OPTIMIZERS)
            config.findings.append(Finding(config.place(*keys), "S107", f"{keys[0]}: {message}", repair))
        return
    optimizer, implementation = OPTIMIZERS[name]
    if said is None:
        config.assume("optimizer", optimizer, f"{default}, the default of {config.tool}")
    else:
        config.put("optimizer", optimizer, *keys)
    if implementation is not None and "optimizer" not in config.said:
        config.assume("optimizer_implementation", implementation, f"that of {shown(name)}")
