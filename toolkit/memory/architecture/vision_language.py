"""Models that read images and text: a vision tower and a projector before the layers of another family.

`layers` are those of the text model, which is all that text passes through; names are those of transformers 5.23.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

from toolkit.frozen import frozen
from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.family import Family
from toolkit.memory.architecture.heads import BASE, Body, Head, prefixed
from toolkit.memory.architecture.heads import decoder as with_head
from toolkit.memory.architecture.model import Architecture, Module, Tensor

NOTE = "The vision tower is stored and counted; steps on text alone do not run it."

Projector = Callable[[Config, Config, int], tuple[Module, ...]]
"""What stands between a tower and a text model: of the config, of the vision config, for a hidden width."""


Tower = Callable[[Config], tuple[Module, ...]]
"""What reads the config of a vision tower."""


@frozen
class Wrapped:
    """How a type is put together: its text model, its tower and where that stands, and what joins both.

    `text` is the type of a text model that does not say its own, or of every one where its config's is not that of a
    family (`own_text`); a config may be `flat`, with the keys of its text model among its own. With `rows` each
    sequence has angles of its own; with `caches` what turns caches off in training does not reach the text model
    (transformers utils/generic.py, merge_with_config_defaults, which its classes lack). `towers` are those that a
    type's vision config may name, with the defaults of their configs.
    """

    text: str
    tower: Tower
    vision_defaults: Mapping[str, Any]
    projector: Projector
    vision: str = "vision_tower"
    language: str = "language_model"
    text_defaults: Mapping[str, Any] | None = None
    own_text: bool = False
    flat: bool = False
    rows: bool = False
    caches: bool = False
    ties_by_text: bool = False
    as_family: str = ""
    towers: Mapping[str, tuple[Tower, Mapping[str, Any]]] = field(default_factory=dict)


def wrapped(config: Config, head: Head, how: Wrapped, families: Mapping[str, Family]) -> Architecture:
    """The architecture of a model that reads images."""
    text = _text_config(config, how, families)
    inner = families[text.model_type].build(text, Head(BASE, 0, ""))
    vision, tower = _tower(config, how)
    modules = (
        *prefixed(tower(vision), how.vision),
        *how.projector(config, vision, inner.hidden),
        *prefixed(inner.modules, how.language),
    )
    body = Body(
        modules,
        inner.layers,
        inner.hidden,
        inner.vocabulary,
        "model",
        inner.max_positions,
        logit_softcap=inner.logit_softcap,
        embedding_dropout=inner.embedding_dropout,
        order=inner.order,
        notes=(NOTE,),
    )
    if how.ties_by_text and not config.flag("tie_word_embeddings"):
        config = config.given(tie_word_embeddings=text.flag("tie_word_embeddings"))
    made = with_head(config, head, body)
    family = how.as_family or inner.family
    return replace(made, family=family, positions_by_row=how.rows, caches_in_training=how.caches, older_names=False)


def _tower(config: Config, how: Wrapped) -> tuple[Config, Tower]:
    """The config of the tower, and the function that reads it: by its own type, where that varies."""
    vision = config.part("vision_config", "vision", how.vision_defaults)
    kind = vision.value("model_type")
    if not how.towers or kind is None:
        return vision, how.tower
    if not isinstance(kind, str) or kind not in how.towers:
        raise config.refuse(f"no function here reads its vision tower's type, {str(kind)[:40]!r}")
    tower, defaults = how.towers[kind]
    return config.part("vision_config", kind, defaults), tower


def _text_config(config: Config, how: Wrapped, families: Mapping[str, Family]) -> Config:
    said = config.value("text_config")
    values = config.values if said is None and how.flat else said
    if not isinstance(values, dict):
        raise config.refuse("the config has no text_config")
    kind = how.text if how.own_text else values.get("model_type", how.text)
    if not isinstance(kind, str) or kind not in families:
        raise config.refuse(f"no family here reads its text model's type, {str(kind)[:40]!r}")
    family = families[kind]
    defaults = family.defaults if how.text_defaults is None else how.text_defaults
    return Config(config.name, kind, values, defaults, family.aliases)


def no_projector(_config: Config, _vision: Config, _hidden: int) -> tuple[Module, ...]:
    """A tower whose last part is the projector itself."""
    return ()


def two_linears(config: Config, vision: Config, hidden: int) -> tuple[Module, ...]:
    """LLaVA's: two linears, from the tower's features, of one or of several of its layers side by side."""
    chosen = config.value("vision_feature_layer")
    width = vision.size("hidden_size") * (len(chosen) if isinstance(chosen, list) and 0 < len(chosen) < 64 else 1)
    bias = config.flag("multimodal_projector_bias")
    stem = "multi_modal_projector"
    return (
        parts.linear(f"{stem}.linear_1", width, hidden, bias=bias),
        parts.linear(f"{stem}.linear_2", hidden, hidden, bias=bias),
    )


def with_newline(config: Config, vision: Config, hidden: int) -> tuple[Module, ...]:
    """LLaVA-NeXT's: the same, and what ends each row of an image."""
    return (parts.bare("", (Tensor("image_newline", (hidden,)),)), *two_linears(config, vision, hidden))


def merged_patches(config: Config, vision: Config, hidden: int) -> tuple[Module, ...]:
    """Mistral 3's: a norm, neighbouring patches merged by a linear, then two linears."""
    width, stem = vision.size("hidden_size"), "multi_modal_projector"
    merged = width * config.size("spatial_merge_size") ** 2
    return (
        parts.norm(f"{stem}.norm", width),
        parts.linear(f"{stem}.patch_merger.merging_layer", merged, width),
        *two_linears(config.given(vision_feature_layer=-1), vision, hidden),
    )


def one_linear(config: Config, vision: Config, _hidden: int) -> tuple[Module, ...]:
    """PaliGemma's: a linear with a bias; its result has the width that the config names."""
    width = vision.size("hidden_size")
    return (parts.linear("multi_modal_projector.linear", width, config.size("projection_dim"), bias=True),)


def shuffled(config: Config, vision: Config, hidden: int) -> tuple[Module, ...]:
    """Idefics 3's: one linear without a bias on patches side by side."""
    merged = vision.size("hidden_size") * config.size("scale_factor") ** 2
    return (parts.linear("connector.modality_projection.proj", merged, hidden),)


def normed_pixels(config: Config, vision: Config, hidden: int) -> tuple[Module, ...]:
    """InternVL's: a LayerNorm over patches side by side, and two linears."""
    if config.value("downsample_ratio") != 0.5:
        raise config.refuse("a downsample_ratio other than 0.5 is not covered")
    merged, stem = 4 * vision.size("hidden_size"), "multi_modal_projector"
    return (
        parts.layer_norm(f"{stem}.layer_norm", merged),
        parts.linear(f"{stem}.linear_1", merged, hidden, bias=True),
        parts.linear(f"{stem}.linear_2", hidden, hidden, bias=True),
    )
