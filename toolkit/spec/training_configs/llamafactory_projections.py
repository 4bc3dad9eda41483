"""GaLore and APOLLO in LLaMA-Factory's YAML, which have keys of their own (hparams/finetuning_args.py)."""

from __future__ import annotations

from toolkit.finding import Finding
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.optimizers_refused import REFUSED
from toolkit.spec.training_configs.training_arguments import facts_of
from toolkit.spec.yaml.known import unknown

GALORE = {
    "adamw_torch": "galore_adamw", "adamw_bnb_8bit": "galore_adamw_8bit", "adamw_8bit": "galore_adamw_8bit",
    "paged_adamw_8bit": "galore_adamw_8bit", "adafactor": "galore_adafactor",
}  # fmt: skip
"""train/trainer_utils.py, _create_galore_optimizer."""
OF_LLAMA = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3", "olmo2", "granite")
"""Model types whose linear layers are those of Llama's layers and an output layer."""
INSIDE_LAYERS = ("self_attn", "mlp")
"""Parts of the names of all linear layers but the output layer (model/model_utils/misc.py, find_all_linear_modules)."""


def take_galore(config: Config) -> None:
    """Reads GaLore: `optim` decides the optimizer; targets are parts of names, `all` excludes the output layer."""
    said = config.word("optim") or "adamw_torch"
    if config.truth("galore_layerwise"):
        config.matters("galore_layerwise", REFUSED["galore_adamw_layerwise"])
    if said not in GALORE:
        message, repair = unknown("an optimizer that GaLore has in LLaMA-Factory", said, GALORE)
        config.findings.append(Finding(config.place("optim"), "S107", f"optim: {message}", repair))
        return
    config.put("optimizer", GALORE[said], "use_galore")
    _projections(config, "galore")


def take_apollo(config: Config) -> None:
    """Reads APOLLO's AdamW: the same options under other names (hparams/finetuning_args.py, ApolloArguments)."""
    if config.truth("apollo_layerwise"):
        config.matters("apollo_layerwise", REFUSED["apollo_adamw_layerwise"])
    if config.word("apollo_proj") not in (None, "random"):
        config.matters("apollo_proj", "no formula for APOLLO's projectors yet, except random ones")
    config.node("optim")
    config.put("optimizer", "apollo_adamw", "use_apollo")
    _projections(config, "apollo")


def _projections(config: Config, name: str) -> None:
    """Reads the rank and the modules of GaLore or APOLLO, whose keys differ in their first word."""
    for key, field in ((f"{name}_rank", "rank"), (f"{name}_update_interval", "update_proj_gap")):
        whole = config.whole(key)
        if whole is not None:
            config.put(f"galore.{field}", whole, key)
    config.assume("galore.rank", config.value("galore.rank") or 16, f"{name}_rank, by default 16")
    if config.word(f"{name}_proj_type") not in (None, "std"):
        config.matters(f"{name}_proj_type", "no formula for projections of other types than std yet")
    targets = config.words(f"{name}_target") or ("all",)
    if targets == ("all",) and "galore.targets" not in config.said:
        facts = facts_of(config)
        names = INSIDE_LAYERS if facts is not None and facts.config.get("model_type") in OF_LLAMA else None
        if names is None:
            config.matters(f"{name}_target", "all leaves the output layer out: list parts of the modules' names")
        else:
            config.assume("galore.targets", names, f"{name}_target: all, which leaves the output layer out")
    elif "galore.targets" not in config.said:
        config.put("galore.targets", targets, f"{name}_target")
