"""Caches of keys and values that a model fills in training, although nobody reads them."""

from __future__ import annotations

from packaging.version import Version

from toolkit.memory.architecture import Architecture
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.layers import cache_of
from toolkit.memory.formula.caches.cached import HOLDS
from toolkit.memory.formula.ends.logits import NAMED
from toolkit.memory.formula.ends.summed import SUM
from toolkit.memory.libraries.losses import held_result, loss_of
from toolkit.memory.libraries.transformers_versions import Behaviour
from toolkit.memory.libraries.versions import older
from toolkit.spec.fields.result import OWN_LOOP
from toolkit.spec.settings.setting import Setting

TRAINER_STOPS = Version("5.0")
"""Since then transformers' Trainer turns a model's cache off (training_args.py, use_cache); a loop of one's own does
not, and before then nobody did but for checkpoints."""


def training_cache(build: Builder, setting: Setting) -> str:
    """What becomes of keys and values in a forward pass of training, as of a tape; nothing beside checkpoints."""
    if build.numerics.checkpointing != "false":
        return ""
    if loss_of(setting) == SUM or held_result(setting, build.architecture.family):
        return cache_of(build, setting) if build.architecture.caches else ""
    reaches = build.architecture.caches_in_training and loss_of(setting) != NAMED
    return HOLDS if reaches or fills_unread(setting, build.architecture, build.version) else ""


def fills_unread(setting: Setting, architecture: Architecture, version: Behaviour) -> bool:
    """Whether a model copies every layer's keys and values into a cache, which lives until its result is gone.

    Its config says use_cache. Since a cache copies (cache_utils.py, DynamicLayer.update), it has memory of its own
    wherever attention widens the copies; layers that are checkpointed get none (modeling_layers.py).
    """
    if not setting.trains or loss_of(setting) in (SUM, NAMED) or not version.copies_into_cache:
        return False
    trainer = setting.stack.trainer
    stays = trainer == OWN_LOOP or (trainer == "transformers" and older(setting, "transformers", TRAINER_STOPS))
    layers = architecture.layers
    plain = all(one.stack == "decoder" and one.mixer is None and not one.attention.recurrent for one in layers)
    return stays and plain and architecture.is_decoder and architecture.caches
