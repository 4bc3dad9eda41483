"""The forms of layers whose code is structured differently from LLaMA's: one function per family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from packaging.version import Version

from toolkit.memory.architecture import LayerKind
from toolkit.memory.architecture.autoawq import FAMILY as AUTOAWQ
from toolkit.memory.architecture.gemma4 import FAMILIES as GEMMA4
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.architecture.llama4 import FAMILY as LLAMA4
from toolkit.memory.architecture.mamba import FAMILIES as MAMBAS
from toolkit.memory.architecture.megatron import FAMILY as MEGATRON
from toolkit.memory.architecture.mllama import FAMILY as MLLAMA
from toolkit.memory.architecture.torchtitan import REPEATED, SHARED
from toolkit.memory.architecture.torchtune import HALVED, PAIRED
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.feed_forward import dense_form, feed_forward_form
from toolkit.memory.forms.layers import attention_form, layer_form, mixing_form
from toolkit.memory.forms.litgpt import litgpt_layer
from toolkit.memory.forms.llama4 import llama4_layer
from toolkit.memory.forms.megatron import megatron_layer_form
from toolkit.memory.forms.recurrent import mamba_beside_form
from toolkit.memory.forms.torchtitan import torchtitan_layer
from toolkit.memory.forms.torchtune import torchtune_layer
from toolkit.memory.forms.written_scores import CODES, written_layer_form
from toolkit.memory.formula.attention.attention_form import AttentionForm
from toolkit.memory.formula.attention.attention_kernels import FLASH_KERNELS
from toolkit.memory.formula.block import BlockForm
from toolkit.memory.formula.experts.gemma4_experts import BesideForm
from toolkit.memory.formula.experts.mixture import MixtureForm
from toolkit.memory.formula.families.bloom import BloomForm
from toolkit.memory.formula.families.falcon import FalconForm
from toolkit.memory.formula.feed_forward import FeedForwardForm
from toolkit.memory.formula.follow import AnyLayer
from toolkit.memory.formula.layer import LayerForm
from toolkit.memory.formula.recurrence.mamba import MambaForm
from toolkit.memory.formula.recurrence.selective_scan import SelectiveForm
from toolkit.memory.formula.trainers.autoawq import FusedForm
from toolkit.memory.libraries.packed_kernels import GEMV
from toolkit.memory.libraries.versions import older
from toolkit.memory.programs.own_inputs import own_input_form
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting

FLASH_WIDTH = 256
"""The widest head of FlashAttention 2 and torch's flash kernel (transformers sdpa_attention.py)."""


READ_SINCE = Version("5")
READ_THERE = frozenset({"deepseek_v32", "falcon_h1", "gemma3n_text", "glm_moe_dsa", LLAMA4, MLLAMA, "phimoe", "umt5"})
"""Families whose code was read only in transformers 5."""


def refuse_older(setting: Setting, family: str) -> None:
    """Raise for a release in which the family's code was not read."""
    if family in READ_THERE and older(setting, "transformers", READ_SINCE):
        raise UnsupportedRow("activations", f"no formula for {family} of transformers before {READ_SINCE} yet")


def refuse_passed_over(setting: Setting, family: str) -> None:
    """Raise where layers that text does not pass through would be trained: they get no gradients and no states."""
    if family != MLLAMA or not setting.trains:
        return
    for known, covered in (("adapters", setting.method != "full"), ("one GPU", setting.parallel.gpus == 1)):
        if not covered:
            raise UnsupportedRow(
                "gradients", f"no formula for training {family} on text alone yet, except with {known}"
            )


def form_of_layer(build: Builder, kind: LayerKind) -> AnyLayer:
    """The form of one kind of layer, whatever its family."""
    if kind.sample:
        build = build.of_layer(kind.sample)
    return FORMS.get(build.architecture.family, layer_form)(build, kind)


def _falcon(build: Builder, kind: LayerKind) -> FalconForm:
    """Falcon 7B, 11B, 40B and 180B; keys and values have one head or a few."""
    a = kind.attention
    if a.alibi or not kind.parallel_residual:
        raise UnsupportedRow("activations", "no formula for Falcon with ALiBi or without parallel attention yet")
    form = replace(attention_form(build, kind), repeats=False, expands=False, packs=False)
    if form.kernel != "flash" and form.kernel in (*FLASH_KERNELS, "varying"):
        raise UnsupportedRow(
            "attention_states", "no formula for Falcon's own FlashAttention over rows that are not full yet"
        )
    if form.kernel == "eager":
        raise UnsupportedRow("attention_scores", "no formula for Falcon's own eager attention yet")
    if a.caches_queries:
        form = replace(form, key_value_heads=a.query_heads)
    feed_forward = dense_form(build, kind.feed_forward)
    up, down = (replace(part, viewed=True) for part in (feed_forward.up, feed_forward.down))
    return FalconForm(
        hidden=build.architecture.hidden,
        attention=replace(form, output=replace(form.output, viewed=True)),
        fused=replace(build.linear("self_attention.query_key_value"), viewed=True),
        groups=a.key_value_heads,
        spread=a.caches_queries,
        feed_forward=replace(feed_forward, up=up, down=down),
        norm=build.norm(kind.norm),
        two_norms=kind.norms == 2,
        dropout=kind.dropout > 0,
    )


