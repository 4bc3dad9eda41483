"""The forms of an architecture's layers: what tapes are recorded from."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import LayerKind
from toolkit.memory.architecture.llama4 import FAMILY as LLAMA4
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.feed_forward import feed_forward_form
from toolkit.memory.forms.indexing import index_form
from toolkit.memory.forms.recurrent import MixerForm, mixer_form
from toolkit.memory.forms.written_scores import MASKS, MPT, mpt_masks
from toolkit.memory.formula.attention.attention_form import AttentionForm
from toolkit.memory.formula.attention.latent import LatentForm
from toolkit.memory.formula.attention.masked_kernel import MASK_UNIT
from toolkit.memory.formula.caches.cached import COPIES, KEEPS, PACKS, STATIC
from toolkit.memory.formula.follow import AnyLayer
from toolkit.memory.formula.layer import LayerForm
from toolkit.memory.formula.norms import NormForm
from toolkit.memory.formula.trainers.liger import OWN_ROTARY
from toolkit.memory.libraries.kept_caches import QUANTIZED, keeping_of
from toolkit.memory.libraries.transformers_versions import Behaviour
from toolkit.memory.libraries.unfused_attention import ALL, GROUPED
from toolkit.memory.packing import has_masks, packed_flash
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.keeping import Keeping
from toolkit.memory.timeline.sizes import MASK_ALIGNMENT
from toolkit.memory.weights.numerics import Numerics
from toolkit.spec.fields.kernel_names import MATH
from toolkit.spec.settings.setting import Setting

SDPA_KERNELS = ("sdpa", "masked", "given")
NORMS_EACH = frozenset({
    "qwen3", "qwen3_moe", "qwen3_vl", "qwen3_vl_moe", "olmo2", "olmo3", "olmoe", "flex_olmo", "lfm2", "lfm2_moe",
    "minimax_m2", "dots1",
})  # fmt: skip
"""Families whose code norms queries before it makes keys, and keys before values (modeling_*.py, transformers 5.23)."""


def layer_form(build: Builder, kind: LayerKind) -> LayerForm:
    """The form of one kind of layer."""
    return LayerForm(
        hidden=build.architecture.hidden,
        attention=mixing_form(build, kind),
        feed_forward=feed_forward_form(build, kind.feed_forward),
        norm=build.norm(kind.norm, 0),
        inner_norm=build.norm(kind.norm, 1),
        before=not (build.layout.norms_after or build.layout.normed_sums),
        after=kind.norms == 4 or build.layout.norms_after,
        parallel=kind.parallel_residual,
        parallel_norms=build.layout.parallel_norms,
        dropout=kind.dropout > 0,
        holds=build.layout.holds,
        multiplied=build.layout.multiplied,
        normed_sums=build.layout.normed_sums,
        flattens=build.layout.flattens,
    )


def mixing_form(build: Builder, kind: LayerKind) -> AttentionForm | LatentForm | MixerForm:
    """The form of a layer's token mixer."""
    if kind.mixer is not None:
        return mixer_form(build, kind.mixer)
    return latent_form(build, kind) if kind.attention.latent_rank else attention_form(build, kind)


def kernel(kind: LayerKind, dtypes: Numerics, version: Behaviour, sequence: int) -> str:
    """The attention kernel of a kind of layer. Raises UnsupportedRow for a mask that no kernel of the GPU takes."""
    found = _kernel(kind, dtypes, version, sequence)
    if dtypes.unfused == ALL and found in _MASKED:
        raise UnsupportedRow("attention_scores", "no formula for bfloat16 and a mask on GPUs before Ampere yet")
    return found


_MASKED = ("masked", "given", "given padded")


def _kernel(kind: LayerKind, dtypes: Numerics, version: Behaviour, sequence: int) -> str:
    """The same for any GPU: torch's sdpa has no softcap and no sinks, and masks a window."""
    a = kind.attention
    if dtypes.attention == "flash" and not a.alibi:
        return packed_flash(dtypes.packing) or ("varying" if dtypes.padded else "flash")
    if dtypes.attention == "eager" or (a.softcap and not version.sdpa_caps) or a.sinks or a.alibi or a.written:
        return "eager"
    if version.converted:
        return "sdpa" if version.converted != "given" else "given padded" if sequence % MASK_UNIT else "given"
    if dtypes.padded and version.gives_biases and not version.one_mask:
        return biased(dtypes, sequence)
    always = a.always_masked and not version.masks_none
    if version.one_mask or always or dtypes.padded or has_masks(dtypes.packing):
        return "masked"
    # transformers masking_utils.py, _ignore_causal_mask_sdpa: a window as long as the sequence makes a mask.
    if shorter_window(kind, sequence) is not None:
        return "masked"
    shares = a.query_heads != a.key_value_heads and not version.repeats
    written = dtypes.unfused == ALL or (dtypes.unfused == GROUPED and shares)
    return dtypes.kernels.sdpa or (MATH if written else "sdpa")


