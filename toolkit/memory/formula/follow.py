"""The function that follows each form, of layers and of the ends of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toolkit.memory.formula.block import BlockForm, block
from toolkit.memory.formula.ends.chunked_loss import chunked_loss, fused_loss, fused_wide_loss
from toolkit.memory.formula.ends.classification import (
    BodyForm,
    PooledForm,
    ScoreForm,
    pooled_logits,
    pooled_loss,
    score_loss,
    scores,
)
from toolkit.memory.formula.ends.cut_loss import cut_loss
from toolkit.memory.formula.ends.logits import NAMED, HeadForm, NormEndForm, last_logits, whole_loss
from toolkit.memory.formula.ends.masked_head import MaskedForm, masked_logits, masked_loss
from toolkit.memory.formula.ends.paired_loss import PAIRED_LOSSES, paired_loss
from toolkit.memory.formula.ends.summed import SUM, sum_loss, summed_logits
from toolkit.memory.formula.ends.tiled_loss import tiled_loss
from toolkit.memory.formula.families.bart import BartForm, bart_layer
from toolkit.memory.formula.families.bart_ends import BartHeadForm, bart_logits, bart_loss
from toolkit.memory.formula.families.bloom import BloomForm, bloom_layer
from toolkit.memory.formula.families.encoder_layer import EncoderLayerForm, encoder_layer
from toolkit.memory.formula.families.falcon import FalconForm, falcon_layer
from toolkit.memory.formula.families.own_inputs import OwnInputsForm, own_inputs
from toolkit.memory.formula.families.stream_ends import MergeForm, SpreadForm, merge_streams, spread_streams
from toolkit.memory.formula.families.streams import StreamsForm, streams_layer
from toolkit.memory.formula.families.t5 import T5Form, t5_layer
from toolkit.memory.formula.families.t5_ends import T5HeadForm, t5_logits, t5_loss
from toolkit.memory.formula.families.written_layer import WrittenLayerForm, written_layer
from toolkit.memory.formula.layer import LayerForm, layer
from toolkit.memory.formula.norms import normalise
from toolkit.memory.formula.operations import letting_go
from toolkit.memory.formula.trainers.autoawq import FusedForm, fused_block
from toolkit.memory.formula.trainers.litgpt import all_logits, chunked_logits, chunked_logits_loss
from toolkit.memory.formula.trainers.megatron import MegatronForm, megatron_layer, megatron_loss
from toolkit.memory.formula.trainers.torchtitan import titan_outputs_loss
from toolkit.memory.formula.trainers.torchtune import linear_chunks_loss, output_chunks_loss, whole_outputs_loss
from toolkit.memory.libraries.losses import ADDS_IN_PLACE, SHORT, TILES
from toolkit.memory.libraries.transformers_versions import FROM_LOGITS
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.spec.fields.result import UNTIL_NEXT

AnyLayer = (
    LayerForm
    | EncoderLayerForm
    | FalconForm
    | BloomForm
    | T5Form
    | FusedForm
    | MegatronForm
    | BlockForm
    | WrittenLayerForm
    | BartForm
    | OwnInputsForm
    | StreamsForm
    | SpreadForm
    | MergeForm
)
AnyHead = HeadForm | NormEndForm | PooledForm | ScoreForm | MaskedForm | T5HeadForm | BartHeadForm | BodyForm

LITGPT = "litgpt"
LOSSES = {
    "cross-entropy": whole_loss,
    "in-place": whole_loss,
    NAMED: whole_loss,
    FROM_LOGITS: whole_loss,
    "chunked": chunked_loss,
    SHORT: chunked_loss,
    **dict.fromkeys(TILES, tiled_loss),
    **dict.fromkeys(PAIRED_LOSSES, paired_loss),
    "fused": fused_loss,
    ADDS_IN_PLACE: fused_loss,
    "fused wide": fused_wide_loss,
    "cut": cut_loss,
    LITGPT: chunked_logits_loss,
    "linear chunks": linear_chunks_loss,
    "output chunks": output_chunks_loss,
    "whole outputs": whole_outputs_loss,
    "titan outputs": titan_outputs_loss,
    "megatron": megatron_loss,
    SUM: sum_loss,
}
"""The implementations of a causal language model's loss, by the name in a stack or of a version."""

OF_PAIRS = (T5HeadForm, BartHeadForm)
"""The ends of encoder-decoder models."""

