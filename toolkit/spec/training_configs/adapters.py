"""The sizes of LoRA adapters in the configuration of a tool that runs peft: rank, alpha, dropout, DoRA."""

from __future__ import annotations

from toolkit.spec.training_configs.config import Config


def take_lora(config: Config, *, tool: str, rank_key: str, dora_key: str, rank: int | None, dropout: float) -> None:
    """Reads the adapters' sizes; `rank` and `dropout` are the tool's defaults, None where it has none."""
    said = config.whole(rank_key)
    if said is not None:
        config.put("lora.rank", said, rank_key)
    elif rank is not None:
        config.assume("lora.rank", rank, f"the default of {tool}")
    alpha = config.whole("lora_alpha")
    if alpha is not None:
        config.put("lora.alpha", alpha, "lora_alpha")
    dropped = config.decimal("lora_dropout")
    if dropped is not None:
        config.put("lora.dropout", dropped, "lora_dropout")
    else:
        config.assume("lora.dropout", dropout, f"the default of {tool}")
    if config.truth(dora_key):
        config.put("lora.dora", True, dora_key)


def take_copies(config: Config, key: str) -> None:
    """Reads the modules of which whole copies are trained beside adapters, in the dtype of the modules."""
    names = config.words(key)
    if names:
        config.put("lora.modules_to_save", names, key)