def shorter_window(kind: LayerKind, sequence: int) -> int | None:
    """The window of a kind of layer, if a sequence is at least as long."""
    window = kind.attention.window
    return window if window is not None and window <= sequence else None


def biased(dtypes: Numerics, sequence: int) -> str:
    """The kernel where a model's code makes a bias: used as it is, or copied for autocast or for alignment."""
    casts = dtypes.autocast not in (None, dtypes.stream)
    return "masked" if casts or sequence % MASK_ALIGNMENT else "given"


def cache_of(build: Builder, setting: Setting) -> str:
    """What a cache does with the keys and values of a prompt: copies them, keeps them, or as its kind says."""
    if setting.keeps_none:
        return ""
    if setting.cache is not None:
        return PACKS if setting.cache.implementation == QUANTIZED else STATIC
    return COPIES if build.version.copies_into_cache else KEEPS


def keeping(build: Builder, setting: Setting, kind: LayerKind) -> Keeping | None:
    """How a static or quantized cache keeps a kind of layer."""
    return keeping_of(setting, kind, build.numerics.stream, heads_first=build.layout.rotary == "joined")


def reading(form: AnyLayer, how: Keeping | None) -> AnyLayer:
    """The form of a layer for one token: with a static cache a mask limits attention to the filled part."""
    if how is None or how.packing is not None or not isinstance(form, LayerForm):
        return form
    attention = form.attention
    if not isinstance(attention, AttentionForm) or attention.kernel not in ("sdpa", "wide", MATH):
        return form
    return replace(form, attention=replace(attention, kernel="masked"))


def masks(build: Builder) -> Size:
    """The masks that the model makes: one per window of its layers, 16-bit for eager, boolean for sdpa; ALiBi.

    For full rows all sequences share one boolean mask as views (masking_utils.py, sdpa_mask).
    """
    if build.architecture.family == MPT:
        biases_of_all, mask = mpt_masks(build)
        return biases_of_all[MASKS].plus(mask[MASKS])
    if build.version.one_mask and build.numerics.attention != "flash":
        return _of_all_positions(build)
    if build.layout.masks_itself and build.numerics.padded:
        raise UnsupportedRow("attention_mask", f"no formula for padded rows of {build.architecture.family} yet")
    dtypes = {} if build.layout.masks_itself else {"eager": build.numerics.stream, "masked": "bool"}
    if build.numerics.padded and build.version.gives_biases:
        dtypes = {} if build.layout.masks_itself else dict.fromkeys(("eager", "given", "masked"), build.numerics.stream)
    if build.version.row_masks:  # eager attention of these adds a row to scores that a buffer has masked
        dtypes.pop("eager", None)
    if build.version.converted:  # the model's own code makes it as for eager attention
        dtypes = dict.fromkeys(("given", "given padded", "sdpa"), build.numerics.stream)
    kinds = build.architecture.layers
    if build.layout.masks_all:
        kinds = (*kinds, replace(kinds[0], attention=replace(kinds[0].attention, window=None)))
    made = {(k, kind.attention.window) for kind in kinds if (k := _kernel_of(build, kind)) in dtypes}
    biases = {kind.attention.query_heads for kind in build.architecture.layers if kind.attention.alibi}
    alibi = sum(biases) * BYTES[build.numerics.stream]
    apart = build.numerics.padded or has_masks(build.numerics.packing) or _by_blocks(build) or _by_padding(build)
    alike = 0 if apart else sum(name == "masked" for name, _ in made)
    pairs, prefix = sum(BYTES[dtypes[name]] for name, _ in made) - alike, alike * build.adaptation.prefix
    return Size(pair=pairs, token=alibi, square=alike, position=prefix)


def _of_all_positions(build: Builder) -> Size:
    """A mask of all the model's positions for every sequence; of twice as many where there are more tokens."""
    known = build.architecture.max_positions or 0
    positions = known * (2 if build.sequence > known else 1)
    return Size(sequence=positions**2 * BYTES[build.numerics.stream])


def _by_blocks(build: Builder) -> bool:
    """Whether masks depend on the blocks of images in each sequence (Gemma 4, with or without images)."""
    if build.version.masks_none:
        return False
    return any(kind.attention.always_masked and kind.sample for kind in build.architecture.layers)


def _by_padding(build: Builder) -> bool:
    """Whether masks depend on the start of each sequence's tokens, padded or not (create_chunked_causal_mask)."""
    return build.architecture.family == LLAMA4


def _kernel_of(build: Builder, kind: LayerKind) -> str:
    if build.adaptation.prefix:  # queries and keys are not as many
        return "masked"
    return kernel(kind, build.numerics, build.version, build.sequence)


