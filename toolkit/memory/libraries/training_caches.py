"""Caches of keys and values that a model fills in training, although nobody reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from packaging.version import Version

from toolkit.memory.architecture import Architecture
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.layers import cache_of
from toolkit.memory.formula.caches.cached import COPIES, HOLDS, KEEPS, NAMES
from toolkit.memory.formula.ends.logits import NAMED
from toolkit.memory.formula.ends.summed import SUM
from toolkit.memory.libraries.losses import held_result, loss_of
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.libraries.versions import older
from toolkit.spec.fields.result import OWN_LOOP
from toolkit.spec.settings.setting import Setting

TRAINER_STOPS = Version("5.0")
"""Since then transformers' Trainer turns a model's cache off (training_args.py, use_cache); a loop of one's own does
not, and before then nobody did but for checkpoints."""
TRL_STOPS = Version("0.22")
"""Since then TRL's SFTTrainer asks for none (sft_trainer.py, compute_loss); 0.21.0 did not."""

TRAINS_UNCACHED_UNTIL: Mapping[str, Version] = dict.fromkeys(
    ("cohere2", "gemma2", "gemma3", "gemma3_text", "gemma3n", "vaultgemma"), Version("5")
)
"""Families that made no cache while they trained ("and not self.training", modeling_*.py; read in 4.46.3 to 4.57.1)."""

GOES_WITHOUT_BESIDE_LABELS = frozenset({"bart", "marian", "mbart", "pegasus"})
"""Families whose code sets use_cache to false where it is given labels (modeling_bart.py, modeling_marian.py)."""

TURNED_OFF = frozenset({"qwen"})
"""Families whose makers' own script for training sets use_cache to false (QwenLM/Qwen 00dceeb, finetune.py)."""


@lru_cache(maxsize=1024)
def without_cache(architecture: Architecture) -> Architecture:
    """A model whose config says that it keeps nothing (use_cache), as a script may set it before it trains."""
    return replace(architecture, caches=False)


def training_cache(build: Builder, setting: Setting) -> str:
    """What becomes of keys and values in a forward pass of training, as of a tape; nothing beside checkpoints."""
    if build.numerics.checkpointing != "false" or setting.parallel.schedule is not None:  # stages have none
        return ""
    if loss_of(setting) == SUM or held_result(setting, build.architecture.family):
        return cache_of(build, setting) if build.architecture.caches else ""
    reaches = _reaches(setting, build.architecture) and loss_of(setting) != NAMED
    if not reaches and not fills_unread(setting, build.architecture):
        return ""
    return HOLDS if reaches or build.version.copies_into_cache else NAMES


def _reaches(setting: Setting, architecture: Architecture) -> bool:
    """Whether a text model that trains fills a cache, although a trainer turns off that of the whole model."""
    left = architecture.caches_in_training and not _asks_for_none(setting)
    return left and not _trains_uncached(setting, architecture)


def _asks_for_none(setting: Setting) -> bool:
    """Whether each pass is told to fill no cache, which reaches a text model, too."""
    return setting.stack.trainer == "trl" and not older(setting, "trl", TRL_STOPS)


def _trains_uncached(setting: Setting, architecture: Architecture) -> bool:
    until = TRAINS_UNCACHED_UNTIL.get(architecture.family)
    return until is not None and older(setting, "transformers", until)


def fills_unread(setting: Setting, architecture: Architecture) -> bool:
    """Whether a model puts every layer's keys and values into a cache, which lives until its result is gone.

    Its config says use_cache. A cache that copies (cache_utils.py, DynamicLayer.update) has memory of its own wherever
    attention widens the copies; one that keeps, where attention is given others: repeated for every query head, or laid
    out anew. Layers that are checkpointed get none (modeling_layers.py).
    """
    if not setting.trains or loss_of(setting) in (SUM, NAMED) or setting.parallel.schedule is not None:
        return False
    if _trains_uncached(setting, architecture):
        return False
    layers = architecture.layers
    plain = all(one.stack == "decoder" and one.mixer is None and not one.attention.recurrent for one in layers)
    return plain and _stays_on(setting, architecture)


def validation_cache(setting: Setting, architecture: Architecture) -> str:
    """What becomes of keys and values in a pass without gradients between steps, as of a tape."""
    none = loss_of(setting) in (SUM, NAMED) or architecture.family in GOES_WITHOUT_BESIDE_LABELS
    reaches = architecture.caches_in_training and not _asks_for_none(setting)
    if none or not (reaches or _stays_on(setting, architecture)):
        return ""
    return COPIES if behaviour(architecture, setting).copies_into_cache else KEEPS


def _stays_on(setting: Setting, architecture: Architecture) -> bool:
    """Whether nobody turns a model's cache off."""
    trainer = setting.stack.trainer
    fills = trainer == "transformers" or (trainer == "trl" and not _asks_for_none(setting))
    stays = trainer == OWN_LOOP or (fills and older(setting, "transformers", TRAINER_STOPS))
    on = stays and architecture.family not in TURNED_OFF
    return on and architecture.is_decoder and architecture.caches