NAMES_LOGITS = (LITGPT, SUM, NAMED)
"""The losses of loops that keep a reference to the logits."""


def length_of(form: AnyLayer | AnyHead) -> int:
    """The length of a stretch's own sequences, if they are not the batch's tokens; else 0."""
    return form.length if isinstance(form, BartForm) else 0


FOLLOWERS: Mapping[type, Callable[..., Buffer]] = {
    EncoderLayerForm: encoder_layer,
    T5Form: t5_layer,
    BartForm: bart_layer,
    BlockForm: block,
    BloomForm: bloom_layer,
    FalconForm: falcon_layer,
    OwnInputsForm: own_inputs,
    StreamsForm: streams_layer,
    SpreadForm: spread_streams,
    MergeForm: merge_streams,
    WrittenLayerForm: written_layer,
    FusedForm: fused_block,
    MegatronForm: megatron_layer,
    LayerForm: layer,
}
"""The function of each form of a layer."""


def follow_layer(tape: Tape, x: Buffer, form: AnyLayer) -> Buffer:
    """The result of a decoder's or an encoder's layer; the caller keeps `x`."""
    return FOLLOWERS[type(form)](tape, x, form)


def follow_loss(tape: Tape, x: Buffer, form: AnyHead) -> Buffer:
    """The loss of a model whose last layer gave `x`."""
    if isinstance(form, BodyForm):
        raise UnsupportedRow("logits", "a model without a head has no loss to train it by")
    if isinstance(form, NormEndForm):
        return letting_go(tape, x, normalise(tape, x, form.norm))
    if not isinstance(form, OF_PAIRS) and form.loss == SUM:
        return sum_loss(tape, x, form)
    if isinstance(form, PooledForm):
        return pooled_loss(tape, x, form)
    if isinstance(form, ScoreForm):
        return score_loss(tape, x, form)
    if isinstance(form, MaskedForm):
        return masked_loss(tape, x, form, names=form.loss == NAMED)
    if isinstance(form, T5HeadForm):
        return t5_loss(tape, x, form)
    if isinstance(form, BartHeadForm):
        return bart_loss(tape, x, form)
    loss = LOSSES.get(form.loss)
    if loss is None:
        raise UnsupportedRow("logits", f"no formula for the loss {form.loss!r}; known: {', '.join(LOSSES)}")
    return loss(tape, x, form)


def follow_logits(tape: Tape, x: Buffer, form: AnyHead) -> None:
    """The output of a model without a loss; for a causal language model, the logits of the next token."""
    if isinstance(form, PooledForm):
        pooled_logits(tape, x if form.before is None else letting_go(tape, x, normalise(tape, x, form.before)), form)
    elif isinstance(form, ScoreForm):
        scores(tape, x, form)
    elif isinstance(form, MaskedForm):
        masked_logits(tape, x if form.before is None else letting_go(tape, x, normalise(tape, x, form.before)), form)
    elif isinstance(form, T5HeadForm):
        t5_logits(tape, x, form)
    elif isinstance(form, BartHeadForm):
        bart_logits(tape, x, form)
    elif isinstance(form, BodyForm | NormEndForm):
        tape.drop(x if form.norm is None else letting_go(tape, x, normalise(tape, x, form.norm)))
    elif form.loss == LITGPT:
        all_logits(tape, x, form)
    elif form.evaluates:
        tape.drop(whole_loss(tape, x, form))
    else:
        last_logits(tape, x, form)


def names_logits(form: AnyHead) -> bool:
    """Whether the training loop keeps a reference to the end's result before its loss."""
    if isinstance(form, HeadForm) and form.held == UNTIL_NEXT:
        return True
    return not isinstance(form, (*OF_PAIRS, BodyForm, NormEndForm)) and form.loss in NAMES_LOGITS


def follow_named(tape: Tape, x: Buffer, form: AnyHead) -> None:
    """The logits that a training loop refers to; those of the previous pass stay while the model computes its loss."""
    if isinstance(form, HeadForm) and form.loss == LITGPT:
        chunked_logits(tape, x, form)
    elif isinstance(form, MaskedForm) and form.loss == NAMED:
        masked_loss(tape, x, form, names=True)
    elif isinstance(form, HeadForm) and (form.loss == NAMED or (form.held and form.loss != FROM_LOGITS)):
        whole_loss(tape, x, form)
    elif not isinstance(form, (*OF_PAIRS, BodyForm, NormEndForm)):
        summed_logits(tape, x, form)
