"""The ends of encoders whose layers are followed like a decoder's: ModernBERT, EuroBERT and NomicBERT."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture import Module
from toolkit.memory.architecture.heads import MASKED, TOKENS
from toolkit.memory.architecture.nomic_bert import FAMILY as NOMIC
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.ends.classification import EACH, FIRST, MEAN, PooledForm
from toolkit.memory.formula.ends.masked_head import MaskedForm
from toolkit.memory.formula.linear.linear_form import LinearForm

MODERNBERT = "modernbert"


def both_ways_head(build: Builder, loss: str) -> MaskedForm | PooledForm:
    """The final norm, a transform, and logits: over the vocabulary, or over labels of tokens or sequences."""
    architecture, n = build.architecture, build.numerics
    last = build.norm(architecture.layers[0].norm)
    if architecture.family == NOMIC:
        return _nomic_head(build, loss)
    own = architecture.family == MODERNBERT
    if architecture.head == MASKED:
        out = replace(_linear(build, "decoder" if own else "lm_head"), outputs=architecture.vocabulary, dtype=n.head)
        dense, norm = (_linear(build, "head.dense"), last) if own else (None, None)
        widens = n.autocast is not None
        form = MaskedForm(dense, norm, out, architecture.activation, widens, loss, before=last, floats=True)
        return replace(form, wide_result=n.widens_results)
    out = _linear(build, "classifier")
    if architecture.head == TOKENS:
        tags = PooledForm(None, out, loss=loss, reads=EACH, before=last)
        return (
            replace(tags, dense=_linear(build, "head.dense"), activation=architecture.activation, after=last)
            if own
            else tags
        )
    reads = EACH if architecture.reads_late else MEAN if architecture.reads_mean else FIRST
    dense = _linear(build, "head.dense" if own else "dense")
    after = last if own else None
    return PooledForm(dense, out, architecture.activation, loss=loss, reads=reads, before=last, after=after)


def _nomic_head(build: Builder, loss: str) -> MaskedForm | PooledForm:
    """As in BERT: a transform and logits over the vocabulary, a pooler and labels of sequences, or labels of tokens."""
    architecture, n = build.architecture, build.numerics
    kind = architecture.layers[0]
    if architecture.head == MASKED:
        decoder, dense = (_linear(build, f"cls.predictions.{name}") for name in ("decoder", "transform.dense"))
        out = replace(decoder, outputs=architecture.vocabulary, dtype=n.head)
        activation = kind.feed_forward.activation
        form = MaskedForm(dense, build.norm(kind.norm), out, activation, n.autocast is not None, loss)
        return replace(form, wide_result=n.widens_results)
    out = _linear(build, "classifier")
    if architecture.head == TOKENS:
        return PooledForm(None, out, loss=loss, reads=EACH)
    return PooledForm(_linear(build, f"{NOMIC}.pooler.dense"), out, loss=loss)


def _linear(build: Builder, path: str) -> LinearForm:
    """A linear of the head; a copy of it that peft trains has its dtype."""
    module: Module = next(one for one in build.architecture.modules if one.path == path)
    form, dtypes = build.form_of(module), build.numerics
    if dtypes.adapter is None or module.path not in build.adaptation.saved:
        return form
    return replace(form, dtype=dtypes.head, gradient=dtypes.head, trains=True, storage="plain", branch=None)
