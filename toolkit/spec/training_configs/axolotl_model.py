"""The keys of an axolotl configuration that make its model differ from the one that it names.

Sources: axolotl 067b021c, loaders/utils.py (load_model_config), utils/schemas/deprecated.py (model_config is an older
name), core/builders/causal.py (build: rows are padded to a multiple of 64 by default) and rl.py.
"""

from __future__ import annotations

from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.packing import fill_up
from toolkit.spec.yaml.known import shown
from toolkit.spec.yaml.node import Entries

_OVERRIDES = ("overrides_of_model_config", "model_config")
_SAME_MEMORY = frozenset(
    {
        "bos_token_id", "eos_token_id", "initializer_range", "pad_token_id", "rms_norm_eps", "rope_parameters",
        "rope_scaling", "rope_theta", "router_aux_loss_coef", "torch_dtype",
    }
)  # fmt: skip
"""Values of a model's config that no size depends on."""
_KEEPS_ROUTERS = "output_router_logits"
MULTIPLE = 64
"""core/builders/causal.py."""


def take_model_changes(config: Config) -> None:
    """Refuses a changed config, another model's config, and a classification head without a reward model."""
    for key in _OVERRIDES:
        node = config.node(key)
        names = list(node) if isinstance(node, Entries) else []
        moves = [name for name in names if name not in _SAME_MEMORY and name != _KEEPS_ROUTERS]
        if moves:
            config.matters(key, f"another {shown(moves[0])} than the model's is not followed: --model may be a config")
        elif _KEEPS_ROUTERS in names:
            config.matters(key, "what is kept of the router for its loss is not counted", stops=False)
    other = config.word("base_model_config")
    if other is not None and other != config.word("base_model"):
        reason = f"{shown(other)} is taken to be as large as the model's own config"
        config.matters("base_model_config", reason, stops=False)
    kind = config.word("model_type") or ""
    if kind.endswith("Classification") and not config.truth("reward_model"):
        config.matters("model_type", f"{shown(kind)} is not followed but with reward_model: true", repair=None)


def note_preparation(config: Config) -> None:
    """Notes where adapters are computed from the weights before training (peft/tuners/lora/layer.py, update_layer)."""
    key = "peft_init_lora_weights"
    if config.word(key) not in (None, "true", "True", "false", "False", "gaussian"):
        config.matters(key, "what it takes to make such adapters before training is not counted", stops=False)


def take_filling(config: Config) -> None:
    """Reads how far rows are padded: to a multiple, unless `pad_to_sequence_len` is false."""
    by_default = 0 if config.node("rl") is not None or config.truth("reward_model") else MULTIPLE
    flat = config.word("batch_flattening") not in (None, "false", "False")
    if config.truth("pad_to_sequence_len") is not False and not flat:
        packs = bool(config.truth("sample_packing"))
        fill_up(config, config.whole("pad_to_multiple_of") or (0 if packs else by_default), packs=packs)
