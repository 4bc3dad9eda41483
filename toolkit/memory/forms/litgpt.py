"""The forms of LitGPT's models: what tapes are recorded from."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import LayerKind
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.feed_forward import dense_form
from toolkit.memory.forms.layers import attention_form
from toolkit.memory.formula.ends.logits import HeadForm
from toolkit.memory.formula.layer import LayerForm
from toolkit.memory.formula.trainers.litgpt import LitAttentionForm
from toolkit.memory.size import BYTES, Size

PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def litgpt_layer(build: Builder, kind: LayerKind) -> LayerForm:
    """Block: sequential, or parallel attention and feed-forward with one norm or two.

    Generation is followed in two forms: since 0.5.5, which caches keys and values by groups, a block replaces the first
    norm's result by the second's, and adds attention's result to the stream before the feed-forward.
    """
    inference = build.numerics.adapter is None and not build.numerics.trains_base
    newest = inference and not kind.attention.caches_queries
    return LayerForm(
        hidden=build.architecture.hidden,
        attention=_attention(build, kind),
        feed_forward=dense_form(build, kind.feed_forward),
        norm=build.norm(kind.norm),
        parallel=kind.parallel_residual,
        parallel_norms=kind.norms == 2,
        holds="attended" if newest else "normed",
        sums_first=newest,
    )


def _attention(build: Builder, kind: LayerKind) -> LitAttentionForm:
    a = kind.attention
    parts = [build.linear(f"self_attn.{name}") for name in PROJECTIONS]
    adapted = [part for part in parts if part.branch is not None]
    fused = replace(parts[0], outputs=sum(part.outputs for part in parts), branch=None)
    return LitAttentionForm(
        fused=fused,
        output=build.linear("self_attn.o_proj"),
        kernel=replace(attention_form(build, kind), key_value_heads=a.query_heads, repeats=False),
        groups=a.key_value_heads,
        turned=a.rope_dim or a.head_dim,
        branch=adapted[0].branch if adapted else None,
        repeats_kept=not a.caches_queries,
        adapted=tuple(part.outputs for part in adapted),
    )


def litgpt_mask() -> Size:
    """The rows of its mask of all pairs of positions that generation uses for the tokens of a pass."""
    return Size(pair=BYTES["bool"])


def litgpt_head(build: Builder) -> HeadForm:
    """The final norm, the output weight, quantized and adapted like any other, and logits in chunks."""
    [module] = (module for module in build.architecture.modules if module.path == "lm_head")
    norm, projection = build.norm(build.architecture.layers[0].norm), build.form_of(module)
    if build.numerics.adapter is not None:  # where blocks are trained as a whole, what is outside of them is not
        norm, projection = replace(norm, trains=False), replace(projection, trains=False)
    return HeadForm(norm, projection, loss="litgpt")