def attention_form(build: Builder, kind: LayerKind) -> AttentionForm:
    """The form of an attention."""
    a = kind.attention
    n = build.numerics
    layout = build.layout

    def head_norm(heads: int) -> NormForm | None:
        return build.norm_of_heads(kind.norm, heads) if a.query_norm else None

    fused = build.linear(layout.fused) if layout.fused is not None else None
    own = () if a.shares_keys else (layout.key,) if a.keys_as_values else (layout.key, layout.value)
    window = shorter_window(kind, build.sequence)
    return AttentionForm(
        query_heads=a.query_heads,
        key_value_heads=a.key_value_heads,
        head_dim=a.head_dim,
        value_head_dim=a.value_head_dim,
        projections=fused or tuple(build.linear(name) for name in (layout.query, *own)),
        output=build.linear(layout.output),
        kernel=_kernel_of(build, kind),
        softcap=a.softcap,
        sinks=n.norm if a.sinks else None,
        rotary=_rotary(build),
        turned=(a.rope_dim or a.head_dim) if layout.holds_turned else None,
        scaled_query=layout.scaled_query,
        query_norm=head_norm(a.query_heads),
        key_norm=head_norm(a.key_value_heads),
        autocast=n.autocast or (n.stream if build.version.wide_angles and n.attention == "sdpa" else None),
        narrows=n.loaded if n.storage != "plain" else None,
        wide_rotary=n.stream == "fp32" or build.version.wide_angles,
        repeats=build.version.repeats and a.query_heads != a.key_value_heads,
        dropout=a.dropout > 0,
        narrow_softmax=layout.narrow_softmax or build.version.narrow_softmax,
        leaves_softmax=layout.leaves_softmax,
        packs=build.version.packs_groups,
        window=None if build.version.keeps_all else window,
        sliced=window - 1 if window is not None and build.version.slices else 0,
        binds_probabilities=build.version.binds_probabilities,
        clips=a.clips,
        shapes=build.version.shapes and n.attention != "flash",
        lays_out=build.version.lays_out and _kernel_of(build, kind) in SDPA_KERNELS,
        clamps=build.version.clamps,
        norms_each=build.architecture.family in NORMS_EACH,
        norms_turned=layout.norms_turned,
        scales_turned=layout.scales_turned,
        angles=n.stream,
        turned_width=a.rope_dim or a.head_dim,
        slices=layout.slices,
        heads_last=layout.heads_last,
        prefix=build.adaptation.prefix,
        gated=a.gated,
        lone=build.lone,
    )


def _rotary(build: Builder) -> str:
    """How queries and keys are rotated: by the model's code, or in place by a kernel."""
    how = build.layout.rotary
    kernels = build.numerics.kernels
    liger = kernels.liger and build.architecture.family not in OWN_ROTARY
    if not (kernels.rotary or liger) or how == "none":
        return how
    if how != "whole" and not liger:
        raise UnsupportedRow("rotary_states", f"no formula for a rotary kernel in {build.architecture.family} yet")
    return "in place"


def latent_form(build: Builder, kind: LayerKind) -> LatentForm:
    """The form of a latent attention; refuses FlashAttention over padded rows."""
    a, n = kind.attention, build.numerics
    if _kernel_of(build, kind) == "varying":
        raise UnsupportedRow("attention_states", "no formula for FlashAttention over padded rows of latents yet")
    if a.latent_rank is None or a.rope_dim is None:
        raise UnsupportedRow("attention_states", "the config lacks the widths of latent attention")
    names = ("q_proj",) if a.query_latent_rank is None else ("q_a_proj", "q_b_proj")
    return LatentForm(
        heads=a.query_heads,
        nope=a.head_dim - a.rope_dim,
        rope=a.rope_dim,
        value=a.value_head_dim,
        rank=a.latent_rank,
        query=tuple(build.linear(f"self_attn.{name}") for name in names),
        compress=build.linear("self_attn.kv_a_proj_with_mqa"),
        expand=build.linear("self_attn.kv_b_proj"),
        output=build.linear("self_attn.o_proj"),
        norm=build.norm(kind.norm),
        complex_rotary=build.architecture.family == "deepseek_v2",
        attention=_expanded_heads(build, kind),
        wide_rotary=n.stream == "fp32",
        caches_expanded=build.version.caches_expanded,
        index=index_form(build, kind) if a.index_heads else None,
    )


def _expanded_heads(build: Builder, kind: LayerKind) -> AttentionForm:
    """The attention of heads that each have their own keys and values, computed from a latent."""
    a, n = kind.attention, build.numerics
    return AttentionForm(
        query_heads=a.query_heads,
        key_value_heads=a.query_heads,
        head_dim=a.head_dim,
        value_head_dim=a.value_head_dim,
        projections=(),
        output=build.linear("self_attn.o_proj"),
        kernel=_kernel_of(build, kind),
        rotary="joined",
        autocast=n.autocast,
        narrows=n.loaded if n.storage != "plain" else None,
        wide_rotary=n.stream == "fp32",
        expanded=not build.version.caches_expanded,
        binds_probabilities=build.version.binds_probabilities,
    )