def _bloom(build: Builder, kind: LayerKind) -> BloomForm:
    """BLOOM, with one norm before attention and one before the feed-forward."""
    feed_forward = dense_form(build, kind.feed_forward)
    return BloomForm(
        hidden=build.architecture.hidden,
        heads=kind.attention.query_heads,
        fused=build.linear("self_attention.query_key_value"),
        output=build.linear("self_attention.dense"),
        feed_forward=feed_forward,
        norm=build.norm(kind.norm),
        autocast=build.numerics.autocast,
        wide_mask=build.numerics.stream == "fp32",
        dropout=kind.dropout > 0,
        score_dropout=kind.attention.dropout > 0,
        lone=build.lone,
    )


def _gemma4(build: Builder, kind: LayerKind) -> LayerForm:
    """Gemma 4's layers, whose experts run beside a feed-forward."""
    form, attention = layer_form(build, kind), attention_form(build, kind)
    bare = replace(build.norm("bare rms"), trains=False)
    if isinstance(form.feed_forward, MixtureForm) and form.feed_forward.shared is not None:
        dense, mixed = form.feed_forward.shared, replace(form.feed_forward, shared=None)
        form = replace(form, feed_forward=dense, beside=BesideForm(dense, mixed, build.norm(kind.norm), bare))
    if attention.kernel in (*FLASH_KERNELS, "varying") and attention.head_dim > FLASH_WIDTH:
        raise UnsupportedRow("attention_states", f"FlashAttention takes no heads wider than {FLASH_WIDTH}")
    if attention.kernel == "sdpa" and attention.head_dim > FLASH_WIDTH:
        attention = replace(attention, kernel="wide")
    flows = kind.attention.shares_keys and build.numerics.checkpointing != "reentrant"
    attention = replace(attention, value_norm=bare, returns_gradients=flows)
    return replace(form, attention=attention, scales_result=True, own_input=own_input_form(build, kind))


def _autoawq(build: Builder, kind: LayerKind) -> FusedForm:
    """AutoAWQ's fused block."""
    a = kind.attention
    return FusedForm(
        hidden=build.architecture.hidden,
        query_heads=a.query_heads,
        key_value_heads=a.key_value_heads,
        head_dim=a.head_dim,
        inner=build.linear(build.layout.up).outputs,
        by_vectors=build.numerics.storage == GEMV,
    )


def _nemotron(build: Builder, kind: LayerKind) -> BlockForm:
    """A layer of one part."""
    mixes = kind.alone == "mixer"
    part = mixing_form(build, kind) if mixes else feed_forward_form(build, kind.feed_forward)
    if not isinstance(part, AttentionForm | MambaForm | FeedForwardForm | MixtureForm):
        raise UnsupportedRow("activations", "no formula for a Nemotron-H layer of this one part")
    return BlockForm(build.architecture.hidden, part, build.norm(kind.norm))


def _mamba(build: Builder, kind: LayerKind) -> BlockForm:
    """A layer of only Mamba, with a float32 residual stream."""
    part = mixing_form(build, kind)
    if not isinstance(part, MambaForm | SelectiveForm):
        raise TypeError("a layer without Mamba")
    return BlockForm(build.architecture.hidden, part, build.norm(kind.norm), wide=True)


def _falcon_h1(build: Builder, kind: LayerKind) -> LayerForm:
    """Falcon-H1's layers: numbers of the config multiply inputs and results of their parts, but not the sums."""
    feed_forward = replace(dense_form(build, kind.feed_forward), multiplied=True)
    mixed = mamba_beside_form(build, kind, attention_form(build, kind))
    return replace(layer_form(build, kind), attention=mixed, feed_forward=feed_forward, multiplied=False)


def _modernbert(build: Builder, kind: LayerKind) -> LayerForm:
    """ModernBERT's layers, of which the first has no norm before its attention."""
    return replace(layer_form(build, kind), normed_before=kind.norms == 1)


FORMS: Mapping[str, Callable[[Builder, LayerKind], AnyLayer]] = {
    "bloom": _bloom,
    **dict.fromkeys(GEMMA4, _gemma4),
    "falcon": _falcon,
    "falcon_h1": _falcon_h1,
    **dict.fromkeys(MAMBAS, _mamba),
    "modernbert": _modernbert,
    "nemotron_h": _nemotron,
    **dict.fromkeys(CODES, written_layer_form),
    LLAMA4: llama4_layer,
    LITGPT: litgpt_layer,
    MEGATRON: megatron_layer_form,
    AUTOAWQ: _autoawq,
    PAIRED: torchtune_layer,
    HALVED: torchtune_layer,
    REPEATED: torchtitan_layer,
    SHARED: torchtitan_layer,
}
"""The families with functions of their own."""
