"""The ends of BART and its relatives: the operations before the first layers, and the decoder's logits and loss."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.embeddings import ROW as EMBEDDINGS
from toolkit.memory.formula.ends.logits import FLOAT, LOGITS, cross_entropy, let_go_of_result
from toolkit.memory.formula.inputs import STRIDE
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, cast, letting_go, resized, wider
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROW = "head_states"
KERNEL = 3
"""Frames that each of Whisper's convolutions sees (modeling_whisper.py, WhisperEncoder)."""


@frozen
class BartHeadForm:
    """The decoder's final norm, where it has one, its logits, and a bias of a dtype that is added to them.

    `begins` says that a decoder's prompt is one token of each sequence. `holds_encoded` says that the encoder's result
    is there by its name alone, until the model's forward returns: `frames` of each sequence, or where that is 0 tokens.
    Of 16-bit logits accelerate makes a `wide_result` then.
    """

    norm: NormForm | None
    projection: LinearForm
    bias: str | None
    begins: bool = True
    holds_encoded: bool = False
    frames: int = 0
    wide_result: bool = False


def bart_loss(tape: Tape, x: Buffer, form: BartHeadForm) -> Buffer:
    """Cross-entropy on logits as they are; the model's code holds them and its states."""
    states = _normed(tape, x, form)
    each = states.width * BYTES[states.dtype]
    encoded = Size(sequence=form.frames * each) if form.frames else Size(token=each)
    held = (tape.new(ROW, states.width, states.dtype, size=encoded),) if form.holds_encoded else ()
    logits = _biased(tape, linear(tape, states, form.projection, LOGITS), form)
    result = cross_entropy(tape, logits, widens=form.projection.autocast is not None)
    tape.drop(states)
    let_go_of_result(tape, logits, widens=form.wide_result)
    tape.drop(*held)
    return result


def bart_logits(tape: Tape, x: Buffer, form: BartHeadForm) -> None:
    """The logits of a decoder's input, one token of each sequence or all, and the float32 copy of the last."""
    if form.begins:
        token = tape.new(x.row, x.width, x.dtype, size=Size(sequence=x.width * BYTES[x.dtype]))
        x = letting_go(tape, x, token)
    states = _normed(tape, x, form)
    logits = _biased(tape, linear(tape, states, form.projection, LOGITS), form)
    tape.drop(states)  # the model's code refers to it, its caller does not
    floats = tape.new(FLOAT, logits.width, "fp32", size=Size(sequence=logits.width * BYTES["fp32"]))
    tape.drop(floats, logits)


def _normed(tape: Tape, x: Buffer, form: BartHeadForm) -> Buffer:
    return x if form.norm is None else letting_go(tape, x, normalise(tape, x, form.norm))


def _biased(tape: Tape, logits: Buffer, form: BartHeadForm) -> Buffer:
    """`logits + final_logits_bias`, a buffer of the dtype that the weights were loaded in: a new tensor."""
    if form.bias is None:
        return logits
    dtype = wider(logits.dtype, form.bias)
    result = tape.new(LOGITS, logits.width, dtype, grad=logits.grad, size=resized(logits, dtype))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(logits, tape.share(gradient, logits))]

    tape.node(result, backward)
    return letting_go(tape, logits, result)


@frozen
class ConvolutionsForm:
    """The two convolutions before Whisper's encoder, each with its activation: of `bins` to the hidden width.

    The result of the first may be made a `leaf`, which requires a gradient although its weight is frozen.
    """

    bins: int
    hidden: int
    dtype: str
    trains: bool
    autocast: str | None = None
    leaf: bool = False


def convolve(tape: Tape, form: ConvolutionsForm) -> Buffer:
    """The input of the encoder's first layer, before its positions are added; frames are twice the positions."""
    size = Size(token=STRIDE * form.bins * BYTES[form.dtype]).of_length(tape.length)
    frames = Buffer(EMBEDDINGS, size, STRIDE * form.bins, form.dtype, grad=False, held=False, counted=False)  # a batch
    wide = _convolution(tape, frames, STRIDE * form.hidden, form, leaf=form.leaf)
    result = _convolution(tape, wide, form.hidden, form)
    tape.drop(wide)
    return result


def _convolution(tape: Tape, x: Buffer, width: int, form: ConvolutionsForm, *, leaf: bool = False) -> Buffer:
    """gelu(conv1d(x)): the convolution saves its input where a gradient flows to it, the activation its own."""
    flows = form.trains or x.grad
    dtype = form.autocast or form.dtype
    inner = cast(tape, x, dtype, EMBEDDINGS)
    made = tape.new(EMBEDDINGS, width, dtype, grad=flows or leaf)
    if flows and not form.trains and dtype != form.dtype:  # autocast's copy of a frozen weight, which the node saves
        weight = Size(fixed=KERNEL * form.hidden**2 * BYTES[dtype])
        copy = tape.new(EMBEDDINGS, width, dtype, size=weight)
        tape.save(copy)
        tape.drop(copy)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(inner, tape.gradient(inner))] if x.grad else []

    tape.node(made, backward, tape.save(inner, constants=1) if flows else ())
    if inner is not x:
        tape.drop(inner)
    return letting_go(tape, made, activated(tape, made, "gelu", EMBEDDINGS))
