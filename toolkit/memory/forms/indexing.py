"""The form of an indexer, and how it depends on the shape of a batch."""

from __future__ import annotations

from toolkit.memory.architecture import Architecture, LayerKind
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.attention.indexer import IndexForm
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting


def index_form(build: Builder, kind: LayerKind) -> IndexForm:
    """The form of a layer's indexer; refuses kernels of sparse attention, which read its choice."""
    a, n, path = kind.attention, build.numerics, "self_attn.indexer"
    if n.attention == "flash":
        raise UnsupportedRow("attention_states", "no formula for kernels of sparse attention yet")
    several, beyond = build.indexing
    return IndexForm(
        heads=a.index_heads,
        width=a.index_width,
        chosen=a.index_chosen,
        query=build.linear(f"{path}.wq_b"),
        key=build.linear(f"{path}.wk"),
        weights=build.linear(f"{path}.weights_proj"),
        norm=build.norm("layer"),
        all=not beyond,
        several=several,
        mask=n.stream if n.attention == "eager" else "bool",
        earlier=build.architecture.family == "glm_moe_dsa",
    )


def indexing(architecture: Architecture, setting: Setting) -> tuple[bool, bool]:
    """For a model with an indexer: whether there are several sequences, and more tokens than it chooses."""
    kind = architecture.layers[0]
    if not kind.attention.index_heads:
        return False, False
    if setting.trains:
        raise UnsupportedRow("attention_states", "no formula for training beside an indexer yet")
    return setting.batch_size > 1, setting.sequence_length > kind.attention.index_chosen
